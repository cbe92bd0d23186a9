// Installs everything that building, running and testing need and that is not there yet, each at a
// pinned version. Repeatable, and safe to interrupt: what is half done is done again.

import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

import { aptInstall } from "./lib/apt.mjs";
import { bin, findChromium, inPath, isMain, logs, root, toolsDir } from "./lib/places.mjs";
import {
  CARGO_PROGRESS,
  cratesIn,
  Failure,
  lockedVersion,
  oldestRust,
  output,
  run,
  runMain,
  Steps,
} from "./lib/progress.mjs";
import { pythonPackages } from "./lib/python.mjs";
import { devSecrets } from "./lib/secrets.mjs";

/** @import { Progress } from "./lib/progress.mjs" */

const NODE = [20, 12];
const WRANGLER_NODE = [22, 12];
const TARGET = "wasm32-unknown-unknown";
const OFFLINE = "Is the network reachable? It can be run again; what is already there is kept.";

/** How many steps `setup` runs. */
export const setupSteps = ({ chromium = false, python = false, prometheus = false } = {}) =>
  4 + Number(chromium) + Number(python) + Number(prometheus);

/**
 * Installs what is missing; for the tests also, with `chromium`, a browser, with `python`, client libraries in Python, and,
 * with `prometheus`, Prometheus and its `promtool`.
 */
export async function setup(steps, { chromium = false, python = false, prometheus = false } = {}) {
  await steps.run("Checking Rust and Node", checkMachine);
  // npm mostly waits for the network and cargo mostly computes: both at once.
  const giveUp = new AbortController();
  /** @type {Progress} */
  let tell = () => {};
  const packages = npmPackages(giveUp.signal, (text) => tell(text));
  packages.catch(() => {});
  try {
    await steps.run(`Rust target ${TARGET}`, wasmTarget);
    await steps.run("Building wasm-bindgen", rustTools);
  } catch (error) {
    // Or it would go on when this has ended, beside the one of the next attempt.
    giveUp.abort();
    throw error;
  }
  await steps.run("npm packages (wrangler, workerd, Node 22, esbuild, binaryen)", (progress) => {
    tell = progress;
    return packages;
  });
  if (chromium) await steps.run("Chromium", installChromium);
  if (python) await steps.run("Client libraries in Python", pythonPackages);
  if (prometheus) await steps.run("Prometheus", installPrometheus);
}

const older = (version, least) => {
  const [major, minor] = version.match(/\d+/g).map(Number);
  return major < least[0] || (major === least[0] && minor < least[1]);
};

/** Fails where scripts, or wrangler, would fail with something that nobody understands. */
export function refuseOldNode() {
  if (older(process.version, NODE)) {
    throw new Failure(
      `Node ${process.version} is too old: ${NODE.join(".")} or newer is needed`,
      "See https://nodejs.org/.",
    );
  }
}

async function checkMachine() {
  refuseOldNode();
  const npm = await output("npm", ["--version"]);
  if (!npm) throw new Failure("npm is not in PATH", "It comes with Node: https://nodejs.org/.");
  const rustc = await output("rustc", ["--version"], { cwd: root });
  const cargo = await output("cargo", ["--version"], { cwd: root });
  if (!rustc || !cargo) {
    throw new Failure(
      `${rustc ? "cargo" : "rustc"} is not in PATH, or cannot be run`,
      "Install Rust with rustup (https://rustup.rs/) and open a new shell. If it is installed: rustup update stable",
    );
  }
  if (older(rustc, oldestRust().split(".").map(Number))) {
    throw new Failure(`${rustc} is too old: ${oldestRust()} or newer is needed`, "rustup update stable");
  }
  if (!inPath("cc") && !inPath("clang") && !inPath("gcc")) {
    throw new Failure(
      "no C compiler (cc) is in PATH; Rust links with it",
      "On Debian and Ubuntu: apt-get install build-essential",
    );
  }
  canWrite(homedir(), "npm, Cargo and wrangler keep their files there", "Set HOME to a folder that can be written.");
  canWrite(
    toolsDir(),
    "the programs that set-up builds are kept there",
    "Set KEYWARD_TOOLS to a folder that can be written.",
  );
  canWrite(root, "everything is built there", "Clone the project to where you may write.");
  const needed = lockedVersion(join(root, "Cargo.lock"), "wasm-bindgen");
  const pinned = lockedVersion(join(root, "tools", "Cargo.lock"), "wasm-bindgen-cli-support");
  if (needed !== pinned) {
    throw new Failure(
      `Cargo.lock has wasm-bindgen ${needed}, but tools/Cargo.lock has wasm-bindgen-cli-support ${pinned}`,
      `They have to agree: set the version in tools/Cargo.toml to "=${needed}", then run cargo update in tools/.`,
    );
  }
  return Steps.nothing;
}

