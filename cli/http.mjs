// Requests with any Host header, which fetch() does not allow.

import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import { text as readAll } from "node:stream/consumers";

import { Failure, messageOf } from "../scripts/lib/progress.mjs";

/** Longer than the gate takes for any answer. */
const ANSWERED_WITHIN_MS = 30_000;

/**
 * Sends a request without a body; redirects are not followed.
 * @param {string} base
 * @param {string} method
 * @param {string} path
 * @param {Record<string, string>} headers
 */
export async function send(base, method, path, headers) {
  const { request: begin } = base.startsWith("https:") ? https : http;
  const request = begin(base + path, {
    method,
    headers,
    agent: false,
    signal: AbortSignal.timeout(ANSWERED_WITHIN_MS),
  });
  request.end();
  const [response] = await once(request, "response");
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
 * Gets something of a gate; a Failure if it cannot be asked.
 * @param {string} base
 * @param {string} path
 * @param {Record<string, string>} [headers]
 */
export async function ask(base, path, headers = {}) {
  try {
    return await send(base, "GET", path, headers);
  } catch (error) {
    throw new Failure(
      `${base} cannot be asked: ${messageOf(error)}`,
      "Does it run, is the address right, and is there a network?",
    );
  }
}
