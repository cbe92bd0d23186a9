// What a request costs: CPU of the serving process, all contestants side by side.

import { Failure } from "../../scripts/lib/progress.mjs";
import { CASES, GOALS, SERVERS } from "../cases.mjs";
import { measure, verifyGate } from "../lib/measure.mjs";
import { markdown, number, ratio } from "../lib/report.mjs";
import { median, shuffled, spread } from "../lib/stats.mjs";

/** @import { Options } from "../run.mjs" */

/**
 * @param {Options} options
 */
export async function run({ rounds, seconds, cases: names, progress }) {
  const unknown = names.filter((name) => !CASES.some((one) => one.name === name));
  if (unknown.length > 0)
    throw new Failure(`no case ${unknown.join(", ")}`, `There are ${CASES.map(({ name }) => name).join(", ")}.`);
  const cases = CASES.filter(({ name }) => names.length === 0 || names.includes(name));
  const hello = await SERVERS.hello({});
  const externals = { origin: new URL(hello.server.url).host };
  const servers = { hello };
  for (const { server } of cases) servers[server] ??= await SERVERS[server](externals);
  for (const [name, gate] of Object.entries(servers)) await verifyGate(name, gate);
  const measured = (one, options) => measure(one, servers[one.server], options);
  // Warms up, too.
  for (const one of cases) await measured(one, { seconds, isChecked: true });
  const runs = new Map(cases.map(({ name }) => [name, /** @type {Awaited<ReturnType<typeof measure>>[]} */ ([])]));
  for (let round = 1; round <= rounds; round++) {
    for (const one of shuffled(cases)) runs.get(one.name)?.push(await measured(one, { seconds }));
    progress(`round ${round} of ${rounds}`);
  }
  const of = (name, what) => runs.get(name)?.map((run) => run[what]) ?? [];
  // Round by round: what slows the machine for a while slows both.
  const to = (name, base) => {
    const [ones, bases] = [of(name, "cpuUs"), of(base, "cpuUs")];
    const ratios = ones.map((one, round) => one / bases[round]);
    return bases.length === 0 ? undefined : { ratio: median(ratios), spread: spread(ratios) };
  };
  return {
    rounds,
    seconds,
    results: cases.map(({ name, what }) => ({
      name,
      what,
      cpuUs: median(of(name, "cpuUs")),
      spread: spread(of(name, "cpuUs")),
      toBare: to(name, "bare"),
      toStrip: to(name, "strip"),
      perSecond: median(of(name, "perSecond")),
      p50Us: median(of(name, "p50Us")),
    })),
    goals: GOALS.flatMap((goal) =>
      runs.has(goal.one) && runs.has(goal.to) ? [{ ...goal, ...to(goal.one, goal.to) }] : [],
    ),
  };
}

/** @param {Awaited<ReturnType<typeof run>>} measured */
export function table({ results, goals }) {
  const rows = results.map(({ name, what, cpuUs, spread: [least, most], toBare, toStrip, perSecond, p50Us }) => [
    name,
    what,
    number(cpuUs),
    `${number(least)} to ${number(most)}`,
    ratio(toBare?.ratio),
    ratio(toStrip?.ratio),
    perSecond.toFixed(0),
    (p50Us / 1e3).toFixed(2),
  ]);
  const head = ["", "", "µs of CPU", "spread", "to bare", "to strip", "requests a second", "p50, ms"];
  const parts = [markdown(head, rows)];
  if (goals.length > 0) {
    const rows = goals.map((goal) => [
      goal.one,
      goal.to,
      ratio(goal.ratio),
      `${ratio(goal.spread?.[0])} to ${ratio(goal.spread?.[1])}`,
      `≤ ${goal.goal}`,
    ]);
    parts.push(markdown(["", "to", "ratio", "spread", "goal"], rows));
  }
  return parts.join("\n\n");
}
