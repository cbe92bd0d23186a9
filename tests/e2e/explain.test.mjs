// What POST /explain says of a request is what the gate answers to it; and it leaves no trace.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Admin } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";

/** @import { Explanation, Route, SupposedRequest } from "../../types/admin-api.js" */
/** @import { Gate } from "./harness/gate.mjs" */

const FRESHNESS = 5_000;
const PASSWORD = "another long passphrase 2";

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;

/**
 * A request that is sent: to which host, with which key in which header.
 * @param {SupposedRequest} request
 * @param {string} header
 * @param {string} [key]
 */
const sent = ({ method, path, host, address, origin }, header, key) =>
  gate.send({
    method,
    target: path,
    headers: {
      ...(host && { Host: host }),
      ...(address && { "CF-Connecting-IP": address }),
      ...(origin && { Origin: origin }),
      ...(key && { [header]: header === "Authorization" ? `Bearer ${key}` : key }),
    },
  });

/**
 * Asks about a request, and sends it: both say the same, whether the key is named by its id or shown.
 * @param {Omit<SupposedRequest, "method"> & { method?: string }} described
 * @param {string | { plaintextKey: string, apiKey: { id: string } }} [shown]
 * @returns {Promise<Explanation>}
 */
async function same(described, shown, header = "Authorization") {
  const request = { method: "GET", ...described };
  const key = typeof shown === "object" ? shown.plaintextKey : shown;
  const ways = typeof shown === "object" ? [{ keyId: shown.apiKey.id }, { key }] : [key ? { key } : {}];
  const explained = [];
  for (const way of ways) explained.push(await owner.must("POST", "/explain", { ...request, ...way }));
  const answer = await sent(request, header, key);
  const body = answer.status === 200 ? {} : answer.json();
  const said = answer.status === 200 ? [true, null, null] : [false, answer.status, body.code ?? body.error.code];
  for (const { allowed, status, code, steps } of explained) {
    assert.deepEqual([allowed, status, code], said, JSON.stringify(steps));
    const failed = steps.filter(({ ok }) => !ok);
    assert.deepEqual(failed, allowed ? [] : steps.slice(-1));
  }
  assert.deepEqual(explained[0], explained.at(-1));
  return explained[0];
}

const step = (explained, name) => explained.steps.find(({ step }) => step === name);

