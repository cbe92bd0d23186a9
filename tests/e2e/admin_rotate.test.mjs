// Rotating keys, and requests that can be repeated: what happens to the old key, to the second, and
// that one request never makes two keys.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const FRESHNESS = 5_000;

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
before(async () => {
  gate = await startGate({ isolates: 2 });
  owner = await gate.owner();
});
after(() => gate.stop());

const use = (key, isolate = gate.isolates[0]) =>
  isolate.send({ target: "/api/orders", headers: { Authorization: `Bearer ${key}` } });
const everywhere = (key) =>
  Promise.all(
    gate.isolates.map(async (isolate) => {
      const answer = await use(key, isolate);
      return answer.status === 200 ? 200 : answer.json().code;
    }),
  );

describe("rotating a key", () => {
  it("makes a new key with the old one's settings; the old one stays", async () => {
    const fields = {
      name: "Till",
      scopes: ["orders:write"],
      rateLimit: { perMinute: 7, perDay: 70 },
      allowedIps: ["192.0.2.0/24"],
      tags: ["t"],
      metadata: { a: "b" },
      expiresAt: "2100-01-01T00:00:00Z",
    };
    const old = await owner.createKey(fields);
    const answer = await owner.call("POST", `/api-keys/${old.apiKey.id}/rotate`, {});
    const { apiKey, plaintextKey, previous, ...more } = answer.json();
    assert.deepEqual([answer.status, more], [201, {}]);
    assert.deepEqual(previous, { id: old.apiKey.id, status: "ACTIVE", expiresAt: "2100-01-01T00:00:00.000Z" });
    assert.notEqual(plaintextKey, old.plaintextKey);
    assert.match(plaintextKey, /^kw_live_[0-9A-Za-z]{36}$/);
    const { id, createdAt, updatedAt, keyPrefix, last4, ...rest } = apiKey;
    assert.ok(
      id !== old.apiKey.id &&
        createdAt === updatedAt &&
        plaintextKey.startsWith(keyPrefix) &&
        plaintextKey.endsWith(last4),
    );
    const expected = { ...old.apiKey, rotatedFrom: old.apiKey.id };
    for (const field of ["id", "createdAt", "updatedAt", "keyPrefix", "last4"]) delete expected[field];
    assert.deepEqual(rest, expected);
    assert.deepEqual(await owner.get(old.apiKey.id), { ...old.apiKey, rotatedTo: id });
    assert.deepEqual(await owner.get(id), apiKey);
    for (const key of [old.plaintextKey, plaintextKey]) {
      const answer = await gate.send({
        target: "/api/orders",
        headers: { Authorization: `Bearer ${key}`, "CF-Connecting-IP": "192.0.2.3" },
      });
      assert.equal(answer.status, 200);
    }
  });

  it("keeps test keys test keys", async () => {
    const old = await owner.createKey({ testMode: true });
    const { apiKey, plaintextKey } = await owner.rotate(old.apiKey.id);
    assert.equal(apiKey.testMode, true);
    assert.match(plaintextKey, /^kw_test_/);
  });

  it("revokeOld refuses the old key everywhere by the time that the answer names", async (t) => {
    const old = await owner.createKey();
    await gate.stopClock(t);
    assert.deepEqual(await everywhere(old.plaintextKey), [200, 200]);
    const since = gate.now();
    const { plaintextKey, apiKey, previous } = await owner.rotate(old.apiKey.id, { revokeOld: true });
    const ahead = Date.parse(previous.refusedEverywhereBy) - since;
    assert.equal(ahead, FRESHNESS);
    assert.deepEqual(previous, {
      id: old.apiKey.id,
      status: "REVOKED",
      expiresAt: null,
      refusedEverywhereBy: previous.refusedEverywhereBy,
    });
    await gate.until(previous.refusedEverywhereBy);
    assert.deepEqual(await everywhere(old.plaintextKey), ["REVOKED_API_KEY", "REVOKED_API_KEY"]);
    assert.deepEqual(await everywhere(plaintextKey), [200, 200]);
    const stored = await owner.get(old.apiKey.id);
    assert.deepEqual([stored.status, stored.rotatedTo, stored.revokeReason], ["REVOKED", apiKey.id, "rotated"]);
  });

  it("graceSeconds 0 ends the old key at once", async () => {
    const old = await owner.createKey();
    assert.deepEqual(await everywhere(old.plaintextKey), [200, 200]);
    const { plaintextKey, previous } = await owner.rotate(old.apiKey.id, { graceSeconds: 0 });
    assert.equal(previous.status, "EXPIRED");
    await gate.until(previous.refusedEverywhereBy);
    assert.deepEqual(await everywhere(old.plaintextKey), ["EXPIRED_API_KEY", "EXPIRED_API_KEY"]);
    assert.deepEqual(await everywhere(plaintextKey), [200, 200]);
  });

  it("graceSeconds lets the old key pass until its last second and no longer", async (t) => {
    const old = await owner.createKey();
    await gate.stopClock(t);
    assert.deepEqual(await everywhere(old.plaintextKey), [200, 200]);
    const since = gate.now();
    const { plaintextKey, previous } = await owner.rotate(old.apiKey.id, { graceSeconds: 600 });
    assert.equal(previous.status, "ACTIVE");
    const grace = Date.parse(previous.expiresAt) - since;
    assert.equal(grace, 600_000);
    assert.equal(previous.refusedEverywhereBy, previous.expiresAt);
    await gate.advance(600_000 - 1);
    assert.deepEqual(await everywhere(old.plaintextKey), [200, 200]);
    await gate.until(previous.expiresAt);
    assert.deepEqual(await everywhere(old.plaintextKey), ["EXPIRED_API_KEY", "EXPIRED_API_KEY"]);
    assert.deepEqual(await everywhere(plaintextKey), [200, 200]);
    await owner.refused([409, "CONFLICT"], "POST", `/api-keys/${old.apiKey.id}/rotate`, {});
  });

  it("a grace never outlives the old key's own expiry", async () => {
    const expiresAt = new Date(Math.ceil(gate.now() / 1000) * 1000 + 60_000).toISOString();
    const old = await owner.createKey({ expiresAt });
    const { apiKey, previous } = await owner.rotate(old.apiKey.id, { graceSeconds: 3_600 });
    assert.deepEqual([previous.expiresAt, apiKey.expiresAt], [expiresAt, expiresAt]);
    await gate.until(expiresAt);
    assert.deepEqual(await everywhere(old.plaintextKey), ["EXPIRED_API_KEY", "EXPIRED_API_KEY"]);
  });

  it("a key that is rotated again during its grace makes a new key that outlives the grace", async (t) => {
    const old = await owner.createKey();
    await gate.stopClock(t);
    const rotate = (id, body) => owner.rotate(id, body);
    const first = await rotate(old.apiKey.id, { graceSeconds: 60 });
    // The answer was lost: the same again, then in other ways, then what was made from it.
    const again = await rotate(old.apiKey.id, { graceSeconds: 60 });
    const kept = await rotate(old.apiKey.id, {});
    const later = await rotate(again.apiKey.id, {});
    const revoking = await rotate(old.apiKey.id, { revokeOld: true });
    for (const made of [first, again, kept, later, revoking]) assert.equal(made.apiKey.expiresAt, null);
    assert.equal(again.previous.expiresAt, first.previous.expiresAt, "the old key's end does not move");
    await gate.advance(60_000 + FRESHNESS);
    assert.deepEqual(await everywhere(old.plaintextKey), ["REVOKED_API_KEY", "REVOKED_API_KEY"]);
    for (const made of [first, again, kept, later, revoking])
      assert.deepEqual(await everywhere(made.plaintextKey), [200, 200]);
    const { detail } = (await owner.refused([409, "CONFLICT"], "POST", `/api-keys/${old.apiKey.id}/rotate`, {})).json();
    assert.ok(detail.includes(revoking.apiKey.id), "it names the key that replaced it");
  });

  it("the new key is there for the very next request, in every isolate", async () => {
    let { apiKey } = await owner.createKey();
    for (let i = 0; i < 5; i++) {
      const { apiKey: next, plaintextKey } = await owner.rotate(apiKey.id, { revokeOld: true });
      assert.deepEqual(await everywhere(plaintextKey), [200, 200]);
      apiKey = next;
    }
  });

  it("400 for what contradicts itself, 409 for a key that no longer holds, 412 for another version", async () => {
    const { apiKey } = await owner.createKey();
    const path = `/api-keys/${apiKey.id}/rotate`;
    await owner.invalid(["graceSeconds"], "POST", path, { revokeOld: true, graceSeconds: 5 });
    for (const graceSeconds of [-1, 1.5, "5", 1e12, true, []])
      await owner.invalid(["graceSeconds"], "POST", path, { graceSeconds });
    await owner.invalid(["revokeOld"], "POST", path, { revokeOld: "yes" });
    await owner.invalid(["scopes"], "POST", path, { scopes: ["*"] });
    await owner.refused([412, "VERSION_MISMATCH"], "POST", path, {}, { "If-Match": `"2"` });
    assert.deepEqual(await owner.get(apiKey.id), apiKey);
    await owner.revoke(apiKey.id);
    await owner.refused([409, "CONFLICT"], "POST", path, {});
  });
});

