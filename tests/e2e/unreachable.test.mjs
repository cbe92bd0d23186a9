// What passes while a key's object cannot be reached: what a lease covers; then nothing, or, where the
// realm says `limits_unavailable = "allow_local"`, a small part of the limit that is counted afterwards.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Admin } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";
import { bearer, Client, MINUTE } from "./harness/traffic.mjs";

const DOWN = { fail: true };
/** What has failed is asked again after this many milliseconds at the latest. */
const PAUSE = 5_000;

async function start(t, options) {
  const gate = await startGate({ isolates: 2, ...options });
  const client = new Client();
  t.after(() => {
    client.close();
    return gate.stop();
  });
  gate.origin.answer = { status: 200, headers: {}, body: "" };
  await gate.stopClock();
  return { gate, client };
}

/** How many requests pass one after the other, and the answer that ended it. */
async function untilRefused(ask) {
  for (let passed = 0; ; passed++) {
    const answer = await ask();
    if (answer.status !== 200)
      return { passed, status: answer.status, code: answer.code, retryAfter: Number(answer.headers["retry-after"]) };
  }
}

/** Most requests of the first lease of a key, and its length in milliseconds. */
const FIRST_LEASE = 8;
const LONGEST_LEASE = 180_000;

const UNAVAILABLE = { status: 503, code: "STORE_UNAVAILABLE" };

function isUnavailable({ passed, retryAfter, ...answer }, least, most = least) {
  assert.deepEqual(answer, UNAVAILABLE);
  assert.ok(passed >= least && passed <= most, `${passed} passed`);
  assert.ok(retryAfter >= 1);
}

describe("with the key's object and KV out of reach", () => {
  it("requests pass as long as a lease lives, and not longer", async (t) => {
    const { gate, client } = await start(t);
    const { plaintextKey: key } = await (await gate.owner()).createKey({
      rateLimit: { perMinute: 10_000, perDay: null },
    });
    const [isolate] = gate.isolates;
    const ask = () => client.ask(isolate, bearer(key));
    for (let i = 0; i < 100; i++) {
      if (i % 5 === 0) await gate.advance(50);
      assert.equal((await ask()).status, 200);
    }
    await gate.objects.faults({ "KeyGate.fetch": DOWN });
    await isolate.faults({ "kv.get": DOWN });
    for (let i = 0; i < 5; i++) assert.equal((await ask()).status, 200);
    await gate.advance(LONGEST_LEASE);
    isUnavailable(await untilRefused(ask), 0);
    isUnavailable(await untilRefused(() => client.ask(gate.isolates[1], bearer(key))), 0);
  });
});

describe('a realm of `limits_unavailable = "allow_local"`', () => {
  async function startLocal(t) {
    const { gate, client } = await start(t, { policy: "e2e" });
    const owner = await new Admin(gate.url, "/console/api").setUp(gate.secrets.KEYWARD_SETUP_TOKEN);
    const { plaintextKey: key } = await owner.createKey({
      realm: "local",
      scopes: ["things:read"],
      rateLimit: { perMinute: 100, perDay: null },
    });
    const ask = (number, target = "/things/1") =>
      client.ask(gate.isolates[number], bearer(key), { target, host: "local.test" });
    return { gate, ask };
  }

  it("lets a tenth of the limit pass in each isolate, for a minute, and counts it when the object answers again", async (t) => {
    const { gate, ask } = await startLocal(t);
    assert.equal((await ask(0)).status, 200);
    await gate.objects.faults({ "KeyGate.fetch": DOWN });
    // After what is left of the lease.
    isUnavailable(await untilRefused(() => ask(0)), 10, 10 + FIRST_LEASE);
    isUnavailable(await untilRefused(() => ask(1)), 10);
    await gate.advance(MINUTE - 1_000 - PAUSE);
    for (const number of [0, 1]) isUnavailable(await untilRefused(() => ask(number)), 0);
    await gate.objects.faults({ "KeyGate.fetch": null });
    await gate.advance(PAUSE);
    let sent = 0;
    assert.equal((await untilRefused(() => ask(sent++ % 2))).status, 429);
    // Each isolate may keep a few of the last.
    const all = gate.origin.requests.length;
    assert.ok(all >= 88 && all <= 100, `${all} passed`);
  });

  it("refuses everything after that minute, until the object answers", async (t) => {
    const { gate, ask } = await startLocal(t);
    await gate.objects.faults({ "KeyGate.fetch": DOWN });
    isUnavailable(await untilRefused(() => ask(0)), 10);
    for (const ms of [MINUTE, MINUTE]) {
      await gate.advance(ms);
      isUnavailable(await untilRefused(() => ask(0)), 0);
    }
    await gate.objects.faults({ "KeyGate.fetch": null });
    await gate.advance(PAUSE);
    assert.equal((await ask(0)).status, 200);
    await gate.objects.faults({ "KeyGate.fetch": DOWN });
    isUnavailable(await untilRefused(() => ask(0)), 10, 10 + FIRST_LEASE);
  });

  it("lets nothing pass on a route of freshness 0", async (t) => {
    const { gate, ask } = await startLocal(t);
    assert.equal((await ask(0, "/strict/1")).status, 200);
    await gate.objects.faults({ "KeyGate.fetch": DOWN });
    isUnavailable(await untilRefused(() => ask(0, "/strict/1")), 0);
    isUnavailable(await untilRefused(() => ask(0)), 10);
  });
});
