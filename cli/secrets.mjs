// `keyward secrets`: the secrets of a deployment.

import { makeSecrets } from "../scripts/lib/deployment_secrets.mjs";
import { folder, policyFile, readArgs } from "./folder.mjs";

const HELP = `usage: keyward secrets [--rotate] [--rotate-identity] [--env NAME] [--policy FILE]

Makes the secrets of a deployment that are not there yet, and writes them to .keyward/secrets.env, which git ignores. With --env
they are those of an environment of wrangler.toml, in .keyward/secrets.NAME.env. With --rotate, KEYWARD_SECRET
becomes a previous one, under which keys stay valid, and a new one is made. With --rotate-identity, the next KEYWARD_IDENTITY_KEY signs from now on,
which origins know already.`;

const OPTIONS = /** @type {const} */ ({
  rotate: { type: "boolean" },
  "rotate-identity": { type: "boolean" },
  env: { type: "string" },
  policy: { type: "string" },
});

/** @param {string[]} args */
export async function run(args) {
  const { values } = readArgs(args, { help: HELP, options: OPTIONS });
  const policy = policyFile(values.policy);
  const { rotate, "rotate-identity": rotateIdentity, env } = values;
  await makeSecrets({ folder, policy, rotate, rotateIdentity, env, deploy: "npx keyward deploy" });
}
