// Objects of a jurisdiction: they are others than those without, and whoever changes the policy later is refused until it is as it
// was. Nothing is counted in other objects meanwhile, and nothing is published from them. The runtime here has no jurisdictions:
// the objects of one have its name before theirs.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { root } from "../../scripts/lib/places.mjs";
import { Admin } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";
import { documentOf } from "./harness/policies.mjs";
import { bearer } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { Gate } from "./harness/gate.mjs" */
/** @import { ObjectClass } from "../../types/e2e.js" */

const WITHOUT = await documentOf("default");
const within = (jurisdiction) =>
  documentOf("default", { edit: (text) => text.replace("\n[admin]", `\njurisdiction = "${jurisdiction}"\n[admin]`) });
const EU = await within("eu");
const EVERYWHERE = 6_000; // a change holds within the realm's `freshness`

/** @type {Gate} */
let gate;
before(async () => {
  gate = await startGate({ document: WITHOUT });
});
after(() => gate?.stop());

const use = (key, more) => gate.send({ target: "/api/orders", ...more, headers: bearer(key) });
const told = (answer) => (answer.status === 200 ? 200 : [answer.status, answer.json().code]);
const setUpToken = () => ({ Authorization: `Setup ${gate.secrets.KEYWARD_SETUP_TOKEN}` });
const parts = async () => (await gate.send({ target: "/readyz", headers: setUpToken() })).json().parts;
const restart = async (document) => {
  await gate.kill();
  gate.logs.length = 0;
  await gate.restart({ document });
};
/** What KV has of keys. */
const records = async () => [...(await gate.storedKv())].filter(([name]) => name.startsWith("key:"));
/** The name of a key's object. */
const nameOf = async (id) => {
  const found = (await records()).find(([, text]) => JSON.parse(text).id === id);
  return found?.[0].slice("key:".length);
};
const marker = async () =>
  waitFor("what KV says of whose it is", async () => {
    const text = (await gate.storedKv()).get("registry");
    return text === undefined ? undefined : JSON.parse(text);
  });

/** A key is limited to three a minute, another one is revoked, and both hold. */
async function keysWork(owner) {
  await gate.stopClock();
  const limited = await owner.createKey({ rateLimit: { perMinute: 3, perDay: null } });
  const revoked = await owner.createKey();
  for (let i = 0; i < 3; i++) assert.equal(told(await use(limited.plaintextKey)), 200);
  assert.deepEqual(told(await use(limited.plaintextKey)), [429, "RATE_LIMITED"]);
  assert.equal(told(await use(revoked.plaintextKey)), 200);
  await owner.revoke(revoked.apiKey.id);
  await gate.advance(EVERYWHERE);
  assert.deepEqual(told(await use(revoked.plaintextKey)), [401, "REVOKED_API_KEY"]);
  assert.deepEqual(told(await use(limited.plaintextKey)), [429, "RATE_LIMITED"]);
  return { limited, revoked };
}

/** Everything is refused, whatever was asked, and the log and readiness say why. */
async function allIsRefused(keys, owner, says) {
  for (const { plaintextKey } of Object.values(keys))
    assert.deepEqual(told(await use(plaintextKey)), [503, "STORE_UNAVAILABLE"]);
  const [line] = await gate.logged('"event":"store unavailable"', '"store":"KEYS"');
  assert.match(line, says);
  for (const [method, path, body] of /** @type {[string, string, object?][]} */ ([
    ["GET", "/api-keys"],
    ["POST", "/api-keys", { name: "Another", scopes: ["orders:read"] }],
    [
      "POST",
      "/setup",
      { token: gate.secrets.KEYWARD_SETUP_TOKEN, email: "b@example.com", password: "a long passphrase" },
    ],
  ])) {
    const client = new Admin(gate.url);
    client.token = path === "/setup" ? undefined : owner.token;
    const answer = await client.call(method, path, body);
    assert.deepEqual([answer.status, answer.json().code], [503, "NOT_CONFIGURED"], `${method} ${path}`);
    assert.match(answer.json().detail, says);
  }
  await gate.logged('"event":"registry"', '"what":"opening"', "jurisdiction");
  const found = await parts();
  assert.match(found.jurisdiction, says);
  assert.match(found.registry, says);
  const doctor = spawnSync(process.execPath, [join(root, "cli", "keyward.mjs"), "doctor", gate.url], {
    cwd: project(),
    encoding: "utf8",
  });
  assert.match(doctor.stdout, /WRONG {2}jurisdiction: /);
  assert.match(doctor.stdout, says);
  assert.notEqual(doctor.status, 0);
}

