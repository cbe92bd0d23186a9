// Limits that hold over all isolates at once, and what they cost in calls to the key's object.
// Time goes on with the requests, so that demand is as steady on any machine: `always_within_limits.test.mjs` has the same
// over minutes of real time.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { Stalls } from "./harness/stalls.mjs";
import { bearer, byStatus, Client, MINUTE } from "./harness/traffic.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
/** @type {Client} */
let client;
/** @type {Stalls} */
let stalls;
before(async () => {
  gate = await startGate({ isolates: 8 });
  owner = await gate.owner();
  client = new Client();
  stalls = new Stalls(gate.isolates[0]);
  await Promise.all(gate.isolates.map((isolate) => isolate.send({ target: "/healthz" }))); // awake
});
after(async () => {
  await stalls.stop();
  client.close();
  await gate.stop();
});
beforeEach(() => {
  gate.origin.reset();
  gate.origin.answer = { status: 200, headers: {}, body: "" };
});

const create = async (perMinute) => (await owner.createKey({ rateLimit: { perMinute, perDay: null } })).plaintextKey;

describe("a limit of 600 a minute over 8 isolates", () => {
  it("lets exactly 600 pass in a minute if it is asked again and again", async (t) => {
    const key = await create(600);
    await gate.stopClock(t);
    const begin = gate.now();
    const ask = (count) =>
      Promise.all(Array.from({ length: count }, (_, n) => client.ask(gate.isolates[n % 8], bearer(key))));
    const answers = [];
    const passed = () => answers.filter(({ status }) => status === 200).length;
    // Those may have been counted.
    const lost = () => answers.filter((answer) => stalls.explains(answer)).length;
    // What is reserved by leases and not used is free again soon.
    while (passed() < 600 - lost()) {
      answers.push(...(await ask(37)));
      await gate.advance(100);
      assert.ok(gate.now() - begin < MINUTE, JSON.stringify(byStatus(answers)));
    }
    const { keyGate } = await gate.callsFor(key);
    t.diagnostic(
      `${JSON.stringify(byStatus(answers))} in ${gate.now() - begin} ms, ${keyGate} calls to the KeyGate; ${stalls}`,
    );
    assert.ok(keyGate < answers.length, "no lease was in play");
    const least = passed();
    answers.push(...(await ask(100)));
    assert.ok(passed() <= Math.min(600, least + lost()), `${passed()} passed; ${stalls}`);
    assert.equal(gate.origin.requests.length, passed());
    for (const answer of answers) assert.ok([200, 429].includes(answer.status) || stalls.explains(answer), answer.code);
  });
});

describe("a hot key", () => {
  it("of 100 requests a second through one isolate makes at most one call for 20 of them, and reads KV once", async (t) => {
    const key = await create(100_000);
    const [isolate] = gate.isolates;
    await gate.stopClock(t);
    await isolate.resetCounts();
    // Four connections, each of which waits for its answer.
    const use = async (seconds) => {
      const answers = [];
      for (let step = 0; step < seconds * 25; step++) {
        answers.push(...(await Promise.all(Array.from({ length: 4 }, () => client.ask(isolate, bearer(key))))));
        await gate.advance(40);
      }
      return answers;
    };
    const first = await use(1);
    const before = (await gate.callsFor(key)).keyGate;
    const { get } = (await isolate.counts()).kv;
    const answers = await use(20);
    const calls = (await gate.callsFor(key)).keyGate - before;
    t.diagnostic(
      `${answers.length} requests, ${calls} calls: one for ${(answers.length / calls).toFixed(1)}; in the first second ${first.length} and ${before}; ${get} reads of KV`,
    );
    for (const answer of answers) assert.ok(answer.status === 200 || stalls.explains(answer), answer.code);
    assert.ok(calls * 20 <= answers.length, `${calls} calls for ${answers.length}; ${stalls}`);
    assert.equal((await isolate.counts()).kv.get, get, "KV was read after the first second");
  });
});

describe("a key that is used once a minute", () => {
  it("costs a call for every other request at most", async () => {
    const key = await create(600);
    const before = (await gate.callsFor(key)).keyGate;
    for (let request = 1; request <= 10; request++) {
      assert.equal((await client.ask(gate.isolates[0], bearer(key))).status, 200);
      await gate.advance(MINUTE);
    }
    const calls = (await gate.callsFor(key)).keyGate - before;
    assert.ok(calls <= 5, `${calls} calls`);
  });
});
