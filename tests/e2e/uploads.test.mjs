// Requests with bodies that end, wait or break off, and origins that do not want all of one: what client and origin get.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request } from "node:http";
import { after, before, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { begin, CHUNKED, GET_LENGTH, isHeard, LENGTH, TRIES } from "./harness/raw.mjs";
import { sleep } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { Gate } from "./harness/gate.mjs" */
/** @import { Socket } from "node:net" */

const MIB = 1 << 20;

describe("an upload that waits to be told to go on", () => {
  /** @type {Gate} */
  let gate;
  before(async () => {
    gate = await startGate({ policy: "e2e" });
  });
  after(() => gate?.stop());

  it("reaches the origin whole, without waiting for it (curl and .NET ask so)", async () => {
    const body = Buffer.alloc(3 * MIB, "x");
    const sent = request(new URL("/open/x", gate.url), {
      method: "POST",
      headers: { Host: "open.test", Expect: "100-continue", "Content-Length": body.length },
    });
    // Either is what clients take as a sign to send.
    sent.once("continue", () => sent.end(body));
    const [answer] = await once(sent, "response");
    assert.equal(answer.statusCode, 200);
    answer.resume();
    assert.deepEqual([gate.origin.last.body.length, gate.origin.last.headers.expect], [body.length, undefined]);
  });

  it("has its time, by GET too: a client that sends slowly is no slow origin", async () => {
    const client = begin(gate.url, "open.test", GET_LENGTH);
    // Longer in all than the realm's origin_timeout of 5 s.
    for (let i = 0; i < 5; i++) {
      client.socket.write("ab");
      await sleep(1_200);
    }
    await waitFor("the answer", () => client.text.includes("\r\n\r\n"));
    assert.match(client.text, /^HTTP\/1\.1 200 /);
    client.socket.destroy();
  });

  it("400, not a fault of the gate's, when its length is no number or has no bytes behind it", async () => {
    for (const length of ["9007199254740993", "18446744073709551616", "1e3"]) {
      const client = begin(gate.url, "open.test", LENGTH.replace("10", length));
      client.socket.end("abc");
      await waitFor("the end", () => client.closed);
      assert.doesNotMatch(client.text, /^HTTP\/1\.1 (2|5)/, length);
    }
  });
});

describe("an origin that refuses a large upload and closes at once", () => {
  /** @type {Gate} */
  let gate;
  let server;
  before(async () => {
    server = createServer((_, response) => {
      response.writeHead(413, { Connection: "close", "Content-Length": 9 });
      response.end("too large");
    });
    await new Promise((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    gate = await startGate({ policy: "e2e", originAddress: `127.0.0.1:${server.address().port}` });
  });
  after(async () => {
    await gate?.stop();
    server?.close();
  });

  it("is heard to the end of its answer", async () => {
    for (const [head, frame] of /** @type {[string, (chunk: string) => string][]} */ ([
      [CHUNKED, (chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`],
      [LENGTH.replace("10", String(20 * MIB)), (chunk) => chunk],
    ])) {
      await isHeard(
        TRIES,
        async () => {
          const client = begin(gate.url, "open.test", head);
          const chunk = frame("x".repeat(MIB / 16));
          let left = 320;
          const more = () => {
            while (left-- > 0 && !client.socket.destroyed) if (!client.socket.write(chunk)) return;
          };
          client.socket.on("drain", more);
          more();
          await waitFor("the end", () => client.closed || client.text.endsWith("too large"));
          client.socket.destroy();
          return client.text;
        },
        /^HTTP\/1\.1 413 [\s\S]*too large$/,
      );
    }
  });
});

describe("a GET with a body", () => {
  /** @type {Gate} */
  let gate;
  before(async () => {
    gate = await startGate({ policy: "e2e" });
  });
  after(() => gate?.stop());

  it("passes with up to 1 MiB, since the gate may have to hold a copy of it", async () => {
    const ask = (size) => gate.send({ host: "open.test", target: "/open/x", body: Buffer.alloc(size, "x") });
    assert.equal((await ask(MIB)).status, 200);
    assert.equal(gate.origin.last.body.length, MIB);
    const answer = await ask(MIB + 1);
    assert.deepEqual([answer.status, answer.json().code], [413, "BODY_TOO_LARGE"]);
  });
});

describe("a body that breaks off on its way to the gate itself", () => {
  /** @type {Gate} */
  let gate;
  before(async () => {
    gate = await startGate();
  });
  after(() => gate?.stop());

  it("is no fault of the gate's: the admin API says that it broke off, or nothing", async () => {
    const head =
      "POST /api/admin/session HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (const [text, end] of /** @type {[string, (socket: Socket) => unknown][]} */ ([
      [`${head}2\r\n{"\r\n`, (socket) => socket.end()],
      [`${head}2\r\n{"\r\nzz\r\n`, () => {}],
    ])) {
      const client = begin(gate.url, "127.0.0.1", text);
      end(client.socket);
      await waitFor("the end", () => client.closed || client.text.includes("\r\n\r\n"));
      assert.doesNotMatch(client.text, /^HTTP\/1\.1 5/);
      client.socket.destroy();
    }
    await gate.allLogged();
    assert.deepEqual(
      gate.logs.filter(({ message }) => /"event":"fault"/.test(message)),
      [],
    );
  });
});
