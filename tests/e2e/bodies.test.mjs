// Bodies of calls of the admin API, which the gate reads itself before it knows who sends them, and of refused requests.

import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { after, before, describe, it } from "node:test";

import { begin } from "./harness/raw.mjs";
import { waitFor } from "./harness/wait.mjs";
import { code, FORGER, forged, head, inChunks, start } from "./webhooks.mjs";

/** @import { Gate } from "./harness/gate.mjs" */

const MIB = 1 << 20;
const SENDER = "192.0.2.2";

describe("a call of the admin API", () => {
  /** @type {Gate} */
  let gate;
  before(async () => {
    gate = await start();
  });
  after(() => gate?.stop());

  const call = (fields) =>
    [
      "POST /console/api/session HTTP/1.1",
      "Host: HOST",
      "Content-Type: application/json",
      `CF-Connecting-IP: ${FORGER}`,
      ...fields,
      "",
      "",
    ].join("\r\n");

  it("takes bounded room, and 408 when its body does not end", async () => {
    const clients = Array.from({ length: 40 }, () =>
      begin(gate.url, "127.0.0.1", call([`Content-Length: ${64 * 1024}`])),
    );
    for (const { socket } of clients) socket.write("{");
    await waitFor("the refusals", () => clients.filter(({ status }) => status === 503).length >= 24);
    for (const client of clients)
      if (client.status) assert.match(client.text, /\r\nRetry-After: \d+\r\n[\s\S]*OVERLOADED/i);
    const other = await gate.send({
      method: "POST",
      target: "/console/api/session",
      body: "{}",
      headers: { "Content-Type": "application/json", "CF-Connecting-IP": SENDER },
    });
    assert.equal(other.status, 400, other.text);
    await waitFor("408", () => clients.every(({ status }) => status));
    assert.ok(clients.some(({ text }) => /^HTTP\/1\.1 408 [\s\S]*REQUEST_TIMEOUT/.test(text)));
    for (const { socket } of clients) socket.destroy();
  });

  const body = (size) => JSON.stringify({ name: "x" }).padEnd(size, " ");

  it("gets in while many networks send slowly: with a session, with a key, and to sign in", async () => {
    const owner = gate.admin();
    owner.api = "/console/api";
    await owner.setUp(gate.secrets.KEYWARD_SETUP_TOKEN);
    const { plaintextKey, apiKey } = await owner.createKey({ realm: "open", scopes: ["things:read"] });
    const clients = Array.from({ length: 160 }, (_, i) => {
      const client = begin(
        gate.url,
        "127.0.0.1",
        call([`Content-Length: ${64 * 1024}`]).replace(FORGER, `198.51.100.${i % 40}`),
      );
      client.socket.write("{");
      return client;
    });
    await waitFor("the refusals", () => clients.filter(({ status }) => status === 503).length >= clients.length - 64);
    for (const from of ["198.51.100.7", SENDER]) {
      const large = await owner.call("POST", "/api-keys", body(60_000), { "CF-Connecting-IP": from });
      assert.deepEqual(code(large), [400, "VALIDATION_FAILED"], "it was read whole");
      const other = gate.admin();
      other.api = owner.api;
      await other.signIn();
    }
    assert.equal(
      (await owner.call("POST", `/api-keys/${apiKey.id}/revoke`, {}, { "CF-Connecting-IP": "198.51.100.7" })).status,
      200,
    );
    const gone = await gate.send({
      host: "open.test",
      target: "/keyed/x",
      headers: { Authorization: `Bearer ${plaintextKey}` },
    });
    assert.equal(gone.status, 401, gone.text);
    for (const { socket } of clients) socket.destroy();
  });

  it("holds bounded room while it waits for the Registry", async () => {
    const owner = gate.admin();
    owner.api = "/console/api";
    await owner.signIn();
    await gate.objects.faults({ "Registry.fetch": { lagMs: 60_000 } });
    await gate.objects.resetCounts();
    const post = (count) => Array.from({ length: count }, () => owner.call("POST", "/api-keys", body(64 * 1024)));
    const asked = async () =>
      Object.values((await gate.objects.counts()).objects.Registry ?? {}).reduce((sum, { fetch }) => sum + fetch, 0);
    try {
      // 16 of 64 KiB are the part of one who is signed in.
      const waiting = post(16);
      await waitFor("all of them at the Registry", async () => (await asked()) === waiting.length);
      for (const answer of await Promise.all(post(8))) assert.deepEqual(code(answer), [503, "OVERLOADED"]);
      for (const answer of await Promise.all(waiting)) assert.deepEqual(code(answer), [503, "STORE_UNAVAILABLE"]);
    } finally {
      await gate.objects.faults({ "Registry.fetch": null });
    }
    await waitFor("room again", async () => (await owner.call("POST", "/api-keys", body(64 * 1024))).status === 400);
  });

  it("413 when its chunks are too many", async () => {
    const answer = await gate.send({
      method: "POST",
      target: "/console/api/session",
      body: inChunks(Buffer.alloc(70_000, " ")),
      headers: { "Content-Type": "application/json" },
    });
    assert.deepEqual(code(answer), [413, "BODY_TOO_LARGE"]);
  });
});

