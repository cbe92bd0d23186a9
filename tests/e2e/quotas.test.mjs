// What a tenant may have and how often it may call, and a database that is full: in the real runtime.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Admin, OWNER } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";
import { waitFor } from "./harness/wait.mjs";
import { show, signedIn, status } from "./page.mjs";

/** @import { Gate } from "./harness/gate.mjs" */
/** @import { Tenant } from "../../types/admin-api.js" */

const PASSWORD = "another long passphrase 2";

describe("quotas and the rate of calls", () => {
  /** @type {Gate} */
  let gate;
  /** @type {Admin} */
  let operator;
  /** @type {Tenant} */
  let tenant;
  const person = { email: "shop@example.com", password: PASSWORD };
  before(async () => {
    gate = await startGate({ isRated: true });
    operator = await gate.owner();
    ({ tenant } = await operator.must("POST", "/tenants", { name: "Shop", owner: person }));
  });
  after(() => gate.stop());

  it("a key too many is refused until one is revoked or the operator raises the quota, and the page tells of it before", async () => {
    await operator.must("PATCH", `/tenants/${tenant.id}`, { quotas: { keys: 3 } });
    const shop = await gate.admin().signIn(person);
    const first = await shop.createKey();
    await signedIn(gate, "/keys/new", { person }, async (page) => {
      await page.getByRole("button", { name: "Create key" }).waitFor();
      assert.equal(await page.getByTestId("quota-note").count(), 0);
    });
    await shop.createKey();
    await shop.createKey();
    const answer = await shop.refused([409, "QUOTA_EXCEEDED"], "POST", "/api-keys", {
      name: "One more",
      scopes: ["orders:read"],
    });
    assert.match(answer.json().detail, /^Tenant Shop has 3 of the 3 keys .*quota keys.*operator/);
    await signedIn(gate, "/keys/new", { person, expectedErrors: [status(409)] }, async (page) => {
      await page.getByText("There is no room for more: 3 of 3 keys that are neither revoked nor expired").waitFor();
      await page.getByLabel("Name").fill("One more");
      await page.getByLabel("orders:read").check();
      await page.getByRole("button", { name: "Create key" }).click();
      await page.getByText("Tenant Shop has 3 of the 3 keys").waitFor();
      await show(page, gate, "/audit");
      await page.getByRole("button", { name: "Verify the chain" }).click();
      await page.getByText("The chain is whole").waitFor();
    });
    await gate.loggedTimes(1, `tenant ${tenant.id} uses 3 of 3 keys`);
    await shop.revoke(first.apiKey.id);
    await shop.createKey();
    await shop.refused([409, "QUOTA_EXCEEDED"], "POST", "/api-keys", { name: "One more", scopes: ["orders:read"] });
    const { quotas, storage } = await operator.must("GET", `/tenants/${tenant.id}`);
    assert.deepEqual(quotas.keys, { used: 3, limit: 3 });
    assert.deepEqual(quotas.endedKeys, { used: 1, limit: 10_000 });
    assert.ok(
      storage.used > 100_000 && storage.used < 10_000_000 && storage.limit === 8_000_000_000,
      JSON.stringify(storage),
    );
    await operator.must("PATCH", `/tenants/${tenant.id}`, { quotas: { keys: 4 } });
    await shop.createKey();
    assert.deepEqual((await shop.must("GET", "/quotas")).quotas.keys, { used: 4, limit: 4 });
  });

  it("calls beyond the rate are 429 with a true Retry-After, and revoking goes on", async (t) => {
    const { apiKey } = await operator.createKey();
    await gate.stopClock(t);
    let refused;
    for (let calls = 0; calls < 1_400 && !refused; calls += 40) {
      const answers = await Promise.all(Array.from({ length: 40 }, () => operator.call("GET", "/session")));
      refused = answers.find(({ status }) => status !== 200);
    }
    assert.equal(refused?.status, 429, "1,200 calls are what the default allows");
    assert.equal(refused.json().code, "RATE_LIMITED");
    assert.match(refused.json().detail, /1200 calls a minute of you/);
    await operator.revoke(apiKey.id);
    const shop = await gate.admin().signIn(person);
    await shop.must("GET", "/session");
    await gate.advance(Number(refused.header("retry-after")) * 1_000);
    await operator.must("GET", "/session");
  });
});

