// What an attacker would try against the built Worker, one test for each promise that is attacked.
// `tests/attacks.rs` attacks the Registry from inside; `docs/threat-model.md` says what is promised.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { OWNER } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";
import { send } from "./harness/http.mjs";

const bearer = (key) => ({ Authorization: `Bearer ${key}` });
const COOKIE = "__Host-keyward-session";

describe("the gate under attack", () => {
  let gate, owner, key, apiKey;
  before(async () => {
    gate = await startGate();
    owner = await gate.owner();
    ({ plaintextKey: key, apiKey } = await owner.createKey({ rateLimit: { perMinute: 1000 } }));
  });
  after(() => gate.stop());
  beforeEach(() => gate.origin.reset());

  const ask = (request) => gate.send({ target: "/api/orders", ...request });

  async function stopped(request, statuses = [400, 401, 403, 404]) {
    const answer = await ask(request);
    assert.ok(statuses.includes(answer.status), `${JSON.stringify(request)}: ${answer.status} ${answer.text}`);
    assert.equal(gate.origin.requests.length, 0, `the origin saw ${JSON.stringify(request)}`);
    return answer;
  }

  it("takes a key from its header and from nowhere else", async () => {
    for (const headers of [
      { "X-API-Key": key },
      { "Api-Key": key },
      { "X-Authorization": `Bearer ${key}` },
      { "Proxy-Authorization": `Bearer ${key}` },
      { Cookie: `Authorization=Bearer ${key}; key=${key}` },
      { "Sec-WebSocket-Protocol": `bearer, ${key}` },
      { Authorization: `Basic ${Buffer.from(`user:${key}`).toString("base64")}` },
      { Authorization: key },
      { Authorization: `Token ${key}` },
      { Authorization: `Bearer\t${key}` },
      { Authorization: `Bearer "${key}"` },
      { Authorization: `Bearer ${key} x` },
      { Authorization: `Bearer ${key};` },
    ]) await stopped({ headers });
    await stopped({ method: "POST", headers: { "Content-Type": "application/x-www-form-urlencoded" }, body: `access_token=${key}` });
  });

  it("refuses forged and borrowed keys without asking any store", async () => {
    const other = await startGate();
    try {
      const foreign = (await (await other.owner()).createKey()).plaintextKey;
      await gate.isolates[0].resetCounts();
      await gate.objects.resetCounts();
      const flip = (at) => key.slice(0, at) + (key[at] === "a" ? "b" : "a") + key.slice(at + 1);
      for (const forged of [
        foreign, // well made, under another deployment's secret
        key.replace("kw_live_", "kw_test_"), // a test key's prefix must not borrow a live key's check, nor the other way round
        key.toLowerCase(), flip(8), flip(20), flip(key.length - 1), `${key} `.trim() + "A", key.slice(1), `kw_live_${key}`,
        `kw_live_${"0".repeat(36)}`, "kw_live_" + "é".repeat(18), "kws_" + "A".repeat(43), "null", "undefined", "../../x", "key:sha256:0",
      ]) assert.equal((await stopped({ headers: bearer(forged) }, [401])).json().code, "INVALID_API_KEY", forged);
      assert.deepEqual((await gate.isolates[0].counts()).kv, {});
      assert.deepEqual((await gate.objects.counts()).objects, {});
    } finally {
      await other.stop();
    }
  });

  it("lets no client say who it is, in any spelling that an origin may read as ours", async () => {
    const spellings = ["Keyward-Tenant", "keyward-tenant", "KEYWARD-TENANT", "Keyward_Tenant", "keyward_key-id", "KEYWARD_SCOPES", "Keyward-Plan", "Keyward-Subject", "Keyward-Identity", "Keyward-Anything"];
    for (const target of ["/api/orders", "/api/public/x"]) {
      const headers = [["Authorization", `Bearer ${key}`], ...spellings.map((name) => [name, "evil"])];
      assert.equal((await ask({ target, headers })).status, 200);
      const seen = gate.origin.last.rawHeaders.filter(([name]) => name.replaceAll("_", "-").toLowerCase().startsWith("keyward-"));
      assert.equal(new Set(seen.map(([name]) => name.toLowerCase())).size, seen.length, "each name once");
      assert.ok(!JSON.stringify(gate.origin.last.rawHeaders).includes("evil"));
      assert.equal(seen.length, target === "/api/orders" ? 5 : 1);
      gate.origin.reset();
    }
    for (const [name, value] of [["Keyward-Tenant ", "evil"], [" Keyward-Tenant", "evil"], ["X-A", "b\r\n Keyward-Tenant: evil"], ["Keyward-Tenant\t", "evil"], ["X-A", "b\rKeyward-Tenant: evil"], ["X-A", "b\0c"]]) {
      await stopped({ headers: [["Authorization", `Bearer ${key}`], [name, value]] });
    }
  });

  it("keeps an identity that the gate has set from being named as the connection's own", async () => {
    assert.equal((await ask({ headers: { ...bearer(key), Connection: "close, Keyward-Tenant, Keyward-Key-Id" } })).status, 200);
    assert.equal(gate.origin.last.headers["keyward-tenant"].length, 1);
    assert.doesNotMatch(String(gate.origin.last.headers.connection), /keyward/i);
  });

  it("sends the origin no credential: neither the key, look-alikes of its header, nor the admin session", async () => {
    const headers = [
      ["Authorization", `Bearer ${key}`], ["authorization ".trim().toUpperCase().replace("AUTHORIZATION", "X_Authorization"), "kept"],
      ["Cookie", "a=1"], ["Cookie", `${COOKIE}=kws_secret; b=2`],
    ];
    assert.equal((await ask({ headers })).status, 200);
    assert.doesNotMatch(JSON.stringify(gate.origin.last), new RegExp(`${key}|kws_`));
    assert.match(gate.origin.last.headers.cookie[0], /a=1.*b=2/);
    for (const cookie of [`${COOKIE}=kws_secret`, ` ${COOKIE} = kws_secret`, `a=1, ${COOKIE}=kws_secret`, `${COOKIE}=kws_secret; ${COOKIE}=kws_secret`, `a=1;${COOKIE}=kws_secret;b=2`]) {
      await ask({ target: "/api/public/x", headers: { Cookie: cookie } });
      assert.doesNotMatch(JSON.stringify(gate.origin.last), /kws_/, cookie);
    }
    assert.deepEqual(gate.origin.last.headers.cookie, ["a=1;b=2"]);
  });

  it("keeps origins from being told of another method or path than was decided on", async () => {
    const names = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-URL", "X-Rewrite-URL", "X_HTTP_METHOD_OVERRIDE"];
    assert.equal((await ask({ headers: { ...bearer(key), ...Object.fromEntries(names.map((name) => [name, "DELETE"])) } })).status, 200);
    assert.ok(!JSON.stringify(gate.origin.last.rawHeaders).includes("DELETE"));
    gate.origin.reset();
    await stopped({ method: "POST", headers: { ...bearer(key), "X-HTTP-Method-Override": "GET" } }, [403]);
    for (const method of ["get", "pOsT", "FOO", "CONNECT", "PROPFIND", "TRACE", "GET\u000b"]) {
      await stopped({ method, headers: bearer(key) }, [400, 403, 404, 405, 500, 501]);
    }
  });

  it("lets no spelling of a path reach a protected one through a public one", async () => {
    const spellings = [
      "/api/public/../orders", "/api/public/%2e%2e/orders", "/api/public/.%2e/orders", "/api/public/..%2forders", "/api/public/..%5corders",
      "/api/public\\..\\orders", "/api/public/..;/orders", "/api/public/..;x=1/orders", "/api/public/%2e%2e;/orders", "/api/public/%252e%252e/orders",
      "/api/public/%25252e%25252e%25252forders", "/api/public//../orders", "//api/public/../orders", "/api/public/./../orders", "/api/public/x/../../orders",
      "/api/public/%c0%ae%c0%ae/orders", "/api/public/%00/../orders", "/api/public/\t../orders", "/api/public/%0d%0aGET%20/api/orders", "/api/public/x%2f..%2f..%2forders",
      "/api/%6frders", "/%61pi/orders", "/api/orders/", "/api/orders;public", "/api/orders%3f", "/api/orders%23", "/API/orders", "/api/Orders", "/api/orders#/api/public/x",
      "/api/orders?/api/public/x", "http://x/api/orders", "http://x/api/public/../orders", "https://api/public/x/api/orders", "*", "/", "/api", "/api/", "/api/public", "api/public/x",
      "/api/admin/../orders", "/admin/../api/orders", "/healthz/../api/orders", "/healthz/", "/healthz;/api/orders", "/admin%2f..%2fapi/orders",
    ];
    for (const target of spellings) {
      const answer = await ask({ target });
      const reached = gate.origin.requests.map(({ url }) => url);
      assert.deepEqual(reached, [], `${target}: ${answer.status}`);
    }
  });

  it("decides on the very host and path that it forwards, whatever the Host header holds", async () => {
    for (const host of ["evil/api/public/x?", "evil/api/public/x#", "evil?/api/public/", "user:pass@evil", "evil/..", "evil\\api\\public", "a b", "a,b", "[::1]:1", "evil.", "EVIL:99999", "evil#", "\u00e9vil"]) {
      const answer = await ask({ host }); // /api/orders without a key
      for (const { url } of gate.origin.requests) assert.match(url, /^\/api\/public\//, `${host}: ${url} passed without a key`);
      assert.ok(answer.status >= 400 || gate.origin.requests.length, `${host}: ${answer.status}`);
      gate.origin.reset();
    }
  });

  it("sees where a request ends as the origin does", async () => {
    const smuggled = "0\r\n\r\nGET /api/orders/smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    for (const headers of [
      [["Transfer-Encoding", "chunked"], ["Content-Length", "4"]],
      [["Content-Length", "4"], ["Transfer-Encoding", "chunked"]],
      [["Transfer-Encoding", "xchunked"]], [["Transfer-Encoding", "chunked, identity"]], [["Transfer-Encoding", " chunked"]],
      [["Content-Length", "4"], ["Content-Length", "0"]], [["Content-Length", "+4"]], [["Content-Length", "4, 4"]], [["Content-Length", "-1"]], [["Content-Length", "0x4"]],
    ]) {
      await gate.send({ method: "POST", target: "/api/public/x", headers, body: smuggled, timeoutMs: 2000 }).catch(() => {});
      for (const { url } of gate.origin.requests) assert.equal(url, "/api/public/x", JSON.stringify(headers));
      gate.origin.reset();
    }
  });

  it("believes no client about its address", async () => {
    const bound = (await owner.createKey({ allowedIps: ["198.51.100.7"] })).plaintextKey;
    const names = ["X-Forwarded-For", "X-Real-IP", "True-Client-IP", "X-Client-IP", "Forwarded", "CF-Connecting-IPv6", "CF_Connecting_IP", "X-Cluster-Client-IP"];
    const spoofed = names.map((name) => [name, name === "Forwarded" ? "for=198.51.100.7" : "198.51.100.7"]);
    for (const own of [[["CF-Connecting-IP", "192.0.2.1"]], [["CF-Connecting-IP", "192.0.2.1"], ["CF-Connecting-IP", "198.51.100.7"]], [["CF-Connecting-IP", "198.51.100.7"], ["CF-Connecting-IP", "192.0.2.1"]], [["CF-Connecting-IP", "198.51.100.7, 192.0.2.1"]], [["CF-Connecting-IP", "198.51.100.7:80"]], [["CF-Connecting-IP", "0198.51.100.7"]], []]) {
      await stopped({ headers: [["Authorization", `Bearer ${bound}`], ...own, ...spoofed] }, [403]);
    }
  });

  it("lets no web origin but the listed ones use a publishable key, nor any look-alike", async () => {
    const { plaintextKey } = await owner.createKey({ kind: "publishable", allowedOrigins: ["https://shop.example"] });
    for (const origin of ["https://shop.example.evil.example", "https://evilshop.example", "http://shop.example", "https://shop.example:8443", "https://SHOP.example", "https://shop.example/", "null", "https://shop.example, https://evil.example", "https://shop.example\u00a0"]) {
      await stopped({ headers: { ...bearer(plaintextKey), Origin: origin } }, [403]);
    }
    await stopped({ headers: { ...bearer(plaintextKey), Referer: "https://shop.example/" } }, [403]);
  });

  it("lets no shared cache give one consumer's answer to another", async () => {
    gate.origin.answer = { status: 200, headers: { "cache-control": "public, max-age=3600", vary: "Accept" }, body: "mine" };
    const answer = await ask({ headers: bearer(key) });
    assert.match(answer.header("vary"), /Accept.*authorization/i);
    for (const refused of [await ask({}), await ask({ headers: bearer("x") }), await ask({ target: "/nowhere" })]) {
      assert.equal(refused.header("cache-control"), "no-store");
    }
    assert.equal((await owner.call("GET", "/api-keys")).header("cache-control"), "no-store");
  });

  it("answers a hostile amount of anything within a bounded time", async () => {
    const many = (count, text) => text.repeat(count);
    for (const request of [
      { target: `/api/orders?${many(6000, "a=b&")}` },
      { target: `/api/orders?${many(1500, "kw_live_kw_")}` },
      { target: `/api/public/${many(4000, "a/")}x` },
      { target: `/api/public/${many(4000, "%61")}` },
      { target: `/api/public/${many(3000, "%25")}` },
      { target: `/api/public/x`, headers: { Cookie: many(4000, ";,=") + COOKIE } },
      { headers: { Authorization: `Bearer ${many(10_000, " ")}x` } },
      { headers: { Authorization: `Bearer ${many(15_000, "k")}` } },
      { headers: Array.from({ length: 100 }, (_, i) => [`X-${i}`, "y"]) },
      { target: "/api/admin/session", method: "POST", headers: { "Content-Type": "application/json" }, body: many(30_000, "[") },
      { target: "/api/admin/session", method: "POST", headers: { "Content-Type": "application/json" }, body: `{${Array.from({ length: 5000 }, (_, i) => `"f${i}":0`)}}` },
      { target: `/api/admin/api-keys?${many(3000, "q=1&")}`, headers: bearer(owner.token) },
    ]) {
      const start = performance.now();
      const answer = await ask({ timeoutMs: 10_000, ...request });
      const took = performance.now() - start;
      assert.ok(answer.status < 600 && took < 4000, `${JSON.stringify(request).slice(0, 80)}: ${took} ms`);
      assert.ok(answer.body.length < 100_000, `${answer.body.length} bytes come back`);
      gate.origin.reset();
    }
  });

  it("once a revocation is acknowledged, nothing that was on its way passes after it", async () => {
    const { plaintextKey, apiKey } = await owner.createKey({ rateLimit: { perMinute: 1000 } });
    let acknowledged = false;
    const users = Array.from({ length: 8 }, async () => {
      const late = [];
      for (let i = 0; i < 12; i++) {
        const sentAfter = acknowledged;
        const { status } = await ask({ headers: bearer(plaintextKey) });
        if (sentAfter) late.push(status);
      }
      return late;
    });
    await ask({ headers: bearer(plaintextKey) });
    await owner.revoke(apiKey.id);
    acknowledged = true;
    const late = (await Promise.all(users)).flat();
    late.push((await ask({ headers: bearer(plaintextKey) })).status);
    assert.ok(late.every((status) => status === 401), JSON.stringify(late));
  });

  it("an edit, a rotation and a revocation at once leave the key revoked", async () => {
    const made = await owner.createKey();
    const path = `/api-keys/${made.apiKey.id}`;
    const answers = await Promise.all([
      owner.call("PATCH", path, { scopes: ["orders:write"] }),
      owner.call("POST", `${path}/rotate`, { graceSeconds: 3600 }),
      owner.call("POST", `${path}/revoke`, {}),
      owner.call("PATCH", path, { name: "later" }),
    ]);
    assert.equal(answers[2].status, 200);
    assert.equal((await owner.get(made.apiKey.id)).status, "REVOKED");
    await stopped({ headers: bearer(made.plaintextKey) }, [401]);
    for (const change of [["PATCH", path, { expiresAt: null }], ["POST", `${path}/rotate`, {}]]) {
      assert.equal((await owner.call(...change)).status, 409, "nothing brings it back");
    }
  });

  it("writes no key, password, session or set-up token into a log, an answer or storage", async () => {
    const { plaintextKey } = await owner.createKey({ name: "leak?" });
    const secrets = [key, plaintextKey, OWNER.password, owner.token, gate.secrets.KEYWARD_SETUP_TOKEN, gate.secrets.KEYWARD_SECRET];
    const answers = [
      await ask({ headers: bearer(`${plaintextKey}x`) }),
      await ask({ headers: { Authorization: `Bearer ${plaintextKey}, Bearer ${plaintextKey}` } }),
      await ask({ target: `/api/orders?key=${plaintextKey}` }),
      await owner.call("POST", "/session", { email: OWNER.email, password: `${OWNER.password}!` }),
      await owner.call("POST", "/session", `{"email": "${OWNER.email}", "password": "${OWNER.password}"`),
      await owner.call("POST", "/session", { email: OWNER.email, password: OWNER.password, extra: true }),
      await owner.call("POST", "/setup", { token: gate.secrets.KEYWARD_SETUP_TOKEN, email: "x@example.com", password: OWNER.password }),
      await owner.call("GET", `/audit?limit=100`),
      await owner.call("GET", `/api-keys?limit=100`),
    ];
    const said = JSON.stringify([gate.logs, answers.map(({ rawHeaders, text }) => [rawHeaders, text])]);
    for (const secret of secrets) assert.ok(!said.includes(secret), secret.slice(0, 8));
    for (const secret of secrets) assert.deepEqual(gate.grep(secret), [], secret.slice(0, 8));
    await owner.signIn();
  });
});