describe("a refusal", () => {
  /** @type {Gate} */
  let gate;
  before(async () => {
    gate = await start();
  });
  after(() => gate?.stop());

  const chunked = (body) =>
    Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from("\r\n0\r\n\r\n")]);
  const keyed = (fields) => ["POST /keyed/x HTTP/1.1", "Host: HOST", ...fields, "", ""].join("\r\n");
  const admin = (fields) =>
    ["POST /console/api/session HTTP/1.1", "Host: HOST", "Content-Type: application/json", ...fields, "", ""].join(
      "\r\n",
    );
  const size = 3 * MIB;
  const body = Buffer.alloc(size, "x");

  for (const [what, status, text, sent] of /** @type {[string, number, string, Buffer][]} */ ([
    ["of a webhook that is too large", 413, head([`Content-Length: ${size}`]), body],
    [
      "of a webhook in chunks that are too many",
      413,
      head(["Transfer-Encoding: chunked"], { from: "192.0.2.20" }),
      chunked(body),
    ],
    ["of a webhook without a signature", 401, head(["Transfer-Encoding: chunked"], { sign: null }), chunked(body)],
    ["of a request without a key", 401, keyed([`Content-Length: ${size}`]), body],
    ["of a call of the admin API that is too large", 413, admin([`Content-Length: ${size}`]), body],
    [
      "of a call of the admin API in chunks that are too many",
      413,
      admin(["Transfer-Encoding: chunked"]),
      chunked(body),
    ],
  ])) {
    it(`${what} reaches a client that sends all before it reads`, async () => {
      for (let i = 0; i < 5; i++) {
        const client = begin(gate.url, "hooks.test", text);
        client.socket.pause();
        await new Promise((resolve) => {
          client.socket.write(sent, resolve);
        });
        client.socket.resume();
        await waitFor("the answer", () => client.status || client.closed);
        assert.equal(client.status, status, client.text);
        assert.match(client.text, /"requestId"/, "the whole of it");
        client.socket.destroy();
      }
    });

    it(`${what} reaches a client that goes on sending`, async () => {
      const client = begin(gate.url, "hooks.test", text.replace(String(size), String(200 * MIB)));
      const isChunked = text.includes("chunked");
      const part = isChunked ? chunked(Buffer.alloc(MIB / 16, "x")).subarray(0, -5) : body.subarray(0, MIB / 16);
      let left = 3200;
      const more = () => {
        while (left-- > 0 && !client.socket.destroyed && !client.status) if (!client.socket.write(part)) return;
      };
      client.socket.on("drain", more);
      more();
      await waitFor("the answer", () => client.status || client.closed);
      assert.equal(client.status, status, client.text);
      client.socket.destroy();
    });
  }

  it("reaches an ordinary client of Node's, whose connection is good for the next request", async () => {
    for (let i = 0; i < 2; i++) {
      const sent = request(new URL("/events", gate.url), {
        method: "POST",
        headers: { Host: "hooks.test", "Content-Length": size, "Stripe-Signature": forged() },
      });
      sent.end(body);
      const [answer] = await once(sent, "response");
      assert.equal(answer.statusCode, 413);
      answer.resume();
      await once(answer, "end");
    }
  });

  it("does not listen for ever to a client that does not end", async () => {
    const client = begin(gate.url, "hooks.test", head([`Content-Length: ${200 * MIB}`]));
    const part = Buffer.alloc(MIB / 16, "x");
    const more = () => {
      while (!client.socket.destroyed && client.socket.write(part));
    };
    client.socket.on("drain", more);
    more();
    await waitFor("the end", () => client.closed);
    assert.equal(client.status, 413);
  });
});
