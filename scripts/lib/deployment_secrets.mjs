// The secrets of a deployment, in a file that git ignores and only its owner may read.

import { mkdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";

import { ofEnvironment, readConfig } from "./deployment.mjs";
import { readPolicies, secretsOf } from "./policy.mjs";
import { Failure } from "./progress.mjs";
import { appendSecrets, MADE, readSecrets, refuseUnfit, replaceSecrets } from "./secrets.mjs";

const COMMENT = "# Secrets of the deployment. Keep a copy in a safe place: without KEYWARD_SECRET no key is valid.";

/**
 * Where those of a deployment are: of an environment of wrangler.toml in a file of its own.
 * @param {string} folder
 * @param {string} [env]
 */
export function secretsFile(folder, env) {
  if (env !== undefined && !/^[\w-]+$/.test(env))
    throw new Failure(
      `${JSON.stringify(env)} is no environment`,
      "Its name as wrangler.toml has it: staging for [env.staging].",
    );
  return join(folder, ".keyward", env === undefined ? "secrets.env" : `secrets.${env}.env`);
}

/**
 * Makes those that are not there yet, and says what to do with them. With `rotate`, KEYWARD_SECRET becomes a previous one, under which
 * keys stay valid, and a new one is made. With `rotateIdentity`, the next KEYWARD_IDENTITY_KEY signs from now on, which origins know already.
 * @param {{ folder: string, policy: string, rotate?: boolean, rotateIdentity?: boolean, env?: string, deploy: string }} how `env`: the environment of wrangler.toml; `deploy`: the command that deploys
 */
export async function makeSecrets({ folder, policy, rotate = false, rotateIdentity = false, env, deploy }) {
  const file = secretsFile(folder, env);
  // Secrets under a misspelled name would be missing in the deployment.
  if (env !== undefined) ofEnvironment(await readConfig(folder), env);
  const policies = await readPolicies(policy, folder);
  const named = secretsOf(policies);
  const { page = "/admin" } = policies.get(policy).admin ?? {};

  const known = readSecrets(file);
  refuseUnfit(file, known);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const made = Object.fromEntries(
    Object.entries(MADE)
      .filter(([name]) => !known[name])
      .map(([name, make]) => [name, make()]),
  );
  if (Object.keys(made).length) appendSecrets(file, COMMENT, made);
  const isRotated = rotate && !made.KEYWARD_SECRET;
  if (isRotated) rotateSecret(file, known);
  // Origins have to know the next one before it signs.
  const isIdentityRotated = rotateIdentity && !made.KEYWARD_IDENTITY_KEY && !made.KEYWARD_IDENTITY_KEY_NEXT;
  if (isIdentityRotated) rotateIdentityKey(file, { ...known, ...made });

  const shown = relative(process.cwd(), file);
  const what = [
    ...Object.keys(made),
    ...(isRotated ? ["KEYWARD_SECRET, and the one before as KEYWARD_SECRET_PREVIOUS"] : []),
    ...(isIdentityRotated ? ["KEYWARD_IDENTITY_KEY, with the next one and the one before"] : []),
  ];
  console.log(
    `\n${what.length ? `Written to ${shown}: ${what.join(", ")}.` : `${shown} has them already; nothing is changed.`} Keep a copy in a safe place.`,
  );
  if (rotateIdentity && !isIdentityRotated)
    console.log(
      "KEYWARD_IDENTITY_KEY is not rotated: origins do not know the next one yet. Set these, and rotate once they have fetched the keys: after 5 minutes.",
    );
  const others = named.filter((name) => !known[name]);
  if (others.length)
    console.log(
      `The policy names more, which are not made here: add them to the file, NAME=value a line: ${others.join(", ")}.`,
    );
  const at = env === undefined ? "" : ` --env ${env}`;
  console.log(`
  A first deployment       ${deploy}${at} --secrets-file ${shown}
  One that is deployed     npx wrangler secret bulk ${shown}${at}
  The first owner          https://YOUR-HOST${page}/#setup=${made.KEYWARD_SETUP_TOKEN ?? known.KEYWARD_SETUP_TOKEN}`);
}

/**
 * Makes a new secret, and the one that was there the first of the previous ones.
 * @param {string} file
 * @param {NodeJS.Dict<string>} known
 */
function rotateSecret(file, { KEYWARD_SECRET, KEYWARD_SECRET_PREVIOUS }) {
  replaceSecrets(file, {
    KEYWARD_SECRET: MADE.KEYWARD_SECRET(),
    KEYWARD_SECRET_PREVIOUS: [KEYWARD_SECRET, KEYWARD_SECRET_PREVIOUS].filter(Boolean).join(","),
  });
}

/**
 * Has the next key sign, keeps the one before for the tokens that it has signed, and makes another next one.
 * @param {string} file
 * @param {NodeJS.Dict<string>} known
 */
function rotateIdentityKey(file, { KEYWARD_IDENTITY_KEY, KEYWARD_IDENTITY_KEY_NEXT }) {
  replaceSecrets(file, {
    KEYWARD_IDENTITY_KEY: KEYWARD_IDENTITY_KEY_NEXT,
    KEYWARD_IDENTITY_KEY_NEXT: MADE.KEYWARD_IDENTITY_KEY_NEXT(),
    KEYWARD_IDENTITY_KEY_PREVIOUS: KEYWARD_IDENTITY_KEY,
  });
}
