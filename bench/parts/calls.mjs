// What a hot key's request asks for: reads of KV and calls of objects.

import { Failure } from "../../scripts/lib/progress.mjs";
import { markdown } from "../lib/report.mjs";
import { bearer, javaScript, keyward, ORDERS } from "../lib/servers.mjs";
import { wrk } from "../lib/wrk.mjs";

/** @import { Options } from "../run.mjs" */

/** @param {Options} options */
export async function run({ seconds }) {
  const isCounting = true;
  const gates = {
    "js-tuned": await javaScript("js-tuned", { isCounting }),
    hono: await javaScript("hono", { isCounting }),
    keyward: await keyward({ isCounting }),
  };
  const results = [];
  for (const [name, { server, keys }] of Object.entries(gates)) {
    // Making the keys has asked for something, too.
    await (await fetch(`${server.url}/counts`)).text();
    const { wrong, broken, example } = await wrk(
      server.url,
      { path: ORDERS, headers: bearer(keys.limit) },
      { seconds, expected: { status: 200, body: "ok" } },
    );
    if (wrong + broken > 0) throw new Failure(`${name}: ${example}`);
    const { kv, objects, requests } = await (await fetch(`${server.url}/counts`)).json();
    results.push({ name, requests, kvReads: kv / requests, objectCalls: objects / requests });
  }
  return { seconds, results };
}

/** @param {Awaited<ReturnType<typeof run>>} measured */
export const table = ({ results }) =>
  markdown(
    ["hot key, for each request", "requests", "reads of KV", "calls of objects"],
    results.map(({ name, requests, kvReads, objectCalls }) => [
      name,
      requests,
      kvReads.toFixed(4),
      objectCalls.toFixed(4),
    ]),
  );
