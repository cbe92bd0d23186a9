// Origins in the same Worker: handlers that its module gives to `keyward`, by the names that the policy has for them.

/** @typedef {(request: Request, env: object, context: ExecutionContext) => Response | Promise<Response>} Handler */
/** @typedef {Handler | { fetch: Handler } | (new (context: ExecutionContext, env: object) => { fetch(request: Request): Promise<Response> })} Origin */

/** @type {Map<string, Handler>} */
const named = new Map();
/** @type {Handler | undefined} The one that serves every name. */
let only;

/**
 * Takes one origin for all names, or an object with one for each.
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
 * @param {any} origin whatever a Worker hands over
 * @returns {Handler | undefined}
 */
function handlerOf(origin) {
  if (typeof origin === "function") {
    // A class, as those of WorkerEntrypoint: one object for each request.
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
