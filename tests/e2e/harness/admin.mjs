// The admin API as a test uses it: JSON in and out, signed in as the first owner.

import assert from "node:assert/strict";

import { expectDescribed } from "./described.mjs";
import { send } from "./http.mjs";

/** @import { ApiKey, CreatedKey, FieldError, PreviousKey, ProblemDetails, Time } from "../../../types/admin-api.js" */
/** @import { Bytes, RequestToSend } from "../../../types/e2e.js" */
/** @typedef {NonNullable<RequestToSend["headers"]>} Headers */
/** @typedef {[method: string, path: string, body: unknown]} Write */
/** @typedef {[method: string, path: string, body?: unknown, headers?: Headers]} Call A body that is text or bytes is sent as it is, all else as JSON. */

export const OWNER = { email: "owner@example.com", password: "correct horse battery staple 1" };

const isSentAsItIs = (/** @type {unknown} */ body) =>
  body === undefined || typeof body === "string" || body instanceof Uint8Array;

/** A client of `base` (a gate's URL) that has not signed in. */
export class Admin {
  token = "";
  /** Whether its calls are compared with the description of the API: not those of an older build. */
  isDescribed = true;

  /** @param {string} base */
  constructor(base, api = "/api/admin") {
    this.base = base;
    this.api = api;
  }

  /**
   * Any call: `call("POST", "/api-keys", body, headers)`; the answer as `send` gives it, once it was compared with the
   * description of the API.
   * @param {Call} call
   */
  async call(...[method, path, body, headers = {}]) {
    const answer = await send(this.base, {
      method,
      target: this.api + path,
      headers: {
        "CF-Connecting-IP": "192.0.2.1",
        ...(this.token && { Authorization: `Bearer ${this.token}` }),
        ...(body !== undefined && { "Content-Type": "application/json" }),
        ...headers,
      },
      body: isSentAsItIs(body) ? /** @type {Bytes | undefined} */ (body) : JSON.stringify(body),
    });
    if (this.isDescribed) expectDescribed(method, path, body, answer);
    return answer;
  }

  /**
   * A call that has to succeed; the body's JSON.
   * @param {Call} call
   */
  async must(...call) {
    const answer = await this.call(...call);
    const [method, path] = call;
    if (answer.status < 200 || answer.status > 299) {
      throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    }
    return answer.body.length ? answer.json() : undefined;
  }

  /**
   * A call that has to be refused with this status and code, in the form that every refusal has and
   * without repeating what was sent to be let in; the answer.
   * @param {(number | string)[]} what
   * @param {Call} call
   */
  async refused([status, code], ...call) {
    const answer = await this.call(...call);
    const [method, path, body] = call;
    const what = `${method} ${path}: ${answer.status} ${answer.text}`;
    assert.equal(answer.status, status, what);
    assert.equal(answer.header("content-type"), "application/problem+json", what);
    assert.equal(answer.header("cache-control"), "no-store", what);
    if (method === "HEAD") return answer;
    const problem = answer.json();
    assert.equal(problem.code, code, what);
    assert.equal(problem.status, status, what);
    assert.equal(problem.requestId, answer.header("x-request-id"), what);
    assert.ok(problem.title && problem.detail && problem.type.startsWith("urn:keyward:error:"), what);
    if (status === 401) assert.match(answer.header("www-authenticate") ?? "", /^Bearer realm=/, what);
    for (const { field, message, ...more } of problem.errors ?? [])
      assert.deepEqual([typeof field, typeof message, more], ["string", "string", {}]);
    const { password, token } = /** @type {Record<string, unknown>} */ ({
      ...(typeof body === "object" ? body : null),
    });
    for (const secret of [this.token, password, token]) {
      const isRepeated = typeof secret === "string" && secret.length > 7 && answer.text.includes(secret);
      assert.ok(!isRepeated, "it repeats a secret");
    }
    return answer;
  }

  /**
   * A call that has to be refused for these fields (sorted) and no others; the problem.
   * @param {string[]} fields
   * @param {Call} call
   * @returns {Promise<ProblemDetails & { errors: FieldError[] }>}
   */
  async invalid(fields, ...call) {
    const problem = (await this.refused([400, "VALIDATION_FAILED"], ...call)).json();
    const named = new Set(problem.errors.map((/** @type {{ field: string }} */ { field }) => field));
    assert.deepEqual([...named].sort(), [...fields].sort(), JSON.stringify(problem.errors));
    return problem;
  }

  async signIn({ email, password } = OWNER) {
    this.token = (await this.must("POST", "/session", { email, password })).token;
    return this;
  }

  /**
   * Makes the first owner, signs in, and opens a step-up.
   * @param {string} setupToken
   */
  async setUp(setupToken, owner = OWNER) {
    await this.must("POST", "/setup", { token: setupToken, ...owner });
    await this.signIn(owner);
    await this.stepUp(owner.password);
    return this;
  }

  async stepUp(password = OWNER.password) {
    await this.must("POST", "/session/step-up", { password });
  }

  /**
   * Creates a key.
   * @param {object} fields
   * @returns {Promise<CreatedKey>}
   */
  async createKey(fields = {}) {
    return this.must("POST", "/api-keys", { name: "A key", scopes: ["orders:read"], ...fields });
  }

  /**
   * @param {string} id
   * @param {string} [reason]
   * @returns {Promise<{ apiKey: ApiKey, refusedEverywhereBy: Time }>}
   */
  async revoke(id, reason) {
    return this.must("POST", `/api-keys/${id}/revoke`, reason === undefined ? {} : { reason });
  }

  /**
   * @param {string} id
   * @param {{ revokeOld?: boolean, graceSeconds?: number }} options
   * @returns {Promise<CreatedKey & { previous: PreviousKey }>}
   */
  async rotate(id, options = {}) {
    return this.must("POST", `/api-keys/${id}/rotate`, options);
  }

  /**
   * @param {string} id
   * @param {object} changes
   * @returns {Promise<{ apiKey: ApiKey, effectiveEverywhereBy: Time }>}
   */
  async patch(id, changes) {
    return this.must("PATCH", `/api-keys/${id}`, changes);
  }

  /**
   * @param {string} id
   * @returns {Promise<ApiKey>}
   */
  async get(id) {
    return (await this.must("GET", `/api-keys/${id}`)).apiKey;
  }
}
