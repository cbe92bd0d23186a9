// BP: a point-of-sale developer API, a host for each store (examples/bp/keyward.toml), row by row.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Credentials } from "../../types/admin-api.js" */
/** @import { Gate } from "./harness/gate.mjs" */
/** @import { Isolate } from "./harness/isolate.mjs" */
import { limits } from "./harness/limits.mjs";
import { heading, signedIn } from "./page.mjs";
import { ask, newTenant, startSystems } from "./systems.mjs";

/** @import { RequestToSend } from "../../types/e2e.js" */

const PRODUCTS = "/api/v1/products";
const HOST = "corner.bp.example";
const HARBOUR = "harbour.bp.example";
const READ = ["products", "customers", "sales", "inventory", "loyalty", "gift_cards", "store_credits"];
const WRITE = ["products", "customers", "inventory"];

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
/** @type {Credentials} */
let person;
let harbour;
before(async () => {
  /** @type {Admin} */
  let operator;
  ({ gate, operator } = await startSystems({ isolates: 3 }));
  ({ owner, person } = await newTenant(gate, operator, { name: "Corner", code: "corner" }));
  ({ owner: harbour } = await newTenant(gate, operator, { name: "Harbour", code: "harbour" }));
});
after(() => gate.stop());
beforeEach(() => gate.origin.reset());

const create = (admin, fields = {}) =>
  admin.must("POST", "/api-keys", { realm: "bp", name: "A key", scopes: ["products:read"], ...fields });
/**
 * @param {string | undefined} key
 * @param {RequestToSend & { isolate?: Isolate }} request
 */
const use = (key, { target = PRODUCTS, host = HOST, headers = {}, ...request } = {}) =>
  ask(gate, host, target, { headers: { ...(key && { "X-API-Key": key }), ...headers }, ...request });
const codeOf = (answer) => (answer.status === 200 ? 200 : answer.json().code);
const outcome = (answer) => [answer.status, answer.json().code];
const everywhere = (key) => Promise.all(gate.isolates.map(async (isolate) => codeOf(await use(key, { isolate }))));
const all = (result) => gate.isolates.map(() => result);

