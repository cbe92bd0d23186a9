// What `import { keyward } from "keyward"` gives a Worker.

/** What the runtime hands a handler beside the request, as far as the gate hands it on. */
export interface Context {
  waitUntil(promise: Promise<unknown>): void;
  passThroughOnException(): void;
  readonly props: unknown;
}

/**
 * Serves a realm whose origin is a handler. `env` is the Worker's own. A method, so that a function may ask for its runtime's own type
 * of context, which has more.
 */
export type Handler<Env> = {
  serve(request: Request, env: Env, context: Context): Response | Promise<Response>;
}["serve"];

/** A function, an object like a Hono app, or a class like those that extend WorkerEntrypoint. */
export type Origin<Env> =
  | Handler<Env>
  | { fetch: Handler<Env> }
  | (new (
      context: never,
      env: Env,
    ) => { fetch(request: Request): Response | Promise<Response> });

export interface Options<Env> {
  /** What serves the realms with `origin = { handler = "name" }`: one for all names, or an object with one for each. */
  origin?: Origin<Env> | Record<string, Origin<Env>>;
}

/**
 * The gate as a Worker, once in an isolate.
 * @param policy the document that `keyward build` writes, as text or as an object
 * @throws {Error} it is called twice, or a handler is none
 */
export function keyward<Env>(
  policy: string | object,
  options?: Options<Env>,
): { fetch(request: Request, env: Env, context: Context): Promise<Response> };

/** The class of a Durable Object. */
type ObjectClass = new (
  state: never,
  env: never,
) => { fetch(request: Request): Promise<Response>; alarm(): Promise<Response> };

/** The object of a key, which counts exactly. A Worker exports it by this name. */
export const KeyGate: ObjectClass;
/** The source of truth, one object. A Worker exports it by this name. */
export const Registry: ObjectClass;
/** Stands between a key's object and its isolates while they are a crowd. A Worker exports it by this name. */
export const Relay: ObjectClass;