/** A folder that the gate could have been started in, with its set-up token. */
function project() {
  const folder = mkdtempSync(join(gate.persist, "project-"));
  for (const name of ["keyward.toml", "wrangler.toml"]) copyFileSync(join(root, name), join(folder, name));
  writeFileSync(join(folder, ".dev.vars"), `KEYWARD_SETUP_TOKEN=${gate.secrets.KEYWARD_SETUP_TOKEN}\n`);
  return folder;
}

test("a gate whose policy names a jurisdiction later refuses everything, and goes on as before without it", async () => {
  const owner = await gate.owner();
  const keys = await keysWork(owner);
  assert.deepEqual(await marker(), { v: "1" });
  // What was counted of this one could not be reported yet.
  const late = await owner.createKey();
  const name = await waitFor("the key in KV", () => nameOf(late.apiKey.id));
  await gate.objects.faults({ "Registry.fetch": { fail: true } });
  assert.equal(told(await use(late.plaintextKey)), 200);
  const before = await records();
  assert.ok(before.every(([, text]) => JSON.parse(text).v === "1" && !text.includes("jurisdiction")));

  await restart(EU);
  await allIsRefused(
    { ...keys, late },
    owner,
    /the policy names objects of the jurisdiction \\?"eu\\?", but the data belong to objects without/i,
  );
  // A build from before jurisdictions left no marker.
  await gate.objects.putKv("registry", null);
  const setUp = { token: gate.secrets.KEYWARD_SETUP_TOKEN, email: "b@example.com", password: "a long passphrase" };
  assert.equal((await gate.admin().call("POST", "/setup", setUp)).json().code, "NOT_CONFIGURED");
  await gate.objects.putKv("registry", JSON.stringify({ v: "1" }));
  // The objects that have the data, as a gate of the policy before still asks them: they do not answer by another policy.
  for (const [className, object] of /** @type {[ObjectClass, string][]} */ ([
    ["KeyGate", name],
    ["Relay", `${name}/0`],
    ["Registry", "registry"],
  ]))
    await assert.rejects(gate.objects.call(className, object, {}), / 421 .*belong to objects without/, className);
  // And their alarms tell nobody else, and publish nothing.
  await gate.advance(3_600_000);
  await gate.logged('"event":"usage not reported yet"', "belong to objects without a jurisdiction");
  assert.deepEqual(await marker(), { v: "1" });
  assert.deepEqual((await records()).sort(), before.sort());

  await restart(WITHOUT);
  assert.equal((await parts()).jurisdiction, "ok");
  const { apiKeys } = await owner.must("GET", "/api-keys");
  assert.equal(apiKeys.length, 3);
  assert.deepEqual(told(await use(keys.revoked.plaintextKey)), [401, "REVOKED_API_KEY"]);
  // Its object reports after the next request, or within an hour.
  assert.equal(told(await use(late.plaintextKey)), 200);
  await waitFor("usage, whichever policy there was meanwhile", async () => {
    await gate.advance(60_000);
    const { points } = await owner.must("GET", `/api-keys/${late.apiKey.id}/usage`);
    return points.reduce((sum, point) => sum + point.accepted, 0) === 2;
  });
});

test("with a new KV namespace the objects of a jurisdiction are empty, and those from before stay as they are", async () => {
  const old = await gate.storedKv();
  await restart(EU);
  for (const name of old.keys()) await gate.objects.putKv(name, null);
  const owner = await gate.owner();
  assert.deepEqual((await owner.must("GET", "/api-keys")).apiKeys, []);
  await keysWork(owner);
  assert.deepEqual(await marker(), { v: "2", jurisdiction: "eu" });

  await restart(WITHOUT);
  for (const name of (await gate.storedKv()).keys()) await gate.objects.putKv(name, null);
  for (const [name, value] of old) await gate.objects.putKv(name, value);
  const first = await gate.admin().signIn();
  assert.equal((await first.must("GET", "/api-keys")).apiKeys.length, 3);
});

test("a gate that begins in a jurisdiction keeps to it", async () => {
  await gate.stop();
  gate = await startGate({ document: EU });
  assert.equal((await parts()).jurisdiction, "ok");
  const owner = await gate.owner();
  const keys = await keysWork(owner);
  assert.deepEqual(await marker(), { v: "2", jurisdiction: "eu" });
  for (const [, text] of await records()) {
    const { v, jurisdiction } = JSON.parse(text);
    assert.deepEqual([v, jurisdiction], ["2", "eu"]);
  }
  for (const other of [WITHOUT, await within("us")]) {
    await restart(other);
    await allIsRefused(keys, owner, /but the data belong to objects of the jurisdiction \\?"eu\\?"/);
  }
  await restart(EU);
  assert.deepEqual(told(await use(keys.revoked.plaintextKey)), [401, "REVOKED_API_KEY"]);
  const again = await owner.createKey();
  assert.equal(told(await use(again.plaintextKey)), 200);
});
