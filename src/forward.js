// Sends a request to the origin. Bodies are the runtime's streams and stay in JavaScript, so that no chunk crosses into the wasm.

import { handlerNamed } from "keyward-handlers";
import { decorate, editRequest, mapDestination, originOf } from "./fields.js";
import { ended, mayBeLarge } from "./large_uploads.js";

/**
 * What `forward` resolves to where the origin's response does not reach the client; src/origin.rs handles each. After
 * the last three stands a line break and the error.
 */
export const NO_ANSWER = /** @type {const} */ ({
  missing: "missing",
  timedOut: "timed out",
  stalled: "stalled",
  brokenOff: "broken off",
  gaveWay: "gave way",
  unreachable: "unreachable",
  invalid: "invalid",
  fault: "fault",
});

/** Bytes of a body that are read at once: large uploads take fewer reads, small ones little memory. */
const LEAST_READ = 16 * 1024;
const MOST_READ = 256 * 1024;

/** @import { Handler } from "./handlers.js" */
/** @import { AnswerProfile } from "./fields.js" */
/** @typedef {"origin" | "client"} Side Whom the gate waits for. */

/**
 * What is the same for many requests (crates/gate/src/forwarding/profile.rs).
 * @typedef {object} Profile
 * @property {{ kind: "binding" | "handler" | "url", name: string }} origin
 * @property {number} originTimeoutMs for which the origin may accept no more of the body, or not begin its response
 * @property {number} clientTimeoutMs for which the client may send nothing of a body that has not ended
 * @property {string | null} ownAddress scheme, host and port of an origin by URL
 * @property {string[]} cookies names of cookies by which the gate knows somebody: the origin does not see them
 * @property {string[]} ownCookies those that the origin may not set either
 * @property {(name: string) => boolean} isRemoved whether the origin must not see a field of this name, in lower case
 * @property {AnswerProfile} answer
 */

/**
 * How one request goes to the origin, and its response comes back.
 * @typedef {object} Way
 * @property {Profile} profile
 * @property {number} number the profile's
 * @property {string} requestId
 * @property {string | undefined} url the target, or undefined for the request's own URL
 * @property {string} open names the request while it is open (crates/gate/src/pipeline/open.rs); empty if it is not
 * @property {string} watched what is told of the request (crates/gate/src/watch.rs); empty if nothing is
 * @property {string[]} credentials names, in lower case, of headers with a credential, which the origin must not see
 * @property {string[]} set names and values to set in the request, in turn
 * @property {string[]} answerSet the same for the response
 * @property {string[]} answerMerged names of lists in the response and what is added to them, in turn
 */

/**
 * What is held until the origin has responded.
 * @typedef {object} Held
 * @property {Uint8Array[]} [body] the pieces of the body, if the gate has read it; they are taken out of the list
 * @property {Promise<unknown>} [givesWay] settles when the room for the copy of a body is needed for others; undefined if there is no copy
 * @property {() => void} [hasCome] called when the whole body has come, if that is before the response begins
 */

/**
 * Forwards a request. Resolves to the response as the client gets it, or to a text of `NO_ANSWER`.
 * @param {Way} way
 * @param {Request} request
 * @param {object} env the bindings
 * @param {ExecutionContext} context the request's, for a handler
 * @param {Held} [held]
 * @returns {Promise<Response | string>}
 */
export async function forward(way, request, env, context, held = {}) {
  const { kind, name } = way.profile.origin;
  const fetcher = kind === "binding" ? /** @type {Record<string, Fetcher>} */ (env)[name] : undefined;
  const handler = kind === "handler" ? handlerNamed(name) : undefined;
  if (kind !== "url" && !fetcher && !handler) return NO_ANSWER.missing;
  let response;
  try {
    response = await pass(way, request, fetcher, handler, env, context, held);
  } catch (error) {
    return `${NO_ANSWER.fault}\n${textOf(error)}`;
  }
  if (typeof response === "string") return response;
  try {
    // What cannot be made of the origin's response is the origin's fault: it may have done what was asked.
    return decorate(response, way, request) ?? `${NO_ANSWER.invalid}\nit answered ${response.status}`;
  } catch (error) {
    return `${NO_ANSWER.invalid}\n${textOf(error)}`;
  }
}

/**
 * The origin's response, as it is, or a text of `NO_ANSWER`. What it throws is a fault of the gate itself.
 * @param {Way} way
 * @param {Request} request
 * @param {Fetcher | undefined} fetcher a service binding, or undefined
 * @param {Handler | undefined} handler an origin in the same Worker, or undefined; with neither, the request goes to the network
 * @param {object} env
 * @param {ExecutionContext} context
 * @param {Held} held
 * @returns {Promise<Response | string>}
 */