describe("the admin API under attack", () => {
  let gate, owner;
  before(async () => {
    gate = await startGate();
    owner = await gate.owner();
  });
  after(() => gate.stop());

  const keys = async () => (await owner.must("GET", "/api-keys?limit=100")).apiKeys.length;

  it("carries out nothing that a browser was tricked into, from any other site or port", async () => {
    const count = await keys();
    const own = new URL(gate.url).origin;
    const body = JSON.stringify({ name: "csrf", scopes: ["orders:read"] });
    const foreign = ["https://evil.example", "null", own.replace("http:", "https:"), `${own}0`, own.replace(/:\d+$/, ""), `${own}.evil.example`, own.toUpperCase(), `${own}/`, `${own}, https://evil.example`];
    const json = { "Content-Type": "application/json" };
    const heads = [
      json, // no word of where from
      ...foreign.map((Origin) => ({ ...json, Origin })),
      ...["cross-site", "same-site", "none", "SAME-ORIGIN", ""].map((site) => ({ ...json, "Sec-Fetch-Site": site })),
      ...["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain;application/json", ""].map((type) => ({ "Content-Type": type, Origin: own })),
      { Origin: "https://evil.example", "Content-Type": "text/plain", "X-HTTP-Method-Override": "POST" },
    ];
    for (const headers of heads) {
      const answer = await send(gate.url, { method: "POST", target: "/api/admin/api-keys", headers: { Cookie: `${COOKIE}=${owner.token}`, ...headers }, body });
      assert.ok([403, 415].includes(answer.status), `${JSON.stringify(headers)}: ${answer.status}`);
    }
    for (const [method, target] of [["GET", "/api/admin/api-keys?_method=POST"], ["GET", "/api/admin/session?_method=DELETE"], ["HEAD", "/api/admin/api-keys"]]) {
      await send(gate.url, { method, target, headers: { Cookie: `${COOKIE}=${owner.token}`, "X-HTTP-Method-Override": "DELETE", Origin: "https://evil.example" } });
    }
    assert.equal(await keys(), count, "a key was made");
    assert.equal((await owner.call("GET", "/session")).status, 200, "the session is gone");
    const signIn = await send(gate.url, { method: "POST", target: "/api/admin/session", headers: { Origin: "https://evil.example", "Content-Type": "application/json" }, body: JSON.stringify(OWNER) });
    assert.equal(signIn.status, 403, "nobody is signed in as somebody else from elsewhere");
    assert.equal(signIn.header("set-cookie"), undefined);
  });

  it("lets no other web origin read it, and answers no preflight", async () => {
    for (const method of ["GET", "OPTIONS"]) {
      const answer = await send(gate.url, { method, target: "/api/admin/api-keys", headers: { Cookie: `${COOKIE}=${owner.token}`, Origin: "https://evil.example", "Access-Control-Request-Method": "GET" } });
      assert.deepEqual(answer.rawHeaders.filter(([name]) => /^access-control/i.test(name)), [], method);
    }
  });

  it("is framed, embedded or redirected to nowhere, on every path of the page", async () => {
    for (const target of ["/admin/", "/admin/app.js", "/admin/nothing", "/admin//evil.example/", "/admin//evil.example/%2e%2e/", "/admin/\\evil.example\\..\\index.html", "/admin/views//", "/admin/%2f%2fevil.example", "/admin", "/admin/index.html"]) {
      const answer = await send(gate.url, { target });
      assert.match(answer.header("content-security-policy") ?? "", /default-src 'none'.*frame-ancestors 'none'/, target);
      assert.equal(answer.header("x-frame-options"), "DENY", target);
      const location = answer.header("location");
      assert.ok(location === undefined || location === "/admin/", `${target}: ${location}`);
    }
  });

  it("takes no session that it did not make, and none after its end", async () => {
    const read = (headers) => send(gate.url, { target: "/api/admin/session", headers });
    for (const token of ["kws_", `kws_${"A".repeat(43)}`, "kws_' OR 1=1 --", `${owner.token}x`, owner.token.slice(0, -1), owner.token.toUpperCase(), owner.token.slice(4)]) {
      assert.ok([400, 401].includes((await read(bearer(token))).status), token);
      assert.ok([400, 401].includes((await read({ Cookie: `${COOKIE}=${token}` })).status), token);
    }
    // Fixation: whatever cookie one comes with, signing in makes a new one.
    const fixed = `kws_${"B".repeat(43)}`;
    const answer = await send(gate.url, { method: "POST", target: "/api/admin/session", headers: { Cookie: `${COOKIE}=${fixed}`, Origin: new URL(gate.url).origin, "Content-Type": "application/json" }, body: JSON.stringify(OWNER) });
    assert.equal(answer.status, 201, answer.text);
    assert.match(answer.header("set-cookie"), /^__Host-keyward-session=kws_[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; Secure; SameSite=Strict$/);
    assert.equal((await read({ Cookie: `${COOKIE}=${fixed}` })).status, 401);
    const { token } = answer.json();
    assert.notEqual(token, fixed);
    assert.equal((await read({ Cookie: `${COOKIE}=${fixed}; ${COOKIE}=${token}` })).status, 400, "two cookies are none");
    assert.equal((await read({ ...bearer(owner.token), Cookie: `${COOKIE}=${token}` })).status, 400, "two credentials are none");
    assert.equal((await send(gate.url, { method: "DELETE", target: "/api/admin/session", headers: bearer(token) })).status, 204);
    assert.equal((await read(bearer(token))).status, 401);
  });

  it("gives an API key with admin:write no more than that", async () => {
    const { plaintextKey, apiKey } = await owner.createKey({ scopes: ["admin:write"], expiresAt: new Date(gate.now() + 3_600_000).toISOString() });
    const call = (method, path, body) => send(gate.url, { method, target: `/api/admin${path}`, headers: { ...bearer(plaintextKey), "Content-Type": "application/json" }, body: body && JSON.stringify(body) });
    assert.equal((await call("POST", "/api-keys", { name: "n", scopes: ["orders:read"] })).status, 201);
    for (const scopes of [["admin:read"], ["admin:write"], ["admin:*"], ["*"], ["orders:read", "*"]]) {
      assert.equal((await call("POST", "/api-keys", { name: "n", scopes })).status, 400, scopes.join());
    }
    for (const change of [{ expiresAt: null }, { scopes: ["*"] }, { allowedIps: [] }, { name: "x" }]) {
      assert.ok([400, 403].includes((await call("PATCH", `/api-keys/${apiKey.id}`, change)).status), JSON.stringify(change));
    }
    assert.equal((await call("POST", `/api-keys/${apiKey.id}/rotate`, {})).status, 403);
    const { members } = (await call("GET", "/members")).json();
    for (const [method, path, body] of [["POST", "/members", { email: "a@example.com", role: "owner", password: "a long password" }], ["PATCH", `/members/${members[0].id}`, { password: "a long password" }], ["DELETE", `/members/${members[0].id}`], ["POST", "/session/step-up", { password: OWNER.password }], ["GET", "/tenants"], ["POST", "/tenants", { name: "x" }]]) {
      assert.equal((await call(method, path, body)).status, 403, `${method} ${path}`);
    }
    assert.equal((await call("POST", "/setup", { token: "x", email: "a@example.com", password: "a long password" })).status, 409);
    // Nor does it let one in where only its tenant's people are, or anywhere at the gate.
    assert.equal((await gate.send({ target: "/api/orders", headers: bearer(plaintextKey) })).status, 403);
  });

  it("shows a tenant nothing of another, and changes nothing of it", async () => {
    await owner.stepUp();
    const { apiKey } = await owner.createKey({ name: "the operator's" });
    const { owner: person } = await owner.must("POST", "/tenants", { name: "Other", owner: { email: "other@example.com", password: "other horse battery 1" } });
    const other = await gate.admin().signIn({ email: "other@example.com", password: "other horse battery 1" });
    await other.stepUp("other horse battery 1");
    const mine = (await owner.must("GET", "/session")).member;
    assert.notEqual(person.tenantId, mine.tenantId);
    const path = `/api-keys/${apiKey.id}`;
    const cursor = (await owner.must("GET", "/audit?limit=1")).nextCursor;
    for (const [method, target, body, status] of [
      ["GET", path, undefined, 404], ["PATCH", path, { name: "x" }, 404], ["POST", `${path}/revoke`, {}, 404], ["POST", `${path}/rotate`, {}, 404],
      ["PATCH", `/members/${mine.id}`, { role: "viewer" }, 404], ["DELETE", `/members/${mine.id}`, undefined, 404],
      ["GET", `/audit?cursor=${cursor}`, undefined, 400], ["GET", "/tenants", undefined, 403], ["PATCH", `/tenants/${mine.tenantId}`, { status: "INACTIVE" }, 403],
    ]) assert.equal((await other.call(method, target, body)).status, status, `${method} ${target}`);
    for (const target of ["/api-keys", "/members", "/realms"]) {
      assert.doesNotMatch((await other.call("GET", target)).text, new RegExp(`${apiKey.id}|${mine.id}`), target);
    }
    // What the operator did to the tenant stands in its audit, and nothing else.
    const { entries } = await other.must("GET", "/audit");
    assert.ok(entries.every(({ tenantId }) => tenantId === person.tenantId));
    assert.equal((await owner.get(apiKey.id)).status, "ACTIVE");
  });

  it("asks for a fresh password before roles change, and five minutes later again", async () => {
    const thief = await gate.admin().signIn();
    const body = { email: "mule@example.com", role: "owner", password: "a long password" };
    const me = (await thief.must("GET", "/session")).member.id;
    for (const attempt of [["POST", "/members", body], ["PATCH", `/members/${me}`, { role: "viewer" }], ["DELETE", `/members/${me}`]]) {
      const answer = await thief.call(...attempt);
      assert.ok(["STEP_UP_REQUIRED", "CONFLICT"].includes(answer.json().code), `${attempt[0]}: ${answer.text}`);
    }
    assert.equal((await thief.call("POST", "/session/step-up", { password: "wrong" })).status, 401);
    assert.equal((await thief.call("POST", "/members", body)).json().code, "STEP_UP_REQUIRED");
    await thief.stepUp();
    await gate.advance(5 * 60_000);
    assert.equal((await thief.call("POST", "/members", body)).json().code, "STEP_UP_REQUIRED");
  });

  it("leaves one owner when two remove each other at once", async () => {
    await owner.stepUp();
    const other = { email: "second@example.com", password: "second horse battery 1" };
    const { member } = await owner.must("POST", "/members", { ...other, role: "owner" });
    const second = await gate.admin().signIn(other);
    await second.stepUp(other.password);
    const me = (await owner.must("GET", "/session")).member.id;
    const answers = await Promise.all([owner.call("DELETE", `/members/${member.id}`), second.call("PATCH", `/members/${me}`, { role: "viewer" })]);
    const done = answers.filter(({ status }) => status < 300).length;
    assert.equal(done, 1, JSON.stringify(answers.map(({ status, text }) => [status, text])));
    const survivor = answers[0].status < 300 ? owner : second;
    const owners = (await survivor.must("GET", "/members")).members.filter(({ role }) => role === "owner");
    assert.equal(owners.length, 1);
    if (survivor === second) {
      await second.must("PATCH", `/members/${me}`, { role: "owner" });
      await owner.signIn();
    }
  });

  it("makes one key of the same order sent many times at once", async () => {
    const order = { name: "once", scopes: ["orders:read"] };
    const answers = await Promise.all(Array.from({ length: 10 }, () => owner.call("POST", "/api-keys", order, { "Idempotency-Key": "once-1" })));
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [201]);
    assert.equal(new Set(answers.map((answer) => answer.json().plaintextKey)).size, 1);
    assert.equal((await owner.must("GET", "/api-keys?q=once")).apiKeys.length, 1);
  });

  it("reaches no object without a credential", async () => {
    await gate.objects.resetCounts();
    for (const [method, path] of [["GET", "/session"], ["GET", "/api-keys"], ["POST", "/api-keys"], ["DELETE", "/session"], ["GET", "/audit/verify"], ["GET", "/nothing"], ["PUT", "/session"]]) {
      const answer = await send(gate.url, { method, target: `/api/admin${path}` });
      assert.ok([401, 404, 405].includes(answer.status), `${method} ${path}: ${answer.status}`);
    }
    assert.deepEqual((await gate.objects.counts()).objects, {});
  });
});

