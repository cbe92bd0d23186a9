// Many requests over kept-alive connections, as clients that use a key all the time send them, and
// what is counted of them.

import { once } from "node:events";
import { Agent, request } from "node:http";

/** No answer takes longer, however busy the machine is. */
const ANSWERED_WITHIN_MS = 60_000;

export const MINUTE = 60_000;

export const sleep = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Sends requests; `close` it. */
export class Client {
  // The runtime closes what was idle for 5 s: never use a connection that it may be closing.
  #agent = new Agent({ keepAlive: true, timeout: 3_000 });

  /**
   * One GET. `{ status, headers, code, sentAt, at }`: `code` of a refusal, real times of sending and of
   * the answer's end; a status of 0 if the connection broke.
   * @param {{ url: string }} isolate
   * @param {Record<string, string>} headers
   * @param {{ target?: string, host?: string }} options
   */
  async ask(isolate, headers, { target = "/api/orders", host } = {}) {
    const sentAt = Date.now();
    try {
      const sent = request(new URL(target, isolate.url), {
        agent: this.#agent,
        signal: AbortSignal.timeout(ANSWERED_WITHIN_MS),
        headers: { ...headers, ...(host && { host }) },
      });
      sent.end();
      const [answer] = await once(sent, "response");
      let body = "";
      answer.setEncoding("utf8").on("data", (/** @type {string} */ text) => {
        body += text;
      });
      await once(answer, "end");
      const status = Number(answer.statusCode);
      return {
        status,
        headers: answer.headers,
        code: status >= 400 ? codeOf(body) : undefined,
        sentAt,
        at: Date.now(),
      };
    } catch {
      return { status: 0, headers: {}, code: undefined, sentAt, at: Date.now() };
    }
  }

  close() {
    this.#agent.destroy();
  }
}

/** @param {string} body */
function codeOf(body) {
  const problem = JSON.parse(body);
  return problem.code ?? problem.error.code;
}

export const bearer = (/** @type {string} */ key) => ({ Authorization: `Bearer ${key}` });

/**
 * Calls `fire(n)` this many times a second until `isOver()`; resolves to all results.
 * @template Result
 * @param {number} perSecond
 * @param {() => boolean} isOver
 * @param {(n: number) => Result | Promise<Result>} fire
 */
export async function atRate(perSecond, isOver, fire) {
  const begin = performance.now();
  const fired = [];
  for (let n = 0; !isOver(); n++) {
    const wait = begin + (n * 1_000) / perSecond - performance.now();
    if (wait > 1) await sleep(wait);
    fired.push(fire(n));
  }
  return Promise.all(fired);
}

/**
 * The most moments in any span of this length. Where each may have been earlier than it was recorded, only as many count as
 * were within one in any case.
 * @param {number[]} moments
 */
export function mostWithin(moments, span = MINUTE, earliest = (/** @type {number} */ at) => at) {
  const sorted = [...moments].sort((a, b) => a - b);
  const began = sorted.map(earliest);
  let most = 0;
  for (const [last, moment] of sorted.entries()) {
    let first = last + 1;
    while (first > 0 && moment - began[first - 1] < span) first--;
    most = Math.max(most, last + 1 - first);
  }
  return most;
}

/**
 * How many answers there were of each status: `{ 200: 600, 429: 12 }`.
 * @param {{ status: number }[]} answers
 */
export function byStatus(answers) {
  /** @type {Record<number, number>} */
  const counts = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/**
 * `p50`, `p99` and `max` of some numbers, for a line of the report.
 * @param {number[]} numbers
 */
export function spread(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const at = (/** @type {number} */ part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
  return `p50 ${at(0.5)} p99 ${at(0.99)} max ${sorted.at(-1)}`;
}
