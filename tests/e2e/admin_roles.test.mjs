// What people may do at the admin API, by their role, and what asks for their password once more; at the built Worker.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Admin, OWNER } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";

/** @import { Call } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */
/** @import { Tenant } from "../../types/admin-api.js" */

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const PASSWORD = "another long passphrase 2";

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
      ["GET", "/api-keys/summary", undefined, ["owner", "admin", "viewer"]],
      ["GET", "/api-keys/export", undefined, ["owner", "admin", "viewer"]],
      ["GET", `/api-keys/usage?ids=${apiKey.id}`, undefined, ["owner", "admin", "viewer"]],
      ["GET", "/audit", undefined, ["owner", "admin", "viewer"]],
      ["GET", "/audit/export", undefined, ["owner", "admin", "viewer"]],
      ["GET", "/audit/verify", undefined, ["owner", "admin", "viewer"]],
      ["GET", "/backup", undefined, []],
      ["GET", "/events", undefined, ["owner", "admin", "viewer"]],
      ["GET", "/events/endpoints", undefined, []],
      ["POST", "/events/endpoints/main/replay", () => ({}), []],
      ["GET", "/members", undefined, ["owner", "admin", "viewer"]],
      ["POST", "/api-keys", () => ({ name: "K", scopes: ["orders:read"] }), ["owner", "admin"]],
      ["PATCH", key, (role) => ({ name: role }), ["owner", "admin"]],
      ["POST", `${key}/rotate`, () => ({}), ["owner", "admin"]],
      ["POST", `${key}/revoke`, () => ({}), ["owner", "admin"]],
      ["POST", "/members", newMember, ["owner"]],
      ["GET", "/invitations", undefined, ["owner", "admin", "viewer"]],
      ["POST", "/invitations", (role) => ({ email: `invited-${role}@example.com`, role: "viewer" }), ["owner"]],
      ["POST", `/tenants/${tenant.id}/owners`, () => ({ email: "another@example.com" }), []],
      ["DELETE", `/tenants/${tenant.id}/sessions`, undefined, []],
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
      { id: "", email: "casey@example.com", role: "viewer", tenantId: tenant.id, createdAt: "", lastSeenAt: null },
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
    const { lastSeenAt } = changed.member;
    assert.match(lastSeenAt, TIME, "Casey has signed in");
    assert.deepEqual(changed, { member: { ...member, role: "admin", lastSeenAt } });
    await casey.refused([401, "UNAUTHENTICATED"], "GET", "/session");
    await casey.signIn(person);
    assert.equal((await casey.must("GET", "/session")).member.role, "admin");

    assert.equal((await people.owner.call("DELETE", `/members/${member.id}`)).status, 204);
    await casey.refused([401, "UNAUTHENTICATED"], "GET", "/session");
    await gate.admin().refused([401, "INVALID_CREDENTIALS"], "POST", "/session", person);
    await people.owner.refused([404, "NOT_FOUND"], "DELETE", `/members/${member.id}`);
  });

  it("members change their own password by giving the current one, which ends their other sessions", async () => {
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

  it("the last owner can be neither removed nor demoted until there is another", async () => {
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

  it("tenants cannot see the operator's people, nor the other way round", async () => {
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

  it("rotating, revoking and changing members are 403 without it, and change nothing", async () => {
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

  it("members may be changed without it within five minutes of signing in, and not a moment later", async (t) => {
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

  it("401 for a wrong password, and no step-up begins", async () => {
    const key = await make();
    await owner.refused([401, "INVALID_CREDENTIALS"], "POST", "/session/step-up", { password: "wrong wrong wrong" });
    await owner.refused([403, "STEP_UP_REQUIRED"], "POST", `/api-keys/${key.id}/revoke`, {});
  });

  it("lasts for five minutes of this session, and not a moment longer", async (t) => {
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
