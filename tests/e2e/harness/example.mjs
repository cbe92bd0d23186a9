// What a Rust example prints: what native code says, to compare the runtime with.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { root } from "../../../scripts/lib/places.mjs";

const BYTES = 64 * 1024 * 1024;

/**
 * Builds and runs an example of a crate.
 * @param {string} crate
 * @param {string} name
 */
export async function example(crate, name) {
  const { stdout } = await promisify(execFile)(
    "cargo",
    ["run", "--locked", "--quiet", "-p", crate, "--example", name],
    {
      cwd: root,
      maxBuffer: BYTES,
    },
  );
  return stdout;
}