async function pass(way, request, fetcher, handler, env, context, { body: read, givesWay, hasCome }) {
  const { profile, url } = way;
  const abort = new AbortController();
  /** @type {string | undefined} Why the gate has given the request up. */
  let why;
  const giveUp = (/** @type {string} */ reason) => {
    why ??= reason;
    abort.abort(new DOMException(`the gate has given this request up: ${reason}`, "AbortError"));
  };
  const patience = new Patience({ origin: profile.originTimeoutMs, client: profile.clientTimeoutMs }, (who) =>
    giveUp(who === "origin" ? NO_ANSWER.timedOut : NO_ANSWER.stalled),
  );

  /** @type {RequestInit<RequestInitCfProperties>} */
  const init = { redirect: "manual", signal: abort.signal };
  // Without the credential, a cache between gate and origin would give one consumer's response to another (RFC 9111,
  // section 3.5). `cache: "no-store"` would also add header fields to the request.
  init.cf = fetcher || handler ? request.cf : { cacheTtlByStatus: { "100-599": -1 } };
  // The runtime accepts no body in `init` for GET and HEAD, but a copy of the request keeps the client's body, if there is one.
  const isCopied = request.method === "GET" || request.method === "HEAD";
  const body = request.bodyUsed ? null : request.body;
  const watched = isCopied && body ? request.clone().body?.getReader() : undefined;
  void givesWay?.then(() => giveUp(NO_ANSWER.gaveWay));
  if (way.open !== "") whenAborted(request.signal, () => giveUp(NO_ANSWER.brokenOff));
  let sink;
  // What is read of a copy is not sent.
  const pieces = read?.splice(0) ?? [];
  if (read && !isCopied) {
    init.body = bodyOf(pieces);
  } else if (body && !isCopied) {
    const length = request.headers.get("content-length");
    const stream = length === null ? new IdentityTransformStream() : new FixedLengthStream(Number(length));
    init.body = stream.readable;
    sink = stream.writable;
  }
  const onward = requestTo(url, request, init, isCopied && body !== null);
  editRequest(onward.headers, way, request);
  if (url !== undefined) mapDestination(onward.headers, originOf(request.url), originOf(url));

  const onBrokenOff = () => giveUp(NO_ANSWER.brokenOff);
  if (body && sink) void send(body, sink, patience, onBrokenOff, abort.signal);
  else if (watched) void watch(watched, patience, hasCome, onBrokenOff);
  else patience.waitFor("origin");
  try {
    const response = ask(onward, fetcher, handler, env, context);
    // The signal ends what the runtime waits for, but no handler.
    return await (handler ? Promise.race([response, aborted(abort.signal)]) : response);
  } catch (error) {
    return why ?? `${NO_ANSWER.unreachable}\n${error instanceof Error ? error : new Error(textOf(error))}`;
  } finally {
    patience.end();
    // From now on the runtime reads no faster than the origin does.
    void watched?.cancel().catch(() => {});
  }
}

/**
 * A body that is in memory. The runtime would copy all of a buffer and keep both, so that only a small one is given to it.
 * @param {Uint8Array[]} pieces are taken out of the list as they are sent
 */
function bodyOf(pieces) {
  if (pieces.length < 2) return pieces.pop() ?? new Uint8Array();
  const length = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
  const { readable, writable } = new FixedLengthStream(length);
  void sendPieces(pieces, writable.getWriter());
  return readable;
}

/**
 * @param {Uint8Array[]} pieces
 * @param {WritableStreamDefaultWriter} writer
 */
async function sendPieces(pieces, writer) {
  try {
    for (let piece = pieces.shift(); piece; piece = pieces.shift()) await writer.write(piece);
    await writer.close();
  } catch {
    // The origin accepts no more: it may have responded, and the response says why.
    pieces.length = 0;
  }
}

/**
 * The request that the origin gets, its header fields still the client's.
 * @param {string | undefined} url
 * @param {Request} request
 * @param {RequestInit<RequestInitCfProperties>} init
 * @param {boolean} hasOwnBody whether the runtime is to forward the client's body by itself
 */
function requestTo(url, request, init, hasOwnBody) {
  if (hasOwnBody) {
    const copy = new Request(request, init);
    return url === undefined ? copy : new Request(url, copy);
  }
  // A copy of the request takes three times as long, and there is nothing else in it.
  init.method = request.method;
  init.headers = request.headers;
  return new Request(url ?? request.url, init);
}

/**
 * Calls this when the signal is aborted, be it already. The runtime aborts a request's signal when its client goes away
 * (`enable_request_signal`).
 * @param {AbortSignal} signal
 * @param {() => void} then
 */
function whenAborted(signal, then) {
  if (signal.aborted) then();
  else signal.addEventListener("abort", then, { once: true });
}

/**
 * Rejects when the signal is aborted.
 * @param {AbortSignal} signal
 * @returns {Promise<never>}
 */
const aborted = (signal) =>
  new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });

/**
 * The origin's response.
 * @param {Request} request
 * @param {Fetcher | undefined} fetcher
 * @param {Handler | undefined} handler
 * @param {object} env
 * @param {ExecutionContext} context
 */
