// The secrets of a deployment, in a file that git ignores and only its owner may read:
//   npm run secrets [-- --rotate] [--rotate-identity] [--env NAME] [--policy FILE]
// Makes those that are not there yet. With --rotate, KEYWARD_SECRET becomes a previous one, under which
// keys stay valid, and a new one is made. With --rotate-identity, the next KEYWARD_IDENTITY_KEY signs from now on, which origins
// know already. README, Deploying, says how they get to the platform.

import { relative, resolve } from "node:path";
import { parseArgs } from "node:util";

import { makeSecrets } from "./lib/deployment_secrets.mjs";
import { root } from "./lib/places.mjs";
import { Failure, runMain, Steps } from "./lib/progress.mjs";
import { refuseOldNode, setup, setupSteps } from "./setup.mjs";

await runMain(async () => {
  refuseOldNode();
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        rotate: { type: "boolean" },
        "rotate-identity": { type: "boolean" },
        env: { type: "string" },
        policy: { type: "string" },
      },
    }));
  } catch (error) {
    throw new Failure(
      error.message,
      "npm run secrets -- --rotate, --rotate-identity, --env staging or --policy keyward.toml",
    );
  }
  // It reads the policy with a package.
  await setup(new Steps(setupSteps()));
  const policy = values.policy
    ? relative(root, resolve(process.env.INIT_CWD ?? ".", values.policy))
    : (process.env.KEYWARD_POLICY ?? "keyward.toml");
  await makeSecrets({
    folder: root,
    policy,
    rotate: values.rotate,
    rotateIdentity: values["rotate-identity"],
    env: values.env,
    deploy: "npx wrangler deploy",
  });
});
