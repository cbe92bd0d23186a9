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
import { instance } from "keyward-instance";
import * as wasm from "keyward-wasm";

/** @typedef {import("./handlers.js").Origin} Origin */

/** What leads to a panic is far up in its stack. */
Object.assign(Error, { stackTraceLimit: 100 });

/** @type {string | undefined} The document that `keyward check` wrote. */
let policy;

/** How many instances there have been: objects of an earlier one are made anew. */
let generation = 0;

/** Before each call: starts over if the instance has ended. */
function renew() {
  if (!instance.hasEnded) return;
  wasm.__wbg_reset_state();
  generation += 1;
  wasm.start(policy);
  // Only now: one that could not start has no policy.
  instance.hasEnded = false;
  console.error(JSON.stringify({ event: "started over" }));
}

/**
 * @param {Request} request
 * @param {object} env
 * @param {ExecutionContext} context
 */
function fetch(request, env, context) {
  renew();
  return wasm.fetch(request, env, context);
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
  wasm.start(policy);
  return { fetch };
}

/** @typedef {new (state: DurableObjectState, env: object) => { fetch(request: Request): Promise<Response>, alarm(): Promise<Response> }} ObjectClass */

/**
 * The class of an object, around the one in Rust. It extends nothing: the runtime would then offer its methods as RPC.
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
      return this.#current().fetch(request);
    }

    alarm() {
      return this.#current().alarm();
    }

    #current() {
      renew();
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
