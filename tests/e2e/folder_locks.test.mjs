// Processes that would write the same files of one folder, each in its turn, whenever one of them is killed.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { Line } from "../../scripts/lib/line.mjs";
import { root } from "../../scripts/lib/places.mjs";
import { run } from "./harness/project.mjs";
import { waitFor } from "./harness/wait.mjs";

/** A folder with the scripts that processes take turns by: its path, and what they export. */
async function folderOf(t) {
  const folder = mkdtempSync(join(tmpdir(), "keyward-turns-"));
  t.after(() => rmSync(folder, { recursive: true }));
  cpSync(join(root, "scripts/lib"), join(folder, "scripts/lib"), { recursive: true });
  const module = await import(pathToFileURL(join(folder, "scripts/lib/running.mjs")).href);
  return { folder, compilingAlone: module.compilingAlone, line: new Line(join(folder, "build", ".compiling")) };
}

/** Runs this code in a process of its own, in the folder. */
function runs(t, folder, code) {
  // A file for each: one that is written again is empty for a moment, and a process that starts just then does nothing.
  const file = join(folder, `${randomUUID()}.mjs`);
  writeFileSync(file, code);
  const started = run(process.execPath, [file], { cwd: folder });
  t.after(() => started.stop("SIGKILL"));
  return started;
}

/** A process that runs until it is killed. */
function idle(t) {
  const { child, stop } = run("sleep", ["1000"], {});
  t.after(() => stop("SIGKILL"));
  return { pid: child.pid, kill: () => stop("SIGKILL") };
}

test("those who compile take turns, in the order in which they came, also where one fails", async (t) => {
  const { compilingAlone } = await folderOf(t);
  const order = [];
  let end;
  const first = compilingAlone(assert.fail, async () => {
    order.push("first begins");
    await new Promise((resolve) => {
      end = resolve;
    });
    order.push("first ends");
    throw new Error("failed");
  });
  await waitFor("the first", () => order.length > 0);
  const told = [];
  const second = compilingAlone(
    (text) => told.push(text),
    async () => order.push("second begins"),
  );
  const third = compilingAlone(
    () => {},
    async () => order.push("third begins"),
  );
  await waitFor("the second to wait", () => told.length > 2);
  assert.match(told[0], new RegExp(`process ${process.pid}`));
  end();
  await assert.rejects(first, /failed/);
  await Promise.all([second, third]);
  assert.deepEqual(order, ["first begins", "first ends", "second begins", "third begins"]);
  await compilingAlone(assert.fail, async () => {});
});

test("what a killed process has left does not hold anybody up, and no two take its turn", async (t) => {
  const { folder } = await folderOf(t);
  // Each ends in the middle of its turn, and the next one, of all that wait for it, makes sure that it has.
  const code = `
    import { spawnSync } from "node:child_process";
    import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
    import { compilingAlone } from "./scripts/lib/running.mjs";
    await compilingAlone(() => {}, () => {
      const before = existsSync("holder") && Number(readFileSync("holder", "utf8"));
      if (before) {
        try { process.kill(before, 0); process.exit(1); } catch (error) { if (error.code !== "ESRCH") process.exit(1); }
      }
      writeFileSync("holder", String(process.pid));
      spawnSync("true");
      if (readFileSync("holder", "utf8") !== String(process.pid)) process.exit(1);
      appendFileSync("turns", process.pid + "\\n");
      process.kill(process.pid, "SIGKILL");
    });`;
  const processes = Array.from({ length: 10 }, () => runs(t, folder, code));
  for (const { ended, text } of processes) assert.equal(await ended, "SIGKILL", text());
  const turns = readFileSync(join(folder, "turns"), "utf8").trim().split("\n").map(Number);
  assert.deepEqual(turns.sort(), processes.map(({ child }) => child.pid).sort());
});

test("who has no number yet is waited for, unless it was killed", async (t) => {
  const { compilingAlone, folder, line } = await folderOf(t);
  const [dead, alive] = [idle(t), idle(t)];
  line.join("", dead.pid);
  writeFileSync(join(folder, "build", ".compiling", `arriving.x.${dead.pid}`), "");
  await dead.kill();
  await compilingAlone(assert.fail, async () => {});

  // It may have looked before this process came, and get the same number, or a lower one.
  writeFileSync(join(folder, "build", ".compiling", `arriving.x.${alive.pid}`), "");
  const told = [];
  let hasBegun = false;
  const waiting = compilingAlone(
    (text) => told.push(text),
    async () => {
      hasBegun = true;
    },
  );
  await waitFor("it to wait", () => told.length > 2);
  assert.match(told[0], new RegExp(`process ${alive.pid}`));
  assert.ok(!hasBegun);
  await alive.kill();
  await waiting;
  assert.ok(hasBegun);
});

test("of several npm start at once one runs, and the others name it", async (t) => {
  const { folder } = await folderOf(t);
  const code = `
    import { beTheOnlyOne } from "./scripts/lib/running.mjs";
    await beTheOnlyOne("it is me", { command: "npm start", folder: process.cwd(), another: "clone it" }).then(
      () => console.log("mine"),
      (error) => console.log(error.message),
    );
    console.log("told");
    setInterval(() => {}, 1_000);`;
  const processes = Array.from({ length: 6 }, () => runs(t, folder, code));
  for (const { text } of processes) await waitFor("it to tell", () => text().endsWith("told\n"));
  const [owner, ...more] = processes.filter(({ text }) => text() === "mine\ntold\n");
  assert.deepEqual(more, []);
  for (const one of processes.filter((one) => one !== owner))
    assert.equal(one.text(), `npm start runs already in this folder (process ${owner.child.pid}): it is me\ntold\n`);
});
