// The two crates of wasm and what is made of them: the gate, for workerd (build/keyward.js, build/keyward.wasm), and
// `keyward check`, for Node (build/check/).

import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { bin, fingerprint, logs, root, toolEnv, toolsDir, toolsKey } from "./places.mjs";
import { CARGO_PROGRESS, cratesIn, Failure, output, run, Steps } from "./progress.mjs";

/** @import { Progress, RunOptions } from "./progress.mjs" */
/** @typedef {{ what: string, crate: string, sources: string[], stamp: string, made: string[] }} Part A crate, what it is made of, and what of it. */

/** The module of `keyward check`, relative to the root. */
export const CHECKER = "build/check/keyward_check.js";

const TARGET = "wasm32-unknown-unknown";
const SHARED = ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo", "scripts/lib/compile.mjs"];
/** @param {string[]} names */
const crates = (...names) => names.flatMap((name) => [`crates/${name}/Cargo.toml`, `crates/${name}/src`]);

const GATE = {
  what: "the gate",
  crate: "keyward",
  sources: [...SHARED, ...crates("core", "gate", "limits", "policy", "registry"), "src", "package-lock.json"],
  stamp: "build/.keyward-gate",
  made: ["build/keyward.js", "build/keyward.wasm"],
};

const CHECK = {
  what: "keyward check",
  crate: "keyward-check",
  // What it says of each field in the schema stands in docs/policy.md.
  sources: [...SHARED, ...crates("check", "policy"), "docs/policy.md"],
  stamp: "build/check/.keyward-check",
  made: [CHECKER, "build/check/keyward_check_bg.wasm"],
};

/** The crate itself, not what it depends on, compiled on several cores. */
const QUICK = ["--config", "profile.release.package.keyward.codegen-units=8"];

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
 * @param {boolean} isQuick
 */
export async function isBuilt(isQuick) {
  const rustc = await rustcVersion();
  return isInPlace(CHECK, waysOf(false), rustc) && isInPlace(GATE, waysOf(isQuick), rustc);
}

/** Whether `keyward check` is built. */
export const isCheckerBuilt = async () => isInPlace(CHECK, waysOf(false), await rustcVersion());

/** Builds `keyward check`, if it has changed. */
export const buildChecker = (/** @type {Progress} */ progress) =>
  made(CHECK, false, async () => {
    await compile(CHECK, [], progress);
    await bindgen("node", CHECK, "build/check", "keyward_check");
  });

/**
 * Builds the gate, if it has changed.
 * @param {boolean} isQuick
 * @param {Progress} progress
 */
export const buildGate = (isQuick, progress) =>
  made(GATE, isQuick, async () => {
    await compile(GATE, isQuick ? QUICK : [], (crates) => progress(isQuick ? crates : `part 1 of 2, ${crates}`));
    const glue = join("target", "bindgen");
    await bindgen("worker", GATE, glue, "keyward");
    const [script, wasm] = ["keyward.js", "keyward_bg.wasm"].map((name) => join(root, glue, name));
    if (isQuick) {
      copyFileSync(wasm, join(root, "build/keyward.wasm"));
    } else {
      progress("part 2 of 2, wasm-opt");
      await tool(join(bin, "wasm-opt"), [wasm, "-o", join(root, "build/keyward.wasm"), ...WASM_OPT], GATE);
    }
    // Wrangler and workerd know no `import source`: a module of wasm is one in any case.
    const own = readFileSync(script, "utf8").replace(
      /^import source (\w+) from "[^"]+"/m,
      'import $1 from "./keyward.wasm"',
    );
    writeFileSync(script, own);
    await tool(
      join(bin, "esbuild"),
      [
        "src/entry.js",
        "--bundle",
        "--format=esm",
        "--minify",
        "--outfile=build/keyward.js",
        "--log-level=warning",
        `--alias:keyward-wasm=./${glue}/keyward.js`,
        ...["handlers", "instance"].map((name) => `--alias:keyward-${name}=./src/${name}.js`),
        "--external:*.wasm",
        "--external:cloudflare:*",
      ],
      GATE,
    );
  });

/**
 * Runs `work` unless its result is in place.
 * @param {Part} part
 * @param {boolean} isQuick
 * @param {() => Promise<void>} work
 */
async function made(part, isQuick, work) {
  const rustc = await rustcVersion();
  if (isInPlace(part, waysOf(isQuick), rustc)) return Steps.nothing;
  const stamp = join(root, part.stamp);
  mkdirSync(join(stamp, ".."), { recursive: true });
  rmSync(stamp, { force: true });
  // As it was at the beginning: what is changed meanwhile is built the next time.
  const built = inputs(part, isQuick ? "quick" : "full", rustc);
  await work();
  writeFileSync(stamp, built);
  return undefined;
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
      "build",
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
