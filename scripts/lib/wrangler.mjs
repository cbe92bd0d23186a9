// Runs `wrangler dev` for `npm start` and `keyward dev`: its output goes to a log, and the results of changes are printed.

import { spawn } from "node:child_process";
import { EventEmitter } from "node:events";
import { mkdirSync, readFileSync, watchFile, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { openLog } from "./log.mjs";
import { node as defaultNode, logs, root, toolEnv } from "./places.mjs";
import { readPolicies } from "./policy.mjs";
import { Failure, runMain } from "./progress.mjs";

/** The log of the project's own gate, and the wrangler that it is run by. */
export const LOG = join(logs, "gate.log");
export const WRANGLER = join(root, "node_modules", "wrangler", "wrangler-dist", "cli.js");
const READY_WITHIN_MS = 60_000;

/** The one policy that wrangler watches by itself. */
const WATCHED_POLICY = "keyward.toml";
/** The file that it watches instead of all others (wrangler.toml). */
const changedIn = (folder) => join(folder, ".keyward", "changed");

/**
 * Starts a folder's Worker and waits until it responds: `{ stop, tellOfBuilds }`. From a call of `tellOfBuilds` on, the result of
 * each change of the policy or the source is printed.
 * @param {{ command: string, folder: string, node?: string, cli: string, entry?: string[], base: string, port: number, state: string, policy: string, log: string, env?: NodeJS.ProcessEnv }} gate
 *   `command`: what starts it, for the log; `node`: what runs it; `cli`: wrangler's own script; `entry`: in place of its `main`; `state`, `policy`: paths in
 *   the folder
 */
export async function wranglerDev({
  command,
  folder,
  node = defaultNode(),
  cli,
  entry = [],
  base,
  port,
  state,
  policy,
  log: logFile,
  env,
}) {
  const log = openLog(logFile);
  log.write(`${command}: ${base}, ${policy}`);
  const changed = changedIn(folder);
  mkdirSync(dirname(changed), { recursive: true, mode: 0o700 });
  writeFileSync(changed, "");
  const child = spawn(
    node,
    [
      // Not bin/wrangler.js, which starts this as a child and hands on no signals.
      "--no-warnings",
      cli,
      "dev",
      ...entry,
      "-c",
      join(folder, "wrangler.toml"),
      "--ip",
      "127.0.0.1",
      "--port",
      String(port),
      "--persist-to",
      join(folder, state),
      "--show-interactive-dev-session=false",
      // The top of the file, whichever environment is chosen for deployments.
    ],
    { cwd: folder, env: { ...toolEnv(), ...env, CLOUDFLARE_ENV: undefined }, stdio: ["ignore", "pipe", "pipe"] },
  );
  const lines = new EventEmitter();
  for (const input of [child.stdout, child.stderr])
    createInterface({ input }).on("line", (line) => lines.emit("line", line));
  lines.on("line", (line) => {
    // The Worker's own line for each request (demo/log.mjs) has more, and no key in it.
    if (line.trim() && !/^\[wrangler:info\] [A-Z]+ \//.test(line)) log.write(line);
  });
  // Not "close": what it leaves behind may hold its output open.
  const ended = new Promise((resolve) => child.on("exit", resolve));
  let wanted = false;
  const stop = async () => {
    wanted = true;
    const impatient = setTimeout(() => child.kill("SIGKILL"), 5_000);
    child.kill("SIGTERM");
    await ended;
    clearTimeout(impatient);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => void stop().then(() => process.exit(0)));
  }
  const failed = (why) => new Failure(why, `${log.tail.join("\n").trim()}\nEverything it said: ${logFile}`);
  let gone = false;
  void ended.then((code) => {
    gone = true;
    if (!wanted)
      void runMain(() => {
        throw failed(`wrangler dev ended (${code})`);
      });
  });
  const end = Date.now() + READY_WITHIN_MS;
  while (
    !gone &&
    !(await fetch(`${base}/healthz`, { signal: AbortSignal.timeout(5_000) }).then(
      ({ ok }) => ok,
      () => false,
    ))
  ) {
    if (Date.now() > end) {
      await stop();
      throw failed(`the gate does not answer on ${base}/healthz`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await watchPolicies(folder, policy);
  return { stop, tellOfBuilds: () => lines.on("line", teller(folder)) };
}

/** Has wrangler build again after a change of the policy, or of one that it includes, wherever they are. */
async function watchPolicies(folder, policy, watched = new Set()) {
  for (const file of (await readPolicies(policy, folder)).keys()) {
    if (watched.has(file)) continue;
    watched.add(file);
    // By looking, not by the system's events: editors replace files, and a file may be gone for a while.
    watchFile(resolve(folder, file), { interval: 100 }, () => {
      if (file !== WATCHED_POLICY) writeFileSync(changedIn(folder), file);
      // It may include others now.
      void watchPolicies(folder, policy, watched);
    });
  }
}

/** Says what lines of wrangler's mean for whoever has changed something: after each change it runs `[build]` again. */
function teller(folder) {
  const own = changedIn(folder);
  let isWrong = false;
  return (line) => {
    const [, changed] = line.match(/^The file (.+) changed, restarting build/) ?? [];
    const [, said] = line.match(/^\[custom build\] (.+)/) ?? [];
    if (changed) {
      isWrong = false;
      console.log(`\n${resolve(folder, changed) === own ? readFileSync(own, "utf8") : changed} has changed.`);
    } else if (said && !/^Running: |: in place$/.test(said)) {
      isWrong ||= said.startsWith("error: ");
      console.log(said);
    } else if (line.includes("Local server updated and ready") && !isWrong) {
      console.log("The gate runs with it.");
    }
  };
}
