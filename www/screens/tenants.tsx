// The tenants of this deployment. For its operator, the owner of the tenant that was set up first.

import type { Tenant } from "../../types/admin-api.js";
import { patch, post } from "../api.ts";
import { ready, useQuery } from "../cache.ts";
import { isInherited, limits, Typed } from "../format.tsx";
import { tenantsQuery } from "../queries.ts";
import type { Screen } from "../router.ts";
import { useActing } from "../ui/acting.tsx";
import { ask } from "../ui/dialog.tsx";
import { EmailField, FirstPasswordField, type Options, SelectField, TextField, type Values } from "../ui/form.tsx";
import { LimitFields, limitDraft, limitOf } from "../ui/limits.tsx";
import { Button, StatusBadge, TitleBar } from "../ui/parts.tsx";

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

const factsOf = ({ code, plan, rateLimit }: Tenant) =>
  [
    code && `Code ${code}`,
    plan ? `Plan ${plan}` : "No plan",
    isInherited(rateLimit) ? "limits of the policy" : limits(rateLimit),
  ]
    .filter(Boolean)
    .join(" · ");

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
    onSubmit: (values) =>
      tenant ? patch(`/tenants/${encodeURIComponent(tenant.id)}`, bodyOf(values)) : post("/tenants", bodyOf(values)),
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
    ...(status && { status }),
    ...((email || password) && { owner: { email, password } }),
  };
}