describe("a database that has reached its bound", () => {
  const API = "/console/api";
  /** @type {Gate} */
  let gate;
  /** @type {Admin} */
  let owner;
  before(async () => {
    gate = await startGate({ policy: "e2e", page: "/console/page" });
    owner = await new Admin(gate.url, API).setUp(gate.secrets.KEYWARD_SETUP_TOKEN);
  });
  after(() => gate.stop());

  it("takes nothing new with 507, tells of it before, and revokes, signs out and removes", async () => {
    const metadata = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`field_${n}`, "\u{1f511}".repeat(500)]));
    const create = (name) =>
      owner.call("POST", "/api-keys", { realm: "strict", name, scopes: ["things:read"], metadata });
    const first = (await create("first")).json();
    const use = () =>
      gate.send({ target: "/things/1", host: "strict.test", headers: { "X-API-Key": first.plaintextKey } });
    await waitFor("the key in KV", async () => (await use()).status === 200);
    const second = { email: "second@example.com", password: PASSWORD };
    const { member } = await owner.must("POST", "/members", { ...second, role: "viewer" });
    let refused;
    for (let n = 0; n < 200 && !refused; n++) {
      const answer = await create(`n-${n}`);
      if (answer.status !== 201) refused = answer;
    }
    assert.deepEqual(
      [refused?.status, refused?.json().code, refused?.json().title],
      [507, "STORAGE_FULL", "Insufficient Storage"],
      refused?.text,
    );
    const told = (await gate.loggedTimes(2, "`storage`")).map((line) => line.match(/: (\d+) %/)[1]);
    assert.deepEqual(told, ["80", "95"]);
    await owner.refused([507, "STORAGE_FULL"], "POST", "/tenants", { name: "Another" });

    await owner.stepUp();
    await owner.revoke(first.apiKey.id);
    assert.equal((await use()).status, 401);
    const fresh = await new Admin(gate.url, API).signIn(OWNER);
    await fresh.must("DELETE", "/session");
    await owner.must("DELETE", `/members/${member.id}`);
    const { entries } = await owner.must("GET", "/audit?limit=5");
    assert.deepEqual(entries.map(({ action }) => action).reverse(), [
      "session.stepUp",
      "key.revoke",
      "session.create",
      "session.delete",
      "member.delete",
    ]);
    assert.equal((await owner.must("GET", "/audit/verify")).ok, true);
  });
});

// SQLite's own words where no page is left, for as long as there is a ballast. ABORT undoes the statement; ROLLBACK the
// whole transaction, which is what SQLite does itself in some of these cases.
for (const how of ["ABORT", "ROLLBACK"]) {
  it(`a revocation for which SQLite has no page left uses the ballast, and has its entry (${how})`, async () => {
    const gate = await startGate();
    try {
      let owner = await gate.owner();
      const { apiKey, plaintextKey } = await owner.createKey();
      await gate.kill();
      gate.alterObjects(
        "Registry",
        `CREATE TRIGGER full BEFORE INSERT ON audit WHEN (SELECT MAX(length(text)) FROM ballast) > 100 BEGIN SELECT RAISE(${how}, 'database or disk is full'); END`,
      );
      await gate.restart();
      owner = Object.assign(gate.admin(), { token: owner.token });
      await owner.refused([503, "STORE_UNAVAILABLE"], "POST", "/api-keys", { name: "New", scopes: ["orders:read"] });
      // The runtime ends an object whose transaction SQLite has undone as a whole: then it is 503, and the repeat tells.
      const revoke = () => owner.call("POST", `/api-keys/${apiKey.id}/revoke`, {});
      const use = () => gate.send({ target: "/api/orders", headers: { Authorization: `Bearer ${plaintextKey}` } });
      const stored = () => {
        const { keys, audit } = gate.storedObjects().find(({ className }) => className === "Registry").tables;
        return { keys, audit };
      };
      const before = stored();
      const first = await revoke();
      if (how === "ROLLBACK" && first.status === 503) {
        assert.deepEqual(stored(), before);
        assert.equal((await use()).status, 200);
        assert.equal((await revoke()).status, 200);
      } else {
        assert.equal(first.status, 200, first.text);
      }
      await waitFor("the refusal", async () => (await use()).status === 401);
      assert.equal((await use()).json().code, "REVOKED_API_KEY");
      const { entries } = await owner.must("GET", "/audit?limit=1");
      assert.deepEqual([entries[0].action, entries[0].target], ["key.revoke", apiKey.id]);
      assert.equal((await owner.must("GET", "/audit/verify")).ok, true);
    } finally {
      await gate.stop();
    }
  });
}
