// Carries out verdicts, which come from the wasm as text (src/verdict.rs): the gate's own answers, and requests to the origin.

import { answer } from "keyward-body";
import { Ended, instance, returned } from "keyward-instance";
import { inSpan } from "keyward-spans";
import * as wasm from "keyward-wasm";
import { watched } from "./ended.js";
import { removing } from "./field_names.js";
import { additionOf } from "./fields.js";
import { forward, NO_ANSWER } from "./forward.js";

/** @import { Held, Profile, Way } from "./forward.js" */

/** @type {Profile[]} By number: the policy says how many there are, and each keeps its number as long as the policy is the same. */
const profiles = [];

/** @param {number} number */
function readProfile(number) {
  const { origin, originTimeoutMs, clientTimeoutMs, ownAddress, cookies, ownCookies, removed, answer } = JSON.parse(
    returned(() => wasm.profile(number)),
  );
  /** @type {Profile} */
  const profile = {
    origin,
    originTimeoutMs,
    clientTimeoutMs,
    ownAddress,
    cookies,
    ownCookies,
    isRemoved: removing(removed),
    answer: {
      isRemoved: removing(answer.removed),
      merged: answer.merged.map(additionOf),
      challenges: answer.challenges,
    },
  };
  profiles[number] = profile;
  return profile;
}

/**
 * Names and values up to an empty line, or the end.
 * @param {string[]} lines
 * @param {number} from
 */
function fieldsIn(lines, from) {
  let to = from;
  while (to < lines.length && lines[to] !== "") to += 2;
  return lines.slice(from, to);
}

/**
 * How a request goes to the origin.
 * @param {string} verdict
 * @returns {Way}
 */
function wayOf(verdict) {
  const lines = verdict.split("\n");
  const [number, requestId, url, open, watched, credentials] = lines;
  const set = fieldsIn(lines, 6);
  const answerSet = fieldsIn(lines, 6 + set.length + 1);
  const answerMerged = fieldsIn(lines, 6 + set.length + 1 + answerSet.length + 1);
  const profile = Number(number.slice(1));
  return {
    profile: profiles[profile] ?? readProfile(profile),
    number: profile,
    requestId,
    url: url || undefined,
    open,
    watched,
    credentials: credentials === "" ? [] : credentials.split(","),
    set,
    answerSet,
    answerMerged,
  };
}

/**
 * The response to a request.
 * @param {string} verdict
 * @param {Request} request
 * @param {object} env
 * @param {ExecutionContext} context
 */
export async function carryOut(verdict, request, env, context) {
  if (verdict.startsWith("a")) return answered(verdict, request);
  const way = wayOf(verdict);
  const response = await pass(way, request, env, context);
  if (typeof response !== "string") return response;
  const { requestId, number, watched } = way;
  return answered(
    returned(() => wasm.refuseForwarded(request, env, context, requestId, number, watched, response)),
    request,
  );
}

/**
 * Forwards a request, and tells of it where somebody follows it.
 * @param {Way} way
 * @param {Request} request
 * @param {object} env
 * @param {ExecutionContext} context
 * @param {Held} [held]
 */
async function pass(way, request, env, context, held) {
  if (way.watched === "") return follow(way, request, env, context, held);
  const response = await inSpan("keyward.origin", () => follow(way, request, env, context, held));
  if (typeof response === "string" || instance.hasEnded) return response;
  try {
    const times = returned(() => wasm.ended(way.watched, response.status, env));
    if (times) response.headers.append("Server-Timing", times);
  } catch (error) {
    // The origin's response is there, and comes to no harm by a panic.
    if (!(error instanceof Ended)) throw error;
  }
  return response;
}

/**
 * A promise, and what settles it.
 * @template Value
 * @typedef {{ promise: Promise<Value>, resolve: (value: Value) => void }} Later
 */

function later() {
  /** @type {Later<any>["resolve"]} */
  let resolve = () => {};
  const promise = new Promise((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/**
 * Forwards a request. If it is open, tells what its response says of its budget, and when that has ended.
 * @param {Way} way
 * @param {Request} request
 * @param {object} env
 * @param {ExecutionContext} context
 * @param {Held} [held]
 */
async function follow(way, request, env, context, held) {
  if (way.open === "") return forward(way, request, env, context, held);
  const [budget, ...places] = way.open.split(" ");
  const [header, reserved, byCall] = budget.split(":");
  const isInFlight = places.some((word, index) => index % 3 === 2 && word === "1");
  const used = /** @type {Later<string | null>} */ (later());
  const ended = /** @type {Later<void>} */ (later());
  returned(() => wasm.follow(way.open, used.promise, ended.promise, env, context));
  if (request.signal.aborted) {
    // Its client has gone meanwhile: it is not sent.
    used.resolve("0");
    ended.resolve();
    return NO_ANSWER.brokenOff;
  }
  const response = await forward(way, request, env, context, held);
  if (typeof response === "string") {
    used.resolve(usedWithout(response, reserved, byCall === "1"));
    ended.resolve();
    return response;
  }
  if (header === "-") {
    used.resolve(null);
  } else {
    used.resolve(response.headers.get(header));
    response.headers.delete(header);
  }
  if (isInFlight) return watched(response, request, ended.resolve);
  ended.resolve();
  return response;
}

/**
 * What a request counts as used that got no response; null if that is still open.
 * @param {string} why a text of `NO_ANSWER`
 * @param {string} reserved
 * @param {boolean} byCall whether its origin may say so by a call
 */
function usedWithout(why, reserved, byCall) {
  const is = (/** @type {string} */ kind) => why.startsWith(kind);
  if (is(NO_ANSWER.missing)) return "0";
  // The origin may be at work.
  if (is(NO_ANSWER.timedOut)) return null;
  if (is(NO_ANSWER.unreachable) || is(NO_ANSWER.fault)) return reserved;
  // The origin has got some of it, and may say so by a call.
  return byCall ? null : reserved;
}

/**
 * @param {string} verdict
 * @param {Request} request
 */
function answered(verdict, request) {
  const end = verdict.indexOf("\0");
  const [status, ...fields] = verdict.slice(1, end).split("\n");
  return answer(request, Number(status), fields, verdict.slice(end + 1));
}

/**
 * The origin's response, or why there is none, to a request of which something is held meanwhile.
 * @param {string} verdict
 * @param {Request} request
 * @param {object} env
 * @param {ExecutionContext} context
 * @param {Held["body"]} body
 * @param {Held["givesWay"]} givesWay
 * @param {Held["hasCome"]} hasCome
 */
export const forwardHeld = (verdict, request, env, context, body, givesWay, hasCome) =>
  pass(wayOf(verdict), request, env, context, { body, givesWay, hasCome });
