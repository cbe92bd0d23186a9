// Requests without a key: where one is optional, and the limit that a network has there, by the runtime's own limiter.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { bearer } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { CreatedKey, Route, RouteUsage } from "../../types/admin-api.js" */
/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const LIMIT = 5;

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
/** @type {CreatedKey} */
let reader;
before(async () => {
  gate = await startGate({
    policy: "tests/e2e/policies/anonymous.toml",
    limiters: { ANYBODY: { limit: LIMIT, period: 10 } },
    secrets: { A_TEXT: "no limiter" },
  });
  owner = await gate.owner();
  reader = await owner.createKey({ name: "Reader", scopes: ["orders:read"] });
});
after(() => gate?.stop());
beforeEach(() => gate.origin.reset());

let networks = 0;
/** Of a network that no other test uses. */
const from = () => ({ "CF-Connecting-IP": `198.51.100.${++networks}` });
const get = (/** @type {string} */ target, /** @type {Record<string, string>} */ headers) =>
  gate.send({ target, headers });
const code = (/** @type {any} */ answer) => [answer.status, answer.status === 200 ? undefined : answer.json().code];
/** Names of the headers by which the origin got to know who asks. */
const identity = () =>
  Object.keys(gate.origin.requests.at(-1)?.headers ?? {})
    .filter((name) => name.startsWith("keyward-"))
    .sort();

test("without a key a request goes on as nobody's, whatever identity it claims, and its answer varies by the key", async () => {
  const claims = { "Keyward-Key-Id": "key_1", "Keyward-Tenant": "acme", Keyward_Scopes: "*", "Keyward-Mode": "live" };
  const answer = await get("/api/orders", { ...from(), ...claims, Origin: "https://app.example" });
  assert.equal(answer.status, 200);
  assert.deepEqual(identity(), ["keyward-request-id"]);
  assert.match(answer.header("vary"), /authorization/i);
  assert.match(answer.header("vary"), /x-session-id/i);
  assert.doesNotMatch(answer.header("cache-control") ?? "", /private/);
  assert.equal(answer.header("access-control-allow-origin"), "https://app.example");
  assert.equal((await gate.send({ method: "POST", target: "/api/orders", body: "{}" })).status, 200);
  assert.deepEqual(identity(), ["keyward-request-id"]);
});

test("with a key it is the key's request: a valid one is told to the origin, a wrong one is 401, a missing scope 403", async () => {
  const shown = { ...from(), ...bearer(reader.plaintextKey) };
  assert.equal((await get("/api/orders", shown)).status, 200);
  assert.ok(identity().includes("keyward-key-id"));
  assert.deepEqual(gate.origin.requests.at(-1)?.headers["keyward-key-id"], [reader.apiKey.id]);
  assert.equal(gate.origin.requests.at(-1)?.headers.authorization, undefined);
  const forwarded = gate.origin.requests.length;
  const write = await gate.send({ method: "POST", target: "/api/orders", headers: shown, body: "{}" });
  assert.deepEqual(code(write), [403, "INSUFFICIENT_SCOPE"]);
  const { plaintextKey } = reader;
  const other = `${plaintextKey.slice(0, -1)}${plaintextKey.endsWith("0") ? "1" : "0"}`;
  for (const [expected, headers] of /** @type {[[number, string], Record<string, string>][]} */ ([
    [[401, "INVALID_API_KEY"], bearer(other)],
    [[401, "INVALID_API_KEY"], bearer("nonsense")],
    [[401, "MISSING_AUTHORIZATION"], { Authorization: "Bearer" }],
    [[401, "MISSING_AUTHORIZATION"], { Authorization: plaintextKey }],
    [[401, "MISSING_AUTHORIZATION"], { Authorization: "Basic eDp5" }],
    [[401, "MISSING_AUTHORIZATION"], { "X-API-Key": plaintextKey }],
    [[400, "INVALID_REQUEST"], { Authorization: `Bearer ${plaintextKey}, Bearer ${plaintextKey}` }],
  ])) {
    assert.deepEqual(code(await get("/api/orders", { ...from(), ...headers })), expected, JSON.stringify(headers));
  }
  assert.deepEqual(code(await get(`/api/orders?k=${plaintextKey}`, from())), [400, "KEY_IN_URL"]);
  assert.equal(gate.origin.requests.length, forwarded, "none of them reached the origin");
});

