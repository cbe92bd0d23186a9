// Runs the fuzz targets of fuzz/ under libFuzzer, guided by coverage, on stable Rust:
//   npm run fuzz                                each of them for a minute, as many at a time as there are cores
//   npm run fuzz -- TARGET… [--seconds 600]      these, for so long
//   npm run fuzz -- --seed 1                    the same inputs in the same order for the same code, from the corpus alone, as far as
//                                               the time allows
//   npm run fuzz -- --report                    what is found is told, and is no failure: for CI, where a faster machine or any
//                                               change finds what was there before
//   npm run fuzz -- TARGET… --keep              what was found since and reaches new code goes into fuzz/corpus
// An input that fails goes there by itself, where `cargo test -p keyward-fuzz` runs it from then on.

import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { logs, root } from "./lib/places.mjs";
import { CARGO_PROGRESS, cratesIn, Failure, run, runMain, Steps } from "./lib/progress.mjs";

/** An input that takes longer than this is a fault. Long enough for a machine that stands still for a while. */
const LONGEST_S = 30;
/** What compiles a policy keeps it for good, so a target may grow; but not without end. */
const MOST_MB = 4096;

const corpus = join(root, "fuzz", "corpus");
const work = join(root, "target", "fuzz");

await runMain(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seconds: { type: "string", default: "60" },
      seed: { type: "string", default: "0" },
      keep: { type: "boolean", default: false },
      report: { type: "boolean", default: false },
    },
  });
  const seconds = Number(values.seconds);
  if (!Number.isInteger(seconds) || seconds < 1)
    throw new Failure(`--seconds ${values.seconds} is no number of seconds`);
  const seed = Number(values.seed);
  if (!Number.isInteger(seed) || seed < 0) throw new Failure(`--seed ${values.seed} is no whole number`);
  const all = readdirSync(corpus).sort();
  const unknown = positionals.find((name) => !all.includes(name));
  if (unknown) throw new Failure(`there is no target ${unknown}`, `There are ${all.join(", ")}.`);
  const targets = positionals.length ? positionals : all;

  const steps = new Steps(1);
  const program = await steps.run("Building the targets with coverage", build);
  const queue = [...targets];
  /** @type {string[]} */
  const failed = [];
  const worker = async () => {
    for (let target = queue.shift(); target; target = queue.shift()) {
      const said = values.keep ? await keep(program, target) : await fuzz(program, target, seconds, seed);
      console.log(`${target.padEnd(16)} ${said.text}`);
      if (said.failed) failed.push(target);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  if (failed.length) {
    const found = `inputs were found that fail: ${failed.join(", ")}`;
    const hint = "The input is in fuzz/corpus, as fault-…: `cargo test -p keyward-fuzz` shows what is wrong with it.";
    if (!values.report) throw new Failure(found, hint);
    console.log(`\nTo be mended: ${found}\n  ${hint}`);
  }
});

/**
 * Builds the program that runs any of the targets.
 * @param {(text: string) => void} progress
 */
async function build(progress) {
  const cargo = ["build", "--locked", "--workspace", "--features", "keyward-fuzz/engine", "--bin", "fuzz"];
  await run("cargo", cargo, {
    cwd: root,
    log: join(logs, "fuzz.log"),
    what: "building the fuzz targets",
    hint: "It takes a C++ compiler: g++ or clang++.",
    env: { ...CARGO_PROGRESS, RUSTC_WORKSPACE_WRAPPER: join(root, "scripts", "lib", "rustc-with-coverage.sh") },
    onLine: (line) => {
      const crates = cratesIn(line);
      if (crates) progress(crates);
    },
  });
  return join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "debug", "fuzz");
}

/** Where what a target finds is kept between runs. @param {string} target */
function found(target) {
  const folder = join(work, "found", target);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** An empty folder for what a target finds. @param {string} target */
function foundNow(target) {
  const folder = join(work, "seeded", target);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

/**
 * @param {string} program
 * @param {string} target
 * @param {number} seconds
 * @param {number} seed of the engine's choices; 0 for another one each time
 */
async function fuzz(program, target, seconds, seed) {
  const args = [
    `-seed=${seed}`,
    `-max_total_time=${seconds}`,
    `-timeout=${LONGEST_S}`,
    `-rss_limit_mb=${MOST_MB}`,
    `-dict=${join(root, "fuzz", "words.dict")}`,
    `-artifact_prefix=${join(corpus, target)}/fault-`,
    "-print_final_stats=1",
    seed ? foundNow(target) : found(target),
    join(corpus, target),
  ];
  const { status, log } = await engine(program, target, args);
  if (status !== 0) {
    const lines = readFileSync(log, "utf8").split("\n");
    const from = lines.findIndex((line) => /panicked at|ERROR: libFuzzer/.test(line));
    return {
      failed: true,
      text: `fails\n${lines.slice(Math.max(from, 0), from + 12).join("\n")}\nEverything it said: ${log}`,
    };
  }
  const said = readFileSync(log, "utf8");
  const runs = Number(said.match(/stat::number_of_executed_units: (\d+)/)?.[1]);
  const branches = [...said.matchAll(/ cov: (\d+)/g)].at(-1)?.[1];
  const added = said.match(/stat::new_units_added: +(\d+)/)?.[1];
  return {
    failed: false,
    text: `${runs} inputs, ${Math.round(runs / seconds)} a second; ${branches} branches; ${added} inputs reach more`,
  };
}

/**
 * Adds to the corpus what reaches a branch that it does not.
 * @param {string} program
 * @param {string} target
 */
async function keep(program, target) {
  const args = [
    "-set_cover_merge=1",
    "-use_counters=0",
    `-rss_limit_mb=${MOST_MB}`,
    join(corpus, target),
    found(target),
  ];
  const { status, log } = await engine(program, target, args);
  if (status !== 0) return { failed: true, text: `fails. Everything it said: ${log}` };
  return { failed: false, text: `${readdirSync(join(corpus, target)).length} inputs in the corpus` };
}

/**
 * Runs the program, its output in a log file.
 * @param {string} program
 * @param {string} target
 * @param {string[]} args
 */
async function engine(program, target, args) {
  const log = join(logs, `fuzz-${target}.log`);
  const file = openSync(log, "w");
  const child = spawn(program, args, {
    cwd: work,
    env: { ...process.env, FUZZ_TARGET: target },
    stdio: ["ignore", file, file],
  });
  const status = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(signal ?? code));
  });
  closeSync(file);
  return { status, log };
}
