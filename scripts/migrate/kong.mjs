// Makes a file for `POST /api-keys/import` of the key-auth credentials that `deck gateway dump` writes (docs/migrating/kong.md):
//   node scripts/migrate/kong.mjs kong.yaml --scopes orders:read --scope GROUP=orders:write > keys.ndjson

import { parse } from "yaml";

import { ImportFile, list, readExport, records, timeOf, windowOf } from "../lib/import_file.mjs";
import { Failure, runMain } from "../lib/progress.mjs";

const USAGE = `node scripts/migrate/kong.mjs kong.yaml [--scopes A,B] [--scope ACL-GROUP=A,B]… [--prefix P]… [--realm ID]
  [--dumped-at TIME], where keys have a ttl`;
const LIMITING = ["rate-limiting", "rate-limiting-advanced"];
const FIXED = {
  second: "perSecond",
  minute: "perMinute",
  hour: "perHour",
  day: "perDay",
  month: "perMonth",
  year: undefined,
};

await runMain(() => {
  const file = new ImportFile(USAGE, { "dumped-at": { type: "string" } });
  const dump = readExport(file.from, (text) => parse(text));
  const consumers = records(dump?.consumers, `"consumers" in ${file.from}`);
  for (const consumer of consumers) {
    const name = consumer.username ?? consumer.custom_id ?? consumer.id;
    const credentials = records(consumer.keyauth_credentials ?? [], `"keyauth_credentials" of ${name}`);
    const others = Object.keys(consumer).filter(
      (field) => /_(credentials|secrets)$/.test(field) && field !== "keyauth_credentials",
    );
    for (const kind of others) file.lose(name, kind);
    const plugins = [
      ...records(consumer.plugins ?? [], `"plugins" of ${name}`),
      ...records(dump.plugins ?? [], `"plugins" in ${file.from}`).filter(
        (/** @type {any} */ { consumer: of }) => of !== undefined && of === consumer.username,
      ),
    ];
    const rateLimit = limitsOf(file, name, plugins, credentials.length);
    if (consumer.groups?.length) file.lose(name, "what its consumer groups bring");
    const scopes = file.scopesOf(
      records(consumer.acls ?? [], `"acls" of ${name}`).map((/** @type {any} */ { group }) => group),
    );
    for (const [at, credential] of credentials.entries()) {
      const where = `${name}, key ${at + 1}`;
      if (typeof credential.key !== "string")
        throw new Failure(`${where} has no text`, "Write it in quotation marks, if it is a number.");
      if (credential.key.startsWith("{vault://")) {
        file.leave(where, "in a vault; put its text into the file");
        continue;
      }
      const metadata = { consumer: consumer.username, customId: consumer.custom_id };
      file.add(
        where,
        { key: credential.key },
        {
          name: credentials.length > 1 ? where : name,
          scopes,
          createdAt: credential.created_at ? timeOf(credential.created_at * 1000, where) : undefined,
          // 0 is for ever.
          expiresAt: credential.ttl ? endOf(file, where, credential.ttl) : undefined,
          rateLimit,
          tags: credential.tags ?? consumer.tags,
          metadata: JSON.parse(JSON.stringify(metadata)),
        },
      );
    }
  }
  file.print();
});

/**
 * When a key ends that had this many seconds left when the dump was made.
 * @param {ImportFile} file
 * @param {string} where
 * @param {number} ttl
 */
function endOf({ options }, where, ttl) {
  const at = Date.parse(options["dumped-at"]);
  if (Number.isNaN(at))
    throw new Failure(
      `${where} has ${ttl} seconds left, counted from when the dump was made`,
      "--dumped-at 2026-01-31T12:00:00Z says when that was.",
    );
  return timeOf(at + ttl * 1000, where);
}

/**
 * The limits that a consumer's own plugins set.
 * @param {ImportFile} file
 * @param {string} name
 * @param {any[]} plugins
 * @param {number} keys how many it has
 */
function limitsOf(file, name, plugins, keys) {
  /** @type {Record<string, number>} */
  const limits = {};
  for (const { name: plugin, config = {}, enabled } of plugins) {
    if (enabled === false) continue;
    if (!LIMITING.includes(plugin)) {
      file.lose(name, `the plugin ${plugin}`);
      continue;
    }
    const by = config.limit_by ?? config.identifier ?? "consumer";
    if (by !== "consumer" && by !== "credential") {
      file.lose(name, `a limit by ${by}`);
      continue;
    }
    if (by === "consumer" && keys > 1)
      file.lose(name, "its limit is of all its keys together, and becomes one of each key");
    for (const [ours, limit, theirs] of plugin === "rate-limiting" ? fixed(config) : sized(config, name))
      if (ours) limits[ours] = limit;
      else file.lose(name, `a limit of ${theirs}`);
  }
  return Object.keys(limits).length ? limits : undefined;
}

/**
 * The windows of rate-limiting: what each is called here, its limit, and what it is called there.
 * @param {any} config
 * @returns {[string | undefined, number, string][]}
 */
function fixed(config) {
  const set = Object.entries(FIXED).filter(([window]) => config[window]);
  return set.map(([window, ours]) => [ours, config[window], `a ${window}`]);
}

/**
 * The same of rate-limiting-advanced, whose windows are given in seconds.
 * @param {any} config
 * @param {string} name
 * @returns {[string | undefined, number, string][]}
 */
function sized(config, name) {
  const sizes = list(config.window_size, `"window_size" of ${name}`);
  const limits = list(config.limit, `"limit" of ${name}`);
  return sizes.map((seconds, at) => [windowOf(seconds), limits[at], `${seconds} s`]);
}
