// `npm start`, `wrangler dev`, `wrangler deploy` and the tests in one folder, at the same time: none of them takes what
// another is writing.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { Log, LogLevel, Miniflare } from "miniflare";
import { parse } from "smol-toml";

import { Line } from "../../scripts/lib/line.mjs";
import { root, toolEnv } from "../../scripts/lib/places.mjs";
import { freePort } from "./harness/ports.mjs";
import { ask, copy, copyBuild, linkPackages, run, start } from "./harness/project.mjs";
import { waitFor } from "./harness/wait.mjs";

/** The files in this folder's build/ that are deployed or tested, and when they were written. */
const written = (folder) =>
  readdirSync(join(folder, "build"))
    .filter((name) => statSync(join(folder, "build", name)).isFile())
    .map((name) => [name, statSync(join(folder, "build", name)).mtimeMs]);

/** `wrangler deploy --dry-run` of a policy in this folder: its status, what it said, and the text of the Worker that it would upload. */
async function deploy(folder, policy = "keyward.toml") {
  const out = join(folder, `bundle-${policy}`);
  const {
    code = 0,
    stdout,
    stderr,
  } = await promisify(execFile)(join(root, "node_modules/.bin/wrangler"), ["deploy", "--dry-run", "--outdir", out], {
    cwd: folder,
    timeout: 300_000,
    env: { ...toolEnv(), KEYWARD_QUICK: "1", KEYWARD_POLICY: policy },
  }).catch((error) => error);
  const [name] = existsSync(out) ? readdirSync(out).filter((file) => file.endsWith(".js")) : [];
  const script = name ? readFileSync(join(out, name), "utf8") : "";
  return { code, said: stdout + stderr, script, out };
}

/** A copy of the project with what was installed and built here. */
function readyCopy(t) {
  const folder = copy(t);
  linkPackages(folder);
  copyBuild(folder);
  return folder;
}

