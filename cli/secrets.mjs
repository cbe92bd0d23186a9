// `keyward secrets`: the secrets of a deployment.

import { makeSecrets } from "../scripts/lib/deployment_secrets.mjs";
import { folder, policyFile, readArgs } from "./folder.mjs";

const HELP = `usage: keyward secrets [--rotate] [--policy FILE]

Makes the secrets of a deployment that are not there yet, and writes them to .keyward/secrets.env, which git ignores. With --rotate, KEYWARD_SECRET
becomes a previous one, under which keys stay valid, and a new one is made.`;

/** @param {string[]} args */
export async function run(args) {
  const options = /** @type {const} */ ({ rotate: { type: "boolean" }, policy: { type: "string" } });
  const { values } = readArgs(args, { help: HELP, options });
  const policy = policyFile(values.policy);
  await makeSecrets({ folder, policy, isRotation: values.rotate, deploy: "npx keyward deploy" });
}
