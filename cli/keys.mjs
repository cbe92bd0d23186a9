// `keyward keys`: the keys of a gate that runs.

import { Failure } from "../scripts/lib/progress.mjs";
import { HELP as API_HELP, adminApi, OPTIONS, printable } from "./admin_api.mjs";
import { listed, readArgs } from "./folder.mjs";

/** @typedef {Awaited<ReturnType<typeof adminApi>>} Api */
/** @typedef {Record<string, any>} Values */

const HELP = `usage: keyward keys create --name NAME [--scopes a,b] [--realm ID] [--per-minute N] [--per-day N] [--expires 2027-01-31] [--test]
       keyward keys list [--status ACTIVE] [--scope SCOPE] [--query TEXT]
       keyward keys revoke ID
       keyward keys rotate ID [--grace-seconds N | --revoke-old]
       keyward keys usage ID [--days N]

${API_HELP}`;

const COMMANDS = {
  create: {
    options: {
      name: { type: "string" },
      scopes: { type: "string" },
      realm: { type: "string" },
      "per-minute": { type: "string" },
      "per-day": { type: "string" },
      expires: { type: "string" },
      test: { type: "boolean" },
    },
    run: create,
  },
  list: { options: { status: { type: "string" }, scope: { type: "string" }, query: { type: "string" } }, run: list },
  revoke: { options: {}, names: "ID", run: revoke },
  rotate: {
    options: { "grace-seconds": { type: "string" }, "revoke-old": { type: "boolean" } },
    names: "ID",
    run: rotate,
  },
  usage: { options: { days: { type: "string" } }, names: "ID", run: usage },
};

/** @param {string[]} args */
export async function run([name, ...args]) {
  const command = Object.hasOwn(COMMANDS, name ?? "") && COMMANDS[/** @type {keyof typeof COMMANDS} */ (name)];
  if (!command) {
    readArgs([name ?? "--help"], { help: HELP, allowPositionals: true });
    throw new Failure(`keyward keys has no command ${JSON.stringify(name)}`, HELP);
  }
  const options = /** @type {any} */ ({ ...OPTIONS, ...command.options });
  const { values, positionals } = readArgs(args, { help: HELP, options, allowPositionals: true });
  const needed = "names" in command ? 1 : 0;
  if (positionals.length !== needed)
    throw new Failure(
      needed ? "the id of one key is needed: keyward keys list shows them" : `what is ${positionals}?`,
      HELP,
    );
  // It goes into a URL, where no key may stand, nor be shown here.
  if (needed && !/^key_\w+$/.test(positionals[0]))
    throw new Failure("that is not the id of a key", "It begins with key_: keyward keys list shows them.");
  const api = await adminApi(values);
  await command.run(api, values, positionals[0]);
}

/** @param {any} answer */
const printJson = (answer) => console.log(JSON.stringify(answer, null, 2));

/**
 * @param {string} option
 * @param {string | undefined} text
 */
function whole(option, text) {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number))
    throw new Failure(`--${option} ${text} is not a whole number`, HELP);
  return number;
}

/** Most days that are shown: as many points as the gate gives at once. */
const MOST_DAYS = 1_000;

/**
 * @param {Api} api
 * @param {Values} values
 */
async function create(api, values) {
  if (!values.name) throw new Failure("a key needs a name: --name 'Nightly export'", HELP);
  const perMinute = whole("per-minute", values["per-minute"]);
  const perDay = whole("per-day", values["per-day"]);
  const answer = await api("POST", "/api-keys", "plaintextKey", {
    name: values.name,
    scopes: listed(values.scopes) ?? [],
    ...(values.realm && { realm: values.realm }),
    ...(values.test && { testMode: true }),
    ...(values.expires && { expiresAt: moment(values.expires) }),
    ...((perMinute ?? perDay) !== undefined && { rateLimit: { perMinute: perMinute ?? null, perDay: perDay ?? null } }),
  });
  if (values.json) return printJson(answer);
  console.log(`${answer.plaintextKey}\n\nThat is the key ${answer.apiKey.id}, shown here and never again.`);
}

