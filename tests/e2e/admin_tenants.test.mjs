// Tenants and what keeps them apart; API keys that use the admin API; what the page learns of the
// policy; and the audit chain, checked here from its documented format alone (docs/storage.md).

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";

import { OWNER } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";

/** @import { Admin, Call } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */
import { limits } from "./harness/limits.mjs";

const PASSWORD = "another long passphrase 2";
const FRESHNESS = 5_000;

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
before(async () => {
  gate = await startGate();
  owner = await gate.owner();
});
after(() => gate.stop());

const use = (key, more = {}) =>
  gate.send({ target: "/api/orders", headers: { Authorization: `Bearer ${key}` }, ...more });

/** A new tenant and its owner, signed in and stepped up. */
async function tenantOf(name) {
  const person = { email: `${name}@example.com`, password: PASSWORD };
  const { tenant } = await owner.must("POST", "/tenants", { name, owner: person });
  const admin = await gate.admin().signIn(person);
  await admin.stepUp(PASSWORD);
  return { tenant, admin };
}

describe("tenants", () => {
  it("are made and listed by the operator, with limits that their keys inherit", async () => {
    const answer = await owner.call("POST", "/tenants", {
      name: "Bakery",
      plan: "pro",
      rateLimit: { perMinute: 3, perDay: 30 },
      owner: { email: "bakery@example.com", password: PASSWORD },
    });
    assert.equal(answer.status, 201);
    const { tenant, owner: person, ...more } = answer.json();
    assert.deepEqual(more, {});
    const { id, code, createdAt, updatedAt, ...rest } = tenant;
    assert.match(code, /^[A-Z2-9]{6}$/);
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(createdAt, updatedAt);
    assert.deepEqual(rest, {
      name: "Bakery",
      status: "ACTIVE",
      plan: "pro",
      rateLimit: limits({ perMinute: 3, perDay: 30 }),
      pool: limits(),
      quotas: {},
      operator: false,
    });
    assert.deepEqual([person.email, person.role, person.tenantId], ["bakery@example.com", "owner", id]);
    const { tenants } = await owner.must("GET", "/tenants");
    assert.equal(tenants[0].operator, true);
    assert.deepEqual(tenants.at(-1), tenant);

    const bakery = await gate.admin().signIn({ email: "bakery@example.com", password: PASSWORD });
    const own = await bakery.createKey({ rateLimit: { perMinute: 5, perDay: null } });
    assert.deepEqual(own.apiKey.effectiveRateLimit, limits({ perMinute: 5, perDay: 30 }));
    const blank = await bakery.createKey();
    assert.deepEqual(blank.apiKey.effectiveRateLimit, limits({ perMinute: 3, perDay: 30 }));
    for (const expected of [200, 200, 200, 429]) assert.equal((await use(blank.plaintextKey)).status, expected);
    assert.equal(gate.origin.last.headers["keyward-plan"][0], "pro");
    assert.equal(gate.origin.last.headers["keyward-tenant"][0], id);
    await owner.refused([409, "CONFLICT"], "POST", "/tenants", {
      name: "Again",
      owner: { email: "bakery@example.com", password: PASSWORD },
    });
  });

  it("a change of terms reaches the keys that exist", async () => {
    const { tenant, admin } = await tenantOf("terms");
    const { plaintextKey, apiKey } = await admin.createKey();
    assert.equal((await use(plaintextKey)).status, 200);
    const { tenant: changed, effectiveEverywhereBy } = await owner.must("PATCH", `/tenants/${tenant.id}`, {
      plan: "enterprise",
      rateLimit: { perMinute: 2, perDay: null },
    });
    assert.deepEqual(
      [changed.plan, changed.rateLimit, changed.name],
      ["enterprise", limits({ perMinute: 2 }), "terms"],
    );
    await gate.until(effectiveEverywhereBy);
    assert.equal((await use(plaintextKey)).status, 200);
    assert.equal(gate.origin.last.headers["keyward-plan"][0], "enterprise");
    assert.equal((await use(plaintextKey)).status, 429);
    assert.deepEqual((await admin.get(apiKey.id)).effectiveRateLimit, limits({ perMinute: 2 }));
  });

  it("an inactive one is shut out of the gate and of the admin API, until it is active again", async () => {
    const { tenant, admin } = await tenantOf("asleep");
    const { plaintextKey } = await admin.createKey({ scopes: ["orders:read", "admin:read"] });
    await owner.must("PATCH", `/tenants/${tenant.id}`, { status: "INACTIVE" });
    await gate.advance(FRESHNESS);
    assert.equal((await use(plaintextKey)).json().code, "INACTIVE_ORGANIZATION");
    await admin.refused([403, "FORBIDDEN"], "GET", "/api-keys");
    await gate
      .admin()
      .refused([403, "FORBIDDEN"], "POST", "/session", { email: "asleep@example.com", password: PASSWORD });
    const byKey = gate.admin();
    byKey.token = plaintextKey;
    await byKey.refused([403, "INACTIVE_ORGANIZATION"], "GET", "/api-keys");
    await owner.must("PATCH", `/tenants/${tenant.id}`, { status: "ACTIVE" });
    await gate.advance(FRESHNESS);
    assert.equal((await use(plaintextKey)).status, 200);
    await admin.must("GET", "/api-keys");
  });

  it("the operator's own cannot shut itself out", async () => {
    const { member } = await owner.must("GET", "/session");
    await owner.invalid(["status"], "PATCH", `/tenants/${member.tenantId}`, { status: "INACTIVE" });
    await owner.refused([404, "NOT_FOUND"], "PATCH", "/tenants/00000000-0000-4000-8000-000000000000", { plan: "x" });
  });

  it("cannot see, change or end anything of another tenant: 404, and nothing changes", async () => {
    const [red, blue] = [await tenantOf("red"), await tenantOf("blue")];
    const { apiKey, plaintextKey } = await red.admin.createKey({ name: "Red's" });
    const before = await red.admin.must("GET", "/audit");
    for (const stranger of [blue.admin, owner]) {
      await stranger.refused([404, "NOT_FOUND"], "GET", `/api-keys/${apiKey.id}`);
      await stranger.refused([404, "NOT_FOUND"], "PATCH", `/api-keys/${apiKey.id}`, { name: "Mine" });
      await stranger.refused([404, "NOT_FOUND"], "POST", `/api-keys/${apiKey.id}/revoke`, {});
      await stranger.refused([404, "NOT_FOUND"], "POST", `/api-keys/${apiKey.id}/rotate`, {});
      assert.ok(!(await stranger.call("GET", "/api-keys?limit=100")).text.includes(apiKey.id));
      assert.deepEqual((await stranger.must("GET", `/api-keys?q=${apiKey.id}`)).apiKeys, []);
      assert.ok(!(await stranger.call("GET", "/audit?limit=100")).text.includes(apiKey.id));
    }
    await owner.createKey();
    await owner.createKey();
    const { nextCursor } = await owner.must("GET", "/api-keys?limit=1");
    await red.admin.invalid(["cursor"], "GET", `/api-keys?limit=1&cursor=${nextCursor}`);
    await owner.invalid(["cursor"], "GET", `/audit?cursor=${nextCursor}`);
    assert.deepEqual(await red.admin.get(apiKey.id), apiKey);
    assert.deepEqual(await red.admin.must("GET", "/audit"), before);
    assert.equal((await use(plaintextKey)).status, 200);
  });
});

