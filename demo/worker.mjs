// The Worker as `wrangler dev` runs it on a developer's machine: the one that is deployed, and beside it
// the demo origin and a line of log for each request. Never deployed: see scripts/build.mjs.

import { keyward } from "../build/keyward.js";
import policy from "../build/policy.json";

export { KeyGate, Registry, Relay } from "../build/keyward.js";
export { default as DemoOrigin } from "./origin.mjs";

const gate = keyward(policy);

/** A run of characters that may be a key or token, and is no UUID. */
const SECRET = /(?![0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![\w-]))[\w-]{20,}/gi;

export default {
  async fetch(request, env, context) {
    const { method, url } = request;
    const began = Date.now();
    const response = await gate.fetch(request, env, context);
    // Without the query: it is the origin's business, and a key may stand in it.
    const path = new URL(url).pathname.replaceAll(SECRET, "…");
    const requestId = response.headers.get("x-request-id");
    console.log(`${method} ${path} ${response.status} ${Date.now() - began} ms${requestId ? ` ${requestId}` : ""}`);
    return response;
  },
};
