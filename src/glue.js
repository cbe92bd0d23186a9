// Calls to the stores and the network, each for a bounded time: here, a promise and its timer need no crossing into the wasm.
// And what the crate `worker` does not have.

import { waitUntil } from "cloudflare:workers";
import { inSpan } from "keyward-spans";

/** The bindings, any of which may be missing or of another type than it should be. */
/** @typedef {Record<string, unknown>} Env */

const TIMED_OUT = Symbol("timed out");

/** The error of a call that was answered with another status than 200. */
class UnexpectedStatus extends Error {
  /** @param {number} status */
  constructor(status) {
    super(`answered ${status}`);
    this.unexpectedStatus = status;
  }
}

/**
 * The promise's value, if it comes within `milliseconds`; also when the client hangs up meanwhile, since other requests may
 * wait for the outcome of this call.
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
 * A binding that has this method; throws an error that names it if it is missing or of another type.
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
  const text = await inSpan("keyward.store", () => inTime(keys.get(key), milliseconds));
  if (text !== null && typeof text !== "string") throw new Error(`answered neither text nor null but ${typeof text}`);
  return text;
}

/**
 * Writes text under a key of KV. For how long that is waited for is the caller's.
 * @param {Env} env
 * @param {string} key
 * @param {string} text
 */
export async function write(env, key, text) {
  const keys = /** @type {KVNamespace} */ (bound(env, "KEYS", "put"));
  await keys.put(key, text);
}

/**
 * Some names in KV that begin so, after this cursor (empty at first): JSON of `{names, next}`, without `next` after the last.
 * @param {Env} env
 * @param {string} prefix
 * @param {string} cursor
 * @param {number} limit
 * @param {number} milliseconds
 */
export async function list(env, prefix, cursor, limit, milliseconds) {
  const keys = /** @type {KVNamespace} */ (bound(env, "KEYS", "list"));
  const listed = await inTime(keys.list({ prefix, limit, ...(cursor !== "" && { cursor }) }), milliseconds);
  const names = listed.keys.map(({ name }) => name);
  return JSON.stringify({ names, ...(!listed.list_complete && { next: listed.cursor }) });
}

/** The status of an object that was looked for in another jurisdiction than its policy's (RFC 9110, section 15.5.20). */
const MISDIRECTED = 421;

/** What `workerd` says where it runs by itself, as on a developer's machine: only Cloudflare's network has jurisdictions. */
const HAS_NONE = "Jurisdiction restrictions are not implemented in workerd.";

/**
 * The object of this name, in a jurisdiction if one is named. Where there are no jurisdictions, it stands in front of the name:
 * there, too, the objects of one are others than those without.
 * @param {DurableObjectNamespace} objects
 * @param {string | undefined} jurisdiction
 * @param {string} name
 */
function objectOf(objects, jurisdiction, name) {
  if (jurisdiction === undefined) return objects.get(objects.idFromName(name));
  try {
    const within = objects.jurisdiction(/** @type {DurableObjectJurisdiction} */ (jurisdiction));
    return within.get(within.idFromName(name));
  } catch (error) {
    if (!(error instanceof Error) || error.message !== HAS_NONE) throw error;
    return objects.get(objects.idFromName(`${jurisdiction}/${name}`));
  }
}

/**
 * Sends JSON text to the object of this name; the text of its answer. The host tells the object in which jurisdiction it was
 * looked for.
 * @param {Env} env
 * @param {string | undefined} jurisdiction
 * @param {string} binding
 * @param {string} name
 * @param {string} path
 * @param {string} body
 * @param {number} milliseconds
 * @param {boolean} repeatable whether it does no harm twice
 */
export async function ask(env, jurisdiction, binding, name, path, body, milliseconds, repeatable) {
  let isOver = false;
  const once = async () => {
    const objects = /** @type {DurableObjectNamespace} */ (bound(env, binding, "idFromName"));
    const host = jurisdiction === undefined ? "object" : `${jurisdiction}.object`;
    const response = await objectOf(objects, jurisdiction, name).fetch(`https://${host}${path}`, {
      method: "POST",
      body,
    });
    const text = await response.text();
    if (response.status === MISDIRECTED) throw new Error(text);
    if (response.status !== 200) throw new UnexpectedStatus(response.status);
    return text;
  };
  // The platform marks errors for which a second try may succeed (the object was just reset, the connection was lost), and
  // those that it would make worse. A stub that has failed once fails for good, so each try gets a new one.
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
    return await inSpan("keyward.object", () => inTime(twice(), milliseconds));
  } finally {
    isOver = true;
  }
}