/** A date is the beginning of that day, UTC. @param {string} text */
function moment(text) {
  const [, day, time = "T00:00:00Z"] =
    text.match(/^(\d{4}-\d\d-\d\d)(T\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d))?$/) ?? [];
  const [at, midnight] = [Date.parse(day + time), Date.parse(`${day}T00:00:00Z`)];
  // Of a day that its month has not, another is made.
  if (Number.isNaN(at) || Number.isNaN(midnight) || !new Date(midnight).toISOString().startsWith(day))
    throw new Failure(`--expires ${text} is not a time`, "A date, 2027-01-31, or a time, 2027-01-31T12:00:00Z.");
  return new Date(at).toISOString().replace(/\.000Z$/, "Z");
}

/**
 * @param {Api} api
 * @param {Values} values
 */
async function list(api, values) {
  const filters = { status: values.status, scope: values.scope, q: values.query };
  const set = Object.entries(filters).filter(([, value]) => value !== undefined);
  const keys = [];
  for (let cursor; cursor !== null; ) {
    const query = new URLSearchParams([...set, ["limit", "100"], ...(cursor ? [["cursor", cursor]] : [])]);
    const page = await api("GET", `/api-keys?${query}`, "apiKeys");
    keys.push(...page.apiKeys);
    cursor = page.nextCursor ?? null;
  }
  if (values.json) return printJson(keys);
  if (!keys.length) return console.log("There are no such keys.");
  table(
    ["id", "key", "name", "status", "scopes", "last used"],
    keys.map(({ id, keyPrefix, last4, name, status, scopes, lastUsedAt }) => [
      id,
      `${keyPrefix}…${last4}`,
      name,
      status,
      scopes.join(" "),
      lastUsedAt ?? "never",
    ]),
  );
}

/**
 * @param {Api} api
 * @param {Values} values
 * @param {string} id
 */
async function revoke(api, values, id) {
  const answer = await api("POST", `/api-keys/${id}/revoke`, "refusedEverywhereBy");
  if (values.json) return printJson(answer);
  console.log(`${id} is revoked, and refused everywhere by ${answer.refusedEverywhereBy}.`);
}

/**
 * @param {Api} api
 * @param {Values} values
 * @param {string} id
 */
async function rotate(api, values, id) {
  const graceSeconds = whole("grace-seconds", values["grace-seconds"]);
  const answer = await api("POST", `/api-keys/${id}/rotate`, "previous", {
    ...(graceSeconds !== undefined && { graceSeconds }),
    ...(values["revoke-old"] && { revokeOld: true }),
  });
  if (values.json) return printJson(answer);
  const { status, expiresAt } = answer.previous;
  const until = expiresAt ? `passes until ${expiresAt}` : "goes on passing";
  console.log(
    `${answer.plaintextKey}\n\nThat is the key ${answer.apiKey.id}, shown here and never again. The old one, ${id}, ${
      status === "REVOKED" ? "is revoked" : until
    }.`,
  );
}

/**
 * @param {Api} api
 * @param {Values} values
 * @param {string} id
 */
async function usage(api, values, id) {
  const days = whole("days", values.days) ?? 7;
  if (days < 1 || days > MOST_DAYS)
    throw new Failure(`--days ${days} is too ${days ? "many" : "few"}`, `From 1 to ${MOST_DAYS}.`);
  const from = new Date(Date.now() - (days - 1) * 86_400_000).toISOString().replace(/T.*/, "T00:00:00Z");
  const query = new URLSearchParams({ from, step: "1d" });
  const answer = await api("GET", `/api-keys/${id}/usage?${query}`, "points");
  if (values.json) return printJson(answer);
  table(
    ["day", "accepted", "refused"],
    answer.points.map((/** @type {any} */ { time, accepted, refused }) => [
      time.slice(0, 10),
      accepted,
      Object.entries(refused)
        .map(([code, count]) => `${count} ${code}`)
        .join(", "),
    ]),
  );
}

/**
 * Prints columns, each as wide as its widest entry. What would do something to a terminal is not printed.
 * @param {string[]} head
 * @param {unknown[][]} rows
 */
function table(head, rows) {
  const shown = [head, ...rows].map((row) => row.map((cell) => printable(String(cell))));
  const widths = head.map((_, column) => Math.max(...shown.map((row) => row[column].length)));
  for (const row of shown)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join("  ")
        .trimEnd(),
    );
}
