// What the tests of bad input at the admin API share: a gate with a key, and a check after each of them that nothing was
// changed, nothing failed and no secret was logged.

import assert from "node:assert/strict";
import { after, afterEach, before } from "node:test";

import { OWNER } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";

/** @import { Admin, Write } from "./harness/admin.mjs" */
/** @import { ApiKey } from "../../types/admin-api.js" */
/** @import { Gate } from "./harness/gate.mjs" */

export const KEY = { name: "A key", scopes: ["orders:read"] };

/** @type {Gate} */
export let gate;
/** @type {Admin} */
export let owner;
/** @type {ApiKey} */
export let apiKey;
/** @type {string} */
export let plaintextKey;
/** @type {unknown} */
let state;

/** Everything that the admin API could have changed: keys, people, tenants and the audit's newest entry. */
const everything = async () =>
  Promise.all(["/api-keys?limit=100", "/members", "/tenants", "/audit?limit=1"].map((path) => owner.must("GET", path)));

/** What is now is what has to stay so: for a test that has changed something itself. */
export async function keepAsItIs() {
  state = await everything();
}

before(async () => {
  gate = await startGate();
  owner = await gate.owner();
  ({ apiKey, plaintextKey } = await owner.createKey());
  await keepAsItIs();
});
after(() => gate.stop());
afterEach(async () => {
  const before = state;
  await keepAsItIs();
  assert.deepEqual(state, before, "something was changed");
  await gate.allLogged();
  const faults = gate.logs.filter(
    ({ level, message }) => level === "error" || /"event":"fault"|panic|Uncaught/.test(message),
  );
  assert.deepEqual(faults, []);
  for (const secret of [OWNER.password, owner.token, plaintextKey])
    assert.ok(!gate.logs.some(({ message }) => message.includes(secret)), "a secret stands in the log");
});

/** @type {(fields: object) => Write} */
export const create = (fields) => ["POST", "/api-keys", { ...KEY, ...fields }];
/** @type {(fields: object) => Write} */
export const edit = (fields) => ["PATCH", `/api-keys/${apiKey.id}`, fields];
