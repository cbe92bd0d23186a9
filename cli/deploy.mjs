// `keyward deploy`: checks the policy, and has wrangler deploy, with its own questions.

import { spawn } from "node:child_process";

import { resolve } from "node:path";
import { parseArgs } from "node:util";

import { check } from "../scripts/lib/check.mjs";
import { readConfig } from "../scripts/lib/deployment.mjs";
import { Failure } from "../scripts/lib/progress.mjs";
import { readSecrets, refuseUnfit } from "../scripts/lib/secrets.mjs";
import { folder, nodeForWrangler, policyFile, read, refuseOtherVersion, wranglerScript } from "./folder.mjs";

const HELP = `usage: keyward deploy [wrangler's options]

Checks the policy (keyward.toml, or KEYWARD_POLICY) and runs wrangler deploy with these options. The first time:
  keyward secrets
  keyward deploy --secrets-file .keyward/secrets.env`;

/** @param {string[]} args */
export async function run(args) {
  if (args.includes("--help") || args.includes("-h")) return console.log(HELP);
  refuseOtherVersion();
  await readConfig(folder);
  await check(policyFile(), read);
  // The rest is wrangler's to read. A gate with such secrets would refuse everything.
  const { values } = parseArgs({ args, options: { "secrets-file": { type: "string" } }, strict: false });
  if (typeof values["secrets-file"] === "string") {
    const file = resolve(folder, values["secrets-file"]);
    refuseUnfit(file, readSecrets(file));
  }
  const child = spawn(await nodeForWrangler(), ["--no-warnings", wranglerScript(), "deploy", ...args], {
    cwd: folder,
    stdio: "inherit",
  });
  const code = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (status, signal) => resolve(status ?? signal));
  });
  if (code !== 0) throw new Failure(`wrangler deploy ended with ${code}`, "What it said stands above.");
}