test("while npm start runs, wrangler deploy uploads its own policy and Worker, and the running gate keeps its own", async (t) => {
  const folder = readyCopy(t);
  const policy = readFileSync(join(folder, "keyward.toml"), "utf8");
  mkdirSync(join(folder, "mine"));
  const mine = join(folder, "mine", "policy.toml");
  writeFileSync(mine, policy.replaceAll("/api/public/", "/api/tried-out/"));
  const before = written(folder);
  const port = await freePort();
  const gate = await start(t, folder, port, {}, "--policy", "mine/policy.toml");
  const holds = (path, status) =>
    waitFor(`${status} for ${path}`, async () => (await ask(`http://127.0.0.1:${port}${path}`)).status === status);
  await holds("/api/tried-out/x", 200);
  writeFileSync(mine, policy.replaceAll("/api/public/", "/api/tried-again/"));
  await holds("/api/tried-again/x", 200);
  assert.deepEqual(written(folder), before, "npm start writes nothing that is deployed");

  const { code, said, script } = await deploy(folder);
  assert.equal(code, 0, said);
  assert.match(script, /\/api\/public\//);
  assert.doesNotMatch(script, /tried-|DemoOrigin|bodySha256/);
  await holds("/api/tried-again/x", 200);
  writeFileSync(mine, policy.replaceAll("/api/public/", "/api/tried-last/"));
  await holds("/api/tried-last/x", 200);
  await gate.stop();
});

test("the Worker that a plain wrangler dev puts in the place of main does not start when it is deployed", async (t) => {
  const folder = readyCopy(t);
  const before = written(folder);
  const dev = run(process.execPath, ["scripts/build.mjs"], {
    cwd: folder,
    env: { ...toolEnv(), WRANGLER_COMMAND: "dev" },
  });
  assert.equal(await dev.ended, 0, dev.text());
  assert.deepEqual(
    written(folder).filter(([name]) => name !== "worker.js"),
    before,
    "and nothing else is there",
  );
  // As if it had built the moment before.
  const wrangler = readFileSync(join(folder, "wrangler.toml"), "utf8");
  writeFileSync(join(folder, "wrangler.toml"), wrangler.replace(/^command = .*/m, 'command = "true"'));
  const { code, said, script, out } = await deploy(folder);
  assert.equal(code, 0, said);
  assert.match(script, /DemoOrigin/, "it was found");
  const { compatibility_date: compatibilityDate, compatibility_flags: compatibilityFlags } =
    /** @type {{ compatibility_date: string, compatibility_flags: string[] }} */ (parse(wrangler));
  const wasm = readdirSync(out).find((name) => name.endsWith(".wasm"));
  const uploaded = new Miniflare({
    log: new Log(LogLevel.NONE),
    workers: [
      {
        config: {
          name: "uploaded",
          compatibilityDate,
          compatibilityFlags,
          manifest: {
            mainModule: "worker.js",
            modules: {
              "worker.js": { type: "esm", contents: script },
              [wasm]: { type: "wasm", contents: new Uint8Array(readFileSync(join(out, wasm))) },
            },
          },
          env: {},
          exports: {},
        },
      },
    ],
  });
  t.after(() => uploaded.dispose().catch(() => {}));
  await assert.rejects(uploaded.ready, /made this Worker, for this machine only/);
});

test("a Worker of one's own is not deployed while npm start builds the same files", async (t) => {
  const folder = readyCopy(t);
  const wrangler = readFileSync(join(folder, "wrangler.toml"), "utf8");
  writeFileSync(join(folder, "wrangler.toml"), wrangler.replace(/^main = .*/m, 'main = "mine.js"'));
  writeFileSync(
    join(folder, "mine.js"),
    'export * from "./build/worker.js";\nexport { default } from "./build/worker.js";\n',
  );
  const started = run("sleep", ["1000"], {});
  t.after(() => started.stop());
  new Line(join(folder, ".keyward", "started")).join("http://127.0.0.1:8787, keyward.toml", started.child.pid);
  const refused = await deploy(folder);
  assert.notEqual(refused.code, 0, refused.said);
  assert.match(refused.said, new RegExp(`error: npm start runs in this folder \\(process ${started.child.pid}\\)`));
  await started.stop();
  const { code, said, script } = await deploy(folder);
  assert.equal(code, 0, said);
  assert.match(script, /\/api\/public\//);
});

test("wrangler dev is refused while npm start runs, which builds the same files", async (t) => {
  const folder = readyCopy(t);
  const started = run("sleep", ["1000"], {});
  t.after(() => started.stop());
  new Line(join(folder, ".keyward", "started")).join("http://127.0.0.1:8787, mine.toml", started.child.pid);
  const dev = run(process.execPath, ["scripts/build.mjs"], {
    cwd: folder,
    env: { ...toolEnv(), WRANGLER_COMMAND: "dev" },
  });
  assert.equal(await dev.ended, 1, dev.text());
  assert.match(dev.text(), /error: npm start runs in this folder .*: http:\/\/127\.0\.0\.1:8787, mine\.toml\n/);
});

test("while a policy is deployed, another one is not put in its place, and the Worker that is uploaded has the one that was checked", async (t) => {
  const folder = readyCopy(t);
  const policy = readFileSync(join(folder, "keyward.toml"), "utf8");
  writeFileSync(join(folder, "other.toml"), policy.replaceAll("/api/public/", "/api/other/"));
  // The first one is held between its build and its bundle, as by a slow machine.
  const wrangler = readFileSync(join(folder, "wrangler.toml"), "utf8");
  const held = (more) => writeFileSync(join(folder, "wrangler.toml"), wrangler.replace(/^command = .*/m, more));
  held('command = "node scripts/build.mjs && touch built && while [ -e built ] && [ ! -e go ]; do sleep 0.1; done"');
  const first = deploy(folder);
  await waitFor("the build", () => existsSync(join(folder, "built")), { timeoutMs: 120_000 });
  held('command = "node scripts/build.mjs"');
  const refused = await deploy(folder, "other.toml");
  assert.notEqual(refused.code, 0, refused.said);
  assert.match(refused.said, /error: process \d+ is deploying this folder with another policy, keyward\.toml\n/);
  const built = run(process.execPath, ["scripts/build.mjs", "--policy", "other.toml", "--quick"], { cwd: folder });
  assert.equal(await built.ended, 1, built.text());
  assert.match(built.text(), /\nerror: process \d+ is deploying this folder with another policy, keyward\.toml\n/);
  const again = await deploy(folder);
  assert.equal(again.code, 0, again.said);

  writeFileSync(join(folder, "go"), "");
  for (const { code, said, script } of [await first, again]) {
    assert.equal(code, 0, said);
    assert.match(script, /\/api\/public\//);
    assert.doesNotMatch(script, /\/api\/other\//);
  }
  const other = await deploy(folder, "other.toml");
  assert.equal(other.code, 0, other.said);
  assert.match(other.script, /\/api\/other\//);
});
