// Who may use this folder, where processes would write the same files: one `npm start` at a time, one compilation, and in
// build/ one policy while somebody deploys it.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join, relative } from "node:path";

import { Line } from "./line.mjs";
import { root } from "./places.mjs";
import { Failure } from "./progress.mjs";

/** @import { Place } from "./line.mjs" */
/** @import { Progress } from "./progress.mjs" */

/** Each running `npm start` of a folder, or `keyward dev`, with its address and policy. */
const startedIn = (/** @type {string} */ folder) => new Line(join(folder, ".keyward", "started"));
const STARTED = startedIn(root);
/** Who compiles, or waits for it. */
const COMPILING = new Line(join(root, "build", ".compiling"));
/** Who takes the policy from build/, with its hash and name. */
const DEPLOYING = new Line(join(root, "build", ".deploying"));

/** Longer than any compilation takes. */
const COMPILED_WITHIN_MS = 30 * 60_000;
/** Longer than any process takes to get a number in a line. */
const ARRIVED_WITHIN_MS = 10_000;
const LOOK_AGAIN_MS = 200;

const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Those who come before this place, for certain.
 * @param {Line} line
 * @param {Place} place
 */
async function before(line, place) {
  const end = Date.now() + ARRIVED_WITHIN_MS;
  for (;;) {
    const others = line.before(place);
    if (others.every(({ name }) => name < place.name) || Date.now() > end) return others;
    await pause(10);
  }
}

/**
 * @param {Line} line
 * @param {Place} place
 */
const ifItDoesNotRun = (line, place) => `If it does not run, remove ${relative(process.cwd(), line.file(place))}.`;

/**
 * Fails while another such command runs in this folder: both would write the same policy and store in the same place.
 * @param {string} what its address and policy, for the others
 * @param {{ command: string, folder: string, another: string }} how how it is called, where, and how there can be a second one
 */
export async function beTheOnlyOne(what, { command, folder, another }) {
  const started = startedIn(folder);
  // For the user alone: keys of the demo are in there, too.
  mkdirSync(join(folder, ".keyward"), { recursive: true, mode: 0o700 });
  const place = started.join(what);
  process.on("exit", () => started.leave(place));
  const [other] = await before(started, place);
  if (!other) return;
  started.leave(place);
  throw new Failure(
    `${command} runs already in this folder (process ${other.pid}): ${started.text(other)}`,
    `Stop it, or ${another} for a second one. ${ifItDoesNotRun(started, other)}`,
  );
}

/**
 * The address of the gate that one of these commands runs in this folder; undefined if none does.
 * @param {string} folder
 */
export function startedAt(folder) {
  const started = startedIn(folder);
  const first = started.first();
  return first && /^http:[^,]+/.exec(started.text(first))?.[0];
}

/** Fails while an `npm start` runs, for builds that would write the same files. */
export function refuseWhileStarted() {
  const other = STARTED.first();
  if (!other) return;
  throw new Failure(
    `npm start runs in this folder (process ${other.pid}), and builds the same files: ${STARTED.text(other)}`,
    "Stop it first. It shares no files with deployments and tests where main in wrangler.toml is build/worker.js.",
  );
}

/**
 * Does the work once no other process compiles in this folder: all use the same files below target/ and build/.
 * @template Result
 * @param {Progress} progress
 * @param {() => Promise<Result>} work
 */
export async function compilingAlone(progress, work) {
  const end = Date.now() + COMPILED_WITHIN_MS;
  const place = COMPILING.join("");
  try {
    for (let [other] = COMPILING.before(place); other; [other] = COMPILING.before(place)) {
      if (Date.now() > end) {
        throw new Failure(
          `process ${other.pid} has been compiling in this folder for ${COMPILED_WITHIN_MS / 60_000} minutes`,
          `Stop it. ${ifItDoesNotRun(COMPILING, other)}`,
        );
      }
      progress(`waits for process ${other.pid}, which compiles in this folder`);
      await pause(LOOK_AGAIN_MS);
    }
    return await work();
  } finally {
    COMPILING.leave(place);
  }
}

/**
 * Puts a policy where deployments take it from, unless somebody deploys another one: wrangler takes it from there after the build
 * has ended, so it must stay until wrangler has.
 * @param {{ policy: string, document: string, isDeployed: boolean }} what
 * @param {() => void} put
 */
export async function putPolicy({ policy, document, isDeployed }, put) {
  const hash = createHash("sha256").update(document).digest("hex");
  const place = DEPLOYING.join(`${hash} ${policy}`, isDeployed ? wrangler() : process.pid);
  const [other] = (await before(DEPLOYING, place))
    .filter(({ pid }) => pid !== place.pid)
    .map((one) => ({ ...one, text: DEPLOYING.text(one) }))
    // Without a text: it has ended.
    .filter(({ text }) => text && !text.startsWith(hash));
  if (!other) put();
  if (other || !isDeployed) DEPLOYING.leave(place);
  if (!other) return;
  const theirs = other.text.split(" ").slice(1).join(" ");
  throw new Failure(
    `process ${other.pid} is deploying this folder with another policy, ${theirs}`,
    `It takes it from build/policy.json, where ${policy} would go. Wait until it has ended. ${ifItDoesNotRun(DEPLOYING, other)}`,
  );
}

/** The wrangler that runs this process, by a shell or something else that may end before it. */
function wrangler() {
  let pid = process.ppid;
  try {
    while (pid > 1) {
      const said = execFileSync("ps", ["-o", "ppid=,args=", "-p", String(pid)], { encoding: "utf8" });
      const [, parent, args] = said.match(/^\s*(\d+) (.*)/) ?? [];
      if (/\bwrangler-dist\b/.test(args)) return pid;
      pid = Number(parent);
    }
  } catch {
    // No `ps` here: most shells are replaced by the one command that they are to run.
  }
  return process.ppid;
}
