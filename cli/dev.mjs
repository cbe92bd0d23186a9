// `keyward dev`: the gate of this folder on this machine, with a key to try it with.

import { join, relative } from "node:path";

import { readConfig } from "../scripts/lib/deployment.mjs";
import { readPolicies } from "../scripts/lib/policy.mjs";
import { refuseBusyPort } from "../scripts/lib/ports.mjs";
import { Failure, Steps } from "../scripts/lib/progress.mjs";
import { beTheOnlyOne } from "../scripts/lib/running.mjs";
import { devSecrets } from "../scripts/lib/secrets.mjs";
import { introduce, ownName } from "../scripts/lib/started.mjs";
import { wranglerDev } from "../scripts/lib/wrangler.mjs";
import { write } from "./build.mjs";
import {
  DEV_VARS,
  folder,
  nodeForWrangler,
  OWN,
  policyFile,
  readArgs,
  refuseOtherVersion,
  wranglerScript,
} from "./folder.mjs";

const HELP = `usage: keyward dev [--port 8787] [--policy FILE]

Runs the gate of this folder on this machine, makes a key, and prints requests to try. A change of the policy holds within two seconds.
What the gate stores stays in .wrangler/state.`;

/** @param {string[]} args */
export async function run(args) {
  const { values } = readArgs(args, {
    help: HELP,
    options: { port: { type: "string", default: "8787" }, policy: { type: "string" } },
  });
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new Failure(`--port ${values.port} is not a port`, "A whole number from 1 to 65535.");
  const policy = policyFile(values.policy);
  refuseOtherVersion();
  await readConfig(folder);
  const cli = wranglerScript();
  const base = `http://127.0.0.1:${port}`;
  await refuseBusyPort(port, "npx keyward dev --port");
  const another = "use another folder";
  await beTheOnlyOne(`${base}, ${policy}`, { command: "keyward dev", folder, another });
  const steps = new Steps(3);
  await steps.run("Checking the policy", () => write(policy));
  const policies = await readPolicies(policy, folder);
  const { KEYWARD_SETUP_TOKEN } = devSecrets(policies, DEV_VARS);
  const state = join(".wrangler", `state${ownName(policy)}`);
  const log = join(OWN, "dev.log");
  // For the builds that wrangler runs after each change.
  const env = { KEYWARD_POLICY: policy };
  const { stop, tellOfBuilds } = await steps.run("Starting wrangler dev", async () => {
    const node = await nodeForWrangler();
    return wranglerDev({ command: "keyward dev", folder, node, cli, base, port, state, policy, log, env });
  });
  try {
    await introduce({
      folder,
      base,
      policy,
      policies,
      secretsFile: DEV_VARS,
      setupToken: KEYWARD_SETUP_TOKEN,
      state,
      log,
      steps,
    });
    console.log(
      `  Its policy  ${relative(process.cwd(), join(folder, policy))}: what you change there holds within two seconds`,
    );
    tellOfBuilds();
  } catch (error) {
    await stop();
    throw error;
  }
}
