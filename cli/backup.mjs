// `keyward backup`: what the Registry of a gate holds, in a file. `keyward restore` sends it back.

import { existsSync, renameSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { Failure } from "../scripts/lib/progress.mjs";
import { call, gateOf, jsonOf, refusalOf } from "./admin_api.mjs";
import { readArgs } from "./folder.mjs";

/** @import { ParseArgsConfig } from "node:util" */

const HELP = `usage: keyward backup FILE [--url https://api.example.com]

Writes all that the gate's Registry holds (tenants, people, keys by their hashes, the audit, usage) to a new file. An owner of the
operator's tenant has to ask: KEYWARD_EMAIL and KEYWARD_PASSWORD, or the token of a session that is younger than five minutes in
KEYWARD_SESSION_TOKEN. Which gate: --url, or KEYWARD_URL; else the one on this machine.`;

/** Longest that is waited when the gate says that there were too many calls. */
const LONGEST_WAIT_S = 120;

/** @param {string[]} args */
export async function run(args) {
  const { file, gate } = await readFileArgs(args, HELP, { url: { type: "string" } });
  if (existsSync(file)) throw new Failure(`${file} is there already`, "Name a new file: a backup replaces none.");
  const token = process.env.KEYWARD_SESSION_TOKEN || (await signIn(gate));
  const part = `${file}.part`;
  // Hashes of passwords are in it. What is left of an interrupted backup goes, and nothing that lies there is written to: it may be a
  // link, or a file that others read.
  rmSync(part, { force: true });
  const out = await open(part, "wx", 0o600);
  let pages = 0;
  try {
    for (let cursor; cursor !== null; pages += 1) {
      const path = `/backup${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`;
      const answer = await patiently(() => call(gate, "GET", path, { Authorization: `Bearer ${token}` }));
      if (answer.status !== 200 || !isPage(answer)) throw refusalOf(gate, answer, hintOf(answer));
      await out.writeFile(answer.text);
      cursor = answer.headers.get("next-cursor");
    }
    // Before it has its name: whoever sees that has the backup.
    await out.sync();
    await out.close();
    renameSync(part, file);
  } catch (error) {
    await out.close();
    rmSync(part, { force: true });
    throw error;
  }
  console.log(`${file} has the backup, in ${pages} ${pages === 1 ? "page" : "pages"}.
Keep it where nobody else reads it, and KEYWARD_SECRET elsewhere: nothing can be restored without that.`);
}

/**
 * The one file that is named, and the gate.
 * @param {string[]} args
 * @param {string} help
 * @param {ParseArgsConfig["options"]} options
 */
export async function readFileArgs(args, help, options) {
  const { values, positionals } = readArgs(args, { help, options, allowPositionals: true });
  if (positionals.length !== 1) throw new Failure("the name of one file is needed", help);
  return { file: positionals[0], gate: await gateOf(values), values };
}

/** @typedef {Awaited<ReturnType<typeof gateOf>>} Gate */
/** @typedef {Awaited<ReturnType<typeof call>>} Answer */

/** Whether this is a page of a backup: what is no gate may answer 200, too. @param {Answer} answer */
const isPage = ({ headers }) => headers.get("content-type")?.startsWith("application/x-ndjson");

/** @param {Gate} gate */
async function signIn(gate) {
  const { KEYWARD_EMAIL: email, KEYWARD_PASSWORD: password } = process.env;
  if (!email || !password) throw new Failure("nobody is named who asks", HELP);
  const headers = { "Content-Type": "application/json" };
  const answer = await call(gate, "POST", "/session", headers, JSON.stringify({ email, password }));
  const hint = answer.status === 401 ? "Are KEYWARD_EMAIL and KEYWARD_PASSWORD right?" : undefined;
  const token = jsonOf(answer)?.token;
  if (answer.status !== 201 || !token) throw refusalOf(gate, answer, hint);
  return token;
}

/** Makes a call again after the time that the gate asks for. @param {() => Promise<Answer>} ask */
export async function patiently(ask) {
  for (;;) {
    const answer = await ask();
    const wait = Number(answer.headers.get("retry-after"));
    if (answer.status !== 429 || !(wait > 0 && wait <= LONGEST_WAIT_S)) return answer;
    await sleep(wait * 1000);
  }
}

/** @param {Answer} answer */
export function hintOf({ status, text }) {
  if (status === 403 && text.includes("STEP_UP_REQUIRED"))
    return "Sign in anew: the session is older than five minutes.";
  return status === 401 ? "Is the token one of this gate?" : undefined;
}
