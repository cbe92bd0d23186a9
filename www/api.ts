// The admin API: a function for each method, and one class for everything that can go wrong. Which path takes and
// answers what stands in types/admin-api.d.ts.

import type {
  CallOptions,
  Delete,
  FieldError,
  Get,
  GetAll,
  GetText,
  Patch,
  Post,
  ProblemDetails,
  Query,
} from "../types/admin-api.js";
// Made by the Worker, after the policy.
import { api as BASE } from "./settings.js";

/** What the page does when the API asks for more: set by main.tsx. */
export const hooks = {
  /** The session has ended. Resolves once the same person has signed in again, rejects with `problem` if not. */
  signedOut: (problem: Problem): Promise<void> => Promise.reject(problem),
  /** The password has to be typed again. Resolves once it was accepted, rejects with `problem` if not. */
  stepUp: (problem: Problem): Promise<void> => Promise.reject(problem),
  /** Something was changed, so what was read before may no longer be true. */
  changed() {},
};

/** An answer that is not a success (RFC 9457), or no answer at all (status 0). */
export class Problem extends Error {
  status: number;
  code: string | null;
  requestId: string | null;
  errors: FieldError[];
  /** Seconds, or null. */
  retryAfter: number | null;

  constructor(
    { status, title, detail, code, requestId, errors, retryAfter }: ProblemDetails & { retryAfter?: number | null },
    options?: ErrorOptions,
  ) {
    super(detail || title || `The server answered ${status}.`, options);
    this.status = status;
    this.code = code ?? null;
    this.requestId = requestId ?? null;
    this.errors = errors ?? [];
    this.retryAfter = retryAfter ?? null;
  }

  /** Whether the same call may well succeed a little later. */
  get passing() {
    return this.status === 0 || this.status >= 500;
  }

  /** The same problem in other words. */
  reworded(detail: string, errors = this.errors) {
    return new Problem({ ...this, detail, errors }, { cause: this });
  }

  /** The same as one of a field. */
  at(field: string, message = this.message) {
    return this.reworded(message, [{ field, message }]);
  }
}

// The server's clock against ours: deadlines that the server names are counted down on its clock.
let clockOffset = 0;

/** Milliseconds from now until a time that the server named. */
export const untilServerTime = (iso: string) => Date.parse(iso) - (Date.now() + clockOffset);

type Call = { query?: Query; body?: unknown; isText?: boolean } & CallOptions;

async function send(method: string, path: string, { query, body, headers, isText, isQuestion }: Call) {
  const url = new URL(BASE + path, location.origin);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, String(value));
  }
  const isChange = method !== "GET" && !isQuestion;
  // Text is lines of JSON.
  const isLines = typeof body === "string";
  const type =
    body === undefined ? undefined : { "Content-Type": isLines ? "application/x-ndjson" : "application/json" };
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method,
      credentials: "same-origin",
      cache: "no-store",
      headers: { Accept: "application/json", ...type, ...headers },
      body: isLines || body === undefined ? body : JSON.stringify(body),
    });
    text = await response.text();
  } catch (cause) {
    const isRepeatable = headers !== undefined && "Idempotency-Key" in headers;
    const unsure = isRepeatable
      ? " Try again: nothing is made twice, and what was made is shown."
      : " The change may or may not have been made: look before you repeat it.";
    const detail = `The server did not answer.${isChange ? unsure : ""}`;
    throw new Problem({ status: 0, code: "NO_ANSWER", detail }, { cause });
  } finally {
    // Of a change whose answer was lost nobody knows whether it was made.
    if (isChange) hooks.changed();
  }
  const date = Date.parse(response.headers.get("Date") ?? "");
  // The header has whole seconds: a smaller difference means nothing.
  if (!Number.isNaN(date)) clockOffset = Math.abs(date - Date.now()) > 2000 ? date - Date.now() : 0;
  const data = parse(text);
  if (!response.ok) {
    const retryAfter = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
    throw new Problem({ ...data, status: response.status, retryAfter: Number.isNaN(retryAfter) ? null : retryAfter });
  }
  return isText ? { text, nextCursor: response.headers.get("Next-Cursor") } : data;
}

function parse(text: string) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** How often somebody has signed in here. What was sent before that was nobody's. */
let signIns = 0;

export function noteSignIn() {
  signIns += 1;
}

/** One call, for the data of its answer; or a Problem is thrown. */
async function call(method: string, path: string, options: Call) {
  // The session may have ended, and the call may ask for the password besides.
  for (let attempt = 1; ; attempt += 1) {
    const before = signIns;
    try {
      return await send(method, path, options);
    } catch (problem) {
      if (!(problem instanceof Problem) || attempt > 2) throw problem;
      if (problem.code === "STEP_UP_REQUIRED") await hooks.stepUp(problem);
      else if (problem.status === 401 && problem.code !== "INVALID_CREDENTIALS" && !options.anonymous) {
        if (before === signIns) await hooks.signedOut(problem);
      } else throw problem;
    }
  }
}

export const get: Get = (path: string, query: Query = {}, options: CallOptions = {}) =>
  call("GET", path, { ...options, query });

/** A page of an export, as text. */
export const getText: GetText = (path, query) => call("GET", path, { query, isText: true });

const withBody =
  (method: string) =>
  (path: string, body: unknown, options: CallOptions = {}) =>
    call(method, path, { ...options, body });

export const post: Post = withBody("POST");
export const patch: Patch = withBody("PATCH");
export const remove: Delete = async (path, options = {}) => {
  await call("DELETE", path, options);
};

/** Every entry of a list that is short enough to be read whole, page after page. */
export const getAll: GetAll = async (path: string, name: string) => {
  // biome-ignore lint/suspicious/noExplicitAny: what it is, the type of the path says.
  const entries: any = [];
  let cursor = null;
  do {
    const page: Record<string, never[]> & { nextCursor: string | null } = await call("GET", path, {
      query: { limit: 100, cursor },
    });
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
  return (body: unknown) => {
    if (JSON.stringify(body) !== sent) {
      sent = JSON.stringify(body);
      const random = crypto.getRandomValues(new Uint8Array(16));
      headers = { "Idempotency-Key": [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("") };
    }
    return headers;
  };
}
