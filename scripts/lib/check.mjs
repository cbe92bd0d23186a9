// `keyward check` in this process: Rust, compiled to wasm (scripts/lib/compile.mjs).

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { CHECKER, root } from "./places.mjs";
import { Failure, messageOf } from "./progress.mjs";

/** The JSON Schema of a policy. */
export const schema = async () => (await load()).schema();

/**
 * What the gate would decide by a policy's document, as the admin API's `POST /explain` says it, or without a `path` its `GET /routes`.
 * Each document that is asked about takes memory for good.
 * @param {string} document
 * @param {{ realm?: string, method?: string, path?: string, host?: string, scopes?: string[], plan?: string }} asked `scopes`: of a key that
 *   the request shows; without them it shows none
 */
export async function answer(document, asked) {
  const checker = await load();
  try {
    return JSON.parse(checker.answer(document, JSON.stringify(asked), Date.now()));
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) throw error;
    throw new Failure(messageOf(error));
  }
}

const load = () => import(pathToFileURL(join(root, CHECKER)).href);

/**
 * The document of a policy and of those that it includes; a Failure that names each mistake with its line and a hint.
 * @param {string} policy its path, relative to the root
 * @param {(file: string) => string} read gives the text of a file, or throws
 */
export async function check(policy, read = (file) => readFileSync(resolve(root, file), "utf8")) {
  const checker = await load();
  try {
    return checker.check(policy, read);
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) throw error;
    throw new Failure(`the policy ${policy} is wrong`, messageOf(error).trim());
  }
}
