// Files of secrets, `NAME=value` a line: `.dev.vars`, which `wrangler dev` reads, and the one of a deployment.

import { randomBytes } from "node:crypto";
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseEnv } from "node:util";

import { root } from "./places.mjs";
import { Failure } from "./progress.mjs";

/** The secrets of the gate on this machine. */
export const DEV_VARS = join(root, ".dev.vars");

/** What every deployment needs, and how it is made. */
export const MADE = {
  KEYWARD_SECRET: () => randomBytes(32).toString("base64url"),
  KEYWARD_SETUP_TOKEN: () => randomBytes(24).toString("base64url"),
};

/** What a file of secrets holds; nothing if it is not there. */
export const readSecrets = (file) => (existsSync(file) ? parseEnv(readFileSync(file, "utf8")) : {});

/** Appends these to a file of secrets that only its owner may read; `comment` begins a new one. */
export function appendSecrets(file, comment, secrets) {
  const lines = Object.entries(secrets).map(([name, value]) => `${name}=${value}\n`).join("");
  if (!existsSync(file)) writeFileSync(file, `${comment}\n`, { mode: 0o600, flag: "wx" });
  else if (!readFileSync(file, "utf8").endsWith("\n")) appendFileSync(file, "\n");
  appendFileSync(file, lines);
}

/** Fails where the gate would refuse to run with these, read from `file`. The rule is `secret::is_fit`. */
export function refuseUnfit(file, { KEYWARD_SECRET }) {
  if (KEYWARD_SECRET === undefined || /^[!-+\--~]{32,}$/.test(KEYWARD_SECRET)) return;
  throw new Failure(`KEYWARD_SECRET in ${relative(process.cwd(), file)} is not fit to be one: it needs at least 32 characters, visible ASCII without a comma`,
    "Put a random one in its place, for example from: openssl rand -hex 32\nKeys that were made with another secret are then invalid.");
}

/**
 * The secrets of the gate on this machine. Those that are not there yet are made: its own, and, at
 * random, those that a policy names.
 */
export function devSecrets(named = []) {
  const known = readSecrets(DEV_VARS);
  refuseUnfit(DEV_VARS, known);
  const made = Object.entries(MADE).filter(([name]) => !known[name]).map(([name, make]) => [name, make()]);
  // Hex is base64 too, whichever of the two is expected.
  const others = named.filter((name) => known[name] === undefined).map((name) => [name, randomBytes(32).toString("hex")]);
  const missing = Object.fromEntries([...made, ...others]);
  if (Object.keys(missing).length) {
    appendSecrets(DEV_VARS, "# Secrets of the gate on this machine. Not for a deployment, not for git.", missing);
  }
  return { ...known, ...missing };
}
