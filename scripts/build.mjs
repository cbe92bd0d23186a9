// Builds the Worker with worker-build, unless what it is made of is unchanged since the last time.
//   node scripts/build.mjs [--policy FILE] [--out DIR] [--quick]
// Defaults: keyward.toml (or KEYWARD_POLICY) and build/. With --quick (or KEYWARD_QUICK=1, or for `wrangler
// dev`) it takes half of the time and the result is larger and slower: to try and to test it. A full build
// does for that too.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";

import { CARGO_PROGRESS, Failure, Steps, cratesIn, output, run, runMain } from "./lib/progress.mjs";
import { bin, fingerprint, isMain, logs, root, toolEnv, toolsDir, toolsKey } from "./lib/places.mjs";
import { missing, openEnds } from "./lib/deployment.mjs";
import { mistakesIn, readPolicies, realmsOf, secretsOf } from "./lib/policy.mjs";
import { devSecrets } from "./lib/secrets.mjs";
import { setup, setupSteps } from "./setup.mjs";

const SOURCES = ["Cargo.toml", "Cargo.lock", "build.rs", "rust-toolchain.toml", ".cargo", "src", "crates", "policy/Cargo.toml", "policy/src", "package-lock.json"];

/** No wasm-opt, and the crate itself (not what it depends on) compiled on several cores. */
const QUICK = ["--no-opt", "--config", "profile.release.package.keyward.codegen-units=8"];

/** What wrangler runs (`main` of wrangler.toml): the Worker, or the one for a developer's machine. */
const ENTRY = "build/worker.js";

/** What wrangler runs this for; it sets that itself. */
const command = process.env.WRANGLER_COMMAND;

const defaultPolicy = () => process.env.KEYWARD_POLICY ?? "keyward.toml";

/** Builds `policy` into `out`, both relative to the root. As a step's work: says how far it is. */
export async function build({
  policy = defaultPolicy(),
  out = "build",
  dev = command === "dev",
  quick = dev || process.env.KEYWARD_QUICK === "1",
} = {}, progress = () => {}) {
  if (!existsSync(resolve(root, policy))) {
    throw new Failure(`the policy file ${policy} is not there`, "Name it relative to the project's folder.");
  }
  if (dev) devSecrets(secretsOf(realmsOf(await readPolicies(policy))));
  if (join(root, out) === dirname(join(root, ENTRY))) {
    const module = dev ? "../demo/worker.mjs" : "./index.js";
    mkdirSync(join(root, out), { recursive: true });
    writeFileSync(join(root, ENTRY), `export * from "${module}";\nexport { default } from "${module}";\n`);
  }
  const stamp = join(root, out, ".keyward-inputs");
  const rustc = await output("rustc", ["--version"], { cwd: root });
  const sources = [...SOURCES, ...(await readPolicies(policy)).keys()];
  const inputs = (how) => fingerprint(sources, policy, rustc, toolsKey(), String(how));
  const whole = ["index.js", "index_bg.wasm"].every((name) => existsSync(join(root, out, name)));
  const enough = quick ? [true, false] : [false];
  if (whole && existsSync(stamp) && enough.map(inputs).includes(readFileSync(stamp, "utf8"))) return Steps.nothing;

  // worker-build only warns about a path that is wrong, so look first.
  const programs = {
    WASM_BINDGEN_BIN: join(toolsDir(), "bindgen"),
    ESBUILD_BIN: join(bin, "esbuild"),
    WASM_OPT_BIN: join(bin, "wasm-opt"),
  };
  const workerBuild = join(toolsDir(), "worker-build");
  for (const path of [workerBuild, ...Object.values(programs)]) {
    if (!existsSync(path)) throw new Failure(`${path} is not there`, "node scripts/setup.mjs installs it.");
  }
  rmSync(stamp, { force: true });
  const mistakes = [];
  const built = run(workerBuild, ["--release", "--out-dir", out, ...(quick ? QUICK : [])], {
    cwd: root,
    // Its own backtrace would push the compiler's message out of sight.
    env: { ...toolEnv(), ...programs, ...CARGO_PROGRESS, KEYWARD_POLICY: policy, RUST_BACKTRACE: "0" },
    log: join(logs, `build-${out.replaceAll("/", "-")}.log`),
    what: `building the Worker with ${policy}`,
    onLine: (line) => {
      const crates = cratesIn(line);
      if (crates) progress(quick ? crates : `part 1 of 2, ${crates}`);
      else if (line.includes("Optimizing wasm")) progress("part 2 of 2, wasm-opt");
      mistakes.push(...mistakesIn(line));
    },
  });
  await built.catch((error) => { throw mistakes.length ? new Failure(`the policy ${policy} is wrong`, mistakes.join("\n")) : error; });
  writeFileSync(stamp, inputs(quick));
}

if (isMain(import.meta)) {
  await runMain(async () => {
    const { values } = parseArgs({ options: { policy: { type: "string" }, out: { type: "string" }, quick: { type: "boolean" } } });
    if (values.policy) values.policy = relative(root, resolve(values.policy));
    const steps = new Steps(setupSteps() + 1);
    await setup(steps);
    const isDeployed = command && command !== "dev";
    const policies = await readPolicies(values.policy ?? defaultPolicy());
    const lacks = isDeployed ? await missing(policies) : [];
    if (lacks.length) {
      throw new Failure("what would be deployed is not a whole gate", [
        ...lacks, "An environment inherits no bindings: write them below [env.…] too, as the top of the file has them. Give it a KV namespace of its own.",
      ].join("\n"));
    }
    await steps.run("Building the Worker", (progress) => build(values, progress));
    if (isDeployed) for (const line of await openEnds(policies)) console.log(`note: ${line}`);
  });
}