async function ask(request, fetcher, handler, env, context) {
  if (!handler) return fetcher ? fetcher.fetch(request) : fetch(request);
  // A handler may not ask the platform to forward the request, credential included, when the Worker fails.
  Object.defineProperty(context, "passThroughOnException", { value: () => {}, configurable: true });
  let answer;
  try {
    answer = await handler(request, env, context);
  } catch (error) {
    throw new Error(`the handler threw ${textOf(error)}`, { cause: error });
  }
  // Text, for instance, would be mistaken for one of `NO_ANSWER`.
  if (!(answer instanceof Response)) throw new TypeError("the handler answered with something else than a Response");
  return answer;
}

/**
 * What the log says of a thrown value, which may be anything.
 * @param {unknown} error
 */
function textOf(error) {
  try {
    return String(error);
  } catch {
    return "something that has no text";
  }
}

/** Measures how long the gate has waited for one side without a break: for the origin and the client in turn. */
class Patience {
  #of;
  #least;
  #onLate;
  /** @type {Side} */
  #who = "client";
  #since = 0;
  #timer = 0;
  #over = false;

  /**
   * @param {Record<Side, number>} of how many milliseconds each may take
   * @param {(who: Side) => void} onLate called once, with the side that took longer
   */
  constructor(of, onLate) {
    this.#of = of;
    this.#least = Math.min(...Object.values(of));
    this.#onLate = onLate;
  }

  /**
   * From now on the gate waits for this side.
   * @param {Side} who
   */
  waitFor(who) {
    this.#who = who;
    this.#since = performance.now();
    // One timer for the whole transfer: a timer for each chunk would cost more than the chunk.
    if (!this.#timer && !this.#over) this.#timer = setTimeout(() => this.#look(), this.#least);
  }

  #look() {
    const left = this.#of[this.#who] - (performance.now() - this.#since);
    if (left <= 0) this.#onLate(this.#who);
    else this.#timer = setTimeout(() => this.#look(), Math.min(left, this.#least));
  }

  end() {
    clearTimeout(this.#timer);
    this.#over = true;
  }

  /** Whether the gate waits for nobody any more. */
  get isOver() {
    return this.#over;
  }
}

/**
 * Forwards a body, chunk by chunk. Reports when the source breaks off, since the origin must not mistake a part for the whole. Does
 * not report when the origin accepts no more: it may have responded, and the response says why.
 * @param {ReadableStream} source
 * @param {WritableStream} sink
 * @param {Patience} patience
 * @param {() => void} onBrokenOff
 * @param {AbortSignal} signal aborted when the request is given up
 */
async function send(source, sink, patience, onBrokenOff, signal) {
  const reader = source.getReader({ mode: "byob" });
  const writer = sink.getWriter();
  // The signal alone ends a connection. A handler reads this stream, and would wait for the rest for ever.
  signal.addEventListener("abort", () => void writer.abort(signal.reason).catch(() => {}), { once: true });
  const upload = Symbol("upload");
  try {
    await pipe(reader, writer, upload, patience, onBrokenOff);
  } finally {
    ended(upload);
  }
}

/**
 * @param {ReadableStreamBYOBReader} reader
 * @param {WritableStreamDefaultWriter} writer
 * @param {symbol} upload
 * @param {Patience} patience
 * @param {() => void} onBrokenOff
 */
async function pipe(reader, writer, upload, patience, onBrokenOff) {
  let buffer = new ArrayBuffer(LEAST_READ);
  for (;;) {
    let chunk;
    try {
      patience.waitFor("client");
      chunk = await reader.read(new Uint8Array(buffer));
    } catch {
      return onBrokenOff();
    }
    try {
      patience.waitFor("origin");
      // An origin that refuses a large upload and closes its connection has often responded by now. If more is written, its
      // system may discard that response; after a moment's pause, the runtime has read it.
      if (chunk.value?.buffer.byteLength === MOST_READ) await scheduler.wait(1);
      if (chunk.done) return void (await writer.close());
      await writer.write(chunk.value);
    } catch {
      // Whoever responds deals with what the client still sends.
      return reader.releaseLock();
    }
    const { byteLength, buffer: own } = chunk.value;
    const isLarge = byteLength === own.byteLength && mayBeLarge(upload, performance.now());
    buffer = isLarge && own.byteLength < MOST_READ ? new ArrayBuffer(MOST_READ) : own;
  }
}

/**
 * Watches a body that the runtime forwards by itself: once all of it has come, the gate waits for the origin.
 * @param {ReadableStreamDefaultReader} reader
 * @param {Patience} patience
 * @param {(() => void) | undefined} hasCome
 * @param {() => void} onBrokenOff
 */
async function watch(reader, patience, hasCome, onBrokenOff) {
  try {
    do patience.waitFor("client");
    while (!(await reader.read()).done);
    if (patience.isOver) return;
    patience.waitFor("origin");
    hasCome?.();
  } catch {
    onBrokenOff();
  }
}
