// The life of the wasm instance: who waits for it, and its end, by a panic or anything else that left its memory inconsistent.

import { logError } from "./log.js";

export const instance = { hasEnded: false };

/**
 * What the instance returned and has not settled yet: it never will once the instance has ended. Held weakly, since the runtime drops
 * what a client that hangs up was waiting for, without a further call.
 * @type {Set<WeakRef<Promise<unknown>>>}
 */
const waiting = new Set();
/** @type {WeakMap<Promise<unknown>, (why: Ended) => void>} How to tell those who wait for it. */
const endings = new WeakMap();
/** As soon as `waiting` is as large as this, what was dropped is removed from it. */
let most = 1_000;

/** The error of a call whose instance ended. The runtime retries an alarm that fails with it. */
export class Ended extends Error {
  name = "Ended";
}
const WHY = "the wasm instance ended before it answered";

/**
 * Called by the instance as the last thing it does; the log says before why it ended. The calls that wait may belong to other
 * requests or objects than the one that ended it; the runtime resumes each of them in its own context.
 */
export function noteEnd() {
  if (instance.hasEnded) return;
  instance.hasEnded = true;
  logError("panic");
  for (const ref of waiting) {
    const result = ref.deref();
    if (result) endings.get(result)?.(new Ended(WHY));
  }
  waiting.clear();
}

/**
 * Remembers whom to tell if the instance ends before this settles.
 * @param {Promise<unknown>} result
 * @param {(why: Ended) => void} end
 */
function remember(result, end) {
  if (waiting.size >= most) {
    for (const ref of waiting) if (!ref.deref()) waiting.delete(ref);
    most = Math.max(1_000, 2 * waiting.size);
  }
  const ref = new WeakRef(result);
  endings.set(result, end);
  waiting.add(ref);
  return ref;
}

/**
 * What a call to the instance returns; throws `Ended` if the instance ends meanwhile.
 * @template Result
 * @param {() => Result} call
 * @returns {Result}
 */
export function returned(call) {
  let result;
  try {
    result = call();
  } catch (cause) {
    // Exported functions throw nothing. So this instance has ended, and could not say so.
    noteEnd();
    throw new Ended(WHY, { cause });
  }
  if (instance.hasEnded) throw new Ended(WHY);
  return result;
}

/**
 * The result of a call to the instance; rejects with `Ended` as soon as the instance ends.
 * @template Result
 * @param {() => Promise<Result>} call
 * @returns {Promise<Result>}
 */
export async function untilEnded(call) {
  const result = returned(call);
  /** @type {(why: Ended) => void} */
  let end = () => {};
  /** @type {Promise<never>} */
  const ended = new Promise((_, reject) => {
    end = reject;
  });
  const ref = remember(result, end);
  try {
    return await Promise.race([result, ended]);
  } finally {
    waiting.delete(ref);
  }
}

/**
 * Keeps a request or an object alive for work of the instance, but no longer than the instance: it would never settle.
 * @param {{ waitUntil(work: Promise<unknown>): void }} context the request's, or the object's state
 * @param {Promise<unknown>} work
 */
export function waitUntil(context, work) {
  context.waitUntil(untilEnded(() => work).catch(() => {}));
}
