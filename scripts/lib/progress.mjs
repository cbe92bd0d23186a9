// What a person sees while something takes long: which step, how far, and on failure what to do.

import { spawn } from "node:child_process";
import { appendFileSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { root } from "./places.mjs";

/** A failure with a message for people: what is wrong, and how to mend it. Never a stack trace. */
export class Failure extends Error {
  /**
   * @param {string} message
   * @param {string} [hint]
   */
  constructor(message, hint) {
    super(message);
    this.hint = hint;
  }
}

/** A failure as people read it. */
export const printed = (/** @type {{ message: string, hint?: string }} */ { message, hint }) =>
  `error: ${message}${hint ? `\n  ${hint.replaceAll("\n", "\n  ")}` : ""}`;

/** What a thrown value says. */
export const messageOf = (/** @type {unknown} */ error) => (error instanceof Error ? error.message : String(error));

/** The code that the system gave an error. */
export const codeOf = (/** @type {unknown} */ error) => /** @type {NodeJS.ErrnoException} */ (error).code;

/**
 * Runs a script's `main`; a Failure ends the process with status 1.
 * @param {() => unknown} main
 */
export async function runMain(main) {
  try {
    await main();
  } catch (error) {
    console.error(`\n${printed(error instanceof Failure ? error : ofSystem(error))}`);
    process.exit(1);
  }
}

/**
 * What to do about what a system says of a file.
 * @type {Record<string, string>}
 */
const HINTS = {
  EACCES: "Give this user the right to it, or remove it if another user made it (with sudo, say).",
  EPERM: "Give this user the right to it, or remove it if another user made it (with sudo, say).",
  EROFS: "It is on a read-only file system.",
  ENOSPC: "The disk is full.",
  EDQUOT: "This user's share of the disk is full.",
  EFBIG: "The file would be larger than the system lets it be.",
  ENOENT: "It, or the folder that it is to be in, is not there.",
  EISDIR: "It is a folder: name a file.",
};

/**
 * A fault of a file or folder, as a Failure; everything else is a mistake in the scripts and thrown on.
 * @param {unknown} error
 */
function ofSystem(error) {
  const { code = "", syscall, path } = /** @type {NodeJS.ErrnoException} */ (error);
  // What fails once a file is open does not say which.
  const where = path ?? (["write", "fsync", "close"].includes(syscall ?? "") ? "a file" : undefined);
  if (!syscall || !where) throw error;
  return new Failure(`${where}: ${syscall} failed (${code})`, HINTS[code]);
}

/** @typedef {(text: string) => void} Progress Says how far a step is. */

/** How often a step that runs long says so where lines cannot be overwritten. */
const QUIET_HEARTBEAT_MS = 15_000;

/** Numbered steps: `[3/5] Building wasm-bindgen … 41 s`. */
export class Steps {
  #total;
  #done = 0;
  #out;

  /**
   * @param {number} total
   * @param {NodeJS.WriteStream} out standard error where standard output is for what a script makes
   */
  constructor(total, out = process.stdout) {
    this.#total = total;
    this.#out = out;
  }

  /**
   * Runs one step. `work` gets a function with which it may say how far it is; what it returns is
   * returned. A step that had nothing to do returns `Steps.nothing`.
   * @template Result
   * @param {string} title
   * @param {(progress: Progress) => Promise<Result> | Result} work
   */
  async run(title, work) {
    const label = `[${++this.#done}/${this.#total}] ${title}`;
    const started = Date.now();
    const seconds = () => `${Math.round((Date.now() - started) / 1000)} s`;
    let detail = "";
    const out = this.#out;
    const say = (/** @type {string} */ text) => out.write(`${out.isTTY ? "\r\x1b[2K" : ""}${text}\n`);
    const beat = () => {
      const line = `${label} … ${seconds()}${detail && `, ${detail}`}`;
      if (out.isTTY) out.write(`\r\x1b[2K${line.slice(0, out.columns - 1)}`);
      else say(line);
    };
    const timer = setInterval(beat, out.isTTY ? 500 : QUIET_HEARTBEAT_MS);
    if (out.isTTY) beat();
    try {
      const result = await work((text) => {
        detail = text;
      });
      say(`${label}: ${result === Steps.nothing ? "in place" : seconds()}`);
      return result;
    } catch (error) {
      say(`${label}: failed after ${seconds()}`);
      throw error;
    } finally {
      clearInterval(timer);
    }
  }

  static nothing = Symbol("nothing to do");
}

/**
 * What `run` goes by. `log`: the file; `what`: how to call it in the message; `hint`: what to do when it fails;
 * `onLine`: sees each line as it comes; `cwd`, `env` and `signal` as usual.
 * @typedef {{ log: string, what: string, hint?: string, onLine?: (line: string) => void, cwd?: string, env?: NodeJS.ProcessEnv, signal?: AbortSignal }} RunOptions
 */

/**
 * Runs a program with its output in a log file, whose end is shown if it fails.
 * @param {string} command
 * @param {string[]} args
 * @param {RunOptions} options
 */
export async function run(command, args, { log, what, hint, onLine, cwd, env, signal }) {
  mkdirSync(dirname(log), { recursive: true });
  appendFileSync(log, `\n$ ${command} ${args.join(" ")}\n`);
  const child = spawn(command, args, {
    cwd,
    signal,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  /** @type {string[]} */
  const tail = [];
  for (const stream of [child.stdout, child.stderr]) {
    let rest = "";
    stream.setEncoding("utf8").on("data", (chunk) => {
      const lines = (rest + chunk).split(/[\r\n]/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        onLine?.(line);
        // What Cargo would overwrite is not worth keeping.
        if (cratesIn(line)) continue;
        appendFileSync(log, `${line}\n`);
        tail.push(line);
        if (tail.length > 30) tail.shift();
      }
    });
  }
  const status = await new Promise((resolve, reject) => {
    child.on("error", (error) => reject(new Failure(`${what}: ${command} cannot be run (${codeOf(error)})`, hint)));
    child.on("close", (code, signal) => resolve(signal ?? code));
  });
  if (status !== 0) {
    throw new Failure(
      `${what} failed (${command} ended with ${status})`,
      [...tail.map((line) => `| ${line}`), `Everything it said: ${log}`, ...(hint ? [hint] : [])].join("\n"),
    );
  }
}

/** For the environment of Cargo: it says how far it is, also where nobody can see that at a terminal. */
export const CARGO_PROGRESS = { CARGO_TERM_PROGRESS_WHEN: "always", CARGO_TERM_PROGRESS_WIDTH: "200" };

/**
 * What a line of Cargo's says of how far it is, in our words; nothing for all others.
 * @param {string} line
 */
export function cratesIn(line) {
  const [, done, total, crates] = line.match(/^\s*Building \[[=> ]*\] (\d+)\/(\d+)(?:: (.*))?/) ?? [];
  return total && `crate ${done} of ${total}${crates?.trim() ? `: ${crates.trim()}` : ""}`;
}

/**
 * What a program prints, or undefined where it is missing or fails.
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} options
 * @returns {Promise<string | undefined>}
 */
export async function output(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "ignore"] });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
    });
    child.on("error", () => resolve(undefined));
    child.on("close", (code) => resolve(code === 0 ? text.trim() : undefined));
  });
}

/**
 * The version of a package in a Cargo.lock.
 * @param {string} lockFile
 * @param {string} name
 */
export function lockedVersion(lockFile, name) {
  return readFileSync(lockFile, "utf8").match(new RegExp(`name = "${name}"\\nversion = "([^"]+)"`))?.[1];
}

/** The oldest Rust that the crates say they build with. */
export const oldestRust = () =>
  /** @type {string} */ (readFileSync(join(root, "Cargo.toml"), "utf8").match(/^rust-version = "([\d.]+)"$/m)?.[1]);
