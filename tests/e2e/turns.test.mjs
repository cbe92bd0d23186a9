// A call whose database refuses a late statement leaves nothing of itself behind, in the real runtime.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { Admin, Write } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */
/** @import { CreatedKey } from "../../types/admin-api.js" */

const request = (key) => ({ target: "/api/orders", headers: { Authorization: `Bearer ${key}` } });

// SQLite's own words where no page is left. ABORT undoes the statement; ROLLBACK the whole transaction, which is what
// SQLite does itself in some of these cases.
for (const how of ["ABORT", "ROLLBACK"]) {
  describe(`a database that refuses the audit's entry (${how})`, () => {
    /** @type {Gate} */
    let gate;
    /** @type {Admin} */
    let owner;
    /** @type {CreatedKey} */
    let key;
    let other, tables;
    before(async () => {
      gate = await startGate();
      owner = await gate.owner();
      key = await owner.createKey();
      other = await owner.createKey();
      await waitFor("both keys in KV, and nothing more to do for them", async () => {
        const names = [...(await gate.storedKv()).keys()];
        assert.equal(names.filter((name) => name.startsWith("key:")).length, 2);
        for (const { publish_due, unsettled_until } of registry().keys)
          assert.deepEqual([publish_due, unsettled_until], [null, null]);
        return true;
      });
      await gate.kill();
      gate.alterObjects(
        "Registry",
        `CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(${how}, 'database or disk is full'); END`,
      );
      await gate.restart();
      owner = Object.assign(gate.admin(), { token: owner.token });
      await owner.get(key.apiKey.id);
      tables = registry();
    });
    after(() => gate.stop());

    // Of the ballast only that it is there: it is given up for a call that is repeated.
    /** @type {() => Record<string, any>} */
    const registry = () => {
      const { ballast, ...rest } = gate.storedObjects().find(({ className }) => className === "Registry").tables;
      return { ...rest, ballast: ballast.length };
    };

    /** @type {() => Write[]} */
    const calls = () => [
      ["PATCH", `/api-keys/${key.apiKey.id}`, { scopes: ["orders:write"] }],
      ["POST", `/api-keys/${key.apiKey.id}/rotate`, { revokeOld: true }],
      ["POST", "/api-keys", { name: "Another", scopes: ["orders:read"] }],
      ["POST", "/tenants", { name: "Another" }],
      // The last: for this one the ballast may be given up, after which nothing new is taken.
      ["POST", `/api-keys/${key.apiKey.id}/revoke`, {}],
    ];

    it("is 503, keeps every table as it was, and the key as it was", async () => {
      for (const call of calls()) {
        const answer = await owner.refused([503, "STORE_UNAVAILABLE"], ...call);
        assert.ok(Number(answer.header("retry-after")) >= 1);
        assert.deepEqual(registry(), tables, call.join(" "));
      }
      assert.equal((await gate.send(request(key.plaintextKey))).status, 200);
      assert.equal((await gate.send({ ...request(other.plaintextKey), method: "POST" })).status, 403);
    });

    it("does all of it when the call is repeated on a database that has room", async () => {
      await gate.kill();
      gate.alterObjects("Registry", "DROP TRIGGER full");
      await gate.restart();
      owner = Object.assign(gate.admin(), { token: owner.token });
      await owner.must(...calls().at(-1));
      assert.equal((await gate.send(request(key.plaintextKey))).json().code, "REVOKED_API_KEY");
      const { entries } = await owner.must("GET", "/audit?limit=1");
      assert.deepEqual([entries[0].action, entries[0].target], ["key.revoke", key.apiKey.id]);
      assert.equal((await owner.must("GET", "/audit/verify")).ok, true);
    });
  });
}
