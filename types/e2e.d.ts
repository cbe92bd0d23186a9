// What the end-to-end tests and their harness give each other.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { SecureVersion } from "node:tls";

/** Text, sent as UTF-8, or bytes. */
export type Bytes = string | Uint8Array;

/** A request, sent byte for byte. */
export interface RequestToSend {
  method?: string;
  /** Sent as it stands. */
  target?: string;
  headers?: Record<string, Bytes | undefined> | Bytes[][];
  /** Another Host header; null for none. */
  host?: string | null | undefined;
  /** An iterable is sent in chunks. */
  body?: Bytes | AsyncIterable<Bytes>;
  /** The only version to speak with an https address. */
  tls?: SecureVersion;
  timeoutMs?: number;
}

/** A request as it reached an origin. */
export interface RecordedRequest {
  method: string;
  /** The raw request target. */
  url: string;
  /** Names and values as sent. */
  rawHeaders: [string, string][];
  /** Lists of values by lower-case name. */
  headers: NodeJS.Dict<string[]>;
  /** When it came, in milliseconds since 1970. */
  at: number;
  body: Buffer;
  bodySha256: string;
  /** Settles when the body has come: for a scripted answer, which is called before. */
  complete: Promise<RecordedRequest>;
}

export type AnswerFunction = (request: IncomingMessage, response: ServerResponse, recorded: RecordedRequest) => unknown;

/** How an origin answers: with the same each time, or by a function over Node's own objects. */
export type ScriptedAnswer =
  | {
      status?: number;
      headers?: Record<string, string | string[]> | [string, string][];
      body?: Bytes | AsyncIterable<Bytes> | Iterable<Bytes>;
    }
  | AnswerFunction;

export type WebSocketHandler = (socket: Duplex) => void;

/** What happens to an operation of a binding or of an object. */
export interface Fault {
  /** Waits first. */
  lagMs?: number;
  /** Throws without doing it, an error with the properties of `error`. */
  fail?: boolean;
  error?: Record<string, unknown>;
  /** Does it, then throws. */
  lose?: boolean;
  /** Answers that there is nothing (kv.get). */
  miss?: boolean;
  /** Answers this instead. */
  answer?: unknown;
  /** Throws where a promise belongs (kv.get, FAILURES.limit). */
  throws?: boolean;
  /** Ends the object as a deployment would. */
  reset?: boolean;
  /** Afterwards the wasm ends where it asks for the time next, as `trap` has it. */
  traps?: { silently: boolean };
  /** Ends after this number of calls. */
  times?: number;
  /** Only for this KV key or object name, or one of these. */
  name?: string | string[];
}

export type ObjectClass = "KeyGate" | "Registry" | "Relay";

/** Calls that were counted since the start. */
export interface Counts {
  kv: Record<string, number>;
  objects: Partial<Record<ObjectClass, Record<string, { fetch: number }>>>;
  /** Calls of the wasm's exports and of its imports. */
  crossings: number;
  /** How often the wasm has ended because a test asked for it. */
  traps: number;
  /** Data points that were written. */
  points: { indexes?: unknown[]; blobs?: unknown[]; doubles?: number[] }[];
  /** For how much work requests and objects are kept alive now. */
  waiting: number;
}

/** An object's tables. */
export interface StoredObject {
  className: ObjectClass;
  id: string;
  // biome-ignore lint/suspicious/noExplicitAny: what a column holds is said by its table.
  tables: Record<string, Record<string, any>[]>;
}

export interface GateOptions {
  /** A name in POLICIES, or a file. */
  policy?: string;
  /** What the policy's text is replaced with. */
  edit?: (text: string) => string;
  /** Whether its rate of calls of the admin API holds; else a test may make as many as it likes. */
  isRated?: boolean;
  /** Instead of it: what `keyward check` could have written. */
  document?: string;
  /** JavaScript: the origin in the same Worker, as `keyward` takes it. */
  origin?: string;
  /** The folder of another build than the present one, with its own policy; `builds`: one for each isolate. */
  build?: string;
  builds?: string[];
  /** That of the objects, if it is another than the first isolate's. */
  objectsBuild?: string;
  /** How many of the gate (default 1), each at an address of its own. */
  isolates?: number;
  /** Added to, or (undefined) taken from, KEYWARD_SECRET and KEYWARD_SETUP_TOKEN. */
  secrets?: Record<string, string | undefined>;
  /** The policy's base of the admin page, if it is not /admin. */
  page?: string;
  /** Folder of what is stored (default: a new one, removed by `stop`). */
  persist?: string;
  /** `host:port` of another origin than the recording one. */
  originAddress?: string;
  /**
   * A recording server that every URL leads to (`gate.internet`): hosts of examples have no address. Without it the
   * runtime's own network is used, where 127.0.0.1 is this machine.
   */
  internet?: boolean;
  /** Names of bindings that are missing. */
  unbound?: string[];
  /** The FAILURES limiter, by default too generous to matter. */
  failures?: { limit?: number; period?: 10 | 60 };
  /** Whether there is a data set that counts requests. */
  analytics?: boolean;
  /** Other limiters, by their bindings. */
  limiters?: Record<string, { limit: number; period: 10 | 60 }>;
}
