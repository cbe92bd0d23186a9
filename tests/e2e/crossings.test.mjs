// How often JavaScript and wasm call each other for a request: each crossing costs, and one more is not seen in a benchmark.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { bearer } from "./harness/traffic.mjs";

/** The most requests that are looked at, until one needs no more: the gate also works behind answers, whenever that is due. */
const TRIES = 50;
/** Before each, as many as have the gate hold a lease for the key. */
const AT_ONCE = 10;

describe("for a request that waits for nothing, JavaScript and wasm call each other at most", () => {
  /** @type {Awaited<ReturnType<typeof startGate>>} */
  let gate;
  /** @type {{ Authorization: string }} */
  let headers;

  before(async () => {
    gate = await startGate();
    const admin = await gate.owner();
    const rateLimit = { perMinute: 100_000, perDay: null };
    headers = bearer((await admin.createKey({ scopes: ["orders:read"], rateLimit })).plaintextKey);
    // The calls of an instance are counted that was made since the gate runs.
    await gate.isolates[0].trap();
    assert.equal((await gate.send({ target: "/api/orders" })).status, 500);
  });
  after(() => gate.stop());

  /**
   * @param {{ request: import("../../types/e2e.js").RequestToSend, status: number }} asked
   * @param {number} most
   */
  async function assertFew({ request, status }, most) {
    const [isolate] = gate.isolates;
    const seen = [];
    while (seen.length < TRIES && !(seen.at(-1) <= most)) {
      await Promise.all(Array.from({ length: AT_ONCE }, () => isolate.send(request)));
      await isolate.resetCounts();
      assert.equal((await isolate.send(request)).status, status);
      seen.push((await isolate.counts()).crossings);
    }
    assert.ok(seen.at(-1) > 0 && seen.at(-1) <= most, `${seen}`);
  }

  it("6 times with a hot key", async () => {
    const request = { target: "/api/orders", headers };
    await assertFew({ request, status: 200 }, 6);
  });

  it("6 times on a public route", async () => {
    const request = { target: "/api/public/x" };
    await assertFew({ request, status: 200 }, 6);
  });

  it("11 times for a refusal, with its line of the log", async () => {
    const none = { request: { target: "/api/orders" }, status: 401 };
    const noScope = { request: { target: "/api/orders", headers, method: "POST" }, status: 403 };
    for (const refusal of [none, noScope]) await assertFew(refusal, 11);
  });
});
