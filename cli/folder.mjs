// The folder that the command is run in: its files, and the wrangler and Node that it is used with.

import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";

import { root } from "../scripts/lib/places.mjs";
import { Failure, output } from "../scripts/lib/progress.mjs";

/** @import { ParseArgsConfig } from "node:util" */

/** Where a user's files are. */
export const folder = process.cwd();
export const DEV_VARS = join(folder, ".dev.vars");
/** What this program makes. git ignores it. */
export const OWN = join(folder, ".keyward");
/** The policy that needs no name. */
const POLICY = "keyward.toml";

/** Wrangler needs this Node. */
const LEAST_NODE = [22, 12];

/**
 * Reads options, or prints `help`, and ends the process, if that is asked for.
 * @param {string[]} args
 * @param {{ help: string, options?: ParseArgsConfig["options"], allowPositionals?: boolean }} how
 * @returns {{ values: Record<string, any>, positionals: string[] }}
 */
export function readArgs(args, { help, options = {}, allowPositionals = false }) {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(help);
    process.exit(0);
  }
  try {
    return parseArgs({ args, options, allowPositionals });
  } catch (error) {
    throw new Failure(/** @type {Error} */ (error).message, help);
  }
}

/**
 * The words of an option that takes several, with commas between and perhaps spaces.
 * @param {string | undefined} text
 */
export const listed = (text) => text?.split(/[\s,]+/).filter(Boolean);

/**
 * The path of a policy in this folder; a Failure if it is not there.
 * @param {string} [named]
 */
export function policyFile(named = process.env.KEYWARD_POLICY || POLICY) {
  const policy = relative(folder, resolve(folder, named));
  const found = statSync(resolve(folder, policy), { throwIfNoEntry: false });
  if (!found) {
    const hint = named === POLICY ? "npx keyward init writes one." : "Its path is relative to where you are.";
    throw new Failure(`the policy file ${policy} is not there`, hint);
  }
  if (found.isDirectory())
    throw new Failure(`${named} is a folder, and no policy`, "Name a file in it, such as keyward.toml.");
  return policy;
}

/**
 * The text of a file of this folder.
 * @param {string} file
 */
export const read = (file) => readFileSync(resolve(folder, file), "utf8");

const packages = createRequire(join(folder, "package.json"));

/** The script of the wrangler that is installed for this folder. */
export function wranglerScript() {
  try {
    return packages.resolve("wrangler");
  } catch {
    throw new Failure("wrangler is not installed in this folder", "npm install");
  }
}

/** The version of this command. */
export const ownVersion = () => JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version;

/** Whether a host is this machine. @param {string} hostname */
export const isHere = (hostname) => ["127.0.0.1", "localhost", "[::1]"].includes(hostname);

/** Fails if this is another version than the one that the folder's Worker imports: they must agree about the policy's document. */
export function refuseOtherVersion() {
  /** @type {string} */
  let installed;
  try {
    installed = packages("keyward/package.json").version;
  } catch {
    throw new Failure("keyward is not installed in this folder", "npm install, or npx keyward init in an empty one.");
  }
  const version = ownVersion();
  if (installed !== version) {
    throw new Failure(
      `this is keyward ${version}, but the Worker of this folder imports keyward ${installed}`,
      `Run the installed one (npx --no-install keyward), or npm install keyward@${version}.`,
    );
  }
}

/** A Node that wrangler runs on: this one, or where it is too old one that npm has. */
export async function nodeForWrangler() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > LEAST_NODE[0] || (major === LEAST_NODE[0] && minor >= LEAST_NODE[1])) return process.execPath;
  const name = `node-${process.platform}-${process.arch}`;
  const { optionalDependencies } = JSON.parse(readFileSync(join(root, "tools", "node", "package.json"), "utf8"));
  const version = optionalDependencies[name];
  const found =
    version &&
    (await output("npm", [
      "exec",
      "--yes",
      "--prefer-offline",
      `--package=${name}@${version}`,
      "--",
      "node",
      "-p",
      "process.execPath",
    ]));
  if (found) return found.trim().split("\n").at(-1);
  throw new Failure(
    `wrangler needs Node ${LEAST_NODE.join(".")} or newer, this is ${process.version}`,
    "Install a newer one (https://nodejs.org/), or have a network once, so that npm can fetch it for wrangler alone.",
  );
}
