// Calls of the admin API of a gate that runs, here or deployed.

import { existsSync } from "node:fs";
import { resolve } from "node:path";

import { readPolicies } from "../scripts/lib/policy.mjs";
import { Failure, messageOf } from "../scripts/lib/progress.mjs";
import { startedAt } from "../scripts/lib/running.mjs";
import { readSecrets } from "../scripts/lib/secrets.mjs";
import { DEV_VARS, folder, isHere } from "./folder.mjs";

/** Longer than the gate takes for any answer. */
const ANSWERED_WITHIN_MS = 60_000;
const LOCAL = "http://127.0.0.1:8787";

/** Options of every command that calls it. */
export const OPTIONS = /** @type {const} */ ({ url: { type: "string" }, json: { type: "boolean" } });

export const HELP = `Which gate: --url https://api.example.com, or KEYWARD_URL; else the one that keyward dev runs on this machine.
Who asks: the key in KEYWARD_ADMIN_KEY, of the scope admin:write (admin:read to look). On this machine the set-up token of .dev.vars
does, until there is an owner.
--json prints what the gate answers.`;

/**
 * Calls of the gate, as who is named.
 * @param {{ url?: string }} options
 */
export async function adminApi(options) {
  const gate = await gateOf(options);
  const key = process.env.KEYWARD_ADMIN_KEY;
  const { KEYWARD_SETUP_TOKEN } = gate.isLocal ? readSecrets(DEV_VARS) : {};
  if (!key && !KEYWARD_SETUP_TOKEN)
    throw new Failure(
      "nobody is named who asks",
      "Set KEYWARD_ADMIN_KEY to a key of the scope admin:write; the admin page makes one.",
    );
  const credential = key ? `Bearer ${key}` : `Setup ${KEYWARD_SETUP_TOKEN}`;
  /**
   * @param {string} method
   * @param {string} path
   * @param {string} field what the answer has
   * @param {object} [body]
   * @returns {Promise<any>}
   */
  return async (method, path, field, body) => {
    const headers = { Authorization: credential, ...(body && { "Content-Type": "application/json" }) };
    const answer = await call(gate, method, path, headers, body && JSON.stringify(body));
    const said = jsonOf(answer);
    if (answer.ok && said && field in said) return said;
    const who = key
      ? "The key in KEYWARD_ADMIN_KEY is not one of this gate, or not valid any more."
      : "There is an owner, so the set-up token is over, or it is the gate of another folder: set KEYWARD_ADMIN_KEY to a key of the scope admin:write; the admin page makes one.";
    throw refusalOf(gate, answer, answer.status === 401 ? who : undefined);
  };
}

/**
 * The gate at this address, or at that in KEYWARD_URL, or on this machine.
 * @param {{ url?: string }} options
 */
export async function gateOf({ url = process.env.KEYWARD_URL || startedAt(folder) || LOCAL }) {
  if (!URL.canParse(url) || !/^https?:/.test(url))
    throw new Failure(`${JSON.stringify(url)} is not an address`, "Write it whole: --url https://api.example.com");
  const { protocol, hostname, origin } = new URL(url);
  const isLocal = isHere(hostname);
  if (protocol === "http:" && !isLocal)
    throw new Failure(
      `${origin} is not asked without TLS: whoever is on the way would read the key`,
      "Write https://.",
    );
  return { base: origin + (await apiPath()), isLocal };
}

/**
 * Asks a gate; its answer, whatever it is.
 * @param {{ base: string, isLocal: boolean }} gate
 * @param {string} method
 * @param {string} path
 * @param {Record<string, string>} headers
 * @param {string} [body]
 */
export async function call({ base, isLocal }, method, path, headers, body) {
  // What is said of such a value elsewhere has the value in it.
  if (!Object.values(headers).every((value) => /^[ -~]*$/.test(value.trim())))
    throw new Failure(
      "the credential has a character that none has: a line break, or one that is not ASCII",
      "Copy it anew, alone and on one line.",
    );
  try {
    const signal = AbortSignal.timeout(ANSWERED_WITHIN_MS);
    const answer = await fetch(base + path, { method, headers, body, redirect: "error", signal });
    return { ok: answer.ok, status: answer.status, headers: answer.headers, text: await answer.text() };
  } catch (error) {
    const { cause } = /** @type {Error} */ (error);
    throw new Failure(
      `${base} cannot be asked: ${messageOf(cause ?? error)}`,
      isLocal ? "Is it running? npx keyward dev" : "Is the address right, and is there a network?",
    );
  }
}

/** Where the policy of this folder has the admin API. */
async function apiPath() {
  const policy = process.env.KEYWARD_POLICY || "keyward.toml";
  const { admin } = existsSync(resolve(folder, policy)) ? (await readPolicies(policy, folder)).get(policy) : {};
  return admin?.api ?? "/api/admin";
}

/**
 * What an answer says; undefined if it is not an object in JSON.
 * @param {{ headers: Headers, text: string }} answer
 * @returns {Record<string, any> | undefined}
 */
export function jsonOf({ headers, text }) {
  if (!/[/+]json/.test(headers.get("content-type") ?? "")) return undefined;
  try {
    const said = JSON.parse(text);
    return typeof said === "object" && said !== null ? said : undefined;
  } catch {
    return undefined;
  }
}

/**
 * What a gate said when it refused.
 * @param {{ base: string }} gate
 * @param {{ status: number, headers: Headers, text: string }} answer
 * @param {string} [hint] in place of which fields are wrong
 */
export function refusalOf({ base }, answer, hint) {
  const { status } = answer;
  const { code, detail, errors = [] } = jsonOf(answer) ?? {};
  if (typeof code !== "string" || typeof detail !== "string" || !Array.isArray(errors))
    return new Failure(`${base} answers ${status}, and not as a gate does`, "Is that the gate's address?");
  const fields = errors.map((error) => printable(`${error?.field}: ${error?.message}`));
  return new Failure(printable(`${status} ${code}: ${detail}`), hint ?? fields.join("\n"));
}

/** Text of others, without what would do something to a terminal. @param {string} text */
export const printable = (text) => text.replaceAll(/\p{C}/gu, "\u{fffd}");
