// `keyward check`: says whether a policy is in order; every mistake with its line and a hint.
//   npm run check [-- FILE]      keyward.toml (or KEYWARD_POLICY), or this file
//   npm run --silent check -- --schema > keyward.schema.json    prints the JSON Schema of policies, and nothing else

import { relative, resolve } from "node:path";
import { parseArgs } from "node:util";

import { check, schema } from "./lib/check.mjs";
import { buildChecker, isCheckerBuilt } from "./lib/compile.mjs";
import { root } from "./lib/places.mjs";
import { Failure, runMain, Steps } from "./lib/progress.mjs";
import { setup, setupSteps } from "./setup.mjs";

await runMain(async () => {
  const { values, positionals } = options();
  if (!(await isCheckerBuilt())) {
    const steps = new Steps(setupSteps() + 1, process.stderr);
    await setup(steps);
    await steps.run("Building keyward check", buildChecker);
  }
  if (values.schema) return process.stdout.write(await schema());
  const [file] = positionals;
  const policy = file
    ? relative(root, resolve(process.env.INIT_CWD ?? ".", file))
    : (process.env.KEYWARD_POLICY ?? "keyward.toml");
  await check(policy);
  console.log(`${policy} is in order.`);
});

function options() {
  try {
    return parseArgs({ options: { schema: { type: "boolean" } }, allowPositionals: true });
  } catch (error) {
    throw new Failure(error.message, "npm run check -- keyward.toml, or npm run check -- --schema");
  }
}
