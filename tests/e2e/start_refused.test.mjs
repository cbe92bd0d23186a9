// What `npm start` says before it does anything, where it cannot end well.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";

import { Line } from "../../scripts/lib/line.mjs";
import { freePort } from "./harness/ports.mjs";
import { copy, copyBuild, linkPackages, run } from "./harness/project.mjs";

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
  t.after(() => first.stop());
  const started = new Line(join(folder, ".keyward", "started"));
  started.join("http://127.0.0.1:8787, keyward.toml", first.child.pid);
  const second = run(process.execPath, ["scripts/start.mjs", "--port", String(await freePort())], { cwd: folder });
  assert.equal(await second.ended, 1, second.text());
  assert.match(
    second.text(),
    new RegExp(
      `^\nerror: npm start runs already in this folder \\(process ${first.child.pid}\\): http://127.0.0.1:8787, keyward.toml\n`,
    ),
  );
  assert.equal(started.first()?.pid, first.child.pid, "it is still the first one's");
  await first.stop();
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
    [
      `KEYWARD_SECRET=${fit}\nKEYWARD_RECOVERY_TOKEN=short`,
      /^\nerror: KEYWARD_RECOVERY_TOKEN in \.dev\.vars can be guessed.*\n {2}Take its line out/,
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
