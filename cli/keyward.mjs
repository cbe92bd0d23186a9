#!/usr/bin/env node
// The command `keyward`: a gate in a folder of one's own, without a compiler.

import { Failure, runMain } from "../scripts/lib/progress.mjs";
import { ownVersion } from "./folder.mjs";

/** Each command: its arguments, what it does, and the module whose `run(args)` does it. */
const COMMANDS = {
  init: ["", "writes a policy, wrangler.toml, package.json and secrets for this machine", "./init.mjs"],
  dev: ["[--port 8787] [--policy FILE]", "runs the gate on this machine", "./dev.mjs"],
  check: ["[FILE]", "says whether the policy is in order", "./check.mjs"],
  build: ["[--policy FILE]", "writes the policy for the Worker; wrangler.toml has wrangler run it", "./build.mjs"],
  secrets: [
    "[--rotate] [--rotate-identity] [--env NAME] [--policy FILE]",
    "makes the secrets of a deployment",
    "./secrets.mjs",
  ],
  deploy: ["[wrangler's options]", "checks, and has wrangler deploy", "./deploy.mjs"],
  keys: ["create | list | revoke | rotate | usage", "manages keys of a gate that runs", "./keys.mjs"],
  backup: ["FILE [--url URL]", "writes what a gate's Registry holds to a file", "./backup.mjs"],
  restore: ["FILE [--url URL] [--env NAME]", "sends such a file to a gate that was just deployed", "./restore.mjs"],
  doctor: [
    "URL [--env NAME] [--policy FILE]",
    "looks whether a gate that runs is whole, closed and the only way to its origin",
    "./doctor.mjs",
  ],
  policy: ["explain GET /path | import openapi.yaml", "says what the policy does, or makes one", "./policy.mjs"],
};

/** @param {string[]} args */
async function main([name, ...args]) {
  if (!name || name === "help" || name === "--help" || name === "-h") return console.log(usage());
  if (name === "--version" || name === "-v") return console.log(ownVersion());
  if (!Object.hasOwn(COMMANDS, name)) {
    throw new Failure(`keyward has no command ${JSON.stringify(name)}`, usage());
  }
  const [, , module] = COMMANDS[/** @type {keyof typeof COMMANDS} */ (name)];
  const { run } = await import(module);
  await run(args);
}

function usage() {
  const lines = Object.entries(COMMANDS).map(([name, [args, what]]) => {
    const line = `  keyward ${name}${args && ` ${args}`}`;
    return `${line}\n      ${what}`;
  });
  return [
    `keyward ${ownVersion()}: an API-key gate at the edge`,
    "",
    ...lines,
    "",
    "keyward COMMAND --help says more.",
  ].join("\n");
}

await runMain(() => main(process.argv.slice(2)));
