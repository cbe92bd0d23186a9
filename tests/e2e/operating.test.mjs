// docs/operating.md, as somebody follows it: secrets for each environment in a copy of the project, what would be deployed, and a gate
// that runs with them. What needs an account at Cloudflare is not run.

import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { readSecrets } from "../../scripts/lib/secrets.mjs";
import { blocksOf, runCommands } from "./harness/commands.mjs";
import { runnable } from "./harness/documents.mjs";
import { startGate } from "./harness/gate.mjs";
import { copy, copyBuild, linkPackages, wranglerEnv } from "./harness/project.mjs";

const PERSON = { email: "you@example.com", password: "a long passphrase of yours" };

test("docs/operating.md: its commands, from the secrets of two environments to their rotation", async (t) => {
  const folder = copy(t);
  linkPackages(folder);
  copyBuild(folder);
  const blocks = runnable("docs/operating.md");
  const isFirst = ({ heading }) => heading === "Two environments";
  const env = { ...wranglerEnv(folder), KEYWARD_QUICK: "1" };
  await runCommands(t, blocks.filter(isFirst), { folder, env });

  // A gate here, where doctor looks for the token in another file.
  const file = join(folder, ".keyward", "secrets.production.env");
  copyFileSync(file, join(folder, ".dev.vars"));
  const gate = await startGate({ secrets: readSecrets(file) });
  t.after(() => gate.stop());
  const owner = await gate.admin().setUp(gate.secrets.KEYWARD_SETUP_TOKEN, PERSON);
  const { plaintextKey } = await owner.createKey({ scopes: ["orders:read"] });
  const others = blocks.filter((block) => !isFirst(block));
  await runCommands(t, others, { folder, gate: gate.url, env: { ...env, KEY: plaintextKey } });

  // The sample line: the same fields in the same order, with other ids and times.
  const [sample] = blocksOf("docs/operating.md").filter(({ lang }) => lang === "json");
  const [line] = await gate.logged('"error.type":"INSUFFICIENT_SCOPE"');
  const fixed = (text) =>
    Object.entries(JSON.parse(text))
      .filter(([name]) => !name.endsWith(".duration"))
      .map(([name, value]) => [name, /(_|\.)id$/.test(name) ? "…" : value]);
  assert.deepEqual(fixed(line), fixed(sample.text));
});
