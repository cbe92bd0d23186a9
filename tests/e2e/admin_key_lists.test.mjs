// The admin API's lists of keys: their order, pages and filters. The pages of other lists, too.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { bearer } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const DAY = 86_400_000;

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
before(async () => {
  gate = await startGate();
  owner = await gate.owner();
});
after(() => gate?.stop());

const use = (key) => gate.send({ target: "/api/orders", headers: bearer(key) });
const ids = ({ apiKeys }) => apiKeys.map(({ id }) => id);
const list = (query) => owner.must("GET", `/api-keys?${query}`);

describe("changing many keys at once", () => {
  it("says what it would do, does it to each, and each is refused by the promised time", async (t) => {
    await gate.stopClock(t);
    const keys = [];
    for (let i = 0; i < 3; i++) keys.push(await owner.createKey({ name: `Many ${i}`, tags: ["many"] }));
    const all = keys.map(({ apiKey }) => apiKey.id).reverse();
    const status = () => Promise.all(keys.map(async ({ plaintextKey }) => (await use(plaintextKey)).status));
    const revoke = { filter: { tag: "many" } };
    const foretold = await owner.must("POST", "/api-keys/bulk-revoke", { ...revoke, dryRun: true });
    assert.deepEqual(foretold, { count: 3, ids: all, skipped: [], total: 3, more: false, nextCursor: null });
    assert.deepEqual(await status(), [200, 200, 200]);
    const paused = await owner.must("POST", "/api-keys/bulk", { ids: [all[0], "key_none"], action: "pause" });
    assert.deepEqual([paused.ids, paused.skipped[0].id], [[all[0]], "key_none"]);
    await gate.until(paused.refusedEverywhereBy);
    assert.deepEqual(await status(), [200, 200, 401]);
    const { refusedEverywhereBy, ...revoked } = await owner.must("POST", "/api-keys/bulk-revoke", revoke);
    assert.deepEqual(revoked, foretold);
    await gate.until(refusedEverywhereBy);
    assert.deepEqual(await status(), [401, 401, 401]);
    assert.equal((await owner.must("POST", "/api-keys/bulk-revoke", revoke)).count, 0);
  });
});

describe("what keys are about", () => {
  it("a key that used up its limit is counted as near it, and its usage is shown with that of others", async () => {
    const busy = await owner.createKey({ name: "Busy", rateLimit: { perMinute: 3 } });
    const { apiKey: silent } = await owner.createKey({ name: "Silent" });
    const before = (await owner.must("GET", "/api-keys/summary")).summary;
    assert.equal(before.nearLimit, 0);
    for (let i = 0; i < 3; i++) assert.equal((await use(busy.plaintextKey)).status, 200);
    await waitFor("a key near its limit", async () => (await list("nearLimit=true")).total === 1);
    assert.deepEqual(ids(await list("nearLimit=true")), [busy.apiKey.id]);
    const { summary } = await owner.must("GET", "/api-keys/summary");
    assert.deepEqual(summary, { ...before, nearLimit: 1 });
    const { keys, from } = await owner.must("GET", `/api-keys/usage?ids=${silent.id},${busy.apiKey.id}`);
    const nothing = new Array(24).fill(0);
    assert.deepEqual(keys[0], { id: silent.id, accepted: nothing, refused: nothing });
    const sum = (/** @type {number[]} */ counts) => counts.reduce((all, count) => all + count, 0);
    assert.deepEqual([keys[1].id, sum(keys[1].accepted), sum(keys[1].refused)], [busy.apiKey.id, 3, 0]);
    assert.ok(Date.parse(from) <= Date.now() - 23 * 3_600_000);
  });

  it("an export has what the filter finds, as CSV without formulas and as JSON", async () => {
    const name = (n) => (n ? `Exported ${n}` : "=1+1");
    for (let n = 0; n < 3; n++) await owner.createKey({ name: name(n), tags: ["exported"] });
    const query = "tag=exported&sort=-created";
    const json = await owner.call("GET", `/api-keys/export?format=json&${query}`);
    assert.equal(json.header("content-type"), "application/x-ndjson");
    assert.equal(json.header("next-cursor"), undefined);
    const lines = json.text.trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)),
      (await list(query)).apiKeys,
    );
    const csv = await owner.call("GET", `/api-keys/export?format=csv&${query}`);
    assert.equal(csv.header("content-type"), "text/csv; charset=utf-8");
    const [head, first, ...rest] = csv.text.split("\r\n");
    assert.ok(head.startsWith('"id","name","status",'), head);
    assert.ok(first.includes(`,"'=1+1","ACTIVE",`), first);
    assert.deepEqual([rest.length, rest[2]], [3, ""]);
  });

  it("a cursor of the list does not go on with a change of many keys, and where nothing is found there is none", async () => {
    const { nextCursor } = await owner.must("GET", "/api-keys?limit=1");
    await owner.invalid(["cursor"], "POST", "/api-keys/bulk-revoke", { filter: { tag: "none" }, cursor: nextCursor });
    const none = await owner.must("POST", "/api-keys/bulk-revoke", { filter: { tag: "none" } });
    assert.deepEqual([none.count, none.more, none.nextCursor], [0, false, null]);
  });
});

