// A newcomer's first minutes: what `npm start` prints holds, and what set-up says when something is
// not there. Each test has a copy of the project; what was installed and built here is used again.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { test } from "node:test";

import { before, openLog } from "../../scripts/lib/log.mjs";
import { inPath, root, toolEnv } from "../../scripts/lib/places.mjs";
import { cratesIn } from "../../scripts/lib/progress.mjs";
import { readSecrets } from "../../scripts/lib/secrets.mjs";
import { Admin, OWNER } from "./harness/admin.mjs";
import { freePort } from "./harness/ports.mjs";
import { waitFor } from "./harness/wait.mjs";

/** What is made by installing, building and running. */
const MADE = [".dev.vars", ".git", ".keyward", "build", "node_modules", "target"];

/** A copy of the project as it is before anything was made in it, until the end of the test. */
function copy(t) {
  const folder = mkdtempSync(join(tmpdir(), "keyward-copy-"));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));
  cpSync(root, folder, {
    recursive: true,
    filter: (path) => !MADE.includes(relative(root, path)) && basename(path) !== ".wrangler",
  });
  return folder;
}

/** Puts the Worker that was built here into a copy. */
function copyBuild(folder) {
  for (const name of ["keyward.js", "keyward.wasm", ".keyward-gate", "check"])
    cpSync(join(root, "build", name), join(folder, "build", name), { recursive: true });
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
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
    });
  const ended = new Promise((resolve, reject) =>
    child.on("error", reject).on("close", (code, signal) => resolve(signal ?? code)),
  );
  return { child, ended, text: () => text };
}

/**
 * `npm start` in this folder, once it is ready: the `lines` that it ended with, `text()`, and `stop()`,
 * which is Ctrl-C.
 */
async function start(t, folder, port, env, ...args) {
  // INIT_CWD is where npm was called.
  const options = { cwd: folder, env: { ...process.env, INIT_CWD: folder, ...env } };
  const { child, ended, text } = run(process.execPath, ["scripts/start.mjs", "--port", String(port), ...args], options);
  t.after(async () => {
    child.kill("SIGINT");
    await ended;
  });
  const isReady = () => /\n {2}Its log .+\n/.test(text());
  const ready = new Promise((resolve) => child.stdout.on("data", () => isReady() && resolve(undefined)));
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
  return shell
    .text()
    .match(/^HTTP\/1\.1 \d{3}/gm)
    .at(-1)
    .slice(-3);
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
  const requests = first.lines
    .map((line) => line.match(/^ {2}(\d{3}) {2}(.+)$/))
    .filter(Boolean)
    .map(([, status, line]) => ({ status, line }));
  assert.deepEqual(
    requests.map(({ status }) => status),
    ["200", "401", "403", "429"],
  );
  for (const { status, line } of requests) assert.equal(await statusOf(line), status, line);
  const secrets = join(folder, ".dev.vars");
  assert.equal(statSync(secrets).mode & 0o777, 0o600);
  const [, token] = readFileSync(secrets, "utf8").match(/^KEYWARD_SETUP_TOKEN=(.+)$/m);
  assert.ok(first.lines.includes(`  Admin page  ${admin.base}/admin/#setup=${token}`), first.lines.join("\n"));
  await admin.setUp(token);
  const [readme] = readFileSync(join(root, "README.md"), "utf8").match(/(?<=```sh\n)curl -X POST [^`]+/);
  const made = run("sh", ["-c", readme.replace("curl", "curl -sS").replace(":8787", `:${port}`)], {
    env: { ...process.env, SESSION_TOKEN: admin.token },
  });
  assert.equal(await made.ended, 0, made.text());
  assert.match(JSON.parse(made.text()).plaintextKey, /^kw_live_/);
  await first.stop();

  const second = await start(t, folder, port);
  // The set-up is done, so its link would lead nowhere.
  assert.deepEqual(
    second.lines,
    first.lines.map((line) => line.replace(`#setup=${token}`, "")),
    "the same key, the same secrets",
  );
  for (const [url] of second.lines
    .filter((line) => !line.includes("curl"))
    .join("\n")
    .matchAll(/http:\S+/g)) {
    assert.equal((await fetch(url)).status, 200, `${url} is printed as something to open`);
  }
  // The key is known; whether its minute is over depends on how long the restart took.
  assert.equal(await statusOf(requests[2].line), "403");
  await admin.signIn(OWNER);
  const { apiKeys } = await admin.must("GET", "/api-keys");
  assert.deepEqual(
    apiKeys.map(({ name, status }) => [name, status]),
    [
      ["Nightly export", "ACTIVE"],
      ["Demo key", "ACTIVE"],
    ],
  );
  await second.stop();

  rmSync(join(folder, ".keyward", "demo-key"));
  const third = await start(t, folder, port);
  const shown = third.lines.filter((line) => /curl|KEY/.test(line)).map((line) => line.trim());
  assert.deepEqual(
    shown.map((line) => line.slice(0, 3)),
    ["200", "401", "KEY"],
    third.lines.join("\n"),
  );
  const { plaintextKey } = await admin.must("POST", "/api-keys", { name: "Mine", scopes: ["orders:read"] });
  assert.equal(await statusOf(`KEY=${plaintextKey}; ${shown[0].slice(3)}`), "200");
  await third.stop();

  const log = readFileSync(join(folder, "target", "logs", "gate.log"), "utf8");
  assert.equal(log.match(/^\S+Z npm start: /gm).length, 3, "of all starts");
  for (const line of log.trim().split("\n")) assert.match(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z .*\S/);
  assert.match(log, /Z GET \/api\/orders 200 \d+ ms [0-9a-f]{32}$/m);
  assert.match(log, /Z POST \/api\/orders 403 \d+ ms [0-9a-f]{32}$/m);
});

