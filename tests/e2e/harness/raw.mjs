// Connections of which a test decides every byte, and when it is sent.

import assert from "node:assert/strict";
import { connect, createServer } from "node:net";

/** @import { Socket } from "node:net" */
/** @typedef {{ socket: Socket, text: string, ended: boolean, closed: boolean }} Connection */
/** @typedef {(socket: Socket, connection: Connection) => unknown} Behaviour */

/**
 * An origin of which a test sees every byte and which it can make do anything: `behave(socket, connection)`.
 * @param {number} [port]
 */
export async function startRawOrigin(port) {
  /** @type {Connection[]} */
  const connections = [];
  const origin = {
    connections,
    behave: /** @type {Behaviour} */ (() => {}),
    address: "",
    stop() {
      for (const { socket } of connections) socket.destroy();
      server.close();
    },
  };
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const connection = { socket, text: "", ended: false, closed: false };
    origin.connections.push(connection);
    socket
      .on("error", () => {})
      .on("close", () => {
        connection.closed = true;
      });
    socket
      .on("data", (chunk) => {
        connection.text += chunk.toString("latin1");
      })
      .on("end", () => {
        connection.ended = true;
      });
    origin.behave(socket, connection);
  });
  await new Promise((resolve, reject) => {
    server.once("error", reject).listen(port ?? 0, "127.0.0.1", () => resolve(undefined));
  });
  const { port: own } = /** @type {import("node:net").AddressInfo} */ (server.address());
  origin.address = `127.0.0.1:${own}`;
  return origin;
}

/**
 * A client's connection after it has sent the beginning of a request: `text` is what came back, `status` its status.
 * @param {string} url
 * @param {string} host
 * @param {string} text
 */
export function begin(url, host, text) {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  const client = {
    socket,
    text: "",
    closed: false,
    get status() {
      return Number(/^HTTP\/1\.1 (\d{3}) [\s\S]*\r\n\r\n/.exec(client.text)?.[1]) || undefined;
    },
  };
  socket.on("data", (chunk) => {
    client.text += chunk.toString("latin1");
  });
  socket
    .on("error", () => {})
    .on("close", () => {
      client.closed = true;
    });
  socket.write(text.replace("HOST", host));
  return client;
}

/** Heads of requests, for `begin`. */
export const CHUNKED = "POST /open/x HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n";
export const LENGTH = "POST /open/x HTTP/1.1\r\nHost: HOST\r\nContent-Length: 10\r\n\r\n";
export const GET_LENGTH = LENGTH.replace("POST", "GET");
export const GET = "GET /open/x HTTP/1.1\r\nHost: HOST\r\n\r\n";

/**
 * An origin that closes while it is still being sent something takes its answer with it where that was not read yet (RFC
 * 9112, section 9.6): on a busy machine that happens now and then, to a bare Worker too.
 */
export const TRIES = 5;

/**
 * Tries at most this many times until an attempt gets this answer; fails if none does.
 * @param {number} tries
 * @param {() => Promise<string>} attempt
 */
export async function isHeard(tries, attempt, answer = /^HTTP\/1\.1 413 /) {
  let text = "";
  for (let i = 0; i < tries; i++) {
    text = await attempt();
    if (answer.test(text)) return;
  }
  assert.match(text, answer);
}
