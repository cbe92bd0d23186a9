// Builds the Worker: the policy as a document that `keyward check` writes, and the gate, which is the same for every
// policy. What is unchanged since the last time is not built again, and a change of the policy compiles nothing.
//   node scripts/build.mjs [--policy FILE] [--out DIR] [--quick]
// Defaults: keyward.toml (or KEYWARD_POLICY), and build/, where policy.json and worker.js go. The gate is in build/, and in a
// folder outside of the project too, where a Worker of one's own takes it from. What `npm start` and
// `wrangler dev` run is in build/dev/, so that nobody deploys or tests what they are just writing. With --quick (or KEYWARD_QUICK=1, or for `wrangler dev`) it takes half of the time and the result is larger
// and slower: to try and to test it. A full build does for that too.

import { existsSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";

import { check } from "./lib/check.mjs";
import { buildChecker, buildGate, DEPLOYED, DEV, isBuilt } from "./lib/compile.mjs";
import { DEV_ENTRY, ENTRY, isEntry, openEnds, readConfig, refuseIncomplete } from "./lib/deployment.mjs";
import { isMain, put, root } from "./lib/places.mjs";
import { readPolicies } from "./lib/policy.mjs";
import { Failure, printed, runMain, Steps } from "./lib/progress.mjs";
import { putPolicy, refuseWhileStarted } from "./lib/running.mjs";
import { devSecrets } from "./lib/secrets.mjs";
import { setup, setupSteps } from "./setup.mjs";

/** @import { Progress } from "./lib/progress.mjs" */

/** What wrangler runs this for; it sets that itself. */
const command = process.env.WRANGLER_COMMAND;
const isDeployed = command !== undefined && command !== "dev";

const defaultPolicy = () => process.env.KEYWARD_POLICY ?? "keyward.toml";
/** @typedef {{ policy?: string, out?: string, dev?: boolean, quick?: boolean }} BuildOptions */

const isQuick = (/** @type {BuildOptions} */ { quick, dev = command === "dev" }) =>
  quick ?? (dev || process.env.KEYWARD_QUICK === "1");

/** Set by `npm start` for the builds that wrangler runs for it. */
const isStarted = () => process.env.KEYWARD_STARTED === "1";

/** The folder that `npm start` and `wrangler dev` build into: build/ if the Worker is the user's own, which imports from there. */
export const devFolder = async () => (isEntry(await readConfig()) ? DEV : DEPLOYED);

/**
 * Builds the Worker with `policy` into `out`, both relative to the root. As a step's work: says how far it is.
 * @param {BuildOptions} options `dev`: for a developer's machine, with the demo origin
 * @param {Progress} progress
 */
export async function build(
  { policy = defaultPolicy(), out, dev = command === "dev", quick } = {},
  progress = () => {},
) {
  if (!existsSync(resolve(root, policy))) {
    throw new Failure(`the policy file ${policy} is not there`, "Name it relative to the project's folder.");
  }
  const gateFolder = dev ? await devFolder() : DEPLOYED;
  const to = out ?? gateFolder;
  if (!isStarted() && to === (await devFolder())) refuseWhileStarted();
  if (dev) devSecrets(await readPolicies(policy));
  await pageBuilt();
  const checker = await buildChecker(progress);
  // Before the minutes that the gate may take.
  const document = await check(policy);
  const gate = await buildGate(gateFolder, isQuick({ quick, dev }), progress);
  const putDocument = () => put(join(to, "policy.json"), document);
  if (to === DEPLOYED) await putPolicy({ policy, document, isDeployed }, putDocument);
  else putDocument();
  const isElsewhere = to.startsWith("..");
  if (isElsewhere)
    for (const name of ["keyward.js", "keyward.wasm"]) put(join(to, name), readFileSync(join(root, gateFolder, name)));
  put(join(to, "worker.js"), heading(policy) + (to === DEV ? DEV_WORKER : workerIn(isElsewhere ? DEPLOYED : to)));
  if (to === DEV && !isStarted()) put(ENTRY, heading(policy) + TO_DEV_WORKER);
  return checker === Steps.nothing && gate === Steps.nothing ? Steps.nothing : undefined;
}

/** Builds the page too. Imported here: set-up installs what it needs. */
async function pageBuilt() {
  const { buildPage } = await import("./lib/page.mjs");
  await buildPage();
}

/** What worker.js begins with. */
const heading = (policy) => `// The gate with ${JSON.stringify(policy)}.\n`;

/** The Worker that is deployed, in this folder. */
const workerIn = (out) => {
  const gate = JSON.stringify(`./${relative(out, join(DEPLOYED, "keyward.js"))}`);
  return `import { keyward } from ${gate};
import policy from "./policy.json";

export { KeyGate, Registry, Relay } from ${gate};
export default keyward(policy);
`;
};

/** The one for a developer's machine: with the demo origin, and a line of log for each request. Never deployed. */
const DEV_WORKER = `import { logged } from "../../demo/log.mjs";
import { keyward } from "./keyward.js";
import policy from "./policy.json";

export { default as DemoOrigin } from "../../demo/origin.mjs";
export { KeyGate, Registry, Relay } from "./keyward.js";
export default logged(keyward(policy));
`;

/**
 * What a plain `wrangler dev` finds as `main`. A `wrangler deploy` at the same moment might find it too, so it throws when it was
 * bundled for a deployment: the platform rejects a Worker that throws at startup.
 */
const TO_DEV_WORKER = `export * from "./dev/worker.js";
export { default } from "./dev/worker.js";

if (process.env.NODE_ENV !== "development")
  throw new Error("wrangler dev made this Worker, for this machine only: run wrangler deploy again (with NODE_ENV unset)");
`;

if (isMain(import.meta)) {
  await runMain(async () => {
    const { values } = parseArgs({
      options: { policy: { type: "string" }, out: { type: "string" }, quick: { type: "boolean" } },
    });
    for (const name of /** @type {const} */ (["policy", "out"]))
      if (values[name]) values[name] = relative(root, resolve(values[name]));
    const policy = values.policy ?? defaultPolicy();
    if (command === "dev" && (await runs(policy)) && (await isBuilt(await devFolder(), isQuick(values))))
      return changed(policy);
    const steps = new Steps(setupSteps() + 2);
    await setup(steps);
    // First: what else is wrong may come of a mistake there.
    await steps.run("Checking the policy", async (progress) => {
      await buildChecker(progress);
      await check(policy);
    });
    const policies = await readPolicies(policy);
    if (isDeployed) await refuseIncomplete(policies);
    await steps.run("Building the Worker", (progress) => build(values, progress));
    if (isDeployed) for (const line of await openEnds(policies)) console.log(`note: ${line}`);
  });
}

/** Whether what wrangler runs is there, with this policy. */
async function runs(policy) {
  const has = (file, text) =>
    existsSync(join(root, file)) && readFileSync(join(root, file), "utf8") === heading(policy) + text;
  if ((await devFolder()) !== DEV) return has(ENTRY, workerIn(DEPLOYED));
  return has(DEV_ENTRY, DEV_WORKER) && (isStarted() || has(ENTRY, TO_DEV_WORKER));
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
    console.log(`${printed(error)}\nThe gate goes on with the policy as it was.`);
  }
}
