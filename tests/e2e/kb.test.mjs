// KB: a quoting API (examples/kb/keyward.toml), row by row.

import assert from "node:assert/strict";
import { createHash, createHmac, randomBytes } from "node:crypto";
import { after, before, beforeEach, describe, it } from "node:test";

import { limits } from "./harness/limits.mjs";
import { bearer } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";
import { ask, newTenant, startSystems } from "./systems.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const HOST = "kb.example";
const SHAPE = /^kbd_live_[0-9A-Za-z]{36}$/;

/** @type {Gate} */
let gate;
/** @type {Admin} */
let operator;
/** @type {Admin} */
let owner;
before(async () => {
  ({ gate, operator } = await startSystems({ isolates: 4 }));
  ({ owner } = await newTenant(gate, operator, { name: "Tools", plan: "integrations" }));
});
after(() => gate.stop());
beforeEach(() => gate.origin.reset());

const newKey = (scopes = ["quotes:read"], { admin = owner, ...fields } = {}) =>
  admin.must("POST", "/api-keys", { realm: "kb", name: "A key", scopes, ...fields });
const send = (key, method, target, request) => ask(gate, HOST, target, { method, headers: bearer(key), ...request });
const read = (key, isolate) => send(key, "GET", "/api/v1/quotes", { isolate });
const everywhere = (key) => Promise.all(gate.isolates.map(async (isolate) => (await read(key, isolate)).status));
const all = (status) => gate.isolates.map(() => status);
const code = (answer) => [answer.status, answer.json().code];

