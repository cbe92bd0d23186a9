// Calls of the admin API of a gate that runs, here or deployed.

import { existsSync } from "node:fs";
import { resolve } from "node:path";

import { readPolicies } from "../scripts/lib/policy.mjs";
import { Failure, messageOf } from "../scripts/lib/progress.mjs";
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
   * @param {object} [body]
   * @returns {Promise<any>}
   */
  return async (method, path, body) => {
    const headers = { Authorization: credential, ...(body && { "Content-Type": "application/json" }) };
    const answer = await call(gate, method, path, headers, body && JSON.stringify(body));
    const isJson = /[/+]json/.test(answer.headers.get("content-type") ?? "");
    if (answer.ok && (isJson || answer.text === "")) return answer.text ? JSON.parse(answer.text) : {};
    const who = key
      ? "The key in KEYWARD_ADMIN_KEY is not one of this gate, or not valid any more."
      : "There is an owner, so the set-up token is over: set KEYWARD_ADMIN_KEY to a key of the scope admin:write; the admin page makes one.";
    throw refusalOf(gate, answer, answer.status === 401 ? who : undefined);
  };
}

/**
 * The gate at this address, or at that in KEYWARD_URL, or on this machine.
 * @param {{ url?: string }} options
 */
export async function gateOf({ url = process.env.KEYWARD_URL ?? LOCAL }) {
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
  const policy = process.env.KEYWARD_POLICY ?? "keyward.toml";
  const { admin } = existsSync(resolve(folder, policy)) ? (await readPolicies(policy, folder)).get(policy) : {};
  return admin?.api ?? "/api/admin";
}

/**
 * What a gate said when it refused.
 * @param {{ base: string }} gate
 * @param {{ status: number, headers: Headers, text: string }} answer
 * @param {string} [hint] in place of which fields are wrong
 */
export function refusalOf({ base }, { status, headers, text }, hint) {
  const isJson = /[/+]json/.test(headers.get("content-type") ?? "");
  /** @type {{ code?: string, detail?: string, errors?: { field: string, message: string }[] }} */
  const { code, detail, errors = [] } = isJson ? JSON.parse(text) : {};
  if (!code) return new Failure(`${base} answers ${status}, and not as a gate does`, "Is that the gate's address?");
  const fields = errors.map(({ field, message }) => `${field}: ${message}`);
  return new Failure(`${status} ${code}: ${detail ?? ""}`.trim(), hint ?? fields.join("\n"));
}
