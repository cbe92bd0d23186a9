// What an attacker would try against the admin API and the page of the built Worker, one test for each
// promise that is attacked. `tests/it/attacks.rs` attacks the Registry from inside; `docs/threat-model.md`
// says what is promised.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { OWNER } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";
import { send } from "./harness/http.mjs";
import { bearer } from "./harness/traffic.mjs";

/** @import { Admin, Call } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const COOKIE = "__Host-keyward-session";
/** Guesses of one site that are more than its limit of 4 takes, since one in sixteen counts for the site. */
const MOST_OF_A_SITE = 200;

describe("the admin API under attack", () => {
  /** @type {Gate} */
  let gate;
  /** @type {Admin} */
  let owner;
  before(async () => {
    gate = await startGate();
    owner = await gate.owner();
  });
  after(() => gate.stop());

  const keys = async () => (await owner.must("GET", "/api-keys?limit=100")).apiKeys.length;

  it("does nothing that another site or port tricked a browser into", async () => {
    const count = await keys();
    const own = new URL(gate.url).origin;
    const body = JSON.stringify({ name: "csrf", scopes: ["orders:read"] });
    const foreign = [
      "https://evil.example",
      "null",
      own.replace("http:", "https:"),
      `${own}0`,
      own.replace(/:\d+$/, ""),
      `${own}.evil.example`,
      own.toUpperCase(),
      `${own}/`,
      `${own}, https://evil.example`,
    ];
    const json = { "Content-Type": "application/json" };
    const heads = [
      json, // no word of where from
      ...foreign.map((Origin) => ({ ...json, Origin })),
      ...["cross-site", "same-site", "none", "SAME-ORIGIN", ""].map((site) => ({ ...json, "Sec-Fetch-Site": site })),
      ...[
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "text/plain;application/json",
        "",
      ].map((type) => ({ "Content-Type": type, Origin: own })),
      { Origin: "https://evil.example", "Content-Type": "text/plain", "X-HTTP-Method-Override": "POST" },
    ];
    for (const headers of heads) {
      const answer = await send(gate.url, {
        method: "POST",
        target: "/api/admin/api-keys",
        headers: { Cookie: `${COOKIE}=${owner.token}`, ...headers },
        body,
      });
      assert.ok([403, 415].includes(answer.status), `${JSON.stringify(headers)}: ${answer.status}`);
    }
    for (const [method, target] of [
      ["GET", "/api/admin/api-keys?_method=POST"],
      ["GET", "/api/admin/session?_method=DELETE"],
      ["HEAD", "/api/admin/api-keys"],
    ]) {
      await send(gate.url, {
        method,
        target,
        headers: {
          Cookie: `${COOKIE}=${owner.token}`,
          "X-HTTP-Method-Override": "DELETE",
          Origin: "https://evil.example",
        },
      });
    }
    assert.equal(await keys(), count, "a key was made");
    assert.equal((await owner.call("GET", "/session")).status, 200, "the session is gone");
    const signIn = await send(gate.url, {
      method: "POST",
      target: "/api/admin/session",
      headers: { Origin: "https://evil.example", "Content-Type": "application/json" },
      body: JSON.stringify(OWNER),
    });
    assert.equal(signIn.status, 403, "nobody is signed in as somebody else from elsewhere");
    assert.equal(signIn.header("set-cookie"), undefined);
  });

  it("lets no other web origin read it, and answers no preflight", async () => {
    for (const method of ["GET", "OPTIONS"]) {
      const answer = await send(gate.url, {
        method,
        target: "/api/admin/api-keys",
        headers: {
          Cookie: `${COOKIE}=${owner.token}`,
          Origin: "https://evil.example",
          "Access-Control-Request-Method": "GET",
        },
      });
      assert.deepEqual(
        answer.rawHeaders.filter(([name]) => /^access-control/i.test(name)),
        [],
        method,
      );
    }
  });

  it("cannot be framed, embedded or redirected elsewhere, on any path of the page", async () => {
    for (const target of [
      "/admin/",
      "/admin/page-00000000.js",
      "/admin/nothing",
      "/admin//evil.example/",
      "/admin//evil.example/%2e%2e/",
      "/admin/\\evil.example\\..\\index.html",
      "/admin/views//",
      "/admin/%2f%2fevil.example",
      "/admin",
      "/admin/index.html",
    ]) {
      const answer = await send(gate.url, { target });
      assert.match(
        answer.header("content-security-policy") ?? "",
        /default-src 'none'.*frame-ancestors 'none'/,
        target,
      );
      assert.equal(answer.header("x-frame-options"), "DENY", target);
      const location = answer.header("location");
      assert.ok(location === undefined || location === "/admin/", `${target}: ${location}`);
    }
  });

  it("takes no session that it did not make, and none after its end", async () => {
    const read = (headers) => send(gate.url, { target: "/api/admin/session", headers });
    for (const token of [
      "kws_",
      `kws_${"A".repeat(43)}`,
      "kws_' OR 1=1 --",
      `${owner.token}x`,
      owner.token.slice(0, -1),
      owner.token.toUpperCase(),
      owner.token.slice(4),
    ]) {
      assert.ok([400, 401].includes((await read(bearer(token))).status), token);
      assert.ok([400, 401].includes((await read({ Cookie: `${COOKIE}=${token}` })).status), token);
    }
    // Fixation: whatever cookie one comes with, signing in makes a new one.
    const fixed = `kws_${"B".repeat(43)}`;
    const answer = await send(gate.url, {
      method: "POST",
      target: "/api/admin/session",
      headers: { Cookie: `${COOKIE}=${fixed}`, Origin: new URL(gate.url).origin, "Content-Type": "application/json" },
      body: JSON.stringify(OWNER),
    });
    assert.equal(answer.status, 201, answer.text);
    assert.match(
      answer.header("set-cookie"),
      /^__Host-keyward-session=kws_[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; Secure; SameSite=Strict$/,
    );
    assert.equal((await read({ Cookie: `${COOKIE}=${fixed}` })).status, 401);
    const { token } = answer.json();
    assert.notEqual(token, fixed);
    assert.equal(
      (await read({ Cookie: `${COOKIE}=${fixed}; ${COOKIE}=${token}` })).status,
      400,
      "two cookies are none",
    );
    assert.equal(
      (await read({ ...bearer(owner.token), Cookie: `${COOKIE}=${token}` })).status,
      400,
      "two credentials are none",
    );
    assert.equal(
      (await send(gate.url, { method: "DELETE", target: "/api/admin/session", headers: bearer(token) })).status,
      204,
    );
    assert.equal((await read(bearer(token))).status, 401);
  });

  it("gives an API key with admin:write no more than that", async () => {
    const { plaintextKey, apiKey } = await owner.createKey({
      scopes: ["admin:write"],
      expiresAt: new Date(gate.now() + 3_600_000).toISOString(),
    });
    const call = (method, path, body) =>
      send(gate.url, {
        method,
        target: `/api/admin${path}`,
        headers: { ...bearer(plaintextKey), "Content-Type": "application/json" },
        body: body && JSON.stringify(body),
      });
    assert.equal((await call("POST", "/api-keys", { name: "n", scopes: ["orders:read"] })).status, 201);
    for (const scopes of [["admin:read"], ["admin:write"], ["admin:*"], ["*"], ["orders:read", "*"]]) {
      assert.equal((await call("POST", "/api-keys", { name: "n", scopes })).status, 400, scopes.join());
    }
    for (const change of [{ expiresAt: null }, { scopes: ["*"] }, { allowedIps: [] }, { name: "x" }]) {
      assert.ok(
        [400, 403].includes((await call("PATCH", `/api-keys/${apiKey.id}`, change)).status),
        JSON.stringify(change),
      );
    }
    assert.equal((await call("POST", `/api-keys/${apiKey.id}/rotate`, {})).status, 403);
    const { members } = (await call("GET", "/members")).json();
    for (const [method, path, body] of [
      ["POST", "/members", { email: "a@example.com", role: "owner", password: "a long password" }],
      ["PATCH", `/members/${members[0].id}`, { password: "a long password" }],
      ["DELETE", `/members/${members[0].id}`],
      ["POST", "/session/step-up", { password: OWNER.password }],
      ["GET", "/tenants"],
      ["POST", "/tenants", { name: "x" }],
    ]) {
      assert.equal((await call(method, path, body)).status, 403, `${method} ${path}`);
    }
    assert.equal(
      (await call("POST", "/setup", { token: "x", email: "a@example.com", password: "a long password" })).status,
      409,
    );
    // Nor does it let one in where only its tenant's people are, or anywhere at the gate.
    assert.equal((await gate.send({ target: "/api/orders", headers: bearer(plaintextKey) })).status, 403);
  });

  it("shows a tenant nothing of another, and changes nothing of it", async () => {
    await owner.stepUp();
    const { apiKey } = await owner.createKey({ name: "the operator's" });
    const { owner: person } = await owner.must("POST", "/tenants", {
      name: "Other",
      owner: { email: "other@example.com", password: "other horse battery 1" },
    });
    const other = await gate.admin().signIn({ email: "other@example.com", password: "other horse battery 1" });
    await other.stepUp("other horse battery 1");
    const mine = (await owner.must("GET", "/session")).member;
    assert.notEqual(person.tenantId, mine.tenantId);
    const path = `/api-keys/${apiKey.id}`;
    const cursor = (await owner.must("GET", "/audit?limit=1")).nextCursor;
    for (const [method, target, body, status] of /** @type {[string, string, object | undefined, number][]} */ ([
      ["GET", path, undefined, 404],
      ["PATCH", path, { name: "x" }, 404],
      ["POST", `${path}/revoke`, {}, 404],
      ["POST", `${path}/rotate`, {}, 404],
      ["PATCH", `/members/${mine.id}`, { role: "viewer" }, 404],
      ["DELETE", `/members/${mine.id}`, undefined, 404],
      ["GET", `/audit?cursor=${cursor}`, undefined, 400],
      ["GET", "/tenants", undefined, 403],
      ["PATCH", `/tenants/${mine.tenantId}`, { status: "INACTIVE" }, 403],
    ]))
      assert.equal((await other.call(method, target, body)).status, status, `${method} ${target}`);
    for (const target of ["/api-keys", "/members", "/realms"]) {
      assert.doesNotMatch((await other.call("GET", target)).text, new RegExp(`${apiKey.id}|${mine.id}`), target);
    }
    // What the operator did to the tenant stands in its audit, and nothing else.
    const { entries } = await other.must("GET", "/audit");
    assert.deepEqual([...new Set(entries.map(({ tenantId }) => tenantId))], [person.tenantId]);
    assert.equal((await owner.get(apiKey.id)).status, "ACTIVE");
  });

  it("asks for a fresh password before roles change, five minutes after it was typed", async () => {
    const thief = await gate.admin().signIn();
    await gate.advance(5 * 60_000);
    const body = { email: "mule@example.com", role: "owner", password: "a long password" };
    const me = (await thief.must("GET", "/session")).member.id;
    for (const attempt of /** @type {Call[]} */ ([
      ["POST", "/members", body],
      ["PATCH", `/members/${me}`, { role: "viewer" }],
      ["DELETE", `/members/${me}`],
    ])) {
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
    const answers = await Promise.all([
      owner.call("DELETE", `/members/${member.id}`),
      second.call("PATCH", `/members/${me}`, { role: "viewer" }),
    ]);
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
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => owner.call("POST", "/api-keys", order, { "Idempotency-Key": "once-1" })),
    );
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [201]);
    assert.equal(new Set(answers.map((answer) => answer.json().plaintextKey)).size, 1);
    assert.equal((await owner.must("GET", "/api-keys?q=once")).apiKeys.length, 1);
  });

  it("reaches no object without a credential", async () => {
    await gate.objects.resetCounts();
    for (const [method, path] of [
      ["GET", "/session"],
      ["GET", "/api-keys"],
      ["POST", "/api-keys"],
      ["DELETE", "/session"],
      ["GET", "/audit/verify"],
      ["GET", "/nothing"],
      ["PUT", "/session"],
    ]) {
      const answer = await send(gate.url, { method, target: `/api/admin${path}` });
      assert.ok([401, 404, 405].includes(answer.status), `${method} ${path}: ${answer.status}`);
    }
    assert.deepEqual((await gate.objects.counts()).objects, {});
  });
});

