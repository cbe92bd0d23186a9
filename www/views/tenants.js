// The tenants of this deployment. For its operator, the owner of the tenant that was set up first.

import { call, get, post } from '../api.js';
import { announce, button, fill, h } from '../dom.js';
import { ask } from '../dialog.js';
import { alertRegion, field, input, problemAlert, select } from '../form.js';
import { limits } from '../format.js';
import { heading } from '../router.js';
import { statusBadge } from './parts.js';

const STATUSES = [['ACTIVE', 'Active'], ['INACTIVE', 'Inactive: all its keys are refused']];

export async function tenantsView() {
  const list = h('ul', { class: 'list' });
  const alerts = alertRegion();

  async function load() {
    const { tenants } = await get('/tenants');
    fill(list, tenants.map(item));
  }

  async function act(work, done) {
    alerts.replaceChildren();
    try {
      if ((await work()) === null) return;
      await load();
      announce(done);
    } catch (problem) {
      fill(alerts, problemAlert(problem));
    }
  }

  const item = (tenant) =>
    h(
      'li',
      { 'data-testid': 'tenant-row' },
      h(
        'div',
        null,
        h('strong', null, tenant.name),
        ' ',
        statusBadge(tenant),
        h('div', { class: 'faint' }, [tenant.plan ? `Plan ${tenant.plan}` : 'No plan', tenant.rateLimit && limits(tenant.rateLimit)].filter(Boolean).join(' · ')),
      ),
      h('div', { class: 'actions' }, button('Change', () => act(() => askTenant(tenant), `${tenant.name} is changed.`), { 'aria-label': `Change ${tenant.name}` })),
    );

  await load();
  const node = [
    h('div', { class: 'title' }, heading('Tenants'), button('Create tenant', () => act(() => askTenant(null), 'The tenant is created.'), { class: 'primary' })),
    alerts,
    list,
  ];
  return { title: 'Tenants', node };
}

/** A dialog for a new tenant, or for the status and plan of one. */
function askTenant(tenant) {
  const name = input('name', { value: tenant?.name ?? '' });
  const plan = input('plan', { value: tenant?.plan ?? '' });
  const status = select('status', STATUSES, tenant?.status ?? 'ACTIVE');
  const body = () => ({ name: name.value.trim(), plan: plan.value.trim() || null, status: status.value });
  return ask(
    {
      title: tenant ? `Change ${tenant.name}` : 'Create a tenant',
      submit: tenant ? 'Save' : 'Create tenant',
      onsubmit: () => (tenant ? call('PATCH', `/tenants/${encodeURIComponent(tenant.id)}`, { body: body() }) : post('/tenants', body())),
    },
    field('Name', name),
    field('Plan', plan, 'Blank for none.'),
    field('Status', status),
  );
}
