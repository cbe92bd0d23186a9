// The line of the log for each request: of which requests there is one, what it says, and that it never holds what a client
// sends.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { bearer } from "./harness/traffic.mjs";

/** @import { Gate } from "./harness/gate.mjs" */

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

/** @param {string} log */
const withLog = (log) => ({ edit: (/** @type {string} */ text) => `${text}\n[log]\n${log}\n` });

/**
 * The lines of requests that were logged until now, without Keyward's own paths.
 * @param {Gate} gate
 */
async function lines(gate) {
  await gate.allLogged();
  const events = gate.logs.filter(({ message }) => message.startsWith("{")).map(({ message }) => JSON.parse(message));
  return events.filter(({ event }) => event === "request");
}

describe('with requests = "all"', () => {
  /** @type {Gate} */
  let gate;
  /** @type {any} */
  let made;
  before(async () => {
    gate = await startGate(withLog('requests = "all"'));
    const owner = await gate.owner();
    made = await owner.createKey({ scopes: ["orders:read"] });
  });
  after(() => gate.stop());
  beforeEach(async () => {
    gate.origin.reset();
    await gate.forgetLogs();
  });

  it("a request that passes has one line, which says whose it was, which route it took and what it waited for", async () => {
    const target = "/api/orders/7?customer=5";
    const headers = { ...bearer(made.plaintextKey), "MF-CF-Blob": JSON.stringify({ colo: "ZRH" }) };
    const answer = await gate.send({ target, headers });
    assert.equal(answer.status, 200);
    const [line, ...more] = await lines(gate);
    assert.deepEqual(more, []);
    const { "http.server.request.duration": duration, "keyward.wait.duration": wait = 0, ...told } = line;
    for (const name of ["store", "object", "origin"]) delete told[`keyward.${name}.duration`];
    const id = answer.header("x-request-id");
    assert.deepEqual(told, {
      event: "request",
      "http.request.method": "GET",
      "http.route": "/api/orders*",
      "http.response.status_code": 200,
      "url.scheme": "http",
      trace_id: id,
      span_id: id.slice(0, 16),
      "keyward.request.id": id,
      "keyward.realm": "default",
      "keyward.key.id": made.apiKey.id,
      "keyward.tenant.id": made.apiKey.tenantId,
      "keyward.colo": "ZRH",
    });
    assert.ok(duration >= wait && wait >= 0, `${duration} ${wait}`);
  });

  it("what is waited for stands in the line of who waited, each by its kind", async () => {
    const owner = await gate.owner().catch(() => gate.admin().signIn());
    const { plaintextKey } = await owner.createKey({ scopes: ["orders:read"] });
    await gate.isolates[0].faults({ "kv.get": { lagMs: 30 }, "KEY_GATE.fetch": { lagMs: 50 } });
    gate.origin.answer = (_, response) => setTimeout(() => response.end("x"), 70);
    await gate.forgetLogs();
    const answer = await gate.send({ target: "/api/orders", headers: bearer(plaintextKey) });
    await gate.isolates[0].faults({ "kv.get": null, "KEY_GATE.fetch": null });
    assert.equal(answer.status, 200);
    const [line] = (await lines(gate)).filter((line) => line["http.route"] === "/api/orders*");
    const seconds = (/** @type {string} */ name) => line[`keyward.${name}.duration`];
    // Timers may be early by a millisecond.
    assert.ok(
      seconds("store") >= 0.029 && seconds("object") >= 0.049 && seconds("origin") >= 0.069,
      JSON.stringify(line),
    );
    assert.ok(line["http.server.request.duration"] >= seconds("wait") + seconds("origin") - 0.001);
  });

  it("a refused request, a preflight, one whose origin fails, and Keyward's own paths have one each", async () => {
    const headers = bearer(made.plaintextKey);
    await gate.send({ target: "/api/orders" });
    await gate.send({ method: "POST", target: "/api/orders", headers });
    const preflight = { Origin: "https://app.example", "Access-Control-Request-Method": "GET" };
    await gate.send({ method: "OPTIONS", target: "/api/orders", headers: preflight });
    gate.origin.answer = { status: 500, body: "theirs" };
    await gate.send({ target: "/api/orders", headers });
    gate.origin.answer = (_, response) => response.socket?.destroy();
    await gate.send({ target: "/api/orders", headers });
    await gate.send({ target: "/healthz" });
    await gate.send({ target: "/api/admin/api-keys/key_x" });
    const told = (await lines(gate)).map((line) => [
      line["http.request.method"],
      line["http.response.status_code"],
      line["http.route"],
      line["error.type"],
      line["keyward.key.id"] === made.apiKey.id,
    ]);
    assert.deepEqual(told, [
      ["GET", 401, "/api/orders*", "MISSING_AUTHORIZATION", false],
      ["POST", 403, "/api/orders*", "INSUFFICIENT_SCOPE", true],
      ["OPTIONS", 204, undefined, undefined, false],
      ["GET", 500, "/api/orders*", undefined, true],
      ["GET", 502, "/api/orders*", "ORIGIN_UNREACHABLE", true],
      ["GET", 200, "/healthz", undefined, false],
      ["GET", 401, "/api/admin/*", undefined, false],
    ]);
  });

  it("no line holds what a client sends, wherever a credential stands", async () => {
    const key = made.plaintextKey;
    const tail = key.slice(8);
    const hex = "5ec4e7".repeat(8);
    const places = [
      { target: `/api/orders?api_key=${key}` },
      { target: `/api/orders/${key}` },
      { target: `/api/public/${key}/x?y=${hex}` },
      { target: `/${key}`, host: "nobody.example" },
      { target: "/api/public/x", host: `${tail}.example` },
      { target: "/api/public/x", host: `user:${tail}@api.example` },
      { target: "/api/public/x", method: tail.toUpperCase().slice(0, 20) },
      ...[
        "User-Agent",
        "Referer",
        "Origin",
        "Cookie",
        "X-Request-Id",
        "Traceparent",
        "Tracestate",
        "Baggage",
        "Keyward-Timing",
        "Keyward-Request-Id",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "Upgrade",
        "Proxy-Authorization",
        "Authorization",
        "Server-Timing",
        key,
      ].flatMap((name) => [
        { target: "/api/orders", headers: { [name]: key } },
        { target: "/api/public/x", headers: { [name]: `a=${key}` } },
        { target: "/api/public/x", headers: { [name]: `00-${hex}-${tail}-01` } },
      ]),
      { target: "/api/public/x", headers: { Traceparent: `00-${TRACE}-${SPAN}-01`, Tracestate: `a=${tail}` } },
    ];
    for (const request of places) await gate.send(request).catch(() => {});
    const told = await lines(gate);
    assert.ok(told.length > 50, `${told.length}`);
    const said = JSON.stringify(gate.logs).toLowerCase();
    for (const secret of [key, tail, hex.slice(0, 32)]) assert.ok(!said.includes(secret.toLowerCase()), secret);
    const known = new Set(["GET", "POST", "_OTHER"]);
    for (const line of told) assert.ok(known.has(line["http.request.method"]) && !("server.address" in line));
  });
});

