// The rows of docs/systems.md, and whether their tests pass. A test is of the rows that its name begins
// with: "BD-5 …", "BP-6 KB-5 …".

import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

import { root } from "./places.mjs";

const DOCUMENT = "docs/systems.md";

/** This module, as a reporter of `node --test`: a line of JSON for each test of a row, and for each that fails. */
export const reporter = fileURLToPath(import.meta.url);
export default async function* (events) {
  for await (const { type, data } of events) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    const rows = data.name.match(/^(?:[A-Z]{2}-\d+,? )+/)?.[0].match(/[A-Z]{2}-\d+/g) ?? [];
    // A suite that fails says that its hooks did; one that passes says nothing.
    if (type === "test:pass" && data.details?.type === "suite") continue;
    const passed = type === "test:pass" && data.skip === undefined && data.todo === undefined;
    const path = data.file ?? data.name;
    const result = { passed, file: basename(path), path };
    for (const row of new Set(rows)) yield `${JSON.stringify({ row, ...result })}\n`;
    if (type === "test:fail" && rows.length === 0) yield `${JSON.stringify(result)}\n`;
  }
}

/**
 * The results that the reporter wrote.
 * @param {string} report
 * @returns {{ row?: string, passed: boolean, file: string, path: string }[]}
 */
export const readResults = (report) =>
  report
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));

/**
 * The paths of the files with a test that fails, each once.
 * @param {ReturnType<typeof readResults>} results
 */
export const failedFiles = (results) => [...new Set(results.filter(({ passed }) => !passed).map(({ path }) => path))];

/** What the document says: a Map of row to `{ rule, files }`. */
function documented() {
  const lines = readFileSync(join(root, DOCUMENT), "utf8").matchAll(/^\| ([A-Z]{2}-\d+) \| ([^|]*) \|(.*)$/gm);
  return new Map(
    Array.from(lines, ([, row, rule, rest]) => [
      row,
      { rule, files: Array.from(rest.matchAll(/tests\/e2e\/([^)\s]+)/g), ([, file]) => file) },
    ]),
  );
}

/**
 * The table of rows after a run, and what is wrong: `{ table, wrong }`, each a list of lines.
 * @param {Pick<ReturnType<typeof readResults>[number], "row" | "passed" | "file">[]} results
 * @param {boolean} whole whether every test was run, so that every row has to be there
 */
export function summary(results, whole) {
  const tests = results.filter(({ row }) => row !== undefined);
  const rows = documented();
  const table = [];
  const wrong = [];
  for (const [row, { rule, files }] of rows) {
    const own = tests.filter((test) => test.row === row);
    if (!own.length && !whole) continue;
    const passed = own.filter((test) => test.passed).length;
    const passes = own.length > 0 && passed === own.length;
    table.push(`  ${row.padEnd(6)} ${passes ? "pass" : "FAIL"}  ${`${passed}/${own.length}`.padStart(5)}  ${rule}`);
    if (!passes) wrong.push(`${row}: ${own.length ? "a test of it fails or is skipped" : "no test has this name"}`);
    const found = [...new Set(own.map(({ file }) => file))];
    for (const file of found)
      if (!files.includes(file)) wrong.push(`${row}: it has a test in ${file}, which ${DOCUMENT} does not say`);
    for (const file of files)
      if (whole && own.length && !found.includes(file))
        wrong.push(`${row}: it has no test in ${file}, though ${DOCUMENT} says so`);
  }
  for (const row of new Set(tests.map((test) => test.row)))
    if (!rows.has(row)) wrong.push(`${row}: ${DOCUMENT} has no such row`);
  return { table, wrong };
}
