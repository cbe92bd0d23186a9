// Limits that hold over all isolates at once, and what they cost in calls to the key's object.
// `always_within_limits.test.mjs` has the same over minutes of real time.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { bearer, byStatus, Client, MINUTE, sleep } from "./harness/traffic.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
/** @type {Client} */
let client;
before(async () => {
  gate = await startGate({ isolates: 8 });
  owner = await gate.owner();
  client = new Client();
  await Promise.all(gate.isolates.map((isolate) => isolate.send({ target: "/healthz" }))); // awake
});
after(async () => {
  client.close();
  await gate.stop();
});
beforeEach(() => {
  gate.origin.reset();
  gate.origin.answer = { status: 200, headers: {}, body: "" };
});

const create = async (perMinute) => (await owner.createKey({ rateLimit: { perMinute, perDay: null } })).plaintextKey;

describe("a limit of 600 a minute over 8 isolates", () => {
  const tally = async (t, key, answers, started) => {
    const { keyGate } = await gate.callsFor(key);
    t.diagnostic(
      `${JSON.stringify(byStatus(answers))} in ${Math.round(performance.now() - started)} ms, ${keyGate} calls to the KeyGate`,
    );
  };

  it("lets exactly 600 pass in a minute if it is asked again and again", async (t) => {
    const key = await create(600);
    const started = performance.now();
    let passed = 0;
    const connection = async (_, number) => {
      const answers = [];
      // What is reserved by leases and not used is free again soon.
      while (passed < 600) {
        const answer = await client.ask(gate.isolates[number % 8], bearer(key));
        answers.push(answer);
        if (answer.status === 200) passed++;
        else await sleep(200);
      }
      return answers;
    };
    const answers = (await Promise.all(Array.from({ length: 40 }, connection))).flat();
    await tally(t, key, answers, started);
    const more = await Promise.all(
      Array.from({ length: 100 }, (_, n) => client.ask(gate.isolates[n % 8], bearer(key))),
    );
    assert.deepEqual(byStatus(more), { 429: 100 });
    assert.equal(gate.origin.requests.length, 600);
  });
});

describe("a hot key", () => {
  it("of 100 requests a second through one isolate makes at most one call for 20 of them, and reads KV once", async (t) => {
    const key = await create(100_000);
    const [isolate] = gate.isolates;
    await isolate.resetCounts();
    // Four connections, each of which waits for its answer.
    const use = async (end) => {
      const connection = async () => {
        const answers = [];
        for (let next = Date.now(); Date.now() < end; next = Math.max(next + 30, Date.now())) {
          await sleep(next - Date.now());
          answers.push(await client.ask(isolate, bearer(key)));
        }
        return answers;
      };
      return (await Promise.all(Array.from({ length: 4 }, connection))).flat();
    };
    const begin = Date.now();
    const first = await use(begin + 1_000);
    const before = (await gate.callsFor(key)).keyGate;
    const { get } = (await isolate.counts()).kv;
    const answers = await use(begin + 21_000);
    const calls = (await gate.callsFor(key)).keyGate - before;
    t.diagnostic(
      `${answers.length} requests, ${calls} calls: one for ${(answers.length / calls).toFixed(1)}; in the first second ${first.length} and ${before}; ${get} reads of KV`,
    );
    assert.deepEqual(byStatus(answers), { 200: answers.length });
    assert.ok(calls * 20 <= answers.length, `${calls} calls for ${answers.length}`);
    assert.equal((await isolate.counts()).kv.get, get, "KV was read after the first second");
  });
});

describe("a key that is used once a minute", () => {
  it("costs one call a request", async () => {
    const key = await create(600);
    const before = (await gate.callsFor(key)).keyGate;
    for (let request = 1; request <= 10; request++) {
      assert.equal((await client.ask(gate.isolates[0], bearer(key))).status, 200);
      assert.equal((await gate.callsFor(key)).keyGate - before, request);
      await gate.advance(MINUTE);
    }
  });
});
