// BD: a tenant's REST API with scoped Bearer keys (examples/bd/keyward.toml), row by row.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { bearer } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";
import { heading, show, signedIn } from "./page.mjs";
import { ask, newMember, newTenant, PASSWORD, startSystems } from "./systems.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Credentials } from "../../types/admin-api.js" */
/** @import { Gate } from "./harness/gate.mjs" */
/** @import { Isolate } from "./harness/isolate.mjs" */
/** @import { RequestToSend } from "../../types/e2e.js" */

const HOST = "app.bd.example";
const TARGET = "/api/inventory/channel-location?locationId=loc_123&page=1&limit=50";

/** @type {Gate} */
let gate;
/** @type {Admin} */
let operator;
/** @type {Admin} */
let owner;
/** @type {Credentials} */
let person;
let other;
before(async () => {
  ({ gate, operator } = await startSystems({ isolates: 2 }));
  ({ owner, person } = await newTenant(gate, operator, { name: "Better", code: "ABC123" }));
  ({ owner: other } = await newTenant(gate, operator, { name: "Other", code: "XYZ789" }));
});
after(() => gate.stop());
beforeEach(() => gate.origin.reset());

const create = (admin, fields = {}) =>
  admin.must("POST", "/api-keys", { name: "A key", scopes: ["inventory:read"], ...fields });
/**
 * @param {string | undefined} key
 * @param {RequestToSend & { isolate?: Isolate }} request
 */
const use = (key, { target = TARGET, host = HOST, headers = {}, ...request } = {}) =>
  ask(gate, host, target, { headers: { ...(key && bearer(key)), ...headers }, ...request });
const as = (key) => Object.assign(gate.admin(), { token: key });
const codeOf = (answer) => (answer.status === 200 ? 200 : answer.json().code);
const outcome = (answer) => [answer.status, answer.json().code];
/** Lets the realm's freshness pass: what was changed holds everywhere. */
const settle = () => gate.advance(5_000);
const time = (ms) => new Date(ms).toISOString();

