// What a panic of the wasm leaves behind: the gate starts over, and nobody goes on waiting for the instance that ended.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { Ended, noteEnd, untilEnded } from "../../src/instance.js";
import { startGate } from "./harness/gate.mjs";
import { open } from "./harness/http.mjs";
import { bearer } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";

/** Longer than any test takes: what is held back so long is not waited for. */
const HELD_BACK = { lagMs: 300_000, times: 1 };

/** A gate until the end of the test, its first owner, and a key with what it is used by. */
async function started(t) {
  const gate = await startGate();
  t.after(() => gate.stop());
  const admin = await gate.owner();
  const make = async (fields) => {
    const { apiKey, plaintextKey } = await admin.createKey(fields);
    const request = { target: "/api/orders", headers: bearer(plaintextKey) };
    return { id: apiKey.id, request, use: () => gate.send(request) };
  };
  return { gate, admin, make };
}

const isOf = (event) => `"event":"${event}"`;
/** The log says so, as many times and not more often. */
const happened = (gate, event, times) => gate.loggedTimes(times, isOf(event));
const seen = (answer) => [answer.status, answer.json().code];

describe("after a panic", () => {
  it("the gate starts over: that request gets 500, the next ones are answered", async (t) => {
    const { gate, make } = await started(t);
    const { use } = await make();
    assert.equal((await use()).status, 200);
    for (let round = 1; round <= 2; round++) {
      gate.origin.reset();
      await gate.isolates[0].trap();
      const answer = await use();
      assert.deepEqual(seen(answer), [500, "INTERRUPTED"]);
      assert.match(answer.header("content-type"), /problem\+json/);
      assert.equal(gate.origin.requests.length, 0);
      assert.equal((await use()).status, 200);
      for (const event of ["panic", "started over"]) await happened(gate, event, round);
      await gate.logged('"keyward.reason":"interrupted"', answer.header("x-request-id"));
      assert.equal(answer.header("retry-after"), undefined, "it may have been done");
    }
  });

  it("an instance that ended without reporting it is found out by the next request, and those that wait are answered then", async (t) => {
    const { gate, make } = await started(t);
    const [{ use }, kept, ending] = [await make(), await make(), await make()];
    const isolate = gate.isolates[0];
    // Of an instance that was made since the test began, the harness has hold.
    await isolate.trap();
    assert.equal((await use()).status, 500);
    await isolate.resetCounts();
    await isolate.faults({ "kv.get": HELD_BACK });
    const waiting = kept.use();
    await waitFor("a request to wait for KV", async () => (await isolate.counts()).kv.get);
    // What goes on after it has waited was called by nobody who would see that it ends.
    await isolate.faults({ "kv.get": { traps: { silently: true }, times: 1 } });
    const ended = ending.use();
    await waitFor("the end", async () => (await isolate.counts()).traps === 2);
    await happened(gate, "panic", 1); // nobody has heard of the second
    assert.deepEqual(seen(await use()), [500, "INTERRUPTED"]);
    assert.deepEqual(seen(await waiting), [500, "INTERRUPTED"]);
    assert.ok((await ended).status >= 500);
    assert.equal((await use()).status, 200);
    await happened(gate, "panic", 2);
  });

  it("every request that waits for the instance gets 500 at once; those at the origin get its response, and responses that have begun go on to their end", async (t) => {
    const { gate, admin, make } = await started(t);
    const { use, request } = await make();
    const unknown = [await make(), await make(), await make()];
    const [isolate] = gate.isolates;
    /** @type {import("node:http").ServerResponse[]} */
    const responses = [];
    gate.origin.answer = (_, response) => {
      responses.push(response.writeHead(200));
      response.write("begun, ");
    };
    const begun = await open(gate.url, request);
    assert.equal(begun.status, 200);
    gate.origin.answer = (_, response) => responses.push(response);
    const atOrigin = [...Array.from({ length: 8 }, use), gate.send({ ...request, method: "HEAD" })];
    await gate.origin.received(1 + atOrigin.length);
    await gate.objects.faults({ "Registry.fetch": HELD_BACK });
    await gate.objects.resetCounts();
    await isolate.faults({ "kv.get": { ...HELD_BACK, times: unknown.length } });
    await isolate.resetCounts();
    const [one, other, third] = unknown.map((key) => key.request);
    const fromPage = gate.send({ ...third, headers: { ...third.headers, Origin: "https://app.example.com" } });
    const waiting = [gate.send(one), gate.send({ ...other, method: "HEAD" }), fromPage];
    await waitFor("requests to wait for KV", async () => (await isolate.counts()).kv.get === unknown.length);
    waiting.push(admin.call("GET", "/api-keys"));
    await waitFor("the admin API to wait", async () => (await gate.objects.counts()).objects.Registry);
    await isolate.trap();
    waiting.push(use());
    for (const answer of await Promise.all(waiting)) {
      assert.equal(answer.status, 500);
      if (answer.text) assert.equal(answer.json().code, "INTERRUPTED");
      assert.equal(answer.header("retry-after"), undefined, "it may have been done");
    }
    assert.equal((await fromPage).header("access-control-allow-origin"), "*", "the page may read it");
    const [first, ...others] = responses;
    for (const response of others) response.end("answered");
    for (const answer of await Promise.all(atOrigin)) {
      assert.equal(answer.status, 200);
      assert.match(answer.text, /^(answered)?$/);
      assert.ok(answer.header("x-request-id"), "with the fields of the gate");
    }
    gate.origin.reset();
    assert.equal((await use()).status, 200);
    first.end("and ended");
    await begun.read();
    assert.equal(begun.text, "begun, and ended");
  });

  it("what was done behind answers keeps no request any longer", async (t) => {
    const { gate, make } = await started(t);
    const { use } = await make();
    const isolate = gate.isolates[0];
    await isolate.faults({ "kv.get": HELD_BACK });
    const asking = gate.send({ target: "/readyz" });
    await waitFor("the check", async () => (await isolate.counts()).waiting > 0);
    await isolate.trap();
    assert.equal((await use()).status, 500);
    assert.deepEqual(seen(await asking), [500, "INTERRUPTED"]);
    await waitFor("nothing to keep a request", async () => (await isolate.counts()).waiting === 0);
  });

  it("objects are created again from what is stored, and limits still hold", async (t) => {
    const { gate, admin, make } = await started(t);
    await gate.stopClock();
    const { use, id } = await make({ rateLimit: { perMinute: 2, perDay: null } });
    assert.equal((await use()).status, 200);
    await gate.objects.trap();
    assert.equal((await use()).status, 503);
    await happened(gate, "panic", 1);
    assert.deepEqual([(await use()).status, (await use()).status], [200, 429]);
    assert.equal((await admin.must("GET", `/api-keys/${id}`)).apiKey.id, id);
    await happened(gate, "started over", 1);
  });

  it("a call that waits in an object fails at once, and works when it is repeated", async (t) => {
    const { gate, admin, make } = await started(t);
    const { use } = await make({ strict: true });
    assert.equal((await use()).status, 200);
    await gate.objects.faults({ "KeyGate.fetch": HELD_BACK });
    await gate.objects.resetCounts();
    const again = () => admin.call("POST", "/api-keys", { name: "x", scopes: ["orders:read"] });
    const waiting = again();
    await waitFor(
      "the Registry to wait for the key's object",
      async () => (await gate.objects.counts()).objects.KeyGate,
    );
    await gate.objects.trap();
    assert.equal((await use()).status, 503);
    assert.equal((await waiting).status, 503);
    await gate.logged("the wasm instance ended");
    assert.equal((await again()).status, 201);
  });

  it("a record that was being written to KV gets there all the same", async (t) => {
    const { gate, make } = await started(t);
    const { use } = await make();
    assert.equal((await use()).status, 200);
    await gate.objects.faults({ "kv.put": HELD_BACK });
    await gate.objects.resetCounts();
    const { id } = await make();
    await waitFor("the Registry to write", async () => (await gate.objects.counts()).kv.put);
    assert.ok((await gate.objects.counts()).waiting > 0);
    await gate.objects.trap();
    await waitFor("the panic", async () => {
      await use();
      return gate.logs.some(({ message }) => message.includes(isOf("panic")));
    });
    await waitFor("nothing to keep the object", async () => (await gate.objects.counts()).waiting === 0);
    await waitFor("the record", async () => [...(await gate.storedKv()).values()].some((text) => text.includes(id)));
  });

  it("an alarm that waits in an object is retried, and what it reports arrives", async (t) => {
    const { gate, admin, make } = await started(t);
    const [told, other] = [await make(), await make()];
    // Nobody can read the change log, so each request asks its key's object.
    await gate.objects.faults({ "Registry.fetch": HELD_BACK, "Relay.fetch": { fail: true } });
    await gate.objects.resetCounts();
    assert.equal((await told.use()).status, 200);
    await waitFor("the alarm to tell the Registry", async () => (await gate.objects.counts()).objects.Registry);
    await gate.objects.trap();
    assert.equal((await other.use()).status, 503);
    const accepted = async () => {
      await gate.advance(60_000);
      const { points } = await admin.must("GET", `/api-keys/${told.id}/usage`);
      return points.some((hour) => hour.accepted === 1);
    };
    await waitFor("the usage", accepted, { everyMs: 500 });
    await happened(gate, "panic", 1);
  });
});

describe("what waits for the instance", () => {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc");

  it("is not kept in memory once the runtime has dropped it, as for a client that hung up, and all else is told", async (t) => {
    t.mock.method(console, "error", () => {});
    const dropped = Array.from({ length: 3_000 }, () => {
      const promise = new Promise(() => {});
      void untilEnded(() => promise);
      return new WeakRef(promise);
    });
    const kept = new Promise(() => {});
    const waiting = untilEnded(() => kept);
    await waitFor("the garbage to be collected", () => {
      collectGarbage();
      return dropped.every((ref) => !ref.deref());
    });
    noteEnd();
    await assert.rejects(waiting, Ended);
    assert.ok(kept);
  });
});
