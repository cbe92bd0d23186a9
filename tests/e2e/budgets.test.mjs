// Budgets: a request reserves, the origin's answer says what it used, and no more than the limit is ever used by the origin's own
// account, with concurrent streams over two isolates.

import assert from "node:assert/strict";
import { after, before, beforeEach, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { open } from "./harness/http.mjs";
import { bearer } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const RESERVED = 1_000;

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
before(async () => {
  gate = await startGate({ policy: "tests/e2e/policies/budgets.toml", isolates: 2 });
  owner = await gate.owner();
});
after(() => gate.stop());
beforeEach(async () => {
  await gate.setClock(0);
  gate.origin.reset();
  await owner.signIn();
  await gate.stopClock();
});

const newKey = async (perHour) => {
  const fields = { realm: "models", scopes: ["models:use"], rateLimit: { perHour } };
  return (await owner.createKey(fields)).plaintextKey;
};
const chat = (key, isolate = 0) => gate.isolates[isolate].send({ target: "/api/chat", headers: bearer(key) });
/** The origin answers that so many tokens were used. */
const uses = (tokens) => {
  gate.origin.answer = { status: 200, headers: { "x-tokens-used": String(tokens) }, body: "said" };
};
/** Waits until exactly so much is left, as plain requests are told, each of which that passes takes one itself. */
const isLeft = (key, expected) => {
  let passed = 0;
  return waitFor(`${expected} left`, async () => {
    // An isolate takes a full window for full for a moment.
    await gate.advance(1_000);
    const answer = await gate.isolates[1].send({ target: "/api/plain", headers: bearer(key) });
    if (answer.status !== 200) return false;
    const [, left] = answer.header("ratelimit").match(/"hour";r=(\d+)/);
    return Number(left) === expected - ++passed;
  });
};

it("what the header says counts, exactly to the unit, and the client does not see it", async () => {
  const key = await newKey(10_000);
  uses(123);
  const answer = await chat(key);
  assert.deepEqual([answer.status, answer.header("x-tokens-used"), answer.body.toString()], [200, undefined, "said"]);
  await isLeft(key, 10_000 - 123);
});

it("concurrent streams: as many begin as their reserves fit, and the rest fits once they have said what they used", async () => {
  const key = await newKey(5_000);
  let spent = 0;
  const responses = [];
  gate.origin.answer = (request, response) => {
    if (request.url === "/api/plain") return void response.end();
    spent += RESERVED;
    responses.push(response);
  };
  const streams = Array.from({ length: 12 }, (_, i) =>
    open(gate.isolates[i % 2].url, { target: "/api/chat", headers: bearer(key) }),
  );
  const refused = new Set();
  for (const stream of streams) void stream.then((answer) => answer.status === 429 && refused.add(answer));
  await waitFor("all to be decided", () => responses.length + refused.size === 12);
  assert.deepEqual([responses.length, spent], [5, 5_000]);
  // Each has used 200: of 5,000, 4,000 are left, and no more than four begin again.
  for (const response of responses.splice(0)) {
    spent -= RESERVED - 200;
    response.writeHead(200, { "x-tokens-used": "200" });
    response.end("data: done\n\n");
  }
  await isLeft(key, 4_000);
  const more = Array.from({ length: 8 }, (_, i) =>
    open(gate.isolates[i % 2].url, { target: "/api/chat", headers: bearer(key) }),
  );
  const late = new Set();
  for (const stream of more) void stream.then((answer) => answer.status === 429 && late.add(answer));
  await waitFor("all to be decided", () => responses.length + late.size === 8);
  // Asking what is left took a few.
  assert.equal(responses.length, 3);
  assert.ok(spent <= 5_000);
  for (const response of responses) response.destroy();
});

it("what says nothing of its use counts as used, and so does nonsense", async () => {
  for (const said of [undefined, "-5", "1e1", "12, 13", "0x0"]) {
    const key = await newKey(10_000);
    gate.origin.answer = { status: 200, headers: said === undefined ? {} : { "x-tokens-used": said }, body: "" };
    assert.equal((await chat(key)).status, 200);
    await gate.advance(10 * 60_000);
    await isLeft(key, 9_000);
  }
});

it("more than was reserved counts in full, and what an unreachable origin would have used counts, too", async () => {
  const key = await newKey(10_000);
  uses(4_321);
  assert.equal((await chat(key)).status, 200);
  await isLeft(key, 10_000 - 4_321);
  const other = await newKey(2_500);
  await gate.origin.refuse();
  assert.notEqual((await chat(other)).status, 200);
  await gate.origin.listen();
  uses(0);
  assert.equal((await chat(other)).status, 200);
  await isLeft(other, 1_500);
});

it("a client can neither say nor see what concerns budgets", async () => {
  const key = await newKey(10_000);
  uses(7);
  await gate.send({ target: "/api/chat", headers: { ...bearer(key), "Keyward-Settle": "x" } });
  assert.equal(gate.origin.last.headers["keyward-settle"], undefined);
});
