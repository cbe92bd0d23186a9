// The order of a wasm module's functions. Any is right; in this one it compresses better: gzip looks back 32 KiB, and
// the compiler puts functions that are nearly alike (of one generic function, say) far apart.

import binaryen from "binaryen";

import { codeOf } from "./wasm.mjs";

/** Bytes that count as alike. */
const SHINGLE_BYTES = 6;
/** What is in more functions than this is alike everywhere. */
const MOST_ALIKE = 200;
/** Bytes of code that are looked back at: less than gzip does, since what is between them is looked at, too. */
const WINDOW_BYTES = 24_000;

/**
 * The same module with functions that are alike beside each other. Names of functions stay.
 * @param {Uint8Array} wasm
 */
export function arranged(wasm) {
  const bodies = codeOf(wasm);
  const module = binaryen.readBinary(wasm);
  const imports = module.getNumFunctions() - bodies.length;
  const functions = bodies.map((_, at) => binaryen.getFunctionInfo(module.getFunctionByIndex(imports + at)));
  for (const at of orderOf(bodies)) {
    const { name, params, results, vars, body } = functions[at];
    module.removeFunction(name);
    module.addFunction(name, params, results, vars, body);
  }
  binaryen.setDebugInfo(true);
  const binary = module.emitBinary();
  module.dispose();
  return binary;
}

/**
 * The bodies' places, each followed by the one that has most in common, for its length, with what stands shortly before.
 * @param {Uint8Array[]} bodies
 */
export function orderOf(bodies) {
  /** @type {Map<string, { holders: number[], inWindow: number }>} */
  const shingles = new Map();
  const own = bodies.map((body, at) => {
    const texts = shinglesOf(body);
    return texts.map((text) => {
      const shingle = shingles.get(text) ?? { holders: [], inWindow: 0 };
      shingles.set(text, shingle);
      shingle.holders.push(at);
      return shingle;
    });
  });
  const alike = own.map((all) => all.filter(({ holders }) => holders.length > 1 && holders.length <= MOST_ALIKE));
  const common = new Float64Array(bodies.length);
  const enter = (/** @type {number} */ at) => {
    for (const shingle of alike[at]) {
      if (shingle.inWindow++ === 0) for (const holder of shingle.holders) common[holder]++;
    }
  };
  const leave = (/** @type {number} */ at) => {
    for (const shingle of alike[at]) {
      if (--shingle.inWindow === 0) for (const holder of shingle.holders) common[holder]--;
    }
  };
  const left = new Set(bodies.keys());
  const order = [];
  let begin = 0;
  let windowBytes = 0;
  while (left.size > 0) {
    let next = -1;
    let most = -1;
    for (const at of left) {
      const share = common[at] / (bodies[at].length + 20);
      if (share > most) [next, most] = [at, share];
    }
    left.delete(next);
    order.push(next);
    enter(next);
    windowBytes += bodies[next].length;
    for (; windowBytes > WINDOW_BYTES && begin < order.length - 1; begin++) {
      leave(order[begin]);
      windowBytes -= bodies[order[begin]].length;
    }
  }
  return order;
}

/** @param {Uint8Array} body */
function shinglesOf(body) {
  const text = Buffer.from(body).toString("latin1");
  const shingles = new Set();
  for (let at = 0; at + SHINGLE_BYTES <= text.length; at++) shingles.add(text.slice(at, at + SHINGLE_BYTES));
  return [...shingles];
}
