// The admin API: one function for every call, one class for everything that can go wrong.

// Made by the Worker, after the policy.
import { api as BASE } from "./settings.js";

/** What the page does when the API asks for more: set by app.js. */
export const hooks = {
  /** The session has ended. */
  signedOut() {},
  /** The password has to be typed again. Resolves once it was accepted, rejects with `problem` if not. */
  async stepUp(problem) {
    throw problem;
  },
};

/** An answer that is not a success (RFC 9457), or no answer at all (status 0). */
export class Problem extends Error {
  constructor({ status, title, detail, code, requestId, errors, retryAfter }, options) {
    super(detail || title || `The server answered ${status}.`, options);
    this.status = status;
    this.code = code ?? null;
    this.requestId = requestId ?? null;
    /** `[{field, message}]` */
    this.errors = errors ?? [];
    /** Seconds, or null. */
    this.retryAfter = retryAfter ?? null;
  }

  /** Whether the same call may well succeed a little later. */
  get passing() {
    return this.status === 0 || this.status >= 500;
  }
}

// The server's clock against ours: deadlines that the server names are counted down on its clock.
let clockOffset = 0;

/** Milliseconds from now until a time that the server named. */
export const untilServerTime = (iso) => Date.parse(iso) - (Date.now() + clockOffset);

async function send(method, path, { query, body, headers } = {}) {
  const url = new URL(BASE + path, location.origin);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  const request = {
    method,
    credentials: "same-origin",
    cache: "no-store",
    headers: { Accept: "application/json", ...headers },
  };
  if (body !== undefined) {
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  let response;
  let text;
  try {
    response = await fetch(url, request);
    text = await response.text();
  } catch (cause) {
    const unsure = method === "GET" ? "" : " The change may or may not have been made: look before you repeat it.";
    const detail = `The server did not answer.${unsure}`;
    throw new Problem({ status: 0, code: "NO_ANSWER", detail }, { cause });
  }
  const date = Date.parse(response.headers.get("Date"));
  // The header has whole seconds: a smaller difference means nothing.
  if (!Number.isNaN(date)) clockOffset = Math.abs(date - Date.now()) > 2000 ? date - Date.now() : 0;
  const data = parse(text);
  if (!response.ok) {
    const retryAfter = Number.parseInt(response.headers.get("Retry-After"), 10);
    throw new Problem({ ...data, status: response.status, retryAfter: Number.isNaN(retryAfter) ? null : retryAfter });
  }
  return { data };
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * One call. `{data}`, or a Problem is thrown. `options`: `query`, `body`, `headers`, and
 * `anonymous` for calls that are made without a session too.
 */
export async function call(method, path, options = {}) {
  try {
    return await send(method, path, options);
  } catch (problem) {
    if (problem.code === "STEP_UP_REQUIRED") {
      await hooks.stepUp(problem);
      return send(method, path, options);
    }
    if (problem.status === 401 && problem.code !== "INVALID_CREDENTIALS" && !options.anonymous) hooks.signedOut();
    throw problem;
  }
}

/** A read, for its data alone. */
export const get = async (path, query) => (await call("GET", path, { query })).data;

/** Every entry of a list that is short enough to be read whole, page after page. */
export async function getAll(path, name) {
  const entries = [];
  let cursor = null;
  do {
    const page = await get(path, { limit: 100, cursor });
    entries.push(...page[name]);
    cursor = page.nextCursor;
  } while (cursor);
  return entries;
}

/** A write, for its data alone. */
export const post = async (path, body = {}, options = {}) => (await call("POST", path, { ...options, body })).data;

/**
 * Headers for a call that must not happen twice: the same `Idempotency-Key` for as long as the same
 * body is sent, so that it can be sent again when an answer was lost.
 */
export function idempotencyKeys() {
  let sent = null;
  let headers = null;
  return (body) => {
    if (JSON.stringify(body) !== sent) {
      sent = JSON.stringify(body);
      const random = crypto.getRandomValues(new Uint8Array(16));
      headers = { "Idempotency-Key": [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("") };
    }
    return headers;
  };
}