test("no key that stands in a URL gets into the log", async (t) => {
  const folder = copy(t);
  linkPackages(folder);
  copyBuild(folder);
  const port = await freePort();
  const gate = await start(t, folder, port);
  const [key] = gate.lines.join("\n").match(/kw_live_\w+/) ?? assert.fail(gate.lines.join("\n"));
  for (const target of [`/api/orders/${key}`, `/api/orders?api_key=${key}`, `/${key}/b`])
    await fetch(`http://127.0.0.1:${port}${target}`);
  const log = () => readFileSync(join(folder, "target", "logs", "gate.log"), "utf8");
  await waitFor("the last request in the log", () => /GET \/…\/b 404/.test(log()));
  assert.match(log(), /GET \/api\/orders\/… 40\d/);
  assert.ok(!log().includes(key));
  await gate.stop();
});

test("a log that becomes long is kept, and a new one begun", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "keyward-log-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "gate.log");
  for (const [start, words] of [
    ["first", ["a", "b"]],
    ["second", ["c"]],
  ]) {
    const log = openLog(file, 50);
    for (const word of words) log.write(`${start} ${word}`);
  }
  const words = (path) =>
    readFileSync(path, "utf8")
      .trim()
      .split("\n")
      .map((line) => line.split(" ").slice(1).join(" "));
  assert.deepEqual([words(before(file)), words(file)], [["first a", "first b"], ["second c"]]);
});