describe("an API key at the admin API", () => {
  const as = (key) => Object.assign(gate.admin(), { token: key });

  it("admin:read reads, admin:write also writes, no other scope does either", async () => {
    const reader = as((await owner.createKey({ scopes: ["admin:read"] })).plaintextKey);
    const made = await owner.createKey({ scopes: ["admin:write"] });
    const writer = as(made.plaintextKey);
    const none = as((await owner.createKey({ scopes: ["orders:*"] })).plaintextKey);
    const all = as((await owner.createKey({ scopes: ["*"] })).plaintextKey);
    for (const admin of [reader, writer, all]) {
      for (const path of ["/api-keys", "/realms", "/audit", "/audit/verify", "/members", `/api-keys/${made.apiKey.id}`])
        await admin.must("GET", path);
    }
    const body = { name: "By key", scopes: ["orders:read"] };
    const refused = await reader.refused([403, "FORBIDDEN"], "POST", "/api-keys", body);
    assert.equal(
      refused.header("www-authenticate"),
      `Bearer realm="keyward-admin", error="insufficient_scope", scope="admin:write"`,
    );
    await none.refused([403, "FORBIDDEN"], "GET", "/api-keys");
    const { apiKey, plaintextKey } = await writer.must("POST", "/api-keys", body);
    assert.deepEqual(apiKey.createdBy, { type: "apiKey", id: made.apiKey.id, email: null });
    assert.equal((await use(plaintextKey)).status, 200);
    await writer.patch(apiKey.id, { name: "By key 2" });
    const next = await writer.rotate(apiKey.id, { revokeOld: true });
    await writer.revoke(next.apiKey.id);
    assert.deepEqual((await writer.must("GET", "/audit?limit=1")).entries[0].actor, {
      type: "apiKey",
      id: made.apiKey.id,
      email: null,
    });
  });

  it("cannot manage members, tenants or sessions, step up or set up", async () => {
    const writer = as((await owner.createKey({ scopes: ["*"] })).plaintextKey);
    const { member } = await owner.must("GET", "/session");
    for (const call of /** @type {Call[]} */ ([
      ["POST", "/members", { email: "x@example.com", role: "owner", password: PASSWORD }],
      ["PATCH", `/members/${member.id}`, { role: "viewer" }],
      ["DELETE", `/members/${member.id}`],
      ["GET", "/tenants"],
      ["POST", "/tenants", { name: "Mine" }],
      ["PATCH", `/tenants/${member.tenantId}`, { plan: "x" }],
      ["POST", "/session/step-up", { password: OWNER.password }],
      ["GET", "/session"],
      ["DELETE", "/session"],
    ]))
      await writer.refused([403, "FORBIDDEN"], ...call);
    await writer.refused([409, "ALREADY_SET_UP"], "POST", "/setup", {
      token: gate.secrets.KEYWARD_SETUP_TOKEN,
      ...OWNER,
    });
  });

  it("cannot give itself or another key more rights than it has", async () => {
    const made = await owner.createKey({ scopes: ["admin:write", "orders:read"] });
    const writer = as(made.plaintextKey);
    for (const scope of ["admin:read", "admin:write", "admin:*", "*"]) {
      await writer.invalid(["scopes[0]"], "POST", "/api-keys", { name: "More", scopes: [scope] });
    }
    for (const change of [{ scopes: ["*"] }, { allowedIps: [] }, { expiresAt: null }]) {
      await writer.refused([403, "FORBIDDEN"], "PATCH", `/api-keys/${made.apiKey.id}`, change);
    }
    const plain = (await writer.must("POST", "/api-keys", { name: "Plain", scopes: ["orders:read"] })).apiKey;
    await writer.invalid(["scopes[0]"], "PATCH", `/api-keys/${plain.id}`, { scopes: ["*"] });
    await writer.refused([403, "FORBIDDEN"], "POST", `/api-keys/${made.apiKey.id}/rotate`, {});
    assert.deepEqual((await owner.get(made.apiKey.id)).scopes, ["admin:write", "orders:read"]);
    const { realms } = await writer.must("GET", "/realms");
    assert.deepEqual(
      realms[0].scopes.filter(({ grantable }) => !grantable).map(({ name }) => name),
      ["admin:read", "admin:write"],
    );
  });

  it("is refused as at the gate when it is not valid, and counts against its limits", async () => {
    const made = await owner.createKey({ scopes: ["admin:read"], rateLimit: { perMinute: 2, perDay: null } });
    const reader = as(made.plaintextKey);
    await reader.must("GET", "/realms");
    await reader.must("GET", "/realms");
    const limited = await reader.refused([429, "RATE_LIMITED"], "GET", "/realms");
    assert.ok(Number(limited.header("retry-after")) >= 1);
    await owner.revoke(made.apiKey.id);
    await gate.advance(60_000);
    await reader.refused([401, "REVOKED_API_KEY"], "GET", "/realms");
    await as(made.plaintextKey.slice(0, -1)).refused([401, "INVALID_API_KEY"], "GET", "/realms");
    const elsewhere = await owner.createKey({ scopes: ["admin:read"], allowedIps: ["198.51.100.0/24"] });
    await as(elsewhere.plaintextKey).refused([403, "IP_RESTRICTED"], "GET", "/realms");
    const test = await owner.createKey({ scopes: ["admin:write"], testMode: true });
    await as(test.plaintextKey).must("GET", "/api-keys");
    await as(test.plaintextKey).refused([403, "TEST_MODE"], "POST", "/api-keys", {
      name: "By test",
      scopes: ["orders:read"],
    });
  });
});

