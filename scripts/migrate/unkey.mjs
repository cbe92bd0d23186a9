// Makes a file for `POST /api-keys/import` of answers of Unkey's `apis.listKeys` (docs/migrating/unkey.md): a JSON document a line.
//   node scripts/migrate/unkey.mjs unkey.jsonl --scope documents.read=documents:read > keys.ndjson
// Keys that Unkey cannot show are found by their hash, where --hashes names a file of lines {"keyId", "hash"}.

import { ImportFile, readExport, records, timeOf, windowOf } from "../lib/import_file.mjs";
import { Failure, runMain } from "../lib/progress.mjs";

const USAGE = `node scripts/migrate/unkey.mjs unkey.jsonl [--hashes FILE] [--scopes A,B] [--scope PERMISSION=A,B]…
  [--prefix P]… [--realm ID]`;

/** Characters after the prefix that the import takes. */
const MOST_SHOWN = 4;

const lines = (/** @type {string} */ text) =>
  text
    .split("\n")
    .filter((line) => line.trim())
    .map((line) => JSON.parse(line));

await runMain(() => {
  const file = new ImportFile(USAGE, { hashes: { type: "string" } });
  const pages = readExport(file.from, lines);
  const last = pages.at(-1);
  if (last?.pagination?.hasMore)
    throw new Failure(
      `${file.from} is not all: its last page says that there are more`,
      "Ask for the pages that follow, with its cursor.",
    );
  const { hashes: of } = file.options;
  const known = of ? records(readExport(of, lines), `what stands in ${of}`) : [];
  const hashes = new Map(known.map(({ keyId, hash }) => [keyId, hash]));
  for (const page of pages)
    for (const key of records(page?.data, `"data" in ${file.from}`)) add(file, key, hashes.get(key.keyId));
  file.print();
});

/**
 * @param {ImportFile} file
 * @param {any} key
 * @param {string | undefined} hash
 */
function add(file, key, hash) {
  const where = key.keyId;
  if (key.enabled === false) return file.leave(where, "disabled there");
  if (key.expires && key.expires <= Date.now()) return file.leave(where, "has expired");
  if (!key.plaintext && !hash)
    return file.leave(where, "Unkey shows neither its text nor its hash; see docs/migrating/unkey.md");
  for (const role of key.roles ?? []) file.lose(where, `the role ${role}, but for the permissions that the key lists`);
  /** @type {Record<string, number>} */
  const limits = {};
  for (const { name, limit, duration, autoApply } of key.ratelimits ?? []) {
    const window = windowOf(duration / 1000);
    if (!autoApply) file.lose(where, `the limit ${name}, which holds only where a request names it`);
    else if (!window) file.lose(where, `the limit ${name} of ${duration} ms`);
    else limits[window] = Math.min(limits[window] ?? limit, limit);
  }
  const { remaining, refill } = key.credits ?? {};
  if (refill) limits[refill.interval === "daily" ? "perDay" : "perMonth"] = refill.amount;
  else if (remaining) limits.total = remaining;
  else if (remaining === 0) return file.leave(where, "has no credits left");
  if (refill?.refillDay > 1) file.lose(where, "the day of its refill: a month begins on the 1st");
  if (key.identity?.ratelimits?.length) file.lose(where, "limits of its identity");
  const texts = Object.entries(key.meta ?? {}).map(([name, value]) => [
    name,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  if (key.identity) texts.push(["externalId", key.identity.externalId]);
  // All that people see of a key whose text is not known.
  const prefix = key.plaintext
    ? undefined
    : file.options.prefix.find((/** @type {string} */ each) => key.start.startsWith(each));
  file.add(where, key.plaintext ? { key: key.plaintext } : { hash }, {
    name: key.name || where,
    prefix: prefix && key.start.slice(0, prefix.length + MOST_SHOWN),
    scopes: file.scopesOf(key.permissions ?? []),
    createdAt: key.createdAt ? timeOf(key.createdAt, where) : undefined,
    expiresAt: key.expires ? timeOf(key.expires, where) : undefined,
    rateLimit: Object.keys(limits).length ? limits : undefined,
    metadata: texts.length ? Object.fromEntries(texts) : undefined,
  });
}
