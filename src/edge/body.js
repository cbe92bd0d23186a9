// Bodies of requests that the gate itself reads, and its answers to clients that still send one.

/** What `read` gives instead of a body. */
const TOO_LARGE = "too large";
const LATE = "late";
const BROKEN_OFF = "broken off";

/** Bytes that are made room for at first where the length of a body is not said. */
const FIRST = 16 * 1024;

/**
 * The body of a request, in one buffer; or "too large", "late" or "broken off".
 * @param most bytes
 * @param milliseconds from now until its end
 */
export async function read(request, most, milliseconds) {
  // It was looked at, and was empty.
  if (request.bodyUsed || request.body === null) return new Uint8Array();
  // The runtime sends on the body of a GET by itself.
  const isCopied = request.method === "GET" || request.method === "HEAD";
  const reader = (isCopied ? request.clone() : request).body.getReader({ mode: "byob" });
  let timer;
  const late = new Promise((resolve) => { timer = setTimeout(resolve, milliseconds, LATE); });
  const length = request.headers.get("content-length");
  const whole = readWhole(reader, length === null ? undefined : Number(length), most).catch(() => BROKEN_OFF);
  try {
    const body = await Promise.race([whole, late]);
    if (body === LATE) void reader.cancel().catch(() => {});
    // What still comes is left to whoever answers.
    else if (body === TOO_LARGE) reader.releaseLock();
    return body;
  } finally {
    clearTimeout(timer);
  }
}

async function readWhole(reader, length, most) {
  // With room for a byte too many, which shows that there is one.
  let buffer = new ArrayBuffer(Math.min(length ?? FIRST, most + 1));
  let filled = 0;
  // The runtime lets no more through than the length says, and no less.
  while (filled !== length) {
    if (filled > most) return TOO_LARGE;
    if (filled === buffer.byteLength) {
      const larger = new ArrayBuffer(Math.min(4 * filled, most + 1));
      new Uint8Array(larger).set(new Uint8Array(buffer));
      buffer = larger;
    }
    const { done, value } = await reader.read(new Uint8Array(buffer, filled));
    buffer = value.buffer;
    if (done) break;
    filled += value.byteLength;
  }
  return new Uint8Array(buffer, 0, filled);
}

/** What a client may still send, in bytes, without that anything is lost when its connection is closed: workerd takes in as much. */
const HARMLESS = 64 * 1024;
/** How long the gate takes in what a client sends that has been answered; and in what steps, after the first `AT_ONCE` bytes. */
const LINGER_MS = 2_000;
const AT_ONCE = 128 * 1024;
const STEP_MS = 10;

/** Whether a client may be sending a body on that would reset its connection, and with it the answer. */
function isSending({ method, headers, body }) {
  if (body === null || method === "GET" || method === "HEAD") return false;
  const length = headers.get("content-length");
  return length === null || Number(length) > HARMLESS;
}

/**
 * An answer of the gate's own. A client that still sends gets all of it before its connection is closed.
 * @param headers names and values, one after the other
 */
export function answer(request, status, headers, text) {
  const fields = new Headers();
  for (let i = 0; i < headers.length; i += 2) fields.append(headers[i], headers[i + 1]);
  if (text === "" || !isSending(request)) return new Response(text || null, { status, headers: fields });
  const bytes = new TextEncoder().encode(text);
  const { readable, writable } = new FixedLengthStream(bytes.byteLength);
  void linger(bytes, writable.getWriter(), request.body);
  return new Response(readable, { status, headers: fields });
}

/** Writes an answer, and ends it only when the client has ended, or had its time. */
async function linger(bytes, writer, body) {
  try {
    await writer.write(bytes);
    if (!body.locked) await drain(body);
    await writer.close();
  } catch {
    // The client is gone.
  }
}

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
