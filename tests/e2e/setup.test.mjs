// What set-up says when something is not there. Each test has a copy of the project.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { inPath } from "../../scripts/lib/places.mjs";
import { cratesIn } from "../../scripts/lib/progress.mjs";
import { freePort } from "./harness/ports.mjs";
import { copy, linkPackages, run } from "./harness/project.mjs";
import { waitFor } from "./harness/wait.mjs";

/** Runs set-up in this folder, where it has to fail; what it says of that. */
async function setupFails(folder, env, ...args) {
  const setup = run(process.execPath, ["scripts/setup.mjs", ...args], { cwd: folder, env: { ...process.env, ...env } });
  assert.equal(await setup.ended, 1, setup.text());
  return setup.text().slice(setup.text().indexOf("\nerror: ") + 1);
}

test("a tool that is missing is named, with what to do", async (t) => {
  const folder = copy(t);
  const tools = ["sh", "env", "node", "npm", "rustc", "cargo", "cc", "gcc", "clang"];
  for (const [without, says] of /** @type {[string[], RegExp][]} */ ([
    [["npm"], /^error: npm is not in PATH\n .*nodejs\.org/],
    [["rustc"], /^error: rustc is not in PATH.*\n .*rustup\.rs/],
    [["cargo"], /^error: cargo is not in PATH.*\n .*rustup\.rs/],
    [["cc", "gcc", "clang"], /^error: no C compiler .*\n .*apt-get install build-essential/],
  ])) {
    const PATH = join(folder, `without-${without[0]}`);
    mkdirSync(PATH);
    for (const tool of tools) if (!without.includes(tool) && inPath(tool)) symlinkSync(inPath(tool), join(PATH, tool));
    assert.match(await setupFails(folder, { PATH }), says);
  }
});

test("a folder that cannot be written is named, with what to do", async (t) => {
  const folder = copy(t);
  const nowhere = join(folder, "README.md", "x");
  // Where rustup and Cargo are found does not depend on it.
  const { CARGO_HOME = join(homedir(), ".cargo"), RUSTUP_HOME = join(homedir(), ".rustup") } = process.env;
  assert.match(
    await setupFails(folder, { HOME: nowhere, CARGO_HOME, RUSTUP_HOME }),
    /^error: .*README\.md\/x cannot be written \(ENOTDIR\); .*\n {2}Set HOME /,
  );
  assert.match(
    await setupFails(folder, { KEYWARD_TOOLS: nowhere }),
    /^error: .*README\.md\/x\/\w+ cannot be written .*\n {2}Set KEYWARD_TOOLS /,
  );
  writeFileSync(join(folder, "target"), "");
  assert.match(await setupFails(folder), /^error: .*\/target\/logs: mkdir failed \(ENOTDIR\)/);
});

test("what npm run check is asked for stands on standard output alone: what set-up says does not", async (t) => {
  const PATH = join(copy(t), "no-programs");
  const check = run(process.execPath, ["scripts/check.mjs", "--schema"], { cwd: join(PATH, ".."), env: { PATH } });
  let out = "";
  check.child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  assert.equal(await check.ended, 1);
  assert.match(check.text(), /^\[1\/\d\] Checking Rust and Node: failed/);
  assert.equal(out, "");
});

test("how far Cargo is has a total", () => {
  assert.equal(
    cratesIn("    Building [=======>     ] 32/124: serde, keyward(build)   "),
    "crate 32 of 124: serde, keyward(build)",
  );
  assert.equal(cratesIn("   Compiling serde v1.0.0"), undefined);
});

test("a download that fails is named, with what to do and where everything is that was said", async (t) => {
  const nobody = `http://127.0.0.1:${await freePort()}/`;
  const folder = copy(t);
  const fails = (what, log) =>
    new RegExp(
      `^error: ${what} failed .*\n[^]*Everything it said: .*/target/logs/${log}\n.*Is the network reachable\\?`,
    );

  const npm = {
    npm_config_registry: nobody,
    npm_config_fetch_retries: "0",
    npm_config_cache: join(folder, "npm-cache"),
  };
  assert.match(await setupFails(folder, npm), fails("npm ci", "npm.log"));

  linkPackages(folder);
  const CARGO_HOME = join(folder, "cargo-home");
  mkdirSync(CARGO_HOME);
  const elsewhere = `[source.crates-io]\nreplace-with = "nobody"\n[source.nobody]\nregistry = "sparse+${nobody}"\n[net]\nretry = 0\n`;
  writeFileSync(join(CARGO_HOME, "config.toml"), elsewhere);
  const cargo = { CARGO_HOME, KEYWARD_TOOLS: join(folder, "tools-of-nobody") };
  assert.match(await setupFails(folder, cargo), fails("building wasm-bindgen", "tools.log"));
});

test("a failed set-up leaves no process running", async (t) => {
  const folder = copy(t);
  const PATH = join(folder, "programs");
  mkdirSync(PATH);
  for (const tool of ["sh", "env", "node", "rustc", "cc", "gcc", "clang", "sleep"])
    if (inPath(tool)) symlinkSync(inPath(tool), join(PATH, tool));
  const program = (name, ...lines) =>
    writeFileSync(join(PATH, name), ["#!/bin/sh", '[ "$1" = --version ] && echo 99.0.0 && exit', ...lines].join("\n"), {
      mode: 0o755,
    });
  program("npm", "echo $$ > npm.pid", "exec sleep 1000");
  // Not before the other one runs.
  program("cargo", "while ! [ -s ../npm.pid ]; do sleep 0.1; done", "exit 1");
  assert.match(
    await setupFails(folder, { PATH, KEYWARD_TOOLS: join(folder, "tools-of-nobody") }),
    /^error: building wasm-bindgen/,
  );
  const pid = Number(readFileSync(join(folder, "npm.pid"), "utf8"));
  t.after(() => {
    try {
      process.kill(pid);
    } catch {
      /* as it should be */
    }
  });
  await waitFor("npm to end", () => {
    try {
      return !process.kill(pid, 0);
    } catch (error) {
      return /** @type {NodeJS.ErrnoException} */ (error).code === "ESRCH";
    }
  });
});

test("a browser that is not where CHROMIUM says is named", async (t) => {
  const folder = copy(t);
  linkPackages(folder);
  assert.match(
    await setupFails(folder, { CHROMIUM: "/no/chromium" }, "--chromium"),
    /^error: CHROMIUM is set to \/no\/chromium, which is not there\n/,
  );
});

test("a Python that is not there, too old or not whole is named, and how to get another one", async (t) => {
  const folder = copy(t);
  linkPackages(folder);
  const old = join(folder, "python");
  const answers = (lines) => writeFileSync(old, ["#!/bin/sh", ...lines, ""].join("\n"), { mode: 0o755 });
  const failure = () => setupFails(folder, { PYTHON: old }, "--python");
  assert.match(
    await failure(),
    /^error: PYTHON is set to \S+\/python, which cannot be run\n {2}Set it to a Python, or unset it\.\n/,
  );
  answers(["echo 3.9.2"]);
  assert.match(
    await failure(),
    /^error: \S+\/python is Python 3\.9\.2: 3\.10 or newer is needed\n {2}Install Python 3\.10 or newer/,
  );
  answers(['case "$2" in *ensurepip*) exit 1;; esac', "echo 3.13.1"]);
  assert.match(
    await failure(),
    /^error: \S+\/python has no modules venv and ensurepip, or cannot be run\n {2}Install Python 3\.10 or newer/,
  );
});
