// `keyward check`: says whether a policy is in order.

import { check } from "../scripts/lib/check.mjs";
import { Failure } from "../scripts/lib/progress.mjs";
import { policyFile, read, readArgs } from "./folder.mjs";

const HELP = `usage: keyward check [FILE]

Reads a policy (keyward.toml, or KEYWARD_POLICY) and the files that it includes. Each mistake is printed with its line and a hint, and
the exit code is then 1.`;

/** @param {string[]} args */
export async function run(args) {
  const { positionals } = readArgs(args, { help: HELP, allowPositionals: true });
  if (positionals.length > 1) throw new Failure("one policy is checked at a time", HELP);
  const policy = policyFile(positionals[0]);
  await check(policy, read);
  console.log(`${policy} is in order.`);
}
