// The change log on the real runtime: isolates read it through a relay from the Registry, and decide by it instead of asking
// each key's object.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { limits } from "./harness/limits.mjs";
import { documentOf } from "./harness/policies.mjs";
import { bearer } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const PERSON = { email: "owner@acme.example", password: "another long passphrase 2" };

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
before(async () => {
  // Keys have no limit unless they are given one.
  const edit = (/** @type {string} */ text) => text.replace("default = { per_minute = 600 }", "default = {}");
  gate = await startGate({ isolates: 2, document: await documentOf("default", { edit }) });
  owner = await gate.owner();
  await owner.stepUp();
});
after(() => gate?.stop());

const use = async (at, key) => {
  const answer = await gate.isolates[at].send({ target: "/api/orders", headers: bearer(key) });
  return answer.status === 200 ? 200 : answer.json().code;
};

/** Calls of one class of objects since the counts were reset. */
async function calls(className) {
  const named = (await gate.objects.counts()).objects[className] ?? {};
  return Object.values(named).reduce((sum, { fetch = 0 }) => sum + fetch, 0);
}

test("a key without a limit asks its object for no request, nor does one that is refused", async (t) => {
  const passes = await owner.createKey();
  assert.deepEqual(passes.apiKey.effectiveRateLimit, limits());
  const revoked = await owner.createKey();
  await owner.revoke(revoked.apiKey.id);
  const all = async (times) => {
    for (let n = 0; n < times; n++) {
      assert.equal(await use(0, passes.plaintextKey), 200);
      assert.equal(await use(0, revoked.plaintextKey), "REVOKED_API_KEY");
    }
  };
  await all(1);
  await waitFor("what was counted so far", async () => (await owner.get(passes.apiKey.id)).lastUsedAt);
  await gate.stopClock(t);
  await all(1);
  await gate.objects.resetCounts();
  await all(50);
  assert.deepEqual([await calls("KeyGate"), await calls("Relay")], [0, 0]);
});

test("a tenant's deactivation stops all of its keys within the bound, though no object of theirs can be told", async () => {
  const { tenant } = await owner.must("POST", "/tenants", { name: "Acme", owner: PERSON });
  const admin = await gate.admin().signIn(PERSON);
  const made = await Promise.all(Array.from({ length: 5 }, (_, n) => admin.createKey({ name: `Key ${n}` })));
  const keys = made.map(({ plaintextKey }) => plaintextKey);
  for (const key of keys) for (const at of [0, 1]) assert.equal(await use(at, key), 200);
  await gate.objects.faults({ "KeyGate.fetch": { fail: true } });
  try {
    const { pendingKeys } = await owner.must("PATCH", `/tenants/${tenant.id}`, { status: "INACTIVE" });
    assert.equal(pendingKeys, keys.length);
    for (const key of keys)
      for (const at of [0, 1])
        await waitFor("the refusal", async () => (await use(at, key)) === "INACTIVE_ORGANIZATION");
  } finally {
    await gate.objects.faults({ "KeyGate.fetch": null });
  }
  await owner.must("PATCH", `/tenants/${tenant.id}`, { status: "ACTIVE" });
  for (const key of keys) await waitFor("its keys to pass again", async () => (await use(0, key)) === 200);
});
