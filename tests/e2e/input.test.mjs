// Bad input at the gate: every request is answered, with 400, 401 or 404 and never with 500, the
// origin sees only what it may see, and the gate goes on serving.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";

/** @import { ApiKey } from "../../types/admin-api.js" */
/** @import { Gate } from "./harness/gate.mjs" */

/** @type {Gate} */
let gate;
/** @type {string} */
let key;
/** @type {ApiKey} */
let apiKey;
before(async () => {
  gate = await startGate();
  ({ plaintextKey: key, apiKey } = await (await gate.owner()).createKey({ scopes: ["orders:read"] }));
});
after(() => gate.stop());
beforeEach(() => gate.origin.reset());
afterEach(async () => {
  const answer = await gate.send({ target: "/api/orders", headers: bearer(key) });
  assert.equal(answer.status, 200, "the gate still serves");
  await gate.allLogged();
  const faults = gate.logs.filter(({ message }) => /"event":"fault"|panic|unreachable executed|Uncaught/.test(message));
  assert.deepEqual(faults, []);
  assert.ok(!gate.logs.some(({ message }) => message.includes(key.slice(8))), "a key stands in the log");
});

const bytes = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)));
const bearer = (value) => [["Authorization", bytes("Bearer ", value)]];
const ask = (request) => gate.send({ target: "/api/orders", ...request });

/** Sends a request that must be refused with this status and code, unseen by the origin, without an echo. */
async function refused([status, code], request) {
  const answer = await ask(request);
  assert.deepEqual([answer.status, answer.json().code], [status, code], answer.text);
  assert.equal(answer.header("content-type"), "application/problem+json");
  assert.ok(answer.json().detail);
  assert.equal(gate.origin.requests.length, 0, "the origin saw it");
  assert.ok(!answer.text.includes(key.slice(8)), "it repeats the key");
}

