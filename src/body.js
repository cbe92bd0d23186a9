// Bodies of requests that the gate itself reads, and its answers to clients that still send one.

/** What `read` gives instead of a body. */
const TOO_LARGE = /** @type {const} */ ("too large");
const LATE = /** @type {const} */ ("late");
const BROKEN_OFF = /** @type {const} */ ("broken off");
const GAVE_WAY = /** @type {const} */ ("gave way");

/** @typedef {typeof TOO_LARGE | typeof LATE | typeof BROKEN_OFF | typeof GAVE_WAY} NoBody */

/**
 * How to tell the request that has a place in the room for bodies that it has to give way, by the place's name.
 * @type {Map<string, (why: typeof GAVE_WAY) => void>}
 */
const places = new Map();

/**
 * Takes a place: the promise settles when it has to be given up.
 * @param {string} name
 * @returns {Promise<typeof GAVE_WAY>}
 */
export function takePlace(name) {
  return new Promise((resolve) => {
    places.set(name, resolve);
  });
}

/**
 * Leaves a place, of which nobody has to be told any more.
 * @param {string} name
 */
export function leavePlace(name) {
  places.delete(name);
}

/**
 * Has the request in this place give way.
 * @param {string} name
 */
export function vacatePlace(name) {
  places.get(name)?.(GAVE_WAY);
  places.delete(name);
}

/** Bytes that are made room for at first where the length of a body is not said. */
const FIRST = 16 * 1024;

/**
 * The body of a request, in one buffer; or why there is none.
 * @param {Request} request
 * @param {number} most bytes
 * @param {number} milliseconds from now until its end
 * @param {Promise<typeof GAVE_WAY>} givesWay settles when the room is needed for others
 * @param {(bytes: number) => boolean} grow takes room for this many bytes in all, where the length is not said; whether there is
 * @returns {Promise<Uint8Array | NoBody>}
 */
export async function read(request, most, milliseconds, givesWay, grow) {
  // It was looked at, and was empty.
  if (request.bodyUsed || request.body === null) return new Uint8Array();
  // The runtime sends on the body of a GET by itself.
  const isCopied = request.method === "GET" || request.method === "HEAD";
  const stream = /** @type {ReadableStream} */ ((isCopied ? request.clone() : request).body);
  const reader = stream.getReader({ mode: "byob" });
  let timer = 0;
  /** @type {Promise<typeof LATE>} */
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, milliseconds, LATE);
  });
  const length = request.headers.get("content-length");
  const whole = readWhole(reader, length === null ? undefined : Number(length), most, grow).catch(() => BROKEN_OFF);
  try {
    const body = await Promise.race([whole, late, givesWay]);
    if (body === LATE || body === GAVE_WAY) void reader.cancel().catch(() => {});
    // What still comes is left to whoever answers.
    else if (body === TOO_LARGE) reader.releaseLock();
    return body;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * @param {ReadableStreamBYOBReader} reader
 * @param {number | undefined} length
 * @param {number} most
 * @param {(bytes: number) => boolean} grow
 * @returns {Promise<Uint8Array | NoBody>}
 */
async function readWhole(reader, length, most, grow) {
  // With room for a byte too many, which shows that there is one.
  if (length === undefined && !grow(FIRST)) return GAVE_WAY;
  let buffer = new ArrayBuffer(Math.min(length ?? FIRST, most + 1));
  let filled = 0;
  // The runtime lets no more through than the length says, and no less.
  while (filled !== length) {
    if (filled > most) return TOO_LARGE;
    if (filled === buffer.byteLength) {
      const bytes = Math.min(4 * filled, most + 1);
      if (!grow(Math.min(bytes, most))) return GAVE_WAY;
      const larger = new ArrayBuffer(bytes);
      new Uint8Array(larger).set(new Uint8Array(buffer));
      buffer = larger;
    }
    const { done, value } = await reader.read(new Uint8Array(buffer, filled));
    if (value) buffer = value.buffer;
    if (done) break;
    filled += value.byteLength;
  }
  // What is held is as long as it is said to be.
  return new Uint8Array(filled < buffer.byteLength ? buffer.slice(0, filled) : buffer);
}

/** What a client may still send, in bytes, without that anything is lost when its connection is closed: workerd takes in as much. */
const HARMLESS = 64 * 1024;
/** How long the gate takes in what a client sends that has been answered; and in what steps, after the first `AT_ONCE` bytes. */
const LINGER_MS = 2_000;
const AT_ONCE = 128 * 1024;
const STEP_MS = 10;

/**
 * Whether a client may be sending a body on that would reset its connection, and with it the answer.
 * @param {Request} request
 */
function isSending({ method, headers, body }) {
  if (body === null || method === "GET" || method === "HEAD") return false;
  const length = headers.get("content-length");
  return length === null || Number(length) > HARMLESS;
}

/**
 * An answer of the gate's own. A client that still sends gets all of it before its connection is closed.
 * @param {Request} request
 * @param {number} status
 * @param {string[]} headers names and values, one after the other
 * @param {string} text
 */
export function answer(request, status, headers, text) {
  const fields = new Headers();
  for (let i = 0; i < headers.length; i += 2) fields.append(headers[i], headers[i + 1]);
  if (text === "" || request.body === null || !isSending(request))
    return new Response(text || null, { status, headers: fields });
  const bytes = new TextEncoder().encode(text);
  const { readable, writable } = new FixedLengthStream(bytes.byteLength);
  void linger(bytes, writable.getWriter(), request.body);
  return new Response(readable, { status, headers: fields });
}

/**
 * Writes an answer, and ends it only when the client has ended, or had its time.
 * @param {Uint8Array} bytes
 * @param {WritableStreamDefaultWriter} writer
 * @param {ReadableStream} body
 */
async function linger(bytes, writer, body) {
  try {
    await writer.write(bytes);
    if (!body.locked) await drain(body);
    await writer.close();
  } catch {
    // The client is gone.
  }
}

/** @param {ReadableStream} body */
async function drain(body) {
  const reader = body.getReader({ mode: "byob" });
  const timer = setTimeout(() => void reader.cancel().catch(() => {}), LINGER_MS);
  let buffer = new ArrayBuffer(FIRST);
  let taken = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (done) break;
      taken += value.byteLength;
      buffer = value.buffer;
      // A client that goes on sending has its time, and costs no more than that.
      if (taken > AT_ONCE) await scheduler.wait(STEP_MS);
    }
  } catch {
    // It broke off.
  } finally {
    clearTimeout(timer);
  }
}
