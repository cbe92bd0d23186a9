// The two crates of wasm and what is made of them: the gate, for workerd (keyward.js and keyward.wasm in build/, for
// developers' machines in build/dev/), and `keyward check`, for Node (build/check/).

import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { bin, CHECKER, fingerprint, logs, put, root, toolEnv, toolsDir, toolsKey } from "./places.mjs";
import { CARGO_PROGRESS, cratesIn, Failure, output, run, Steps } from "./progress.mjs";
import { compilingAlone } from "./running.mjs";
import { stripped } from "./wasm.mjs";

/** @import { Progress, RunOptions } from "./progress.mjs" */
/** @typedef {{ what: string, crate: string, sources: string[], stamp: string, made: string[] }} Part A crate, what it is made of, and what of it. */

const TARGET = "wasm32-unknown-unknown";
const SHARED = [
  "Cargo.toml",
  "Cargo.lock",
  "rust-toolchain.toml",
  ".cargo",
  ...["compile", "layout", "wasm"].map((name) => `scripts/lib/${name}.mjs`),
];
/** @param {string[]} names */
const crates = (...names) => names.flatMap((name) => [`crates/${name}/Cargo.toml`, `crates/${name}/src`]);

/** The folder of the gate that is deployed and tested, and that of the one for developers' machines. */
export const DEPLOYED = "build";
export const DEV = "build/dev";

/** @type {(folder: string) => Part} */
const gateIn = (folder) => ({
  what: "the gate",
  crate: "keyward",
  sources: [
    ...SHARED,
    ...crates("core", "gate", "json", "limits", "policy", "registry", "unicode"),
    "src",
    "package-lock.json",
  ],
  stamp: `${folder}/.keyward-gate`,
  // The debug one is not deployed: it has the names of functions, by which `npm run symbolise` reads a stack trace.
  made: ["keyward.js", "keyward.wasm", "keyward.debug.wasm"].map((name) => `${folder}/${name}`),
});

const CHECK = {
  what: "keyward check",
  crate: "keyward-check",
  // What it says of each field in the schema stands in docs/policy.md.
  sources: [
    ...SHARED,
    ...crates("changes", "check", "core", "gate", "json", "limits", "policy", "unicode"),
    "docs/policy.md",
  ],
  stamp: "build/check/.keyward-check",
  made: [CHECKER, "build/check/keyward_check_bg.wasm"],
};

/** The crate itself, not what it depends on, compiled on several cores. */
const QUICK = ["--config", "profile.release.package.keyward.codegen-units=8"];

/**
 * Half of the default stack, which is ahead of the data: the data's addresses then have a byte less, in thousands of places.
 */
const LINKING = ["-Clink-arg=-zstack-size=524288"];

/** Keeps the names of functions; knows what rustc uses by default, and no more than workerd does. */
const WASM_OPT = [
  "-O",
  "--debuginfo",
  ...[
    "mutable-globals",
    "sign-ext",
    "nontrapping-float-to-int",
    "bulk-memory",
    "multivalue",
    "reference-types",
    "exception-handling",
  ].map((feature) => `--enable-${feature}`),
];

/**
 * @param {Part} part
 * @param {string} how
 * @param {string | undefined} rustc its version
 */
const inputs = (part, how, rustc) => fingerprint(part.sources, rustc, toolsKey(), how);
const rustcVersion = () => output("rustc", ["--version"], { cwd: root });

/**
 * Whether what the stamp says is what would be built, in one of these ways.
 * @param {Part} part
 * @param {string[]} hows
 * @param {string | undefined} rustc
 */
function isInPlace(part, hows, rustc) {
  const stamp = join(root, part.stamp);
  return (
    [...part.made, part.stamp].every((name) => existsSync(join(root, name))) &&
    hows.map((how) => inputs(part, how, rustc)).includes(readFileSync(stamp, "utf8"))
  );
}

/** A full build does where a quick one is asked for. */
const waysOf = (/** @type {boolean} */ isQuick) => (isQuick ? ["quick", "full"] : ["full"]);

/**
 * Whether there is nothing to compile.
 * @param {string} folder
 * @param {boolean} isQuick
 */
export async function isBuilt(folder, isQuick) {
  const rustc = await rustcVersion();
  return isInPlace(CHECK, waysOf(false), rustc) && isInPlace(gateIn(folder), waysOf(isQuick), rustc);
}

/** Whether `keyward check` is built. */
export const isCheckerBuilt = async () => isInPlace(CHECK, waysOf(false), await rustcVersion());

/** Builds `keyward check`, if it has changed. */
export const buildChecker = (/** @type {Progress} */ progress) =>
  made(CHECK, false, progress, async () => {
    await compile(CHECK, [], progress);
    const glue = join("target", "bindgen-check");
    await bindgen("node", CHECK, glue, "keyward_check");
    for (const name of readdirSync(join(root, glue)).filter((name) => /\.(js|json|wasm)$/.test(name)))
      put(`build/check/${name}`, readFileSync(join(root, glue, name)));
  });

/**
 * Builds the gate into a folder, if it has changed.
 * @param {string} folder
 * @param {boolean} isQuick
 * @param {Progress} progress
 */