test("a revoked key is 401 and never nobody's", async () => {
  const { plaintextKey, apiKey } = await owner.createKey({ scopes: ["orders:read"] });
  assert.equal((await get("/api/orders", { ...from(), ...bearer(plaintextKey) })).status, 200);
  await owner.revoke(apiKey.id);
  await gate.advance(5_000);
  const answer = await get("/api/orders", { ...from(), ...bearer(plaintextKey) });
  assert.deepEqual(code(answer), [401, "REVOKED_API_KEY"]);
});

for (const path of ["/api/status", "/api/orders"])
  test(`${path}: a network that asks too often is told to wait, and another network and a key are not`, async () => {
    const network = from();
    const answers = [];
    // The limiter's periods are the clock's: one may end on the way.
    for (let i = 0; i <= 2 * LIMIT; i++) answers.push(await get(path, network));
    const passed = answers.filter(({ status }) => status === 200);
    assert.ok(passed.length >= LIMIT && passed.length <= 2 * LIMIT, String(passed.length));
    const refused = answers.find(({ status }) => status !== 200);
    assert.deepEqual(code(refused), [429, "RATE_LIMITED"]);
    assert.equal(refused?.header("retry-after"), "10");
    assert.equal((await get(path, from())).status, 200);
    assert.equal((await get("/api/orders", { ...network, ...bearer(reader.plaintextKey) })).status, 200);
    await waitFor(
      "the refusals to be counted, under no key",
      async () => {
        await gate.advance(60_000);
        const { routes } = await owner.must("GET", "/usage/routes?days=2&scope=deployment");
        const counted = routes.find((/** @type {RouteUsage} */ route) => route.path.startsWith(path));
        return counted && counted.unattributed >= answers.length - passed.length;
      },
      { everyMs: 500 },
    );
  });

test("a limit whose binding is missing or no limiter refuses what it would count, and /readyz names it", async () => {
  for (const path of ["/api/unbound", "/api/text"])
    assert.deepEqual(code(await get(path, from())), [503, "NOT_CONFIGURED"]);
  const ready = await get("/readyz", { Authorization: `Setup ${gate.secrets.KEYWARD_SETUP_TOKEN}` });
  assert.equal(ready.status, 503);
  assert.equal(ready.json().parts.limitsByNetwork, "NOWHERE is no binding of a limiter");
});

test("what is explained and listed says where no key is needed", async () => {
  const { routes } = await owner.must("GET", "/routes");
  assert.deepEqual(
    routes.map((/** @type {Route} */ { needs, limitedByNetwork }) => [needs.by, needs.optional, limitedByNetwork]),
    [
      [[], false, true],
      [["key"], true, true],
      [["key"], true, false],
      [[], false, true],
      [[], false, true],
    ],
  );
  const explain = (/** @type {object} */ more) =>
    owner.must("POST", "/explain", { method: "GET", path: "/api/orders", ...more });
  const nobody = await explain({});
  assert.equal(nobody.allowed, true);
  assert.deepEqual(nobody.steps.slice(-2), [
    { step: "credential", ok: true, detail: "API key, or nothing" },
    { step: "limit", ok: true, detail: "by network" },
  ]);
  assert.equal((await explain({ key: "nonsense" })).code, "INVALID_API_KEY");
  assert.equal((await explain({ path: "/api/text" })).code, "NOT_CONFIGURED");
  assert.equal((await explain({ keyId: reader.apiKey.id, method: "POST" })).code, "INSUFFICIENT_SCOPE");
});
