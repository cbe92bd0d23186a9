// Policies as they are written, for scripts. What is wrong with one, `keyward check` says.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

import { root } from "./places.mjs";

/**
 * A policy file and those that it includes, in order: a Map of path (relative to the folder) to what stands
 * there, which is nothing for a file that is not there.
 */
export async function readPolicies(path, folder = root, found = new Map()) {
  if (found.has(path)) return found;
  // Set-up installs it, and may run in the same process before.
  const { parse } = await import("smol-toml");
  let policy = {};
  try {
    if (existsSync(resolve(folder, path))) policy = parse(readFileSync(resolve(folder, path), "utf8"));
  } catch {
    // `keyward check` says what is wrong with it.
  }
  found.set(path, policy);
  for (const included of [policy.include ?? []].flat())
    await readPolicies(join(dirname(path), String(included)), folder, found);
  return found;
}

/** The realms of a policy with those that it includes, in order. */
export const realmsOf = (policies) => [...policies.values()].flatMap(({ realm = [] }) => realm);

/** Names of the secrets with which a policy's endpoints are sent events. */
export const eventSecretsOf = (policies) =>
  [...policies.values()]
    .flatMap(({ admin = {} }) => Object.values(admin.events ?? {}).flatMap(({ secret }) => secret))
    .filter(Boolean);

/** Names of all secrets that a policy asks for. */
export const secretsOf = (policies) => [
  ...realmsOf(policies)
    .flatMap(({ jwt, webhook = {} }) => [
      ...[jwt ?? []].flat().map(({ secret }) => secret),
      ...Object.values(webhook).flatMap(({ secret }) => secret),
    ])
    .filter(Boolean),
  ...eventSecretsOf(policies),
];
