// What reaches the origin and what comes back: bytes identical, credential gone, identity set.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, beforeEach, describe, it } from "node:test";
import { gzipSync } from "node:zlib";

import { startGate } from "./harness/gate.mjs";
import { open } from "./harness/http.mjs";
import { startOrigin } from "./harness/origin.mjs";
import { originPort } from "./harness/policies.mjs";
import { sleep } from "./harness/traffic.mjs";

/** @import { ApiKey } from "../../types/admin-api.js" */
/** @import { Gate } from "./harness/gate.mjs" */

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

describe("forwarding", () => {
  /** @type {Gate} */
  let gate;
  /** @type {string} */
  let key;
  /** @type {ApiKey} */
  let apiKey;
  let authorized;
  before(async () => {
    gate = await startGate();
    const owner = await gate.owner();
    ({ plaintextKey: key, apiKey } = await owner.createKey({
      scopes: ["orders:write"],
      rateLimit: { perMinute: 10_000, perDay: null },
    }));
    authorized = { Authorization: `Bearer ${key}` };
  });
  after(() => gate.stop());
  beforeEach(() => gate.origin.reset());

  const ask = (request = {}) =>
    gate.send({
      target: "/api/orders",
      ...request,
      headers: [...Object.entries(authorized), ...Object.entries(request.headers ?? {})],
    });

  it("takes the credential away and says who it is", async () => {
    const answer = await ask();
    assert.equal(answer.status, 200);
    const { headers } = gate.origin.last;
    assert.equal(headers.authorization, undefined);
    assert.deepEqual(headers["keyward-key-id"], [apiKey.id]);
    assert.deepEqual(headers["keyward-tenant"], [apiKey.tenantId]);
    assert.deepEqual(headers["keyward-scopes"], ["orders:write"]);
    assert.deepEqual(headers["keyward-mode"], ["live"]);
    assert.deepEqual(headers["keyward-request-id"], [answer.header("x-request-id")]);
    assert.ok(!JSON.stringify(gate.origin.last).includes(key.slice(8)));
  });

  it("removes every identity header that a client sends, on public routes too", async () => {
    const spoofed = {
      "Keyward-Key-Id": "spoofed",
      "keyward-tenant": "spoofed",
      "KEYWARD-SCOPES": "spoofed",
      "Keyward-Plan": "spoofed",
      "Keyward-Subject": "spoofed",
      "Keyward-Session": "spoofed",
      "Keyward-Identity": "spoofed",
      "Keyward-Request-Id": "spoofed",
      "Keyward-Anything": "spoofed",
    };
    for (const target of ["/api/orders", "/api/public/x"]) {
      await ask({ target, headers: spoofed });
      assert.ok(!JSON.stringify(gate.origin.last).includes("spoofed"), target);
      assert.equal(gate.origin.last.headers.authorization, undefined, target);
    }
    assert.equal(gate.origin.last.headers["keyward-key-id"], undefined);
  });

  it("keeps the admin session's cookie from the origin, and every other cookie", async () => {
    await ask({ headers: { Cookie: "a=1; __Host-keyward-session=kws_secret; b=2" } });
    assert.deepEqual(gate.origin.last.headers.cookie, ["a=1; b=2"]);
    await ask({ headers: { Cookie: "__Host-keyward-session=kws_secret" } });
    assert.equal(gate.origin.last.headers.cookie, undefined);
  });

  it("keeps path and query byte for byte", async () => {
    const target = "/api/orders/a%20b?locationId=loc_123&page=1&limit=50&x=%C3%A9&y=a+b&empty=&z=%2F&%5B%5D=1";
    assert.equal((await ask({ target })).status, 200);
    assert.equal(gate.origin.last.url, target);
  });

  it("streams a body of 5 MiB through unchanged, in both directions", async () => {
    const body = randomBytes(5 * 1024 * 1024);
    gate.origin.answer = { status: 201, headers: { "content-type": "application/octet-stream" }, body };
    const answer = await ask({ method: "POST", body });
    assert.equal(answer.status, 201);
    assert.equal(gate.origin.last.bodySha256, sha256(body));
    assert.equal(answer.bodySha256, sha256(body));
  });

  it("passes compressed answers on as they are", async () => {
    const body = gzipSync(randomBytes(50_000).toString("hex"));
    gate.origin.answer = { status: 200, headers: { "content-type": "text/plain", "content-encoding": "gzip" }, body };
    const answer = await ask({ headers: { "Accept-Encoding": "gzip" } });
    assert.equal(answer.header("content-encoding"), "gzip");
    assert.equal(answer.bodySha256, sha256(body));
  });

  it("begins to send the request's body on before it has all come", async () => {
    let release;
    const held = new Promise((resolve) => {
      release = resolve;
    });
    async function* body() {
      yield "first";
      await held;
      yield "second";
    }
    gate.origin.answer = async (request, response, recorded) => {
      request.on("data", (chunk) => {
        if (chunk.toString().startsWith("first")) release();
      });
      response.end((await recorded.complete).body);
    };
    const answer = await ask({ method: "POST", body: body() });
    assert.equal(answer.text, "firstsecond");
  });

  it("passes server-sent events on as they come", async () => {
    let next;
    gate.origin.answer = {
      status: 200,
      headers: { "content-type": "text/event-stream" },
      body: (async function* () {
        yield "data: 1\n\n";
        await new Promise((resolve) => {
          next = resolve;
        });
        yield "data: 2\n\n";
      })(),
    };
    const answer = await open(gate.url, { target: "/api/orders", headers: authorized });
    const chunks = answer.chunks();
    assert.equal((await chunks.next()).value.toString(), "data: 1\n\n");
    next();
    assert.equal((await chunks.next()).value.toString(), "data: 2\n\n");
    assert.equal((await chunks.next()).done, true);
  });

  it("lets a WebSocket through, with the identity on its handshake", async () => {
    const socket = new WebSocket(`${gate.url.replace("http", "ws")}/api/public/echo`);
    const opened = new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    await opened;
    const echoed = new Promise((resolve) => {
      socket.onmessage = ({ data }) => resolve(data);
    });
    socket.send("hello");
    assert.equal(await echoed, "hello");
    socket.close();
    const keyed = await open(gate.url, {
      target: "/api/orders/live",
      headers: {
        ...authorized,
        Connection: "Upgrade",
        Upgrade: "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
      },
    });
    assert.equal(keyed.status, 101);
    assert.match(keyed.header("x-request-id"), /^[0-9a-f]{32}$/);
    assert.match(keyed.header("ratelimit"), /^"minute";r=\d+;t=\d+$/);
    keyed.socket.destroy();
    assert.deepEqual(gate.origin.last.headers["keyward-key-id"], [apiKey.id]);
    assert.equal(gate.origin.last.headers.authorization, undefined);
  });

  it("leaves statuses, redirects and headers of the origin alone", async () => {
    for (const status of [200, 201, 204, 301, 302, 303, 304, 307, 400, 401, 403, 404, 418, 429, 500, 503]) {
      gate.origin.answer = {
        status,
        headers: { location: "https://elsewhere.example/x", "x-own": "kept", "set-cookie": "a=b" },
      };
      const answer = await ask();
      assert.equal(answer.status, status);
      assert.equal(answer.header("location"), "https://elsewhere.example/x");
      assert.equal(answer.header("x-own"), "kept");
      assert.deepEqual(answer.all("set-cookie"), ["a=b"]);
    }
  });

  it("answers HEAD with the origin's headers and without a body", async () => {
    gate.origin.answer = { status: 200, headers: { "x-own": "kept" } };
    const answer = await ask({ method: "HEAD" });
    assert.equal(answer.status, 200);
    assert.equal(answer.header("x-own"), "kept");
    assert.equal(gate.origin.last.method, "HEAD");
  });

  it("adds the request id, the limits and what caches must tell apart", async () => {
    gate.origin.answer = { status: 200, headers: { vary: "Accept" }, body: "x" };
    const answer = await ask();
    assert.match(answer.header("x-request-id"), /^[0-9a-f]{32}$/);
    assert.equal(answer.header("ratelimit-policy"), `"minute";q=10000;w=60`);
    assert.match(answer.header("ratelimit"), /^"minute";r=\d+;t=\d+$/);
    assert.match(answer.header("vary"), /Accept/);
    assert.match(answer.header("vary"), /authorization/i);
  });

  it("502 ORIGIN_UNREACHABLE while the origin is down, and it works again after", async () => {
    await gate.origin.refuse();
    const answer = await ask({ headers: { Origin: "https://app.example" } });
    assert.deepEqual([answer.status, answer.json().code], [502, "ORIGIN_UNREACHABLE"]);
    assert.equal(answer.header("access-control-allow-origin"), "*");
    await gate.origin.listen();
    assert.equal((await ask()).status, 200);
  });
});

