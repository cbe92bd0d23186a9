// `keyward restore`: sends a file that `keyward backup` wrote to a gate that has nothing yet.

import { createReadStream, statSync } from "node:fs";

import { secretsFile } from "../scripts/lib/deployment_secrets.mjs";
import { Failure } from "../scripts/lib/progress.mjs";
import { readSecrets } from "../scripts/lib/secrets.mjs";
import { call, jsonOf, refusalOf } from "./admin_api.mjs";
import { hintOf, patiently, readFileArgs } from "./backup.mjs";
import { DEV_VARS, folder } from "./folder.mjs";

const HELP = `usage: keyward restore FILE [--url https://api.example.com] [--env NAME]

Sends a backup to a gate that was just deployed and has no owner yet. Its KEYWARD_SECRET must be the one of then, or have that as a
previous one. The set-up token is read from KEYWARD_SETUP_TOKEN, or from .keyward/secrets.env or .dev.vars. --env: that of the environment of
wrangler.toml whose token is in .keyward/secrets.NAME.env. What was interrupted is sent again with the same command.`;

/** How the last line of a page begins. */
const TAIL = '{"end":';
/** Characters that no page has: a file without line breaks is not read into memory. */
const LONGEST_PAGE = 16_000_000;

/** @param {string[]} args */
export async function run(args) {
  const { file, gate, values } = await readFileArgs(args, HELP, { url: { type: "string" }, env: { type: "string" } });
  if (!statSync(file, { throwIfNoEntry: false })?.isFile())
    throw new Failure(
      `the file ${file} is not there`,
      "keyward backup writes one. Its path is relative to where you are.",
    );
  const secrets = gate.isLocal && !values.env ? DEV_VARS : secretsFile(folder, values.env);
  const token = process.env.KEYWARD_SETUP_TOKEN ?? readSecrets(secrets).KEYWARD_SETUP_TOKEN;
  if (!token) throw new Failure("there is no set-up token", "Set KEYWARD_SETUP_TOKEN, or name the environment: --env.");
  await refuseIncomplete(file);
  const headers = { Authorization: `Setup ${token}`, "Content-Type": "application/x-ndjson" };
  let last;
  let rows = 0;
  for await (const page of pagesOf(file)) {
    const answer = await patiently(() => call(gate, "POST", "/restore", headers, page));
    last = jsonOf(answer);
    if (answer.status !== 200 || !last) throw refusalOf(gate, answer, hintOf(answer));
    rows += last.rows;
  }
  console.log(`${last.backup}, made at ${last.madeAt}, is restored: ${rows} rows. Keys are published in the next minutes; sign in as before.
What was changed since then is undone, but for revocations. Keys that were made since are called "Found after a restore".`);
}

/** The pages of a file, one after the other. @param {string} file */
async function* pagesOf(file) {
  let page = "";
  for await (const line of linesOf(file)) {
    page += `${line}\n`;
    if (line.startsWith(TAIL)) {
      yield page;
      page = "";
    }
    if (page.length > LONGEST_PAGE) throw noBackup(file);
  }
  if (page) yield page;
}

/**
 * The lines of a file, however their ends were converted. Not by node:readline: to that U+2028 and U+2029 are ends, too, and people's own
 * text in a row may hold those.
 * @param {string} file
 */
async function* linesOf(file) {
  let rest = "";
  for await (const chunk of createReadStream(file, "utf8")) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > LONGEST_PAGE) throw noBackup(file);
    for (const line of lines) yield line.replace(/\r$/, "");
  }
  if (rest) yield rest;
}

/** @param {string} file */
const noBackup = (file) => new Failure(`${file} is no backup`, "keyward backup writes one.");

/** Before anything is sent: what has been begun keeps everybody else out until it is ended. @param {string} file */
async function refuseIncomplete(file) {
  let [number, isWhole, previous] = [0, false, ""];
  for await (const page of pagesOf(file)) {
    const lines = page.trimEnd().split("\n");
    const head = parsed(lines[0]);
    const tail = parsed(lines.at(-1) ?? "");
    if (head?.keyward !== "backup") throw noBackup(file);
    if (isWhole) throw new Failure(`${file} goes on after the end of a backup`, "Send the file of one backup.");
    if (head.page !== number) throw new Failure(`page ${number} is missing in ${file}`, "Take another backup.");
    if (head.previous !== previous)
      throw new Failure(
        `page ${number} in ${file} is not of the backup that the page before is of`,
        "Take another backup.",
      );
    isWhole = tail?.end === true;
    previous = tail?.mac;
    number += 1;
  }
  if (!isWhole) throw new Failure(`${file} is cut short: its last page is missing`, "Take another backup.");
}

/** @param {string} line */
function parsed(line) {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