it("without [log] only refusals have lines, and a request that passes costs none", async (t) => {
  const gate = await startGate();
  t.after(() => gate.stop());
  assert.equal((await gate.send({ target: "/api/public/x" })).status, 200);
  assert.equal((await gate.send({ target: "/api/orders" })).status, 401);
  assert.deepEqual(
    (await lines(gate)).map((line) => [line["error.type"], line["keyward.reason"]]),
    [["MISSING_AUTHORIZATION", "missing_credential"]],
  );
});

it('with requests = "none" no request has a line', async (t) => {
  const gate = await startGate(withLog('requests = "none"'));
  t.after(() => gate.stop());
  await gate.send({ target: "/api/public/x" });
  await gate.send({ target: "/api/orders" });
  gate.origin.answer = (_, response) => response.socket?.destroy();
  assert.equal((await gate.send({ target: "/api/public/x" })).status, 502);
  assert.deepEqual(await lines(gate), []);
});

it("requests are sampled by their traces, so that a trace is whole, and refusals have lines anyway", async (t) => {
  const gate = await startGate(withLog('requests = "sampled"\none_in = 4'));
  t.after(() => gate.stop());
  const sent = [];
  for (let i = 0; i < 16; i++) {
    // What decides are the last 56 bits.
    const trace = `${TRACE.slice(0, 18)}${i.toString(16)}${TRACE.slice(19)}`;
    for (const span of [SPAN, SPAN.replace("0", "1")]) {
      const answer = await gate.send({ target: "/api/public/x", headers: { traceparent: `00-${trace}-${span}-00` } });
      assert.equal(answer.status, 200);
    }
    sent.push(trace);
  }
  const unsampled = { traceparent: `00-${sent[0]}-${SPAN}-00` };
  await gate.send({ target: "/api/orders", headers: unsampled });
  const told = await lines(gate);
  const passed = told.filter((line) => line["error.type"] === undefined).map((line) => line.trace_id);
  assert.deepEqual(
    passed,
    sent.slice(12).flatMap((trace) => [trace, trace]),
  );
  assert.deepEqual(
    told.filter((line) => line["error.type"]).map((line) => line.trace_id),
    [sent[0]],
  );
});