describe("listing keys", () => {
  it("finds by tag, scope and status, in the order that is asked for, and says how many there are", async () => {
    const make = async (name, scope) => (await owner.createKey({ name, tags: ["sorted"], scopes: [scope] })).apiKey.id;
    const made = [await make("Bee", "orders:write"), await make("ant", "orders:*"), await make("Cat", "orders:read")];
    const [bee, ant, cat] = made;
    const all = await list("tag=sorted&sort=name&limit=2");
    assert.deepEqual([ids(all), all.total], [[ant, bee], 3]);
    assert.deepEqual(ids(await list(`tag=sorted&sort=name&limit=2&cursor=${all.nextCursor}`)), [cat]);
    assert.deepEqual(ids(await list("tag=sorted&sort=-created&scope=orders:write")), [bee, ant]);
    await owner.must("POST", `/api-keys/${ant}/pause`);
    assert.deepEqual(ids(await list("tag=sorted&status=PAUSED")), [ant]);
    for (const sort of ["lastUsed", "-expires"]) assert.equal((await list(`tag=sorted&sort=${sort}`)).total, 3);
    const wrong = await owner.call("GET", "/api-keys?sort=age");
    assert.match(wrong.json().errors[0].message, /^must be one of created, -created, lastUsed/);
  });

  it("is newest first, in pages that a new key does not shift", async () => {
    const made = [];
    for (let i = 0; i < 5; i++) made.unshift((await owner.createKey({ name: `Paged ${i}`, tags: ["paged"] })).apiKey);
    const first = await list("q=paged&limit=2");
    assert.deepEqual(first.apiKeys, made.slice(0, 2));
    assert.equal(typeof first.nextCursor, "string");
    await owner.createKey({ name: "Paged later" });
    const second = await list(`q=paged&limit=2&cursor=${first.nextCursor}`);
    assert.deepEqual(second.apiKeys, made.slice(2, 4));
    const third = await list(`q=paged&limit=2&cursor=${second.nextCursor}`);
    assert.deepEqual(third, { apiKeys: made.slice(4), nextCursor: null, total: 6 });
    assert.deepEqual(await list(`q=paged&limit=3&cursor=${first.nextCursor}`), {
      apiKeys: made.slice(2),
      nextCursor: null,
      total: 6,
    });
  });

  it("finds by name, tag, prefix, last four and id, whatever the case, and nothing by a wildcard", async () => {
    const { apiKey } = await owner.createKey({ name: "Überraschung 100%_sicher", tags: ["Filiale-Nord"] });
    for (const q of ["überRASCH", "100%_", "filiale-nord", apiKey.id, apiKey.last4, apiKey.keyPrefix]) {
      assert.ok(ids(await list(`q=${encodeURIComponent(q)}`)).includes(apiKey.id), q);
    }
    for (const q of ["%", "_", "Ü%sicher", "* OR 1=1", "'"]) {
      const found = (await list(`q=${encodeURIComponent(q)}`)).apiKeys;
      assert.ok(
        found.every((key) =>
          [key.name, key.keyPrefix, key.last4, key.id, ...key.tags].some((text) =>
            text.toLowerCase().includes(q.toLowerCase()),
          ),
        ),
        q,
      );
    }
    assert.deepEqual(await list("q=%20sicherlich%20nicht"), { apiKeys: [], nextCursor: null, total: 0 });
  });

  it("finds a name whichever Unicode normal form it was created or is searched in", async () => {
    const made = [];
    for (const name of ["Café Nord", "Cafe\u0301 Nord", "\ufeffAcme Nord"])
      made.push((await owner.createKey({ name })).apiKey.id);
    const [composed, decomposed, marked] = made;
    const found = async (q) => ids(await list(`q=${encodeURIComponent(q)}`));
    for (const q of ["Café Nord", "Cafe\u0301 nord", "CAFÉ NORD", "\ufeffCAFE\u0301 nord"])
      assert.deepEqual(await found(q), [decomposed, composed], q);
    for (const q of ["acme nord", "\ufeffAcme Nord"]) assert.deepEqual(await found(q), [marked], q);
    assert.deepEqual(
      [(await owner.get(composed)).name, (await owner.get(decomposed)).name, (await owner.get(marked)).name],
      ["Café Nord", "Cafe\u0301 Nord", "Acme Nord"],
    );
  });

  it("the last page has no cursor, full or not, in every list", async () => {
    await owner.stepUp();
    for (const i of [1, 2]) {
      await owner.createKey();
      await owner.must("POST", "/members", {
        email: `paged${i}@example.com`,
        role: "viewer",
        password: "a long enough password",
      });
      await owner.must("POST", "/tenants", { name: `Paged ${i}` });
    }
    for (const [path, name] of [
      ["/api-keys", "apiKeys"],
      ["/audit", "entries"],
      ["/members", "members"],
      ["/tenants", "tenants"],
    ]) {
      const pages = [];
      for (let query = "?limit=1"; query; ) {
        const { [name]: entries, nextCursor } = await owner.must("GET", path + query);
        assert.equal(entries.length, 1, `${path}: page ${pages.length + 1}`);
        pages.push(...entries);
        query = nextCursor === null ? null : `?limit=1&cursor=${nextCursor}`;
      }
      const limit = Math.min(pages.length, 100);
      const whole = await owner.must("GET", `${path}?limit=${limit}`);
      assert.deepEqual(whole[name], pages.slice(0, limit), path);
      assert.equal(whole.nextCursor === null, limit === pages.length, path);
    }
  });

  it("filters by status, which the clock changes too, and by realm", async () => {
    const active = (await owner.createKey({ tags: ["by-status"] })).apiKey.id;
    const revoked = (await owner.createKey({ tags: ["by-status"] })).apiKey.id;
    await owner.revoke(revoked);
    const expiresAt = new Date(gate.now() + 60_000).toISOString();
    const expiring = (await owner.createKey({ tags: ["by-status"], expiresAt })).apiKey.id;
    const by = async (status) => ids(await list(`q=by-status&status=${status}`));
    assert.deepEqual(
      [await by("ACTIVE"), await by("REVOKED"), await by("EXPIRED")],
      [[expiring, active], [revoked], []],
    );
    await gate.advance(60_000);
    assert.deepEqual([await by("ACTIVE"), await by("REVOKED"), await by("EXPIRED")], [[active], [revoked], [expiring]]);
    assert.equal((await owner.get(expiring)).status, "EXPIRED");
    assert.deepEqual(ids(await list("q=by-status&realm=default")), [expiring, revoked, active]);
    await owner.invalid(["realm"], "GET", "/api-keys?realm=nowhere");
  });

  it("finds keys that were not used for a number of days", async () => {
    const idle = await owner.createKey({ tags: ["by-use"] });
    const busy = await owner.createKey({ tags: ["by-use"] });
    await gate.advance(40 * DAY);
    await owner.signIn();
    await owner.stepUp();
    assert.equal((await use(busy.plaintextKey)).status, 200);
    const { lastUsedAt } = await waitFor("the last use", async () => {
      const key = await owner.get(busy.apiKey.id);
      return key.lastUsedAt && key;
    });
    assert.ok(Math.abs(Date.parse(lastUsedAt) - gate.now()) < 60_000, lastUsedAt);
    const fresh = await owner.createKey({ tags: ["by-use"] });
    const unused = async (days) => ids(await list(`q=by-use&unusedDays=${days}`));
    assert.deepEqual(await unused(30), [idle.apiKey.id]);
    assert.deepEqual(await unused(41), []);
    await gate.advance(2 * DAY);
    await owner.signIn();
    await owner.stepUp();
    assert.deepEqual(await unused(2), [fresh.apiKey.id, busy.apiKey.id, idle.apiKey.id]);
  });
});
