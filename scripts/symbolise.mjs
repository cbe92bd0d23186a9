// Puts the names of functions into a stack trace of the deployed Worker, whose wasm has none: reads a log, and writes it
// again with `wasm-function[1234]` as `keyward_gate::gate::decide`.
//   npx wrangler tail | npm run --silent symbolise
//   node scripts/symbolise.mjs [--names FILE] < LOG
// The names are those of build/keyward.debug.wasm, which each build writes: keep it with what you deploy.

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

import { isMain, root } from "./lib/places.mjs";
import { runMain } from "./lib/progress.mjs";
import { functionNames } from "./lib/wasm.mjs";

/**
 * A function that names what a line of log says of functions.
 * @param {Uint8Array} wasm one with names
 */
export function symboliser(wasm) {
  const names = functionNames(wasm);
  return (/** @type {string} */ line) =>
    line.replace(/wasm-function\[(\d+)\]/g, (whole, index) => names.get(Number(index)) ?? whole);
}

if (isMain(import.meta)) {
  await runMain(async () => {
    const { values } = parseArgs({ options: { names: { type: "string" } } });
    const symbolise = symboliser(readFileSync(resolve(values.names ?? join(root, "build", "keyward.debug.wasm"))));
    for await (const line of createInterface({ input: process.stdin })) console.log(symbolise(line));
  });
}
