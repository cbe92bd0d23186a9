// Limits over all keys of a tenant, and plans that carry limits, on the real runtime.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { documentOf } from "./harness/policies.mjs";
import { bearer } from "./harness/traffic.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const PLANS = `
[plan.pro]
limits = { per_minute = 3 }
pool = { per_minute = 100 }
`;

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
/** @type {string} */
let path;
before(async () => {
  const edit = (/** @type {string} */ text) => text.replace(/^\[\[realm\]\]/m, `${PLANS}\n[[realm]]`);
  gate = await startGate({ isolates: 3, document: await documentOf("default", { edit }) });
  owner = await gate.owner();
  await owner.stepUp();
  path = `/tenants/${(await owner.createKey()).apiKey.tenantId}`;
});
after(() => gate?.stop());

const use = (at, key) => gate.isolates[at % 3].send({ target: "/api/orders", headers: bearer(key) });
const keys = () => Promise.all([1, 2, 3].map(async () => (await owner.createKey()).plaintextKey));

/** Makes a change of the tenant, and lets the time pass by which it holds everywhere. */
async function change(body) {
  const { effectiveEverywhereBy } = await owner.must("PATCH", path, body);
  await gate.advance(Date.parse(effectiveEverywhereBy) - gate.now());
}

test("three keys in three isolates share a limit of five, and more once it is raised", async (t) => {
  await gate.stopClock(t);
  const made = await keys();
  await change({ pool: { perMinute: 5 } });
  const answers = [];
  for (let n = 0; n < 12; n++) {
    answers.push(await use(n, made[n % 3]));
    await gate.advance(1_000);
  }
  const passed = answers.filter(({ status }) => status === 200);
  assert.equal(passed.length, 5, JSON.stringify(answers.map(({ status }) => status)));
  assert.match(passed[0].header("ratelimit-policy"), /"minute";q=600;w=60, "tenant-minute";q=5;w=60/);
  const refused = answers.at(-1);
  assert.equal(refused.status, 429);
  assert.match(refused.header("ratelimit-policy"), /^"tenant-minute";q=5;w=60$/);
  assert.ok(Number(refused.header("retry-after")) > 0);
  const { code, detail, violatedPolicies } = refused.json();
  assert.deepEqual([code, violatedPolicies], ["RATE_LIMITED", ["tenant-minute"]]);
  assert.match(detail, /^All keys of this organisation together have used up their 5 requests a minute\./);

  await change({ pool: { perMinute: 50 } });
  for (let n = 0; n < 9; n++) assert.equal((await use(n, made[n % 3])).status, 200);
  await change({ pool: null });
  assert.equal((await use(0, made[0])).header("ratelimit-policy"), '"minute";q=600;w=60');
});

test("a change of plan is one change: it gives all keys of the tenant its limits", async (t) => {
  await gate.stopClock(t);
  const made = await keys();
  for (const key of made) assert.equal((await use(0, key)).status, 200);
  await change({ plan: "pro" });
  const { realms } = await owner.must("GET", "/realms");
  assert.deepEqual([realms[0].limits.inherited.perMinute, realms[0].limits.pool.perMinute], [3, 100]);
  await gate.advance(61_000);
  for (const key of made) {
    const statuses = [];
    for (let n = 0; n < 5; n++) statuses.push((await use(n, key)).status);
    assert.deepEqual(statuses, [200, 200, 200, 429, 429]);
  }
  await change({ plan: null });
  await gate.advance(61_000);
  for (let n = 0; n < 5; n++) assert.equal((await use(n, made[0])).status, 200);
});
