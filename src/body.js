// Request bodies that the gate itself reads, and its responses to clients that are still sending one.

/** What `read` resolves to instead of a body; src/body.rs handles each. */
const NO_BODY = /** @type {const} */ ({
  tooLarge: "too large",
  late: "late",
  brokenOff: "broken off",
  gaveWay: "gave way",
});

/** @typedef {typeof NO_BODY[keyof typeof NO_BODY]} NoBody */

/**
 * By the name of a place in the room for bodies: tells the request in it that it has to give way.
 * @type {Map<string, (why: typeof NO_BODY.gaveWay) => void>}
 */
const places = new Map();

/**
 * Takes a place; the promise settles when it has to be given up.
 * @param {string} name
 * @returns {Promise<typeof NO_BODY.gaveWay>}
 */
export function takePlace(name) {
  return new Promise((resolve) => {
    places.set(name, resolve);
  });
}

/**
 * Leaves a place.
 * @param {string} name
 */
export function leavePlace(name) {
  places.delete(name);
}

/**
 * Makes the request in this place give way.
 * @param {string} name
 */
export function vacatePlace(name) {
  places.get(name)?.(NO_BODY.gaveWay);
  places.delete(name);
}

/** Bytes of the first piece of a body that is read, and most bytes of a later one, which is as large as what has come. */
const FIRST = 64 * 1024;
const LARGEST = 1024 * 1024;

/**
 * Reads the whole body of a request, in pieces; or says why there is none.
 * @param {Request} request
 * @param {number} most bytes
 * @param {number} milliseconds until all of it must have come
 * @param {Promise<typeof NO_BODY.gaveWay>} givesWay settles when the room is needed for others
 * @param {(bytes: number) => boolean} grow reserves room for this many bytes in all; false if there is none
 * @returns {Promise<Uint8Array[] | NoBody>}
 */
export async function read(request, most, milliseconds, givesWay, grow) {
  // It has been read, and was empty.
  if (request.bodyUsed || request.body === null) return [];
  // The runtime forwards the body of a GET by itself.
  const isCopied = request.method === "GET" || request.method === "HEAD";
  const stream = /** @type {ReadableStream} */ ((isCopied ? request.clone() : request).body);
  const reader = stream.getReader({ mode: "byob" });
  let timer = 0;
  /** @type {Promise<typeof NO_BODY.late>} */
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, milliseconds, NO_BODY.late);
  });
  const length = request.headers.get("content-length");
  // The runtime keeps what is read of a clone for the request itself, too.
  const reserve = isCopied ? (/** @type {number} */ bytes) => grow(2 * bytes) : grow;
  const whole = readWhole(reader, length === null ? Infinity : Number(length), most, reserve).catch(
    () => NO_BODY.brokenOff,
  );
  try {
    const body = await Promise.race([whole, late, givesWay]);
    if (body === NO_BODY.late || body === NO_BODY.gaveWay) void reader.cancel().catch(() => {});
    // Whoever responds deals with what still comes.
    else if (body === NO_BODY.tooLarge) reader.releaseLock();
    return body;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * @param {ReadableStreamBYOBReader} reader
 * @param {number} length that the runtime makes sure of, or infinity
 * @param {number} most
 * @param {(bytes: number) => boolean} reserve
 * @returns {Promise<Uint8Array[] | NoBody>}
 */
async function readWhole(reader, length, most, reserve) {
  const pieces = [];
  // One byte more than is allowed, to notice a body that is too large.
  const end = Math.min(length, most + 1);
  let filled = 0;
  while (filled < end) {
    const size = Math.min(end - filled, Math.max(FIRST, Math.min(filled, LARGEST)));
    if (!reserve(filled + size)) return NO_BODY.gaveWay;
    const piece = await readPiece(reader, size);
    pieces.push(piece);
    filled += piece.byteLength;
    if (piece.byteLength < size) break;
  }
  return filled > most ? NO_BODY.tooLarge : pieces;
}

/**
 * The next bytes of a body: this many, or fewer at its end.
 * @param {ReadableStreamBYOBReader} reader
 * @param {number} size
 */
async function readPiece(reader, size) {
  let buffer = new ArrayBuffer(size);
  let filled = 0;
  while (filled < size) {
    const { done, value } = await reader.read(new Uint8Array(buffer, filled));
    if (value) buffer = value.buffer;
    if (done) break;
    filled += value.byteLength;
  }
  // Keep no more memory than was reserved.
  return new Uint8Array(filled < size ? buffer.slice(0, filled) : buffer);
}

/** Bytes that a client may still have to send when its connection is closed, and get the response all the same: workerd reads that many. */
const HARMLESS = 64 * 1024;
/** How long the gate goes on reading from a client that it has responded to; after the first `AT_ONCE` bytes, with a pause of `STEP_MS` between reads. */
const LINGER_MS = 2_000;
const AT_ONCE = 128 * 1024;
const STEP_MS = 10;

/**
 * Whether a client may still be sending so much that closing would reset its connection, and lose the response.
 * @param {Request} request
 */
function isSending({ method, headers, body }) {
  if (body === null || method === "GET" || method === "HEAD") return false;
  const length = headers.get("content-length");
  return length === null || Number(length) > HARMLESS;
}

/**
 * Header fields, for a response: an object where that can be, which the runtime reads four times as fast as a list.
 * @param {string[]} lines names and values, one after the other
 */
function headersOf(lines) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (let i = 0; i < lines.length; i += 2) {
    if (lines[i] in fields) return listOf(lines);
    fields[lines[i]] = lines[i + 1];
  }
  return fields;
}

/**
 * The same with names that stand more than once.
 * @param {string[]} lines
 */
function listOf(lines) {
  const fields = new Headers();
  for (let i = 0; i < lines.length; i += 2) fields.append(lines[i], lines[i + 1]);
  return fields;
}

/**
 * A response of the gate's own. A client that is still sending gets all of it before its connection is closed.
 * @param {Request} request
 * @param {number} status
 * @param {string[]} lines names and values of header fields, one after the other
 * @param {string} text
 */
export function answer(request, status, lines, text) {
  const headers = headersOf(lines);
  if (text === "" || request.body === null || !isSending(request))
    return new Response(text || null, { status, headers });
  const bytes = new TextEncoder().encode(text);
  const { readable, writable } = new FixedLengthStream(bytes.byteLength);
  void linger(bytes, writable.getWriter(), request.body);
  return new Response(readable, { status, headers });
}

/**
 * Writes a response, and ends it only when the client has stopped sending or its time is up.
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
      // A client that goes on sending is read slowly, until its time is up.
      if (taken > AT_ONCE) await scheduler.wait(STEP_MS);
    }
  } catch {
    // It broke off.
  } finally {
    clearTimeout(timer);
  }
}
