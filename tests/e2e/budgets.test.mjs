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
/** The origin answers that this number of tokens was used. */
const uses = (tokens) => {
  gate.origin.answer = { status: 200, headers: { "x-tokens-used": String(tokens) }, body: "said" };
};
/** What the origin says by a call, with the token that it got. */
const settle = async (token, used, headers = {}) => {
  const answer = await fetch(new URL("/api/admin/settlements", gate.isolates[1].url), {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify({ token, used }),
  });
  const { settled, code, detail } = /** @type {Record<string, unknown>} */ (await answer.json());
  return { status: answer.status, settled, code, detail, cors: answer.headers.get("access-control-allow-origin") };
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

it("concurrent streams settled by a call while they go on: what they did not use is free at once, and never twice", async () => {
  const key = await newKey(5_000);
  let spent = 0;
  const begun = [];
  gate.origin.answer = (request, response) => {
    if (request.url === "/api/plain") return void response.end();
    spent += RESERVED;
    begun.push({ token: request.headers["keyward-settle"], response });
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("data: 1\n\n");
  };
  const ask = (count) =>
    Promise.all(
      Array.from({ length: count }, (_, i) =>
        open(gate.isolates[i % 2].url, { target: "/api/stream", headers: bearer(key) }),
      ),
    );
  const streams = (await ask(12)).filter((answer) => answer.status === 200);
  assert.deepEqual([streams.length, begun.length, spent], [5, 5, 5_000]);
  const first = begun.splice(0);
  // Each has used 200 when it says so: of 5,000, 4,000 are left.
  for (const { token } of first) {
    spent -= RESERVED - 200;
    assert.deepEqual(await settle(token, 200).then((said) => [said.status, said.settled]), [200, true]);
    assert.deepEqual(await settle(token, 0).then((said) => [said.status, said.code]), [409, "BUDGET_CLOSED"]);
  }
  await isLeft(key, 4_000);
  await ask(8);
  // Asking what is left took a few.
  assert.equal(begun.length, 3);
  assert.ok(spent <= 5_000);
  for (const { response } of first) response.end("data: 2\n\n");
  for (const stream of streams) {
    await stream.read();
    assert.equal(stream.body.toString(), "data: 1\n\ndata: 2\n\n");
  }
  for (const { response } of begun) response.destroy();
});

it("a client can neither send a settlement's token nor see it, and only a route that is settled by a call has one", async () => {
  const key = await newKey(10_000);
  const headers = { ...bearer(key), "Keyward-Settle": "kwb_x", Keyward_Settle: "kwb_y" };
  gate.origin.answer = (request, response) => {
    response.writeHead(200, { "keyward-settle": request.headers["keyward-settle"] ?? "none" });
    response.end("said");
  };
  const answer = await gate.send({ target: "/api/stream", headers });
  assert.equal(answer.header("keyward-settle"), undefined);
  assert.match(gate.origin.last.headers["keyward-settle"].join(), /^kwb_[\w-]+\.[\w-]{43}$/);
  assert.equal(gate.origin.last.headers.keyward_settle, undefined);
  for (const target of ["/api/plain", "/api/chat"]) {
    await gate.send({ target, headers });
    assert.equal(gate.origin.last.headers["keyward-settle"], undefined);
  }
});

it("a wrong token settles nothing and is refused in one way, as is a web page, and what came too late counts in full", async () => {
  const key = await newKey(10_000);
  gate.origin.answer = { status: 200, headers: {}, body: "" };
  await gate.send({ target: "/api/stream", headers: bearer(key) });
  const [token] = gate.origin.last.headers["keyward-settle"];
  const [said, mac] = token.split(".");
  const refusals = [];
  for (const wrong of ["", "x", said, `${token}A`, `${said}A.${mac}`, `${said}.${mac.slice(1)}A`, "kwb_".repeat(500)]) {
    refusals.push(JSON.stringify(await settle(wrong, 0)));
  }
  assert.equal(new Set(refusals).size, 1);
  assert.match(refusals[0], /401.*INVALID_CREDENTIALS/);
  assert.equal((await settle("x".repeat(5_000), 0)).status, 413);
  const page = await settle(token, 0, { Origin: "https://evil.example" });
  assert.deepEqual([page.status, page.code, page.cors], [403, "CROSS_SITE", null]);
  await gate.advance(2 * 60_000);
  const late = await settle(token, 0);
  assert.deepEqual([late.status, late.code], [409, "BUDGET_CLOSED"]);
  await gate.advance(10_000);
  await isLeft(key, 9_000);
  const anybody = gate.admin();
  await anybody.invalid(["used"], "POST", "/settlements", { token, used: -1 });
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

it("a budget is not left open where the origin was not reached, but told as one where it is open", async () => {
  for (const path of ["/api/chat", "/api/stream"]) {
    const key = await newKey(1_000);
    const ask = () => gate.send({ target: path, headers: bearer(key) });
    await gate.origin.refuse();
    assert.equal((await ask()).status, 502);
    await gate.origin.listen();
    const waits = await waitFor("all of it to count", async () => {
      const answer = await ask();
      return Number(answer.header("retry-after")) > 1 ? answer : undefined;
    });
    assert.deepEqual(waits.json().violatedPolicies, ["hour"]);
    const open = await newKey(1_000);
    gate.origin.hang();
    const hangs = gate.send({ target: path, headers: bearer(open) });
    hangs.catch(() => {});
    await gate.origin.received(1);
    const { status, body } = await gate.send({ target: path, headers: bearer(open) });
    assert.deepEqual([status, JSON.parse(body.toString()).violatedPolicies], [429, undefined]);
    assert.match(body.toString(), /is reserved by/);
    gate.origin.reset();
  }
});

it("a client can neither say nor see what concerns budgets", async () => {
  const key = await newKey(10_000);
  uses(7);
  await gate.send({ target: "/api/chat", headers: { ...bearer(key), "Keyward-Settle": "x" } });
  assert.equal(gate.origin.last.headers["keyward-settle"], undefined);
});