describe("BP", () => {
  it("BP-1 a key is one store's: on another store's host it is unknown", async () => {
    const [corner, other] = [await create(owner), await create(harbour)];
    for (const { plaintextKey } of [corner, other]) assert.match(plaintextKey, /^bpos_[0-9A-Za-z]{36}$/);
    for (const isolate of gate.isolates) {
      for (const [key, host, expected] of [
        [corner, HOST, 200],
        [corner, HARBOUR, "INVALID_API_KEY"],
        [other, HARBOUR, 200],
        [other, HOST, "INVALID_API_KEY"],
        [corner, "CORNER.bp.example:443", 200],
        [corner, "nobody.bp.example", "INVALID_API_KEY"],
      ]) {
        assert.equal(codeOf(await use(key.plaintextKey, { host, isolate })), expected, host);
      }
    }
    gate.origin.reset();
    assert.deepEqual(outcome(await use(corner.plaintextKey, { host: "bp.example" })), [404, "NO_REALM"]);
    assert.deepEqual(outcome(await use(undefined, { headers: { Authorization: `Bearer ${corner.plaintextKey}` } })), [
      401,
      "MISSING_AUTHORIZATION",
    ]);
    assert.equal(gate.origin.requests.length, 0);
  });

  describe("BP-2 the fields of a key", () => {
    it("BP-2 60 requests a minute if nothing is said, and at most 1,000", async () => {
      const { apiKey } = await create(owner);
      assert.deepEqual(
        [apiKey.rateLimit, apiKey.effectiveRateLimit, apiKey.expiresAt, apiKey.testMode],
        [limits(), limits({ perMinute: 60 }), null, false],
      );
      const rateLimit = (perMinute) => ({
        realm: "bp",
        name: "Fast",
        scopes: ["products:read"],
        rateLimit: { perMinute },
      });
      for (const wrong of [1_001, 0, -1, 1.5, "60"]) {
        await owner.invalid(["rateLimit.perMinute"], "POST", "/api-keys", rateLimit(wrong));
        await owner.invalid(["rateLimit.perMinute"], "PATCH", `/api-keys/${apiKey.id}`, {
          rateLimit: { perMinute: wrong },
        });
      }
      const fast = await create(owner, rateLimit(1_000));
      assert.equal(fast.apiKey.effectiveRateLimit.perMinute, 1_000);
      const answer = await use(fast.plaintextKey);
      assert.match(answer.header("ratelimit-policy"), /q=1000;w=60/);
    });

    it("BP-2 each can be set, and changed", async () => {
      const first = {
        name: "Website Sync",
        scopes: ["products:read", "sales:read"],
        rateLimit: limits({ perMinute: 30 }),
        expiresAt: "2040-01-01T00:00:00.000Z",
        testMode: true,
      };
      const second = {
        name: "BI Dashboard",
        scopes: ["customers:write"],
        rateLimit: limits({ perMinute: 1_000 }),
        expiresAt: "2041-06-01T12:00:00.000Z",
        testMode: false,
      };
      const { apiKey, plaintextKey } = await create(owner, first);
      const settings = async () => {
        const { name, scopes, rateLimit, expiresAt, testMode } = await owner.get(apiKey.id);
        return { name, scopes, rateLimit, expiresAt, testMode };
      };
      assert.deepEqual(await settings(), first);
      assert.deepEqual(outcome(await use(plaintextKey, { method: "POST" })), [403, "TEST_MODE"]);
      for (const [field, value] of Object.entries(second)) {
        await owner.patch(apiKey.id, { [field]: value });
        assert.deepEqual((await settings())[field], value);
      }
      assert.deepEqual(await settings(), second);
      // What was changed counts for the very next request.
      assert.equal(codeOf(await use(plaintextKey, { method: "POST", target: "/api/v1/customers" })), 200);
      assert.equal(codeOf(await use(plaintextKey)), "INSUFFICIENT_SCOPE");
      await owner.patch(apiKey.id, { expiresAt: null });
      assert.equal((await settings()).expiresAt, null);
    });
  });

  it("BP-3 in test mode a key reads, and every write is blocked whatever its scopes", async () => {
    const { plaintextKey: test } = await create(owner, { scopes: ["*"], testMode: true });
    const { plaintextKey: live } = await create(owner, { scopes: ["*"] });
    const request = (method) => ({ method, target: "/api/v1/webhooks/1" });
    for (const method of ["GET", "HEAD"]) assert.equal((await use(test, request(method))).status, 200, method);
    assert.deepEqual(gate.origin.last.headers["keyward-mode"], ["test"]);
    gate.origin.reset();
    for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
      assert.deepEqual(outcome(await use(test, request(method))), [403, "TEST_MODE"], method);
    }
    assert.deepEqual(outcome(await use(test, { method: "POST" })), [403, "TEST_MODE"]);
    assert.equal(gate.origin.requests.length, 0);
    for (const method of ["POST", "PUT", "PATCH", "DELETE"])
      assert.equal((await use(live, request(method))).status, 200, method);
  });

  it("BP-4 a key in the URL is refused even if it is valid, and goes nowhere", async () => {
    const { plaintextKey } = await create(owner);
    const encoded = [...Buffer.from(plaintextKey)].map((byte) => `%${byte.toString(16)}`).join("");
    for (const target of [
      `${PRODUCTS}?api_key=${plaintextKey}`,
      `${PRODUCTS}?X-API-KEY=${plaintextKey}`,
      `${PRODUCTS}?page=1&anything=${plaintextKey}`,
      `${PRODUCTS}?q=${encoded}`,
      `${PRODUCTS}/${plaintextKey}`,
      `${PRODUCTS}?key=of-some-other-form`,
    ]) {
      for (const key of [undefined, plaintextKey]) {
        const answer = await use(key, { target });
        assert.deepEqual(outcome(answer), [400, "KEY_IN_URL"], target);
        assert.match(answer.json().detail, /URL/);
        assert.match(answer.json().detail, /header/);
        assert.ok(!answer.text.includes(plaintextKey));
      }
    }
    assert.equal(gate.origin.requests.length, 0);
    await gate.logged("KEY_IN_URL");
    await gate.allLogged();
    assert.ok(!gate.logs.some(({ message }) => message.includes(plaintextKey) || message.includes(encoded)));
    assert.deepEqual(gate.grep(plaintextKey), []);
    assert.equal(codeOf(await use(plaintextKey)), 200);
  });

  it("BP-5 a write scope includes the read scope of its area, and nothing else", async () => {
    const path = (area) => `/api/v1/${area.replace("_", "-")}`;
    const routes = [
      ...READ.map((area) => [`${area}:read`, "GET", path(area)]),
      ...WRITE.map((area) => [`${area}:write`, "POST", path(area)]),
      ["webhooks:manage", "GET", "/api/v1/webhooks"],
      ["webhooks:manage", "POST", "/api/v1/webhooks"],
    ];
    const names = [...new Set(routes.map(([scope]) => scope))];
    const rows = await Promise.all(
      names.map(async (held) => {
        const { plaintextKey } = await create(owner, { scopes: [held] });
        const opens = new Set();
        for (const [scope, method, target] of routes) {
          const answer = await use(plaintextKey, { method, target });
          if (answer.status === 200) opens.add(scope);
          else assert.deepEqual(outcome(answer), [403, "INSUFFICIENT_SCOPE"]);
        }
        return [held, [...opens]];
      }),
    );
    const expected = (held) => (held.endsWith(":write") ? [held.replace(":write", ":read"), held] : [held]);
    assert.deepEqual(Object.fromEntries(rows), Object.fromEntries(names.map((held) => [held, expected(held)])));
  });

  it("BP-6 a revoked key is refused from the very next request on, in every isolate", async () => {
    for (let round = 0; round < 10; round++) {
      const { apiKey, plaintextKey } = await create(owner);
      assert.deepEqual(await everywhere(plaintextKey), all(200), `round ${round}`);
      gate.origin.reset();
      const { refusedEverywhereBy } = await owner.revoke(apiKey.id);
      assert.ok(Date.parse(refusedEverywhereBy) <= gate.now(), "by now");
      assert.deepEqual(await everywhere(plaintextKey), all("REVOKED_API_KEY"), `round ${round}`);
      assert.equal((await use(plaintextKey)).status, 401);
      assert.equal(gate.origin.requests.length, 0);
    }
  });

  it("BP-7 401, 403, and 429 until exactly as many seconds have passed as Retry-After says", async (t) => {
    await gate.stopClock(t);
    const { plaintextKey } = await create(owner);
    assert.equal((await use(undefined)).status, 401);
    assert.equal((await use(`${plaintextKey}x`)).status, 401);
    assert.equal((await use(plaintextKey, { target: "/api/v1/sales" })).status, 403);
    // None of these refusals was counted.
    for (let i = 0; i < 60; i++) assert.equal(codeOf(await use(plaintextKey)), 200, `request ${i + 1}`);
    const limited = async () => {
      const answer = await use(plaintextKey, { isolate: gate.isolates[1] });
      assert.deepEqual(outcome(answer), [429, "RATE_LIMITED"]);
      assert.match(answer.header("retry-after"), /^[1-9]\d?$/);
      return Number(answer.header("retry-after"));
    };
    const seconds = await limited();
    await gate.advance(20_000);
    assert.ok((await limited()) < seconds);
    await gate.advance((await limited()) * 1_000);
    assert.equal(codeOf(await use(plaintextKey)), 200);
    assert.equal(gate.origin.requests.length, 61);
  });

  it("BP-8 on the page: click the key's name, then Revoke key", async () => {
    const { plaintextKey } = await create(owner, { name: "Till 4" });
    assert.equal(codeOf(await use(plaintextKey)), 200);
    await signedIn(gate, "/keys", { person }, async (page) => {
      await page.getByRole("link", { name: "Till 4" }).click();
      await heading(page, "Till 4");
      await page.getByRole("button", { name: "Revoke key" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Revoke key" }).click();
      await page
        .getByTestId("refused-by")
        .getByText(/Refused everywhere by \d\d:\d\d:\d\d/)
        .waitFor();
      assert.deepEqual(outcome(await use(plaintextKey)), [401, "REVOKED_API_KEY"]);
      await page.getByText("Revoked", { exact: true }).first().waitFor();
    });
  });
});