describe("what is explained of the default policy", () => {
  before(async () => {
    gate = await startGate();
    owner = await gate.owner();
  });
  after(() => gate.stop());

  const ORDERS = { path: "/api/orders" };

  it("is what the gate answers, refusal by refusal", async () => {
    const plain = await owner.createKey();
    const passes = await same(ORDERS, plain);
    assert.deepEqual([passes.realm, passes.route], ["default", { methods: ["GET", "HEAD"], path: "/api/orders*" }]);
    assert.equal(step(passes, "key")?.detail, plain.apiKey.id);
    assert.equal(step(passes, "limit")?.detail, "600 a minute");
    await same({ path: "/api/public/x" });

    /** @type {[code: string, explained: Explanation, step: string][]} */
    const rows = [
      ["MISSING_AUTHORIZATION", await same(ORDERS), "credential"],
      ["INVALID_API_KEY", await same(ORDERS, "something else"), "key"],
      ["INVALID_API_KEY", await same(ORDERS, `kw_live_${"a".repeat(36)}`), "key"],
      ["INVALID_REQUEST", await same(ORDERS, `${plain.plaintextKey},${plain.plaintextKey}`), "credential"],
      ["INSUFFICIENT_SCOPE", await same({ ...ORDERS, method: "POST" }, plain), "scopes"],
      ["NO_ROUTE", await same({ path: "/api/nothing" }, plain), "route"],
      ["METHOD_NOT_ALLOWED", await same({ ...ORDERS, method: "OPTIONS" }, plain), "route"],
      ["NO_REALM", await same({ path: "/elsewhere" }, plain), "realm"],
      ["INVALID_REQUEST", await same({ path: "/api/a%2Fb" }, plain), "url"],
      ["KEY_IN_URL", await same({ path: "/api/orders?api_key=x" }, plain), "credential"],
    ];
    const test = await owner.createKey({ testMode: true, scopes: ["orders:write"] });
    rows.push(["TEST_MODE", await same({ ...ORDERS, method: "POST" }, test), "mode"]);
    const bound = await owner.createKey({ allowedIps: ["192.0.2.0/24"] });
    await same({ ...ORDERS, address: "192.0.2.7" }, bound);
    rows.push(["IP_RESTRICTED", await same({ ...ORDERS, address: "198.51.100.7" }, bound), "address"]);
    const ofPage = await owner.createKey({ kind: "publishable", allowedOrigins: ["https://app.example"] });
    await same({ ...ORDERS, origin: "https://app.example" }, ofPage);
    rows.push(["ORIGIN_RESTRICTED", await same({ ...ORDERS, origin: "https://evil.example" }, ofPage), "origin"]);
    rows.push(["ORIGIN_RESTRICTED", await same(ORDERS, ofPage), "origin"]);
    rows.push(["ORIGIN_RESTRICTED", await same({ ...ORDERS, method: "POST" }, ofPage), "kind"]);
    for (const [code, explained, at] of rows) {
      assert.deepEqual([explained.code, explained.steps.at(-1)?.step], [code, at]);
      assert.ok(explained.steps.at(-1)?.detail, "in the client's words");
    }
  });

  it("follows a revocation and an expiry", async () => {
    const revoked = await owner.createKey();
    const expiring = await owner.createKey({ expiresAt: new Date(gate.now() + 60_000).toISOString() });
    await same(ORDERS, revoked);
    await same(ORDERS, expiring);
    await owner.revoke(revoked.apiKey.id);
    await gate.advance(60_000 + FRESHNESS);
    assert.equal((await same(ORDERS, revoked)).code, "REVOKED_API_KEY");
    assert.equal((await same(ORDERS, expiring)).code, "EXPIRED_API_KEY");
  });

  it("of a key of another tenant is that there is none", async () => {
    const person = { email: "shop@example.com", password: PASSWORD };
    await owner.must("POST", "/tenants", { name: "shop", owner: person });
    const shop = await gate.admin().signIn(person);
    const theirs = await owner.createKey();
    const { plaintextKey: gone, apiKey } = await shop.createKey();
    await owner.refused([404, "NOT_FOUND"], "POST", "/explain", { method: "GET", ...ORDERS, keyId: apiKey.id });
    const of = (admin, key) => admin.must("POST", "/explain", { method: "GET", ...ORDERS, key });
    const foreign = await of(shop, theirs.plaintextKey);
    assert.deepEqual([foreign.status, foreign.code], [401, "INVALID_API_KEY"]);
    assert.deepEqual(foreign, await of(owner, gone));
    assert.equal((await of(owner, theirs.plaintextKey)).allowed, true);
  });

  it("counts nowhere, asks no object of a key, and no log has the key", async () => {
    const key = await owner.createKey({ rateLimit: { perMinute: 1, perDay: null } });
    await gate.forgetLogs();
    await gate.objects.resetCounts();
    await gate.isolates[0].resetCounts();
    for (let n = 0; n < 3; n++) {
      const asked = { method: "GET", ...ORDERS };
      for (const way of [{ key: key.plaintextKey }, { keyId: key.apiKey.id }]) {
        const { allowed, steps } = await owner.must("POST", "/explain", { ...asked, ...way });
        assert.equal(allowed, true);
        assert.deepEqual(steps.at(-1), { step: "limit", ok: true, detail: "1 a minute" });
      }
    }
    assert.deepEqual((await gate.isolates[0].counts()).kv, {});
    assert.deepEqual(await gate.callsFor(key.plaintextKey), { keyGate: 0, relays: 0 });
    await gate.advance(600_000);
    assert.equal((await owner.get(key.apiKey.id)).lastUsedAt, null);
    const { points } = await owner.must("GET", `/api-keys/${key.apiKey.id}/usage`);
    assert.ok(points.every(({ accepted, refused }) => accepted === 0 && Object.keys(refused).length === 0));
    assert.equal((await sent({ method: "GET", ...ORDERS }, "Authorization", key.plaintextKey)).status, 200);
    await gate.allLogged();
    assert.ok(!gate.logs.some(({ message }) => message.includes(key.plaintextKey)));
  });

  it("is asked by whoever may read, and what cannot be asked is named", async () => {
    await owner.stepUp();
    const reader = gate.admin();
    reader.token = (await owner.createKey({ scopes: ["admin:read"] })).plaintextKey;
    const { allowed } = await reader.must("POST", "/explain", { method: "GET", path: "/api/public/x" });
    assert.equal(allowed, true);
    await gate.admin().refused([401, "UNAUTHENTICATED"], "POST", "/explain", { method: "GET", ...ORDERS });
    await owner.invalid(["address", "method", "path"], "POST", "/explain", {
      method: "BREW",
      path: "api/orders",
      address: "here",
    });
    await owner.invalid(["path"], "POST", "/explain", { method: "GET", path: "/api/admin/realms" });
  });

  it("lists the routes, and which of them a key may call", async () => {
    /** @type {{ routes: Route[] }} */
    const { routes } = await owner.must("GET", "/routes");
    assert.deepEqual(
      routes.map(({ path, mayCall }) => [path, mayCall]),
      [
        ["/api/public/*", null],
        ["/api/orders*", null],
        ["/api/orders*", null],
      ],
    );
    assert.deepEqual(routes[2].needs.heldBy, { "orders:write": ["*", "orders:*", "orders:write"] });
    const { apiKey, plaintextKey } = await owner.createKey({ testMode: true, scopes: ["orders:write"] });
    for (const query of [`keyId=${apiKey.id}`, "scopes=orders:read"]) {
      /** @type {{ routes: Route[] }} */
      const may = await owner.must("GET", `/routes?${query}`);
      assert.deepEqual(may.routes[1].mayCall, ["GET", "HEAD"]);
      assert.deepEqual(may.routes[2].mayCall, []);
    }
    const own = (await owner.must("GET", `/routes?keyId=${apiKey.id}`)).routes[2];
    const answer = await sent({ method: "POST", ...ORDERS }, "Authorization", plaintextKey);
    assert.equal(own.code, answer.json().code);
  });
});

