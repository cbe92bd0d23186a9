// All tests, or a part of them:
//   npm test [-- native | e2e [FILE…]]
// `native` is cargo test; `e2e` builds the Worker and drives it in the real runtime.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

import { build } from "./build.mjs";
import { logs, node, root, toolEnv } from "./lib/places.mjs";
import { Failure, runMain, Steps } from "./lib/progress.mjs";
import { reporter, summary } from "./lib/rows.mjs";
import { setup, setupSteps } from "./setup.mjs";

await runMain(async () => {
  const [part = "all", ...files] = process.argv.slice(2);
  if (!["all", "native", "e2e"].includes(part)) {
    throw new Failure(
      `there is no part ${part} of the tests`,
      "npm test -- native, npm test -- e2e, or npm test -- e2e tests/e2e/smoke.test.mjs",
    );
  }
  const native = part !== "e2e";
  const e2e = part !== "native";
  const extras = { chromium: e2e, python: e2e };
  const steps = new Steps(setupSteps(extras) + Number(e2e));
  await setup(steps, extras);
  // First what is quickest to tell that something is wrong.
  if (native) await tests("cargo", ["test", "--workspace"]);
  if (!e2e) return;
  await steps.run("Building the Worker", (progress) => build({}, progress));
  await endToEnd(files);
});

/** The end-to-end tests, all or these; then the rows of docs/systems.md. */
async function endToEnd(files) {
  const results = join(logs, "rows.jsonl");
  mkdirSync(logs, { recursive: true });
  rmSync(results, { force: true });
  const failure = await tests(node(), [
    "--disable-warning=ExperimentalWarning",
    "--test",
    "--test-concurrency=2",
    "--test-timeout=600000",
    "--test-reporter=spec",
    "--test-reporter-destination=stdout",
    `--test-reporter=${reporter}`,
    `--test-reporter-destination=${results}`,
    ...(files.length ? files : ["tests/e2e/**/*.test.mjs"]),
  ]).then(
    () => undefined,
    (error) => error,
  );
  const { table, wrong } = summary(existsSync(results) ? readFileSync(results, "utf8") : "", files.length === 0);
  if (table.length) console.log(`\nRows of docs/systems.md: ${table.length}\n${table.join("\n")}`);
  if (wrong.length) throw new Failure("the tests and docs/systems.md do not agree", wrong.join("\n"));
  if (failure) throw failure;
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