test("after npm run setup, npx wrangler dev by itself runs the gate in front of the demo origin", async (t) => {
  const folder = copy(t);
  linkPackages(folder);
  copyBuild(folder);
  const setup = run(process.execPath, ["scripts/setup.mjs"], { cwd: folder });
  assert.equal(await setup.ended, 0, setup.text());
  const [, token] = readFileSync(join(folder, ".dev.vars"), "utf8").match(/^KEYWARD_SETUP_TOKEN=(.+)$/m);
  const port = await freePort();
  // A group of its own, since npx hands on no signals.
  const wrangler = run("npx", ["wrangler", "dev", "--port", String(port)], {
    cwd: folder,
    env: toolEnv(),
    detached: true,
  });
  t.after(async () => {
    process.kill(-wrangler.child.pid, "SIGTERM");
    await wrangler.ended;
  });
  const base = `http://127.0.0.1:${port}`;
  await waitFor("the gate", async () => (await fetch(`${base}/healthz`)).ok, { timeoutMs: 60_000 });
  const made = await fetch(`${base}/api/admin/api-keys`, {
    method: "POST",
    headers: { Authorization: `Setup ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ name: "x", scopes: ["orders:read"] }),
  });
  const { plaintextKey } = await made.json();
  const passed = await fetch(`${base}/api/orders?a=b`, { headers: { Authorization: `Bearer ${plaintextKey}` } });
  assert.equal(passed.status, 200);
  const { query, headers } = await passed.json();
  assert.equal(query, "a=b");
  assert.equal(headers["keyward-scopes"], "orders:read");
  assert.equal(headers.authorization, undefined);
});

test("a port that is in use is told before anything else is done, with one that is free", async (t) => {
  const folder = copy(t);
  const server = createServer();
  t.after(() => server.close());
  const port = await freePort();
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  for (const [args, env] of /** @type {[string[], NodeJS.ProcessEnv][]} */ ([
    [["--port", String(port)], {}],
    [[], { npm_config_port: String(port) }],
  ])) {
    const started = run(process.execPath, ["scripts/start.mjs", ...args], {
      cwd: folder,
      env: { ...process.env, ...env },
    });
    assert.equal(await started.ended, 1, started.text());
    const [, other] =
      started
        .text()
        .match(new RegExp(`^\nerror: port ${port} of 127.0.0.1 is in use\n.* npm start -- --port (\\d+)\n$`)) ?? [];
    assert.ok(Number(other) > port, started.text());
  }
});

test("a second npm start in the same folder is refused while the first runs", async (t) => {
  const folder = copy(t);
  const first = run("sleep", ["1000"], {});
  t.after(() => first.child.kill());
  const running = join(folder, ".keyward", "running");
  mkdirSync(dirname(running));
  writeFileSync(running, `${first.child.pid}\nhttp://127.0.0.1:8787, keyward.toml\n`);
  const second = run(process.execPath, ["scripts/start.mjs", "--port", String(await freePort())], { cwd: folder });
  assert.equal(await second.ended, 1, second.text());
  assert.match(
    second.text(),
    new RegExp(
      `^\nerror: npm start runs already in this folder \\(process ${first.child.pid}\\): http://127.0.0.1:8787, keyward.toml\n`,
    ),
  );
  assert.ok(readFileSync(running, "utf8").startsWith(String(first.child.pid)), "it is still the first one's");
  first.child.kill();
  await first.ended;
  const third = run(process.execPath, ["scripts/start.mjs", "--port", String(await freePort())], {
    cwd: folder,
    env: { ...process.env, PATH: "/nothing" },
  });
  await third.ended;
  assert.match(third.text(), /^\[1\/7\] /, "what is left of one that was killed does not stand in the way");
});

test("a secret that the gate would refuse is told before anything else is done", async (t) => {
  const folder = copy(t);
  for (const secret of ["short", `${"a".repeat(40)},b`, `"${"a".repeat(31)} "`]) {
    writeFileSync(join(folder, ".dev.vars"), `KEYWARD_SECRET=${secret}\n`);
    const started = run(process.execPath, ["scripts/start.mjs", "--port", String(await freePort())], { cwd: folder });
    assert.equal(await started.ended, 1, started.text());
    assert.match(
      started.text(),
      /^\nerror: KEYWARD_SECRET in .*\.dev\.vars is not fit to be one: .*\n.*openssl rand -hex 32\n/,
      secret,
    );
  }
});

test("the secrets of a deployment are kept in a file that git ignores, and the one before stays valid", async (t) => {
  const folder = copy(t);
  linkPackages(folder);
  const file = join(folder, ".keyward", "secrets.env");
  const secrets = async (...args) => {
    const { ended, text } = run(process.execPath, ["scripts/secrets.mjs", ...args], { cwd: folder });
    assert.equal(await ended, 0, text());
    return { text: text(), values: readSecrets(file) };
  };
  const first = await secrets();
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.match(readFileSync(join(root, ".gitignore"), "utf8"), /^\/\.keyward$/m);
  assert.deepEqual(Object.keys(first.values), ["KEYWARD_SECRET", "KEYWARD_SETUP_TOKEN"]);
  assert.ok(first.text.includes(`/admin/#setup=${first.values.KEYWARD_SETUP_TOKEN}`), first.text);
  assert.ok(!first.text.includes(first.values.KEYWARD_SECRET));
  assert.deepEqual((await secrets()).values, first.values);

  const second = await secrets("--rotate");
  assert.notEqual(second.values.KEYWARD_SECRET, first.values.KEYWARD_SECRET);
  assert.equal(second.values.KEYWARD_SECRET_PREVIOUS, first.values.KEYWARD_SECRET);
  const third = await secrets("--rotate", "--policy", join(root, "examples/gw/keyward.toml"));
  assert.equal(third.values.KEYWARD_SECRET_PREVIOUS, `${second.values.KEYWARD_SECRET},${first.values.KEYWARD_SECRET}`);
  assert.equal(third.values.KEYWARD_SETUP_TOKEN, first.values.KEYWARD_SETUP_TOKEN);
  assert.match(third.text, /GW_STRIPE_SECRET, GW_SQUARE_SECRET/);
  assert.equal(statSync(file).mode & 0o777, 0o600);
});

for (const [what, policy, changed] of [
  ["the default policy", "keyward.toml", "keyward.toml"],
  ["a policy of one's own", "mine/policy.toml", "mine/policy.toml"],
  ["a policy that another includes", "mine/policy.toml", "mine/more/included.toml"],
  ["a policy that the default one includes since it runs", "keyward.toml", "mine/more/included.toml"],
]) {
  test(`a change of ${what} holds in a gate that runs, and a mistake is told with its line while the gate goes on`, async (t) => {
    const folder = copy(t);
    linkPackages(folder);
    copyBuild(folder);
    mkdirSync(join(folder, "mine", "more"), { recursive: true });
    const realm = readFileSync(join(root, "keyward.toml"), "utf8");
    const isIncluded = changed.includes("included");
    writeFileSync(join(folder, "mine/policy.toml"), isIncluded ? 'include = ["more/included.toml"]\n' : realm);
    writeFileSync(join(folder, "mine/more/included.toml"), realm);
    const port = await freePort();
    // No compiler: a policy needs none.
    const gate = await start(t, folder, port, {}, "--policy", policy);
    const said = (text) =>
      waitFor(text, () => gate.text().split("Its log").at(-1).includes(text), { timeoutMs: 30_000 });
    const status = async (path) => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
    const holds = (path, expected) =>
      waitFor(`${expected} for ${path}`, async () => (await status(path)) === expected, {
        everyMs: 50,
        timeoutMs: 30_000,
      });
    // As editors do it: another file takes its place.
    const edit = (text, file = join(folder, changed)) => {
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    };
    assert.deepEqual([await status("/api/public/x"), await status("/api/open/x")], [200, 404]);
    if (isIncluded && policy === "keyward.toml") {
      edit(realm.replaceAll("/api/public/", "/api/early/"));
      edit('include = ["mine/more/included.toml"]\n', join(folder, policy));
      await holds("/api/early/x", 200);
    }

    const begun = Date.now();
    edit(realm.replaceAll("/api/public/", "/api/open/"));
    await holds("/api/open/x", 200);
    t.diagnostic(`a change holds after ${Date.now() - begun} ms`);
    assert.equal(await status("/api/public/x"), 404);
    await said(`${changed} has changed.\nThe gate runs with it.`);

    const lines = realm.replaceAll("/api/public/", "/api/open/").split("\n");
    const line = lines.findIndex((text) => text.startsWith("origin = ")) + 1;
    edit(lines.with(line - 1, 'orgin = { binding = "ORIGIN" }').join("\n"));
    await said(`error: the policy ${policy} is wrong`);
    await said("The gate goes on with the policy as it was.");
    const told = gate.text().split("is wrong").at(-1);
    assert.match(told, new RegExp(`error: ${changed}:${line}: .*orgin`));
    assert.match(told, /\borgin = \{ binding = "ORIGIN" \}/, "the line itself");
    assert.match(told, /hint: did you mean .?origin/);
    assert.equal(await status("/api/open/x"), 200, "the policy as it was");

    edit(realm);
    await holds("/api/public/x", 200);
    assert.equal(await status("/api/open/x"), 404);
    await gate.stop();
  });
}

/** Runs `npm start` in this folder, where it has to fail; what it says. */
async function startFails(folder, env, ...args) {
  const begun = run(process.execPath, [...args, "scripts/start.mjs", "--port", String(await freePort())], {
    cwd: folder,
    env: { ...process.env, INIT_CWD: folder, ...env },
  });
  assert.equal(await begun.ended, 1, begun.text());
  return begun.text();
}

test("npm start with a secret that cannot be used says which and what to do, and prints nothing that does not work", async (t) => {
  const folder = copy(t);
  linkPackages(folder);
  copyBuild(folder);
  const fit = "0123456789abcdef0123456789abcdef";
  for (const [secrets, says] of /** @type {[string, RegExp][]} */ ([
    ["KEYWARD_SECRET=short", /^\nerror: KEYWARD_SECRET in \.dev\.vars is not fit .*\n {2}Put a random one/],
    ["KEYWARD_SECRET=", /^\nerror: KEYWARD_SECRET in \.dev\.vars is not fit /],
    [
      `KEYWARD_SECRET=${fit}\nKEYWARD_SECRET_PREVIOUS=${fit},short`,
      /^\nerror: KEYWARD_SECRET_PREVIOUS in \.dev\.vars has one .*\n {2}Take it out/,
    ],
    [
      `KEYWARD_SECRET=${fit}\nKEYWARD_SETUP_TOKEN=short`,
      /^\nerror: KEYWARD_SETUP_TOKEN in \.dev\.vars can be guessed.*\n {2}Take its line out/,
    ],
    // Only the gate knows what is guessed first.
    [
      `KEYWARD_SECRET=${fit}\nKEYWARD_SETUP_TOKEN=passwordpassword1234`,
      /\nerror: The secret KEYWARD_SETUP_TOKEN can be guessed.*\n {2}It stands in \.dev\.vars\. Take its line out/,
    ],
  ])) {
    writeFileSync(join(folder, ".dev.vars"), `${secrets}\n`);
    const said = await startFails(folder);
    assert.match(said, says);
    assert.doesNotMatch(said, /#setup=|curl|short\b.*=|password1234/, "no link, no line");
  }
});

test("npm start with a Node that is too old says so before anything of it is missed", async (t) => {
  const folder = copy(t);
  writeFileSync(join(folder, ".dev.vars"), "KEYWARD_SECRET=short\n");
  // What an old Node does not have; its version is what it is told by.
  const old = join(folder, "old.mjs");
  writeFileSync(
    old,
    'import util from "node:util";\nimport { syncBuiltinESMExports } from "node:module";\ndelete util.parseEnv;\nsyncBuiltinESMExports();\nObject.defineProperty(process, "version", { value: "v18.20.4" });\n',
  );
  assert.match(
    await startFails(folder, {}, "--import", old),
    /^\nerror: Node v18\.20\.4 is too old: 20\.12 or newer is needed\n {2}See https:\/\/nodejs\.org\//,
  );
  // One that has it not at all cannot even link what names it.
  for (const name of readdirSync(join(folder, "scripts"), { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".mjs"),
  )) {
    assert.doesNotMatch(readFileSync(join(folder, "scripts", name), "utf8"), /^import \{[^}]*\bparseEnv\b/m, name);
  }
});

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

test("what fails leaves nothing running", async (t) => {
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
