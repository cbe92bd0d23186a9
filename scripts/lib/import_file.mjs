// What the scripts in scripts/migrate/ share: they read another product's export and write the lines that
// `POST /api-keys/import` takes (docs/admin-api.md) to standard output. What the lines may say is checked there, by
// `?dryRun=true`, and not here. What a person has to know goes to standard error. Neither has a key in it.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

import { codeOf, Failure, messageOf } from "./progress.mjs";

/**
 * @typedef {{ name: string, scopes: string[], hash?: string, prefix?: string, last4?: string, createdAt?: string,
 *   expiresAt?: string, rateLimit?: Record<string, number>, tags?: string[], metadata?: Record<string, string>, realm?: string }} Line
 */

/** Windows of a limit by their length in seconds. */
const WINDOWS = new Map([
  [1, "perSecond"],
  [60, "perMinute"],
  [3_600, "perHour"],
  [86_400, "perDay"],
]);

/** Of what a key may be made, after its prefix, from what is narrowest on, and how many characters it needs (docs/policy.md, [realm.imported]). */
const FORMS = [
  { alphabet: "hex", made: /^[0-9a-f]*$/, least: 28 },
  { alphabet: "base62", made: /^[0-9A-Za-z]*$/, least: 19 },
  { alphabet: "base64url", made: /^[\w-]*$/, least: 19 },
  { alphabet: "token68", made: /^[\w.~+/=-]*$/, least: 19 },
];
const LONGEST = 250;
/** Most places that are named for one thing that is said. */
const MOST_NAMED = 10;
const WHOLE = "Is it the whole file, as it was exported?";
/** Fails for what is no UTF-8, and leaves a byte order mark out. */
const UTF8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads a file that is named on the command line.
 * @template Content
 * @param {string} file
 * @param {(text: string) => Content} parse
 * @returns {Content}
 */
export function readExport(file, parse) {
  let bytes;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new Failure(`${file} cannot be read (${codeOf(error)})`);
  }
  const text = textOf(bytes, file);
  if (!text.trim()) throw new Failure(`${file} is empty`, WHOLE);
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(`${file} cannot be read${placeOf(error)}`, WHOLE);
  }
}

/**
 * @param {Buffer} bytes
 * @param {string} file
 */
function textOf(bytes, file) {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new Failure(
      `${file} is not UTF-8`,
      "Export it as UTF-8. PowerShell before version 7 writes UTF-16 with `>`.",
    );
  }
}

/** Where a parser gave up. What it says itself may quote what stands there, which may be a key. */
function placeOf(/** @type {any} */ { linePos, lines, message }) {
  const [at] = linePos ?? [];
  if (at) return `: line ${at.line}, column ${at.col}`;
  if (lines) return `: line ${lines}`;
  const position = String(message).match(/at position \d+/);
  return position ? `: ${position}` : "";
}

/**
 * Fails unless a part of an export is a list.
 * @param {any} value
 * @param {string} what
 * @returns {any[]}
 */
export function list(value, what) {
  if (!Array.isArray(value)) throw new Failure(`${what} is not a list`, WHOLE);
  return value;
}

/**
 * Fails unless a part of an export is a list of objects.
 * @param {any} value
 * @param {string} what
 * @returns {any[]}
 */
export function records(value, what) {
  const wrong = list(value, what).findIndex((each) => each === null || typeof each !== "object");
  if (wrong >= 0) throw new Failure(`${what} has an entry that is no object: number ${wrong + 1}`, WHOLE);
  return value;
}

/** The window that is this many seconds long, if there is one. */
export const windowOf = (/** @type {number} */ seconds) => WINDOWS.get(seconds);

/** A time as the import takes it. */
export const timeOf = (/** @type {number | string} */ time, /** @type {string} */ where) => {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) throw new Failure(`${where}: a time cannot be read`);
  return `${date.toISOString().slice(0, 19)}Z`;
};

/** The first of these, and that there are others. */
const named = (/** @type {string[]} */ places) =>
  [...places.slice(0, MOST_NAMED), ...(places.length > MOST_NAMED ? ["…"] : [])].join(", ");

/** The lines of an import, and what is to be said of them. */
export class ImportFile {
  /** @type {Line[]} */
  #lines = [];
  /** @type {Map<string, string[]>} Where something was left out, by the reason. */
  #left = new Map();
  /** @type {Map<string, string[]>} The same of what does not carry over. */
  #lost = new Map();
  /** @type {string[]} What stands after the prefixes of those that are known. */
  #rests = [];
  /** @type {Set<string>} */
  #unknownScopes = new Set();
  /** @type {Map<string, string>} Where each hash was found. */
  #places = new Map();

