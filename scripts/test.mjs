// All tests, or a part of them:
//   npm test [-- native | e2e [FILE…]] [--retry]
// `native` is cargo test; `e2e` builds the Worker and drives it in the real runtime. With `--retry`, up to three files of
// end-to-end tests that fail are run again by themselves, and those that pass then are named as flaky.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";

import { build } from "./build.mjs";
import { logs, node, root, toolEnv } from "./lib/places.mjs";
import { Failure, runMain, Steps } from "./lib/progress.mjs";
import { failedFiles, readResults, reporter, summary } from "./lib/rows.mjs";
import { setup, setupSteps } from "./setup.mjs";

/** More files than this do not fail by chance. */
const MOST_RETRIED = 3;

await runMain(async () => {
  const { positionals, values } = parseArgs({ allowPositionals: true, options: { retry: { type: "boolean" } } });
  const [part = "all", ...files] = positionals;
  if (!["all", "native", "e2e"].includes(part)) {
    throw new Failure(
      `there is no part ${part} of the tests`,
      "npm test -- native, npm test -- e2e, or npm test -- e2e tests/e2e/smoke.test.mjs",
    );
  }
  const native = part !== "e2e";
  const e2e = part !== "native";
  const extras = { chromium: e2e, python: e2e, prometheus: e2e };
  const steps = new Steps(setupSteps(extras) + Number(e2e));
  await setup(steps, extras);
  // First what is quickest to tell that something is wrong.
  if (native) await tests("cargo", ["test", "--workspace"]);
  if (!e2e) return;
  await steps.run("Building the Worker", (progress) => build({}, progress));
  await endToEnd(files, values.retry ?? false);
});

/** The end-to-end tests, all or these; then the rows of docs/systems.md. */
async function endToEnd(files, retry) {
  let { failure, results } = await runFiles(files.length ? files : ["tests/e2e/**/*.test.mjs"], 2);
  const failed = failedFiles(results);
  const shown = (paths) => paths.map((path) => relative(root, path)).join(", ");
  let flaky = [];
  if (failure && retry && failed.length > 0 && failed.length <= MOST_RETRIED) {
    console.log(`\nOnce more, by itself: ${shown(failed)}`);
    const again = await runFiles(failed, 1);
    flaky = failed.filter((path) => !failedFiles(again.results).includes(path));
    results = [...results.filter(({ path }) => !failed.includes(path)), ...again.results];
    failure = again.failure;
  }
  const { table, wrong } = summary(results, files.length === 0);
  if (table.length) console.log(`\nRows of docs/systems.md: ${table.length}\n${table.join("\n")}`);
  if (flaky.length) console.log(`\nFlaky: failed at first, and passed when run again: ${shown(flaky)}`);
  if (wrong.length) throw new Failure("the tests and docs/systems.md do not agree", wrong.join("\n"));
  if (failure) throw failure;
}

/** Runs files of tests: why that failed, if it did, and the results for the rows. */
async function runFiles(files, concurrency) {
  const report = join(logs, "rows.jsonl");
  mkdirSync(logs, { recursive: true });
  rmSync(report, { force: true });
  const failure = await tests(node(), [
    "--disable-warning=ExperimentalWarning",
    "--test",
    `--test-concurrency=${concurrency}`,
    "--test-timeout=600000",
    "--test-reporter=spec",
    "--test-reporter-destination=stdout",
    `--test-reporter=${reporter}`,
    `--test-reporter-destination=${report}`,
    ...files,
  ]).then(
    () => undefined,
    (error) => error,
  );
  return { failure, results: readResults(existsSync(report) ? readFileSync(report, "utf8") : "") };
}

async function tests(command, args) {
  console.log(`\n$ ${[command === node() ? "node" : command, ...args].join(" ")}`);
  // The runtime reads there which certificates it trusts beside the public ones: those of the tests' own servers.
  const env = { ...toolEnv(), NODE_EXTRA_CA_CERTS: join(root, "tests", "e2e", "harness", "localhost.pem") };
  const child = spawn(command, args, { cwd: root, env, stdio: ["ignore", "inherit", "inherit"] });
  const status = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(signal ?? code));
  });
  if (status !== 0) throw new Failure(`tests failed (${command === "cargo" ? "native" : "end to end"})`);
}
