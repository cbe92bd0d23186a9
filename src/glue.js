// The stores and the network, each asked for a bounded time: a promise and its timer cost no crossing here. And
// what the bindings of the runtime do not have.

import { waitUntil } from "cloudflare:workers";

/** The bindings, any of which may be missing or of another type than it should be. */
/** @typedef {Record<string, unknown>} Env */

const TIMED_OUT = Symbol("timed out");

/**
 * The promise's value, if it comes within `milliseconds`. It does also when the client hangs up meanwhile: how a
 * call ends is what others wait for, or go by, so nobody may leave them without it.
 * @template Value
 * @param {Promise<Value>} promise
 * @param {number} milliseconds
 */
function inTime(promise, milliseconds) {
  const ended = orTimedOut(promise, milliseconds);
  waitUntil(ended.catch(() => {}));
  return ended;
}

/**
 * @template Value
 * @param {Promise<Value>} promise
 * @param {number} milliseconds
 */
async function orTimedOut(promise, milliseconds) {
  let timer = 0;
  /** @type {Promise<typeof TIMED_OUT>} */
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, milliseconds, TIMED_OUT);
  });
  try {
    const value = await Promise.race([promise, late]);
    if (value === TIMED_OUT) throw new Error(`no answer within ${milliseconds} ms`);
    return value;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A binding, which must have this method: one that is missing, or of another type, is named.
 * @param {Env} env
 * @param {string} name
 * @param {string} method
 */
function bound(env, name, method) {
  const binding = env[name];
  if (binding === undefined || binding === null) throw new Error(`the binding ${name} is missing`);
  if (typeof (/** @type {Record<string, unknown>} */ (binding)[method]) !== "function") {
    throw new Error(`the binding ${name} is of another type: it has no "${method}"`);
  }
  return binding;
}

/**
 * The text under a key of KV, or null.
 * @param {Env} env
 * @param {string} key
 * @param {number} milliseconds
 */
export async function read(env, key, milliseconds) {
  const keys = /** @type {KVNamespace} */ (bound(env, "KEYS", "get"));
  const text = await inTime(keys.get(key), milliseconds);
  if (text !== null && typeof text !== "string") throw new Error(`answered neither text nor null but ${typeof text}`);
  return text;
}

/**
 * Sends JSON text to the object of this name; the text of its answer.
 * @param {Env} env
 * @param {string} binding
 * @param {string} name
 * @param {string} path
 * @param {string} body
 * @param {number} milliseconds
 * @param {boolean} repeatable whether it does no harm twice
 */
export async function ask(env, binding, name, path, body, milliseconds, repeatable) {
  let isOver = false;
  const once = async () => {
    const objects = /** @type {DurableObjectNamespace} */ (bound(env, binding, "idFromName"));
    const response = await objects
      .get(objects.idFromName(name))
      .fetch(`https://object${path}`, { method: "POST", body });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`answered ${response.status}`);
    return text;
  };
  // The platform says which errors a second try may not meet (an object that was just reset, a connection that was
  // lost), and which it would make worse. A stub that has failed stays so: each try has one of its own.
  const twice = async () => {
    try {
      return await once();
    } catch (error) {
      const { retryable, durableObjectReset, overloaded } =
        /** @type {{ retryable?: boolean, durableObjectReset?: boolean, overloaded?: boolean }} */ (error ?? {});
      const isTransient = retryable === true || durableObjectReset === true;
      if (!repeatable || isOver || !isTransient || overloaded === true) throw error;
      return once();
    }
  };
  try {
    return await inTime(twice(), milliseconds);
  } finally {
    isOver = true;
  }
}

/**
 * The text at a URL, if it is not longer than `most` bytes. What does not come in time is given up.
 * @param {string} url
 * @param {number} most
 * @param {number} milliseconds
 */
export async function load(url, most, milliseconds) {
  const abort = new AbortController();
  const answer = async () => {
    // Another address than the policy's is not the issuer's: a redirect is answered with its own status. (The
    // runtime knows "follow" and "manual" only.)
    const response = await fetch(url, {
      redirect: "manual",
      headers: { accept: "application/json" },
      signal: abort.signal,
    });
    if (response.status !== 200) throw new Error(`answered ${response.status}`);
    const decoder = new TextDecoder();
    let text = "";
    let length = 0;
    for await (const chunk of response.body ?? []) {
      length += chunk.length;
      if (length > most) throw new Error(`answered more than ${most} bytes`);
      text += decoder.decode(chunk, { stream: true });
    }
    return text + decoder.decode();
  };
  try {
    return await inTime(answer(), milliseconds);
  } finally {
    abort.abort();
  }
}

/**
 * Whether a request whose length is not said has any content. What has not come in time counts as some.
 * @param {{ body: ReadableStream }} request
 * @param {number} milliseconds
 */
export async function hasContent(request, milliseconds) {
  const reader = request.body.getReader();
  const first = await inTime(reader.read(), milliseconds).catch(() => ({ done: false }));
  return !first.done;
}

/**
 * Counts one event of this key; whether there were too many.
 * @param {Env} env
 * @param {string} key
 * @param {number} milliseconds
 */
export async function exceeds(env, key, milliseconds) {
  const failures = /** @type {RateLimit} */ (bound(env, "FAILURES", "limit"));
  const outcome = await inTime(failures.limit({ key }), milliseconds);
  if (typeof outcome?.success !== "boolean") throw new Error("answered neither yes nor no");
  return !outcome.success;
}

const UNDONE = Symbol("undone");

/**
 * Calls `turn` in a transaction of the object's database, which is kept if it returns true and undone otherwise.
 * @param {DurableObjectStorage} storage
 * @param {() => boolean} turn
 */
export function attempt(storage, turn) {
  try {
    storage.transactionSync(() => {
      if (!turn()) throw UNDONE;
    });
  } catch (error) {
    if (error !== UNDONE) throw error;
  }
}
