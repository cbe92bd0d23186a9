// A key that is answered works at once in every isolate; one that cannot be told of is not answered, and leaves nothing
// that lets anybody in.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { Admin, Call } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const request = (key) => ({ target: "/api/orders", headers: { Authorization: `Bearer ${key}` } });
const NEW = { name: "New", scopes: ["orders:read"] };
const DOWN = { "KeyGate.fetch": { fail: true } };
const WELL = { "KeyGate.fetch": null };

describe("a key that is made while its object cannot be told", () => {
  /** @type {Gate} */
  let gate;
  /** @type {Admin} */
  let owner;
  before(async () => {
    gate = await startGate({ isolates: 3 });
    owner = await gate.owner();
  });
  after(() => gate.stop());
  afterEach(() => gate.objects.faults(WELL));

  const worksEverywhere = async (key) => {
    for (const isolate of gate.isolates) assert.equal((await isolate.send(request(key))).status, 200);
  };

  /**
   * A call that is 503, says what to do and shows no key.
   * @param {RegExp} says
   * @param {Call} call
   */
  async function unavailable(says, ...call) {
    const answer = await owner.refused([503, "STORE_UNAVAILABLE"], ...call);
    assert.ok(Number(answer.header("retry-after")) >= 1);
    assert.match(answer.json().detail, says);
    assert.ok(!answer.text.includes("plaintextKey"));
  }

  /** Ids of the keys that some KeyGate has as active. */
  const live = () =>
    gate
      .storedObjects()
      .filter(({ className }) => className === "KeyGate")
      .flatMap(({ tables }) => tables.key_gate ?? [])
      .map(({ record }) => JSON.parse(record))
      .filter(({ status }) => status === "ACTIVE")
      .map(({ id }) => id);

  for (const [how, fault] of [
    ["is down", { fail: true }],
    ["loses its answer", { lose: true }],
  ]) {
    it(`is 503 when the object ${how}, nothing stays live, and the repeat works everywhere`, async () => {
      const before = new Set(live());
      await gate.objects.faults({ "KeyGate.fetch": fault });
      await unavailable(/Repeat the call/, "POST", "/api-keys", NEW);
      await gate.objects.faults(WELL);
      const { apiKeys } = await owner.must("GET", "/api-keys?limit=1");
      assert.equal(apiKeys[0].status, "REVOKED");
      await waitFor("nothing more live than before", () => live().every((id) => before.has(id)));
      await worksEverywhere((await owner.createKey()).plaintextKey);
    });
  }

  it("is the same key under its Idempotency-Key, once it can be told, and each showing after that is audited", async () => {
    /** @type {Call} */
    const call = ["POST", "/api-keys", NEW, { "Idempotency-Key": "again" }];
    await gate.objects.faults(DOWN);
    await unavailable(/same Idempotency-Key/, ...call);
    const { apiKeys } = await owner.must("GET", "/api-keys?limit=1");
    await gate.objects.faults(WELL);
    const first = await owner.call(...call);
    assert.deepEqual([first.status, first.header("idempotent-replayed")], [201, undefined]);
    assert.equal(first.json().apiKey.id, apiKeys[0].id);
    await worksEverywhere(first.json().plaintextKey);
    const again = await owner.call(...call);
    assert.deepEqual([again.status, again.header("idempotent-replayed"), again.text], [201, "true", first.text]);
    const { entries } = await owner.must("GET", "/audit?limit=2");
    assert.deepEqual(
      entries.map(({ action }) => action),
      ["key.replay", "key.create"],
    );
    assert.deepEqual([entries[0].target, entries[0].actor], [apiKeys[0].id, entries[1].actor]);
  });

  it("does not end the key that it was to replace, until the rotation is answered", async () => {
    for (const headers of [{}, { "Idempotency-Key": "rotated" }]) {
      const { apiKey, plaintextKey: old } = await owner.createKey();
      /** @type {Call} */
      const call = ["POST", `/api-keys/${apiKey.id}/rotate`, { revokeOld: true }, headers];
      await gate.objects.faults(DOWN);
      await unavailable(/goes on/, ...call);
      await gate.objects.faults(WELL);
      await worksEverywhere(old);
      assert.equal((await owner.get(apiKey.id)).version, 1);
      const { plaintextKey, previous } = await owner.must(...call);
      await worksEverywhere(plaintextKey);
      await gate.until(previous.refusedEverywhereBy);
      for (const isolate of gate.isolates)
        assert.equal((await isolate.send(request(old))).json().code, "REVOKED_API_KEY");
    }
  });
});

describe("a key that somebody tried before there was one", () => {
  it("works in every isolate from the moment its object knows it", async (t) => {
    const made = await startGate();
    t.after(() => made.stop());
    const { plaintextKey: key, apiKey } = await (await made.owner()).createKey();
    const isRecordOf = ({ className, tables }) =>
      className === "KeyGate" && tables.key_gate?.[0].record.includes(apiKey.id);
    const record = JSON.parse(made.storedObjects().find(isRecordOf).tables.key_gate[0].record);
    // The same secret, so that its form is right here too.
    const gate = await startGate({ isolates: 3, secrets: made.secrets });
    t.after(() => gate.stop());
    for (const isolate of gate.isolates) assert.equal((await isolate.send(request(key))).status, 401);
    await gate.objects.call("KeyGate", gate.objectName(key), { op: "tell", record });
    for (const isolate of gate.isolates) assert.equal((await isolate.send(request(key))).status, 200);
  });
});
