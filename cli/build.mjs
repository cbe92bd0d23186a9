// `keyward build`: writes the document of the policy, which the folder's Worker imports. wrangler runs it, by wrangler.toml.

import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { check } from "../scripts/lib/check.mjs";
import { openEnds, refuseIncomplete } from "../scripts/lib/deployment.mjs";
import { readPolicies } from "../scripts/lib/policy.mjs";
import { Failure, printed } from "../scripts/lib/progress.mjs";
import { folder, OWN, policyFile, read, readArgs, refuseOtherVersion } from "./folder.mjs";

const HELP = `usage: keyward build [--policy FILE]

Checks the policy (keyward.toml, or KEYWARD_POLICY) and writes it to .keyward/policy.json, as the Worker reads it. For a deployment it
also says what wrangler.toml lacks.`;

/** What wrangler runs this for; it sets that itself. */
const command = process.env.WRANGLER_COMMAND;

/** @param {string[]} args */
export async function run(args) {
  const { values } = readArgs(args, { help: HELP, options: { policy: { type: "string" } } });
  const policy = policyFile(values.policy);
  refuseOtherVersion();
  if (command !== "dev") await write(policy);
  else await writeUnlessWrong(policy);
  if (command === undefined || command === "dev") return;
  const policies = await readPolicies(policy, folder);
  await refuseIncomplete(policies, folder);
  for (const line of await openEnds(policies, folder)) console.log(`note: ${line}`);
}

/**
 * Writes the document of a policy; the old file or the new one is there, whole, whatever happens.
 * @param {string} policy
 */
export async function write(policy) {
  const document = await check(policy, read);
  mkdirSync(OWN, { recursive: true, mode: 0o700 });
  const fresh = join(OWN, `policy.json.${process.pid}`);
  writeFileSync(fresh, document);
  renameSync(fresh, join(OWN, "policy.json"));
}

/**
 * While `wrangler dev` runs. A mistake does not fail, since wrangler would then answer no request; the document stays as it was.
 * @param {string} policy
 */
async function writeUnlessWrong(policy) {
  try {
    await write(policy);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    console.log(`${printed(error)}\nThe gate goes on with the policy as it was.`);
  }
}