export const buildGate = (folder, isQuick, progress) =>
  made(gateIn(folder), isQuick, progress, async () => {
    const part = gateIn(folder);
    const [script, wasm, named] = part.made;
    await compile(part, isQuick ? QUICK : [], (crates) => progress(isQuick ? crates : `part 1 of 2, ${crates}`));
    const glue = join("target", "bindgen");
    await bindgen("worker", part, glue, "keyward");
    const [glueScript, compiled, bundle, small] = ["keyward.js", "keyward_bg.wasm", "bundle.js", "small.wasm"].map(
      (name) => join(root, glue, name),
    );
    if (!isQuick) {
      progress("part 2 of 2, wasm-opt");
      await tool(join(bin, "wasm-opt"), [compiled, "-o", small, ...WASM_OPT], part);
      // Imported here: set-up installs what it needs.
      const { arranged } = await import("./layout.mjs");
      writeFileSync(small, arranged(readFileSync(small)));
    }
    // Wrangler and workerd know no `import source`: a module of wasm is one in any case.
    const own = readFileSync(glueScript, "utf8").replace(
      /^import source (\w+) from "[^"]+"/m,
      'import $1 from "./keyward.wasm"',
    );
    writeFileSync(glueScript, own);
    await tool(
      join(bin, "esbuild"),
      [
        "src/entry.js",
        "--bundle",
        "--format=esm",
        "--minify",
        `--outfile=${bundle}`,
        "--log-level=warning",
        `--alias:keyward-wasm=./${glue}/keyward.js`,
        ...["body", "handlers", "instance", "spans", "verdict"].map(
          (name) => `--alias:keyward-${name}=./src/${name}.js`,
        ),
        "--external:*.wasm",
        "--external:cloudflare:*",
      ],
      part,
    );
    const whole = readFileSync(isQuick ? compiled : small);
    put(named, whole);
    put(wasm, stripped(whole));
    put(script, readFileSync(bundle));
  });

/**
 * Runs `work`, alone, unless its result is in place.
 * @param {Part} part
 * @param {boolean} isQuick
 * @param {Progress} progress
 * @param {() => Promise<void>} work
 */
async function made(part, isQuick, progress, work) {
  const rustc = await rustcVersion();
  const ways = waysOf(isQuick);
  if (isInPlace(part, ways, rustc)) return Steps.nothing;
  return compilingAlone(progress, async () => {
    if (isInPlace(part, ways, rustc)) return Steps.nothing;
    rmSync(join(root, part.stamp), { force: true });
    if (isTaken(part, ways, rustc)) return Steps.nothing;
    // As it was at the beginning: what is changed meanwhile is built the next time.
    const built = inputs(part, isQuick ? "quick" : "full", rustc);
    await work();
    put(part.stamp, built);
    return undefined;
  });
}

/**
 * Copies the deployable gate for a developer's machine, if that is what would be built; whether it did.
 * @param {Part} part
 * @param {string[]} ways
 * @param {string | undefined} rustc
 */
function isTaken(part, ways, rustc) {
  const deployed = gateIn(DEPLOYED);
  if (part.stamp !== gateIn(DEV).stamp || !isInPlace(deployed, ways, rustc)) return false;
  for (const [i, name] of [...part.made, part.stamp].entries())
    put(name, readFileSync(join(root, [...deployed.made, deployed.stamp][i])));
  return true;
}

/**
 * Compiles a crate to wasm; it alone, since in one go with others it would get their features.
 * @param {Part} part
 * @param {string[]} options
 * @param {Progress} progress
 */
const compile = (part, options, progress) =>
  tool(
    "cargo",
    [
      "rustc",
      "--locked",
      "--release",
      "--lib",
      "--target",
      TARGET,
      "--target-dir",
      join(root, "target"),
      "-p",
      part.crate,
      ...options,
      "--",
      ...LINKING,
    ],
    part,
    {
      // wasm-bindgen's macro then has promises and futures meet in js-sys, as the crate `worker` expects.
      env: { WASM_BINDGEN_USE_JS_SYS: "1", ...CARGO_PROGRESS },
      onLine: (line) => {
        const crates = cratesIn(line);
        if (crates) progress(crates);
      },
    },
  );

/**
 * @param {"node" | "worker"} target
 * @param {Part} part
 * @param {string} out
 * @param {string} name
 */
const bindgen = (target, { crate, what }, out, name) =>
  tool(
    join(toolsDir(), "bindgen"),
    [target, join(root, "target", TARGET, "release", `${crate.replaceAll("-", "_")}.wasm`), join(root, out), name],
    { what },
  );

/**
 * Runs one of the programs that set-up installs.
 * @param {string} program
 * @param {string[]} args
 * @param {Pick<Part, "what">} part
 * @param {Pick<RunOptions, "env" | "onLine">} options
 */
async function tool(program, args, { what }, { env, onLine } = {}) {
  if (program.includes("/") && !existsSync(program))
    throw new Failure(`${program} is not there`, "node scripts/setup.mjs installs it.");
  await run(program, args, {
    cwd: root,
    env: { ...toolEnv(), ...env },
    log: join(logs, "build.log"),
    what: `building ${what}`,
    onLine,
  });
}
