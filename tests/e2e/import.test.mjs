// Keys that were made elsewhere are imported by their hash, and go on working at the gate.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { documentOf } from "./harness/policies.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const IMPORTED = '\n[realm.imported]\nprefixes = ["old_"]\nmin_length = 24\n';
const LINES = { "Content-Type": "application/x-ndjson" };

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
before(async () => {
  gate = await startGate({ isolates: 2, document: await documentOf("default", { edit: (text) => text + IMPORTED }) });
  owner = await gate.owner();
});
after(() => gate?.stop());

let made = 0;
function newKey() {
  made += 1;
  return `old_${String(made).padStart(24, "0")}`;
}

const line = (/** @type {string} */ key, more = {}) => ({
  hash: createHash("sha256").update(key).digest("base64"),
  name: "Moved",
  scopes: ["orders:read"],
  last4: key.slice(-4),
  ...more,
});

const text = (/** @type {object[]} */ lines) => lines.map((each) => JSON.stringify(each)).join("\n");
const post = (/** @type {object[]} */ lines, query = "") =>
  owner.must("POST", `/api-keys/import${query}`, text(lines), LINES);

const use = (/** @type {string} */ key, { at = 0, ...more } = {}) =>
  gate.isolates[at].send({
    target: "/api/orders",
    ...more,
    headers: { Authorization: `Bearer ${key}`, "CF-Connecting-IP": "192.0.2.1" },
  });

async function refused(/** @type {string} */ key, /** @type {[number, string]} */ [status, code], more = {}) {
  const answer = await use(key, more);
  assert.deepEqual([answer.status, answer.json().code], [status, code]);
}

test("imported keys pass, lack a scope, reach their limit; one that is revoked stays so when it is imported again", async () => {
  const [plain, narrow, limited] = [newKey(), newKey(), newKey()];
  const lines = [
    line(plain),
    line(narrow, { scopes: ["orders:write"], allowedIps: ["198.51.100.7"] }),
    line(limited, { rateLimit: { perMinute: 2, perDay: null } }),
  ];
  await refused(plain, [401, "INVALID_API_KEY"]);
  assert.deepEqual(await post(lines, "?dryRun=true"), { imported: 3, repeated: 0, wrong: 0, errors: [] });
  await refused(plain, [401, "INVALID_API_KEY"]);
  assert.deepEqual(await post(lines), { imported: 3, repeated: 0, wrong: 0, errors: [] });
  for (const at of [0, 1]) assert.equal((await use(plain, { at })).status, 200);
  await refused(plain, [403, "INSUFFICIENT_SCOPE"], { method: "POST" });
  await refused(narrow, [403, "IP_RESTRICTED"]);
  for (const at of [0, 1]) assert.equal((await use(limited, { at })).status, 200);
  await refused(limited, [429, "RATE_LIMITED"]);

  const { apiKeys } = await owner.must("GET", `/api-keys?q=${plain.slice(-4)}`);
  assert.equal(apiKeys.length, 1);
  const { refusedEverywhereBy } = await owner.revoke(apiKeys[0].id);
  await waitFor("the revocation to hold", () => Date.now() > Date.parse(refusedEverywhereBy));
  for (const at of [0, 1]) await refused(plain, [401, "REVOKED_API_KEY"], { at });
  assert.deepEqual(await post(lines), { imported: 0, repeated: 3, wrong: 0, errors: [] });
  for (const at of [0, 1]) await refused(plain, [401, "REVOKED_API_KEY"], { at });

  const rotated = await owner.rotate((await owner.must("GET", `/api-keys?q=${limited.slice(-4)}`)).apiKeys[0].id);
  assert.match(rotated.plaintextKey, /^kw_live_/);
  const stored = JSON.stringify(gate.storedObjects());
  for (const key of [plain, narrow, limited]) {
    assert.ok(!stored.includes(key));
    for (const encoding of /** @type {const} */ (["hex", "base64"]))
      assert.ok(!stored.includes(createHash("sha256").update(key).digest(encoding)), "a hash is stored only keyed");
  }
});

test("an imported key opens no admin API, whatever its scopes, and one in a URL is refused", async () => {
  const key = newKey();
  await post([line(key, { scopes: ["admin:read"] })]);
  const headers = { Authorization: `Bearer ${key}`, "CF-Connecting-IP": "192.0.2.1" };
  assert.equal((await gate.send({ target: "/api/admin/api-keys", headers })).status, 403);
  const inUrl = await gate.send({ target: `/api/orders?x=${newKey()}`, headers });
  assert.equal(inUrl.status, 400);
  assert.equal(inUrl.json().code, "KEY_IN_URL");
});

test("each wrong line is named, and a body that is too large or no lines of JSON is refused", async () => {
  const good = line(newKey());
  const answer = await post([good, { ...good, name: 7 }, { hash: "x", name: "n", scopes: [] }]);
  assert.deepEqual([answer.imported, answer.wrong], [0, 2]);
  const named = answer.errors.map((/** @type {{ line: number, field: string }} */ { line, field }) => [line, field]);
  assert.deepEqual(named, [
    [2, "name"],
    [3, "scopes"],
    [3, "hash"],
  ]);
  await owner.refused([415, "UNSUPPORTED_MEDIA_TYPE"], "POST", "/api-keys/import", text([good]));
  const large = "x".repeat(1_000_001);
  await owner.refused([413, "BODY_TOO_LARGE"], "POST", "/api-keys/import", large, LINES);
});

test("a thousand keys of nearly a megabyte are imported with one call, and all of them pass soon", async () => {
  const metadata = Object.fromEntries(Array.from({ length: 3 }, (_, i) => [`field${i}`, "x".repeat(240)]));
  const keys = Array.from({ length: 1_000 }, newKey);
  const answer = await post(keys.map((key) => line(key, { metadata })));
  assert.deepEqual([answer.imported, answer.wrong], [1_000, 0]);
  for (const key of [keys[0], keys[500], keys[999]])
    await waitFor("the key to pass", async () => (await use(key)).status === 200);
});
