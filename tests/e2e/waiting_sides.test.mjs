// Transfers in which the client or the origin keeps the gate waiting, through each kind of origin.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { handled, originPort } from "./harness/policies.mjs";
import { begin, CHUNKED, GET, GET_LENGTH, LENGTH, startRawOrigin } from "./harness/raw.mjs";
import { sleep } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { Gate } from "./harness/gate.mjs" */
/** @import { Behaviour } from "./harness/raw.mjs" */

const PORT = originPort(18189); // of the realms that wait
const MIB = 1 << 20;
/** Longer than client_timeout and origin_timeout of the patient realms. */
const LONGER_MS = 6_000;

// They wait more than they compute.
describe("a side that keeps the gate waiting", { concurrency: true }, () => {
  for (const by of ["binding", "handler", "url"]) {
    describe(`origin by ${by}`, { concurrency: false }, () => {
      /** @type {Gate} */
      let gate;
      let origin;
      before(async () => {
        origin = await startRawOrigin(by === "url" ? PORT : undefined);
        gate = await startGate({
          ...(by === "handler" ? await handled("e2e") : { policy: "e2e" }),
          originAddress: origin.address,
        });
      });
      after(async () => {
        await gate?.stop();
        origin?.stop();
      });

      /** @param {"hasty-client" | "hasty-origin" | "patient"} realm with whom it has little patience */
      const start = (realm, /** @type {string} */ text, /** @type {Behaviour} */ behave = () => {}) => {
        origin.connections.length = 0;
        origin.behave = behave;
        return begin(gate.url, `${realm}${by === "url" ? "" : "-bound"}.test`, text);
      };
      const isOver = () => origin.connections.every(({ ended, closed }) => ended || closed);
      const isNoWholeRequest = (length) => {
        for (const { text } of origin.connections) {
          assert.ok(!text.endsWith("0\r\n\r\n"), JSON.stringify(text));
          if (length) assert.ok(text.split("\r\n\r\n")[1].length < length, JSON.stringify(text));
        }
      };

      for (const [what, text, length] of /** @type {[string, string, number?][]} */ ([
        ["between two chunks", `${CHUNKED}5\r\nhello\r\n`],
        ["within a chunk", `${CHUNKED}ff\r\nhello`],
        ["before the first chunk", CHUNKED],
        ["before its length", `${LENGTH}hello`, 10],
        ["before its first byte", LENGTH, 10],
        ["in a GET", `${GET_LENGTH}hello`, 10],
      ])) {
        it(`408 when the client stalls ${what}, and the origin gets no complete request`, async () => {
          const client = start("hasty-client", text);
          await waitFor("408", () => client.status);
          assert.match(client.text, /^HTTP\/1\.1 408 [\s\S]*REQUEST_TIMEOUT/);
          await waitFor("the end at the origin", isOver);
          isNoWholeRequest(length);
          client.socket.destroy();
        });
      }

      it("a client that is slow and steady has all the time it takes", async () => {
        const client = start("patient", CHUNKED, (socket, connection) =>
          socket.on("data", () => {
            if (connection.text.endsWith("0\r\n\r\n")) socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
          }),
        );
        for (const end = Date.now() + LONGER_MS; Date.now() < end; ) {
          client.socket.write("1\r\nx\r\n");
          await sleep(250);
        }
        client.socket.write("0\r\n\r\n");
        await waitFor("the answer", () => client.status);
        assert.equal(client.status, 200, client.text);
        client.socket.destroy();
      });

      for (const [when, behave, send] of /** @type {[string, Behaviour, boolean][]} */ ([
        ["takes nothing of the body", (socket) => socket.pause(), true],
        [
          "takes no more in the middle of it",
          (socket) => {
            let bytes = 0;
            socket.on("data", (chunk) => {
              const hasPaused = bytes >= MIB;
              bytes += chunk.length;
              // Once: later it has to see the end.
              if (!hasPaused && bytes >= MIB) socket.pause();
            });
          },
          true,
        ],
        ["does not answer what it has taken whole", () => {}, false],
      ])) {
        it(`504 when the origin ${when}`, async () => {
          const client = start("hasty-origin", CHUNKED, behave);
          if (send) {
            const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
            const more = () => {
              while (!client.socket.destroyed && !client.status && client.socket.write(chunk));
            };
            client.socket.on("drain", more);
            more();
          } else {
            client.socket.write("5\r\nhello\r\n0\r\n\r\n");
          }
          await waitFor("504", () => client.status);
          assert.match(client.text, /^HTTP\/1\.1 504 [\s\S]*ORIGIN_TIMEOUT/);
          origin.connections[0].socket.resume();
          await waitFor("the end at the origin", isOver);
          if (send) isNoWholeRequest();
          client.socket.destroy();
        });
      }

      it("a stream of events may be silent for longer than both", async () => {
        const client = start("patient", GET, (socket) =>
          socket.once("data", () =>
            socket.write(
              "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            ),
          ),
        );
        await waitFor("the beginning", () => client.text.includes("hello"));
        await sleep(LONGER_MS);
        origin.connections[0].socket.end("5\r\nagain\r\n0\r\n\r\n");
        await waitFor(
          "the next event, and the end",
          () => client.text.includes("again") && client.text.endsWith("0\r\n\r\n"),
        );
        client.socket.destroy();
      });

      it("a WebSocket may be silent for longer than both", async () => {
        const upgrade =
          "GET /open/x HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let isOpen = false;
        const client = start("patient", upgrade, (socket, connection) =>
          socket.on("data", () => {
            const [, key] = /sec-websocket-key: (.+)\r\n/i.exec(connection.text) ?? [];
            if (isOpen || !key) return;
            isOpen = true;
            const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
            socket.write(
              `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
            );
          }),
        );
        await waitFor("101", () => client.text.startsWith("HTTP/1.1 101"));
        await sleep(LONGER_MS);
        origin.connections[0].socket.write(Buffer.from([0x81, 5, ...Buffer.from("hello")]));
        await waitFor("a message", () => client.text.endsWith("hello"));
        client.socket.destroy();
      });

      it("a client that does not read holds no more of an answer than a few buffers", async () => {
        let written = 0;
        const client = start("patient", GET, (socket) =>
          socket.once("data", () => {
            socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
            const more = () => {
              do written += chunk.length;
              while (!socket.destroyed && socket.writable && socket.write(chunk));
            };
            socket.on("drain", more);
            more();
          }),
        );
        client.socket.pause();
        // When nothing has moved for a second, all buffers are full.
        let last = -1;
        await waitFor(
          "the origin to be held up",
          async () => {
            const before = last;
            last = written;
            return last > 0 && last === before;
          },
          { everyMs: 1_000 },
        );
        assert.ok(written < 32 * MIB, `${written} bytes`);
        client.socket.destroy();
        await waitFor("the end at the origin", isOver);
      });
    });
  }
});
