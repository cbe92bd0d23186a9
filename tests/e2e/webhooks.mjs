// Webhooks of the realm "hooks" in the tests' policy, signed as Stripe signs them, or not.

import { createHmac } from "node:crypto";

import { startGate } from "./harness/gate.mjs";

const HOOKS_SECRET = "whsec_for_tests";

/** Whose signatures are wrong, if nothing else is said. */
export const FORGER = "192.0.2.1";

/** @param {string | Uint8Array} body */
export const signature = (body, at = Math.floor(Date.now() / 1000)) =>
  `t=${at},v1=${createHmac("sha256", HOOKS_SECRET).update(`${at}.`).update(body).digest("hex")}`;
/** One in the right form. */
export const forged = () => signature("another body");

/**
 * A gate that knows the secret.
 * @param {Parameters<typeof startGate>[0]} [options]
 */
export const start = (options) => startGate({ policy: "e2e", secrets: { HOOKS_SECRET }, ...options });

/**
 * The head of a webhook with a signature in the right form, from this address.
 * @param {string[]} fields
 * @param {{ from?: string, sign?: string | null }} options
 */
export const head = (fields, { from = FORGER, sign = forged() } = {}) =>
  [
    "POST /events HTTP/1.1",
    "Host: HOST",
    `CF-Connecting-IP: ${from}`,
    ...(sign ? [`Stripe-Signature: ${sign}`] : []),
    ...fields,
    "",
    "",
  ].join("\r\n");

/**
 * A body as a client sends it that does not say how long it is.
 * @param {Uint8Array} body
 */
export async function* inChunks(body, size = 50_000) {
  for (let at = 0; at < body.length; at += size) yield body.subarray(at, at + size);
}

/** @param {{ status: number, json(): any }} answer */
export const code = (answer) => [answer.status, answer.json().code];
