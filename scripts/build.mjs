// Builds the Worker: the policy as a document that `keyward check` writes, and the gate, which is the same for every
// policy. What is unchanged since the last time is not built again, and a change of the policy compiles nothing.
//   node scripts/build.mjs [--policy FILE] [--out DIR] [--quick]
// Defaults: keyward.toml (or KEYWARD_POLICY), and build/, where policy.json and worker.js go; the gate is always in
// build/. With --quick (or KEYWARD_QUICK=1, or for `wrangler dev`) it takes half of the time and the result is larger
// and slower: to try and to test it. A full build does for that too.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";

import { check } from "./lib/check.mjs";
import { buildChecker, buildGate, isBuilt } from "./lib/compile.mjs";
import { ENTRY, missing, openEnds } from "./lib/deployment.mjs";
import { isMain, root } from "./lib/places.mjs";
import { readPolicies, realmsOf, secretsOf } from "./lib/policy.mjs";
import { Failure, runMain, Steps } from "./lib/progress.mjs";
import { devSecrets } from "./lib/secrets.mjs";
import { setup, setupSteps } from "./setup.mjs";

/** @import { Progress } from "./lib/progress.mjs" */

/** What wrangler runs this for; it sets that itself. */
const command = process.env.WRANGLER_COMMAND;

const defaultPolicy = () => process.env.KEYWARD_POLICY ?? "keyward.toml";
/** @typedef {{ policy?: string, out?: string, dev?: boolean, quick?: boolean }} BuildOptions */

const isQuick = (/** @type {BuildOptions} */ { quick, dev = command === "dev" }) =>
  quick ?? (dev || process.env.KEYWARD_QUICK === "1");

/**
 * Builds the Worker with `policy` into `out`, both relative to the root. As a step's work: says how far it is.
 * @param {BuildOptions} options `dev`: for a developer's machine, with the demo origin
 * @param {Progress} progress
 */
export async function build(
  { policy = defaultPolicy(), out = "build", dev = command === "dev", quick } = {},
  progress = () => {},
) {
  if (!existsSync(resolve(root, policy))) {
    throw new Failure(`the policy file ${policy} is not there`, "Name it relative to the project's folder.");
  }
  if (dev) devSecrets(secretsOf(realmsOf(await readPolicies(policy))));
  const checker = await buildChecker(progress);
  // Before the minutes that the gate may take.
  const document = await check(policy);
  const gate = await buildGate(isQuick({ quick, dev }), progress);
  write(join(out, "policy.json"), document);
  write(join(out, "worker.js"), heading(policy) + (dev ? DEV_WORKER : workerIn(out)));
  return checker === Steps.nothing && gate === Steps.nothing ? Steps.nothing : undefined;
}

/** Writes a file of the project. */
function write(file, text) {
  mkdirSync(join(root, file, ".."), { recursive: true });
  writeFileSync(join(root, file), text);
}

/** What worker.js begins with. */
const heading = (policy) => `// The gate with ${JSON.stringify(policy)}.\n`;

/** The Worker that is deployed, in this folder. */
const workerIn = (out) => {
  const gate = JSON.stringify(`./${relative(out, "build/keyward.js")}`);
  return `import { keyward } from ${gate};
import policy from "./policy.json";

export { KeyGate, Registry, Relay } from ${gate};
export default keyward(policy);
`;
};

/** The one for a developer's machine. */
const DEV_WORKER = `export * from "../demo/worker.mjs";
export { default } from "../demo/worker.mjs";
`;

if (isMain(import.meta)) {
  await runMain(async () => {
    const { values } = parseArgs({
      options: { policy: { type: "string" }, out: { type: "string" }, quick: { type: "boolean" } },
    });
    if (values.policy) values.policy = relative(root, resolve(values.policy));
    const policy = values.policy ?? defaultPolicy();
    const runs = existsSync(join(root, ENTRY)) && readFileSync(join(root, ENTRY), "utf8").startsWith(heading(policy));
    if (command === "dev" && runs && (await isBuilt(isQuick(values)))) return changed(policy);
    const steps = new Steps(setupSteps() + 2);
    await setup(steps);
    // First: what else is wrong may come of a mistake there.
    await steps.run("Checking the policy", async (progress) => {
      await buildChecker(progress);
      await check(policy);
    });
    const isDeployed = command && command !== "dev";
    const policies = await readPolicies(policy);
    const lacks = isDeployed ? await missing(policies) : [];
    if (lacks.length) {
      throw new Failure(
        "what would be deployed is not a whole gate",
        [
          ...lacks,
          "An environment inherits no bindings: write them below [env.…] too, as the top of the file has them. Give it a KV namespace of its own.",
        ].join("\n"),
      );
    }
    await steps.run("Building the Worker", (progress) => build(values, progress));
    if (isDeployed) for (const line of await openEnds(policies)) console.log(`note: ${line}`);
  });
}

/**
 * While `wrangler dev` runs: the policy, which is all that can have changed. A mistake does not fail, since wrangler would
 * then answer no request; the document stays as it was.
 */
async function changed(policy) {
  try {
    await build({ policy });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    console.log(
      `error: ${error.message}\n  ${error.hint?.replaceAll("\n", "\n  ")}\nThe gate goes on with the policy as it was.`,
    );
  }
}
