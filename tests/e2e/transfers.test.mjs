// Every way in which a client, an origin or the gate can end a transfer, both ways: through the gate as through a
// Worker that does nothing but forward.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { startGate } from "./harness/gate.mjs";
import { handled, originPort } from "./harness/policies.mjs";
import { begin, CHUNKED, GET, GET_LENGTH, isHeard, LENGTH, startRawOrigin, TRIES } from "./harness/raw.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { Gate } from "./harness/gate.mjs" */
/** @import { Behaviour } from "./harness/raw.mjs" */
/** @import { Socket } from "node:net" */

const root = fileURLToPath(new URL("../..", import.meta.url));
const PORT = originPort(18184); // of the realm "transfers"
const MIB = 1 << 20;

/** A build that forwards to the service binding, or to the realm's URL, and does nothing else. */
function bareWorker(by) {
  const folder = mkdtempSync(join(tmpdir(), "keyward-bare-"));
  const onward =
    by === "binding"
      ? 'env.ORIGIN.fetch(new Request(request, { redirect: "manual" }))'
      : `fetch(new Request("http://127.0.0.1:${PORT}" + request.url.slice(request.url.indexOf("/", 8)), new Request(request, { redirect: "manual" })))`;
  writeFileSync(
    join(folder, "index.js"),
    `export default { fetch: (request, env) => ${onward} };
    export class KeyGate {} export class Registry {} export class Relay {}`,
  );
  return folder;
}

