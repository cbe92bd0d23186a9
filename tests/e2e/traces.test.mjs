// W3C Trace Context through the gate: whose trace a request belongs to, at the origin and in the log.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";

/** @import { Gate } from "./harness/gate.mjs" */

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const PARENT = `00-${TRACE}-${SPAN}-01`;

/** Not in the standard's form, each for another reason. */
const INVALID = [
  "",
  "00",
  PARENT.slice(0, -1),
  `${PARENT}0`,
  `${PARENT}-00`,
  PARENT.toUpperCase(),
  `00-${"0".repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${"0".repeat(16)}-01`,
  `ff-${TRACE}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}-0x`,
  `00_${TRACE}_${SPAN}_01`,
  `01-${TRACE}-${SPAN}-01x`,
  `00-${TRACE.slice(1)}-0${SPAN}-01`,
  `${PARENT}, ${PARENT}`,
  "0".repeat(20_000),
];

/**
 * What the origin gets of a trace.
 * @param {Gate} gate
 * @param {Record<string, string> | string[][]} headers
 */
async function atOrigin(gate, headers) {
  gate.origin.reset();
  const answer = await gate.send({ target: "/api/public/x", headers });
  assert.equal(answer.status, 200);
  const [{ headers: got }] = gate.origin.requests;
  return { id: /** @type {string} */ (answer.header("x-request-id")), parent: got.traceparent, state: got.tracestate };
}

describe("where a request has a line", () => {
  /** @type {Gate} */
  let gate;
  before(async () => {
    gate = await startGate({ edit: (text) => `${text}\n[log]\nrequests = "all"\n` });
  });
  after(() => gate.stop());
  beforeEach(() => gate.forgetLogs());

  const line = async (/** @type {string} */ id) => JSON.parse((await gate.logged(`"keyward.request.id":"${id}"`))[0]);

  it("it is the span between the client's and the origin's, in the same trace", async () => {
    for (const [traceparent, flags] of [
      [PARENT, "01"],
      [`00-${TRACE}-${SPAN}-00`, "00"],
      [`00-${TRACE}-${SPAN}-ff`, "03"],
      [`01-${TRACE}-${SPAN}-01`, "01"],
      [`cc-${TRACE}-${SPAN}-01-what-is-to-come`, "01"],
    ]) {
      const { id, parent, state } = await atOrigin(gate, { traceparent, tracestate: "a=1, b@c=2" });
      const span = id.slice(0, 16);
      assert.deepEqual([parent, state], [[`00-${TRACE}-${span}-${flags}`], ["a=1,b@c=2"]]);
      const { trace_id, span_id, parent_span_id } = await line(id);
      assert.deepEqual([trace_id, span_id, parent_span_id], [TRACE, span, SPAN]);
    }
  });

  it("what is no traceparent is replaced by a trace that begins here, and its tracestate does not go on", async () => {
    for (const traceparent of INVALID) {
      const { id, parent, state } = await atOrigin(gate, { traceparent, tracestate: "a=1" });
      assert.deepEqual([parent, state], [[`00-${id}-${id.slice(0, 16)}-03`], undefined], traceparent.slice(0, 80));
      const { trace_id, parent_span_id } = await line(id);
      assert.deepEqual([trace_id, parent_span_id], [id, undefined]);
    }
    const twice = [
      ["traceparent", PARENT],
      ["Traceparent", PARENT],
    ];
    const { id, parent } = await atOrigin(gate, twice);
    assert.deepEqual(parent, [`00-${id}-${id.slice(0, 16)}-03`]);
  });

  it("tracestate goes on within the standard's bounds", async () => {
    const entries = (/** @type {number} */ many, value = "1") =>
      Array.from({ length: many }, (_, i) => `k${i}=${value}`);
    for (const [sent, expected] of /** @type {[string, string | undefined][]} */ ([
      [entries(32).join(","), entries(32).join(",")],
      [entries(33).join(","), undefined],
      ["a=1,,b=2", "a=1,b=2"],
      ["A=1", undefined],
      ["a", undefined],
      ["a=1=2", undefined],
      [`a=${"x".repeat(257)}`, undefined],
      [[...entries(2), `long=${"x".repeat(200)}`, ...entries(20, "x".repeat(15))].join(","), undefined],
    ])) {
      const { state } = await atOrigin(gate, { traceparent: PARENT, tracestate: sent });
      if (expected === undefined && sent.includes("long=")) {
        const kept = state?.[0] ?? "";
        assert.ok(kept.length <= 512 && kept.length > 300 && !kept.includes("long="), kept);
        assert.ok(sent.startsWith("k0=1,k1=1") && kept.startsWith("k0=1,k1=1,k0="), kept);
      } else assert.deepEqual(state?.[0], expected, sent);
    }
  });
});

it("a request without a line is no span: the client's is its origin's parent, and what is in no form goes no further", async (t) => {
  const gate = await startGate();
  t.after(() => gate.stop());
  const passed = await atOrigin(gate, { traceparent: PARENT, tracestate: "a=1" });
  assert.deepEqual([passed.parent, passed.state], [[PARENT], ["a=1"]]);
  for (const headers of [
    ...INVALID.map((traceparent) => ({ traceparent, tracestate: "a=1" })),
    { tracestate: "a=1" },
    {},
  ]) {
    const { parent, state } = await atOrigin(gate, headers);
    assert.deepEqual([parent, state], [undefined, undefined]);
  }
});

it('with traces = "restart" no client\'s trace goes on', async (t) => {
  const gate = await startGate({ edit: (text) => `${text}\n[log]\nrequests = "all"\ntraces = "restart"\n` });
  t.after(() => gate.stop());
  const { id, parent, state } = await atOrigin(gate, { traceparent: PARENT, tracestate: "a=1" });
  assert.deepEqual([parent, state], [[`00-${id}-${id.slice(0, 16)}-03`], undefined]);
  const [line] = await gate.logged(`"keyward.request.id":"${id}"`);
  assert.ok(!line.includes(TRACE) && !line.includes(SPAN), line);
});
