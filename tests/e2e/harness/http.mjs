// A client that sends what it is told, byte for byte, and keeps what comes back as it came: fetch()
// would join, refuse or repair the very requests that a gate has to withstand.

import { createHash } from "node:crypto";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";

import { certificate } from "./tls.mjs";

/**
 * Sends one request on a connection of its own and returns when the whole answer is there.
 *
 * @param {string|URL} base where: only host and port count
 * @param {object} request `method`; `target`, sent as it stands; `headers`, an object or a list of
 *   [name, value], values as text (sent as UTF-8) or bytes; `host`, for another Host header (null for
 *   none); `body`, as text, bytes, or an async iterable that is sent in chunks; `tls`, the only version to
 *   speak with an https `base`; `timeoutMs`
 * @returns {Promise<Answer>} with `body`, `text` and `json()`
 */
export async function send(base, request) {
  const answer = await open(base, request);
  await answer.read();
  return answer;
}

/** Like `send`, but returns as soon as the head is there: `answer.chunks()` has the body as it comes. */
export async function open(
  base,
  { method = "GET", target = "/", headers = [], host, body, tls, timeoutMs = 30_000 } = {},
) {
  const { hostname, port, protocol } = new URL(base);
  const list = Array.isArray(headers) ? [...headers] : Object.entries(headers);
  const has = (name) => list.some(([given]) => given.toLowerCase() === name);
  const streamed = body?.[Symbol.asyncIterator] !== undefined;
  const whole = body === undefined || streamed ? undefined : Buffer.from(body);
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
  const sending = sendAll(socket, method, target, list, whole, streamed ? body : undefined);
  sending.catch(() => {}); // the answer tells: a server may answer and close before it has read all
  return Answer.read(socket, method);
}

async function sendAll(socket, method, target, headers, whole, chunks) {
  const head = headers.map(([name, value]) => Buffer.concat([Buffer.from(`${name}: `), Buffer.from(value), CRLF]));
  socket.write(
    Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n`), ...head, CRLF, whole ?? Buffer.alloc(0)]),
  );
  if (!chunks) return;
  for await (const chunk of chunks) {
    if (socket.destroyed) return;
    const part = Buffer.from(chunk);
    socket.write(Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, CRLF]));
  }
  socket.write("0\r\n\r\n");
}

const CRLF = Buffer.from("\r\n");

/** An answer: `status`, `reason`, `rawHeaders` as a list of [name, value] in the order they came. */
class Answer {
  #bytes;
  #method;

  static async read(socket, method) {
    const answer = new Answer();
    answer.socket = socket;
    answer.#method = method;
    answer.#bytes = new Bytes(socket);
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

  /** Every value of a header, by its name in any case. */
  all(name) {
    return this.rawHeaders.filter(([given]) => given.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  }

  /** A header's value, several joined by a comma, undefined if there is none. */
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
class Bytes {
  #pending = Buffer.alloc(0);
  #ended = false;
  #failed;
  #wake = () => {};

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
    await new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #cut(length) {
    const part = this.#pending.subarray(0, length);
    this.#pending = this.#pending.subarray(length);
    return part;
  }

  /** All before `mark`, which is taken too. */
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

  async take(length) {
    while (this.#pending.length < length) await this.#more();
    return this.#cut(length);
  }

  /** What there is, at least one byte and at most `most`; with `orEnd`, nothing at the end. */
  async some(most, orEnd = false) {
    while (!this.#pending.length) {
      if (orEnd && this.#ended && !this.#failed) return this.#pending;
      await this.#more();
    }
    return this.#cut(Math.min(most, this.#pending.length));
  }
}
