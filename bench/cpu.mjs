// CPU of the runtime for a forwarded request: the gate beside a bare JavaScript pass-through, in turns,
// each in a workerd of its own, through the end-to-end harness (which adds a little to all alike).
// The time of the process is read, not the clock, since machines are noisy; objects run in the same
// process and are counted. Linux only, with Node 22 (node_modules/.bin/node) and the default build:
//   npm run build && npm run bench
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import http from "node:http";

import { startGate } from "../tests/e2e/harness/gate.mjs";

const ROUNDS = 5; // the first warms up
const REQUESTS = 4_000;
const CONNECTIONS = 16;

const tick = 1e6 / Number(execFileSync("getconf", ["CLK_TCK"])); // microseconds

/** User and system time of a process so far, in microseconds. */
function cpu(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) * tick;
}

async function load({ url, headers, agent }) {
  let left = REQUESTS;
  const one = () =>
    new Promise((resolve, reject) => {
      http
        .get(url, { agent, headers }, (response) => {
          if (response.statusCode !== 200) reject(new Error(`${url} answers ${response.statusCode}`));
          response.resume().on("end", resolve);
        })
        .on("error", reject);
    });
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (left-- > 0) await one();
    }),
  );
}

async function contestant(name, path, build, withKey = false) {
  const gate = await startGate({ build });
  const pid = execFileSync("pgrep", ["-n", "workerd"], { encoding: "utf8" }).trim();
  const headers = {};
  if (withKey) {
    const key = await (await gate.owner()).createKey({ rateLimit: { perMinute: 100_000, perDay: null } });
    headers.Authorization = `Bearer ${key.plaintextKey}`;
  }
  const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  return { name, gate, pid, headers, agent, url: gate.url + path, runs: [] };
}

const contestants = [
  await contestant("bare JavaScript pass-through", "/api/public/x", "bench/passthrough"),
  await contestant("gate, public route", "/api/public/x"),
  await contestant("gate, key with a limit", "/api/orders", undefined, true),
];
for (let round = 0; round < ROUNDS; round++) {
  for (const each of contestants) {
    each.gate.origin.reset();
    each.gate.origin.answer = { status: 200, headers: { "content-type": "text/plain" }, body: "ok" };
    const before = cpu(each.pid);
    await load(each);
    if (round > 0) each.runs.push((cpu(each.pid) - before) / REQUESTS);
  }
}
const median = (runs) => runs.toSorted((a, b) => a - b)[Math.floor(runs.length / 2)];
const base = median(contestants[0].runs);
for (const { name, runs, gate, agent } of contestants) {
  const ratio = (median(runs) / base).toFixed(2);
  console.log(
    `${name.padEnd(30)} ${ratio.padStart(5)} x   ${runs.map((run) => run.toFixed(0)).join(" ")} microseconds of CPU a request`,
  );
  agent.destroy();
  await gate.stop();
}
