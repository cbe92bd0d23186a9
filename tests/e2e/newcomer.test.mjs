// A newcomer's first minutes: what `npm start` prints holds, and what set-up says when something is
// not there. Each test has a copy of the project; what was installed and built here is used again.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { test } from "node:test";

import { inPath, root, toolsKey } from "../../scripts/lib/places.mjs";
import { Admin, OWNER } from "./harness/admin.mjs";
import { freePort } from "./harness/ports.mjs";
import { waitFor } from "./harness/wait.mjs";

/** What is made by installing, building and running. */
const MADE = [".dev.vars", ".git", ".keyward", "build", "node_modules", "target"];

/** A copy of the project as it is before anything was made in it, until the end of the test. */
function copy(t) {
  const folder = mkdtempSync(join(tmpdir(), "keyward-copy-"));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));
  cpSync(root, folder, { recursive: true, filter: (path) => !MADE.includes(relative(root, path)) && basename(path) !== ".wrangler" });
  return folder;
}

/** Puts the Worker that was built here into a copy. */
function copyBuild(folder) {
  for (const name of ["index.js", "index_bg.wasm", ".keyward-inputs"]) cpSync(join(root, "build", name), join(folder, "build", name));
}

/** Puts the packages that are installed here into a copy, one by one: npm could remove no more than the links. */
function linkPackages(folder) {
  const [from, to] = [root, folder].map((place) => join(place, "node_modules"));
  mkdirSync(to);
  for (const name of readdirSync(from)) {
    if (name === ".keyward-lock") cpSync(join(from, name), join(to, name));
    else symlinkSync(join(from, name), join(to, name));
  }
}

/** Runs a program: `ended` gives its status, `text()` is all that it has printed so far. */
function run(command, args, options) {
  const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (chunk) => { text += chunk; });
  const ended = new Promise((resolve, reject) => child.on("error", reject).on("close", (code, signal) => resolve(signal ?? code)));
  return { child, ended, text: () => text };
}

/**
 * `npm start` in this folder, once it is ready: the `lines` that it ended with, `text()`, and `stop()`,
 * which is Ctrl-C.
 */
async function start(t, folder, port, env) {
  const options = { cwd: folder, env: { ...process.env, ...env } };
  const { child, ended, text } = run(process.execPath, ["scripts/start.mjs", "--port", String(port)], options);
  t.after(async () => {
    child.kill("SIGINT");
    await ended;
  });
  const isReady = () => /\n {2}Its log .+\n/.test(text());
  const ready = new Promise((resolve) => child.stdout.on("data", () => isReady() && resolve()));
  await Promise.race([ready, ended]);
  assert.ok(isReady(), text());
  const stop = async () => {
    child.kill("SIGINT");
    assert.equal(await ended, 0, text());
  };
  return { lines: text().slice(text().indexOf("Keyward is running")).trim().split("\n"), text, stop };
}

/** The status that a printed line gets: the last one, where it sends several requests. */
async function statusOf(line) {
  const shell = run("sh", ["-c", line]);
  assert.equal(await shell.ended, 0, shell.text());
  return shell.text().match(/^HTTP\/1\.1 \d{3}/gm).at(-1).slice(-3);
}

/** Runs set-up in this folder, where it has to fail; what it says of that. */
async function setupFails(folder, env, ...args) {
  const setup = run(process.execPath, ["scripts/setup.mjs", ...args], { cwd: folder, env: { ...process.env, ...env } });
  assert.equal(await setup.ended, 1, setup.text());
  return setup.text().slice(setup.text().indexOf("\nerror: ") + 1);
}

test("npm start prints lines that do what they say, and knows everything again after a restart", async (t) => {
  const folder = copy(t);
  linkPackages(folder);
  copyBuild(folder);
  const port = await freePort();
  const admin = new Admin(`http://127.0.0.1:${port}`);

  const first = await start(t, folder, port);
  assert.match(first.text(), /Building the Worker: in place/, "a whole build is enough for it");
  assert.ok(first.lines.length <= 20, first.lines.join("\n"));
  const requests = first.lines.map((line) => line.match(/^ {2}(\d{3}) {2}(.+)$/)).filter(Boolean).map(([, status, line]) => ({ status, line }));
  assert.deepEqual(requests.map(({ status }) => status), ["200", "401", "403", "429"]);
  for (const { status, line } of requests) assert.equal(await statusOf(line), status, line);
  const secrets = join(folder, ".dev.vars");
  assert.equal(statSync(secrets).mode & 0o777, 0o600);
  const [, token] = readFileSync(secrets, "utf8").match(/^KEYWARD_SETUP_TOKEN=(.+)$/m);
  assert.ok(first.lines.includes(`  Admin page  ${admin.base}/admin/#setup=${token}`), first.lines.join("\n"));
  await admin.setUp(token);
  const [readme] = readFileSync(join(root, "README.md"), "utf8").match(/(?<=```sh\n)curl -X POST [^`]+/);
  const made = run("sh", ["-c", readme.replace("curl", "curl -sS").replace(":8787", `:${port}`)], { env: { ...process.env, SESSION_TOKEN: admin.token } });
  assert.equal(await made.ended, 0, made.text());
  assert.match(JSON.parse(made.text()).plaintextKey, /^kw_live_/);
  await first.stop();

  const second = await start(t, folder, port);
  assert.deepEqual(second.lines, first.lines, "the same key, the same secrets");
  // The key is known; whether its minute is over depends on how long the restart took.
  assert.equal(await statusOf(requests[2].line), "403");
  await admin.signIn(OWNER);
  const { apiKeys } = await admin.must("GET", "/api-keys");
  assert.deepEqual(apiKeys.map(({ name, status }) => [name, status]), [["Nightly export", "ACTIVE"], ["Demo key", "ACTIVE"]]);
  await second.stop();
});

