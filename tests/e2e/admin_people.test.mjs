// The admin API's people: set-up, sessions, roles and members, at the built Worker.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Admin, OWNER } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";

/** @import { Gate } from "./harness/gate.mjs" */
/** @import { Tenant } from "../../types/admin-api.js" */
/** @import { Call } from "./harness/admin.mjs" */

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

  it("401 for a wrong token, 400 for a wrong field, and nobody is made", async () => {
    const admin = gate.admin();
    await admin.refused([401, "INVALID_CREDENTIALS"], "POST", "/setup", setUp({ token: "x".repeat(32) }));
    await admin.invalid(["password"], "POST", "/setup", setUp({ password: "too short" }));
    await admin.invalid(["email"], "POST", "/setup", setUp({ email: "nobody" }));
    await admin.invalid(["email", "password", "token"], "POST", "/setup", {});
    await admin.refused([401, "INVALID_CREDENTIALS"], "POST", "/session", OWNER);
  });

  it("makes one owner, however many ask at once, and is 409 from then on", async () => {
    const attempts = ["one@example.com", "two@example.com", "three@example.com"].map((email) =>
      gate.admin().call("POST", "/setup", setUp({ email })),
    );
    const answers = await Promise.all(attempts);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409, 409]);
    const { member, ...more } = answers.find(({ status }) => status === 201).json();
    assert.deepEqual(more, {});
    assert.match(member.createdAt, TIME);
    assert.deepEqual(Object.keys(member).sort(), ["createdAt", "email", "id", "role", "tenantId"]);
    assert.equal(member.role, "owner");
    await gate.admin().refused([409, "ALREADY_SET_UP"], "POST", "/setup", setUp());
    await gate.admin().refused([409, "ALREADY_SET_UP"], "POST", "/setup", setUp({ token: "wrong" }));
    const owner = await gate.admin().signIn({ email: member.email, password: OWNER.password });
    assert.deepEqual((await owner.must("GET", "/members")).members, [member]);
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

  it("201 names where to find what was made, and it is found there", async () => {
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

  it("a write with the cookie has to come from the page's own origin", async () => {
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

  it("401 without a credential and with one that was never given out, 400 for two that differ", async () => {
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

  it("a wrong password and an unknown address are told apart by nothing", async () => {
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

  it("right passwords at the same moment are all let in", async () => {
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

  it("strangers who fail with an address keep its owner neither from signing in at a known network nor from typing the password", async () => {
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

  it("429 for a network that fails with ever new names, but not for who has signed in from there, nor for another network", async (t) => {
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

describe("roles", () => {
  /** @type {Gate} */
  let gate;
  /** @type {Admin} */
  let owner;
  /** @type {Tenant} */
  let tenant;
  const people = {};
  const enter = async (person) => {
    const admin = await gate.admin().signIn(person);
    await admin.stepUp(person.password);
    return admin;
  };
  before(async () => {
    gate = await startGate();
    owner = await gate.owner();
    // Of a tenant that is not the operator's, so that its owner is no more than that.
    const made = await owner.must("POST", "/tenants", {
      name: "Shop",
      owner: { email: "shop@example.com", password: PASSWORD },
    });
    tenant = made.tenant;
    people.owner = await enter({ email: "shop@example.com", password: PASSWORD });
    for (const role of ["admin", "viewer"]) {
      const person = { email: `${role}@example.com`, password: PASSWORD };
      await people.owner.must("POST", "/members", { role, ...person });
      people[role] = await enter(person);
    }
  });
  after(() => gate.stop());

  it("an owner does everything in the tenant, an admin all but members, a viewer reads; tenants are the operator's", async () => {
    const { apiKey } = await people.owner.createKey();
    const key = `/api-keys/${apiKey.id}`;
    const newMember = (role) => ({ email: `new-${role}@example.com`, role: "viewer", password: PASSWORD });
    /** @type {[method: string, path: string, body: ((role: string) => object) | undefined, may: string[]][]} */
    const calls = [
      ["GET", "/session", undefined, ["owner", "admin", "viewer"]],
      ["GET", "/realms", undefined, ["owner", "admin", "viewer"]],
      ["GET", "/api-keys", undefined, ["owner", "admin", "viewer"]],
      ["GET", key, undefined, ["owner", "admin", "viewer"]],
      ["GET", "/audit", undefined, ["owner", "admin", "viewer"]],
      ["GET", "/audit/verify", undefined, ["owner", "admin", "viewer"]],
      ["GET", "/members", undefined, ["owner", "admin", "viewer"]],
      ["POST", "/api-keys", () => ({ name: "K", scopes: ["orders:read"] }), ["owner", "admin"]],
      ["PATCH", key, (role) => ({ name: role }), ["owner", "admin"]],
      ["POST", `${key}/rotate`, () => ({}), ["owner", "admin"]],
      ["POST", `${key}/revoke`, () => ({}), ["owner", "admin"]],
      ["POST", "/members", newMember, ["owner"]],
      ["GET", "/tenants", undefined, []],
      ["POST", "/tenants", () => ({ name: "Another" }), []],
      ["PATCH", `/tenants/${tenant.id}`, () => ({ plan: "free of charge" }), []],
    ];
    for (const [method, path, body, may] of calls) {
      for (const [role, person] of Object.entries(people)) {
        const answer = await person.call(method, path, body?.(role));
        const expected = may.includes(role) ? [200, 201] : [403];
        assert.ok(expected.includes(answer.status), `${role} ${method} ${path}: ${answer.status} ${answer.text}`);
        if (answer.status === 403) assert.equal(answer.json().code, "FORBIDDEN");
      }
    }
    const names = (await people.owner.must("GET", "/api-keys")).apiKeys.map(({ name }) => name);
    assert.ok(!names.includes("viewer"));
  });

  it("members are added, shown, changed and removed by an owner", async () => {
    const person = { email: "Casey@Example.com", password: PASSWORD };
    const { member } = await people.owner.must("POST", "/members", { role: "viewer", ...person });
    assert.deepEqual(
      { ...member, id: "", createdAt: "" },
      { id: "", email: "casey@example.com", role: "viewer", tenantId: tenant.id, createdAt: "" },
    );
    assert.match(member.createdAt, TIME);
    const { members } = await people.viewer.must("GET", "/members");
    assert.deepEqual(
      members.find(({ id }) => id === member.id),
      member,
    );
    assert.ok(!JSON.stringify(members).includes("pbkdf2"));
    await people.owner.refused([409, "CONFLICT"], "POST", "/members", { role: "viewer", ...person });

    const casey = await gate.admin().signIn(person);
    const changed = await people.owner.must("PATCH", `/members/${member.id}`, { role: "admin" });
    assert.deepEqual(changed, { member: { ...member, role: "admin" } });
    await casey.refused([401, "UNAUTHENTICATED"], "GET", "/session");
    await casey.signIn(person);
    assert.equal((await casey.must("GET", "/session")).member.role, "admin");

    assert.equal((await people.owner.call("DELETE", `/members/${member.id}`)).status, 204);
    await casey.refused([401, "UNAUTHENTICATED"], "GET", "/session");
    await gate.admin().refused([401, "INVALID_CREDENTIALS"], "POST", "/session", person);
    await people.owner.refused([404, "NOT_FOUND"], "DELETE", `/members/${member.id}`);
  });

  it("a member changes the own password with the present one, which ends the other sessions", async () => {
    const person = { email: "own@example.com", password: PASSWORD };
    const { member } = await people.owner.must("POST", "/members", { role: "viewer", ...person });
    const here = await gate.admin().signIn(person);
    const elsewhere = await gate.admin().signIn(person);
    const path = `/members/${member.id}`;
    const password = "a third long passphrase 3";
    await here.invalid(["currentPassword"], "PATCH", path, { password });
    await here.refused([401, "INVALID_CREDENTIALS"], "PATCH", path, { password, currentPassword: "not this one" });
    await here.refused([403, "FORBIDDEN"], "PATCH", path, { role: "owner" });
    await here.must("PATCH", path, { password, currentPassword: PASSWORD });
    await here.must("GET", "/session");
    await elsewhere.refused([401, "UNAUTHENTICATED"], "GET", "/session");
    await gate.admin().refused([401, "INVALID_CREDENTIALS"], "POST", "/session", person);
    await gate.admin().signIn({ ...person, password });
  });

  it("the last owner can be neither removed nor made less, until there is another", async () => {
    const { member } = await people.owner.must("GET", "/session");
    const path = `/members/${member.id}`;
    await people.owner.refused([409, "CONFLICT"], "DELETE", path);
    await people.owner.refused([409, "CONFLICT"], "PATCH", path, { role: "admin" });
    assert.equal((await people.owner.must("GET", "/session")).member.role, "owner");
    await people.owner.must("POST", "/members", { email: "second@example.com", role: "owner", password: PASSWORD });
    await people.owner.must("PATCH", path, { role: "admin" });
    const second = await enter({ email: "second@example.com", password: PASSWORD });
    assert.equal((await second.call("DELETE", path)).status, 204);
    await second.refused([409, "CONFLICT"], "DELETE", `/members/${(await second.must("GET", "/session")).member.id}`);
    people.owner = second;
  });

  it("the operator's people are no concern of a tenant's, and the other way round", async () => {
    const operator = (await owner.must("GET", "/session")).member;
    const shop = (await people.owner.must("GET", "/session")).member;
    await people.owner.refused([404, "NOT_FOUND"], "PATCH", `/members/${operator.id}`, { role: "viewer" });
    await people.owner.refused([404, "NOT_FOUND"], "DELETE", `/members/${operator.id}`);
    await owner.refused([404, "NOT_FOUND"], "DELETE", `/members/${shop.id}`);
    assert.ok(!(await owner.must("GET", "/members")).members.some(({ tenantId }) => tenantId !== operator.tenantId));
  });
});

describe("step-up, where the policy asks for it", () => {
  /** @type {Gate} */
  let gate;
  /** @type {Admin} */
  let owner;
  before(async () => {
    gate = await startGate({ policy: "e2e" });
    const admin = new Admin(gate.url, "/console/api");
    await admin.must("POST", "/setup", { token: gate.secrets.KEYWARD_SETUP_TOKEN, ...OWNER });
    owner = await admin.signIn();
  });
  after(() => gate.stop());
  const make = async () => (await owner.createKey({ realm: "strict", scopes: ["things:read"] })).apiKey;

  it("rotate, revoke and changes of members are 403 without it, and nothing was done", async () => {
    const key = await make();
    /** @type {Call[]} */
    const calls = [
      ["POST", `/api-keys/${key.id}/rotate`, {}],
      ["POST", `/api-keys/${key.id}/revoke`, {}],
    ];
    // To sign in the password was typed, but not for this.
    for (const call of calls) await owner.refused([403, "STEP_UP_REQUIRED"], ...call);
    await gate.advance(300_000);
    calls.push(
      ["POST", "/members", { email: "m@example.com", role: "viewer", password: PASSWORD }],
      ["DELETE", "/members/mem_x"],
    );
    for (const call of calls) await owner.refused([403, "STEP_UP_REQUIRED"], ...call);
    assert.deepEqual(await owner.get(key.id), key);
    assert.equal((await owner.must("GET", "/api-keys")).apiKeys.length, 1);
    assert.equal((await owner.must("GET", "/members")).members.length, 1);
    await owner.patch(key.id, { name: "An edit needs none" });
  });

  it("members change without it within five minutes of signing in, and not a moment later", async (t) => {
    await gate.stopClock(t);
    const fresh = await new Admin(gate.url, "/console/api").signIn();
    /** @type {(email: string) => Call} */
    const add = (email) => ["POST", "/members", { email, role: "viewer", password: PASSWORD }];
    await gate.advance(300_000 - 1);
    const { member } = await fresh.must(...add("fresh@example.com"));
    await gate.advance(1);
    await fresh.refused([403, "STEP_UP_REQUIRED"], ...add("late@example.com"));
    await fresh.refused([403, "STEP_UP_REQUIRED"], "DELETE", `/members/${member.id}`);
    await fresh.stepUp();
    await fresh.must("DELETE", `/members/${member.id}`);
  });

  it("401 for a wrong password, which opens nothing", async () => {
    const key = await make();
    await owner.refused([401, "INVALID_CREDENTIALS"], "POST", "/session/step-up", { password: "wrong wrong wrong" });
    await owner.refused([403, "STEP_UP_REQUIRED"], "POST", `/api-keys/${key.id}/revoke`, {});
  });

  it("opens five minutes of this session, and not a moment more", async (t) => {
    await gate.stopClock(t);
    const [first, second, third] = [await make(), await make(), await make()];
    const other = await new Admin(gate.url, "/console/api").signIn();
    const answer = await owner.call("POST", "/session/step-up", { password: OWNER.password });
    assert.deepEqual([answer.status, answer.body.length], [204, 0]);
    const { steppedUpUntil } = await owner.must("GET", "/session");
    assert.equal(Date.parse(steppedUpUntil) - gate.now(), 300_000);
    await owner.rotate(first.id);
    await other.refused([403, "STEP_UP_REQUIRED"], "POST", `/api-keys/${first.id}/revoke`, {});
    await gate.advance(300_000 - 1);
    assert.equal((await owner.revoke(second.id)).apiKey.status, "REVOKED");
    await gate.until(steppedUpUntil);
    await owner.refused([403, "STEP_UP_REQUIRED"], "POST", `/api-keys/${third.id}/revoke`, {});
    await owner.refused([403, "STEP_UP_REQUIRED"], "POST", `/api-keys/${third.id}/rotate`, {});
    assert.equal((await owner.get(third.id)).status, "ACTIVE");
  });
});
