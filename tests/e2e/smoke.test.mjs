// The shortest way through everything: a key is made, used and revoked.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startGate } from "./harness/gate.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

/** @type {Gate} */
let gate;
/** @type {Admin} */
let admin;

before(async () => {
  gate = await startGate();
  admin = await gate.owner();
});
after(() => gate?.stop());

const orders = (key) =>
  gate.send({ target: "/api/orders?page=2", headers: key ? { Authorization: `Bearer ${key}` } : {} });

test("it is healthy without a credential, and the origin is not asked", async () => {
  gate.origin.reset();
  const answer = await gate.send({ target: "/healthz" });
  assert.equal(answer.status, 200);
  assert.equal(answer.json().status, "ok");
  assert.equal(gate.origin.requests.length, 0);
});

test("without a key: 401, a challenge, and the origin is not asked", async () => {
  gate.origin.reset();
  const answer = await orders();
  assert.equal(answer.status, 401);
  assert.match(answer.header("www-authenticate"), /^Bearer realm="[^"]+"$/);
  assert.equal(answer.json().code, "MISSING_AUTHORIZATION");
  assert.equal(gate.origin.requests.length, 0);
});

test("with a key: 200, and the origin sees whose it is but not the key; once revoked: 401", async () => {
  gate.origin.reset();
  const { apiKey, plaintextKey } = await admin.createKey();
  const answer = await orders(plaintextKey);
  assert.equal(answer.status, 200, answer.text);
  const { url, headers, rawHeaders } = gate.origin.last;
  assert.equal(url, "/api/orders?page=2");
  assert.deepEqual(headers["keyward-key-id"], [apiKey.id]);
  assert.deepEqual(headers["keyward-tenant"], [apiKey.tenantId]);
  assert.deepEqual(headers["keyward-scopes"], ["orders:read"]);
  assert.deepEqual(headers["keyward-mode"], ["live"]);
  assert.ok(!JSON.stringify(rawHeaders).includes(plaintextKey));

  const { refusedEverywhereBy } = await admin.revoke(apiKey.id);
  await gate.until(refusedEverywhereBy);
  const refused = await orders(plaintextKey);
  assert.equal(refused.status, 401);
  assert.equal(refused.json().code, "REVOKED_API_KEY");
});