for (const by of ["binding", "handler", "url"]) {
  for (const through of by === "handler" ? ["the gate"] : ["a bare Worker", "the gate"]) {
    describe(`a transfer through ${through}, origin by ${by}`, () => {
      /** @type {Gate} */
      let gate;
      let origin, folder, host, own;
      before(async () => {
        origin = await startRawOrigin(by === "url" ? PORT : undefined);
        if (through === "a bare Worker") folder = bareWorker(by);
        if (folder) own = { build: relative(root, folder) };
        else own = by === "handler" ? await handled("e2e") : { policy: "e2e" };
        gate = await startGate({ ...own, originAddress: origin.address });
        host = by === "url" ? "transfers.test" : "open.test";
      });
      after(async () => {
        await gate?.stop();
        origin?.stop();
        if (folder) rmSync(folder, { recursive: true });
      });

      const start = (/** @type {string} */ text, /** @type {Behaviour} */ behave = () => {}) => {
        origin.connections.length = 0;
        origin.behave = behave;
        return begin(gate.url, host, text);
      };
      const reached = (what) => waitFor(`${what} at the origin`, () => origin.connections[0]?.text.includes(what));

      for (const [how, text, end] of /** @type {[string, string, (socket: Socket) => unknown][]} */ ([
        ["ends between two chunks", `${CHUNKED}5\r\nhello\r\n`, (socket) => socket.end()],
        ["ends within a chunk", `${CHUNKED}ff\r\nhello`, (socket) => socket.end()],
        ["ends before its length", `${LENGTH}hello`, (socket) => socket.end()],
        ["resets between two chunks", `${CHUNKED}5\r\nhello\r\n`, (socket) => socket.resetAndDestroy()],
        ["resets before its length", `${LENGTH}hello`, (socket) => socket.resetAndDestroy()],
        ["closes between two chunks", `${CHUNKED}5\r\nhello\r\n`, (socket) => socket.destroy()],
        ["ends a GET before its length", `${GET_LENGTH}hello`, (socket) => socket.end()],
        ["sends what is no chunk", `${CHUNKED}5\r\nhello\r\n`, (socket) => socket.write("zz\r\n")],
      ])) {
        it(`a client that ${how} is no complete request to the origin`, async () => {
          const client = start(text);
          await reached("hello");
          end(client.socket);
          const [connection] = origin.connections;
          await waitFor("the end at the origin", () => connection.ended || connection.closed);
          assert.ok(!connection.text.endsWith("0\r\n\r\n"), JSON.stringify(connection.text));
          client.socket.destroy();
        });
      }

      for (const [how, close] of /** @type {[string, (socket: Socket) => unknown][]} */ ([
        ["keeps reading", () => {}],
        ["reads no more", (socket) => socket.pause()],
        [
          "closes",
          (socket) => {
            socket.pause();
            socket.end();
          },
        ],
      ])) {
        for (const [what, head, frame] of /** @type {[string, string, (chunk: Buffer) => Buffer][]} */ ([
          [
            "chunks",
            CHUNKED,
            (chunk) => Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n")]),
          ],
          ["a length", LENGTH.replace("10", String(20 * MIB)), (chunk) => chunk],
        ])) {
          it(`an origin that refuses an upload of ${what} early and ${how} is heard`, () =>
            isHeard(how === "closes" ? TRIES : 1, async () => {
              const client = start(head, (socket) =>
                socket.once("data", () => {
                  socket.write("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
                  close(socket);
                }),
              );
              // As a client does that sends on while it listens.
              const chunk = frame(Buffer.alloc(MIB / 16, "x"));
              let left = 320;
              const more = () => {
                while (left-- > 0 && !client.socket.destroyed && !client.text.includes("\r\n\r\n"))
                  if (!client.socket.write(chunk)) return;
              };
              client.socket.on("drain", more);
              more();
              await waitFor("the origin's refusal", () => client.text.includes("\r\n\r\n") || client.closed);
              client.socket.destroy();
              return client.text;
            }));
        }
      }

      it("an origin that closes without an answer leaves the client none of its own", async () => {
        const client = start(`${CHUNKED}5\r\nhello\r\n0\r\n\r\n`, (socket) =>
          socket.once("data", () => socket.destroy()),
        );
        await waitFor("the end", () => client.closed || client.text.includes("\r\n\r\n"));
        if (through === "the gate") assert.match(client.text, /^HTTP\/1\.1 502 /);
        else assert.doesNotMatch(client.text, /^HTTP\/1\.1 2/);
        client.socket.destroy();
      });

      for (const [how, head, end] of /** @type {[string, string, (socket: Socket) => unknown][]} */ ([
        [
          "ends between two chunks",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
          (socket) => socket.end(),
        ],
        ["ends before its length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", (socket) => socket.end()],
        [
          "resets between two chunks",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
          (socket) => socket.resetAndDestroy(),
        ],
        [
          "resets before its length",
          "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
          (socket) => socket.resetAndDestroy(),
        ],
      ])) {
        it(`an origin whose answer ${how} is no complete answer to the client`, async () => {
          const client = start(GET, (socket) => socket.once("data", () => socket.write(head)));
          await waitFor("the beginning", () => client.text.includes("hello"));
          end(origin.connections[0].socket);
          await waitFor("the end at the client", () => client.closed);
          assert.match(client.text, /^HTTP\/1\.1 200 /);
          assert.ok(!client.text.endsWith("0\r\n\r\n"), JSON.stringify(client.text));
        });
      }

      it("a client that goes away while it is answered ends the answer at the origin", async () => {
        const client = start(GET, (socket) =>
          socket.once("data", () => {
            socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            const more = () => {
              while (!socket.destroyed && socket.writable && socket.write(`10000\r\n${"x".repeat(0x10000)}\r\n`));
            };
            socket.on("drain", more);
            more();
          }),
        );
        await waitFor("the beginning", () => client.text.length > 1000);
        client.socket.destroy();
        await waitFor("the end at the origin", () => origin.connections[0].closed || origin.connections[0].ended);
      });

      it("an answer may begin, and go on, while the request still comes", async () => {
        const client = start(CHUNKED, (socket, connection) => {
          socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
          socket.on("data", () => {
            if (connection.text.endsWith("0\r\n\r\n")) socket.end("3\r\nend\r\n0\r\n\r\n");
            else socket.write("4\r\necho\r\n");
          });
        });
        for (let i = 1; i <= 3; i++) {
          client.socket.write("4\r\npart\r\n");
          await waitFor(`echo ${i}`, () => client.text.split("echo").length > i);
        }
        client.socket.write("0\r\n\r\n");
        await waitFor("the end", () => client.text.includes("3\r\nend\r\n0\r\n\r\n"));
        client.socket.destroy();
      });
    });
  }
}

describe("a transfer that the gate ends", () => {
  /** @type {Gate} */
  let gate;
  let origin;
  before(async () => {
    origin = await startRawOrigin(PORT);
    gate = await startGate({ policy: "e2e" });
  });
  after(async () => {
    await gate?.stop();
    origin?.stop();
  });

  it("504 when the origin takes no more of a body for as long as it may keep the gate waiting, and its connection ends", async () => {
    origin.behave = (socket) => socket.pause();
    const client = begin(gate.url, "transfers.test", CHUNKED);
    const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
    const more = () => {
      while (!client.socket.destroyed && client.text === "" && client.socket.write(chunk));
    };
    client.socket.on("drain", more);
    more();
    await waitFor("504", () => client.text.startsWith("HTTP/1.1 504 "));
    assert.match(client.text, /ORIGIN_TIMEOUT/);
    origin.connections[0].socket.resume();
    await waitFor("the end at the origin", () => origin.connections[0].closed || origin.connections[0].ended);
    assert.ok(!origin.connections[0].text.endsWith("0\r\n\r\n"));
    client.socket.destroy();
  });

  it("502 ORIGIN_INVALID for an answer with a status that HTTP does not have", async () => {
    for (const status of [600, 999]) {
      origin.behave = (socket) =>
        socket.once("data", () => socket.end(`HTTP/1.1 ${status} Odd\r\nContent-Length: 0\r\n\r\n`));
      const answer = await gate.send({ host: "transfers.test", target: "/open/x" });
      assert.deepEqual([answer.status, answer.json().code], [502, "ORIGIN_INVALID"], String(status));
    }
  });
});

describe("200 MB through the gate", () => {
  const CHUNK = Buffer.alloc(MIB, "x");
  /** @type {Gate} */
  let gate;
  let server, received;
  before(async () => {
    server = createHttpServer((request, response) => {
      received = 0;
      request.on("data", (chunk) => {
        received += chunk.length;
      });
      request.on("end", () => {
        if (request.url.endsWith("length")) response.setHeader("Content-Length", 200 * MIB);
        write(response, 200);
      });
    });
    await new Promise((resolve) => {
      server.listen(PORT, "127.0.0.1", resolve);
    });
    gate = await startGate({ policy: "e2e" });
  });
  after(async () => {
    await gate?.stop();
    server?.close();
  });

  function write(stream, left) {
    if (left === 0) stream.end();
    else if (stream.write(CHUNK)) write(stream, left - 1);
    else stream.once("drain", () => write(stream, left - 1));
  }

  for (const framing of ["chunked", "length"]) {
    it(`go each way whole, ${framing}`, async () => {
      const sent = request(new URL(`/open/${framing}`, gate.url), {
        method: "POST",
        headers: { Host: "transfers.test", ...(framing === "length" && { "Content-Length": 200 * MIB }) },
      });
      write(sent, 200);
      const [answer] = await once(sent, "response");
      let bytes = 0;
      for await (const chunk of answer) bytes += chunk.length;
      assert.deepEqual([answer.statusCode, received, bytes, answer.complete], [200, 200 * MIB, 200 * MIB, true]);
    });
  }
});
