// A key that many isolates use at once, so that its object sends them to relays: every promise holds
// through those, and a relay that is gone is not missed.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";

import { gather, scatter } from "./harness/crowd.mjs";
import { startGate } from "./harness/gate.mjs";
import { Stalls } from "./harness/stalls.mjs";
import { atRate, bearer, byStatus, Client, mostWithin, sleep, spread } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const ISOLATES = 8;

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
/** @type {Client} */
let client;
before(async () => {
  gate = await startGate({ isolates: ISOLATES });
  owner = await gate.owner();
  client = new Client();
});
after(async () => {
  await scatter();
  client.close();
  await gate.stop();
});
beforeEach(() => {
  gate.origin.reset();
  gate.origin.answer = { status: 200, headers: {}, body: "" };
});
afterEach(() => gate.objects.faults({ "Relay.fetch": null }));

const create = (perMinute) => owner.createKey({ rateLimit: { perMinute, perDay: null } });
const ask = (key, number) => client.ask(gate.isolates[number % ISOLATES], bearer(key));
const everywhere = async (key) =>
  (await Promise.all(gate.isolates.map((_, number) => ask(key, number)))).map(({ status }) => status);
const all = (status) => new Array(ISOLATES).fill(status);

/** Every isolate asks relays from here on. */
async function gathered(perMinute) {
  const made = await create(perMinute);
  const leave = await gather(gate, made.plaintextKey);
  assert.deepEqual(await everywhere(made.plaintextKey), all(200));
  return { ...made, key: made.plaintextKey, leave };
}

describe("a key that a crowd uses", () => {
  it("never passes more often than its limit allows", async (t) => {
    const { key } = await gathered(100);
    const begin = Date.now();
    const passed = () => gate.origin.requests.length;
    let sent = 0;
    const answers = await atRate(
      60,
      // All of it within one minute, so that the limit is for all that pass.
      () => (sent >= 480 && passed() >= 95) || Date.now() - begin > 40_000,
      (n) => {
        sent = n + 1;
        return ask(key, n);
      },
    );
    const { keyGate, relays } = await gate.callsFor(key);
    t.diagnostic(
      `${JSON.stringify(byStatus(answers))}, ${relays} calls to relays, ${keyGate} to the KeyGate with those of the crowd`,
    );
    assert.ok(relays > 0);
    assert.ok(mostWithin(gate.origin.requests.map(({ at }) => at)) <= 100);
    assert.ok(passed() >= 95, `only ${passed()} passed`);
  });

  it("is refused everywhere by the time that was promised when it is revoked", async (t) => {
    const stalls = new Stalls(gate.isolates[0]);
    t.after(() => stalls.stop());
    const keys = [];
    for (let i = 0; i < 10; i++) keys.push(await gathered(100_000));
    const rounds = await Promise.all(
      keys.map(async ({ key, apiKey, leave }, number) => {
        await sleep(number * 700);
        let by = Infinity;
        const using = atRate(
          20,
          () => Date.now() > by + 300,
          (n) => ask(key, n),
        );
        await sleep(2_000);
        const revoked = await owner.revoke(apiKey.id);
        const acknowledged = Date.now();
        by = Date.parse(revoked.refusedEverywhereBy);
        const answers = await using;
        await leave();
        const { relays } = await gate.callsFor(key);
        const last = await waitFor("an answer that is no stall's", async () => {
          const statuses = await everywhere(key);
          return !statuses.includes(503) && statuses;
        });
        return { id: apiKey.id, acknowledged, by, relays, answers, last };
      }),
    );
    const latest = new Map(gate.origin.requests.map(({ at, headers }) => [headers["keyward-key-id"][0], at]));
    const delays = rounds.map(({ id, acknowledged, by, relays, answers, last }) => {
      assert.ok(by <= acknowledged + 5_000);
      assert.ok(
        answers.every(({ status, sentAt }) => status !== 200 || sentAt <= by),
        "it passed although it was sent too late",
      );
      const late = stalls.earliest(latest.get(id)) - by;
      assert.ok(late <= 0, `a request reached the origin ${late} ms too late; ${stalls}`);
      assert.deepEqual(last, all(401));
      assert.ok(relays > ISOLATES);
      return Math.max(0, latest.get(id) - acknowledged);
    });
    t.diagnostic(`${stalls}; ms from the acknowledgement to the last that passed: ${spread(delays)}`);
  });

  it("is asked for at its own object when its relays fail", async () => {
    const { key } = await gathered(20);
    await gate.objects.faults({ "Relay.fetch": { fail: true } });
    const before = await gate.callsFor(key);
    assert.deepEqual(await everywhere(key), all(200));
    const after = await gate.callsFor(key);
    assert.equal(after.relays, before.relays + ISOLATES);
    assert.ok(after.keyGate >= before.keyGate + ISOLATES);
    await everywhere(key);
    // An isolate may keep one or two, since it may get more requests.
    assert.ok([18, 19, 20].includes(gate.origin.requests.length), `${gate.origin.requests.length} passed`);
  });

  it("is asked for at relays, until the crowd is gone", async (t) => {
    // Of a key that admits more, relays would be asked first.
    const { key, leave } = await gathered(2_000);
    assert.equal((await gate.callsFor(key)).relays, 0);
    assert.deepEqual(await everywhere(key), all(200));
    const crowded = await gate.callsFor(key);
    assert.equal(crowded.relays, ISOLATES);
    await leave();
    await gate.advance(6_000);
    // Their next calls still go there, and bring the news.
    assert.deepEqual(await everywhere(key), all(200));
    await gate.advance(6_000);
    const before = await gate.callsFor(key);
    assert.deepEqual(await everywhere(key), all(200));
    const after = await gate.callsFor(key);
    t.diagnostic(JSON.stringify({ crowded, before, after }));
    assert.equal(after.relays, before.relays);
    assert.ok(after.keyGate >= before.keyGate + ISOLATES);
  });
});
