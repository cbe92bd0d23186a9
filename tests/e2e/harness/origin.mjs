// A recording origin: a real HTTP server that remembers exactly what reached it, and answers as the
// test says.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";

import { onFreePort } from "./ports.mjs";
import { waitFor } from "./wait.mjs";

/** @import { IncomingMessage, Server, ServerResponse } from "node:http" */
/** @import { Duplex } from "node:stream" */
/** @import { RecordedRequest, ScriptedAnswer, WebSocketHandler } from "../../../types/e2e.js" */

/**
 * Starts one on 127.0.0.1, at a free port or the one that a policy names.
 * @param {{ port?: number }} options
 */
export async function startOrigin({ port } = {}) {
  return port === undefined ? onFreePort(listening) : listening(port);
}

/** @param {number} port */
async function listening(port) {
  const origin = new Origin(port);
  await origin.listen();
  return origin;
}

export class Origin {
  /** @type {RecordedRequest[]} What came, in order. */
  requests = [];
  /**
   * How it answers. A function is called before the request's body has come: `await recorded.complete` for
   * `recorded.body`. By default 200 with JSON of what came.
   * @type {ScriptedAnswer | undefined}
   */
  answer = undefined;
  /** @type {WebSocketHandler} Called after a WebSocket handshake; the default echoes every message. */
  webSocket = echo;
  /** @type {Server} */
  #server;
  /** @type {Set<Duplex>} */
  #sockets = new Set();

  /** @param {number} port */
  constructor(port) {
    this.port = port;
    this.#server = this.#newServer();
  }

  /** Address as `127.0.0.1:port`. */
  get address() {
    return `127.0.0.1:${this.port}`;
  }

  /** Listens again, after `refuse`. */
  async listen() {
    this.#server = this.#newServer();
    this.#server.listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  #newServer() {
    const server = createServer({ maxHeaderSize: 1 << 20 }, (request, response) => void this.#serve(request, response));
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    return server.on("upgrade", (request, socket) => this.#upgrade(request, socket));
  }

  /** From now on connections are refused, until `listen()`. */
  async refuse() {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Requests that have not been answered stay so. */
  hang() {
    this.answer = () => {};
  }

  /** The newest request, of which there has to be one. */
  get last() {
    const newest = this.requests.at(-1);
    if (!newest) throw new Error("no request reached the origin");
    return newest;
  }

  /**
   * Waits until `count` requests came in all.
   * @param {number} count
   */
  async received(count) {
    await waitFor(`${count} requests at the origin`, () => this.requests.length >= count);
    return this.requests;
  }

  /** Forgets the requests and how to answer. */
  reset() {
    this.requests.length = 0;
    this.answer = undefined;
    this.webSocket = echo;
  }

  async stop() {
    await this.refuse();
  }

  /** @param {IncomingMessage} request */
  #record(request) {
    /** @type {[string, string][]} */
    const rawHeaders = [];
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
      rawHeaders.push([request.rawHeaders[i], request.rawHeaders[i + 1]]);
    }
    const { method = "", url = "", headersDistinct: headers } = request;
    // The rest is added when the body has come.
    const recorded = /** @type {RecordedRequest} */ ({ method, url, rawHeaders, headers, at: Date.now() });
    this.requests.push(recorded);
    return recorded;
  }

  /**
   * @param {IncomingMessage} request
   * @param {ServerResponse} response
   */
  async #serve(request, response) {
    const recorded = this.#record(request);
    const answer = this.answer;
    try {
      // A scripted function sees the request before its body has come, so that it can answer early.
      if (typeof answer === "function") {
        recorded.complete = bodyOf(request).then((body) => Object.assign(recorded, body));
        recorded.complete.catch(() => {});
        await answer(request, response, recorded);
        return;
      }
      Object.assign(recorded, await bodyOf(request));
      const { status = 200, headers = { "content-type": "application/json" }, body } = answer ?? {};
      response.writeHead(status, Array.isArray(headers) ? headers.flat() : headers);
      if (body === undefined) {
        const url = new URL(recorded.url, "http://origin");
        response.end(
          JSON.stringify({
            method: request.method,
            path: url.pathname,
            query: url.search.slice(1),
            headers: request.headers,
            bodyBytes: recorded.body.length,
            bodySha256: recorded.bodySha256,
          }),
        );
      } else if (typeof body === "string" || body instanceof Uint8Array) {
        response.end(body);
      } else {
        for await (const chunk of body) response.write(chunk);
        response.end();
      }
    } catch {
      response.destroy(); // the other side went away
    }
  }

  /**
   * @param {IncomingMessage} request
   * @param {Duplex} socket
   */
  #upgrade(request, socket) {
    this.#record(request);
    const accept = createHash("sha1")
      .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest("base64");
    socket.on("error", () => {});
    // The first that is offered, as usual servers choose it.
    const [protocol] = request.headers["sec-websocket-protocol"]?.split(",") ?? [];
    const chosen = protocol ? `Sec-WebSocket-Protocol: ${protocol.trim()}\r\n` : "";
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${chosen}\r\n`,
    );
    this.webSocket(socket);
  }
}

/**
 * By events, so that a scripted answer can listen for the same chunks.
 * @param {IncomingMessage} request
 */
async function bodyOf(request) {
  /** @type {Buffer[]} */
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  await once(request, "end");
  const body = Buffer.concat(chunks);
  return { body, bodySha256: createHash("sha256").update(body).digest("hex") };
}

/**
 * Frames of RFC 6455, as far as an echo needs them: unmasks what came and sends it back.
 * @param {Duplex} socket
 */
function echo(socket) {
  let pending = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    for (;;) {
      if (pending.length < 2) return;
      let length = pending[1] & 0x7f;
      let at = 2;
      if (length === 126) [length, at] = pending.length < 4 ? [Infinity, 4] : [pending.readUInt16BE(2), 4];
      else if (length === 127)
        [length, at] = pending.length < 10 ? [Infinity, 10] : [Number(pending.readBigUInt64BE(2)), 10];
      if (pending.length < at + 4 + length) return;
      const mask = pending.subarray(at, at + 4);
      const payload = Buffer.from(pending.subarray(at + 4, at + 4 + length)).map((byte, i) => byte ^ mask[i % 4]);
      const head = pending.subarray(0, at).fill(pending[1] & 0x7f, 1, 2);
      socket.write(Buffer.concat([head, payload]));
      if ((head[0] & 0x0f) === 8) return void socket.end();
      pending = pending.subarray(at + 4 + length);
    }
  });
}