/**
 * The text at a URL, or that a form sent there is answered with, if it is no longer than `most` bytes and comes in time.
 * @param {string} url
 * @param {number} most
 * @param {number} milliseconds
 * @param {string} [form]
 * @param {string} [authorization]
 */
export async function load(url, most, milliseconds, form, authorization) {
  const abort = new AbortController();
  const answer = async () => {
    // Only the policy's address is the issuer's, so a redirect is an error. (The runtime knows "follow" and "manual" only.)
    const response = await fetch(url, {
      redirect: "manual",
      ...(form !== undefined && { method: "POST", body: form }),
      headers: {
        accept: "application/json",
        ...(form !== undefined && { "content-type": "application/x-www-form-urlencoded" }),
        ...(authorization !== undefined && { authorization }),
      },
      signal: abort.signal,
    });
    if (response.status !== 200) throw new UnexpectedStatus(response.status);
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
    return await inSpan("keyward.issuer", () => inTime(answer(), milliseconds));
  } finally {
    abort.abort();
  }
}

/**
 * Posts text; the status of the answer, of which nothing else is read. A redirect is an answer: nobody else is to get the text.
 * @param {string} url
 * @param {string} fields name and value of each header field, as JSON
 * @param {string} body
 * @param {number} milliseconds
 */
export async function post(url, fields, body, milliseconds) {
  const abort = new AbortController();
  const answer = async () => {
    const response = await fetch(url, {
      method: "POST",
      redirect: "manual",
      headers: JSON.parse(fields),
      body,
      signal: abort.signal,
    });
    await response.body?.cancel();
    return response.status;
  };
  try {
    return await inTime(answer(), milliseconds);
  } finally {
    abort.abort();
  }
}

/**
 * The signature algorithms of tokens (RFC 7518, 3.1), as WebCrypto takes them to import a key and to verify with it.
 * @type {Record<string, { name: string, hash?: string, namedCurve?: string, saltLength?: number }>}
 */
const ALGORITHMS = {
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  RS384: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-384" },
  RS512: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-512" },
  PS256: { name: "RSA-PSS", hash: "SHA-256", saltLength: 32 },
  PS384: { name: "RSA-PSS", hash: "SHA-384", saltLength: 48 },
  PS512: { name: "RSA-PSS", hash: "SHA-512", saltLength: 64 },
  ES256: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  ES384: { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
  ES512: { name: "ECDSA", namedCurve: "P-521", hash: "SHA-512" },
  EdDSA: { name: "Ed25519" },
};

/** Bytes (RFC 8032, 5.1.6). */
const ED25519_SIGNATURE_LENGTH = 64;

/**
 * Keys that were imported, by algorithm and JWK, the oldest first.
 * @type {Map<string, CryptoKey>}
 */
const imported = new Map();

/** Most of them. */
const MOST_IMPORTED = 64;

/**
 * Whether a signature is right. Throws if the key is none.
 * @param {string} jwk
 * @param {string} algorithm
 * @param {Uint8Array<ArrayBuffer>} text
 * @param {Uint8Array<ArrayBuffer>} signature
 */
export async function verify(jwk, algorithm, text, signature) {
  const how = ALGORITHMS[algorithm];
  if (!how) throw new Error(`the algorithm ${algorithm} is not known`);
  const name = `${algorithm} ${jwk}`;
  let key = imported.get(name);
  if (!key) {
    key = await crypto.subtle.importKey("jwk", JSON.parse(jwk), how, false, ["verify"]);
    if (imported.size >= MOST_IMPORTED) imported.delete(/** @type {string} */ (imported.keys().next().value));
    imported.set(name, key);
  }
  // The platform calls it an error for this algorithm alone, which would look like a fault of its own.
  if (algorithm === "EdDSA" && signature.length !== ED25519_SIGNATURE_LENGTH) return false;
  return crypto.subtle.verify(how, key, signature, text);
}

/** What stands before the 32 bytes of an Ed25519 seed in PKCS #8 (RFC 8410, section 7). */
const PKCS8 = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/**
 * The key of an Ed25519 seed.
 * @param {Uint8Array<ArrayBuffer>} seed
 * @param {boolean} extractable
 */
const keyOf = (seed, extractable) =>
  crypto.subtle.importKey("pkcs8", Uint8Array.of(...PKCS8, ...seed), "Ed25519", extractable, ["sign"]);

/**
 * The public key of an Ed25519 seed, as a JWK has it.
 * @param {Uint8Array<ArrayBuffer>} seed
 */
export async function publicKey(seed) {
  const { x } = /** @type {JsonWebKey} */ (await crypto.subtle.exportKey("jwk", await keyOf(seed, true)));
  return x;
}

/**
 * The Ed25519 signature of a text. It is made once for many requests, so its key is not kept.
 * @param {Uint8Array<ArrayBuffer>} seed
 * @param {Uint8Array<ArrayBuffer>} text
 */
export const sign = async (seed, text) => crypto.subtle.sign("Ed25519", await keyOf(seed, false), text);

/**
 * 256 bits of PBKDF2-HMAC-SHA-256 (Web Cryptography API, 28).
 * @param {Uint8Array<ArrayBuffer>} password
 * @param {Uint8Array<ArrayBuffer>} salt
 * @param {number} iterations
 */
export async function derive(password, salt, iterations) {
  const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
  return crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations }, key, 256);
}

