// What a route costs: in the limits of a key, over two isolates of the real runtime, and what is said of it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { bearer } from "./harness/traffic.mjs";

/** @import { Route } from "../../types/admin-api.js" */
/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
before(async () => {
  gate = await startGate({ policy: "tests/e2e/policies/costs.toml", isolates: 2 });
  owner = await gate.owner();
  await gate.stopClock();
});
after(() => gate?.stop());

const scopes = ["orders:read", "reports:read"];
const key = async (/** @type {number} */ perMinute) =>
  (await owner.createKey({ scopes, rateLimit: { perMinute } })).plaintextKey;
let sent = 0;
const get = (/** @type {string} */ shown, /** @type {string} */ what) =>
  gate.isolates[sent++ % 2].send({ target: `/api/${what}`, headers: bearer(shown) });
const left = (/** @type {any} */ answer) => answer.header("ratelimit").match(/"minute";r=(\d+)/)[1];

test("of a limit of 20 a minute four requests that cost 5 pass, over two isolates", async () => {
  const shown = await key(20);
  gate.origin.reset();
  const statuses = [];
  for (let number = 0; number < 8; number++) statuses.push((await get(shown, "reports")).status);
  assert.equal(statuses.filter((status) => status === 200).length, 4, String(statuses));
  assert.equal(statuses.filter((status) => status === 429).length, 4, String(statuses));
  assert.equal(gate.origin.requests.length, 4);
});

test("costs are mixed to the unit; the fields count units, and a refusal says when its request fits", async () => {
  const shown = await key(12);
  const first = await get(shown, "reports");
  assert.equal(first.header("ratelimit-policy"), '"minute";q=12;w=60');
  assert.equal(left(first), "7");
  assert.equal((await get(shown, "orders")).status, 200);
  assert.equal((await get(shown, "reports")).status, 200);
  const refused = await get(shown, "reports");
  assert.deepEqual([refused.status, left(refused), refused.json().violatedPolicies], [429, "1", ["minute"]]);
  assert.match(refused.json().detail, /counts as 5, .* 12 requests a minute .* Try again in \d+ seconds/);
  assert.match(refused.header("ratelimit"), new RegExp(`;t=${refused.header("retry-after")}$`));
  // What an isolate knows to be full counts for a second at most.
  await gate.advance(2_000);
  assert.equal((await get(shown, "orders")).status, 200, "one unit is left");
  assert.equal((await get(shown, "orders")).status, 429);
  await gate.advance(Number(refused.header("retry-after")) * 1_000);
  assert.equal((await get(shown, "reports")).status, 200);
});

test("what never fits is refused without Retry-After, and the admin API does not make such a key", async () => {
  const body = { name: "k", scopes, rateLimit: { perMinute: 4 } };
  await owner.invalid(["rateLimit.perMinute"], "POST", "/api-keys", body);
  const cheap = await owner.createKey({ ...body, scopes: ["orders:read"] });
  await owner.invalid(["rateLimit.perMinute"], "PATCH", `/api-keys/${cheap.apiKey.id}`, { scopes });
  // What its tenant gives it may still be too little.
  const { apiKey, plaintextKey } = await owner.createKey({ scopes });
  const inherits = (/** @type {object | null} */ rateLimit) =>
    owner.must("PATCH", `/tenants/${apiKey.tenantId}`, { rateLimit });
  await inherits({ perMinute: 4 });
  const refused = await get(plaintextKey, "reports");
  assert.deepEqual(
    [refused.status, refused.header("retry-after"), refused.header("x-should-retry")],
    [429, undefined, "false"],
  );
  assert.equal((await get(plaintextKey, "orders")).status, 200, "nothing of it was counted");
  await inherits(null);
});

test("GET /routes and POST /explain say what a request costs", async () => {
  const { routes } = await owner.must("GET", "/routes");
  assert.deepEqual(
    routes.map((/** @type {Route} */ { path, cost }) => [path, cost]),
    [
      ["/api/reports*", 5],
      ["/api/orders*", 1],
    ],
  );
  const { apiKey } = await owner.createKey({ scopes, rateLimit: { perMinute: 20 } });
  const asked = { method: "GET", path: "/api/reports", keyId: apiKey.id };
  const { allowed, steps } = await owner.must("POST", "/explain", asked);
  assert.deepEqual([allowed, steps.at(-1).detail], [true, "20 a minute; it counts as 5"]);
});
