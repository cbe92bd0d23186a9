// Everything from an empty clone to a running gate: set-up, build, wrangler dev with the demo origin
// behind it, a demo key, and what to type to see it work.
//   npm start [-- --port 8787] [--policy FILE]
// Each policy has a state of its own: other keys, other people.

import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";

import { build } from "./build.mjs";
import { DEV_ENTRY, isEntry, readConfig } from "./lib/deployment.mjs";
import { root } from "./lib/places.mjs";
import { readPolicies } from "./lib/policy.mjs";
import { refuseBusyPort } from "./lib/ports.mjs";
import { Failure, runMain, Steps } from "./lib/progress.mjs";
import { beTheOnlyOne } from "./lib/running.mjs";
import { DEV_VARS, devSecrets } from "./lib/secrets.mjs";
import { DEFAULT_POLICY, introduce, ownName } from "./lib/started.mjs";
import { LOG, WRANGLER, wranglerDev } from "./lib/wrangler.mjs";
import { refuseOldNode, setup, setupSteps } from "./setup.mjs";

await runMain(async () => {
  refuseOldNode();
  const { port, policy } = options();
  const base = `http://127.0.0.1:${port}`;
  // Check now what would otherwise fail after minutes of building.
  await refuseBusyPort(port, "npm start -- --port");
  if (!existsSync(resolve(root, policy)))
    throw new Failure(`the policy file ${policy} is not there`, "Its path is relative to where you are.");
  devSecrets();
  const another = "clone the project to another folder";
  await beTheOnlyOne(`${base}, ${policy}`, { command: "npm start", folder: root, another });
  const steps = new Steps(setupSteps() + 3);
  await setup(steps);
  // For wrangler too, which builds again after each change.
  process.env.KEYWARD_POLICY = policy;
  process.env.KEYWARD_STARTED = "1";
  await steps.run("Building the Worker", (progress) => build({ dev: true }, progress));
  const policies = await readPolicies(policy);
  const setupToken = devSecrets(policies).KEYWARD_SETUP_TOKEN;
  await refuseBusyPort(port, "npm start -- --port");
  const state = join(".wrangler", `state${ownName(policy)}`);
  // In place of `main`, so that nobody deploys it.
  const entry = isEntry(await readConfig()) ? [join(root, DEV_ENTRY)] : [];
  const { stop, tellOfBuilds } = await steps.run("Starting wrangler dev", () =>
    wranglerDev({ command: "npm start", folder: root, cli: WRANGLER, entry, base, port, state, policy, log: LOG }),
  );
  try {
    await introduce({
      folder: root,
      base,
      policy,
      policies,
      secretsFile: DEV_VARS,
      setupToken,
      state,
      log: LOG,
      steps,
    });
    tellOfBuilds();
  } catch (error) {
    await stop();
    throw error;
  }
});

function options() {
  let values;
  try {
    ({ values } = parseArgs({ options: { port: { type: "string" }, policy: { type: "string" } } }));
  } catch (error) {
    throw new Failure(
      error.message,
      "Options stand behind a --, or npm takes them for its own: npm start -- --port 8787 --policy keyward.toml",
    );
  }
  // Without the `--` in between, npm takes options for its own and hands them on like this.
  const { npm_config_port = "8787", npm_config_policy } = process.env;
  values = { port: npm_config_port, policy: npm_config_policy, ...values };
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Failure(`--port ${values.port} is not a port`, "A whole number from 1 to 65535.");
  }
  const policy = values.policy
    ? relative(root, resolve(process.env.INIT_CWD ?? ".", values.policy))
    : process.env.KEYWARD_POLICY;
  return { port, policy: policy ?? DEFAULT_POLICY };
}
