// How a request's cost and its delay change with the number of connections.

import { CASES, SERVERS } from "../cases.mjs";
import { measure } from "../lib/measure.mjs";
import { markdown, number } from "../lib/report.mjs";
import { median, shuffled } from "../lib/stats.mjs";

/** @import { Options } from "../run.mjs" */

const NAMES = ["bare", "strip", "keyward"];
const CONNECTIONS = [1, 4, 16, 64, 250, 500];

/** @param {Options} options */
export async function run({ rounds, seconds, progress }) {
  const cases = [];
  for (const one of CASES.filter(({ name }) => NAMES.includes(name))) {
    const has = await SERVERS[one.server]({});
    cases.push(...CONNECTIONS.map((connections) => ({ one, has, connections, runs: [] })));
  }
  for (const { one, has, connections } of cases) await measure(one, has, { seconds, connections, isChecked: true });
  for (let round = 1; round <= rounds; round++) {
    for (const { one, has, connections, runs } of shuffled(cases))
      runs.push(await measure(one, has, { seconds, connections }));
    progress(`round ${round} of ${rounds}`);
  }
  const of = (runs, what) => median(runs.map((run) => run[what]));
  return {
    rounds,
    seconds,
    results: cases.map(({ one: { name }, connections, runs }) => ({
      name,
      connections,
      cpuUs: of(runs, "cpuUs"),
      perSecond: of(runs, "perSecond"),
      p50Us: of(runs, "p50Us"),
      p99Us: of(runs, "p99Us"),
    })),
  };
}

/** @param {Awaited<ReturnType<typeof run>>} measured */
export const table = ({ results }) =>
  markdown(
    ["hot key", "connections", "µs of CPU", "requests a second", "p50, ms", "p99, ms"],
    results.map(({ name, connections, cpuUs, perSecond, p50Us, p99Us }) => [
      name,
      connections,
      number(cpuUs),
      perSecond.toFixed(0),
      (p50Us / 1e3).toFixed(2),
      (p99Us / 1e3).toFixed(2),
    ]),
  );
