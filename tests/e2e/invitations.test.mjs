// Accounts that cannot be lost: one-time links, the operator's help and the recovery token; and the audit that tells of it, at
// the built Worker.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { OWNER } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";

/** @import { Gate } from "./harness/gate.mjs" */
/** @import { Admin } from "./harness/admin.mjs" */

const PASSWORD = "another long passphrase 2";
const RECOVERY = "Kk3vQ9mRw0q3VbT0xk7RzNw2";

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
before(async () => {
  gate = await startGate({ secrets: { KEYWARD_RECOVERY_TOKEN: RECOVERY } });
  owner = await gate.owner();
});
after(() => gate.stop());

const accept = (token, password = PASSWORD) => gate.admin().call("POST", "/invitations/accept", { token, password });

describe("a one-time link", () => {
  it("lets somebody join once, with a password that nobody else has seen", async () => {
    const made = await owner.call("POST", "/invitations", { email: "ada@example.com", role: "admin" });
    assert.equal(made.status, 201);
    const { invitation, token, url } = made.json();
    assert.equal(url, `${gate.url}/admin/#invitation=${token}`);
    assert.equal(made.header("location"), `/api/admin/invitations/${invitation.id}`);
    assert.deepEqual(await owner.must("GET", "/invitations"), { invitations: [invitation], nextCursor: null });
    const answers = await Promise.all([1, 2, 3].map(() => accept(token)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 401, 401]);
    const { member } = answers.find(({ status }) => status === 201).json();
    assert.deepEqual([member.email, member.role], ["ada@example.com", "admin"]);
    const ada = await gate.admin().signIn({ email: "ada@example.com", password: PASSWORD });
    assert.equal((await ada.must("GET", "/session")).member.id, member.id);
    await ada.refused([403, "FORBIDDEN"], "POST", "/invitations", { email: "b@example.com", role: "viewer" });
  });

  it("gives a member a new password, and ends all sessions", async () => {
    const ada = await gate.admin().signIn({ email: "ada@example.com", password: PASSWORD });
    const { id } = (await ada.must("GET", "/session")).member;
    const { token, url } = await owner.must("POST", `/members/${id}/reset`, {});
    assert.equal(url, `${gate.url}/admin/#reset=${token}`);
    assert.equal((await accept(token, "a third long passphrase 3")).status, 200);
    await ada.refused([401, "UNAUTHENTICATED"], "GET", "/session");
    await gate.admin().signIn({ email: "ada@example.com", password: "a third long passphrase 3" });
  });

  it("is ended, and a wrong one is 401", async () => {
    const { invitation, token } = await owner.must("POST", "/invitations", { email: "c@example.com", role: "owner" });
    await owner.must("DELETE", `/invitations/${invitation.id}`);
    for (const wrong of [token, "kwi_x", ""])
      await gate
        .admin()
        .refused([401, "INVALID_CREDENTIALS"], "POST", "/invitations/accept", { token: wrong, password: PASSWORD });
  });
});

describe("the operator", () => {
  it("adds an owner to a tenant, and ends its sessions", async () => {
    const { tenant } = await owner.must("POST", "/tenants", { name: "shop" });
    const { token } = await owner.must("POST", `/tenants/${tenant.id}/owners`, { email: "owner@shop.example" });
    assert.equal((await accept(token)).json().member.tenantId, tenant.id);
    const shop = await gate.admin().signIn({ email: "owner@shop.example", password: PASSWORD });
    await shop.must("GET", "/members");
    await owner.must("DELETE", `/tenants/${tenant.id}/sessions`);
    await shop.refused([401, "UNAUTHENTICATED"], "GET", "/members");
  });

  it("gets back in with the recovery token, once", async () => {
    const call = { token: RECOVERY, email: OWNER.email, password: PASSWORD };
    await gate.admin().refused([401, "INVALID_CREDENTIALS"], "POST", "/recover", { ...call, token: "x".repeat(24) });
    const { member } = await gate.admin().must("POST", "/recover", call);
    assert.deepEqual([member.email, member.role], [OWNER.email, "owner"]);
    await owner.refused([401, "UNAUTHENTICATED"], "GET", "/session");
    await gate.admin().refused([409, "CONFLICT"], "POST", "/recover", call);
    owner = await gate.admin().signIn({ email: OWNER.email, password: PASSWORD });
  });

  it("is not let in where the deployment has no recovery token, or one that can be guessed", async (t) => {
    const call = { token: RECOVERY, email: OWNER.email, password: PASSWORD };
    for (const [secret, status] of /** @type {[string | undefined, number][]} */ ([
      [undefined, 200],
      ["passwordpassword1234", 503],
    ])) {
      const other = await startGate({ secrets: { KEYWARD_RECOVERY_TOKEN: secret } });
      t.after(() => other.stop());
      await other.owner();
      const token = secret ?? RECOVERY;
      const answer = await other.admin().refused([503, "NOT_CONFIGURED"], "POST", "/recover", { ...call, token });
      assert.match(answer.json().detail, /KEYWARD_RECOVERY_TOKEN/);
      assert.equal((await other.send({ target: "/readyz" })).status, status);
    }
  });
});

describe("the audit", () => {
  it("is searched by who did what to what and when, and exported", async () => {
    const { member } = await owner.must("GET", "/session");
    const all = (await owner.must("GET", "/audit?limit=100&order=asc")).entries;
    const found = async (query) => (await owner.must("GET", `/audit?limit=100&order=asc&${query}`)).entries;
    const made = all.filter(({ action }) => action.startsWith("invitation."));
    assert.ok(made.length > 4);
    assert.deepEqual(await found("action=invitation."), made);
    assert.deepEqual(await found(`object=${made[0].target}`), [made[0]]);
    assert.deepEqual(
      await found(`actor=${member.id}`),
      all.filter(({ actor }) => actor.id === member.id),
    );
    assert.deepEqual(
      await found(`actor=${OWNER.email}&to=${made[0].time}`),
      all.filter(({ actor, time }) => actor.email === OWNER.email && time < made[0].time),
    );
    const exported = await owner.call("GET", "/audit/export?order=asc");
    assert.equal(exported.header("content-type"), "application/x-ndjson");
    assert.equal(exported.header("next-cursor"), undefined);
    assert.deepEqual(
      exported.text
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
      all,
    );
    assert.equal((await owner.must("GET", "/audit/verify")).total, all.length);
    assert.ok(![made, all].some((entries) => JSON.stringify(entries).includes("kwi_")));
  });
});
