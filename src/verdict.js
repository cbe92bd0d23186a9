// Carries out verdicts, which come from the wasm as text (src/verdict.rs): the gate's own answers, and requests to the origin.

import { answer } from "keyward-body";
import { returned } from "keyward-instance";
import * as wasm from "keyward-wasm";
import { removing } from "./field_names.js";
import { additionOf } from "./fields.js";
import { forward } from "./forward.js";

/** @import { Held, Profile, Way } from "./forward.js" */

/** @type {Profile[]} By number: the policy says how many there are, and each keeps its number as long as the policy is the same. */
const profiles = [];

/** @param {number} number */
function readProfile(number) {
  const { origin, originTimeoutMs, clientTimeoutMs, ownAddress, cookies, removed, answer } = JSON.parse(
    returned(() => wasm.profile(number)),
  );
  /** @type {Profile} */
  const profile = {
    origin,
    originTimeoutMs,
    clientTimeoutMs,
    ownAddress,
    cookies,
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
  const [number, requestId, url, credentials] = lines;
  const set = fieldsIn(lines, 4);
  const answerSet = fieldsIn(lines, 4 + set.length + 1);
  const answerMerged = fieldsIn(lines, 4 + set.length + 1 + answerSet.length + 1);
  const profile = Number(number.slice(1));
  return {
    profile: profiles[profile] ?? readProfile(profile),
    number: profile,
    requestId,
    url: url || undefined,
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
  const response = await forward(way, request, env, context);
  if (typeof response !== "string") return response;
  const { requestId, number } = way;
  return answered(
    returned(() => wasm.refuseForwarded(request, env, context, requestId, number, response)),
    request,
  );
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
  forward(wayOf(verdict), request, env, context, { body, givesWay, hasCome });
