// What wasm-bindgen makes of src/, as far as src/entry.js uses it.

/** Takes the policy's document. The names of the headers that a request's head has, each a line. */
export function start(policy: string | undefined): string;

/** The verdict about a request, for `carryOut`, or the response itself; a promise of the one or the other if it has to wait. */
export function decide(
  head: string,
  request: Request,
  env: object,
  context: ExecutionContext,
): string | Response | Promise<string | Response>;

/** Follows a request that is open, as the verdict names it: what its answer's header says it has used, and when that has ended. */
export function follow(
  open: string,
  used: Promise<string | null>,
  ended: Promise<void>,
  env: object,
  context: ExecutionContext,
): void;

/** Tells of a request that was forwarded; what its `Server-Timing` is to say, if anything is. */
export function ended(watched: string, status: number, env: object): string | undefined;

/** The profile of this number, as JSON. */
export function profile(number: number): string;

/** The verdict about a request that was forwarded, where the origin's response does not reach the client. */
export function refuseForwarded(
  request: Request,
  env: object,
  context: ExecutionContext,
  requestId: string,
  profile: number,
  watched: string,
  failure: string,
): string;

/** What a request gets whose instance ended while it waited. */
export function interrupted(request: Request, env: object, context: ExecutionContext): Response;

/** Makes a fresh instance, without a policy. */
export function __wbg_reset_state(): void;

/** An object as it is in Rust. */
declare class Inner {
  constructor(state: DurableObjectState, env: object);
  fetch(request: Request): Promise<Response>;
  alarm(): Promise<Response>;
}

export class KeyGate extends Inner {}
export class Registry extends Inner {}
export class Relay extends Inner {}
