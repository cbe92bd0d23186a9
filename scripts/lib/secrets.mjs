// Files of secrets, `NAME=value` a line: `.dev.vars`, which `wrangler dev` reads, and the one of a deployment.

import { randomBytes } from "node:crypto";
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import * as util from "node:util";

import { root } from "./places.mjs";
import { eventSecretsOf, secretsOf } from "./policy.mjs";
import { Failure } from "./progress.mjs";

/** The secrets of the gate on this machine. */
export const DEV_VARS = join(root, ".dev.vars");

/** What every deployment needs, and how it is made. */
export const MADE = {
  KEYWARD_SECRET: () => randomBytes(32).toString("base64url"),
  KEYWARD_SETUP_TOKEN: () => randomBytes(24).toString("base64url"),
  // Seeds of Ed25519 keys: the one that signs for origins who asks, and the next one, which they know already.
  KEYWARD_IDENTITY_KEY: () => randomBytes(32).toString("base64url"),
  KEYWARD_IDENTITY_KEY_NEXT: () => randomBytes(32).toString("base64url"),
};

/**
 * What a file of secrets holds; nothing if it is not there. An old Node has no `parseEnv`, and has to come as far as to
 * where it is told so.
 * @returns {NodeJS.Dict<string>}
 */
export const readSecrets = (file) => (existsSync(file) ? util.parseEnv(readFileSync(file, "utf8")) : {});

/** Appends these to a file of secrets that only its owner may read; `comment` begins a new one. */
export function appendSecrets(file, comment, secrets) {
  const lines = Object.entries(secrets)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
  if (!existsSync(file)) writeFileSync(file, `${comment}\n`, { mode: 0o600, flag: "wx" });
  else if (!readFileSync(file, "utf8").endsWith("\n")) appendFileSync(file, "\n");
  appendFileSync(file, lines);
}

/**
 * Puts these in place of the lines that have them now, and leaves all others as they are. The file is the old one or the new one,
 * whole, whatever happens in between.
 * @param {string} file
 * @param {Record<string, string>} secrets
 */
export function replaceSecrets(file, secrets) {
  const text = readFileSync(file, "utf8");
  const isReplaced = (line) =>
    Object.keys(secrets).some((name) => new RegExp(`^\\s*(export\\s+)?${name}\\s*=`).test(line));
  const others = text
    .trimEnd()
    .split("\n")
    .filter((line) => !isReplaced(line));
  const lines = Object.entries(secrets).map(([name, value]) => `${name}=${quoted(value)}`);
  const replaced = [...others, ...lines, ""].join("\n");
  if (!util.isDeepStrictEqual({ ...util.parseEnv(replaced) }, { ...util.parseEnv(text), ...secrets }))
    throw new Failure(
      `${relative(process.cwd(), file)} has secrets in a form that cannot be edited here`,
      "Edit it by hand.",
    );
  const next = `${file}.new`;
  writeFileSync(next, replaced, { mode: 0o600 });
  renameSync(next, file);
}

/** A value as a file of secrets has it: `#` begins a comment, unless it is in quotes. @param {string} value */
const quoted = (value) =>
  ["", "'", '"', "`"].map((quote) => quote + value + quote).find((one) => util.parseEnv(`_=${one}`)._ === value) ??
  value;

const isFit = (secret) => /^[!-+\--~]{32,}$/.test(secret);

/** Whether it is 32 bytes in base64, of either alphabet. */
const isSeed = (secret) => /^[\w+/-]{43}=?$/.test(secret);

/**
 * Fails where the gate would refuse to run with these, read from `file`. The rules are `secret::is_fit`, `secret::Seed` and
 * `session::is_fit_for_set_up`, of which the gate itself says the part that is more than a length.
 * @param {string} file
 * @param {NodeJS.Dict<string>} secrets
 */
export function refuseUnfit(
  file,
  { KEYWARD_SECRET, KEYWARD_SECRET_PREVIOUS = "", KEYWARD_SETUP_TOKEN, KEYWARD_RECOVERY_TOKEN, ...others },
) {
  const refuse = (name, why, hint) => {
    throw new Failure(`${name} in ${relative(process.cwd(), file)} ${why}`, hint);
  };
  const needs = "it needs at least 32 characters, visible ASCII without a comma";
  if (KEYWARD_SECRET !== undefined && !isFit(KEYWARD_SECRET)) {
    refuse(
      "KEYWARD_SECRET",
      `is not fit to be one: ${needs}`,
      "Put a random one in its place, for example from: openssl rand -hex 32\nKeys that were made with another secret are then invalid.",
    );
  }
  if (
    KEYWARD_SECRET_PREVIOUS.split(",")
      .map((one) => one.trim())
      .some((one) => one && !isFit(one))
  ) {
    refuse(
      "KEYWARD_SECRET_PREVIOUS",
      `has one that no key was made with: ${needs}; commas stand between several`,
      "Take it out.",
    );
  }
  for (const name of ["KEYWARD_IDENTITY_KEY", "KEYWARD_IDENTITY_KEY_NEXT", "KEYWARD_IDENTITY_KEY_PREVIOUS"]) {
    if (others[name] && !isSeed(others[name]))
      refuse(
        name,
        "is not fit to be one: it needs 32 bytes in base64url",
        "Take its line out: one is then made in its place.",
      );
  }
  // An empty one is none.
  const isGuessable = (token) => token && [...token].length < 20;
  if (isGuessable(KEYWARD_SETUP_TOKEN)) {
    refuse("KEYWARD_SETUP_TOKEN", "can be guessed: it needs at least 20 random characters", ANOTHER_TOKEN);
  }
  if (isGuessable(KEYWARD_RECOVERY_TOKEN)) {
    refuse(
      "KEYWARD_RECOVERY_TOKEN",
      "can be guessed: it needs at least 20 random characters",
      "Take its line out, or put a random one in its place: openssl rand -base64 24",
    );
  }
}

/** What to do about a set-up token that can be guessed. */
export const ANOTHER_TOKEN = "Take its line out: a random one is then made in its place.";

/**
 * The secrets of the gate on this machine, from such a file. Those that are not there yet are made: its own, and, at
 * random, those that a policy names.
 * @param {Map<string, any>} policies as `readPolicies` has them
 */
export function devSecrets(policies = new Map(), file = DEV_VARS) {
  const known = readSecrets(file);
  refuseUnfit(file, known);
  const made = Object.entries(MADE)
    .filter(([name]) => !known[name])
    .map(([name, make]) => [name, make()]);
  const ofEvents = eventSecretsOf(policies);
  // Hex is base64 too, whichever of the two is expected.
  const others = secretsOf(policies)
    .filter((name) => known[name] === undefined)
    .map((name) => [name, (ofEvents.includes(name) ? "whsec_" : "") + randomBytes(32).toString("hex")]);
  const missing = Object.fromEntries([...made, ...others]);
  if (Object.keys(missing).length) {
    appendSecrets(file, "# Secrets of the gate on this machine. Not for a deployment, not for git.", missing);
  }
  return { ...known, ...missing };
}
