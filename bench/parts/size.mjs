// How large the gate is, and which crates' code that is. The names of functions are those of the wasm that has them: its
// functions are the ones that are deployed.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

import binaryen from "binaryen";

import { root } from "../../scripts/lib/places.mjs";
import { codeOf, functionNames } from "../../scripts/lib/wasm.mjs";
import { markdown } from "../lib/report.mjs";

/** Crates with less code than this stand together. */
const LEAST_BYTES = 2_000;

/**
 * The crate in which a function is written: of `<keyward_core::record::Record as serde::Serialize>::serialize` the first.
 * For which types a generic one was made, its name does not say.
 */
const crateOf = (/** @type {string} */ name) =>
  /^[<&(*[ ]*(?:(?:mut|dyn|const) )*([a-z_][a-z_0-9]*)(?:\[[0-9a-f]+\])?::/.exec(name)?.[1] ??
  "glue, and code without a crate";

export async function run() {
  const [deployed, named] = ["keyward.wasm", "keyward.debug.wasm"].map((name) =>
    readFileSync(join(root, "build", name)),
  );
  const bodies = codeOf(named);
  const names = functionNames(named);
  const module = binaryen.readBinary(named);
  const imports = module.getNumFunctions() - bodies.length;
  module.dispose();
  /** @type {Map<string, number>} */
  const crates = new Map();
  for (const [at, { length }] of bodies.entries()) {
    const crate = crateOf(names.get(imports + at) ?? "");
    crates.set(crate, (crates.get(crate) ?? 0) + length);
  }
  return {
    wasm: deployed.length,
    gzipped: gzipSync(deployed, { level: 9 }).length,
    code: bodies.reduce((sum, { length }) => sum + length, 0),
    crates: [...crates].map(([name, bytes]) => ({ name, bytes })).sort((a, b) => b.bytes - a.bytes),
  };
}

const bytes = (/** @type {number} */ number) => number.toLocaleString("en");

/** @param {Awaited<ReturnType<typeof run>>} measured */
export function table({ wasm, gzipped, code, crates }) {
  const large = crates.filter((crate) => crate.bytes >= LEAST_BYTES);
  const small = crates.filter((crate) => crate.bytes < LEAST_BYTES);
  const rest = { name: `${small.length} others`, bytes: small.reduce((sum, crate) => sum + crate.bytes, 0) };
  const rows = [...large, ...(small.length > 0 ? [rest] : [])].map((crate) => [crate.name, bytes(crate.bytes)]);
  return [
    `The gate's wasm has ${bytes(wasm)} bytes, ${bytes(gzipped)} gzipped; ${bytes(code)} of it are code:`,
    markdown(["crate", "bytes of code"], rows),
    "Generic code counts for the crate that has it: Keyward's async functions for `js_sys`, say, its lists for `alloc`.",
  ].join("\n\n");
}
