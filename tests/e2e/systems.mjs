// What the tests of the five systems share: the deployment that has all of them, and clients of it.

import { Admin } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";

export { bearer } from "./harness/traffic.mjs";

/** @import { GateOptions, RequestToSend } from "../../types/e2e.js" */
/** @import { Gate } from "./harness/gate.mjs" */
/** @import { Isolate } from "./harness/isolate.mjs" */

export const PASSWORD = "another long passphrase 2";

/** Secrets that the policies name. */
export const SECRETS = {
  GW_STRIPE_SECRET: "whsec_stripe_for_tests",
  GW_SQUARE_SECRET: "square-signature-key-for-tests",
};

/**
 * The deployment (see `startGate`), and the operator's owner, signed in and stepped up.
 * @param {GateOptions} options
 */
export async function startSystems(options = {}) {
  const gate = await startGate({
    policy: "systems",
    page: "/admin/api",
    internet: true,
    ...options,
    secrets: { ...SECRETS, ...options.secrets },
  });
  const operator = await gate.owner();
  return { gate, operator };
}

/**
 * A new tenant of this deployment and its owner, signed in: `{ tenant, owner, person }`, `person` to sign in as.
 * @param {Gate} gate
 * @param {Admin} operator
 * @param {{ name: string, [field: string]: unknown }} fields
 */
export async function newTenant(gate, operator, fields) {
  const email = `owner-${fields.name.toLowerCase().replaceAll(/[^a-z0-9]/g, "-")}@example.com`;
  const person = { email, password: PASSWORD };
  const { tenant } = await operator.must("POST", "/tenants", { ...fields, owner: person });
  return { tenant, owner: await new Admin(gate.url).signIn(person), person };
}

/**
 * A member of the owner's tenant, signed in.
 * @param {Gate} gate
 * @param {Admin} owner
 * @param {string} email
 * @param {string} role
 */
export async function newMember(gate, owner, email, role) {
  await owner.must("POST", "/members", { email, role, password: PASSWORD });
  return new Admin(gate.url).signIn({ email, password: PASSWORD });
}

/**
 * Sends to `host` of the first isolate: `ask(gate, "kb.example", "/api/v1/quotes", { headers })`.
 * @param {Gate} gate
 * @param {string} host
 * @param {string} target
 * @param {RequestToSend & { isolate?: Isolate }} more
 */
export function ask(gate, host, target, { isolate = gate.isolates[0], headers = {}, ...request } = {}) {
  return isolate.send({ host, target, headers: { "CF-Connecting-IP": "192.0.2.1", ...headers }, ...request });
}