describe("GET /realms", () => {
  it("shows the policy as far as the page needs it", async () => {
    assert.deepEqual(await owner.must("GET", "/realms"), {
      realms: [
        {
          id: "default",
          scopes: [
            { name: "orders:read", description: "Read orders", includes: [], grantable: true, grant: "anyone" },
            {
              name: "orders:write",
              description: "Create and change orders",
              includes: ["orders:read"],
              grantable: true,
              grant: "anyone",
            },
            { name: "admin:read", description: "Read the admin API", includes: [], grantable: true, grant: "admin" },
            {
              name: "admin:write",
              description: "Manage keys through the admin API",
              includes: ["admin:read"],
              grantable: true,
              grant: "admin",
            },
          ],
          limits: {
            default: limits({ perMinute: 600 }),
            maximum: limits({ perMinute: 100_000, perDay: 10_000_000 }),
            inherited: limits({ perMinute: 600 }),
            pool: limits(),
          },
          keyPrefixes: { live: "kw_live_", test: "kw_test_" },
          host: null,
          credential: { header: "authorization", scheme: "Bearer" },
          imported: null,
          publishable: true,
          stepUp: { create: false, rotate: false, revoke: false },
          ownerOnly: { create: false, rotate: false, revoke: false },
          rotation: "keep-old",
          link: null,
          freshnessSeconds: 5,
          maxKeyLifeSeconds: null,
          keysMustExpire: false,
        },
      ],
    });
  });
});

