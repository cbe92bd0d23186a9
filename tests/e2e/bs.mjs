// What the tests of BS (examples/bs/keyward.toml) share: the deployment with a tenant and its issuer, and queries to it.

import { Jwks } from "./issuer.mjs";
import { ask, newTenant, startSystems } from "./systems.mjs";

/** @import { RequestToSend } from "../../types/e2e.js" */
/** @import { Gate } from "./harness/gate.mjs" */

export const HOST = "api.bs.example";
export const QUERY = '{"query": "{ tenantInfo { id name baseCurrency status } }"}';

/** `{ gate, operator, tenant, owner, person, jwks }`, see `startSystems` and `newTenant`. */
export async function startBs() {
  const { gate, operator } = await startSystems({ isolates: 2 });
  const tenant = await newTenant(gate, operator, { name: "Acme Rides" });
  return { gate, operator, ...tenant, jwks: new Jwks(gate, "https://id.bs.example/.well-known/jwks.json") };
}

/**
 * Sends a query with these headers.
 * @param {Gate} gate
 * @param {Record<string, string>} headers
 * @param {RequestToSend} request
 */
export const query = (gate, headers, request = {}) =>
  ask(gate, HOST, "/graphql", {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: QUERY,
    ...request,
  });
