// The policies that tests are run with, as the documents that `keyward check` writes.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { check } from "../../../scripts/lib/check.mjs";
import { root } from "../../../scripts/lib/places.mjs";
import { freePort } from "./ports.mjs";

/** The policies that tests are run with, by name. */
/** @type {Record<string, string>} */
export const POLICIES = { default: "keyward.toml", e2e: "tests/e2e/policy.toml", systems: "tests/e2e/systems.toml" };

/** More calls of the admin API than any test makes in a minute: how many those are depends on the machine. */
const NO_RATE = "\n[admin.rate]\nprincipal = 1_000_000\ntenant = 1_000_000\n";

/**
 * The ports of 127.0.0.1 that the policies name in URLs of origins, and the free ones that stand in their place here.
 * @type {Map<number, number>}
 */
const origins = new Map(
  await Promise.all(
    Array.from({ length: 9 }, async (_, i) => /** @type {[number, number]} */ ([18_181 + i, await freePort()])),
  ),
);

/**
 * The port to which the origin at this one of the policies has moved: each process of tests has its own, so that two
 * checkouts can be tested at the same time.
 * @param {number} named
 */
export function originPort(named) {
  const port = origins.get(named);
  if (port === undefined) throw new Error(`no policy names the port ${named}`);
  return port;
}

/** @param {string} text a policy's */
const withOwnPorts = (text) =>
  text.replaceAll(/(?<=http:\/\/127\.0\.0\.1:)1818\d/g, (named) => String(originPort(Number(named))));

/**
 * The document of a policy, of a name in POLICIES or a file.
 * @param {string} policy
 * @param {{ edit?: (text: string) => string, isRated?: boolean }} options what each file's text is replaced with; whether the
 *   policy's own rate of calls of the admin API holds
 */
export function documentOf(policy, { edit = (text) => text, isRated = false } = {}) {
  const main = POLICIES[policy] ?? policy;
  return check(main, (file) => {
    const text = edit(withOwnPorts(readFileSync(join(root, file), "utf8")));
    return isRated || file !== main ? text : text + NO_RATE;
  });
}

/** Options of `startGate` for a policy whose service bindings are handlers in the same Worker, which ask the same origin. */
export const handled = async (/** @type {string} */ policy) => ({
  document: await documentOf(policy, {
    edit: (text) => text.replaceAll('{ binding = "ORIGIN" }', '{ handler = "app" }'),
  }),
  origin: "{ app: (request, env) => env.ORIGIN.fetch(request) }",
});
