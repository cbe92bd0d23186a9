// `keyward policy`: what a policy does with a request, and routes from an OpenAPI document.

import { Failure } from "../scripts/lib/progress.mjs";
import { explain } from "./explain.mjs";
import { readArgs } from "./folder.mjs";
import { HELP as ABOUT_IMPORT, importOpenApi } from "./import.mjs";

const HELP = `usage: keyward policy explain METHOD /path [--host HOST] [--scopes a,b] [--plan PLAN] [--policy FILE] [--json]
       keyward policy import openapi.yaml [--realm ID] [--policy FILE] [--check]

explain says step by step what the gate would decide about such a request: without a key, or with --scopes with a live key that has
these. It asks the policy alone, and no gate.

${ABOUT_IMPORT}`;

/** @param {string[]} args */
export async function run([name, ...args]) {
  if (name === "explain") return explain(args, HELP);
  if (name === "import") return importOpenApi(args, HELP);
  readArgs([name ?? "--help"], { help: HELP, allowPositionals: true });
  throw new Failure(`keyward policy has no command ${JSON.stringify(name)}`, HELP);
}