describe("setting up under attack", () => {
  it("makes one first owner of many at once, and the token is worth nothing after", async (t) => {
    const gate = await startGate({ isolates: 2 });
    t.after(() => gate.stop());
    const token = gate.secrets.KEYWARD_SETUP_TOKEN;
    const answers = await Promise.all(Array.from({ length: 6 }, (_, i) =>
      send(gate.isolates[i % 2].url, { method: "POST", target: "/api/admin/setup", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token, email: `owner${i}@example.com`, password: "a long password" }) })));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409, 409, 409, 409, 409]);
    for (const path of ["/api-keys", "/members", "/audit"]) {
      assert.equal((await send(gate.url, { target: `/api/admin${path}`, headers: { Authorization: `Setup ${token}` } })).status, 401, path);
    }
  });
});

describe("guessing at the admin API", () => {
  it("is held back before any object is asked, whatever is guessed, from a whole IPv6 network", async (t) => {
    const gate = await startGate({ failures: { limit: 4, period: 10 } });
    t.after(() => gate.stop());
    const owner = await gate.owner();
    const guess = (i) => send(gate.url, { target: "/api/admin/session", headers: { ...bearer(`kws_${String(i).padStart(43, "A")}`), "CF-Connecting-IP": `2001:db8:1:2::${i}` } });
    const statuses = [];
    for (let i = 1; i <= 12; i++) statuses.push((await guess(i)).status);
    assert.equal(statuses[0], 401);
    assert.equal(statuses.at(-1), 429);
    await gate.objects.resetCounts();
    const held = await guess(99);
    assert.deepEqual([held.status, held.json().code, held.header("retry-after")], [429, "TOO_MANY_ATTEMPTS", "10"]);
    assert.deepEqual((await gate.objects.counts()).objects, {});
    assert.equal((await owner.call("GET", "/session")).status, 200, "others go on");
  });
});
