// What a client is told of its limits: `RateLimit` and `Retry-After`, with leases in play and without.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { Stalls } from "./harness/stalls.mjs";
import { bearer, Client, MINUTE } from "./harness/traffic.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
/** @type {Client} */
let client;
before(async () => {
  gate = await startGate();
  owner = await gate.owner();
  client = new Client();
});
after(async () => {
  client.close();
  await gate.stop();
});
beforeEach(() => gate.setClock(0));

const create = async (perMinute) => (await owner.createKey({ rateLimit: { perMinute, perDay: null } })).plaintextKey;
const ask = (key) => client.ask(gate.isolates[0], bearer(key));
const remaining = ({ headers }) => Number(headers.ratelimit.match(/^"minute";r=(\d+);t=\d+$/)[1]);
const retryAfter = ({ headers }) => Number(headers["retry-after"]);

/** Sends a batch of requests every 50 ms until one is refused, which is returned. */
async function exhaust(key, limit, atOnce) {
  for (let passed = 0; ; passed++) {
    if (passed % atOnce === 0) await gate.advance(50);
    const answer = await ask(key);
    if (answer.status !== 200) {
      assert.deepEqual([answer.status, passed], [429, limit]);
      return answer;
    }
  }
}

describe("`remaining`, for a client that sends one request after the other", () => {
  it("falls by one with each request where there are no leases", async () => {
    const key = await create(20);
    await gate.stopClock();
    for (let left = 19; left >= 0; left--) {
      assert.equal(remaining(await ask(key)), left);
      await gate.advance(700);
    }
    assert.equal(remaining(await ask(key)), 0);
  });

  it("never rises within a window where there are, nor is it ever too high", async (t) => {
    const stalls = new Stalls(gate.isolates[0]);
    t.after(() => stalls.stop());
    const key = await create(2_000);
    await gate.stopClock();
    const begin = gate.now();
    const passed = () => gate.now() - begin;
    const seen = [];
    // Hot for a while, then slow, so that leases end unused.
    for (; passed() < 15_000; await gate.advance(Math.floor(passed() / 2_500) % 2 ? 400 : 10)) {
      const answer = await ask(key);
      if (stalls.explains(answer)) continue;
      assert.equal(answer.status, 200, answer.code);
      seen.push({ sent: seen.length + 1, left: remaining(answer), at: passed() });
    }
    const { keyGate } = await gate.callsFor(key);
    t.diagnostic(`${seen.length} requests, ${keyGate} calls to the KeyGate`);
    assert.ok(keyGate < seen.length / 2, "no lease was in play");
    const rises = seen.filter(({ left }, i) => i > 0 && left > seen[i - 1].left);
    assert.deepEqual(rises, []);
    assert.deepEqual(
      seen.filter(({ sent, left }) => left > 2_000 - sent),
      [],
    );
  });
});

describe("`Retry-After`", () => {
  async function isExact(key, refused) {
    const seconds = retryAfter(refused);
    assert.ok(seconds > 1 && seconds * 1_000 <= MINUTE, `${seconds}`);
    await gate.advance((seconds - 1) * 1_000);
    const early = await ask(key);
    assert.deepEqual([early.status, retryAfter(early)], [429, 1], "one second less was enough");
    await gate.advance(1_000);
    assert.equal((await ask(key)).status, 200, "it was not enough");
  }

  it("lets the next request through if waited for, and not a second earlier", async () => {
    const key = await create(3);
    await gate.stopClock();
    await isExact(key, await exhaust(key, 3, 1));
  });

  it("so it does for a key that was hot enough for leases", async (t) => {
    const key = await create(300);
    await gate.stopClock();
    const refused = await exhaust(key, 300, 5);
    const { keyGate } = await gate.callsFor(key);
    t.diagnostic(`${keyGate} calls to the KeyGate for 300 requests`);
    assert.ok(keyGate < 150, "no lease was in play");
    await isExact(key, refused);
  });
});
