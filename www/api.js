// The admin API: a function for each method, and one class for everything that can go wrong. Which path takes and
// answers what stands in types/admin-api.d.ts.

// Made by the Worker, after the policy.
import { api as BASE } from "./settings.js";

/** @import { CallOptions, Delete, FieldError, Get, GetAll, Patch, Post, ProblemDetails, Query } from "../types/admin-api.js" */

/** What the page does when the API asks for more: set by app.js. */
export const hooks = {
  /** The session has ended. */
  signedOut() {},
  /**
   * The password has to be typed again. Resolves once it was accepted, rejects with `problem` if not.
   * @param {Problem} problem
   * @returns {Promise<void>}
   */
  stepUp: (problem) => Promise.reject(problem),
};

/** An answer that is not a success (RFC 9457), or no answer at all (status 0). */
export class Problem extends Error {
  /**
   * @param {ProblemDetails & { retryAfter?: number | null }} details
   * @param {ErrorOptions} [options]
   */
  constructor({ status, title, detail, code, requestId, errors, retryAfter }, options) {
    super(detail || title || `The server answered ${status}.`, options);
    this.status = status;
    this.code = code ?? null;
    this.requestId = requestId ?? null;
    /** @type {FieldError[]} */
    this.errors = errors ?? [];
    /** Seconds, or null. */
    this.retryAfter = retryAfter ?? null;
  }

  /** Whether the same call may well succeed a little later. */
  get passing() {
    return this.status === 0 || this.status >= 500;
  }

  /**
   * The same problem in other words.
   * @param {string} detail
   * @param {FieldError[]} [errors]
   */
  reworded(detail, errors = this.errors) {
    return new Problem({ ...this, detail, errors }, { cause: this });
  }
}

// The server's clock against ours: deadlines that the server names are counted down on its clock.
let clockOffset = 0;

/**
 * Milliseconds from now until a time that the server named.
 * @param {string} iso
 */
export const untilServerTime = (iso) => Date.parse(iso) - (Date.now() + clockOffset);

/**
 * @param {string} method
 * @param {string} path
 * @param {{ query?: Query, body?: unknown } & CallOptions} options
 */
async function send(method, path, { query, body, headers }) {
  const url = new URL(BASE + path, location.origin);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, String(value));
  }
  const type = body === undefined ? undefined : { "Content-Type": "application/json" };
  let response;
  let text;
  try {
    response = await fetch(url, {
      method,
      credentials: "same-origin",
      cache: "no-store",
      headers: { Accept: "application/json", ...type, ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    text = await response.text();
  } catch (cause) {
    const isRepeatable = headers !== undefined && "Idempotency-Key" in headers;
    const unsure = isRepeatable
      ? " Try again: nothing is made twice, and what was made is shown."
      : " The change may or may not have been made: look before you repeat it.";
    const detail = `The server did not answer.${method === "GET" ? "" : unsure}`;
    throw new Problem({ status: 0, code: "NO_ANSWER", detail }, { cause });
  }
  const date = Date.parse(response.headers.get("Date") ?? "");
  // The header has whole seconds: a smaller difference means nothing.
  if (!Number.isNaN(date)) clockOffset = Math.abs(date - Date.now()) > 2000 ? date - Date.now() : 0;
  const data = parse(text);
  if (!response.ok) {
    const retryAfter = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
    throw new Problem({ ...data, status: response.status, retryAfter: Number.isNaN(retryAfter) ? null : retryAfter });
  }
  return data;
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * One call, for the data of its answer; or a Problem is thrown.
 * @param {string} method
 * @param {string} path
 * @param {{ query?: Query, body?: unknown } & CallOptions} options
 */
async function call(method, path, options) {
  try {
    return await send(method, path, options);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.code === "STEP_UP_REQUIRED") {
      await hooks.stepUp(problem);
      return send(method, path, options);
    }
    if (problem.status === 401 && problem.code !== "INVALID_CREDENTIALS" && !options.anonymous) hooks.signedOut();
    throw problem;
  }
}

/** @type {Get} */
export const get = (
  /** @type {string} */ path,
  /** @type {Query} */ query = {},
  /** @type {CallOptions} */ options = {},
) => call("GET", path, { ...options, query });

const withBody =
  (/** @type {string} */ method) =>
  (/** @type {string} */ path, /** @type {unknown} */ body, /** @type {CallOptions} */ options = {}) =>
    call(method, path, { ...options, body });

/** @type {Post} */
export const post = withBody("POST");

/** @type {Patch} */
export const patch = withBody("PATCH");

/** @type {Delete} */
export const remove = async (path, options = {}) => {
  await call("DELETE", path, options);
};

/**
 * Every entry of a list that is short enough to be read whole, page after page.
 * @type {GetAll}
 */
export const getAll = async (/** @type {string} */ path, /** @type {string} */ name) => {
  const entries = [];
  let cursor = null;
  do {
    const page = await call("GET", path, { query: { limit: 100, cursor } });
    entries.push(...page[name]);
    cursor = page.nextCursor;
  } while (cursor);
  return entries;
};

/**
 * Headers for a call that must not happen twice: the same `Idempotency-Key` for as long as the same
 * body is sent, so that it can be sent again when an answer was lost.
 */
export function idempotencyKeys() {
  let sent = "";
  let headers = {};
  return (/** @type {unknown} */ body) => {
    if (JSON.stringify(body) !== sent) {
      sent = JSON.stringify(body);
      const random = crypto.getRandomValues(new Uint8Array(16));
      headers = { "Idempotency-Key": [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("") };
    }
    return headers;
  };
}
