// The tenants of this deployment. For its operator, the owner of the tenant that was set up first.

import { getAll, patch, post } from "../api.js";
import { ask } from "../dialog.js";
import { button, fill, h } from "../dom.js";
import { alertRegion, field, input, select } from "../form.js";
import { limits } from "../format.js";
import { limitFields } from "../key-form.js";
import { heading } from "../router.js";
import { acting, statusBadge } from "./parts.js";

/** @import { RateLimit, Tenant } from "../../types/admin-api.js" */
/** @import { View } from "../router.js" */

const STATUSES = [
  ["ACTIVE", "Active"],
  ["INACTIVE", "Inactive: all its keys are refused"],
];

/** @returns {Promise<View>} */
export async function tenantsView() {
  const list = h("ul", { class: "list" });
  const alerts = alertRegion();

  async function load() {
    const tenants = await getAll("/tenants", "tenants");
    fill(list, tenants.map(item));
  }

  const act = acting(alerts, load);

  const item = (/** @type {Tenant} */ tenant) =>
    h(
      "li",
      { "data-testid": "tenant-row" },
      h(
        "div",
        null,
        h("strong", null, tenant.name),
        " ",
        statusBadge(tenant),
        h(
          "div",
          { class: "faint" },
          [
            tenant.code && `Code ${tenant.code}`,
            tenant.plan ? `Plan ${tenant.plan}` : "No plan",
            ownLimits(tenant.rateLimit),
          ]
            .filter(Boolean)
            .join(" · "),
        ),
      ),
      h(
        "div",
        { class: "actions" },
        button("Change", () => act(() => askTenant(tenant), `${tenant.name} is changed.`), {
          "aria-label": `Change ${tenant.name}`,
        }),
      ),
    );

  await load();
  const node = [
    h(
      "div",
      { class: "title" },
      heading("Tenants"),
      button("Create tenant", () => act(() => askTenant(null), "The tenant is created."), { class: "primary" }),
    ),
    alerts,
    list,
  ];
  return { title: "Tenants", node };
}

/** @param {RateLimit} rate */
const ownLimits = (rate) => (rate.perMinute === null && rate.perDay === null ? "limits of the policy" : limits(rate));

/**
 * A dialog for a new tenant, or for what may change of one.
 * @param {Tenant | null} tenant
 */
function askTenant(tenant) {
  const name = input("name", { value: tenant?.name ?? "" });
  const code = tenant?.code ? null : input("code");
  const plan = input("plan", { value: tenant?.plan ?? "" });
  const rateLimit = limitFields(tenant?.rateLimit);
  const status = tenant && select("status", STATUSES, tenant.status);
  const owner = tenant
    ? null
    : {
        email: input("owner.email", { type: "email" }),
        password: input("owner.password", { type: "password", autocomplete: "new-password" }),
      };

  const body = () => ({
    name: name.value,
    ...(code?.value && { code: code.value.trim() }),
    plan: plan.value.trim() || null,
    rateLimit: rateLimit.value(),
    ...(status && { status: status.value }),
    ...((owner?.email.value || owner?.password.value) && {
      owner: { email: owner.email.value, password: owner.password.value },
    }),
  });

  return ask(
    {
      title: tenant ? `Change ${tenant.name}` : "Create a tenant",
      submit: tenant ? "Save" : "Create tenant",
      onsubmit: () => (tenant ? patch(`/tenants/${encodeURIComponent(tenant.id)}`, body()) : post("/tenants", body())),
    },
    field("Name", name),
    code &&
      field(
        "Code",
        code,
        "Part of its keys and hosts, such as ABC123. It never changes. Leave blank to have one chosen.",
      ),
    field("Plan", plan, "Leave blank for none."),
    rateLimit.node,
    status && field("Status", status),
    owner && [
      field("E-mail address of the first owner", owner.email, "Leave blank for none."),
      field("First password", owner.password, "Pass it on to them securely."),
    ],
  );
}