describe("the audit", () => {
  /** RFC 8785, for the values that an entry has. */
  function canonical(value) {
    if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
    if (value === null || typeof value !== "object") return JSON.stringify(value);
    const names = Object.keys(value).sort();
    return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
  }

  /** Every entry, oldest first, read page by page. */
  async function entriesOf(admin) {
    const all = [];
    let cursor = "";
    do {
      const { entries, nextCursor } = await admin.must("GET", `/audit?limit=7${cursor}`);
      all.push(...entries);
      cursor = nextCursor && `&cursor=${nextCursor}`;
    } while (cursor);
    return all.reverse();
  }

  it("has one entry for each change: who, what, from where, before and after", async () => {
    const { tenant, admin } = await tenantOf("audited");
    const { member } = await admin.must("GET", "/session");
    const { apiKey } = await admin.createKey({ name: "Before" });
    await admin.patch(apiKey.id, { name: "After", tags: ["x"] });
    await admin.patch(apiKey.id, { name: "After" }); // changes nothing
    await admin.refused([404, "NOT_FOUND"], "POST", "/api-keys/key_none/revoke", {});
    await admin.invalid(["name"], "PATCH", `/api-keys/${apiKey.id}`, { name: "" });
    const { apiKey: next } = await admin.rotate(apiKey.id, { revokeOld: true });
    await admin.revoke(next.id, "done");
    const { member: added } = await admin.must("POST", "/members", {
      email: "aud-viewer@example.com",
      role: "viewer",
      password: PASSWORD,
    });
    await admin.must("PATCH", `/members/${added.id}`, { role: "admin", password: `${PASSWORD}!` });
    await admin.must("DELETE", `/members/${added.id}`);
    await owner.must("PATCH", `/tenants/${tenant.id}`, { plan: "pro" });
    await gate.admin().refused([401, "INVALID_CREDENTIALS"], "POST", "/session", {
      email: "audited@example.com",
      password: "wrong wrong wrong",
    });
    await admin.must("DELETE", "/session");
    await admin.signIn({ email: "audited@example.com", password: PASSWORD });

    const entries = await entriesOf(admin);
    assert.deepEqual(
      entries.map(({ action, target }) => [action, target]),
      [
        ["tenant.create", tenant.id],
        ["member.create", member.id],
        ["session.create", member.id],
        ["session.stepUp", member.id],
        ["key.create", apiKey.id],
        ["key.edit", apiKey.id],
        ["key.create", next.id],
        ["key.rotate", apiKey.id],
        ["key.revoke", next.id],
        ["member.create", added.id],
        ["member.edit", added.id],
        ["member.delete", added.id],
        ["tenant.edit", tenant.id],
        ["session.refused", member.id],
        ["session.delete", member.id],
        ["session.create", member.id],
      ],
    );
    for (const entry of entries) {
      assert.deepEqual(Object.keys(entry).sort(), [
        "action",
        "actor",
        "address",
        "after",
        "before",
        "hash",
        "previousHash",
        "requestId",
        "seq",
        "target",
        "tenantId",
        "time",
      ]);
      assert.deepEqual([entry.tenantId, entry.address], [tenant.id, "192.0.2.1"]);
      assert.match(entry.requestId, /^[0-9a-f]{32}$/);
      assert.ok(Math.abs(Date.parse(entry.time) - gate.now()) < 60_000);
    }
    const of = (action) => entries.find((entry) => entry.action === action);
    assert.deepEqual(of("key.create").after, apiKey);
    assert.equal(of("key.create").before, null);
    const { before, after, actor } = of("key.edit");
    assert.deepEqual(actor, { type: "member", id: member.id, email: member.email });
    assert.deepEqual(
      [before.name, before.tags, before.version, after.name, after.tags, after.version],
      ["Before", [], 1, "After", ["x"], 2],
    );
    assert.deepEqual([of("key.rotate").after.status, of("key.rotate").after.rotatedTo], ["REVOKED", next.id]);
    assert.equal(of("key.revoke").after.revokeReason, "done");
    assert.deepEqual(of("member.edit").after, { role: "admin", passwordChanged: true });
    assert.deepEqual([of("tenant.edit").before.plan, of("tenant.edit").after.plan], [null, "pro"]);
    assert.equal(of("tenant.edit").actor.email, OWNER.email);
    assert.deepEqual(of("session.refused").actor, { type: "unknown", id: null, email: "audited@example.com" });
    const operators = (await owner.must("GET", "/audit?limit=100")).entries.filter(({ target }) =>
      [tenant.id, member.id].includes(target),
    );
    assert.deepEqual(
      operators.map(({ action }) => action),
      ["tenant.edit", "member.create", "tenant.create"],
    );
  });

  it("is a hash chain that anybody can recompute", async () => {
    const entries = await entriesOf(owner);
    assert.ok(entries.length > 20);
    let previous = "0".repeat(64);
    for (const [index, { hash, ...entry }] of entries.entries()) {
      assert.equal(entry.seq, index + 1);
      assert.equal(entry.previousHash, previous);
      previous = createHash("sha256").update(canonical(entry)).digest("hex");
      assert.equal(hash, previous, canonical(entry));
    }
    assert.deepEqual(await owner.must("GET", "/audit/verify"), {
      ok: true,
      entries: entries.length,
      total: entries.length,
      lastHash: previous,
    });
  });

  it("holds no secret", async () => {
    const { apiKey, plaintextKey } = await owner.createKey();
    await owner.rotate(apiKey.id);
    const text = JSON.stringify(await entriesOf(owner));
    const keyHash = createHash("sha256").update(plaintextKey).digest("hex");
    const tokenHash = createHash("sha256").update(owner.token).digest("hex");
    for (const secret of [
      plaintextKey.slice(8, -4),
      keyHash,
      owner.token,
      tokenHash,
      OWNER.password,
      PASSWORD,
      "wrong wrong wrong",
      gate.secrets.KEYWARD_SETUP_TOKEN,
      gate.secrets.KEYWARD_SECRET,
      "pbkdf2",
    ]) {
      assert.ok(!text.includes(secret), secret);
    }
  });
});
