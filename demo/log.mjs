// A line of log for each request to the Worker, on a developer's machine. Never deployed: see scripts/build.mjs.

/** A run of characters, percent-encoded or not, that may be a key or token, and is no UUID. */
const SECRET = /(?![0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![\w%-]))[\w%-]{20,}/gi;

/**
 * The same Worker, with its lines of log.
 * @param {{ fetch(request: Request, env: object, context: ExecutionContext): Promise<Response> }} gate
 */
export const logged = (gate) => ({
  /**
   * @param {Request} request
   * @param {object} env
   * @param {ExecutionContext} context
   */
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
});