describe("BD", () => {
  it("BD-1 a key carries its tenant's code; the list shows its beginning and its end, and nothing ever the key", async () => {
    const { apiKey, plaintextKey } = await create(owner);
    assert.match(plaintextKey, /^bdk_live_ABC123_[0-9A-Za-z]{36}$/);
    const { apiKeys } = await owner.must("GET", "/api-keys");
    const listed = apiKeys.find(({ id }) => id === apiKey.id);
    for (const shown of [apiKey, listed, await owner.get(apiKey.id)]) {
      assert.deepEqual([shown.keyPrefix, shown.last4], ["bdk_live_ABC123", plaintextKey.slice(-4)]);
      assert.ok(!JSON.stringify(shown).includes(plaintextKey.slice(-36, -4)));
    }
    assert.deepEqual(gate.grep(plaintextKey), [], "only its hash is stored");
  });

  describe("BD-2 POST /api/admin/api-keys", () => {
    const post = (/** @type {object} */ body, /** @type {Record<string, string>} */ headers = bearer(owner.token)) =>
      ask(gate, HOST, "/api/admin/api-keys", {
        method: "POST",
        headers: { "Content-Type": "application/json", ...headers },
        body: JSON.stringify(body),
      });

    it("BD-2 answers a session's token with the key and its text", async () => {
      const answer = await post({ name: "Production API Key", scopes: ["inventory:read", "forecast:read"] });
      assert.equal(answer.status, 201);
      const { apiKey, plaintextKey } = answer.json();
      const { id, name, keyPrefix, last4, scopes, status, createdAt } = apiKey;
      assert.deepEqual(
        [name, keyPrefix, last4, scopes, status],
        [
          "Production API Key",
          "bdk_live_ABC123",
          plaintextKey.slice(-4),
          ["inventory:read", "forecast:read"],
          "ACTIVE",
        ],
      );
      assert.match(id, /^key_/);
      assert.match(createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
      assert.equal((await use(plaintextKey)).status, 200);
    });

    it("BD-2 names the field that is missing, and lets nobody in without a token", async () => {
      for (const [body, missing] of [
        [{ scopes: ["inventory:read"] }, ["name"]],
        [{ name: "No scopes" }, ["scopes"]],
        [{ name: "No scopes", scopes: [] }, ["scopes"]],
        [{}, ["name", "scopes"]],
      ]) {
        const answer = await post(body);
        assert.equal(answer.status, 400);
        assert.deepEqual(
          answer.json().errors.map(({ field }) => field),
          missing,
          JSON.stringify(body),
        );
      }
      assert.equal((await post({ name: "n", scopes: ["inventory:read"] }, {})).status, 401);
      assert.equal((await post({ name: "n", scopes: ["inventory:read"] }, bearer(`${owner.token}x`))).status, 401);
    });
  });

  it("BD-3 keys are listed, changed and revoked", async () => {
    const { apiKey, plaintextKey } = await create(owner, { scopes: ["reports:read"] });
    const { apiKeys } = await owner.must("GET", "/api-keys");
    assert.deepEqual(apiKeys[0], apiKey, "the newest first");
    assert.equal(codeOf(await use(plaintextKey)), "INSUFFICIENT_SCOPE");
    const changes = { name: "Updated Name", scopes: ["inventory:read", "inventory:write"] };
    const changed = (await owner.patch(apiKey.id, changes)).apiKey;
    assert.deepEqual([changed.name, changed.scopes], [changes.name, changes.scopes]);
    await settle();
    assert.equal(codeOf(await use(plaintextKey)), 200);
    const revoked = await owner.must("POST", `/api-keys/${apiKey.id}/revoke`);
    assert.equal(revoked.apiKey.status, "REVOKED");
    await settle();
    assert.equal(codeOf(await use(plaintextKey)), "REVOKED_API_KEY");
  });

  it("BD-3 a rotated key works on, unless revokeOld is true", async () => {
    const first = await create(owner, { name: "Rotating" });
    const second = await owner.must("POST", `/api-keys/${first.apiKey.id}/rotate`);
    assert.deepEqual([second.apiKey.name, second.apiKey.scopes], ["Rotating", ["inventory:read"]]);
    assert.match(second.plaintextKey, /^bdk_live_ABC123_/);
    await settle();
    for (const { plaintextKey } of [first, second]) assert.equal(codeOf(await use(plaintextKey)), 200);
    const third = await owner.rotate(second.apiKey.id, { revokeOld: true });
    assert.equal(third.previous.status, "REVOKED");
    await settle();
    const answers = await Promise.all([first, second, third].map(({ plaintextKey }) => use(plaintextKey)));
    assert.deepEqual(answers.map(codeOf), [200, "REVOKED_API_KEY", 200]);
  });

  describe("BD-4 scopes", () => {
    const areas = ["inventory", "forecast", "planning", "procurement", "shipping"];
    const scopes = [
      ...areas.flatMap((area) => [`${area}:read`, `${area}:write`]),
      "reports:read",
      "admin:read",
      "admin:write",
    ];
    const wildcards = [...areas, "reports", "admin"].map((area) => `${area}:*`).concat("*");

    /** Whether a key passes where `required` is asked for. */
    async function passes(key, required) {
      const [area, action] = required.split(":");
      if (area !== "admin") {
        const answer = await use(key, { method: action === "read" ? "GET" : "POST", target: `/api/${area}/x` });
        if (answer.status !== 200) assert.deepEqual(outcome(answer), [403, "INSUFFICIENT_SCOPE"]);
        return answer.status === 200;
      }
      // An empty body is refused for what it lacks, once the key may send one at all.
      const answer = await as(key).call(
        action === "read" ? "GET" : "POST",
        "/api-keys",
        action === "read" ? undefined : {},
      );
      if (![200, 400].includes(answer.status)) assert.deepEqual(outcome(answer), [403, "FORBIDDEN"]);
      return answer.status !== 403;
    }

    it("BD-4 every scope and wildcard opens exactly what it names", async () => {
      const rows = await Promise.all(
        [...scopes, ...wildcards].map(async (held) => {
          const { plaintextKey } = await create(owner, { scopes: [held] });
          const opens = [];
          for (const required of scopes) if (await passes(plaintextKey, required)) opens.push(required);
          return [held, opens];
        }),
      );
      const named = (held) =>
        scopes.filter((scope) => held === "*" || held === scope || held === `${scope.split(":")[0]}:*`);
      // Whoever may change keys may read them.
      const expected = (held) => (held === "admin:write" ? ["admin:read", "admin:write"] : named(held));
      assert.deepEqual(
        Object.fromEntries(rows),
        Object.fromEntries([...scopes, ...wildcards].map((held) => [held, expected(held)])),
      );
    });

    it("BD-4 what covers admin scopes is granted by a tenant's admin only", async () => {
      await owner.stepUp(PASSWORD);
      const admin = await newMember(gate, owner, "admin@better.example", "admin");
      const viewer = await newMember(gate, owner, "viewer@better.example", "viewer");
      const { plaintextKey } = await create(admin, { scopes: ["admin:*"] });
      for (const scope of ["admin:read", "admin:write", "admin:*", "*"]) {
        await create(admin, { scopes: [scope] });
        await as(plaintextKey).invalid(["scopes[0]"], "POST", "/api-keys", { name: "More", scopes: [scope] });
        await viewer.refused([403, "FORBIDDEN"], "POST", "/api-keys", { name: "More", scopes: [scope] });
      }
      for (const scope of ["inventory:delete", "billing:*", "inventory:re*", "**"]) {
        await admin.invalid(["scopes[0]"], "POST", "/api-keys", { name: "Nonsense", scopes: [scope] });
      }
    });

    it("BD-4 a key that holds admin:write uses the admin API", async () => {
      const manager = as((await create(owner, { scopes: ["admin:write"] })).plaintextKey);
      const { apiKey, plaintextKey } = await create(manager, { scopes: ["inventory:*"] });
      assert.equal(apiKey.createdBy.type, "apiKey");
      assert.equal(codeOf(await use(plaintextKey)), 200);
      await manager.patch(apiKey.id, { name: "Changed" });
      const next = await manager.rotate(apiKey.id, { revokeOld: true });
      await manager.revoke(next.apiKey.id);
      await settle();
      assert.equal(codeOf(await use(next.plaintextKey)), "REVOKED_API_KEY");
    });
  });

  for (const [realm, host, spelling] of [
    ["bd", HOST, "IP_RESTRICTED"],
    ["bd-other-spelling", "other.bd.example", "IP_RESTRICTION"],
  ]) {
    it(`BD-5 every code is provoked, with ${spelling} for an address`, async () => {
      const { tenant, owner: third } = await newTenant(gate, operator, { name: `Third ${realm}` });
      const newKey = (fields) => create(third, { realm, ...fields });
      const refused = async (key, status, code, request = {}) => {
        const answer = await use(key, { host, ...request });
        assert.deepEqual(outcome(answer), [status, code]);
        assert.equal(answer.header("cache-control"), "no-store");
        return answer.header("www-authenticate");
      };

      const good = await newKey();
      assert.equal((await use(good.plaintextKey, { host })).status, 200);
      gate.origin.reset();
      assert.match(await refused(undefined, 401, "MISSING_AUTHORIZATION"), /^Bearer realm="[^"]+"$/);
      for (const wrong of [
        "nonsense",
        `${good.plaintextKey}x`,
        good.plaintextKey.slice(0, -1),
        good.plaintextKey.toLowerCase(),
      ]) {
        assert.match(await refused(wrong, 401, "INVALID_API_KEY"), /error="invalid_token"/);
      }
      const revoked = await newKey();
      await third.revoke(revoked.apiKey.id);
      assert.match(await refused(revoked.plaintextKey, 401, "REVOKED_API_KEY"), /error="invalid_token"/);
      const expired = await newKey({ expiresAt: time(gate.now() + 60_000) });
      await gate.advance(60_000);
      assert.match(await refused(expired.plaintextKey, 401, "EXPIRED_API_KEY"), /error="invalid_token"/);
      const bound = await newKey({ allowedIps: ["198.51.100.0/24", "2001:db8::/32"] });
      await refused(bound.plaintextKey, 403, spelling);
      const challenge = await refused(good.plaintextKey, 403, "INSUFFICIENT_SCOPE", { target: "/api/reports/x" });
      assert.match(challenge, /error="insufficient_scope", scope="reports:read"/);
      await operator.stepUp();
      await operator.must("PATCH", `/tenants/${tenant.id}`, { status: "INACTIVE" });
      await settle();
      await refused(good.plaintextKey, 403, "INACTIVE_ORGANIZATION");
      assert.equal(gate.origin.requests.length, 0, "none of it reached the origin");
      await operator.must("PATCH", `/tenants/${tenant.id}`, { status: "ACTIVE" });
      await settle();
      for (const address of ["198.51.100.7", "2001:db8::1"]) {
        assert.equal(
          (await use(bound.plaintextKey, { host, headers: { "CF-Connecting-IP": address } })).status,
          200,
          address,
        );
      }
    });
  }

  it("BD-6 the inventory needs inventory:read, and the origin gets the query byte for byte", async () => {
    const { plaintextKey } = await create(owner);
    const { plaintextKey: without } = await create(owner, { scopes: ["forecast:read", "inventory:write"] });
    for (const query of [
      "locationId=loc_123&page=1&limit=50",
      "q=a+b%20c&q=%C3%BC&%2F=%2f&empty=&&x",
      "locationId=loc_123'();:@!*,[]~|",
    ]) {
      assert.equal(
        (await use(plaintextKey, { target: `/api/inventory/channel-location?${query}` })).status,
        200,
        query,
      );
      assert.equal(gate.origin.last.url, `/api/inventory/channel-location?${query}`);
    }
    assert.equal(gate.origin.last.headers.authorization, undefined);
    gate.origin.reset();
    assert.deepEqual(outcome(await use(without)), [403, "INSUFFICIENT_SCOPE"]);
    assert.deepEqual(outcome(await use(undefined)), [401, "MISSING_AUTHORIZATION"]);
    assert.equal(gate.origin.requests.length, 0);
  });

  it("BD-7 the page at /admin/api creates a key, and shows it once, to be copied", async () => {
    await signedIn(gate, "/keys", { person }, async (page, context) => {
      await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: gate.url });
      assert.equal(new URL(page.url()).pathname, "/admin/api/");
      await page.getByRole("link", { name: "Create key" }).click();
      await heading(page, "Create a key");
      await page.getByLabel("Name").fill("From the page");
      await page.getByLabel("inventory:read").check();
      await page.getByLabel("forecast:read").check();
      await page.getByRole("button", { name: "Create key" }).click();
      const key = await page.getByTestId("new-key").innerText();
      assert.match(key, /^bdk_live_ABC123_[0-9A-Za-z]{36}$/);
      await page.getByText("It is shown only once").waitFor();
      await page.getByTestId("copy-key").click();
      await page.getByRole("button", { name: "Copied" }).waitFor();
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), key);
      assert.equal(codeOf(await use(key)), 200);

      await page.getByRole("button", { name: "I have saved it" }).click();
      await heading(page, "From the page");
      const secret = key.slice("bdk_live_ABC123_".length, -4);
      const gone = async () => assert.ok(!(await page.content()).includes(secret));
      await gone();
      await page.reload();
      await heading(page, "From the page");
      await gone();
      await page.goBack();
      await gone();
      await show(page, gate, "/keys");
      const row = page.getByTestId("key-row").filter({ hasText: "From the page" });
      assert.match(await row.innerText(), /bdk_live_ABC123/);
      await gone();
    });
  });

  it("BD-8 a key is its tenant's own, and its realm's", async () => {
    const [mine, theirs] = [await create(owner), await create(other)];
    await use(mine.plaintextKey, { headers: { "Keyward-Tenant": theirs.apiKey.tenantId } });
    assert.deepEqual(gate.origin.last.headers["keyward-tenant"], [mine.apiKey.tenantId]);
    assert.deepEqual(outcome(await use(mine.plaintextKey.replace("ABC123", "XYZ789"))), [401, "INVALID_API_KEY"]);
    assert.deepEqual(outcome(await use(mine.plaintextKey, { host: "other.bd.example" })), [401, "INVALID_API_KEY"]);
    const byKey = as((await create(other, { scopes: ["admin:write"] })).plaintextKey);
    for (const stranger of [other, byKey]) {
      const { apiKeys } = await stranger.must("GET", "/api-keys?limit=100");
      assert.deepEqual([...new Set(apiKeys.map(({ tenantId }) => tenantId))], [theirs.apiKey.tenantId]);
      for (const [method, path, body] of [
        ["GET", ""],
        ["PATCH", "", { name: "Mine" }],
        ["POST", "/revoke"],
        ["POST", "/rotate"],
        ["GET", "/usage"],
      ]) {
        await stranger.refused([404, "NOT_FOUND"], method, `/api-keys/${mine.apiKey.id}${path}`, body);
      }
    }
    assert.equal(codeOf(await use(mine.plaintextKey)), 200);
  });

  it("BD-9 a temporary key ends at its second", async () => {
    const end = Math.floor(gate.now() / 1000) * 1000 + 60_000;
    const { apiKey, plaintextKey } = await create(owner, { expiresAt: time(end) });
    assert.equal(Date.parse(apiKey.expiresAt), end);
    assert.equal(codeOf(await use(plaintextKey)), 200);
    await gate.advance(end - gate.now() - 1_000);
    let isolate = 0;
    await waitFor("its end", async () => {
      const before = gate.now();
      const answer = codeOf(await use(plaintextKey, { isolate: gate.isolates[isolate++ % 2] }));
      if (gate.now() < end) assert.equal(answer, 200);
      if (before >= end) assert.equal(answer, "EXPIRED_API_KEY");
      return before >= end;
    });
    assert.equal((await owner.get(apiKey.id)).status, "EXPIRED");
  });

  it("BD-9 each key has a log of its use: accepted and refused, by the hour", async () => {
    const { apiKey, plaintextKey } = await create(owner);
    await create(owner); // whose log stays empty
    const sum = (points) =>
      points.reduce(
        ([accepted, refused], point) => [accepted + point.accepted, refused + (point.refused.INSUFFICIENT_SCOPE ?? 0)],
        [0, 0],
      );
    const log = async () => (await owner.must("GET", `/api-keys/${apiKey.id}/usage`)).points;
    for (let i = 0; i < 3; i++) await use(plaintextKey);
    await use(plaintextKey, { method: "POST" });
    await waitFor(
      "the first report",
      async () => {
        await gate.advance(60_000); // reports gather for some minutes
        assert.deepEqual(sum(await log()), [3, 1]);
        return true;
      },
      { everyMs: 250 },
    );
    await gate.advance(3_600_000);
    const later = gate.now() - (gate.now() % 3_600_000);
    for (let i = 0; i < 5; i++) await use(plaintextKey);
    await waitFor(
      "the second report",
      async () => {
        await gate.advance(60_000); // reports gather for some minutes
        assert.deepEqual(sum(await log()), [8, 1]);
        return true;
      },
      { everyMs: 250 },
    );
    const points = await log();
    assert.deepEqual(sum(points.filter(({ time }) => Date.parse(time) < later)), [3, 1]);
    for (const [index, { time: at }] of points.slice(1).entries()) {
      assert.equal(Date.parse(at) - Date.parse(points[index].time), 3_600_000);
    }
    const {
      apiKeys: [unused],
    } = await owner.must("GET", "/api-keys");
    assert.deepEqual(sum((await owner.must("GET", `/api-keys/${unused.id}/usage`)).points), [0, 0]);
    await owner.invalid(["from"], "GET", `/api-keys/${apiKey.id}/usage?from=yesterday`);
  });

  it("BD-9 keys that were not used for some days are found, to be revoked", async () => {
    const used = await create(owner, { name: "Used" });
    const unused = await create(owner, { name: "Unused" });
    const unusedFor = async (days) => {
      const { apiKeys } = await owner.must("GET", `/api-keys?limit=100&unusedDays=${days}`);
      return apiKeys.map(({ id }) => id).filter((id) => [used, unused].some(({ apiKey }) => apiKey.id === id));
    };
    assert.deepEqual(await unusedFor(1), []);
    await gate.advance(30 * 86_400_000);
    await owner.signIn(person);
    await use(used.plaintextKey);
    await waitFor("its last use", async () => (await owner.get(used.apiKey.id)).lastUsedAt);
    assert.deepEqual(await unusedFor(30), [unused.apiKey.id]);
    assert.deepEqual(await unusedFor(31), []);
    await owner.revoke(unused.apiKey.id, "not used for 30 days");
    await settle();
    assert.equal(codeOf(await use(unused.plaintextKey)), "REVOKED_API_KEY");
    assert.equal(codeOf(await use(used.plaintextKey)), 200);
  });
});
