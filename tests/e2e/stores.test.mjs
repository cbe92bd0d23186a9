// Stores that fail, lag or lie, and a runtime that dies: 503 and never a wrong verdict, and whatever
// was acknowledged is kept and reaches KV.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const request = (key) => ({ target: "/api/orders", headers: { Authorization: `Bearer ${key}` } });
const DOWN = { fail: true };

/** The record of a key in KV, found by its id. */
async function published(gate, id) {
  for (const [name, value] of await gate.storedKv()) {
    if (name.startsWith("key:") && JSON.parse(value).id === id) return JSON.parse(value);
  }
  return undefined;
}

describe("a store that fails", () => {
  /** @type {Gate} */
  let gate;
  /** @type {Admin} */
  let owner;
  before(async () => {
    gate = await startGate({ isolates: 2 });
    owner = await gate.owner();
  });
  after(() => gate.stop());

  async function unavailable(isolate, key) {
    const before = gate.origin.requests.length;
    const answer = await isolate.send(request(key));
    assert.deepEqual([answer.status, answer.json().code], [503, "STORE_UNAVAILABLE"], answer.text);
    assert.ok(Number(answer.header("retry-after")) >= 1);
    assert.equal(gate.origin.requests.length, before, "it reached the origin");
  }

  it("KV down or hanging stops no key: its object, which has the record, answers; with that down too, 503", async () => {
    const [warm, cold] = gate.isolates;
    for (const fault of [DOWN, { lagMs: 20_000 }]) {
      const { plaintextKey: key } = await owner.createKey();
      assert.equal((await warm.send(request(key))).status, 200);
      for (const isolate of gate.isolates) await isolate.faults({ "kv.get": fault });
      assert.equal((await cold.send(request(key))).status, 200);
      assert.equal((await warm.send(request(key))).status, 200);
      const { plaintextKey: another } = await owner.createKey();
      await gate.objects.faults({ "KeyGate.fetch": { ...DOWN, name: gate.objectName(another) } });
      await unavailable(cold, another);
      await gate.objects.faults({ "KeyGate.fetch": null });
      for (const isolate of gate.isolates) await isolate.faults({ "kv.get": null });
    }
  });

  it("a KeyGate that is down is 503 where it has to be asked", async () => {
    const { plaintextKey: key } = await owner.createKey({ strict: true });
    assert.equal((await gate.send(request(key))).status, 200);
    await gate.objects.faults({ "KeyGate.fetch": DOWN });
    await unavailable(gate.isolates[0], key);
    await unavailable(gate.isolates[1], key);
    await gate.objects.faults({ "KeyGate.fetch": null });
    assert.equal((await gate.send(request(key))).status, 200);
  });

  it("a record that cannot be read is 503, unless the key's object has one that can be", async () => {
    const { plaintextKey: key, apiKey } = await owner.createKey();
    const name = await waitFor(
      "the record in KV",
      async () => [...(await gate.storedKv())].find(([, value]) => value.includes(apiKey.id))?.[0],
    );
    const record = (await gate.storedKv()).get(name);
    const newer = record.replace(`"v":"1"`, `"v":"2"`);
    await gate.objects.faults({ "KeyGate.fetch": { answer: `{"record":${newer}}`, name: gate.objectName(key) } });
    await gate.isolates[0].putKv(name, newer);
    await unavailable(gate.isolates[1], key);
    await gate.objects.faults({ "KeyGate.fetch": null });
    for (const text of ["not json", "{}", newer]) {
      await gate.isolates[0].putKv(name, text);
      assert.equal((await gate.isolates[1].send(request(key))).status, 200, text);
    }
    await gate.isolates[0].putKv(name, record);
  });

  it("KV that holds an old copy lets a revoked key pass in no isolate", async () => {
    const { plaintextKey: key, apiKey } = await owner.createKey();
    assert.equal((await gate.send(request(key))).status, 200);
    for (const isolate of gate.isolates) await isolate.staleKv(60_000);
    const { refusedEverywhereBy } = await owner.revoke(apiKey.id);
    await gate.until(refusedEverywhereBy);
    for (const isolate of gate.isolates) {
      assert.equal((await isolate.send(request(key))).json().code, "REVOKED_API_KEY");
      await isolate.staleKv(0);
    }
  });

  it("KV that does not know a new key yet does not stop it", async () => {
    for (const isolate of gate.isolates) await isolate.staleKv(60_000);
    const { plaintextKey: key } = await owner.createKey();
    for (const isolate of gate.isolates) {
      assert.equal((await isolate.send(request(key))).status, 200);
      await isolate.staleKv(0);
    }
  });

  it("KV that fails for a while still gets every acknowledged change", async () => {
    await gate.objects.faults({ "kv.put": DOWN });
    const { plaintextKey: key, apiKey } = await owner.createKey();
    const { apiKey: gone } = await owner.createKey();
    await owner.revoke(gone.id);
    assert.equal((await gate.send(request(key))).status, 200, "it works at once all the same");
    assert.equal(await published(gate, apiKey.id), undefined);
    await gate.objects.faults({ "kv.put": null });
    await waitFor(
      "both records in KV",
      async () => (await published(gate, apiKey.id)) && (await published(gate, gone.id))?.status === "REVOKED",
    );
  });

  it("KV that writes an old record late holds the newest in the end", async () => {
    await gate.objects.resetCounts();
    await gate.objects.faults({ "kv.put": { lagMs: 8_000, times: 1 } });
    const { plaintextKey: key, apiKey } = await owner.createKey();
    await owner.revoke(apiKey.id);
    const status = async () => (await published(gate, apiKey.id))?.status;
    await waitFor("the revocation in KV, while the first write hangs", async () => (await status()) === "REVOKED");
    await waitFor("the first write to land", async () => (await gate.objects.counts()).kv.put === 3);
    await waitFor("the revocation in KV again", async () => (await status()) === "REVOKED");
    assert.equal((await gate.send(request(key))).json().code, "REVOKED_API_KEY");
  });

  it("a revocation that the KeyGate could not be told of is 503, kept, and applied when it is back", async () => {
    const { plaintextKey: key, apiKey } = await owner.createKey();
    await gate.objects.faults({ "KeyGate.fetch": DOWN });
    const answer = await owner.call("POST", `/api-keys/${apiKey.id}/revoke`, {});
    assert.deepEqual([answer.status, answer.json().code], [503, "STORE_UNAVAILABLE"]);
    await unavailable(gate.isolates[0], key);
    await gate.objects.faults({ "KeyGate.fetch": null });
    await waitFor("the revocation to be applied", async () => (await gate.send(request(key))).status === 401);
  });

  it("a Registry that is down makes the admin API 503 and the gate goes on", async () => {
    const { plaintextKey: key } = await owner.createKey();
    await gate.objects.faults({ "Registry.fetch": DOWN });
    const answer = await owner.call("GET", "/api-keys");
    assert.deepEqual([answer.status, answer.json().code], [503, "STORE_UNAVAILABLE"]);
    assert.equal((await gate.send(request(key))).status, 200);
    await gate.objects.faults({ "Registry.fetch": null });
  });
});

