// A backup by the command, restored by the command: into a new deployment, and into one whose Registry was lost while KV and the keys'
// objects are still there.

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { root } from "../../scripts/lib/places.mjs";
import { OWNER } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";
import { run } from "./harness/project.mjs";
import { bearer } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { TestContext } from "node:test" */
/** @import { Gate } from "./harness/gate.mjs" */

const TWICE_A_MINUTE = { perMinute: 2, perDay: null };

/** @param {TestContext} t */
function folderOf(t) {
  const folder = mkdtempSync(join(tmpdir(), "keyward-backup-"));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));
  return folder;
}

/**
 * The command, in a folder that has no gate of its own.
 * @param {string} folder
 * @param {Gate} gate
 * @param {string[]} args
 * @param {string} [first] what the shell does before
 */
async function keyward(folder, gate, args, first = ":") {
  const env = {
    ...process.env,
    KEYWARD_EMAIL: OWNER.email,
    KEYWARD_PASSWORD: OWNER.password,
    KEYWARD_SETUP_TOKEN: gate.secrets.KEYWARD_SETUP_TOKEN,
  };
  const command = [join(root, "cli/keyward.mjs"), ...args, "--url", gate.url];
  const shell = ["-c", `${first}; exec "$@"`, "sh", process.execPath, ...command];
  const ran = run("bash", shell, { cwd: folder, env });
  return { code: await ran.ended, said: ran.text() };
}

/** @param {Gate} gate @param {string} key */
const use = async (gate, key) => {
  const answer = await gate.send({ target: "/api/orders", headers: bearer(key) });
  return answer.status === 200 ? 200 : answer.json().code;
};

test("what was backed up works in a new deployment: keys, people, limits, the audit", async (t) => {
  const folder = folderOf(t);
  const before = await startGate();
  t.after(() => before.stop());
  const owner = await before.owner();
  // To some readers of lines these are ends of one.
  const metadata = { note: 'a\u2028{"end":true}\u2029b\u0085c\r\nd' };
  const live = await owner.createKey({ rateLimit: TWICE_A_MINUTE, metadata });
  const revoked = await owner.createKey();
  await owner.must("POST", `/api-keys/${revoked.apiKey.id}/revoke`);
  assert.equal(await use(before, live.plaintextKey), 200);

  writeFileSync(join(folder, "readable"), "of somebody else", { mode: 0o644 });
  symlinkSync(join(folder, "readable"), join(folder, "backup.ndjson.part"));
  const taken = await keyward(folder, before, ["backup", "backup.ndjson"]);
  assert.equal(taken.code, 0, taken.said);
  assert.equal(readFileSync(join(folder, "readable"), "utf8"), "of somebody else", "nothing is written through a link");
  assert.match(taken.said, /^backup\.ndjson has the backup, in 1 page\.$/m);
  assert.equal(statSync(join(folder, "backup.ndjson")).mode & 0o777, 0o600);
  const text = readFileSync(join(folder, "backup.ndjson"), "utf8");
  for (const secret of [live.plaintextKey, OWNER.password, before.secrets.KEYWARD_SECRET, owner.token])
    assert.ok(!text.includes(secret), "no secret is in it");
  const again = await keyward(folder, before, ["backup", "backup.ndjson"]);
  assert.match(again.said, /backup\.ndjson is there already/);

  const after = await startGate({ secrets: before.secrets });
  t.after(() => after.stop());
  for (const [name, broken, why] of [
    ["cut.ndjson", text.split("\n").slice(0, 3).join("\n"), /is cut short/],
    ["other.ndjson", "hello\n", /is no backup/],
    ["changed.ndjson", text.replaceAll(OWNER.email, "thief@example.com"), /was changed/],
  ]) {
    writeFileSync(join(folder, String(name)), String(broken));
    const refused = await keyward(folder, after, ["restore", String(name)]);
    assert.notEqual(refused.code, 0);
    assert.match(refused.said, /** @type {RegExp} */ (why));
  }
  const restored = await keyward(folder, after, ["restore", "backup.ndjson"]);
  assert.equal(restored.code, 0, restored.said);
  assert.match(restored.said, /^bak_\w+, made at .*Z, is restored: \d+ rows\./m);

  const person = await after.admin().signIn(OWNER);
  assert.equal((await person.must("GET", "/audit/verify")).ok, true);
  await waitFor("the key to pass", async () => (await use(after, live.plaintextKey)) === 200);
  assert.equal(await use(after, live.plaintextKey), 200);
  assert.equal(await use(after, live.plaintextKey), "RATE_LIMITED");
  await waitFor("the other to be known", async () => (await use(after, revoked.plaintextKey)) !== "INVALID_API_KEY");
  assert.equal(await use(after, revoked.plaintextKey), "REVOKED_API_KEY");
  const { refusedEverywhereBy } = await person.must("POST", `/api-keys/${live.apiKey.id}/revoke`);
  await after.until(refusedEverywhereBy);
  assert.equal(await use(after, live.plaintextKey), "REVOKED_API_KEY");
  assert.deepEqual((await person.must("GET", `/api-keys/${live.apiKey.id}`)).apiKey.metadata, metadata);
  writeFileSync(join(folder, "converted.ndjson"), text.replaceAll("\n", "\r\n"));
  const twice = await keyward(folder, after, ["restore", "converted.ndjson"]);
  assert.equal(twice.code, 0, `what was done already is so: ${twice.said}`);
  const inUse = await keyward(folder, before, ["restore", "backup.ndjson"]);
  assert.match(inUse.said, /409 ALREADY_SET_UP: This deployment is in use/);
});

