// Every status and code of the design's table, provoked at the built Worker; the origin never sees a
// refused request, and no answer or log holds a key.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const bearer = (key, more = {}) => ({ headers: { Authorization: `Bearer ${key}`, ...more } });

describe("refusals of the default policy", () => {
  /** @type {Gate} */
  let gate;
  /** @type {Admin} */
  let owner;
  before(async () => {
    gate = await startGate();
    owner = await gate.owner();
  });
  after(() => gate.stop());
  beforeEach(() => gate.origin.reset());

  async function refused(request, status, code, challenge) {
    const before = gate.origin.requests.length;
    const answer = await gate.send({ target: "/api/orders", ...request });
    assert.deepEqual([answer.status, answer.json().code], [status, code], answer.text);
    assert.equal(answer.header("content-type"), "application/problem+json");
    assert.equal(answer.header("cache-control"), "no-store");
    assert.match(answer.header("x-request-id"), /^[0-9a-f]{32}$/);
    assert.equal(answer.json().requestId, answer.header("x-request-id"));
    assert.equal(answer.json().status, status);
    assert.equal(
      answer.header("www-authenticate"),
      challenge === undefined ? undefined : `Bearer realm="default"${challenge}`,
    );
    assert.equal(gate.origin.requests.length, before, "the origin saw it");
    return answer;
  }

  const TOKEN = `, error="invalid_token"`;
  const REQUEST = `, error="invalid_request"`;

  it("401 MISSING_AUTHORIZATION without a credential, with a bare challenge", async () => {
    await refused({}, 401, "MISSING_AUTHORIZATION", "");
    await refused({ headers: { Authorization: "Basic dXNlcjpwYXNz" } }, 401, "MISSING_AUTHORIZATION", "");
    await refused({ headers: { Authorization: "Bearer " } }, 401, "MISSING_AUTHORIZATION", "");
  });

  it("401 INVALID_API_KEY for a malformed key, asking neither KV nor any object", async () => {
    await gate.isolates[0].resetCounts();
    await gate.objects.resetCounts();
    const { plaintextKey } = await owner.createKey();
    await gate.objects.resetCounts();
    const flipped = plaintextKey.replace(/.$/, (last) => (last === "a" ? "b" : "a"));
    for (const key of [
      "x",
      "kw_live_",
      flipped,
      plaintextKey.slice(0, -1),
      `${plaintextKey}0`,
      plaintextKey.toUpperCase(),
      `kw_live_${"a".repeat(36)}`,
    ]) {
      await refused(bearer(key), 401, "INVALID_API_KEY", TOKEN);
    }
    assert.deepEqual((await gate.isolates[0].counts()).kv, {});
    assert.deepEqual((await gate.objects.counts()).objects, {});
  });

  it("401 REVOKED_API_KEY by the moment that the answer to the revocation names", async () => {
    const { apiKey, plaintextKey } = await owner.createKey();
    assert.equal((await gate.send({ target: "/api/orders", ...bearer(plaintextKey) })).status, 200);
    const { refusedEverywhereBy } = await owner.revoke(apiKey.id, "test");
    await gate.until(refusedEverywhereBy);
    await refused(bearer(plaintextKey), 401, "REVOKED_API_KEY", TOKEN);
  });

  it("401 PAUSED_API_KEY within the freshness bound", async () => {
    const { apiKey, plaintextKey } = await owner.createKey();
    assert.equal((await gate.send({ target: "/api/orders", ...bearer(plaintextKey) })).status, 200);
    await owner.must("POST", `/api-keys/${apiKey.id}/pause`);
    await gate.advance(5_000);
    await refused(bearer(plaintextKey), 401, "PAUSED_API_KEY", TOKEN);
  });

  it("401 EXPIRED_API_KEY from the very second on", async () => {
    const expiresAt = new Date(Math.ceil((gate.now() + 60_000) / 1000) * 1000);
    const { plaintextKey } = await owner.createKey({ expiresAt: expiresAt.toISOString() });
    assert.equal((await gate.send({ target: "/api/orders", ...bearer(plaintextKey) })).status, 200);
    await gate.until(expiresAt.toISOString());
    await refused(bearer(plaintextKey), 401, "EXPIRED_API_KEY", TOKEN);
  });

  it("400 INVALID_REQUEST for a header that was sent twice, even with the same key", async () => {
    const { plaintextKey } = await owner.createKey();
    const twice = [
      ["Authorization", `Bearer ${plaintextKey}`],
      ["Authorization", `Bearer ${plaintextKey}`],
    ];
    await refused({ headers: twice }, 400, "INVALID_REQUEST", REQUEST);
    await refused(bearer(`${plaintextKey},${plaintextKey}`), 400, "INVALID_REQUEST", REQUEST);
  });

  it("400 KEY_IN_URL even for a valid key, on public routes too, and never in a log", async () => {
    const { plaintextKey } = await owner.createKey();
    await refused({ target: `/api/orders?api_key=${plaintextKey}` }, 400, "KEY_IN_URL", REQUEST);
    await refused({ target: "/api/orders?a=1&API_KEY=of-some-other-form" }, 400, "KEY_IN_URL", REQUEST);
    await refused({ target: `/api/orders?x=${plaintextKey}`, ...bearer(plaintextKey) }, 400, "KEY_IN_URL", REQUEST);
    await refused({ target: `/api/public/x?y=${plaintextKey}` }, 400, "KEY_IN_URL", REQUEST);
    await refused({ target: `/api/orders/${plaintextKey}` }, 400, "KEY_IN_URL", REQUEST);
    await gate.allLogged();
    assert.equal(gate.logs.filter(({ message }) => message.includes(plaintextKey.slice(8))).length, 0);
  });

  it("403 INSUFFICIENT_SCOPE names the scope that is needed", async () => {
    const { plaintextKey } = await owner.createKey({ scopes: ["orders:read"] });
    const answer = await refused(
      { method: "POST", ...bearer(plaintextKey) },
      403,
      "INSUFFICIENT_SCOPE",
      `, error="insufficient_scope", scope="orders:write"`,
    );
    assert.deepEqual(answer.json().requiredScopes, ["orders:write"]);
    assert.match(answer.json().detail, /needs the scope orders:write/);
  });

  it("403 IP_RESTRICTED outside the key's ranges, and 200 inside", async () => {
    const { plaintextKey } = await owner.createKey({ allowedIps: ["198.51.100.0/24", "2001:db8::/32"] });
    for (const address of ["192.0.2.1", "2001:db9::1", "198.51.101.1", "garbage"]) {
      await refused(bearer(plaintextKey, { "CF-Connecting-IP": address }), 403, "IP_RESTRICTED");
    }
    for (const address of ["198.51.100.77", "2001:db8::1", "::ffff:198.51.100.2"]) {
      assert.equal(
        (await gate.send({ target: "/api/orders", ...bearer(plaintextKey, { "CF-Connecting-IP": address }) })).status,
        200,
        address,
      );
    }
    const spoofed = {
      "CF-Connecting-IP": "192.0.2.1",
      "X-Forwarded-For": "198.51.100.77",
      "X-Real-IP": "198.51.100.77",
    };
    await refused(bearer(plaintextKey, spoofed), 403, "IP_RESTRICTED");
  });

  it("403 ORIGIN_RESTRICTED for a publishable key from elsewhere, and 200 from its origin with CORS", async () => {
    const { plaintextKey } = await owner.createKey({ kind: "publishable", allowedOrigins: ["https://shop.example"] });
    await refused(bearer(plaintextKey), 403, "ORIGIN_RESTRICTED");
    const answer = await refused(bearer(plaintextKey, { Origin: "https://evil.example" }), 403, "ORIGIN_RESTRICTED");
    assert.equal(answer.header("access-control-allow-origin"), "*");
    const fine = await gate.send({
      target: "/api/orders",
      ...bearer(plaintextKey, { Origin: "https://shop.example" }),
    });
    assert.equal(fine.status, 200);
    assert.match(fine.header("access-control-expose-headers"), /RateLimit/);
  });

  it("403 TEST_MODE when a test key writes, whatever its scopes", async () => {
    const { plaintextKey } = await owner.createKey({ testMode: true, scopes: ["*"] });
    assert.match(plaintextKey, /^kw_test_/);
    assert.equal((await gate.send({ target: "/api/orders", ...bearer(plaintextKey) })).status, 200);
    assert.equal(gate.origin.last.headers["keyward-mode"][0], "test");
    for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
      await refused({ method, ...bearer(plaintextKey) }, 403, "TEST_MODE");
    }
  });

  it("403 INACTIVE_ORGANIZATION within the freshness bound when the tenant is set inactive, and 200 when it is back", async () => {
    const made = await owner.must("POST", "/tenants", {
      name: "Sleepy",
      owner: { email: "sleepy@example.com", password: "a long enough password" },
    });
    const sleepy = await gate.admin().signIn({ email: "sleepy@example.com", password: "a long enough password" });
    const { plaintextKey } = await sleepy.createKey();
    assert.equal((await gate.send({ target: "/api/orders", ...bearer(plaintextKey) })).status, 200);
    await owner.must("PATCH", `/tenants/${made.tenant.id}`, { status: "INACTIVE" });
    await gate.advance(5_000);
    await refused(bearer(plaintextKey), 403, "INACTIVE_ORGANIZATION");
    await owner.must("PATCH", `/tenants/${made.tenant.id}`, { status: "ACTIVE" });
    await gate.advance(5_001);
    assert.equal((await gate.send({ target: "/api/orders", ...bearer(plaintextKey) })).status, 200);
  });

  it("what was sent wrongly is told apart in the text, and never repeated", async () => {
    const { plaintextKey } = await owner.createKey();
    const [other] = (await owner.createKey()).plaintextKey.slice(-1);
    const says = async (headers, status, code, pattern) => {
      const answer = await gate.send({ target: "/api/orders", headers });
      const { detail, code: told, error } = answer.json();
      assert.deepEqual([answer.status, told], [status, code], `${JSON.stringify(headers)}: ${answer.text}`);
      assert.match(detail, pattern);
      assert.equal(error.message, detail);
      for (const part of [plaintextKey.slice(8), plaintextKey.slice(-6)])
        assert.ok(!answer.text.includes(part), "it repeats the key");
    };
    const missing = (headers, pattern) => says(headers, 401, "MISSING_AUTHORIZATION", pattern);
    const invalid = (text, pattern) => says({ Authorization: `Bearer ${text}` }, 401, "INVALID_API_KEY", pattern);
    const send = "Send it as Authorization: Bearer <API key>\\.";
    await missing({}, new RegExp(`^This request has no credential\\. ${send}$`));
    await missing({ "X-API-Key": plaintextKey }, new RegExp(`^The X-API-Key header is not read here\\. ${send}$`));
    await missing({ "Api-Key": plaintextKey }, /^The API-Key header is not read here\. /);
    for (const value of [plaintextKey, `Token ${plaintextKey}`, `Basic ${btoa(`${plaintextKey}:`)}`]) {
      await missing({ Authorization: value }, /^The Authorization header does not begin with Bearer and a space\. /);
    }
    await missing({ Authorization: "Bearer" }, /^The Authorization header holds no credential\. /);
    for (const text of [
      "YOUR_API_KEY",
      "<key>",
      "sk_test_...",
      "$API_KEY",
      "{{apiKey}}",
      "undefined",
      `${plaintextKey.slice(0, 12)}…`,
    ])
      await invalid(text, /placeholder/);
    await invalid(`"${plaintextKey}"`, /quotation marks/);
    await invalid(`Bearer ${plaintextKey}`, /stands before the API key/);
    await invalid(`${plaintextKey}\\n`, /a line break/);
    await invalid(`${plaintextKey.slice(0, 20)} ${plaintextKey.slice(20)}`, /a space/);
    await invalid(plaintextKey.slice(0, -1), /too short/);
    await invalid(`${plaintextKey}${other}`, /too long/);
    await invalid("eyJhbGciOiJFUzI1NiJ9.e30.AAAA", /A token stands where an API key belongs/);
    await invalid("sk-proj-0123456789", /those begin with kw_live_ or kw_test_/);
  });

  it("a key that was rotated is told apart from one that was revoked", async () => {
    const says = async (key, code, pattern) => {
      const { detail } = (await refused(bearer(key), 401, code, TOKEN)).json();
      assert.match(detail, pattern);
    };
    const [revoked, rotated, ending] = await Promise.all([1, 2, 3].map(() => owner.createKey()));
    await owner.revoke(revoked.apiKey.id);
    await owner.rotate(rotated.apiKey.id, { revokeOld: true });
    await owner.rotate(ending.apiKey.id, { graceSeconds: 60 });
    await gate.advance(61_000);
    await says(revoked.plaintextKey, "REVOKED_API_KEY", /revoked\. Use another one\.$/);
    await says(rotated.plaintextKey, "REVOKED_API_KEY", /another one has replaced it/);
    await says(ending.plaintextKey, "EXPIRED_API_KEY", /another one has replaced it/);
  });

  it("404 NO_REALM and NO_ROUTE, and never the origin", async () => {
    const { plaintextKey } = await owner.createKey({ scopes: ["*"] });
    await refused({ target: "/", ...bearer(plaintextKey) }, 404, "NO_REALM");
    await refused({ target: "/api/unknown", ...bearer(plaintextKey) }, 404, "NO_ROUTE");
  });

  it("405 METHOD_NOT_ALLOWED for a path that has other methods, which Allow names", async () => {
    const { plaintextKey } = await owner.createKey({ scopes: ["*"] });
    for (const request of [{ method: "OPTIONS", ...bearer(plaintextKey) }, { method: "PROPFIND" }]) {
      const answer = await refused(request, 405, "METHOD_NOT_ALLOWED");
      assert.equal(answer.header("allow"), "DELETE, GET, HEAD, PATCH, POST, PUT");
    }
  });

  it("400 INVALID_REQUEST for a path that the origin may read in another way", async () => {
    for (const target of [
      "/api/public/..%2forders",
      "/api/public/..%5corders",
      "/api/public/..;/orders",
      "/api/public/%00",
    ]) {
      await refused({ target }, 400, "INVALID_REQUEST");
    }
    // Dot segments in their plain form are resolved before any route is chosen.
    const { status } = await gate.send({ target: "/api/public/../orders" });
    assert.ok([400, 401].includes(status), `${status}`);
  });

  it("429 RATE_LIMITED with Retry-After that is enough, and a second less is not", async (t) => {
    await gate.stopClock(t);
    const { plaintextKey } = await owner.createKey({ rateLimit: { perMinute: 3, perDay: null } });
    for (let left = 2; left >= 0; left--) {
      const answer = await gate.send({ target: "/api/orders", ...bearer(plaintextKey) });
      assert.equal(answer.status, 200);
      assert.equal(answer.header("ratelimit-policy"), `"minute";q=3;w=60`);
      assert.match(answer.header("ratelimit"), new RegExp(`^"minute";r=${left};t=60$`));
    }
    const answer = await refused(bearer(plaintextKey), 429, "RATE_LIMITED");
    const seconds = Number(answer.header("retry-after"));
    assert.equal(seconds, 60);
    assert.equal(answer.header("ratelimit"), `"minute";r=0;t=60`);
    assert.match(answer.json().detail, /its 3 requests a minute\. Try again in 60 seconds\.$/);
    assert.deepEqual(answer.json().violatedPolicies, ["minute"]);
    assert.equal(answer.header("x-should-retry"), undefined, "a minute is worth waiting for");
    await gate.advance((seconds - 1) * 1000);
    await refused(bearer(plaintextKey), 429, "RATE_LIMITED");
    await gate.advance(1000);
    assert.equal((await gate.send({ target: "/api/orders", ...bearer(plaintextKey) })).status, 200);
  });

  it("every refusal can be read by a browser of another origin", async () => {
    for (const [request, status] of /** @type {[{ target?: string }, number][]} */ ([
      [{}, 401],
      [{ target: "/api/unknown" }, 404],
    ])) {
      const answer = await gate.send({ target: "/api/orders", ...request, headers: { Origin: "https://app.example" } });
      assert.equal(answer.status, status);
      assert.equal(answer.header("access-control-allow-origin"), "*");
      assert.match(answer.header("access-control-expose-headers"), /WWW-Authenticate/);
    }
  });

  it("answers a preflight itself and without a credential, and only a true one", async () => {
    const answer = await gate.send({
      method: "OPTIONS",
      target: "/api/orders",
      headers: {
        Origin: "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
      },
    });
    assert.equal(answer.status, 204);
    assert.equal(answer.header("access-control-allow-origin"), "*");
    assert.match(answer.header("access-control-allow-headers"), /authorization/i);
    assert.match(answer.header("access-control-allow-methods"), /POST/);
    assert.equal(gate.origin.requests.length, 0);
  });

  it("healthz answers without a credential and is not forwarded", async () => {
    const answer = await gate.send({ target: "/healthz" });
    assert.equal(answer.status, 200);
    assert.equal(answer.json().status, "ok");
    assert.ok(answer.json().version);
    assert.equal(gate.origin.requests.length, 0);
  });

  it("a refusal of the key costs no quota", async () => {
    const { plaintextKey } = await owner.createKey({ rateLimit: { perMinute: 1, perDay: null } });
    for (let i = 0; i < 5; i++)
      await refused(
        { method: "POST", ...bearer(plaintextKey) },
        403,
        "INSUFFICIENT_SCOPE",
        `, error="insufficient_scope", scope="orders:write"`,
      );
    assert.equal((await gate.send({ target: "/api/orders", ...bearer(plaintextKey) })).status, 200);
  });
});

