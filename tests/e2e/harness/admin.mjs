// The admin API as a test uses it: JSON in and out, signed in as the first owner.

import assert from "node:assert/strict";

import { send } from "./http.mjs";

export const OWNER = { email: "owner@example.com", password: "correct horse battery staple 1" };

/** A client of `base` (a gate's URL) that has not signed in. */
export class Admin {
  token;

  constructor(base, api = "/api/admin") {
    this.base = base;
    this.api = api;
  }

  /** Any call: `call("POST", "/api-keys", body, headers)`; the answer as `send` gives it. */
  async call(method, path, body, headers = {}) {
    return send(this.base, {
      method,
      target: this.api + path,
      headers: {
        "CF-Connecting-IP": "192.0.2.1",
        ...(this.token && { Authorization: `Bearer ${this.token}` }),
        ...(body !== undefined && { "Content-Type": "application/json" }),
        ...headers,
      },
      body: body === undefined || typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body),
    });
  }

  /** A call that has to end with one of these statuses (default: any 2xx); the body's JSON. */
  async must(method, path, body, headers) {
    const answer = await this.call(method, path, body, headers);
    if (answer.status < 200 || answer.status > 299) {
      throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    }
    return answer.body.length ? answer.json() : undefined;
  }

  /**
   * A call that has to be refused with this status and code, in the form that every refusal has and
   * without repeating what was sent to be let in; the answer.
   */
  async refused([status, code], method, path, body, headers) {
    const answer = await this.call(method, path, body, headers);
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
    const secrets = [this.token, typeof body === "object" && body?.password, typeof body === "object" && body?.token];
    for (const secret of secrets)
      assert.ok(
        !(typeof secret === "string" && secret.length > 7 && answer.text.includes(secret)),
        "it repeats a secret",
      );
    return answer;
  }

  /** A call that has to be refused for these fields (sorted) and no others; the problem. */
  async invalid(fields, method, path, body, headers) {
    const problem = (await this.refused([400, "VALIDATION_FAILED"], method, path, body, headers)).json();
    assert.deepEqual(
      [...new Set(problem.errors.map(({ field }) => field))].sort(),
      [...fields].sort(),
      JSON.stringify(problem.errors),
    );
    return problem;
  }

  async signIn({ email, password } = OWNER) {
    this.token = (await this.must("POST", "/session", { email, password })).token;
    return this;
  }

  /** Makes the first owner, signs in, and opens a step-up. */
  async setUp(setupToken, owner = OWNER) {
    await this.must("POST", "/setup", { token: setupToken, ...owner });
    await this.signIn(owner);
    await this.stepUp(owner.password);
    return this;
  }

  async stepUp(password = OWNER.password) {
    await this.must("POST", "/session/step-up", { password });
  }

  /** Creates a key; `{ apiKey, plaintextKey }`. */
  async createKey(fields = {}) {
    return this.must("POST", "/api-keys", { name: "A key", scopes: ["orders:read"], ...fields });
  }

  async revoke(id, reason) {
    return this.must("POST", `/api-keys/${id}/revoke`, reason === undefined ? {} : { reason });
  }

  async rotate(id, options = {}) {
    return this.must("POST", `/api-keys/${id}/rotate`, options);
  }

  async patch(id, changes) {
    return this.must("PATCH", `/api-keys/${id}`, changes);
  }

  async get(id) {
    return (await this.must("GET", `/api-keys/${id}`)).apiKey;
  }
}
