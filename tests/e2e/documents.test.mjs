// The commands that stand in the documents: each is run by a test, or is on a list that says why it is not.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, test } from "node:test";

import { root } from "../../scripts/lib/places.mjs";
import { blocksOf, runCommands } from "./harness/commands.mjs";
import { documents, NOT_RUN, reasonNotToRun, runnable } from "./harness/documents.mjs";
import { startGate } from "./harness/gate.mjs";
import { documentOf } from "./harness/policies.mjs";

const commandsOf = (document) => blocksOf(document).filter(({ lang }) => lang === "sh");
const isRunnable = (block) => block.lang === "sh";

/** Exports of other products, as they are called in the documents, and what of them is in the folder. */
const EXPORTS = {
  "docs/migrating/kong.md": { "kong.yaml": "kong/kong.yaml" },
  "docs/migrating/aws.md": { "aws-export": "aws" },
  "docs/migrating/own-table.md": { "keys.csv": "own-table/keys.csv" },
  "docs/migrating/unkey.md": { "unkey.jsonl": "unkey/keys.jsonl", "hashes.jsonl": "unkey/hashes.jsonl" },
};
/** The project's files that stand in the folder of a document's commands. */
const linked = (data) => ({
  scripts: "scripts",
  ...Object.fromEntries(Object.entries(data).map(([name, file]) => [name, join("tests", "data", "migrating", file)])),
});

describe("the commands of docs/migrating/", () => {
  for (const blocks of [
    runnable("docs/migrating/kong.md"),
    runnable("docs/migrating/aws.md"),
    runnable("docs/migrating/unkey.md"),
  ])
    it(`${blocks[0].document}: makes the file of an import`, (t) =>
      runCommands(t, blocks, { links: linked(EXPORTS[blocks[0].document]) }));

  it("own-table.md: makes the file of an import, and README.md imports it", async (t) => {
    const edit = (text) =>
      text.replace(
        "[realm.limits]",
        '[realm.imported]\nprefixes = ["sk_live_"]\nmin_length = 20\nmax_length = 20\nalphabet = "base62"\n\n[realm.limits]',
      );
    const gate = await startGate({ document: await documentOf("default", { edit }) });
    t.after(() => gate.stop());
    const { token } = await gate.owner();
    const blocks = [...runnable("docs/migrating/own-table.md"), ...runnable("docs/migrating/README.md")];
    const links = linked(EXPORTS["docs/migrating/own-table.md"]);
    await runCommands(t, blocks, { gate: gate.url, links, env: { SESSION_TOKEN: token } });
  });
});

test("docs/package.md: the keys of a gate, by the package's command", async (t) => {
  const gate = await startGate();
  t.after(() => gate.stop());
  const owner = await gate.owner();
  const { plaintextKey } = await owner.createKey({ scopes: ["admin:write"] });
  const { apiKey } = await owner.createKey();
  await runCommands(t, runnable("docs/package.md"), {
    gate: gate.url,
    values: {
      "KEYWARD_ADMIN_KEY=…": `KEYWARD_ADMIN_KEY=${plaintextKey}`,
      "key_…": apiKey.id,
      "npx keyward": `node ${join(root, "cli", "keyward.mjs")}`,
    },
  });
});

test("README says what 100,000 requests use in the simulation's last result", () => {
  const result = readFileSync(join(root, "bench", "results", "simulate.txt"), "utf8");
  /** A figure of the mixed traffic. */
  const mixed = (/** @type {string} */ row) => {
    const figure = new RegExp(`^${row} +([\\d,.]+)`, "m").exec(result)?.[1];
    assert.ok(figure, row);
    return Number(figure.replaceAll(",", ""));
  };
  const passed = mixed("let through") / mixed("requests");
  const readme = readFileSync(join(root, "README.md"), "utf8");
  for (const [row, each] of /** @type {[string, number][]} */ ([
    ["requests to Durable Objects", mixed("calls of objects, for one let through") * passed],
    ["rows written there", mixed("rows written, for one let through") * passed],
    ["reads of KV", mixed("reads of KV, for one request")],
  ])) {
    const said = new RegExp(`^\\| ${row} \\| 100,000 \\| ([\\d,]+)`, "m").exec(readme)?.[1];
    assert.equal(Number(said?.replaceAll(",", "")), Number((each * 100_000).toPrecision(2)), row);
  }
});

describe("every block of commands in the documents", () => {
  const tests = readdirSync(join(root, "tests", "e2e")).filter((name) => name.endsWith(".test.mjs"));
  const texts = tests.map((name) => readFileSync(join(root, "tests", "e2e", name), "utf8"));
  for (const document of documents().filter((document) => commandsOf(document).length))
    it(`${document}: is run by a test, or on the list of those that are not`, () => {
      const runs = texts.filter((text) => text.includes(`runnable("${document}")`));
      const left = runnable(document).filter(isRunnable);
      assert.ok(runs.length || !left.length, `no test runs ${document}:${left[0]?.line}\n${left[0]?.text}`);
    });

  it("has no other name for a shell than sh, under which it would not be found", () => {
    for (const document of documents())
      for (const { lang, line, text } of blocksOf(document)) {
        assert.ok(!/^(bash|shell|zsh|console|terminal)$/.test(lang), `${document}:${line}: write sh`);
        assert.ok(lang || !/^(\$ )?(curl|npm|npx|node|cargo) /.test(text), `${document}:${line}: commands, and not sh`);
      }
  });

  it("is on the list only if it is there", () => {
    for (const entry of NOT_RUN)
      assert.ok(
        commandsOf(entry[0]).some((block) => reasonNotToRun(block) === entry),
        `${entry[0]} has no block that begins with ${entry[1]}`,
      );
  });
});