describe("what is explained of another policy", () => {
  before(async () => {
    gate = await startGate({ policy: "e2e" });
    owner = new Admin(gate.url, "/console/api");
    await owner.setUp(gate.secrets.KEYWARD_SETUP_TOKEN);
  });
  after(() => gate.stop());

  it("is what the gate answers, at its host, in its spelling, with its header", async () => {
    const strict = { realm: "strict", host: "strict.test" };
    const made = await owner.createKey({
      realm: "strict",
      scopes: ["things:read"],
      allowedIps: ["192.0.2.0/24"],
    });
    const from = { ...strict, address: "192.0.2.7" };
    await same({ ...from, path: "/things/7" }, made, "X-API-Key");
    const plan = await same({ ...from, path: "/pro/x" }, made, "X-API-Key");
    assert.deepEqual([plan.code, plan.steps.at(-1)?.step], ["PLAN_REQUIRED", "plan"]);
    const elsewhere = await same({ ...strict, path: "/things/7", address: "198.51.100.7" }, made, "X-API-Key");
    assert.equal(elsewhere.code, "IP_RESTRICTION");
    const other = await same({ host: "remote.test", path: "/things/7" }, made, "X-API-Key");
    assert.equal(other.code, "INVALID_API_KEY");
    const asked = { method: "GET", path: "/things/7", keyId: made.apiKey.id, address: "192.0.2.7" };
    assert.equal(
      (await owner.must("POST", "/explain", asked)).realm,
      "strict",
      "the key's own realm, unless another is named",
    );
  });
});