describe("a runtime that is killed", () => {
  it("between acknowledging and publishing loses nothing: created, edited and revoked keys reach KV after", async (t) => {
    const gate = await startGate();
    t.after(() => gate.stop());
    const owner = await gate.owner();
    const created = await owner.createKey({ name: "before" });
    const edited = await owner.createKey();
    const revoked = await owner.createKey();
    await waitFor(
      "the first versions in KV",
      async () => (await published(gate, revoked.apiKey.id)) && (await published(gate, edited.apiKey.id)),
    );
    await gate.objects.faults({ "kv.put": DOWN });
    const late = await owner.createKey({ name: "late" });
    await owner.patch(edited.apiKey.id, { scopes: ["orders:write"] });
    await owner.revoke(revoked.apiKey.id);
    assert.equal(await published(gate, late.apiKey.id), undefined);
    await gate.kill();
    await gate.restart();
    await waitFor(
      "everything in KV",
      async () =>
        (await published(gate, late.apiKey.id)) &&
        (await published(gate, edited.apiKey.id))?.scopes.includes("orders:write") &&
        (await published(gate, revoked.apiKey.id))?.status === "REVOKED",
    );
    assert.equal((await gate.send(request(late.plaintextKey))).status, 200);
    assert.equal((await gate.send(request(created.plaintextKey))).status, 200);
    assert.equal((await gate.send(request(revoked.plaintextKey))).json().code, "REVOKED_API_KEY");
    const again = await gate.admin().signIn();
    assert.equal((await again.get(late.apiKey.id)).name, "late");
    assert.equal((await again.must("GET", "/audit/verify")).ok, true);
  });

  it("keeps the counts: what was admitted before still counts after", async (t) => {
    const gate = await startGate({ isolates: 2 });
    t.after(() => gate.stop());
    const owner = await gate.owner();
    await gate.stopClock();
    const { plaintextKey: key } = await owner.createKey({ rateLimit: { perMinute: 20, perDay: null } });
    let passed = 0;
    for (let i = 0; i < 12; i++) passed += Number((await gate.isolates[i % 2].send(request(key))).status === 200);
    assert.equal(passed, 12);
    await gate.kill();
    await gate.restart();
    for (let i = 0; i < 20; i++) passed += Number((await gate.isolates[i % 2].send(request(key))).status === 200);
    // What an isolate held under a lease when it ended counts as used.
    assert.ok(passed >= 16 && passed <= 20, `${passed} passed`);
    assert.equal(gate.origin.requests.length, passed);
  });
});

