// Small pieces that several views show.

import { h } from '../dom.js';

const STATUS_TEXT = { ACTIVE: 'Active', REVOKED: 'Revoked', EXPIRED: 'Expired', INACTIVE: 'Inactive' };

/** `Active`, in words and colour. */
export const statusBadge = ({ status }) => h('span', { class: `badge ${status.toLowerCase()}` }, STATUS_TEXT[status] ?? status);

/** Scopes, at most so many of them; wildcards stand out. */
export function scopeChips(scopes, most = Infinity) {
  const shown = scopes.slice(0, most);
  const rest = scopes.slice(most);
  return h(
    'div',
    { class: 'chips' },
    shown.map((scope) => h('code', { class: scope.endsWith('*') ? 'chip wide' : 'chip' }, scope)),
    rest.length > 0 && h('span', { class: 'chip', title: rest.join(', ') }, `+${rest.length}`),
  );
}

/** A list of terms and what they are; pairs whose value is null are left out. */
export function facts(...pairs) {
  const shown = pairs.filter((pair) => pair && pair[1] !== null && pair[1] !== undefined);
  return h('dl', { class: 'facts' }, shown.map(([term, ...value]) => h('div', null, h('dt', null, term), h('dd', null, value))));
}
