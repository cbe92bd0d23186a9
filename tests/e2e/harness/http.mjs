// A client that sends what it is told, byte for byte, and keeps what comes back as it came: fetch()
// would join, refuse or repair the very requests that a gate has to withstand.

import { createHash } from "node:crypto";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";

import { certificate } from "./tls.mjs";
import { inTime } from "./wait.mjs";

/** @import { Socket } from "node:net" */
/** @import { Bytes, RequestToSend } from "../../../types/e2e.js" */

/**
 * Sends one request on a connection of its own and returns when the whole answer is there.
 * @param {string | URL} base where: only host and port count
 * @param {RequestToSend} [request]
 */
export async function send(base, request) {
  const answer = await open(base, request);
  await answer.read();
  return answer;
}

/**
 * Like `send`, but returns as soon as the head is there: `answer.chunks()` has the body as it comes.
 * @param {string | URL} base
 * @param {RequestToSend} [request]
 */
export async function open(base, request = {}) {
  const { method = "GET", target = "/", headers = [], host, body, tls, timeoutMs = 60_000 } = request;
  const { hostname, port, protocol } = new URL(base);
  /** @type {[string, Bytes][]} */
  const list = [];
  for (const [name, value] of Array.isArray(headers) ? headers : Object.entries(headers)) {
    if (value === undefined) throw new Error(`the header ${name} has no value`);
    list.push([String(name), value]);
  }
  const has = (/** @type {string} */ name) => list.some(([given]) => given.toLowerCase() === name);
  const streamed = typeof body === "object" && Symbol.asyncIterator in body ? body : undefined;
  const whole = body === undefined || streamed ? undefined : Buffer.from(/** @type {string} */ (body));
  if (host !== null && !has("host")) list.unshift(["Host", host ?? `${hostname}:${port}`]);
  if (!has("connection")) list.push(["Connection", "close"]);
  if (whole && !has("content-length") && !has("transfer-encoding")) list.push(["Content-Length", String(whole.length)]);
  if (streamed && !has("transfer-encoding")) list.push(["Transfer-Encoding", "chunked"]);

  const socket =
    protocol === "https:"
      ? connectTls({
          port: Number(port),
          host: hostname,
          ca: certificate.cert,
          ...(tls && { minVersion: tls, maxVersion: tls }),
          ciphers: "DEFAULT@SECLEVEL=0",
        })
      : connect(Number(port), hostname);
  socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`${method} ${target}: silent for ${timeoutMs} ms`)));
  const sending = sendAll(socket, `${method} ${target}`, list, whole, streamed);
  sending.catch(() => {}); // the answer tells: a server may answer and close before it has read all
  return Answer.read(socket, method);
}

/**
 * @param {Socket} socket
 * @param {string} what method and target
 * @param {[string, Bytes][]} headers
 * @param {Buffer | undefined} whole
 * @param {AsyncIterable<Bytes> | undefined} chunks
 */
async function sendAll(socket, what, headers, whole, chunks) {
  const head = headers.map(([name, value]) => Buffer.concat([Buffer.from(`${name}: `), Buffer.from(value), CRLF]));
  socket.write(Buffer.concat([Buffer.from(`${what} HTTP/1.1\r\n`), ...head, CRLF, whole ?? Buffer.alloc(0)]));
  if (!chunks) return;
  for await (const chunk of chunks) {
    if (socket.destroyed) return;
    const part = Buffer.from(chunk);
    socket.write(Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, CRLF]));
  }
  socket.write("0\r\n\r\n");
}

const CRLF = Buffer.from("\r\n");
/** No answer of a test leaves its client longer without a byte. */
const SILENT_MS = 180_000;

/** An answer, at first only its head. */
export class Answer {
  status = 0;
  reason = "";
  /** @type {[string, string][]} Names and values in the order they came. */
  rawHeaders = [];
  /** Once it was read. */
  body = Buffer.alloc(0);
  bodySha256 = "";
  #bytes;
  #method;

  /**
   * @param {Socket} socket
   * @param {string} method
   */
  constructor(socket, method) {
    this.socket = socket;
    this.#method = method;
    this.#bytes = new Incoming(socket);
  }

