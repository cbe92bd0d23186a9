// The description of the admin API. Whether it is true, every test that calls the API tells (harness/described.mjs).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { root } from "../../scripts/lib/places.mjs";
import { expectDescribed } from "./harness/described.mjs";
import { startGate } from "./harness/gate.mjs";

/** @import { Gate } from "./harness/gate.mjs" */

/** @type {Gate} */
let gate;
before(async () => {
  gate = await startGate();
});
after(() => gate?.stop());

test("anybody gets the description of the admin API, below its base", async () => {
  const answer = await gate.send({ target: "/api/admin/openapi.json" });
  assert.equal(answer.status, 200);
  assert.equal(answer.header("content-type"), "application/json");
  assert.equal(answer.text, readFileSync(join(root, "openapi.json"), "utf8"));
  assert.equal((await gate.send({ method: "POST", target: "/api/admin/openapi.json" })).status, 405);
});

test("an answer, a parameter or a body that is not described is noticed", async () => {
  const admin = await gate.owner();
  const answer = await admin.call("GET", "/quotas");
  expectDescribed("GET", "/quotas", undefined, answer);
  assert.throws(() => expectDescribed("GET", "/realms", undefined, answer), /not as openapi\.json says/);
  assert.throws(() => expectDescribed("GET", "/quotas?more=1", undefined, answer), /the parameter more/);
  assert.throws(() => expectDescribed("GET", "/quotas", {}, answer), /a body is not/);
  assert.throws(() => expectDescribed("DELETE", "/session", undefined, answer), /200 is not in/);
});
