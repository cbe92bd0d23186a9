// How people get into the admin API, and out: set-up, signing in and sessions, at the built Worker.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Admin, OWNER } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";

/** @import { Gate } from "./harness/gate.mjs" */

const PASSWORD = "another long passphrase 2";
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const HOUR = 3_600_000;
const from = (address) => ({ "CF-Connecting-IP": address });

describe("set-up", () => {
  /** @type {Gate} */
  let gate;
  before(async () => {
    gate = await startGate();
  });
  after(() => gate.stop());
  const setUp = (more = {}) => ({ token: gate.secrets.KEYWARD_SETUP_TOKEN, ...OWNER, ...more });

  it("401 for a wrong token, 400 for a wrong field, and no owner is created", async () => {
    const admin = gate.admin();
    await admin.refused([401, "INVALID_CREDENTIALS"], "POST", "/setup", setUp({ token: "x".repeat(32) }));
    await admin.invalid(["password"], "POST", "/setup", setUp({ password: "too short" }));
    await admin.invalid(["email"], "POST", "/setup", setUp({ email: "nobody" }));
    await admin.invalid(["email", "password", "token"], "POST", "/setup", {});
    await admin.refused([401, "INVALID_CREDENTIALS"], "POST", "/session", OWNER);
  });

  it("creates one owner, however many requests come at once, and is 409 from then on", async () => {
    const attempts = ["one@example.com", "two@example.com", "three@example.com"].map((email) =>
      gate.admin().call("POST", "/setup", setUp({ email })),
    );
    const answers = await Promise.all(attempts);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409, 409]);
    const { member, ...more } = answers.find(({ status }) => status === 201).json();
    assert.deepEqual(more, {});
    assert.match(member.createdAt, TIME);
    assert.deepEqual(Object.keys(member).sort(), ["createdAt", "email", "id", "lastSeenAt", "role", "tenantId"]);
    assert.equal(member.role, "owner");
    await gate.admin().refused([409, "ALREADY_SET_UP"], "POST", "/setup", setUp());
    await gate.admin().refused([409, "ALREADY_SET_UP"], "POST", "/setup", setUp({ token: "wrong" }));
    const owner = await gate.admin().signIn({ email: member.email, password: OWNER.password });
    assert.equal(member.lastSeenAt, null);
    const [{ lastSeenAt, ...listed }] = (await owner.must("GET", "/members")).members;
    assert.match(lastSeenAt, TIME);
    assert.deepEqual({ ...listed, lastSeenAt: null }, member);
  });

  it("503 NOT_CONFIGURED names the secret that is missing", async (t) => {
    const bare = await startGate({ secrets: { KEYWARD_SETUP_TOKEN: undefined } });
    t.after(() => bare.stop());
    const answer = await bare.admin().refused([503, "NOT_CONFIGURED"], "POST", "/setup", setUp());
    assert.match(answer.json().detail, /KEYWARD_SETUP_TOKEN/);
  });
});

