// How long it takes from the start of the process to its first answer, and how much CPU until then.

import { markdown, number } from "../lib/report.mjs";
import { javaScript, keyward, plain } from "../lib/servers.mjs";
import { median, shuffled, spread } from "../lib/stats.mjs";

const ROUNDS = 7;

export async function run() {
  const starts = [
    { name: "hello", server: await plain("hello") },
    { name: "js-tuned", server: (await javaScript("js-tuned")).server },
    { name: "keyward", server: (await keyward()).server },
  ].map((one) => ({ ...one, times: [] }));
  for (let round = 0; round < ROUNDS; round++) {
    for (const { server, times } of shuffled(starts)) {
      await server.restart();
      times.push(server.started);
      // One that stays would take its share of the next one's time.
      await server.stop();
    }
  }
  const of = (times, what) => times.map((time) => time[what]);
  const results = starts.map(({ name, times }) => ({
    name,
    ms: median(of(times, "ms")),
    spread: spread(of(times, "ms")),
    cpuMs: median(of(times, "cpuMs")),
  }));
  return { rounds: ROUNDS, results };
}

/** @param {Awaited<ReturnType<typeof run>>} measured */
export const table = ({ results }) =>
  markdown(
    ["process to first answer", "ms", "spread", "to hello", "ms of CPU until then"],
    results.map(({ name, ms, spread: [least, most], cpuMs }) => [
      name,
      number(ms),
      `${number(least)} to ${number(most)}`,
      (ms / results[0].ms).toFixed(2),
      number(cpuMs),
    ]),
  );
