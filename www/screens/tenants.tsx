// The tenants of this deployment. For its operator, the owner of the tenant that was set up first.

import type { Tenant } from "../../types/admin-api.js";
import { get, patch, post, remove } from "../api.ts";
import { ready, useQuery } from "../cache.ts";
import { isInherited, limits, number, Typed } from "../format.tsx";
import { tenantApi } from "../paths.ts";
import { tenantsQuery } from "../queries.ts";
import type { Screen } from "../router.ts";
import { hasPasswords } from "../session.ts";
import { useActing } from "../ui/acting.tsx";
import { ask } from "../ui/dialog.tsx";
import {
  EmailField,
  FirstPasswordField,
  type Options,
  SelectField,
  TextField,
  type Values,
  wholeNumber,
} from "../ui/form.tsx";
import { type Make, madeFor } from "../ui/invited.tsx";
import { LimitFields, limitDraft, limitOf } from "../ui/limits.tsx";
import { Button, Heading, StatusBadge, TitleBar } from "../ui/parts.tsx";
import { useShownOnce } from "../ui/shown-once.tsx";

const STATUSES: Options = [
  ["ACTIVE", "Active"],
  ["INACTIVE", "Inactive: all its keys are refused"],
];

export async function tenantsScreen(): Promise<Screen> {
  await ready(tenantsQuery);
  return { title: "Tenants", node: <Tenants /> };
}

function Tenants() {
  const [tenants = []] = useQuery(tenantsQuery).pages;
  const { act, alerts } = useActing();
  const { banner, make } = useShownOnce("link");
  if (banner)
    return (
      <>
        <Heading>Tenants</Heading>
        {banner}
      </>
    );
  return (
    <>
      <TitleBar title="Tenants" under={null}>
        <Button class="primary" onClick={() => act(() => askTenant(null), "The tenant is created.")}>
          Create tenant
        </Button>
      </TitleBar>
      {alerts}
      <ul class="list">
        {tenants.map((tenant) => (
          <li key={tenant.id} data-testid="tenant-row">
            <div>
              <strong>
                <Typed>{tenant.name}</Typed>
              </strong>{" "}
              <StatusBadge of={tenant} />
              <div class="faint">{factsOf(tenant)}</div>
            </div>
            <div class="actions">
              <Button
                class="small"
                aria-label={`Invite owner to ${tenant.name}`}
                onClick={() => act(() => askOwner(tenant, make), "The link is made.")}
              >
                Invite owner
              </Button>
              <Button
                class="small"
                aria-label={`Quotas of ${tenant.name}`}
                onClick={() => act(() => askQuotas(tenant), `${tenant.name} is changed.`)}
              >
                Quotas
              </Button>
              <Button
                class="danger small"
                aria-label={`End sessions of ${tenant.name}`}
                onClick={() => act(() => askEnd(tenant), "All its sessions are ended.")}
              >
                End sessions
              </Button>
              <Button
                class="small"
                aria-label={`Change ${tenant.name}`}
                onClick={() => act(() => askTenant(tenant), `${tenant.name} is changed.`)}
              >
                Change
              </Button>
            </div>
          </li>
        ))}
      </ul>
    </>
  );
}

const factsOf = ({ code, plan, rateLimit, pool }: Tenant) =>
  [
    code && `Code ${code}`,
    plan ? `Plan ${plan}` : "No plan",
    isInherited(rateLimit) ? "limits of the policy" : limits(rateLimit),
    !isInherited(pool) && `all keys together ${limits(pool)}`,
  ]
    .filter(Boolean)
    .join(" · ");

const askOwner = ({ id, name }: Tenant, make: Make) =>
  ask({
    title: (
      <>
        Invite an owner to <Typed>{name}</Typed>
      </>
    ),
    submit: "Make the link",
    onSubmit: (values) => make(async () => madeFor(await post(`${tenantApi(id)}/owners`, { email: values("email") }))),
    body: (
      <>
        <p>You get a link to send. It helps a tenant whose owners cannot sign in, too.</p>
        <EmailField />
      </>
    ),
  });

const askEnd = ({ id, name }: Tenant) =>
  ask({
    title: (
      <>
        End all sessions of <Typed>{name}</Typed>?
      </>
    ),
    submit: "End sessions",
    danger: true,
    onSubmit: () => remove(`${tenantApi(id)}/sessions`),
    body: <p>Its people have to sign in again. Its keys keep working.</p>,
  });

/** `keyBytes` as a title. */
const titleOf = (quota: string) =>
  (quota.charAt(0).toUpperCase() + quota.slice(1)).replace(/[A-Z]/g, (letter, at) =>
    at ? ` ${letter.toLowerCase()}` : letter,
  );

async function askQuotas({ id, name }: Tenant) {
  const { tenant, quotas } = await get(tenantApi(id));
  return ask({
    title: (
      <>
        Quotas of <Typed>{name}</Typed>
      </>
    ),
    submit: "Save",
    onSubmit: (values) => {
      const typed = Object.keys(quotas).map((quota) => [quota, values(`quotas.${quota}`)] as const);
      const own = typed.map(([quota, text]) => [quota, text === "" ? null : wholeNumber(text)] as const);
      return patch(tenantApi(id), { quotas: Object.fromEntries(own) });
    },
    body: (
      <>
        <p>How much it may have. Leave blank for what the policy says.</p>
        <div class="pair">
          {Object.entries(quotas).map(([quota, { used, limit }]) => (
            <TextField
              key={quota}
              name={`quotas.${quota}`}
              label={titleOf(quota)}
              hint={`Has ${number(used)} of ${number(limit)}.`}
              inputMode="numeric"
              defaultValue={String(tenant.quotas[quota] ?? "")}
            />
          ))}
        </div>
      </>
    ),
  });
}

/** A dialog for a new tenant, or for what may change of one. */
function askTenant(tenant: Tenant | null) {
  return ask({
    title: tenant ? (
      <>
        Change <Typed>{tenant.name}</Typed>
      </>
    ) : (
      "Create a tenant"
    ),
    submit: tenant ? "Save" : "Create tenant",
    onSubmit: (values) => (tenant ? patch(tenantApi(tenant.id), bodyOf(values)) : post("/tenants", bodyOf(values))),
    body: (
      <>
        <TextField name="name" label="Name" defaultValue={tenant?.name} />
        {!tenant?.code && (
          <TextField
            name="code"
            label="Code"
            hint="Part of its keys and hosts, such as ABC123. It never changes. Leave blank to have one chosen."
          />
        )}
        <TextField name="plan" label="Plan" hint="Leave blank for none." defaultValue={tenant?.plan ?? ""} />
        <LimitFields draft={limitDraft(tenant?.rateLimit)} />
        <LimitFields draft={limitDraft(tenant?.pool)} isPool />
        {tenant ? (
          <SelectField name="status" label="Status" options={STATUSES} value={tenant.status} />
        ) : (
          <>
            <EmailField name="owner.email" label="E-mail address of the first owner" hint="Leave blank for none." />
            <FirstPasswordField name="owner.password" />
          </>
        )}
      </>
    ),
  });
}

/** What the dialog does not ask for is not sent. */
function bodyOf(values: Values) {
  const [code, status, email, password] = ["code", "status", "owner.email", "owner.password"].map(values);
  return {
    name: values("name"),
    ...(code && { code }),
    plan: values("plan") || null,
    rateLimit: limitOf((window) => values(`rateLimit.${window}`)),
    pool: limitOf((window) => values(`pool.${window}`)),
    ...(status && { status }),
    ...((email || password) && { owner: { email, password: hasPasswords ? password : undefined } }),
  };
}