describe("sessions", () => {
  /** @type {Gate} */
  let gate;
  /** @type {Admin} */
  let owner;
  before(async () => {
    gate = await startGate();
    owner = await gate.owner();
  });
  after(() => gate.stop());
  const signIn = async () => gate.admin().call("POST", "/session", OWNER);
  const cookieOf = (answer) => answer.header("set-cookie").split(";")[0];

  it("201 with token, end and member, and a cookie that only this host's pages send and no script reads", async () => {
    const answer = await signIn();
    assert.equal(answer.status, 201);
    const { token, expiresAt, member, ...more } = answer.json();
    assert.deepEqual(more, {});
    assert.match(token, /^kws_[\w-]{43}$/);
    assert.ok(Math.abs(Date.parse(expiresAt) - gate.now() - 12 * HOUR) < 10_000, expiresAt);
    assert.deepEqual([member.email, member.role], [OWNER.email, "owner"]);
    assert.ok(member.id && member.tenantId);
    assert.deepEqual(answer.all("set-cookie"), [
      `__Host-keyward-session=${token}; Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=Strict`,
    ]);
    assert.equal(answer.header("cache-control"), "no-store");
  });

  it("201 has the Location of what was created, and it is there", async () => {
    await owner.stepUp();
    const { apiKey } = await owner.createKey();
    /** @type {Record<string, [path: string, body: object, field: string]>} */
    const made = {
      session: ["/session", OWNER, "member"],
      member: ["/members", { email: "found@example.com", role: "viewer", password: PASSWORD }, "member"],
      tenant: ["/tenants", { name: "Found" }, "tenant"],
      key: ["/api-keys", { name: "Found", scopes: ["orders:read"] }, "apiKey"],
      rotated: [`/api-keys/${apiKey.id}/rotate`, {}, "apiKey"],
    };
    for (const [what, [path, body, field]] of Object.entries(made)) {
      const answer = await owner.call("POST", path, body);
      assert.equal(answer.status, 201, what);
      const found = await gate.send({
        target: answer.header("location"),
        headers: { Authorization: `Bearer ${owner.token}` },
      });
      assert.deepEqual([found.status, found.json()[field].id], [200, answer.json()[field].id], what);
    }
  });

  it("a password is the same in whatever Unicode form it is typed", async () => {
    await owner.stepUp();
    const forms = ["Zoë's café, naïve", "Zoe\u0308's cafe\u0301, nai\u0308ve", "\uff3aoë's café, naïve"];
    for (const [i, password] of forms.entries()) {
      const email = `zoe${i}@example.com`;
      await owner.must("POST", "/members", { email, role: "viewer", password });
      for (const typed of forms) {
        const zoe = await gate.admin().signIn({ email, password: typed });
        await zoe.stepUp(typed);
      }
      await gate
        .admin()
        .refused([401, "INVALID_CREDENTIALS"], "POST", "/session", { email, password: "Zoe's cafe, naive" });
    }
  });

  it("GET /session says who it is, by header and by cookie", async () => {
    const answer = await signIn();
    const { token, member } = answer.json();
    const byHeader = await gate.admin().must("GET", "/session", undefined, { Authorization: `Bearer ${token}` });
    const byCookie = await gate.admin().must("GET", "/session", undefined, { Cookie: `a=b; ${cookieOf(answer)}; c=d` });
    assert.deepEqual(byCookie, byHeader);
    assert.deepEqual(byHeader.member, member);
    assert.equal(byHeader.tenant.id, member.tenantId);
    assert.equal((await owner.call("HEAD", "/session")).status, 200);
  });

  it("a write with the cookie must come from the page's own origin", async () => {
    const answer = await signIn();
    const write = (headers) =>
      gate
        .admin()
        .call(
          "POST",
          "/api-keys",
          { name: "By cookie", scopes: ["orders:read"] },
          { Cookie: cookieOf(answer), ...headers },
        );
    for (const headers of [
      {},
      { Origin: "https://evil.example" },
      { Origin: "null" },
      { "Sec-Fetch-Site": "cross-site" },
      { "Sec-Fetch-Site": "same-site" },
      { "Sec-Fetch-Site": "none" },
    ]) {
      const refused = await write(headers);
      assert.deepEqual([refused.status, refused.json().code], [403, "CROSS_SITE"], JSON.stringify(headers));
    }
    assert.equal((await write({ Origin: gate.url })).status, 201);
    assert.equal((await write({ "Sec-Fetch-Site": "same-origin" })).status, 201);
    await owner.refused([403, "CROSS_SITE"], "POST", "/api-keys", {}, { Origin: "https://evil.example" });
    await gate.admin().refused([403, "CROSS_SITE"], "POST", "/session", OWNER, { Origin: "https://evil.example" });
  });

  it("signing out ends the session at once, in the browser too, and no other", async () => {
    const answer = await signIn();
    const { token } = answer.json();
    const admin = gate.admin();
    admin.token = token;
    const out = await admin.call("DELETE", "/session");
    assert.equal(out.status, 204);
    assert.equal(out.body.length, 0);
    assert.match(
      out.header("set-cookie"),
      /^__Host-keyward-session=; Path=\/; Max-Age=0; HttpOnly; Secure; SameSite=Strict$/,
    );
    await admin.refused([401, "UNAUTHENTICATED"], "GET", "/session");
    await gate.admin().refused([401, "UNAUTHENTICATED"], "GET", "/api-keys", undefined, { Cookie: cookieOf(answer) });
    await owner.must("GET", "/session");
  });

  it("401 without a credential or with one that was never issued, 400 for two different ones", async () => {
    const anybody = gate.admin();
    await anybody.refused([401, "UNAUTHENTICATED"], "GET", "/api-keys");
    await anybody.refused([401, "UNAUTHENTICATED"], "GET", "/api-keys", undefined, {
      Authorization: `Bearer kws_${"A".repeat(43)}`,
    });
    const answer = await signIn();
    await owner.refused([400, "INVALID_REQUEST"], "GET", "/api-keys", undefined, { Cookie: cookieOf(answer) });
    for (const Authorization of [
      "Basic b3duZXI6eA==",
      "Bearer",
      `Bearer ${owner.token} ${owner.token}`,
      `Bearer ${owner.token},x`,
    ]) {
      await gate.admin().refused([400, "INVALID_REQUEST"], "GET", "/api-keys", undefined, { Authorization });
    }
  });

  it("a wrong password and an unknown address get the same answer", async () => {
    const answers = [];
    for (const email of [OWNER.email, "nobody@example.com"]) {
      const { text } = await gate
        .admin()
        .refused([401, "INVALID_CREDENTIALS"], "POST", "/session", { email, password: "wrong wrong wrong" });
      answers.push({ ...JSON.parse(text), requestId: "" });
    }
    assert.deepEqual(answers[0], answers[1]);
    await gate.admin().signIn();
  });

  it("429 after five failures from one network, for as long as Retry-After says and a second at first", async (t) => {
    await gate.stopClock(t);
    const { member } = await owner.must("POST", "/members", {
      email: "locked@example.com",
      role: "viewer",
      password: PASSWORD,
    });
    const attempt = (password, address = "192.0.2.50") =>
      gate.admin().call("POST", "/session", { email: member.email, password }, from(address));
    for (const seconds of [1, 2, 4]) {
      for (let i = seconds === 1 ? 0 : 4; i < 5; i++) assert.equal((await attempt("wrong wrong wrong")).status, 401);
      const answer = await attempt(PASSWORD);
      assert.deepEqual(
        [answer.status, answer.json().code, answer.header("retry-after")],
        [429, "TOO_MANY_ATTEMPTS", String(seconds)],
      );
      await gate.advance(seconds * 1_000 - 1);
      assert.equal((await attempt(PASSWORD)).status, 429);
      await gate.advance(1);
    }
    assert.equal((await attempt(PASSWORD)).status, 201);
    assert.equal((await attempt(PASSWORD, "192.0.2.51")).status, 201);
  });

  it("correct passwords are all accepted, also at the same moment", async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, signIn));
    assert.deepEqual(
      answers.map(({ status }) => status),
      new Array(20).fill(201),
    );
    const stepUps = await Promise.all(
      Array.from({ length: 10 }, () => owner.call("POST", "/session/step-up", { password: OWNER.password })),
    );
    assert.deepEqual(
      stepUps.map(({ status }) => status),
      new Array(10).fill(204),
    );
  });

  it("strangers who fail with an address do not keep its owner from signing in from a known network, nor from a step-up", async (t) => {
    await gate.stopClock(t); // whoever is held back stays so
    const person = { email: "target@example.com", password: PASSWORD };
    const { member } = await owner.must("POST", "/members", { role: "viewer", ...person });
    const target = await gate.admin().signIn(person);
    let refused = 0;
    for (let i = 0; refused < 3; i++) {
      const { status } = await gate
        .admin()
        .call("POST", "/session", { email: person.email, password: "wrong wrong wrong" }, from(`198.51.100.${i}`));
      assert.ok(status === 401 || status === 429);
      if (status === 429) refused++;
      assert.ok(i < 60, "an address is not guessed at without end");
    }
    await gate.admin().signIn(person);
    await target.stepUp(PASSWORD);
    await target.must("PATCH", `/members/${member.id}`, { password: `${PASSWORD}!`, currentPassword: PASSWORD });
    const elsewhere = await gate
      .admin()
      .call("POST", "/session", { ...person, password: `${PASSWORD}!` }, from("203.0.113.5"));
    assert.deepEqual([elsewhere.status, Number(elsewhere.header("retry-after")) <= 600], [429, true]);
  });

  it("429 for a network that fails with ever new addresses, but not for people who have signed in from there, nor for other networks", async (t) => {
    // One attempt more is possible every ten seconds.
    await gate.stopClock(t);
    const attempt = (i, address) =>
      gate
        .admin()
        .call("POST", "/session", { email: `guess${i}@example.com`, password: "wrong wrong wrong" }, from(address));
    await gate.admin().must("POST", "/session", OWNER, from("192.0.2.60"));
    const statuses = await Promise.all(
      Array.from({ length: 104 }, async (_, i) => (await attempt(i, "192.0.2.60")).status),
    );
    assert.deepEqual(statuses.sort(), [...new Array(100).fill(401), ...new Array(4).fill(429)]);
    await gate.admin().must("POST", "/session", OWNER, from("192.0.2.60"));
    assert.equal((await attempt(999, "192.0.2.61")).status, 401);
  });

  it("a person lists their sessions and ends one, or all others", async () => {
    const agent = { "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/149.0" };
    const first = await gate.admin().signIn();
    await gate.admin().must("DELETE", "/sessions", undefined, { Authorization: `Bearer ${first.token}` });
    const second = gate.admin();
    second.token = (await second.must("POST", "/session", OWNER, { ...from("2001:db8:9:8:7::1"), ...agent })).token;
    const third = await gate.admin().signIn();
    const { sessions } = await third.must("GET", "/sessions");
    assert.deepEqual(
      sessions.map(({ current }) => current),
      [false, false, true],
    );
    assert.deepEqual([sessions[1].network, sessions[1].userAgent], ["2001:db8:9:8::/64", agent["User-Agent"]]);
    await third.must("DELETE", `/sessions/${sessions[1].id}`);
    await second.refused([401, "UNAUTHENTICATED"], "GET", "/session");
    await first.must("GET", "/session");
    await third.must("DELETE", "/sessions");
    await first.refused([401, "UNAUTHENTICATED"], "GET", "/session");
    owner = third;
  });

  it("a session ends by itself after twelve hours", async (t) => {
    await gate.stopClock(t);
    const admin = await gate.admin().signIn();
    await gate.advance(12 * HOUR - 1);
    await admin.must("GET", "/session");
    await gate.advance(1);
    await admin.refused([401, "UNAUTHENTICATED"], "GET", "/session");
    owner = await gate.admin().signIn();
  });
});
