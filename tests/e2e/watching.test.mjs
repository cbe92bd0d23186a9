// What an operator learns of requests beside the log: their times, and counts in Analytics Engine.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { bearer } from "./harness/traffic.mjs";

/** @import { Gate } from "./harness/gate.mjs" */

const TOKEN = "t1ming-".repeat(6);
const TIMES = /^gate;dur=\d+, store;dur=\d+, object;dur=\d+, origin;dur=\d+$/;

describe("Server-Timing", () => {
  /** @type {Gate} */
  let gate;
  /** @type {string} */
  let key;
  before(async () => {
    gate = await startGate({ secrets: { KEYWARD_TIMING_TOKEN: TOKEN } });
    const owner = await gate.owner();
    ({ plaintextKey: key } = await owner.createKey({ scopes: ["orders:read"] }));
  });
  after(() => gate.stop());
  beforeEach(() => gate.origin.reset());

  const ask = (/** @type {Record<string, string>} */ headers) => gate.send({ target: "/api/orders", headers });

  it("is for who shows the token, beside what the origin says, and the token goes no further", async () => {
    gate.origin.answer = { headers: { "server-timing": "db;dur=3" }, body: "x" };
    const answer = await ask({ ...bearer(key), "Keyward-Timing": TOKEN });
    assert.equal(answer.status, 200);
    const [theirs, own] = answer.all("server-timing").flatMap((value) => value.split(/(?<=dur=3), /));
    assert.equal(theirs, "db;dur=3");
    assert.match(own, TIMES);
    const [recorded] = gate.origin.requests;
    assert.ok(!JSON.stringify(recorded.rawHeaders).includes(TOKEN));
    await gate.allLogged();
    assert.ok(!gate.logs.some(({ message }) => message.includes(TOKEN)));
  });

  it("is there on a refusal, too, and says what was waited for", async () => {
    const answer = await ask({ "Keyward-Timing": TOKEN });
    assert.equal(answer.status, 401);
    assert.match(answer.header("server-timing"), TIMES);
    gate.origin.answer = (_, response) => response.socket?.destroy();
    const failed = await ask({ ...bearer(key), "Keyward-Timing": TOKEN });
    assert.equal(failed.status, 502);
    assert.match(failed.header("server-timing"), TIMES);
    gate.origin.answer = (_, response) => setTimeout(() => response.end("x"), 60);
    const slow = await ask({ ...bearer(key), "Keyward-Timing": TOKEN });
    assert.ok(Number(slow.header("server-timing").match(/origin;dur=(\d+)/)[1]) >= 59);
  });

  it("is for nobody else, whatever they show", async () => {
    gate.origin.answer = { headers: { "server-timing": "db;dur=3" }, body: "x" };
    const shown = ["", "1", TOKEN.slice(0, -1), `${TOKEN}x`, `${TOKEN}, ${TOKEN}`, TOKEN.toUpperCase()];
    for (const token of [...shown, gate.secrets.KEYWARD_SECRET, key]) {
      const answer = await ask({ ...bearer(key), "Keyward-Timing": /** @type {string} */ (token) });
      assert.deepEqual(answer.all("server-timing"), ["db;dur=3"], token);
    }
    const answer = await ask({ ...bearer(key), Keyward_Timing: TOKEN, "Server-Timing": TOKEN });
    assert.deepEqual(answer.all("server-timing"), ["db;dur=3"]);
  });

  it("is for nobody where there is no token, or one that can be guessed", async (t) => {
    for (const token of [undefined, "guess me", ""]) {
      const other = await startGate({ secrets: { KEYWARD_TIMING_TOKEN: token } });
      t.after(() => other.stop());
      const headers = { "Keyward-Timing": token ?? TOKEN };
      const answer = await other.send({ target: "/api/public/x", headers });
      assert.deepEqual([answer.status, answer.all("server-timing")], [200, []]);
    }
  });
});

describe("with a data set bound", () => {
  /** @type {Gate} */
  let gate;
  before(async () => {
    gate = await startGate({ analytics: true });
  });
  after(() => gate.stop());

  it("each request is one data point, by realm, route, code and location", async () => {
    const owner = await gate.owner();
    const { plaintextKey } = await owner.createKey({ scopes: ["orders:read"] });
    const [isolate] = gate.isolates;
    await isolate.resetCounts();
    const cf = { "MF-CF-Blob": JSON.stringify({ colo: "ZRH" }) };
    const headers = { ...bearer(plaintextKey), ...cf };
    await gate.send({ target: `/api/orders/7?x=${plaintextKey.slice(8)}`, headers });
    await gate.send({ method: "POST", target: "/api/orders/7", headers });
    await gate.send({ target: "/nowhere", headers: cf });
    gate.origin.answer = (_, response) => response.socket?.destroy();
    await gate.send({ target: "/api/public/x", headers: cf });
    await gate.send({ target: "/readyz", headers: cf });
    const { points } = await isolate.counts();
    assert.ok(!JSON.stringify(points).includes(plaintextKey.slice(8)));
    const counted = points.map(({ indexes, blobs }) => [indexes, blobs]);
    assert.deepEqual(counted, [
      [["default"], ["default", "/api/orders*", "PASSED", "ZRH", "GET", "200"]],
      [["default"], ["default", "/api/orders*", "INSUFFICIENT_SCOPE", "ZRH", "POST", "403"]],
      [[""], ["", "", "NO_REALM", "ZRH", "GET", "404"]],
      [["default"], ["default", "/api/public/*", "ORIGIN_UNREACHABLE", "ZRH", "GET", "502"]],
      [[""], ["", "/readyz", "PASSED", "ZRH", "GET", "200"]],
    ]);
    for (const { doubles } of points) {
      assert.ok(doubles?.length === 3 && doubles.every((double) => double >= 0), JSON.stringify(doubles));
    }
  });

  it("a point that cannot be written is told in the log, and refuses nobody", async () => {
    await gate.forgetLogs();
    gate.origin.reset();
    await gate.isolates[0].faults({ "ANALYTICS.writeDataPoint": { throws: true } });
    assert.equal((await gate.send({ target: "/api/public/x" })).status, 200);
    assert.equal((await gate.send({ target: "/api/orders" })).status, 401);
    await gate.isolates[0].faults({ "ANALYTICS.writeDataPoint": null });
    await gate.loggedTimes(2, '"event":"store unavailable"', '"store":"ANALYTICS"');
  });
});
