// Makes a file for `POST /api-keys/import` of a table of keys, as CSV with a line of column names (docs/migrating/own-table.md):
//   node scripts/migrate/own_table.mjs keys.csv --scope reader=orders:read > keys.ndjson

import { parse } from "csv-parse/sync";

import { ImportFile, readExport } from "../lib/import_file.mjs";
import { Failure, runMain } from "../lib/progress.mjs";

const USAGE =
  "node scripts/migrate/own_table.mjs keys.csv [--scopes A,B] [--scope NAME=A,B]… [--prefix P]… [--realm ID]";
const TEXTS = ["name", "prefix", "last4", "createdAt", "expiresAt", "realm"];
const LIMITS = ["perSecond", "perMinute", "perHour", "perDay", "perMonth", "total", "inFlight"];
const WORDS = ["scopes", "tags"];
const SECRETS = ["key", "hash"];
const COLUMNS = [...SECRETS, ...TEXTS, ...LIMITS, ...WORDS];

await runMain(() => {
  const file = new ImportFile(USAGE);
  const columns = (/** @type {string[]} */ names) => {
    const unknown = names.find((name) => !COLUMNS.includes(name) && !/^metadata\../.test(name));
    if (unknown !== undefined)
      throw new Failure(
        `${file.from} has a column ${unknown}`,
        `Columns are ${COLUMNS.join(", ")}, and metadata.NAME for your own.`,
      );
    const twice = names.find((name, at) => names.indexOf(name) !== at);
    if (twice !== undefined) throw new Failure(`${file.from} has the column ${twice} twice`, "Export it once.");
    if (SECRETS.filter((name) => names.includes(name)).length !== 1)
      throw new Failure(
        `${file.from} needs one of the columns key and hash`,
        "hash is the SHA-256 of the whole key, without a salt.",
      );
    return names;
  };
  /** @type {Record<string, string>[]} */
  const rows = readExport(file.from, (text) => parse(text, { columns, skip_empty_lines: true }));
  for (const [at, row] of rows.entries()) {
    const where = `row ${at + 1}`;
    const { key, hash, name } = row;
    if (!(key || hash)) throw new Failure(`${where} of ${file.from} has no ${key === undefined ? "hash" : "key"}`);
    if (!name) throw new Failure(`${where} of ${file.from} has no name`, "Give each key one: people find it by that.");
    const given = (/** @type {string[]} */ names) => names.filter((column) => row[column]);
    const words = (/** @type {string} */ column) => row[column]?.split(" ").filter(Boolean) ?? [];
    // A scope that --scope does not name is one of the policy's already.
    const scopes = words("scopes").flatMap((scope) => file.scopeNames.get(scope) ?? [scope]);
    const limits = given(LIMITS).map((column) => [column, number(row[column], `${where}, ${column}`)]);
    const own = Object.keys(row).filter((column) => column.startsWith("metadata.") && row[column]);
    file.add(where, key ? { key } : { hash }, {
      .../** @type {{ name: string }} */ (Object.fromEntries(given(TEXTS).map((column) => [column, row[column]]))),
      scopes: [...new Set([...file.scopes, ...scopes])],
      rateLimit: limits.length ? Object.fromEntries(limits) : undefined,
      tags: words("tags").length ? words("tags") : undefined,
      metadata: own.length
        ? Object.fromEntries(own.map((column) => [column.slice("metadata.".length), row[column]]))
        : undefined,
    });
  }
  file.print();
});

/**
 * @param {string} text
 * @param {string} where
 */
function number(text, where) {
  if (!/^\d+$/.test(text)) throw new Failure(`${where} is not a whole number`);
  return Number(text);
}