  /**
   * Reads the command line: the options that all of these scripts have, and those of one.
   * @param {string} usage
   * @param {Record<string, { type: "string" }>} [more]
   */
  constructor(usage, more = {}) {
    const several = /** @type {const} */ ({ type: "string", multiple: true, default: [] });
    const options = { realm: { type: "string" }, scopes: several, scope: several, prefix: several, ...more };
    try {
      const { values, positionals } = parseArgs({ allowPositionals: true, options: /** @type {any} */ (options) });
      if (positionals.length !== 1) throw new Error("one file or folder has to be named");
      /** @type {Record<string, any>} */
      this.options = values;
      this.from = positionals[0];
    } catch (error) {
      throw new Failure(messageOf(error), usage);
    }
    const comma = (/** @type {string} */ text) => text.split(",").filter(Boolean);
    /** @type {string[]} Scopes of every key. */
    this.scopes = this.options.scopes.flatMap(comma);
    /** @type {Map<string, string[]>} What something there is called here. */
    this.scopeNames = new Map(
      this.options.scope.map((/** @type {string} */ text) => {
        const at = text.lastIndexOf("=");
        if (at < 1)
          throw new Failure(
            `--scope ${text} does not say what becomes what`,
            "--scope there=here, or --scope there= for none",
          );
        return [text.slice(0, at), comma(text.slice(at + 1))];
      }),
    );
  }

  /**
   * The scopes of a key that has these rights there. A right that nothing is said of grants nothing and is not forgotten: `print` fails.
   * @param {string[]} rights
   */
  scopesOf(rights) {
    for (const right of rights) if (!this.scopeNames.has(right)) this.#unknownScopes.add(right);
    return [...new Set([...this.scopes, ...rights.flatMap((right) => this.scopeNames.get(right) ?? [])])];
  }

  /**
   * A key, by its text or its hash. `where` says to people which it is.
   * @param {string} where
   * @param {{ key?: string, hash?: string }} secret
   * @param {Omit<Line, "hash">} line
   */
  add(where, { key, hash }, line) {
    /** @type {Partial<Line>} */
    const visible = {};
    if (key !== undefined) {
      const prefix = this.options.prefix.find((/** @type {string} */ each) => key.startsWith(each));
      if (this.options.prefix.length && prefix === undefined) return this.leave(where, "begins with no --prefix");
      const rest = key.slice(prefix?.length ?? 0);
      const form = FORMS.find(({ made }) => made.test(rest));
      if (!form) return this.leave(where, "has characters that no key may have; give its owner a new one");
      if (rest.length < form.least) return this.leave(where, "too short to be hard to guess; give its owner a new one");
      if (rest.length > LONGEST)
        return this.leave(where, `longer than ${LONGEST} characters; give its owner a new one`);
      this.#rests.push(rest);
      if (prefix) visible.prefix = prefix;
      visible.last4 = key.slice(-4);
    }
    const sha256 = key === undefined ? /** @type {string} */ (hash) : createHash("sha256").update(key).digest("hex");
    const other = this.#places.get(sha256);
    if (other) throw new Failure(`${where} is the same key as ${other}`, "Take one of them out of the export.");
    this.#places.set(sha256, where);
    const { realm } = this.options;
    // Without what is not known.
    this.#lines.push(JSON.parse(JSON.stringify({ hash: sha256, realm, ...line, ...visible })));
  }

  /** A key that is not imported. */
  leave(/** @type {string} */ where, /** @type {string} */ why) {
    this.#left.set(why, [...(this.#left.get(why) ?? []), where]);
  }

  /** Something that a key has there and not here. */
  lose(/** @type {string} */ where, /** @type {string} */ what) {
    this.#lost.set(what, [...(this.#lost.get(what) ?? []), where]);
  }

  /** Writes the lines, and says what there is to say. */
  print() {
    if (this.#unknownScopes.size)
      throw new Failure(
        `nothing says which scopes come of ${[...this.#unknownScopes].sort().join(", ")}`,
        "--scope THERE=HERE[,HERE] for each; --scope THERE= for none",
      );
    for (const line of this.#lines) console.log(JSON.stringify(line));
    const said = [`Keys in the file: ${this.#lines.length}`];
    for (const [title, found] of /** @type {const} */ ([
      ["Left out", this.#left],
      ["Not carried over", this.#lost],
    ]))
      for (const [why, places] of found) said.push(`${title}: ${why} (${places.length}): ${named(places)}`);
    said.push(...this.#policy());
    console.error(said.join("\n"));
  }

  /** The narrowest section of a policy that takes these keys. */
  #policy() {
    const known = this.#rests.length;
    const unknown = this.#lines.length - known;
    const said = unknown
      ? [`Known by their hash alone, so that [realm.imported] has to fit them, too: ${unknown}`]
      : [];
    if (!known) return said;
    const lengths = this.#rests.map((rest) => rest.length);
    const form = FORMS.find(({ made }) => this.#rests.every((rest) => made.test(rest)));
    const { prefix } = this.options;
    return [
      ...said,
      "The policy has to have, in the realm:",
      "[realm.imported]",
      ...(prefix.length ? [`prefixes = ${JSON.stringify(prefix)}`] : []),
      `min_length = ${Math.min(...lengths)}`,
      `max_length = ${Math.max(...lengths)}`,
      `alphabet = "${form?.alphabet}"`,
    ];
  }
}
