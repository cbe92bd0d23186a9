// Origins in the same Worker: the handlers that were passed to `keyward`, by their names in the policy.

/** @typedef {(request: Request, env: object, context: ExecutionContext) => Response | Promise<Response>} Handler */
/** @typedef {Handler | { fetch: Handler } | (new (context: ExecutionContext, env: object) => { fetch(request: Request): Promise<Response> })} Origin */

/** @type {Map<string, Handler>} */
const named = new Map();
/** @type {Handler | undefined} The handler for every name, if there is only one. */
let only;

/**
 * Registers one origin for all names, or an object with one for each name.
 * @param {Origin | Record<string, Origin>} origin
 */
export function setHandlers(origin) {
  only = handlerOf(origin);
  if (only) return;
  if (typeof origin !== "object" || origin === null) throw new TypeError(`keyward: ${fault("origin")}`);
  for (const [name, one] of Object.entries(origin)) {
    const handler = handlerOf(one);
    if (!handler) throw new TypeError(`keyward: ${fault(`origin.${name}`)}`);
    named.set(name, handler);
  }
}

const fault = (/** @type {string} */ what) => `${what} is neither a function nor an object with a function "fetch"`;

/**
 * @param {any} origin what a Worker passed
 * @returns {Handler | undefined}
 */
function handlerOf(origin) {
  if (typeof origin === "function") {
    // A class like those that extend WorkerEntrypoint: a new object for each request.
    const isClass = typeof origin.prototype?.fetch === "function";
    return isClass ? (request, env, context) => new origin(context, env).fetch(request) : origin;
  }
  return typeof origin?.fetch === "function"
    ? (request, env, context) => origin.fetch(request, env, context)
    : undefined;
}

/**
 * The handler with this name, if there is one.
 * @param {string} name
 */
export const handlerNamed = (name) => named.get(name) ?? only;