test("where only the Registry was lost, a revocation after the backup stands and a key made after it is found", async (t) => {
  const folder = folderOf(t);
  const persist = join(folder, "state");
  const before = await startGate({ persist });
  t.after(() => before.stop());
  const owner = await before.owner();
  const [leaked, kept] = [await owner.createKey(), await owner.createKey()];
  const metadata = Object.fromEntries(["a", "b", "c", "d", "e"].map((name) => [name, "x".repeat(490)]));
  for (let made = 0; made < 120; made += 1) await owner.createKey({ metadata });
  const taken = await keyward(folder, before, ["backup", "backup.ndjson"]);
  assert.equal(taken.code, 0, taken.said);
  assert.match(taken.said, /in [2-9] pages\.$/m);
  // The system lets no file have more than half of it: as a full disk, that ends a write in the middle.
  const limited = await keyward(folder, before, ["backup", "full.ndjson"], "ulimit -f 300");
  assert.equal(limited.code, 1);
  assert.match(limited.said, /^error: a file: write failed \(EFBIG\)\n {2}The file would be larger/m);
  assert.doesNotMatch(limited.said, /at async/);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith("full")),
    [],
    "nothing half is left",
  );
  await keyward(folder, before, ["backup", "second.ndjson"]);
  const text = readFileSync(join(folder, "backup.ndjson"), "utf8");
  const second = readFileSync(join(folder, "second.ndjson"), "utf8");
  const secondPage = (of) => of.search(/^\{"backup":"bak_\w+","keyward":"backup","page":1,/m);
  writeFileSync(join(folder, "mixed.ndjson"), text.slice(0, secondPage(text)) + second.slice(secondPage(second)));
  writeFileSync(join(folder, "both.ndjson"), text + second);

  await owner.must("POST", `/api-keys/${leaked.apiKey.id}/revoke`);
  const made = await owner.createKey({ scopes: ["orders:read"] });
  await waitFor("all to be published", async () => {
    const metrics = await owner.call("GET", "/metrics");
    return /^keyward_outbox_entries 0$/m.test(metrics.text);
  });
  await before.stop();
  for (const name of readdirSync(join(persist, "do")).filter((name) => name.endsWith("-Registry")))
    rmSync(join(persist, "do", name), { recursive: true });

  const after = await startGate({ persist, secrets: before.secrets });
  t.after(() => after.stop());
  assert.equal(await use(after, kept.plaintextKey), 200, "keys pass without the Registry");
  for (const [name, why] of Object.entries({
    "mixed.ndjson": /page 1 in mixed\.ndjson is not of the backup/,
    "both.ndjson": /goes on after the end/,
  })) {
    assert.match((await keyward(folder, after, ["restore", name])).said, why);
    await after.admin().refused([401, "UNAUTHENTICATED"], "GET", "/session");
  }
  const restored = await keyward(folder, after, ["restore", "backup.ndjson"]);
  assert.equal(restored.code, 0, restored.said);
  const person = await after.admin().signIn(OWNER);
  await waitFor("the revocation", async () => {
    const { apiKey } = await person.must("GET", `/api-keys/${leaked.apiKey.id}`);
    return apiKey.status === "REVOKED";
  });
  assert.equal(await use(after, leaked.plaintextKey), "REVOKED_API_KEY");
  assert.equal(await use(after, kept.plaintextKey), 200);
  const found = await waitFor("the key that was made since", async () => {
    const { apiKeys } = await person.must("GET", "/api-keys?q=found");
    return apiKeys.find(({ id }) => id === made.apiKey.id);
  });
  assert.equal(found.name, "Found after a restore");
  const { refusedEverywhereBy } = await person.must("POST", `/api-keys/${made.apiKey.id}/revoke`);
  await after.until(refusedEverywhereBy);
  assert.equal(await use(after, made.plaintextKey), "REVOKED_API_KEY");
});
