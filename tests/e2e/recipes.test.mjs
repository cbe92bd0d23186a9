// docs/recipes.md, as somebody uses it: each recipe's policy on the built Worker, its origin, its commands in order, and their answers.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";

import { parse } from "smol-toml";

import { check } from "../../scripts/lib/check.mjs";
import { secretsOf } from "../../scripts/lib/policy.mjs";
import { blocksOf, runCommands } from "./harness/commands.mjs";
import { runnable } from "./harness/documents.mjs";
import { startGate } from "./harness/gate.mjs";
import { freePort } from "./harness/ports.mjs";

/** What every recipe needs first. */
const IN_COMMON = "Recipes";

const blocks = runnable("docs/recipes.md");
const inCommon = blocks.filter(({ heading }) => heading === IN_COMMON);
const headings = [...new Set(blocks.map(({ heading }) => heading))].filter((heading) => heading !== IN_COMMON);
const starts = blocksOf("docs/recipes.md").filter(({ text }) => text.startsWith("npm start "));

describe("docs/recipes.md", () => {
  for (const heading of headings)
    test(heading, async (t) => {
      const recipe = blocks.filter((block) => block.heading === heading);
      const [policy, ...others] = recipe.filter(({ lang }) => lang === "toml");
      assert.deepEqual(others, [], "it has one policy");
      const [, file] = policy.text.match(/^# (\S+\.toml)\n/) ?? assert.fail("its first line is its name");
      assert.deepEqual(
        starts.filter((block) => block.heading === heading).map(({ text }) => text),
        [`npm start -- --policy ${file}`],
        "it says how it is started",
      );

      const origin = String(await freePort());
      const text = policy.text.replaceAll("9000", origin);
      // As `npm start` makes them up.
      const named = secretsOf(new Map([[file, parse(text)]]));
      const secrets = Object.fromEntries(named.map((name) => [name, randomBytes(32).toString("hex")]));
      const gate = await startGate({ document: await check(file, () => text), secrets });
      t.after(() => gate.stop());
      const vars = Object.entries(gate.secrets).map(([name, value]) => `${name}=${value}\n`);
      await runCommands(t, [...inCommon, ...recipe], {
        gate: gate.url,
        origin,
        files: { ".dev.vars": vars.join("") },
      });
    });
});
