// Copies of the project in which a test installs, builds and runs, as somebody does who has just cloned it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, relative } from "node:path";

import { root, toolEnv } from "../../../scripts/lib/places.mjs";

/** @import { SpawnOptions } from "node:child_process" */
/** @import { TestContext } from "node:test" */

/** What is made by installing, building and running. */
const MADE = [".dev.vars", ".git", ".keyward", "build", "node_modules", "target"];

/**
 * A copy of the project as it is before anything was made in it, until the end of the test.
 * @param {TestContext} t
 */
export function copy(t) {
  const folder = mkdtempSync(join(tmpdir(), "keyward-copy-"));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));
  cpSync(root, folder, {
    recursive: true,
    filter: (path) => !MADE.includes(relative(root, path)) && basename(path) !== ".wrangler",
  });
  return folder;
}

/**
 * Puts the Worker that was built here into a copy.
 * @param {string} folder
 */
export function copyBuild(folder) {
  const built = readdirSync(join(root, "build")).filter((name) => /^(keyward\.|\.keyward-gate$|check$)/.test(name));
  for (const name of built) cpSync(join(root, "build", name), join(folder, "build", name), { recursive: true });
}

/**
 * Puts the packages that are installed here into a copy, one by one: npm could remove no more than the links.
 * @param {string} folder
 */
export function linkPackages(folder) {
  const [from, to] = [root, folder].map((place) => join(place, "node_modules"));
  mkdirSync(to);
  for (const name of readdirSync(from)) {
    if (name === ".keyward-lock") cpSync(join(from, name), join(to, name));
    else symlinkSync(join(from, name), join(to, name));
  }
}

/** No program that a test runs takes longer, however busy the machine is. */
const ENDED_WITHIN_MS = 300_000;
/**
 * For a program that was told to stop, and then for those that it has started and left behind: longer than programs of
 * ours wait for those.
 */
const STOPPED_WITHIN_MS = 60_000;

/**
 * Runs a program: `ended` gives its status, or fails after `withinMs`; `text()` is all that it has printed so far;
 * `stop()` ends it, by SIGTERM if nothing else is said, and by SIGKILL after `stoppedWithinMs`.
 * @param {string} command
 * @param {string[]} args
 * @param {Pick<SpawnOptions, "cwd" | "env" | "detached"> & { withinMs?: number, stoppedWithinMs?: number }} [options] `detached`: `stop` reaches
 *   what the program has started, too
 */
export function run(command, args, options = {}) {
  const { withinMs = ENDED_WITHIN_MS, stoppedWithinMs = STOPPED_WITHIN_MS, ...spawnOptions } = options;
  const child = spawn(command, args, { ...spawnOptions, stdio: ["ignore", "pipe", "pipe"] });
  const streams = [child.stdout, child.stderr];
  let text = "";
  for (const stream of streams)
    stream.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
    });
  const signal = (/** @type {NodeJS.Signals} */ name) => {
    if (!options.detached) return void child.kill(name);
    try {
      process.kill(-Number(child.pid), name);
    } catch {
      // Nobody of its group is left.
    }
  };
  let isLate = false;
  const ended = new Promise((resolve, reject) => {
    let timer = setTimeout(() => {
      isLate = true;
      signal("SIGKILL");
    }, withinMs);
    child.on("error", reject).on("exit", () => {
      clearTimeout(timer);
      // What it has left behind may hold them open for ever.
      timer = setTimeout(() => {
        for (const stream of streams) stream.destroy();
      }, stoppedWithinMs);
    });
    child.on("close", (code, by) => {
      clearTimeout(timer);
      if (isLate) reject(new Error(`${command} ${args.join(" ")}: not ended within ${withinMs} ms\n${text}`));
      else resolve(by ?? code);
    });
  });
  /** @param {NodeJS.Signals} name */
  const stop = async (name = "SIGTERM") => {
    signal(name);
    const timer = setTimeout(signal, stoppedWithinMs, "SIGKILL");
    return ended.finally(() => clearTimeout(timer));
  };
  return { child, ended, stop, text: () => text };
}

/**
 * The environment for wrangler in a folder: Workers of the same name that run elsewhere at the same time are strangers.
 * @param {string} folder
 */
export const wranglerEnv = (folder) => ({
  ...toolEnv(),
  WRANGLER_REGISTRY_PATH: join(folder, ".wrangler", "registry"),
});

/** What no answer to a request of a test takes. */
const ANSWERED_WITHIN_MS = 30_000;

/**
 * `fetch`, which fails if there is no answer after a while.
 * @param {string} url
 * @param {RequestInit} [init]
 */
export const ask = (url, init) => fetch(url, { signal: AbortSignal.timeout(ANSWERED_WITHIN_MS), ...init });

/**
 * `npm start` in this folder, once it is ready: the `lines` that it ended with, `text()`, and `stop()`,
 * which is Ctrl-C.
 * @param {TestContext} t
 * @param {string} folder
 * @param {number} port
 * @param {NodeJS.ProcessEnv} [env]
 * @param {string[]} args
 */
export async function start(t, folder, port, env, ...args) {
  // INIT_CWD is where npm was called.
  const options = { cwd: folder, env: { ...wranglerEnv(folder), INIT_CWD: folder, ...env } };
  const started = run(process.execPath, ["scripts/start.mjs", "--port", String(port), ...args], options);
  const { child, ended, text } = started;
  t.after(() => started.stop("SIGINT"));
  const isReady = () => /\n {2}Its log .+\n/.test(text());
  const ready = new Promise((resolve) => child.stdout.on("data", () => isReady() && resolve(undefined)));
  await Promise.race([ready, ended]);
  assert.ok(isReady(), text());
  const stop = async () => {
    assert.equal(await started.stop("SIGINT"), 0, text());
  };
  return { lines: text().slice(text().indexOf("Keyward is running")).trim().split("\n"), text, stop };
}

/**
 * The status that a printed line gets: the last one, where it sends several requests.
 * @param {string} line
 */
export async function statusOf(line) {
  const shell = run("sh", ["-c", line]);
  assert.equal(await shell.ended, 0, shell.text());
  return shell
    .text()
    .match(/^HTTP\/1\.1 \d{3}/gm)
    ?.at(-1)
    ?.slice(-3);
}
