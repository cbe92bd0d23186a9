// Where things are: the project's own folders, and what set-up installs.

import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const bin = join(root, "node_modules", ".bin");

/** The module of `keyward check`, relative to the root. */
export const CHECKER = "build/check/keyward_check.js";

/** For long outputs of the tools; not committed. */
export const logs = join(root, "target", "logs");

/**
 * SHA-256 over names and contents of files and folders (relative to the root), in hex.
 * @param {string[]} paths
 * @param {(string | undefined)[]} more
 */
export function fingerprint(paths, ...more) {
  const hash = createHash("sha256");
  const add = (/** @type {string} */ path) => {
    const full = join(root, path);
    if (!existsSync(full)) return;
    if (statSync(full).isDirectory()) {
      for (const name of readdirSync(full).sort()) add(`${path}/${name}`);
    } else {
      hash.update(`${path}\0`).update(readFileSync(full)).update("\0");
    }
  };
  for (const path of paths) add(path);
  for (const text of more) hash.update(`${text}\0`);
  return hash.digest("hex");
}

/** What decides whether the Rust tools have to be built again. */
export const toolsKey = () =>
  fingerprint(["tools/Cargo.toml", "tools/Cargo.lock", "tools/src"], process.platform, process.arch).slice(0, 16);

/** For programs that are built here, outside of the project so that a second clone finds them. */
export const programs = () =>
  process.env.KEYWARD_TOOLS ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "keyward");

/** The Rust tools. */
export const toolsDir = () => join(programs(), toolsKey());

/**
 * Replaces a file of the project atomically: nobody ever reads half of it.
 * @param {string} file relative to the root
 * @param {string | Uint8Array} content
 */
export function put(file, content) {
  const to = join(root, file);
  const fresh = `${to}.${process.pid}`;
  mkdirSync(dirname(to), { recursive: true });
  writeFileSync(fresh, content);
  renameSync(fresh, to);
}

/** The environment in which the project's tools run: the pinned Node and programs first in PATH. */
export const toolEnv = () => ({
  ...process.env,
  PATH: `${bin}${delimiter}${process.env.PATH}`,
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  DO_NOT_TRACK: "1",
});

/** Node for wrangler, miniflare and the tests: the pinned one, or this one where npm has none for the platform. */
export const node = () => (existsSync(join(bin, "node")) ? join(bin, "node") : process.execPath);

/**
 * The file that running `name` would run.
 * @param {string} name
 */
export function inPath(name) {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .map((dir) => join(dir, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** The browser that tests use: `CHROMIUM`, or what is installed. */
export function findChromium() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  return (
    ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"].map(inPath).find(Boolean) ??
    ["/usr/bin/chromium", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"].find((path) =>
      existsSync(path),
    )
  );
}

/** Whether a module is the script that was started, and not one that another imports. */
export const isMain = (/** @type {ImportMeta} */ { url }) =>
  Boolean(process.argv[1]) && fileURLToPath(url) === realpathSync(process.argv[1]);
