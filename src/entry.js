// The Worker's entry: holds the wasm instance, hands it the policy, and starts over with a fresh one after a panic.
//
//   import policy from "./policy.json";
//   import { keyward } from "./keyward.js";
//   import app from "./app.js";
//   export { KeyGate, Registry, Relay } from "./keyward.js";
//   export default keyward(policy, { origin: app });
//
// `origin` is for realms with `origin = { handler = "…" }`; other realms need none.

import { setHandlers } from "keyward-handlers";
import { Ended, instance, returned, untilEnded } from "keyward-instance";
import { carryOut } from "keyward-verdict";
import * as wasm from "keyward-wasm";
import { logError } from "./log.js";

/** @typedef {import("./handlers.js").Origin} Origin */

/** The cause of a panic is far up in its stack. */
Object.assign(Error, { stackTraceLimit: 100 });

/** @type {string | undefined} The document that `keyward check` wrote. */
let policy;

/** @type {string[]} The headers that are read of nearly every request. */
let usualHeaders = [];

/** How many instances there have been before this one: objects of those are created again. */
let generation = 0;

/** Before each call: starts a new instance if the last one has ended. */
function renew() {
  if (!instance.hasEnded) return;
  wasm.__wbg_reset_state();
  generation += 1;
  begin();
  // Only now: an instance that could not start has no policy.
  instance.hasEnded = false;
  logError("started over");
}

/** Hands the instance the policy. */
function begin() {
  usualHeaders = wasm.start(policy).split("\n");
}

/**
 * What is read of nearly every request, in one text, since each string that crosses into the wasm costs as much as a long one: the
 * method, the URL, whether there is a body, and the usual headers, each a line; NUL for a header that there is none of.
 * @param {Request} request
 */
function headOf({ method, url, body, headers }) {
  let head = `${method}\n${url}\n${body === null ? "" : "1"}`;
  for (const name of usualHeaders) head += `\n${headers.get(name) ?? "\0"}`;
  return head;
}

/**
 * @param {Request} request
 * @param {object} env
 * @param {ExecutionContext} context
 */
async function fetch(request, env, context) {
  renew();
  try {
    const decided = returned(() => wasm.decide(headOf(request), request, env, context));
    // Only what had to wait can be lost with the instance.
    const verdict = decided instanceof Promise ? await untilEnded(() => decided) : decided;
    return typeof verdict === "string" ? await carryOut(verdict, request, env, context) : verdict;
  } catch (error) {
    if (!(error instanceof Ended)) throw error;
    renew();
    return wasm.interrupted(request, env, context);
  }
}

/**
 * The gate as a Worker.
 * @param {string | object} document the policy, as `keyward check` wrote it
 * @param {{ origin?: Origin | Record<string, Origin> }} [options] `origin`: what serves the realms whose origin is a
 *   handler: one for all of them, or an object with one for each name
 * @returns {{ fetch(request: Request, env: object, context: ExecutionContext): Promise<Response> }}
 */
export function keyward(document, { origin } = {}) {
  if (policy !== undefined) throw new Error("keyward: called twice, but a Worker has one policy");
  if (origin !== undefined) setHandlers(origin);
  policy = typeof document === "string" ? document : `${JSON.stringify(document)}`;
  begin();
  return { fetch };
}

/** @typedef {new (state: DurableObjectState, env: object) => { fetch(request: Request): Promise<Response>, alarm(): Promise<Response> }} ObjectClass */

/**
 * The class of a Durable Object, around the one in Rust. It extends nothing: otherwise the runtime would offer its methods as RPC.
 * @param {"KeyGate" | "Registry" | "Relay"} name
 * @returns {ObjectClass}
 */
const objectClass = (name) =>
  class {
    #state;
    #env;
    /** @type {wasm.KeyGate | wasm.Registry | wasm.Relay | undefined} */
    #inner;
    #generation = -1;

    /**
     * @param {DurableObjectState} state
     * @param {object} env
     */
    constructor(state, env) {
      this.#state = state;
      this.#env = env;
    }

    /** @param {Request} request */
    fetch(request) {
      renew();
      return untilEnded(() => this.#current().fetch(request));
    }

    alarm() {
      renew();
      return untilEnded(() => this.#current().alarm());
    }

    #current() {
      if (!this.#inner || this.#generation !== generation) {
        this.#inner = new wasm[name](this.#state, this.#env);
        this.#generation = generation;
      }
      return this.#inner;
    }
  };

export const KeyGate = objectClass("KeyGate");
export const Registry = objectClass("Registry");
export const Relay = objectClass("Relay");
