// The Worker as `wrangler dev` runs it on a developer's machine: the one that is deployed, and beside it
// the demo origin and a line of log for each request. Never deployed: see scripts/build.mjs.

import Gate from "../build/index.js";

export * from "../build/index.js";
export { default as DemoOrigin } from "./origin.mjs";

/** A run of characters that may be a key or token, and is no UUID. */
const SECRET = /(?![0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![\w-]))[\w-]{20,}/gi;

export default class extends Gate {
  async fetch(request) {
    const { method, url } = request;
    const began = Date.now();
    const response = await super.fetch(request);
    // Without the query: it is the origin's business, and a key may stand in it.
    const path = new URL(url).pathname.replaceAll(SECRET, "…");
    const requestId = response.headers.get("x-request-id");
    console.log(`${method} ${path} ${response.status} ${Date.now() - began} ms${requestId ? ` ${requestId}` : ""}`);
    return response;
  }
}