describe("KB", () => {
  it("KB-1 a key is kbd_live_ and random characters, and stands in Authorization: Bearer alone", async () => {
    const { plaintextKey } = await newKey();
    assert.match(plaintextKey, SHAPE);
    assert.equal((await read(plaintextKey)).status, 200);
    assert.equal(gate.origin.last.headers.authorization, undefined);
    gate.origin.reset();
    const get = (headers, target = "/api/v1/quotes") => ask(gate, HOST, target, { headers });
    for (const headers of [
      {},
      { "X-API-Key": plaintextKey },
      { Authorization: plaintextKey },
      { Authorization: `Basic ${plaintextKey}` },
    ]) {
      assert.deepEqual(code(await get(headers)), [401, "MISSING_AUTHORIZATION"]);
    }
    assert.deepEqual(code(await get({}, `/api/v1/quotes?key=${plaintextKey}`)), [400, "KEY_IN_URL"]);
    assert.deepEqual(code(await get(bearer("kbd_live_..."))), [401, "INVALID_API_KEY"]);
    assert.equal(gate.origin.requests.length, 0);
  });

  it("KB-2 each scope opens its own routes and no other", async () => {
    const routes = [
      ["GET", "/api/v1/products", "products:read"],
      ["GET", "/api/v1/products?search=mill", "products:read"],
      ["POST", "/api/v1/products/bulk", "products:write"],
      ["GET", "/api/v1/quotes", "quotes:read"],
      ["GET", "/api/v1/quotes/Q-1024", "quotes:read"],
      ["POST", "/api/v1/quotes", "quotes:write"],
      ["PATCH", "/api/v1/quotes/Q-1024", "quotes:write"],
      ["GET", "/api/v1/orders", "orders:read"],
      ["GET", "/api/v1/orders/7", "orders:read"],
      ["GET", "/api/v1/customers", "customers:read"],
      ["GET", "/api/v1/customers/7", "customers:read"],
      ["POST", "/api/v1/customers", "customers:write"],
      ["PUT", "/api/v1/customers/7", "customers:write"],
      ["GET", "/api/v1/requests", "requests:read"],
      ["GET", "/api/v1/requests/7/messages", "requests:read"],
      ["POST", "/api/v1/requests", "requests:write"],
    ];
    const areas = ["products", "quotes", "orders", "customers", "requests"];
    const held = [...new Set(routes.map(([, , scope]) => scope)), ...areas.map((area) => `${area}:*`), "*"];
    for (const holds of held.filter((scope) => scope !== "quotes:write")) {
      const { plaintextKey } = await newKey([holds]);
      for (const [method, target, needs] of routes) {
        const opens = needs !== "quotes:write" && [needs, `${needs.split(":")[0]}:*`, "*"].includes(holds);
        gate.origin.reset();
        const answer = await send(plaintextKey, method, target);
        const what = `${holds}: ${method} ${target}`;
        assert.equal(gate.origin.requests.length, opens ? 1 : 0, what);
        if (opens) {
          assert.equal(answer.status, 200, what);
        } else {
          assert.deepEqual(code(answer), [403, "INSUFFICIENT_SCOPE"], what);
          assert.match(
            answer.header("www-authenticate"),
            new RegExp(`error="insufficient_scope", scope="${needs}"`),
            what,
          );
        }
      }
    }
  });

  it("KB-2 quotes:write is listed as reserved, and nobody can grant it", async () => {
    const { realms } = await owner.must("GET", "/realms");
    const { scopes } = realms.find(({ id }) => id === "kb");
    const { grant, grantable, description } = scopes.find(({ name }) => name === "quotes:write");
    assert.deepEqual([grant, grantable, description], ["reserved", false, "Reserved for quote writes"]);
    assert.deepEqual(
      scopes.filter((scope) => !scope.grantable).map(({ name }) => name),
      ["quotes:write"],
    );
    for (const admin of [owner, operator]) {
      const body = { realm: "kb", name: "No", scopes: ["quotes:read", "quotes:write"] };
      await admin.invalid(["scopes[1]"], "POST", "/api-keys", body);
    }
    const { apiKey } = await newKey();
    await owner.invalid(["scopes[0]"], "PATCH", `/api-keys/${apiKey.id}`, { scopes: ["quotes:write"] });
  });

  it("KB-3 keys are stored as hashes salted with the deployment's secret, never as a plain SHA-256", async () => {
    const other = await startSystems();
    try {
      const neighbour = await newTenant(other.gate, other.operator, { name: "Tools", plan: "integrations" });
      const here = (await newKey()).plaintextKey;
      const there = (await newKey(undefined, { admin: neighbour.owner })).plaintextKey;
      assert.equal((await read(here)).status, 200);
      assert.equal((await ask(other.gate, HOST, "/api/v1/quotes", { headers: bearer(there) })).status, 200);
      assert.deepEqual(code(await read(there)), [401, "INVALID_API_KEY"]);
      // As docs/storage.md has it: what a deployment stores for a key.
      const salted = ({ secrets }, key) =>
        createHmac("sha256", secrets.KEYWARD_SECRET).update(`keyward key storage 1\0${key}`).digest("hex");
      for (const [deployment, foreign, key] of [
        [gate, other.gate, here],
        [other.gate, gate, there],
      ]) {
        const place = `key:hmac-sha256:${salted(deployment, key)}`;
        await waitFor("the key in KV", async () => (await deployment.storedKv()).has(place));
        const registry = deployment.storedObjects().find(({ className }) => className === "Registry");
        assert.ok(registry.tables.keys.some(({ hash }) => `key:${hash}` === place));
        assert.notEqual(salted(foreign, key), salted(deployment, key));
        assert.deepEqual(deployment.grep(salted(foreign, key)), []);
        const plain = createHash("sha256").update(key).digest();
        const forms = [
          plain,
          .../** @type {BufferEncoding[]} */ (["hex", "base64", "base64url"]).map((form) => plain.toString(form)),
          plain.toString("hex").toUpperCase(),
        ];
        for (const text of [key, key.slice(9), ...forms]) assert.deepEqual(deployment.grep(text), []);
        const everything = JSON.stringify([...(await deployment.storedKv()), deployment.storedObjects()]);
        for (const text of [key, ...forms.slice(1)]) assert.ok(!everything.includes(text));
      }
    } finally {
      await other.gate.stop();
    }
  });

  it("KB-4 the list shows each key's prefix and when it was last used", async () => {
    const { apiKey, plaintextKey } = await newKey();
    const listed = async () =>
      (await owner.must("GET", "/api-keys?realm=kb")).apiKeys.find(({ id }) => id === apiKey.id);
    const { keyPrefix, last4, lastUsedAt } = await listed();
    assert.ok(
      keyPrefix.startsWith("kbd_live_") && keyPrefix.length <= 13 && plaintextKey.startsWith(keyPrefix),
      keyPrefix,
    );
    assert.deepEqual([last4, lastUsedAt], [plaintextKey.slice(-4), null]);
    const since = gate.now();
    assert.equal((await read(plaintextKey)).status, 200);
    const used = await waitFor("the last use", async () => (await listed()).lastUsedAt);
    assert.ok(Date.parse(used) >= since - 100 && Date.parse(used) <= gate.now(), used);
  });

  it("KB-5 a revoked key is refused from the very next request on, in every isolate", async (t) => {
    await gate.stopClock(t);
    for (let round = 0; round < 2; round++) {
      const { apiKey, plaintextKey } = await newKey();
      // In steady use: where freshness is more than 0, isolates would hold leases by now.
      for (let i = 0; i < 40; i++) assert.deepEqual(await everywhere(plaintextKey), all(200));
      await owner.revoke(apiKey.id);
      gate.origin.reset();
      assert.deepEqual(await everywhere(plaintextKey), all(401));
      assert.deepEqual(code(await read(plaintextKey)), [401, "REVOKED_API_KEY"]);
      assert.equal(gate.origin.requests.length, 0);
    }
  });

  it("KB-6 exactly 600 requests of a key pass in a minute, through all isolates at once, and never 601", async (t) => {
    const { apiKey, plaintextKey } = await newKey();
    const { plaintextKey: another } = await newKey();
    assert.deepEqual(apiKey.effectiveRateLimit, limits({ perMinute: 600 }));
    await owner.invalid(["rateLimit.perMinute"], "PATCH", `/api-keys/${apiKey.id}`, { rateLimit: { perMinute: 601 } });

    const answers = [];
    const client = async (isolate) => {
      for (let i = 0; i < 22; i++) answers.push(await read(plaintextKey, isolate));
    };
    await gate.stopClock(t);
    await Promise.all(gate.isolates.flatMap((isolate) => Array.from({ length: 8 }, () => client(isolate))));
    const refused = answers.filter(({ status }) => status !== 200);
    assert.equal(answers.length - refused.length, 600);
    assert.equal(gate.origin.requests.length, 600);
    for (const answer of refused) {
      assert.deepEqual(code(answer), [429, "RATE_LIMITED"]);
      assert.ok(Number(answer.header("retry-after")) >= 1);
    }
    assert.deepEqual(await everywhere(plaintextKey), all(429));
    assert.equal((await read(another)).status, 200, "each key has its own");

    await gate.advance(60_000);
    assert.deepEqual(await everywhere(plaintextKey), all(200));
  });

  it("KB-7 a tenant whose plan does not include integrations gets 403 with every key, everywhere", async () => {
    const { tenant, owner: admin } = await newTenant(gate, operator, { name: "Starter", plan: "starter" });
    const uses = [
      ["*", "/api/v1/quotes"],
      ["quotes:read", "/api/v1/quotes"],
      ["products:read", "/api/v1/products"],
    ];
    const keys = await Promise.all(
      uses.map(async ([scope, target]) => [(await newKey([scope], { admin })).plaintextKey, target]),
    );
    for (const [plan, opens] of [
      ["starter", false],
      ["integrations", true],
      [null, false],
      ["enterprise", true],
      ["Integrations", false],
    ]) {
      await operator.must("PATCH", `/tenants/${tenant.id}`, { plan });
      for (const [key, target] of keys) {
        const answer = await send(key, "GET", target);
        if (opens) assert.equal(answer.status, 200, `${plan} ${target}`);
        else assert.deepEqual(code(answer), [403, "PLAN_REQUIRED"], `${plan} ${target}`);
      }
      if (!opens)
        assert.deepEqual(code(await send(keys[0][0], "POST", "/api/v1/products/bulk")), [403, "PLAN_REQUIRED"]);
    }
  });

  it("KB-8 a quote is read with quotes:read, and the origin's 404 for another organisation's passes through", async () => {
    const neighbour = await newTenant(gate, operator, { name: "Neighbour", plan: "enterprise" });
    const id = "7f0c0000-0000-0000-0000-000000000000";
    const { apiKey, plaintextKey } = await newKey();
    const quote = { id, number: "Q-1024", status: "accepted", total_minor: 58200 };
    const missing = '{"error": {"message":  "quote not found"}}\n';
    gate.origin.answer = (request, response) => {
      const own = request.headers["keyward-tenant"] === apiKey.tenantId && request.url === `/api/v1/quotes/${id}`;
      response.writeHead(own ? 200 : 404, { "content-type": "application/json", "x-own": "kept" });
      response.end(own ? JSON.stringify(quote) : missing);
    };
    const get = (key, quoteId = id) => send(key, "GET", `/api/v1/quotes/${quoteId}`);
    const own = await get(plaintextKey);
    assert.deepEqual([own.status, own.json()], [200, quote]);
    const theirs = (await newKey(undefined, { admin: neighbour.owner })).plaintextKey;
    for (const answer of [await get(theirs), await get(plaintextKey, "00000000-0000-0000-0000-000000000000")]) {
      assert.deepEqual([answer.status, answer.text], [404, missing]);
      assert.deepEqual([answer.header("content-type"), answer.header("x-own")], ["application/json", "kept"]);
    }
    gate.origin.requests.length = 0;
    const { plaintextKey: without } = await newKey(["orders:read"]);
    assert.deepEqual(code(await get(without)), [403, "INSUFFICIENT_SCOPE"]);
    assert.deepEqual(code(await get(plaintextKey, `${id}/lines`)), [404, "NO_ROUTE"], "the parameter is one segment");
    assert.equal(gate.origin.requests.length, 0);
  });

  it("KB-9 a body of 5 MiB for products:write arrives byte for byte", async () => {
    const body = randomBytes(5 * 1024 * 1024);
    const bulk = (key, sent) => send(key, "POST", "/api/v1/products/bulk", { body: sent });
    const { plaintextKey } = await newKey(["products:write"]);
    async function* chunks() {
      for (let at = 0; at < body.length; at += 65_521) yield body.subarray(at, at + 65_521);
    }
    for (const sent of [body, chunks()]) {
      gate.origin.reset();
      assert.equal((await bulk(plaintextKey, sent)).status, 200);
      assert.equal(gate.origin.last.body.length, body.length);
      assert.equal(gate.origin.last.bodySha256, createHash("sha256").update(body).digest("hex"));
    }
    gate.origin.reset();
    const { plaintextKey: reader } = await newKey(["products:read"]);
    assert.deepEqual(code(await bulk(reader, "{}")), [403, "INSUFFICIENT_SCOPE"]);
    assert.equal(gate.origin.requests.length, 0);
  });
});