describe("an origin that is named by its URL", () => {
  /** @type {Gate} */
  let gate;
  /** @type {string} */
  let key;
  let remote, hasty;
  before(async () => {
    gate = await startGate({ policy: "e2e" });
    remote = await startOrigin({ port: originPort(18181) });
    hasty = await startOrigin({ port: originPort(18189) });
    const admin = gate.admin();
    admin.api = "/console/api";
    await admin.setUp(gate.secrets.KEYWARD_SETUP_TOKEN);
    ({ plaintextKey: key } = await admin.createKey({ realm: "remote", scopes: ["things:read"] }));
  });
  after(async () => {
    await gate.stop();
    await remote.stop();
    await hasty.stop();
  });
  beforeEach(() => remote.reset());

  const ask = (request = {}) =>
    gate.send({
      host: "remote.test",
      target: "/things/1?a=%20b",
      ...request,
      headers: { "X-API-Key": key, ...request.headers },
    });

  it("gets method, path, query and body as they were sent, and the identity", async () => {
    const body = randomBytes(100_000);
    const answer = await ask({ method: "PUT", body });
    assert.equal(answer.status, 200);
    assert.deepEqual(
      [remote.last.method, remote.last.url, remote.last.bodySha256],
      ["PUT", "/things/1?a=%20b", sha256(body)],
    );
    assert.equal(remote.last.headers["x-api-key"], undefined);
    assert.ok(remote.last.headers["keyward-key-id"]);
    assert.match(answer.header("ratelimit-policy"), /"day";q=5000;w=86400/);
    assert.match(answer.header("vary"), /x-api-key/i);
  });

  it("504 ORIGIN_TIMEOUT when it does not begin its answer in time, and nothing is cut that has begun", async () => {
    hasty.hang();
    const answer = await gate.send({ host: "hasty-origin.test", target: "/open/x" });
    assert.deepEqual([answer.status, answer.json().code], [504, "ORIGIN_TIMEOUT"]);
    let release;
    remote.answer = {
      status: 200,
      headers: {},
      body: (async function* () {
        yield "begun";
        await new Promise((resolve) => {
          release = resolve;
        });
        yield " and ended";
      })(),
    };
    const slow = await open(gate.url, { host: "remote.test", target: "/things/1", headers: { "X-API-Key": key } });
    // Longer than the realm's origin_timeout, which only bounds the beginning.
    setTimeout(() => release(), 6_000);
    await slow.read();
    assert.equal(slow.text, "begun and ended");
  });

  it("gives a slow upload its time: origin_timeout begins when the request has been sent whole", async () => {
    async function* slowly() {
      for (let i = 0; i < 6; i++) {
        yield "x".repeat(1000);
        // Longer in all than the realm's origin_timeout of 5 s.
        await sleep(1_000);
      }
    }
    const answer = await ask({ method: "POST", body: slowly() });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(remote.last.body.length, 6000);
    hasty.hang();
    const late = await gate.send({ host: "hasty-origin.test", target: "/open/x", method: "POST", body: "x" });
    assert.deepEqual([late.status, late.json().code], [504, "ORIGIN_TIMEOUT"]);
  });

  it("refuses two credentials in two headers, alike or not", async () => {
    for (const other of [key, "rk_live_other"]) {
      const answer = await ask({ headers: { Authorization: `Bearer ${other}` } });
      assert.deepEqual([answer.status, answer.json().code], [400, "INVALID_REQUEST"]);
    }
    assert.equal(remote.requests.length, 0);
  });
});
