// The secrets of a deployment, in a file that git ignores and only its owner may read:
//   npm run secrets [-- --rotate] [--policy FILE]
// Makes those that are not there yet. With --rotate, KEYWARD_SECRET becomes a previous one, under which
// keys stay valid, and a new one is made. README, Deploying, says how they get to the platform.

import { mkdirSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";

import { root } from "./lib/places.mjs";
import { readPolicies, realmsOf, secretsOf } from "./lib/policy.mjs";
import { Failure, runMain, Steps } from "./lib/progress.mjs";
import { appendSecrets, MADE, readSecrets, refuseUnfit, replaceSecrets } from "./lib/secrets.mjs";
import { refuseOldNode, setup, setupSteps } from "./setup.mjs";

const FILE = join(root, ".keyward", "secrets.env");
const COMMENT = "# Secrets of the deployment. Keep a copy in a safe place: without KEYWARD_SECRET no key is valid.";

await runMain(async () => {
  refuseOldNode();
  let values;
  try {
    ({ values } = parseArgs({ options: { rotate: { type: "boolean" }, policy: { type: "string" } } }));
  } catch (error) {
    throw new Failure(error.message, "npm run secrets -- --rotate, or npm run secrets -- --policy keyward.toml");
  }
  // It reads the policy with a package.
  await setup(new Steps(setupSteps()));
  const policy = values.policy
    ? relative(root, resolve(process.env.INIT_CWD ?? ".", values.policy))
    : (process.env.KEYWARD_POLICY ?? "keyward.toml");
  const policies = await readPolicies(policy);
  const named = secretsOf(realmsOf(policies));
  const { page = "/admin" } = policies.get(policy).admin ?? {};

  const known = readSecrets(FILE);
  refuseUnfit(FILE, known);
  mkdirSync(dirname(FILE), { recursive: true, mode: 0o700 });
  const made = Object.fromEntries(
    Object.entries(MADE)
      .filter(([name]) => !known[name])
      .map(([name, make]) => [name, make()]),
  );
  if (Object.keys(made).length) appendSecrets(FILE, COMMENT, made);
  const isRotated = values.rotate && !made.KEYWARD_SECRET;
  if (isRotated) rotate(known);

  const file = relative(process.cwd(), FILE);
  const what = [
    ...Object.keys(made),
    ...(isRotated ? ["KEYWARD_SECRET, and the one before as KEYWARD_SECRET_PREVIOUS"] : []),
  ];
  console.log(
    `\n${what.length ? `Written to ${file}: ${what.join(", ")}.` : `${file} has them already; nothing is changed.`} Keep a copy in a safe place.`,
  );
  const others = named.filter((name) => !known[name]);
  if (others.length)
    console.log(
      `The policy names more, which others have made: add them to the file, NAME=value a line: ${others.join(", ")}.`,
    );
  console.log(`
  A first deployment       npx wrangler deploy --secrets-file ${file}
  One that is deployed     npx wrangler secret bulk ${file}
  The first owner          https://YOUR-HOST${page}/#setup=${made.KEYWARD_SETUP_TOKEN ?? known.KEYWARD_SETUP_TOKEN}`);
});

/**
 * Makes a new secret, and the one that was there the first of the previous ones.
 * @param {NodeJS.Dict<string>} known
 */
function rotate({ KEYWARD_SECRET, KEYWARD_SECRET_PREVIOUS }) {
  replaceSecrets(FILE, {
    KEYWARD_SECRET: MADE.KEYWARD_SECRET(),
    KEYWARD_SECRET_PREVIOUS: [KEYWARD_SECRET, KEYWARD_SECRET_PREVIOUS].filter(Boolean).join(","),
  });
}
