// Requests with any Host header, which fetch() does not allow.

import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import { text as readAll } from "node:stream/consumers";

import { Failure, messageOf } from "./progress.mjs";

/** Longer than the gate takes for any answer. */
const ANSWERED_WITHIN_MS = 60_000;

/**
 * Sends a request, with a body as JSON; redirects are not followed. `anyCertificate`: also to whoever cannot show whose it is.
 * @param {string} base
 * @param {string} method
 * @param {string} path
 * @param {Record<string, string>} headers
 * @param {{ anyCertificate?: boolean, body?: object }} [how]
 */
async function begin(base, method, path, headers, { anyCertificate = false, body } = {}) {
  const isTls = base.startsWith("https:");
  const type = body && { "Content-Type": "application/json" };
  const options = {
    method,
    headers: { ...headers, ...type },
    agent: false,
    signal: AbortSignal.timeout(ANSWERED_WITHIN_MS),
  };
  const request = isTls
    ? https.request(base + path, { ...options, rejectUnauthorized: !anyCertificate })
    : http.request(base + path, options);
  request.end(body && JSON.stringify(body));
  const [response] = await once(request, "response");
  return response;
}

/**
 * The status that a request gets, whatever follows it.
 * @param {Parameters<typeof begin>} request
 */
export async function statusOf(...request) {
  const response = await begin(...request);
  response.destroy();
  return /** @type {number} */ (response.statusCode);
}

/**
 * The answer to a request.
 * @param {Parameters<typeof begin>} request
 */
export async function send(...request) {
  const response = await begin(...request);
  const text = await readAll(response);
  const json = () => {
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  };
  return { status: /** @type {number} */ (response.statusCode), headers: response.headers, json };
}

/**
 * Asks a gate; a Failure if it cannot be asked.
 * @param {string} base
 * @param {string} path
 * @param {Record<string, string>} [headers]
 */
export async function ask(base, path, headers = {}, method = "GET") {
  try {
    return await send(base, method, path, headers);
  } catch (error) {
    throw new Failure(
      `${base} cannot be asked: ${messageOf(error)}`,
      "Does it run, is the address right, and is there a network?",
    );
  }
}
