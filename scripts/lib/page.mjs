// The admin page: TypeScript in www/, bundled into build/page/ as it is deployed. The names of script and style sheet have
// the hash of what is in them, so browsers keep them for good.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";

import { build as esbuild } from "esbuild";

import { put, root } from "./places.mjs";
import { Failure } from "./progress.mjs";

/** What is deployed, relative to the root. */
export const PAGE = "build/page";

const at = (/** @type {string} */ path) => join(root, path);

/** Builds the page. It takes some milliseconds, so it is not asked whether that is needed. */
export async function buildPage() {
  const files = await bundle();
  const named = (/** @type {string} */ extension) => {
    const found = files.find(({ name }) => name.endsWith(extension));
    if (!found) throw new Error(`the page has no ${extension}`);
    return `./${found.name}`;
  };
  const index = readFileSync(at("www/index.html"), "utf8")
    .replace("./main.tsx", named(".js"))
    .replace("./style.css", named(".css"))
    .replaceAll(/\n\s*/g, "\n");
  mkdirSync(at(PAGE), { recursive: true });
  for (const { name, contents } of files) unlessSame(name, contents);
  unlessSame("icon.svg", readFileSync(at("www/icon.svg")));
  // The description of the admin API, which the Worker serves below that API's base.
  unlessSame("openapi.json", readFileSync(at("openapi.json")));
  // Last: it names the others.
  unlessSame("index.html", Buffer.from(index));
  removeStale(files.map(({ name }) => name));
}

async function bundle() {
  try {
    const { outputFiles } = await esbuild({
      absWorkingDir: root,
      entryPoints: { page: "www/main.tsx" },
      outdir: PAGE,
      entryNames: "[name]-[hash]",
      bundle: true,
      format: "esm",
      target: "es2022",
      // Shorter than what "automatic" makes of it.
      jsxFactory: "h",
      jsxFragment: "Fragment",
      inject: ["www/jsx.ts"],
      minify: true,
      legalComments: "none",
      // Made by the Worker, after the policy.
      external: ["./settings.js"],
      logLevel: "silent",
      write: false,
    });
    return outputFiles.map(({ path, contents }) => ({ name: basename(path), contents }));
  } catch (error) {
    const [{ text, location = null } = { text: String(error) }] =
      /** @type {import("esbuild").BuildFailure} */ (error).errors ?? [];
    const where = location ? `${location.file}:${location.line}: ` : "";
    throw new Failure(`the admin page cannot be built: ${where}${text}`, "Its sources are in www/.");
  }
}

/**
 * @param {string} name
 * @param {Uint8Array} contents
 */
function unlessSame(name, contents) {
  const file = join(PAGE, name);
  if (!existsSync(at(file)) || !readFileSync(at(file)).equals(contents)) put(file, contents);
}

/** Longer than any other process takes from its files to its index.html. */
const STALE_AFTER_MS = 60_000;

/**
 * Removes what other sources were built to.
 * @param {string[]} current
 */
function removeStale(current) {
  for (const name of readdirSync(at(PAGE))) {
    const file = at(join(PAGE, name));
    const age = Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (name.startsWith("page-") && !current.includes(name) && age > STALE_AFTER_MS) rmSync(file, { force: true });
  }
}