/**
 * The values of headers, each a line; NUL for one that there is none of.
 * @param {Request} request
 * @param {string} names each a line
 */
export const valuesOf = ({ headers }, names) =>
  names
    .split("\n")
    .map((name) => headers.get(name) ?? "\0")
    .join("\n");

/**
 * The country that a request comes from, as far as the platform knows.
 * @param {Request} request
 */
export const countryOf = ({ cf }) => (typeof cf?.country === "string" ? cf.country : undefined);

/**
 * The location that a request came to, as far as the platform knows.
 * @param {Request} request
 */
export const coloOf = ({ cf }) => (typeof cf?.colo === "string" ? cf.colo : undefined);

/**
 * Writes a data point.
 * @param {Env} env
 * @param {string} binding
 * @param {string} point as JSON
 */
export function count(env, binding, point) {
  const dataset = /** @type {AnalyticsEngineDataset} */ (bound(env, binding, "writeDataPoint"));
  dataset.writeDataPoint(JSON.parse(point));
}

/**
 * Whether a request of unknown length has any content. If nothing has come in time, it counts as having some.
 * @param {{ body: ReadableStream }} request
 * @param {number} milliseconds
 */
export async function hasContent(request, milliseconds) {
  const reader = request.body.getReader();
  const first = await inTime(reader.read(), milliseconds).catch(() => ({ done: false }));
  return !first.done;
}

/**
 * Counts one event of this key by a limiter; true if there were too many.
 * @param {Env} env
 * @param {string} limiter its binding
 * @param {string} key
 * @param {number} milliseconds
 */
export async function exceeds(env, limiter, key, milliseconds) {
  const events = /** @type {RateLimit} */ (bound(env, limiter, "limit"));
  const outcome = await inSpan("keyward.limiter", () => inTime(events.limit({ key }), milliseconds));
  if (typeof outcome?.success !== "boolean") throw new Error("answered neither yes nor no");
  return !outcome.success;
}

const UNDONE = Symbol("undone");

/**
 * Calls `turn` in a transaction of the object's database, which is committed if it returns true and rolled back otherwise.
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

/**
 * Runs a statement of the object's database. Its rows come as JSON: one crossing, however many columns they have.
 * @param {DurableObjectStorage} storage
 * @param {string} statement
 * @param {(string | number | null)[]} values
 */
export function query(storage, statement, values) {
  return JSON.stringify(storage.sql.exec(statement, ...values).toArray());
}
