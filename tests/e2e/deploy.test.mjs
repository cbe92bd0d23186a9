// What `wrangler deploy` would upload, without a network: bindings, bundle and secrets.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { root, toolEnv } from "../../scripts/lib/places.mjs";

test("wrangler deploy --dry-run has every binding, the whole Worker and the secrets, and not the demo", async (t) => {
  const out = mkdtempSync(join(tmpdir(), "keyward-deploy-"));
  t.after(() => rmSync(out, { recursive: true }));
  const secrets = join(out, "secrets.env");
  writeFileSync(secrets, `KEYWARD_SECRET=${"s".repeat(43)}\nKEYWARD_SETUP_TOKEN=${"t".repeat(32)}\n`, { mode: 0o600 });
  const args = ["wrangler", "deploy", "--dry-run", "--outdir", join(out, "bundle"), "--secrets-file", secrets];
  const { stdout, stderr } = await promisify(execFile)("npx", args, { cwd: root, env: toolEnv() });
  const said = stdout + stderr;
  assert.match(said, /--dry-run: exiting now/);

  const bindings = Array.from(said.matchAll(/^env\.(\w+)(?: \(.*?\))? {2,}(.+?) *$/gm), ([, name, resource]) => [name, resource]);
  assert.deepEqual(Object.fromEntries(bindings), {
    KEYS: "KV Namespace",
    REGISTRY: "Durable Object",
    KEY_GATE: "Durable Object",
    RELAY: "Durable Object",
    FAILURES: "Rate Limit",
    ADMIN: "Assets",
    ORIGIN: "Worker",
    KEYWARD_SECRET: "Environment Variable",
    KEYWARD_SETUP_TOKEN: "Environment Variable",
  }, said);
  assert.ok(!said.includes("s".repeat(43)), "no secret is shown");
  for (const note of [/note: the origin of realm default is the demo/, /note: the KV namespace has no id yet/, /note: no routes/]) assert.match(said, note);

  const files = readdirSync(join(out, "bundle"));
  const wasm = files.filter((name) => name.endsWith(".wasm"));
  assert.equal(wasm.length, 1, files.join());
  assert.ok(readFileSync(join(out, "bundle", wasm[0])).equals(readFileSync(join(root, "build", "index_bg.wasm"))), "the Worker that was built");
  const script = readFileSync(join(out, "bundle", "worker.js"), "utf8");
  assert.ok(script.includes(wasm[0]));
  const exported = script.match(/export \{([^}]*)\}/g).join();
  for (const name of ["KeyGate", "Registry", "Relay", "default"]) assert.match(exported, new RegExp(`\\b${name}\\b`));
  assert.ok(!/DemoOrigin|bodySha256/.test(script), "the demo is not deployed");
});

test("the commands that README and CONTRIBUTING name are there", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  for (const document of ["README.md", "CONTRIBUTING.md"]) {
    const named = Array.from(readFileSync(join(root, document), "utf8").matchAll(/\bnpm (?:run )?(\w+)/g), ([, name]) => name);
    assert.ok(named.length > 3, document);
    assert.deepEqual(named.filter((name) => !scripts[name]), [], document);
  }
});
