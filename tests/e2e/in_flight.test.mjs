// The limit of requests of a key at the same time, over all isolates: streams that go on, that end, and that never do.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";

import { startGate } from "./harness/gate.mjs";
import { open } from "./harness/http.mjs";
import { bearer } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
before(async () => {
  gate = await startGate({ isolates: 2 });
  owner = await gate.owner();
});
after(() => gate.stop());
beforeEach(async () => {
  await gate.setClock(0);
  gate.origin.reset();
  await owner.signIn();
});

/** Answers with streams that go on until the test ends them. */
function streams() {
  const responses = [];
  gate.origin.answer = (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("data: begins\n\n");
    responses.push(response);
  };
  return responses;
}

const target = "/api/orders";
const inFlight = async (limit) => (await owner.createKey({ rateLimit: { inFlight: limit } })).plaintextKey;
const begin = (key, isolate = 0) => open(gate.isolates[isolate].url, { target, headers: bearer(key) });
const ask = (key, isolate = 0) => gate.isolates[isolate].send({ target, headers: bearer(key) });
const isOpenAgain = (key) => waitFor("room for one more", async () => (await begin(key)).status === 200);

it("with three in flight the fourth is told so, in both isolates, and passes once one has ended", async () => {
  const responses = streams();
  const { plaintextKey, apiKey } = await owner.createKey({ rateLimit: { inFlight: 3 } });
  assert.equal(apiKey.effectiveRateLimit.inFlight, 3);
  const begun = await Promise.all([begin(plaintextKey), begin(plaintextKey, 1), begin(plaintextKey)]);
  assert.deepEqual(
    begun.map(({ status }) => status),
    [200, 200, 200],
  );
  for (const isolate of [0, 1]) {
    const answer = await ask(plaintextKey, isolate);
    assert.deepEqual([answer.status, answer.json().code, answer.header("retry-after")], [429, "RATE_LIMITED", "1"]);
    assert.deepEqual(answer.json().violatedPolicies, ["in-flight"]);
    assert.match(answer.json().detail, /3 requests in flight/);
    // What was refused took nothing from the window.
    assert.match(answer.header("ratelimit"), /"minute";r=597\b/);
  }
  assert.equal(gate.origin.requests.length, 3);
  responses[1].end("data: ends\n\n");
  await isOpenAgain(plaintextKey);
  for (const response of responses) response.end();
  await Promise.all(begun.map((answer) => answer.read()));
});

it("of many that come at once exactly as many pass as may", async () => {
  const responses = streams();
  const key = await inFlight(5);
  const all = await Promise.all(Array.from({ length: 24 }, (_, i) => begin(key, i % 2)));
  assert.deepEqual(all.map(({ status }) => status).filter((status) => status === 200).length, 5);
  assert.equal(responses.length, 5);
  for (const response of responses) response.end();
});

it("one whose client goes away, or whose origin breaks off, makes room", async () => {
  const responses = streams();
  const key = await inFlight(1);
  const gone = await begin(key);
  gone.socket.resetAndDestroy();
  await waitFor("the origin's request to end with it", () => responses[0].destroyed);
  await isOpenAgain(key);
  responses.at(-1).destroy();
  await isOpenAgain(key);
  responses.at(-1).end();
});

it("one that the origin never answers is forgotten after a minute", async () => {
  gate.origin.hang();
  const key = await inFlight(1);
  const hangs = begin(key);
  hangs.catch(() => {});
  await gate.origin.received(1);
  assert.equal((await ask(key, 1)).status, 429);
  await gate.advance(59_000);
  assert.equal((await ask(key, 1)).status, 429);
  await gate.advance(1_500);
  gate.origin.answer = undefined;
  assert.equal((await ask(key, 1)).status, 200);
});

describe("what is watched passes as it came", () => {
  const body = Buffer.from("a text that is long enough. ".repeat(2_000));
  const cases = {
    "with its length": [{ "content-length": String(body.length), "x-own": "1" }, body],
    "in chunks": [{}, body],
    compressed: [{ "content-encoding": "gzip", "content-length": String(gzipSync(body).length) }, gzipSync(body)],
    empty: [{ "content-length": "0" }, Buffer.alloc(0)],
  };
  for (const [name, [headers, sent]] of Object.entries(cases)) {
    it(name, async () => {
      gate.origin.answer = (_, response) => {
        response.writeHead(201, { "content-type": "text/plain", ...headers, "set-cookie": ["a=1", "b=2"] });
        response.end(sent);
      };
      const key = await inFlight(1);
      for (let round = 0; round < 3; round++) {
        const answer = await waitFor("an answer", async () => {
          const answer = await gate.send({ target, headers: { ...bearer(key), "accept-encoding": "gzip" } });
          return answer.status === 429 ? undefined : answer;
        });
        assert.equal(answer.status, 201);
        assert.deepEqual(answer.all("set-cookie"), ["a=1", "b=2"]);
        const got = answer.header("content-encoding") === "gzip" ? gunzipSync(answer.body) : answer.body;
        assert.ok(got.equals(name === "empty" ? sent : body));
      }
    });
  }

  it("a part of what is compressed, which nobody can decode by itself", async () => {
    const part = gzipSync(body).subarray(20, 60);
    gate.origin.answer = (_, response) => {
      response.writeHead(206, { "content-encoding": "gzip", "content-range": `bytes 20-59/${gzipSync(body).length}` });
      response.end(part);
    };
    const key = await inFlight(1);
    for (let round = 0; round < 3; round++) {
      const headers = { ...bearer(key), "accept-encoding": "gzip", range: "bytes=20-59" };
      const answer = await waitFor("an answer", async () => {
        const answer = await gate.send({ target, headers });
        return answer.status === 429 ? undefined : answer;
      });
      assert.deepEqual([answer.status, answer.header("content-encoding")], [206, "gzip"]);
      assert.ok(part.equals(answer.body), answer.body.toString("hex"));
    }
  });

  it("no body at all, and HEAD", async () => {
    const key = await inFlight(1);
    gate.origin.answer = { status: 204, headers: {}, body: "" };
    for (let round = 0; round < 3; round++) await waitFor("204", async () => (await ask(key)).status === 204);
    gate.origin.answer = { status: 200, headers: { "content-length": "7" }, body: "1234567" };
    const head = { method: "HEAD", target, headers: bearer(key) };
    const answer = await waitFor("200", async () => {
      const answer = await gate.send(head);
      return answer.status === 200 ? answer : undefined;
    });
    assert.equal(answer.header("content-length"), "7");
    assert.equal((await waitFor("200 again", async () => (await gate.send(head)).status === 200)) !== undefined, true);
  });
});

it("the default of the policy holds for every key, and a limit above what there can be is refused", async () => {
  await owner.invalid(["rateLimit.inFlight"], "POST", "/api-keys", {
    name: "x",
    scopes: ["orders:read"],
    rateLimit: { inFlight: 1_001 },
  });
});