describe("setting up under attack", () => {
  it("creates one first owner from many simultaneous requests, and the token is useless after that", async (t) => {
    const gate = await startGate({ isolates: 2 });
    t.after(() => gate.stop());
    const token = gate.secrets.KEYWARD_SETUP_TOKEN;
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, i) =>
        send(gate.isolates[i % 2].url, {
          method: "POST",
          target: "/api/admin/setup",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ token, email: `owner${i}@example.com`, password: "a long password" }),
        }),
      ),
    );
    assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409, 409, 409, 409, 409]);
    for (const path of ["/api-keys", "/members", "/audit"]) {
      assert.equal(
        (await send(gate.url, { target: `/api/admin${path}`, headers: { Authorization: `Setup ${token}` } })).status,
        401,
        path,
      );
    }
  });
});

describe("guessing at the admin API", () => {
  it("is held back from a whole IPv6 site, whose networks are one's own for the asking, and from no other site", async (t) => {
    const gate = await startGate({ failures: { limit: 4, period: 60 } });
    t.after(() => gate.stop());
    await gate.owner();
    await gate.stopClock(); // whoever is held back stays so
    const guess = (site, network) =>
      send(gate.url, {
        target: "/api/admin/session",
        headers: {
          ...bearer(`kws_${"A".repeat(43)}`),
          "CF-Connecting-IP": `2001:db8:${site}:${network.toString(16)}::1`,
        },
      });
    let guesses = 0;
    let answer;
    // Each from another network of the site, which is held back for nothing of its own.
    do answer = await guess(7, ++guesses);
    while (answer.status === 401 && guesses < MOST_OF_A_SITE);
    assert.deepEqual([answer.status, answer.json().code], [429, "TOO_MANY_ATTEMPTS"], `after ${guesses} guesses`);
    assert.ok(guesses > 4, "many more than of one network");
    await gate.objects.resetCounts();
    assert.equal((await guess(7, 0xffff)).status, 429);
    assert.deepEqual((await gate.objects.counts()).objects, {});
    assert.equal((await guess(8, 1)).status, 401);
  });

  it("is held back before any object is asked, whatever is guessed, from a whole IPv6 network", async (t) => {
    const gate = await startGate({ failures: { limit: 4, period: 60 } });
    t.after(() => gate.stop());
    const owner = await gate.owner();
    await gate.stopClock(); // whoever is held back stays so
    const guess = (i) =>
      send(gate.url, {
        target: "/api/admin/session",
        headers: { ...bearer(`kws_${String(i).padStart(43, "A")}`), "CF-Connecting-IP": `2001:db8:1:2::${i}` },
      });
    const statuses = [];
    for (let i = 1; i <= 12; i++) statuses.push((await guess(i)).status);
    assert.equal(statuses[0], 401);
    assert.equal(statuses.at(-1), 429);
    await gate.objects.resetCounts();
    const held = await guess(99);
    assert.deepEqual([held.status, held.json().code, held.header("retry-after")], [429, "TOO_MANY_ATTEMPTS", "10"]);
    assert.deepEqual((await gate.objects.counts()).objects, {});
    assert.equal((await owner.call("GET", "/session")).status, 200, "others go on");
    const neighbour = { "CF-Connecting-IP": "2001:db8:1:2::99" };
    assert.equal(
      (await owner.call("GET", "/session", undefined, neighbour)).status,
      200,
      "and whoever has a session, from that network too",
    );
    const { plaintextKey } = await owner.createKey({ scopes: ["admin:read"] });
    assert.equal(
      (await owner.call("GET", "/api-keys", undefined, { ...bearer(plaintextKey), ...neighbour })).status,
      200,
      "or a key",
    );
    const { email, password } = OWNER;
    assert.equal(
      (await gate.admin().call("POST", "/session", { email, password }, neighbour)).status,
      201,
      "or signs in",
    );
  });
});