/** Sends what the runtime itself may turn away before the gate sees it. */
async function turnedAway(request) {
  const answer = await ask(request);
  assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status} ${answer.text}`);
  assert.equal(gate.origin.requests.length, 0, "the origin saw it");
  assert.ok(!answer.text.includes(key.slice(8)), "it repeats the key");
}

describe("the header with the key", () => {
  it("of 100 KB is 401, and beside another header of 100 KB a key still counts", async () => {
    await refused([401, "INVALID_API_KEY"], { headers: bearer("a".repeat(100 * 1024)) });
    await refused([401, "INVALID_API_KEY"], { headers: bearer(`kw_live_${"a".repeat(100 * 1024)}`) });
    await refused([401, "MISSING_AUTHORIZATION"], { headers: [["X-Big", "a".repeat(100 * 1024)]] });
    const big = "b".repeat(100 * 1024);
    assert.equal((await ask({ headers: [["X-Big", big], ...bearer(key)] })).status, 200);
    assert.equal(gate.origin.last.headers["x-big"][0], big);
  });

  it("with control characters, spaces or bytes beyond ASCII is 401", async () => {
    const wrong = [
      bytes(key, [0x01]),
      bytes(key, [0x7f]),
      bytes(key, [0x1b], "[2J"),
      bytes(key, "\t", key),
      `${key} ${key}`,
      `${key} x`,
      `x ${key}`,
      "kw_live_ééééééééééééééééééééééééééééééééééé",
      bytes(key, [0xe9]),
      bytes(key.slice(0, -1), [0xff]),
      bytes([0xc3, 0x28]),
      "\u{1f511}",
      "ｋｗ＿live",
      `${key.slice(0, -1)}\u0430`,
      `"${key}"`,
      `${key};`,
      `${key}%00`,
    ];
    for (const value of wrong) await refused([401, "INVALID_API_KEY"], { headers: bearer(value) });
  });

  it("with NUL, CR or a line folded in never reaches the gate", async () => {
    for (const value of [bytes(key, [0]), `${key}\rX-Other: 1`, `${key}\r\n folded`])
      await turnedAway({ headers: bearer(value) });
  });

  it("with a comma, or sent twice, is 400", async () => {
    for (const headers of [
      bearer(`${key},`),
      bearer(`,${key}`),
      bearer(`${key}, Bearer ${key}`),
      [...bearer(key), ...bearer(key)],
      [...bearer(key), ["authorization", "Basic eDp5"]],
    ]) {
      await refused([400, "INVALID_REQUEST"], { headers });
    }
  });

  it("of another scheme, or empty, is 401 without a word about a key", async () => {
    for (const value of ["", "Bearer", "Bearer ", "Bearer\t", `Basic ${key}`, key, `Bearer${key}`, `Bearer\t${key}`]) {
      await refused([401, "MISSING_AUTHORIZATION"], { headers: [["Authorization", value]] });
    }
  });

  it("a key in another header is none", async () => {
    for (const name of ["X-API-Key", "Cookie", "Proxy-Authorization", "Keyward-Key-Id"])
      await refused([401, "MISSING_AUTHORIZATION"], { headers: [[name, key]] });
  });
});

describe("a key in the URL", () => {
  it("is 400 by the parameter's name or by its look, encoded or not, and the origin does not learn it", async () => {
    const encoded = key.replaceAll("_", "%5F");
    for (const target of [
      `/api/orders?api_key=${key}`,
      "/api/orders?api_key=anything",
      "/api/orders?a=b&API_KEY=x",
      "/api/orders?access_token=x",
      "/api/orders?api%5fkey=x",
      `/api/orders?x=${key}`,
      `/api/orders?${key}`,
      `/api/orders?x=${encoded}`,
      `/api/orders/${key}`,
      `/api/orders/${encoded}`,
      `/api/public/x?y=${key}`,
    ]) {
      await refused([400, "KEY_IN_URL"], { target, headers: bearer(key) });
    }
  });
});

describe("the host", () => {
  it("that is none is 400", async () => {
    for (const host of ["a b", "a,b", "%00", "exämple.test", "\u{1f511}", "[x]", "a'b"])
      await refused([400, "INVALID_REQUEST"], { host, headers: bearer(key) });
    await refused([400, "INVALID_REQUEST"], { headers: [["Host", "a"], ["Host", "b"], ...bearer(key)] });
    await turnedAway({ host: "", headers: bearer(key) });
    await turnedAway({ host: null, headers: bearer(key) });
  });

  it("that carries a path, a query or a user does not lead past a route", async () => {
    for (const host of [
      "x/api/public/",
      "x/api/public/?",
      "x/api/public/#",
      "x?",
      "x#",
      "x/..",
      "api/public@x",
      "x\\api\\public",
    ]) {
      const answer = await ask({ host });
      // Either it is refused, or the origin was asked for the public path that was judged.
      if (answer.status === 200) assert.match(gate.origin.last.url, /^\/api\/public\//, host);
      else assert.ok([400, 401, 404].includes(answer.status), `${host}: ${answer.status} ${answer.text}`);
    }
  });
});

describe("the request target", () => {
  it("in absolute form is judged by its path like any other", async () => {
    for (const target of [
      "http://evil.example/api/orders",
      "https://evil.example/api/orders",
      "http://user:pw@evil.example/api/orders",
    ]) {
      await refused([401, "MISSING_AUTHORIZATION"], { target });
    }
    await refused([404, "NO_ROUTE"], { target: "http://evil.example/api/unknown", headers: bearer(key) });
    assert.equal((await ask({ target: "http://evil.example/api/orders", headers: bearer(key) })).status, 200);
    assert.equal(gate.origin.last.url, "/api/orders");
  });

  it("that is no path at all is turned away", async () => {
    for (const target of [
      "*",
      "api/orders",
      "javascript:alert(1)",
      "http://[::1/api/orders",
      "/",
      "?",
      "//",
      "/..",
      "/.//api/orders",
    ])
      await turnedAway({ target, headers: bearer(key) });
  });

  it("that can be read in more than one way is 400", async () => {
    for (const target of [
      "//evil.example/api/orders",
      "/api//orders",
      "/api/./orders",
      "/api/x/../orders",
      "/api\\orders",
      "/api/orders/%",
      "/api/orders/%zz",
      "/api/orders/%ff",
      "/api/%2e%2e/orders",
      "/api%2forders",
      "/api/orders%00",
    ]) {
      await turnedAway({ target, headers: bearer(key) });
    }
  });

  it("of 10 KB passes, of 100 KB is turned away", async () => {
    const path = `/api/orders/${"a".repeat(10_000)}`;
    assert.equal((await ask({ target: path, headers: bearer(key) })).status, 200);
    assert.equal(gate.origin.last.url, path);
    gate.origin.reset();
    await turnedAway({ target: `/api/orders/${"a".repeat(100_000)}`, headers: bearer(key) });
    await turnedAway({ target: `/api/orders?${"a".repeat(100_000)}`, headers: bearer(key) });
  });
});

describe("the method", () => {
  it("that no route names is 404, whether or not anybody knows it", async () => {
    for (const method of ["TRACE", "PROPFIND", "PURGE", "OPTIONS", "LOCK"])
      await refused([405, "METHOD_NOT_ALLOWED"], { method, headers: bearer(key) });
    for (const method of ["FOO", "get", "A".repeat(5_000)]) {
      const answer = await ask({ method, headers: bearer(key) });
      assert.equal(answer.status, 501, "the runtime's own answer");
    }
    assert.equal(gate.origin.requests.length, 0);
  });
});

describe("addresses and origins that a client makes up", () => {
  it("are not believed, whatever they hold", async () => {
    for (const [name, value] of [
      ["CF-Connecting-IP", "garbage"],
      ["CF-Connecting-IP", "999.1.1.1"],
      ["CF-Connecting-IP", ""],
      ["Origin", "null"],
      ["Origin", bytes([0xff])],
      ["Origin", "a".repeat(10_000)],
    ]) {
      assert.equal((await ask({ headers: [[name, value], ...bearer(key)] })).status, 200, `${name}: ${value}`);
    }
    const forged = ["Keyward-Key-Id", "keyward-tenant", "KEYWARD-SCOPES", "Keyward-Anything"].map((name) => [
      name,
      "forged",
    ]);
    assert.equal((await ask({ headers: [...forged, ...bearer(key)] })).status, 200);
    assert.deepEqual(gate.origin.last.headers["keyward-key-id"], [apiKey.id]);
    assert.ok(!JSON.stringify(gate.origin.last.rawHeaders).includes("forged"));
  });
});
