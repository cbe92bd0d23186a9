// The table of rows that is printed after the tests says what is so.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Readable } from "node:stream";
import { test } from "node:test";

import report, { failedFiles, readResults, summary } from "../../scripts/lib/rows.mjs";

const doc = readFileSync(new URL("../../docs/systems.md", import.meta.url), "utf8");
const documented = Array.from(doc.matchAll(/^\| ([A-Z]{2}-\d+) .*tests\/e2e\/(\w+\.test\.mjs)/gm), ([, row, file]) => ({
  row,
  file,
}));
const passed = documented.map((row) => ({ ...row, passed: true }));

/** What is wrong when these results stand in the place of those of the first row. */
const wrongWith = (...own) => summary([...own, ...passed.slice(1)], true).wrong;

test("44 rows of five systems, and nothing to complain of when each passes where the document says", () => {
  assert.deepEqual(
    ["BD", "GW", "BS", "BP", "KB"].map((system) => documented.filter(({ row }) => row.startsWith(system)).length),
    [9, 7, 11, 8, 9],
  );
  const { table, wrong } = summary(passed, true);
  assert.deepEqual([table.length, table.filter((line) => line.includes(" pass ")).length, wrong], [44, 44, []]);
});

test("a row that has no test, fails, or is tested elsewhere, and a test of no row, are all found", () => {
  const [first] = passed;
  assert.equal(wrongWith().length, 1, "no test");
  assert.equal(wrongWith(first, { ...first, passed: false }).length, 1, "one of its tests fails");
  assert.equal(wrongWith({ ...first, file: "other.test.mjs" }).length, 2, "there and not here");
  assert.deepEqual(wrongWith(first, { ...first, row: "XX-1" }), ["XX-1: docs/systems.md has no such row"]);
  assert.deepEqual(summary(passed.slice(0, 2), false).wrong, [], "of a part of the tests, the other rows say nothing");
});

const event = (type, name, more = {}) => ({
  type: `test:${type}`,
  data: { name, file: "/x/bd.test.mjs", details: { type: "test" }, ...more },
});

async function reported(events) {
  let written = "";
  for await (const line of report(Readable.from(events))) written += line;
  return readResults(written);
}

test("a file with tests that fail is told once, whether they are of a row or not, or the file itself fails", async () => {
  const results = await reported([
    event("pass", "BD-1 a promise", { file: "/x/passes.test.mjs" }),
    event("fail", "BD-1 a promise"),
    event("fail", "of no row"),
    event("fail", "/x/ends.test.mjs", { file: undefined }),
  ]);
  assert.deepEqual(failedFiles(results), ["/x/bd.test.mjs", "/x/ends.test.mjs"]);
});

test("a test counts for the rows that its name begins with, and only if it ran", async () => {
  const events = [
    event("pass", "BD-1 a promise"),
    event("fail", "BP-6 KB-5 two"),
    event("pass", "BD-2 later", { skip: true }),
    event("pass", "about BD-3"),
    event("pass", "BD-4 all", { details: { type: "suite" } }),
    event("fail", "BD-4 all", { details: { type: "suite" } }),
    { type: "test:stdout", data: {} },
  ];
  const results = await reported(events);
  assert.deepEqual(
    results.map(({ row, passed: well }) => [row, well]),
    [
      ["BD-1", true],
      ["BP-6", false],
      ["KB-5", false],
      ["BD-2", false],
      ["BD-4", false],
    ],
  );
});
