// A newcomer's first minutes: what `npm start` prints holds, and `wrangler dev` by itself runs the same.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { before, openLog } from "../../scripts/lib/log.mjs";
import { Admin } from "./harness/admin.mjs";
import { runCommands } from "./harness/commands.mjs";
import { runnable } from "./harness/documents.mjs";
import { freePort } from "./harness/ports.mjs";
import { ask, copy, copyBuild, linkPackages, run, start, statusOf, wranglerEnv } from "./harness/project.mjs";
import { waitFor } from "./harness/wait.mjs";

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
  // From the first owner to a key, by README's own lines.
  await runCommands(t, runnable("README.md"), { gate: admin.base, env: { SETUP_TOKEN: token } });
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
    assert.equal((await ask(url)).status, 200, `${url} is printed as something to open`);
  }
  // The key is known; whether its minute is over depends on how long the restart took.
  assert.equal(await statusOf(requests[2].line), "403");
  await admin.signIn({ email: "you@example.com", password: "a long passphrase of yours" });
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
  const encoded = Buffer.from(key).toString("hex").replace(/../g, "%$&");
  for (const target of [`/api/orders/${key}`, `/api/orders/${encoded}`, `/api/orders?api_key=${key}`, `/${key}/b`])
    await ask(`http://127.0.0.1:${port}${target}`);
  const log = () => readFileSync(join(folder, "target", "logs", "gate.log"), "utf8");
  await waitFor("the last request in the log", () => /GET \/…\/b 404/.test(log()));
  assert.match(log(), /GET \/api\/orders\/… 40\d/);
  for (const text of [key, encoded]) assert.ok(!log().includes(text), log());
  await gate.stop();
});

test("a long log is kept, and a new one is begun", (t) => {
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
    env: wranglerEnv(folder),
    detached: true,
  });
  t.after(() => wrangler.stop());
  const base = `http://127.0.0.1:${port}`;
  await waitFor("the gate", async () => (await ask(`${base}/healthz`)).ok);
  const made = await ask(`${base}/api/admin/api-keys`, {
    method: "POST",
    headers: { Authorization: `Setup ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ name: "x", scopes: ["orders:read"] }),
  });
  const { plaintextKey } = await made.json();
  const passed = await ask(`${base}/api/orders?a=b`, { headers: { Authorization: `Bearer ${plaintextKey}` } });
  assert.equal(passed.status, 200);
  const { query, headers } = await passed.json();
  assert.equal(query, "a=b");
  assert.equal(headers["keyward-scopes"], "orders:read");
  assert.equal(headers.authorization, undefined);
});
