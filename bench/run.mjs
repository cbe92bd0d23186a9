// What Keyward costs, and what else people put in front of an origin: CPU of the serving process, in bare workerd, all
// contestants side by side in one run; and what it needs beside that. Needs Linux, and wrk and HAProxy from Debian, which
// it installs.
//
//   npm run bench                                 everything: an hour, of which most is memory and registry
//   npm run bench -- requests size                only some parts
//   npm run bench -- keyward strip --rounds 3     only some cases of the part `requests`
//   npm run bench -- registry --most 100000       no more keys than that
//   npm run bench -- --save                       keeps the results, of whole parts only: bench/results/latest.*
//
// Run it on a machine that does nothing else, with two cores or more: one for wrk. The time of the process is read, not
// the clock; and the ratios of one run count, not its microseconds.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { aptInstall } from "../scripts/lib/apt.mjs";
import { inPath, logs, root } from "../scripts/lib/places.mjs";
import { Failure, run, runMain } from "../scripts/lib/progress.mjs";
import { machine } from "./lib/machine.mjs";
import { stopAll } from "./lib/process.mjs";
import { chart, origin } from "./lib/report.mjs";
import * as calls from "./parts/calls.mjs";
import * as connections from "./parts/connections.mjs";
import * as crates from "./parts/crates.mjs";
import * as memory from "./parts/memory.mjs";
import * as page from "./parts/page.mjs";
import * as registry from "./parts/registry.mjs";
import * as requests from "./parts/requests.mjs";
import * as size from "./parts/size.mjs";
import * as start from "./parts/start.mjs";

/**
 * @typedef {object} Options
 * @property {number} rounds
 * @property {number} seconds of a run
 * @property {number} most keys
 * @property {string[]} cases of the part `requests`; none for all
 * @property {(what: string) => void} progress
 */

/** @type {Record<string, { title: string, run: (options: Options) => Promise<any>, table: (measured: any) => string }>} */
const PARTS = {
  requests: { title: "What a request costs", ...requests },
  calls: { title: "What a request asks for", ...calls },
  connections: { title: "From one connection to many", ...connections },
  start: { title: "Start", ...start },
  size: { title: "Size", ...size },
  memory: { title: "Memory", ...memory },
  registry: { title: "The Registry", ...registry },
  page: { title: "The admin page over slow networks", ...page },
  crates: { title: "The pure parts", ...crates },
};

const RESULTS = join(root, "bench/results");

/** A whole number above 0 of the command line. */
function whole(name, text) {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new Failure(`--${name} is a whole number above 0, not ${text}`);
  return number;
}

async function prepare() {
  for (const tool of ["wrk", "haproxy"]) {
    const byHand = `On Debian and Ubuntu: apt-get install ${tool}`;
    if (!inPath(tool)) await aptInstall(tool, { missing: `${tool} is not there`, byHand, progress: () => {} });
  }
  await run(process.execPath, [join(root, "scripts/build.mjs")], {
    cwd: root,
    what: "the build",
    log: join(logs, "bench.log"),
  });
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "2" },
      most: { type: "string", default: "1000000" },
      save: { type: "boolean", default: false },
    },
  });
  const cases = positionals.filter((name) => !(name in PARTS));
  const isAsked = (name) =>
    positionals.length === 0 || positionals.includes(name) || (name === "requests" && cases.length > 0);
  if (values.save && cases.length > 0) throw new Failure("only whole parts are saved", "Name no cases.");
  const options = {
    rounds: whole("rounds", values.rounds),
    seconds: whole("seconds", values.seconds),
    most: whole("most", values.most),
    cases,
  };
  const command = ["npm run bench", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" ");
  await prepare();
  for (const [name, part] of Object.entries(PARTS).filter(([name]) => isAsked(name))) {
    const progress = (what) => process.stderr.write(`${name}: ${what}\n`);
    let measured;
    try {
      measured = await part.run({ ...options, progress });
    } finally {
      await stopAll();
    }
    const result = { date: new Date().toISOString(), command, machine: machine(), ...measured };
    console.log(text(part, result));
    if (values.save) save(name, result);
  }
}

const text = ({ title, table }, result) => `## ${title}\n${origin(result)}\n\n${table(result)}\n`;

/** Keeps the results of a part beside those of the others, each of which says when and where it was measured. */
function save(name, result) {
  mkdirSync(RESULTS, { recursive: true });
  const file = (ending) => join(RESULTS, `latest.${ending}`);
  const before = existsSync(file("json")) ? JSON.parse(readFileSync(file("json"), "utf8")) : {};
  const all = { ...before, [name]: result };
  writeFileSync(file("json"), `${JSON.stringify(all, undefined, 2)}\n`);
  const saved = Object.entries(PARTS).filter(([part]) => part in all);
  writeFileSync(file("md"), `# What was measured\n\n${saved.map(([part, of]) => text(of, all[part])).join("\n")}`);
  if (name === "requests") writeFileSync(file("svg"), requestsChart(result));
}

/** What a request costs, without those with a large body or a new key, whose bars would be the only ones to be seen. */
const requestsChart = (result) =>
  chart({
    title: "CPU of a request in the serving process, microseconds",
    origin: origin(result),
    unit: "µs",
    bars: result.results
      .filter(({ name }) => !/-(64k|5m|cold)/.test(name))
      .map(({ name, cpuUs }) => ({ name, value: cpuUs, isOwn: name.startsWith("keyward") })),
  });

await runMain(main);