  /**
   * @param {Socket} socket
   * @param {string} method
   */
  static async read(socket, method) {
    const answer = new Answer(socket, method);
    do {
      const [status, ...headers] = (await answer.#bytes.until("\r\n\r\n")).toString("latin1").split("\r\n");
      const [, code, reason] = status.match(/^HTTP\/1\.1 (\d{3}) ?(.*)$/) ?? [];
      if (!code) throw new Error(`not an HTTP answer: ${status}`);
      answer.status = Number(code);
      answer.reason = reason;
      answer.rawHeaders = headers.filter(Boolean).map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon), line.slice(colon + 1).trim()];
      });
    } while (answer.status >= 100 && answer.status < 200 && answer.status !== 101);
    return answer;
  }

  /**
   * Every value of a header, by its name in any case.
   * @param {string} name
   */
  all(name) {
    return this.rawHeaders.filter(([given]) => given.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  }

  /**
   * A header's value, several joined by a comma, undefined if there is none.
   * @param {string} name
   */
  header(name) {
    const values = this.all(name);
    return values.length ? values.join(", ") : undefined;
  }

  /** The body's bytes as they come, without the framing. */
  async *chunks() {
    if (this.#method === "HEAD" || [101, 204, 304].includes(this.status)) return void this.socket.end();
    if (/chunked/i.test(this.header("transfer-encoding") ?? "")) {
      for (;;) {
        const length = parseInt((await this.#bytes.until("\r\n")).toString(), 16);
        if (length > 0) yield await this.#bytes.take(length);
        await this.#bytes.until("\r\n");
        if (!length) break;
      }
    } else if (this.header("content-length") !== undefined) {
      let left = Number(this.header("content-length"));
      while (left > 0) {
        const chunk = await this.#bytes.some(left);
        left -= chunk.length;
        yield chunk;
      }
    } else {
      for (;;) {
        const chunk = await this.#bytes.some(Infinity, true);
        if (chunk.length === 0) break;
        yield chunk;
      }
    }
    this.socket.end();
  }

  /** Reads the rest of the body. */
  async read() {
    const parts = [];
    for await (const chunk of this.chunks()) parts.push(chunk);
    this.body = Buffer.concat(parts);
    this.bodySha256 = createHash("sha256").update(this.body).digest("hex");
    return this.body;
  }

  get text() {
    return this.body.toString();
  }

  json() {
    return JSON.parse(this.text);
  }
}

/** What comes on a socket, taken in pieces. */
class Incoming {
  #pending = Buffer.alloc(0);
  #ended = false;
  /** @type {Error | undefined} */
  #failed;
  /** @type {(nothing?: undefined) => void} */
  #wake = () => {};

  /** @param {Socket} socket */
  constructor(socket) {
    socket.on("data", (chunk) => {
      this.#pending = Buffer.concat([this.#pending, chunk]);
      this.#wake();
    });
    socket.on("error", (error) => {
      this.#failed = error;
      this.#wake();
    });
    socket.on("close", () => {
      this.#ended = true;
      this.#wake();
    });
    socket.on("end", () => {
      this.#ended = true;
      this.#wake();
    });
  }

  async #more() {
    if (this.#ended || this.#failed) {
      throw new Error(`the connection ended before the answer did${this.#failed ? `: ${this.#failed.message}` : ""}`);
    }
    const woken = new Promise((resolve) => {
      this.#wake = resolve;
    });
    await inTime("the rest of an answer", woken, { timeoutMs: SILENT_MS });
  }

  /** @param {number} length */
  #cut(length) {
    const part = this.#pending.subarray(0, length);
    this.#pending = this.#pending.subarray(length);
    return part;
  }

  /**
   * All before `mark`, which is taken too.
   * @param {string} mark
   */
  async until(mark) {
    for (;;) {
      const at = this.#pending.indexOf(mark);
      if (at >= 0) {
        const part = this.#cut(at);
        this.#cut(mark.length);
        return part;
      }
      await this.#more();
    }
  }

  /** @param {number} length */
  async take(length) {
    while (this.#pending.length < length) await this.#more();
    return this.#cut(length);
  }

  /**
   * What there is, at least one byte and at most `most`; with `orEnd`, nothing at the end.
   * @param {number} most
   */
  async some(most, orEnd = false) {
    while (!this.#pending.length) {
      if (orEnd && this.#ended && !this.#failed) return this.#pending;
      await this.#more();
    }
    return this.#cut(Math.min(most, this.#pending.length));
  }
}
