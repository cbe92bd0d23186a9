// Checks that a case gets the answers that it is meant to be timed with, and times it.

import { setTimeout } from "node:timers/promises";

import { Failure } from "../../scripts/lib/progress.mjs";
import { bearer, NO_KEY, ORDERS } from "./servers.mjs";
import { wrk } from "./wrk.mjs";

/** @import { Case, Server } from "../cases.mjs" */

/**
 * A request that is refused.
 * @typedef {{ what: string, method?: string, headers: Record<string, string>, status: number }} Refusal
 */

/** For so long nothing reaches the origin any more when a run is over: what was under way has come, too. */
const QUIET_MS = 50;

/**
 * Requests that have reached the origin behind this server, or the server itself if it has none.
 * @param {{ origin: string }} server
 */
async function reached({ origin }) {
  const now = async () => Number(await (await fetch(`${origin}/requests`)).text());
  for (let before = await now(); ; ) {
    await setTimeout(QUIET_MS);
    const count = await now();
    if (count === before) return count;
    before = count;
  }
}

/** Connections where a case does not say how many. */
const CONNECTIONS = 16;

/** Requests after a start that are not timed: with them compiled code and connections are there, and only keys are new. */
const WARM = 300;

/** @param {Server} has */
async function startAgain({ server, fill, keys }) {
  await server.restart();
  await fill?.();
  for (let i = 0; i < WARM; i++) {
    await (await fetch(server.url + ORDERS, { headers: bearer(keys?.limit ?? NO_KEY) })).arrayBuffer();
  }
}

/**
 * One run of a case, no request of which may go wrong: an error is often quicker than an answer.
 * @param {Case} one
 * @param {Server} has
 * @param {{ seconds: number, connections?: number, isChecked?: boolean }} options `isChecked`: looks at each answer, which
 *   takes wrk longer: not to be timed
 */
export async function measure(one, has, { seconds, connections = one.connections ?? CONNECTIONS, isChecked = false }) {
  const { name, status, body, bytes = 0 } = one;
  const [{ server }, request] = [has, one.request(has)];
  const fail = (/** @type {string} */ why) => {
    throw new Failure(`${name}: ${why}`);
  };
  if (one.isCold) await startAgain(has);
  const [hadReached, hadUsed] = [await reached(server), server.cpu()];
  const expected = isChecked ? { status, body } : undefined;
  const result = await wrk(server.url, request, { seconds: one.seconds ?? seconds, connections, expected });
  const used = server.cpu() - hadUsed;
  const forwarded = (await reached(server)) - hadReached;
  const { requests, notOk, broken, wrong, example } = result;
  if (requests === 0) fail("there was no answer");
  if (wrong > 0) fail(`${wrong} of ${requests} answers were not ${status} ${body ?? ""} but, for example, ${example}`);
  if (broken > 0) fail(`${broken} of ${requests} requests broke`);
  if (notOk !== (status >= 400 ? requests : 0)) fail(`${notOk} of ${requests} answers were refusals`);
  if (result.bytes < bytes * requests) fail(`${requests} answers had ${result.bytes} bytes`);
  if (request.turns && requests + connections > request.turns.length)
    fail(`${requests} requests, but only ${request.turns.length} keys`);
  // What is under way when wrk ends has reached the origin, and is not counted.
  const [least, most] = status >= 400 ? [0, 0] : [requests, requests + connections];
  if (forwarded < least || forwarded > most) fail(`of ${requests} requests ${forwarded} have reached the origin`);
  return {
    cpuUs: used / requests,
    perSecond: (requests * 1e6) / result.microseconds,
    p50Us: result.p50,
    p99Us: result.p99,
  };
}

/**
 * Fails unless this gate refuses what it is to refuse, takes the key from the request, and says who it is in place of what
 * the client says.
 * @param {string} name
 * @param {Server} gate
 */
export async function verifyGate(name, { server, keys, refusals = [] }) {
  if (!keys) return;
  const hadReached = await reached(server);
  for (const { what, method, headers, status } of refusals) {
    const answer = await fetch(server.url + ORDERS, { method, headers });
    await answer.arrayBuffer();
    if (answer.status !== status)
      throw new Failure(`${name} answers ${what} with ${answer.status} instead of ${status}`);
  }
  if ((await reached(server)) !== hadReached) throw new Failure(`${name} forwards what it refuses`);
  const identity = ["keyward-key-id", "keyward-tenant", "keyward-scopes"];
  const forged = Object.fromEntries(identity.map((field) => [field, "forged"]));
  const answer = await fetch(`${server.url}${ORDERS}/headers`, { headers: { ...forged, ...bearer(keys.limit) } });
  const text = await answer.text();
  if (answer.status !== 200) throw new Failure(`${name} refuses a good key: ${answer.status} ${text}`);
  if (!text.startsWith("{")) throw new Failure(`${name} answers by itself: ${text}`);
  const seen = JSON.parse(text);
  if ("authorization" in seen) throw new Failure(`${name} forwards the key`);
  for (const field of identity)
    if (!seen[field] || seen[field] === "forged") throw new Failure(`${name} forwards ${field}: ${seen[field]}`);
}
