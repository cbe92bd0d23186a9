// `keyward init`: writes what a gate needs into this folder. What is there already stays as it is.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

import { root } from "../scripts/lib/places.mjs";
import { Failure } from "../scripts/lib/progress.mjs";
import { devSecrets } from "../scripts/lib/secrets.mjs";
import { DEV_VARS, folder, readArgs } from "./folder.mjs";

const HELP = `usage: keyward init

Writes keyward.toml (the policy), worker.js, wrangler.toml, package.json, .gitignore, and secrets for this machine into this folder. Files that
are there stay as they are; package.json gets what it lacks.`;

const TEMPLATE = join(root, "cli", "template");

/** What git ignores; npm would not pack a file of its real name. */
const IGNORED = "gitignore";

/** What a package.json needs. */
const SCRIPTS = { dev: "keyward dev", check: "keyward check", deploy: "keyward deploy" };

/** @param {string[]} args */
export async function run(args) {
  readArgs(args, { help: HELP });
  const lines = readdirSync(TEMPLATE)
    .filter((name) => name !== IGNORED)
    .map((name) => said(name, writeUnlessThere(name, readFileSync(join(TEMPLATE, name), "utf8"))));
  lines.push(said(".gitignore", completeIgnored()));
  lines.push(said("package.json", completePackage()));
  const hadSecrets = existsSync(DEV_VARS);
  devSecrets(undefined, DEV_VARS);
  lines.push(said(".dev.vars", hadSecrets ? "there already" : "written: secrets for this machine, not for git"));
  console.log(lines.join("\n"));
  console.log("\nNext:\n  npm install\n  npx keyward dev");
}

/**
 * @param {string} name
 * @param {string} what
 */
const said = (name, what) => `  ${name.padEnd(14)} ${what}`;

/**
 * @param {string} name
 * @param {string} text
 */
function writeUnlessThere(name, text) {
  const file = join(folder, name);
  if (existsSync(file)) return "there already";
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return "written";
}

/** Adds to .gitignore what it lacks, above all the secrets, or writes one. */
function completeIgnored() {
  const file = join(folder, ".gitignore");
  const lines = readFileSync(join(TEMPLATE, IGNORED), "utf8").trim().split("\n");
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  const bare = (/** @type {string} */ line) => line.trim().replace(/^\/|\/$/g, "");
  const has = new Set(text.split("\n").map(bare));
  const lacking = lines.filter((line) => !has.has(bare(line)));
  if (!lacking.length) return "there already";
  writeFileSync(file, `${text}${text && !text.endsWith("\n") ? "\n" : ""}${lacking.join("\n")}\n`);
  return text ? "completed" : "written";
}

/** The tarball that npm, or npx, has installed this package from; undefined if it was a registry, which then has it for others, too. */
function tarball() {
  const above = dirname(dirname(root));
  const file = join(above, "package.json");
  const { dependencies, devDependencies } = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
  const from = { ...devDependencies, ...dependencies }.keyward;
  if (!from?.startsWith("file:")) return undefined;
  const path = relative(folder, resolve(above, from.slice("file:".length)));
  return `file:${path.replaceAll("\\", "/")}`;
}

/** Adds to package.json what it lacks, or writes one. */
function completePackage() {
  const file = join(folder, "package.json");
  const own = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const isNew = !existsSync(file);
  const text = isNew ? "{}" : readFileSync(file, "utf8");
  /** @type {{ dependencies?: Record<string, string>, devDependencies?: Record<string, string>, scripts?: Record<string, string> }} */
  let found;
  try {
    found = JSON.parse(text);
  } catch (error) {
    throw new Failure(
      `package.json is not JSON: ${/** @type {Error} */ (error).message}`,
      "Mend it, and run keyward init again.",
    );
  }
  if (typeof found !== "object" || found === null || Array.isArray(found))
    throw new Failure("package.json is not an object", "Mend it, and run keyward init again.");
  const has = (/** @type {string} */ name) => found.dependencies?.[name] ?? found.devDependencies?.[name];
  const devDependencies = { ...found.devDependencies };
  if (!has("keyward")) devDependencies.keyward = tarball() ?? `^${own.version}`;
  if (!has("wrangler")) devDependencies.wrangler = own.peerDependencies.wrangler;
  const completed = {
    ...(isNew && { private: true, type: "module" }),
    ...found,
    scripts: { ...SCRIPTS, ...found.scripts },
    devDependencies,
  };
  const written = `${JSON.stringify(completed, null, 2)}\n`;
  if (written === text) return "there already";
  writeFileSync(file, written);
  return isNew ? "written" : "completed";
}