/** Fails unless files can be made in this folder, or in the nearest one above it that is there. */
function canWrite(folder, why, hint) {
  let place = folder;
  while (!existsSync(place) && place !== dirname(place) && folder !== homedir()) place = dirname(place);
  try {
    accessSync(place, constants.W_OK);
  } catch ({ code }) {
    throw new Failure(`${folder} cannot be written (${code}); ${why}`, hint);
  }
  if (!statSync(place).isDirectory())
    throw new Failure(`${folder} cannot be written (${place} is not a folder); ${why}`, hint);
}

async function wasmTarget() {
  const libdir = await output("rustc", ["--target", TARGET, "--print", "target-libdir"], { cwd: root });
  if (libdir && existsSync(libdir)) return Steps.nothing;
  if (!inPath("rustup")) {
    throw new Failure(
      `this Rust has no ${TARGET} target, and rustup is not there to add it`,
      "Install Rust with rustup: https://rustup.rs/",
    );
  }
  await run("rustup", ["target", "add", TARGET], {
    cwd: root,
    log: join(logs, "rustup.log"),
    what: `rustup target add ${TARGET}`,
    hint: OFFLINE,
  });
}

async function rustTools(progress) {
  const ready = toolsDir();
  if (existsSync(join(ready, "bindgen"))) return Steps.nothing;
  const target = join(root, "target", "tools");
  await run("cargo", ["build", "--locked"], {
    cwd: join(root, "tools"),
    // Flags and wrappers that are meant for the user's own code would only make this slower.
    env: {
      ...CARGO_PROGRESS,
      CARGO_TARGET_DIR: target,
      CARGO_BUILD_TARGET_DIR: undefined,
      RUSTFLAGS: "",
      CARGO_INCREMENTAL: "0",
    },
    log: join(logs, "tools.log"),
    what: "building wasm-bindgen",
    hint: OFFLINE,
    onLine: (line) => {
      if (cratesIn(line)) progress(cratesIn(line));
    },
  });
  // Renamed into place whole, so that nobody ever finds half of it.
  const fresh = `${ready}.${process.pid}`;
  mkdirSync(fresh, { recursive: true });
  cpSync(join(target, "debug", "bindgen"), join(fresh, "bindgen"));
  rmSync(ready, { recursive: true, force: true });
  renameSync(fresh, ready);
  rmSync(target, { recursive: true, force: true });
}

async function npmPackages(signal, progress) {
  const stamp = join(root, "node_modules", ".keyward-lock");
  const text = readFileSync(join(root, "package-lock.json"), "utf8");
  const lock = createHash("sha256").update(text).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return Steps.nothing;
  // No package needs its install script: the binaries come in packages of their own, all in the lock.
  const isForHere = ({ os, cpu }) =>
    [os ?? process.platform].flat().includes(process.platform) && [cpu ?? process.arch].flat().includes(process.arch);
  const total = Object.entries(JSON.parse(text).packages).filter(
    ([path, details]) => path && isForHere(details),
  ).length;
  const fetched = new Set();
  await run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=http"], {
    cwd: root,
    log: join(logs, "npm.log"),
    what: "npm ci",
    hint: OFFLINE,
    signal,
    onLine: (line) => {
      const [url] = line.match(/https?:\/\/\S+\.tgz/) ?? [];
      if (url) progress(`package ${fetched.add(url).size} of about ${total}`);
    },
  });
  if (!existsSync(join(bin, "node")) && older(process.version, WRANGLER_NODE)) {
    throw new Failure(
      `wrangler needs Node ${WRANGLER_NODE.join(".")}, this is ${process.version}, and npm has no Node package for ${process.platform} ${process.arch}`,
      "Install Node 22 or newer: https://nodejs.org/",
    );
  }
  writeFileSync(stamp, lock);
}

async function installChromium(progress) {
  const found = findChromium();
  if (found) {
    if (existsSync(found)) return Steps.nothing;
    throw new Failure(
      `CHROMIUM is set to ${found}, which is not there`,
      "Set it to a Chromium or Chrome, or unset it.",
    );
  }
  const byHand = "Install Chromium or Chrome by hand, and set CHROMIUM to its path if it is not in PATH.";
  await aptInstall("chromium", {
    missing: "the browser tests need Chromium, which is not installed",
    byHand,
    progress,
  });
}

async function installPrometheus(progress) {
  if (["prometheus", "promtool"].every(inPath)) return Steps.nothing;
  await aptInstall("prometheus", {
    missing: "the tests of the metrics need prometheus and promtool, which are not in PATH",
    byHand: "Install Prometheus by hand (https://prometheus.io/download/), so that both programs are in PATH.",
    progress,
  });
}

if (isMain(import.meta)) {
  const asked = (name) => process.argv.includes(`--${name}`);
  const options = { chromium: asked("chromium"), python: asked("python"), prometheus: asked("prometheus") };
  await runMain(async () => {
    await setup(new Steps(setupSteps(options)), options);
    devSecrets();
  });
}