describe("failing addresses", () => {
  it("429 after too many unknown keys, before an object is asked; a neighbour's key passes, be it known to KV only", async (t) => {
    // Without a keyed check every well-formed key costs a lookup, so this is where guessing is slowed.
    const gate = await startGate({ policy: "e2e", failures: { limit: 3, period: 10 } });
    t.after(() => gate.stop());
    const admin = gate.admin();
    admin.api = "/console/api";
    await admin.setUp(gate.secrets.KEYWARD_SETUP_TOKEN);
    const { plaintextKey } = await admin.createKey({ realm: "strict", scopes: ["things:read"] });
    const { plaintextKey: neighbours } = await admin.createKey({ realm: "strict", scopes: ["things:read"] });
    const ask = (key, address = "192.0.2.9") =>
      gate.send({
        target: "/things/1",
        host: "strict.test",
        headers: { "X-API-Key": key, "CF-Connecting-IP": address },
      });
    assert.equal((await ask(plaintextKey)).status, 200);
    await gate.stopClock(); // whoever is held back stays so
    const guess = (i) => `sk_${String(i).padStart(43, "A")}`;
    let answer;
    for (let i = 0; i < 20; i++) {
      answer = await ask(guess(i));
      if (answer.status === 429) break;
      assert.equal(answer.status, 401);
    }
    assert.equal(answer.status, 429);
    assert.ok(Number(answer.header("retry-after")) >= 1);
    await gate.objects.resetCounts();
    assert.equal((await ask(guess(99))).status, 429);
    assert.deepEqual((await gate.objects.counts()).objects, {});
    assert.equal((await ask(neighbours)).status, 200, "a key that this isolate never saw");
    assert.equal((await ask(plaintextKey)).status, 200, "a known key still passes");
    assert.equal((await ask(guess(98), "192.0.2.10")).status, 401, "another address is not slowed");
  });
});