describe("limits over several isolates", () => {
  it("never more than the limit passes, however the requests are spread, and an edit's new limit holds within the freshness bound", async (t) => {
    const gate = await startGate({ isolates: 4 });
    t.after(() => gate.stop());
    const owner = await gate.owner();
    await gate.stopClock();
    const { plaintextKey: key, apiKey } = await owner.createKey({ rateLimit: { perMinute: 100, perDay: null } });
    const burst = async (count) => {
      const answers = await Promise.all(
        Array.from({ length: count }, (_, i) => gate.isolates[i % 4].send(request(key))),
      );
      const [passed, refused] = [200, 429].map((code) => answers.filter(({ status }) => status === code).length);
      assert.equal(passed + refused, count);
      return passed;
    };
    const first = await burst(160);
    // Isolates may keep an eighth for requests that come later.
    assert.ok(first >= 88 && first <= 100, `${first} passed`);
    assert.equal(gate.origin.requests.length, first);
    await owner.patch(apiKey.id, { rateLimit: { perMinute: 110, perDay: null } });
    await gate.advance(5_000);
    const both = first + (await burst(40));
    assert.ok(both >= 97 && both <= 110, `${both} passed`);
    await owner.patch(apiKey.id, { rateLimit: { perMinute: 5, perDay: null } });
    await gate.advance(5_000);
    assert.equal(await burst(8), 0);
    // What leases for the older limit still held counts until then.
    await gate.advance(66_000);
    assert.equal(await burst(8), 5);
  });

  it("the day's window holds over the minutes", async (t) => {
    const gate = await startGate();
    t.after(() => gate.stop());
    const owner = await gate.owner();
    await gate.stopClock();
    const { plaintextKey: key } = await owner.createKey({ rateLimit: { perMinute: 3, perDay: 5 } });
    const pass = async () => (await gate.send(request(key))).status === 200;
    for (const expected of [true, true, true, false]) assert.equal(await pass(), expected);
    await gate.advance(60_000);
    for (const expected of [true, true, false]) assert.equal(await pass(), expected);
    const answer = await gate.send(request(key));
    assert.match(answer.header("ratelimit"), /"minute";r=1;t=\d+, "day";r=0;t=\d+/);
    await gate.advance(Number(answer.header("retry-after")) * 1000);
    assert.equal(await pass(), true);
  });
});

describe("what is stored", () => {
  it("holds the hash of a key and never the key", async (t) => {
    const { createHash } = await import("node:crypto");
    const gate = await startGate();
    t.after(() => gate.stop());
    const owner = await gate.owner();
    const { plaintextKey: key } = await owner.must(
      "POST",
      "/api-keys",
      { name: "Secret", scopes: ["orders:read"] },
      { "Idempotency-Key": "once" },
    );
    await gate.send(request(key));
    const hash = createHash("sha256").update(key).digest("hex");
    await waitFor("the key in KV", async () => (await gate.storedKv()).has(`key:sha256:${hash}`));
    assert.ok(JSON.stringify(gate.storedObjects()).includes(hash));
    assert.deepEqual(gate.grep(key), []);
    assert.deepEqual(gate.grep(key.slice(8, -4)), []);
    assert.deepEqual(gate.grep(owner.token), [], "nor a session's token");
    await gate.allLogged();
    assert.ok(!gate.logs.some(({ message }) => message.includes(key)));
  });

  it("last use and usage reach the Registry without a write for each request", async (t) => {
    const gate = await startGate();
    t.after(() => gate.stop());
    const owner = await gate.owner();
    await gate.stopClock();
    const { plaintextKey: key, apiKey } = await owner.createKey();
    assert.equal((await owner.get(apiKey.id)).lastUsedAt, null);
    for (let i = 0; i < 30; i++) await gate.send(request(key));
    await gate.send({ method: "POST", ...request(key) });
    await waitFor("lastUsedAt", async () => (await owner.get(apiKey.id)).lastUsedAt);
    const usage = () => gate.storedObjects().find(({ className }) => className === "Registry").tables.usage;
    const accepted = () => usage().reduce((sum, hour) => sum + hour.accepted, 0);
    // A later request's call tells the object of the earlier ones, and its alarm the Registry.
    const areReported = async (count) => {
      await gate.advance(60_000);
      await gate.send(request(key));
      return accepted() >= count;
    };
    await waitFor("a report of them all", () => areReported(30), { everyMs: 500 });
    const reported = usage();
    // From now on requests gather before the next report.
    await gate.objects.resetCounts();
    for (let i = 0; i < 30; i++) await gate.send(request(key));
    const { objects } = await gate.objects.counts();
    assert.ok(
      (objects.Registry?.registry?.fetch ?? 0) <= 1,
      "requests reached the Registry: one may have read the change log",
    );
    assert.deepEqual(usage(), reported);
    await waitFor("the next report", () => areReported(60), { everyMs: 500 });
  });
});
