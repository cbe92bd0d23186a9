// What wasm-bindgen makes of src/, as far as src/entry.js uses it.

/** Takes the policy's document. */
export function start(policy: string | undefined): void;

export function fetch(request: Request, env: object, context: ExecutionContext): Promise<Response>;

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