describe("settings", () => {
  it("503 NOT_CONFIGURED without the deployment's secret, and nothing passes", async (t) => {
    const gate = await startGate({ secrets: { KEYWARD_SECRET: undefined } });
    t.after(() => gate.stop());
    const answer = await gate.send({ target: "/api/orders", ...bearer(`kw_live_${"a".repeat(36)}`) });
    assert.deepEqual([answer.status, answer.json().code], [503, "NOT_CONFIGURED"]);
    assert.ok(answer.header("retry-after"));
    await gate.logged("KEYWARD_SECRET");
    assert.equal(gate.origin.requests.length, 0);
  });

  it("keys made under a previous secret keep working, and new ones are made under the new", async (t) => {
    const first = await startGate();
    const owner = await first.owner();
    const { plaintextKey: old } = await owner.createKey();
    const { persist } = first;
    await first.kill();
    const secrets = {
      KEYWARD_SECRET: "another-secret-of-enough-length-012345",
      KEYWARD_SECRET_PREVIOUS: first.secrets.KEYWARD_SECRET,
    };
    const second = await startGate({ persist, secrets });
    t.after(async () => {
      await second.stop();
      await first.stop();
    });
    assert.equal((await second.send({ target: "/api/orders", ...bearer(old) })).status, 200);
    const { plaintextKey: fresh } = await (await second.admin().signIn()).createKey();
    assert.equal((await second.send({ target: "/api/orders", ...bearer(fresh) })).status, 200);
  });
});
