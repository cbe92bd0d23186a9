// The Worker that the harness runs, of whichever build: an object with `fetch`, or a class that makes one.

interface Handles {
  fetch(request: Request, env?: object, context?: ExecutionContext): Promise<Response>;
}

declare class BuiltObject {
  constructor(state: DurableObjectState, env: object);
  fetch(request: Request): Promise<Response>;
  alarm(info?: AlarmInvocationInfo): Promise<unknown>;
}

export class KeyGate extends BuiltObject {}
export class Registry extends BuiltObject {}
export class Relay extends BuiltObject {}

declare const Built: Handles | (new (context: ExecutionContext, env: object) => Handles);
export default Built;