test("a mistake in the policy of a gate that runs is told at once, and so is that it was mended", async (t) => {
  const folder = copy(t);
  linkPackages(folder);
  copyBuild(folder);
  const port = await freePort();
  const mistake = ["error: keyward.toml:1: this is wrong", "  hint: take it out"];
  // A compiler that does nothing but find this, and says it as Cargo says what a build script said.
  const tools = join(folder, "tools-for-this", toolsKey());
  mkdirSync(tools, { recursive: true });
  const output = [...mistake.map((line) => `  ${line}`), "caused by that"].join("\n");
  writeFileSync(join(tools, "worker-build"), `#!/bin/sh\ngrep -q wrong keyward.toml || exit 0\ncat <<END\n${output}\nEND\nexit 1\n`, { mode: 0o755 });
  writeFileSync(join(tools, "bindgen"), "");

  const gate = await start(t, folder, port, { KEYWARD_TOOLS: dirname(tools) });
  const said = (what) => waitFor(what, () => gate.text().split("Its log").at(-1).includes(what), { timeoutMs: 60_000 });
  const policy = join(folder, "keyward.toml");
  const right = readFileSync(policy, "utf8");
  writeFileSync(policy, `wrong\n${right}`);
  await said("keyward.toml has changed");
  await said(["error: the policy keyward.toml is wrong", ...mistake].join("\n  "));
  assert.ok(!gate.text().includes("caused by that"), gate.text());
  writeFileSync(policy, right);
  await said("The gate runs with it.");
  assert.equal((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200);
  await gate.stop();
});

test("a tool that is missing is named, with what to do", async (t) => {
  const folder = copy(t);
  const tools = ["sh", "env", "node", "npm", "rustc", "cargo", "cc", "gcc", "clang"];
  for (const [without, says] of [
    [["npm"], /^error: npm is not in PATH\n .*nodejs\.org/],
    [["rustc"], /^error: rustc is not in PATH.*\n .*rustup\.rs/],
    [["cargo"], /^error: cargo is not in PATH.*\n .*rustup\.rs/],
    [["cc", "gcc", "clang"], /^error: no C compiler .*\n .*apt-get install build-essential/],
  ]) {
    const PATH = join(folder, `without-${without[0]}`);
    mkdirSync(PATH);
    for (const tool of tools) if (!without.includes(tool) && inPath(tool)) symlinkSync(inPath(tool), join(PATH, tool));
    assert.match(await setupFails(folder, { PATH }), says);
  }
});

test("a download that fails is named, with what to do and where everything is that was said", async (t) => {
  const nobody = `http://127.0.0.1:${await freePort()}/`;
  const folder = copy(t);
  const fails = (what, log) => new RegExp(`^error: ${what} failed .*\n[^]*Everything it said: .*/target/logs/${log}\n.*Is the network reachable\\?`);

  const npm = { npm_config_registry: nobody, npm_config_fetch_retries: "0", npm_config_cache: join(folder, "npm-cache") };
  assert.match(await setupFails(folder, npm), fails("npm ci", "npm.log"));

  linkPackages(folder);
  const CARGO_HOME = join(folder, "cargo-home");
  mkdirSync(CARGO_HOME);
  const elsewhere = `[source.crates-io]\nreplace-with = "nobody"\n[source.nobody]\nregistry = "sparse+${nobody}"\n[net]\nretry = 0\n`;
  writeFileSync(join(CARGO_HOME, "config.toml"), elsewhere);
  const cargo = { CARGO_HOME, KEYWARD_TOOLS: join(folder, "tools-of-nobody") };
  assert.match(await setupFails(folder, cargo), fails("building worker-build and wasm-bindgen", "tools.log"));
});

test("what fails leaves nothing running", async (t) => {
  const folder = copy(t);
  const PATH = join(folder, "programs");
  mkdirSync(PATH);
  for (const tool of ["sh", "env", "node", "rustc", "cc", "gcc", "clang", "sleep"]) if (inPath(tool)) symlinkSync(inPath(tool), join(PATH, tool));
  const program = (name, ...lines) => writeFileSync(join(PATH, name), ["#!/bin/sh", '[ "$1" = --version ] && echo 99.0.0 && exit', ...lines].join("\n"), { mode: 0o755 });
  program("npm", "echo $$ > npm.pid", "exec sleep 1000");
  // Not before the other one runs.
  program("cargo", "while ! [ -s ../npm.pid ]; do sleep 0.1; done", "exit 1");
  assert.match(await setupFails(folder, { PATH, KEYWARD_TOOLS: join(folder, "tools-of-nobody") }), /^error: building worker-build/);
  const pid = Number(readFileSync(join(folder, "npm.pid"), "utf8"));
  t.after(() => { try { process.kill(pid); } catch { /* as it should be */ } });
  await waitFor("npm to end", () => { try { return !process.kill(pid, 0); } catch ({ code }) { return code === "ESRCH"; } });
});

test("a browser that is not where CHROMIUM says is named", async (t) => {
  const folder = copy(t);
  linkPackages(folder);
  assert.match(await setupFails(folder, { CHROMIUM: "/no/chromium" }, "--chromium"), /^error: CHROMIUM is set to \/no\/chromium, which is not there\n/);
});