describe("Idempotency-Key", () => {
  const create = (token, more = {}) =>
    owner.call("POST", "/api-keys", { name: "Once", scopes: ["orders:read"], ...more }, { "Idempotency-Key": token });
  const count = async () => (await owner.must("GET", "/api-keys?limit=100&q=Once")).apiKeys.length;

  /** Everything of an answer that is its own: not the id of the request, nor the time. */
  const whole = ({ status, text, rawHeaders }) => ({
    status,
    text,
    headers: rawHeaders
      .map(([name, value]) => `${name.toLowerCase()}: ${value}`)
      .filter((line) => !/^(x-request-id|date|idempotent-replayed):/.test(line))
      .sort(),
  });
  const same = (first, again) => {
    assert.equal(first.header("idempotent-replayed"), undefined);
    assert.equal(again.header("idempotent-replayed"), "true");
    assert.deepEqual(whole(again), whole(first));
  };

  it("a repeat gets the same answer, plaintext included, and makes nothing", async () => {
    const first = await create("repeat-1");
    const before = await count();
    const again = await create("repeat-1");
    same(first, again);
    assert.equal(first.header("location"), `/api/admin/api-keys/${first.json().apiKey.id}`);
    assert.equal(first.header("etag"), '"1"');
    assert.equal(await count(), before);
    assert.equal((await use(again.json().plaintextKey)).status, 200);
    const other = await create("repeat-2");
    assert.notEqual(other.json().plaintextKey, first.json().plaintextKey);
  });

  it("422 for another body or path, and the first answer stays", async () => {
    const first = await create("reused");
    const { id } = first.json().apiKey;
    await owner.refused(
      [422, "IDEMPOTENCY_MISMATCH"],
      "POST",
      "/api-keys",
      { name: "Other", scopes: ["orders:read"] },
      { "Idempotency-Key": "reused" },
    );
    await owner.refused(
      [422, "IDEMPOTENCY_MISMATCH"],
      "POST",
      `/api-keys/${id}/rotate`,
      {},
      { "Idempotency-Key": "reused" },
    );
    assert.deepEqual((await create("reused")).json(), first.json());
  });

  it("422 for another member of the tenant, who never sees that key", async () => {
    await owner.stepUp();
    const person = { email: "colleague@example.com", password: "a long enough password" };
    await owner.must("POST", "/members", { role: "admin", ...person });
    const colleague = await gate.admin().signIn(person);
    const first = await create("not-yours");
    const answer = await colleague.refused(
      [422, "IDEMPOTENCY_MISMATCH"],
      "POST",
      "/api-keys",
      { name: "Once", scopes: ["orders:read"] },
      { "Idempotency-Key": "not-yours" },
    );
    assert.ok(!answer.text.includes(first.json().plaintextKey));
  });

  it("simultaneous requests make one key", async () => {
    const before = await count();
    const answers = await Promise.all(Array.from({ length: 8 }, () => create("at-once")));
    assert.deepEqual(
      answers.map(({ status }) => status),
      new Array(8).fill(201),
    );
    assert.equal(new Set(answers.map((answer) => answer.json().plaintextKey)).size, 1);
    assert.equal(await count(), before + 1);
  });

  it("a refused request does not use up the Idempotency-Key", async () => {
    await owner.invalid(["scopes"], "POST", "/api-keys", { name: "Once", scopes: [] }, { "Idempotency-Key": "mended" });
    assert.equal((await create("mended")).status, 201);
  });

  it("a repeated rotation rotates once", async () => {
    for (const [name, fate] of Object.entries({
      keep: {},
      revoke: { revokeOld: true },
      grace: { graceSeconds: 60 },
      end: { graceSeconds: 0 },
    })) {
      const { apiKey } = await owner.createKey();
      const rotate = () =>
        owner.call("POST", `/api-keys/${apiKey.id}/rotate`, fate, { "Idempotency-Key": `rotation-${name}` });
      const first = await rotate();
      assert.equal(first.status, 201);
      same(first, await rotate());
      const made = first.json().apiKey;
      assert.equal((await owner.get(apiKey.id)).rotatedTo, made.id);
      // Whatever happens to both: that is what was answered.
      await owner.patch(made.id, { name: "Another name" });
      await owner.revoke(made.id);
      await owner.revoke(apiKey.id);
      await gate.advance(FRESHNESS + 1);
      same(first, await rotate());
    }
  });

  it("is forgotten after a day, and belongs to one tenant", async () => {
    const first = await create("daily");
    const made = await owner.must("POST", "/tenants", {
      name: "Other",
      owner: { email: "other@example.com", password: "a long enough password" },
    });
    assert.ok(made.tenant.id);
    const other = await gate.admin().signIn({ email: "other@example.com", password: "a long enough password" });
    const theirs = await other.must(
      "POST",
      "/api-keys",
      { name: "Once", scopes: ["orders:read"] },
      { "Idempotency-Key": "daily" },
    );
    assert.notEqual(theirs.plaintextKey, first.json().plaintextKey);
    await gate.advance(24 * 3_600_000);
    await owner.signIn();
    const later = await create("daily");
    assert.equal(later.status, 201);
    assert.notEqual(later.json().apiKey.id, first.json().apiKey.id);
  });
});
