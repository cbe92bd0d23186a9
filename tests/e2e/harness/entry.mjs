// Runs inside workerd, around the built Worker, which stays as it is: lets a test make KV and the
// objects fail, lag or answer from the past, and move the clock, all at run time. Each worker of the
// configuration is an isolate of its own and so has its own faults and its own clock.
//
// The Worker's own address serves the Worker only; a test gives its orders to `Control`, a second
// entry point at an address of its own.

import { WorkerEntrypoint } from "cloudflare:workers";
import * as built from "./built/worker.js";

/** @import { Counts, Fault, ObjectClass } from "../../../types/e2e.js" */
/** @typedef {{ KEYS: KVNamespace, FAILURES: RateLimit, KEY_GATE: DurableObjectNamespace, REGISTRY: DurableObjectNamespace, RELAY: DurableObjectNamespace, ANALYTICS?: AnalyticsEngineDataset }} Env */
/** @typedef {{ memory: WebAssembly.Memory, __abort_handler: { value: number } }} Wasm What the instance exports, as far as it is used here. */

const RealDate = Date;
/** Milliseconds that this isolate's clock is ahead, while it goes. */
let offset = 0;
/** @type {number | undefined} Where it stands still, if it does. */
let standsAt;
/** @type {{ silently: boolean } | undefined} How the wasm ends where it asks for the time next, if it does. */
let trap;
/** @type {Wasm | undefined} The instance, if it was made since this began. */
let wasm;
const ahead = () => Date.now() - RealDate.now();

class MovedDate extends RealDate {
  /** @param {any[]} args */
  constructor(...args) {
    super(.../** @type {[number]} */ (args.length ? args : [MovedDate.now()]));
  }

  static now() {
    if (trap) {
      // Whom it would tell is a number in its memory.
      if (trap.silently && wasm) new Int32Array(wasm.memory.buffer)[wasm.__abort_handler.value / 4] = 0;
      trap = undefined;
      counts.traps++;
      throw new WebAssembly.RuntimeError("a trap, as the test asked");
    }
    return standsAt ?? RealDate.now() + offset;
  }
}
globalThis.Date = /** @type {DateConstructor} */ (/** @type {unknown} */ (MovedDate));

/**
 * The same functions, each call of which is counted, and all else as it is.
 * @param {Record<string, unknown>} of
 */
const countedCalls = (of) =>
  Object.fromEntries(
    Object.entries(of).map(([name, value]) => [
      name,
      typeof value === "function"
        ? (/** @type {unknown[]} */ ...args) => {
            counts.crossings++;
            return value(...args);
          }
        : value,
    ]),
  );

const { Instance } = WebAssembly;

class CountedInstance {
  /**
   * @param {WebAssembly.Module} module
   * @param {Record<string, Record<string, unknown>>} imports
   */
  constructor(module, imports) {
    const counted = Object.entries(imports).map(([name, of]) => [name, countedCalls(of)]);
    const { exports } = new Instance(module, Object.fromEntries(counted));
    wasm = /** @type {Wasm} */ (/** @type {unknown} */ (exports));
    this.exports = countedCalls(exports);
  }
}
WebAssembly.Instance = /** @type {any} */ (CountedInstance);

const sleep = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** @type {Map<string, Fault>} What is wrong at the moment, by operation: "kv.get", "kv.put" …, "KeyGate.fetch", "Registry.alarm" … */
const faults = new Map();
/** @type {Counts} */
const counts = { kv: {}, objects: {}, traps: 0, waiting: 0, crossings: 0, points: [] };
/** @type {{ until: number, values: Map<string, string> } | undefined} What KV held when it began to be stale. */
let past;

/**
 * @param {string} operation
 * @param {string | undefined} name
 */
function activeFault(operation, name) {
  const fault = faults.get(operation);
  if (!fault || (fault.name !== undefined && ![fault.name].flat().includes(name ?? ""))) return undefined;
  if (fault.times !== undefined && --fault.times <= 0) faults.delete(operation);
  return fault;
}

/**
 * Does the work, unless something is wrong with it.
 * @param {string} operation
 * @param {string | undefined} name
 * @param {() => any} work
 * @param {{ say?: (answer: any) => any, reset?: () => void }} options what a fault's `answer` is in the operation's own terms; what ends the object
 */
async function suffer(operation, name, work, { say = (answer) => answer, reset } = {}) {
  const fault = activeFault(operation, name);
  if (fault?.lagMs) await sleep(fault.lagMs);
  if (fault?.fail) throw Object.assign(new Error(`${operation} fails, as the test asked`), fault.error);
  if (fault?.reset) reset?.();
  if (fault?.miss) return null;
  if (fault && "answer" in fault) return say(fault.answer);
  const result = await work();
  if (fault?.traps) trap = fault.traps;
  if (fault?.lose) throw new Error(`${operation} was done, its answer is lost, as the test asked`);
  return result;
}

/**
 * A call that does not even return a promise.
 * @param {string} operation
 */
function failAtOnce(operation) {
  if (faults.get(operation)?.throws) throw new TypeError(`${operation} throws, as the test asked`);
}

/** @param {KVNamespace} kv */
function wrapKv(kv) {
  const methods = /** @type {Record<string, (...args: any[]) => Promise<any>>} */ (/** @type {unknown} */ (kv));
  const call =
    (/** @type {string} */ method) =>
    (/** @type {any[]} */ ...args) => {
      counts.kv[method] = (counts.kv[method] ?? 0) + 1;
      return suffer(`kv.${method}`, args[0], () => methods[method](...args));
    };
  const get = (/** @type {any[]} */ ...args) => {
    counts.kv.get = (counts.kv.get ?? 0) + 1;
    failAtOnce("kv.get");
    return suffer("kv.get", args[0], () => {
      if (past && RealDate.now() < past.until) {
        const text = past.values.get(args[0]) ?? null;
        const type = args[1]?.type ?? args[1];
        return text !== null && type === "json" ? JSON.parse(text) : text;
      }
      return methods.get(...args);
    });
  };
  return {
    get,
    getWithMetadata: call("getWithMetadata"),
    put: call("put"),
    list: call("list"),
    delete: call("delete"),
  };
}

/** @param {KVNamespace} kv */
async function kvValues(kv) {
  /** @type {Map<string, string>} */
  const values = new Map();
  /** @type {string | undefined} */
  let cursor;
  do {
    /** @type {KVNamespaceListResult<unknown>} */
    const page = await kv.list({ cursor });
    for (const { name } of page.keys) values.set(name, (await kv.get(name)) ?? "");
    cursor = page.list_complete ? undefined : page.cursor;
  } while (cursor);
  return values;
}

/** @param {RateLimit} limiter */
function wrapLimiter(limiter) {
  const limit = (/** @type {{ key: string }} */ event) => {
    failAtOnce("FAILURES.limit");
    return suffer("FAILURES.limit", event.key, () => limiter.limit(event));
  };
  return { limit };
}

/** Whether calls of objects wait, since clocks are being set: no message may be older or newer by a clock than it is. */
let isHeld = false;
/** Calls of objects that are on their way. */
let onTheirWay = 0;

/**
 * As on the platform, a stub that has failed once fails for good.
 * @param {DurableObjectNamespace} objects
 * @param {string} operation
 */
function wrapObjects(objects, operation) {
  const get = (/** @type {DurableObjectId} */ id) => {
    /** @type {unknown} */
    let broken;
    const fetch = async (/** @type {Parameters<DurableObjectStub["fetch"]>} */ ...args) => {
      if (broken) throw broken;
      while (isHeld) await sleep(1);
      onTheirWay++;
      try {
        return await suffer(operation, id.name, () => objects.get(id).fetch(...args));
      } catch (error) {
        broken = error;
        throw error;
      } finally {
        onTheirWay--;
      }
    };
    return { fetch };
  };
  const jurisdiction = (/** @type {DurableObjectJurisdiction} */ name) =>
    wrapObjects(objects.jurisdiction(name), operation);
  return { idFromName: (/** @type {string} */ name) => objects.idFromName(name), get, jurisdiction };
}

/** @param {AnalyticsEngineDataset} dataset The simulator keeps no points. */
function wrapDataset(dataset) {
  const writeDataPoint = (/** @type {AnalyticsEngineDataPoint} */ point) => {
    failAtOnce("ANALYTICS.writeDataPoint");
    dataset.writeDataPoint(point);
    counts.points.push(point);
  };
  return { writeDataPoint };
}

/** @type {Record<string, unknown>} Bindings that are another value here, or (undefined) none. */
const replaced = {};
const wrapEnv = (/** @type {Env} */ env) => ({
  ...env,
  KEYS: wrapKv(env.KEYS),
  FAILURES: wrapLimiter(env.FAILURES),
  KEY_GATE: wrapObjects(env.KEY_GATE, "KEY_GATE.fetch"),
  RELAY: wrapObjects(env.RELAY, "RELAY.fetch"),
  ...(env.ANALYTICS && { ANALYTICS: wrapDataset(env.ANALYTICS) }),
  ...replaced,
});

/**
 * A getter or method of a native object only works with that object as `this`.
 * @template {object} Target
 * @param {Target} target
 * @param {Record<string | symbol, unknown>} replaced
 */
const around = (target, replaced) =>
  new Proxy(target, {
    get(_, property) {
      if (property in replaced) return replaced[property];
      const value = Reflect.get(target, property);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });

/**
 * The `waitUntil` of a request or an object, which counts what has not settled.
 * @param {{ waitUntil(work: Promise<unknown>): void }} whom
 */
function counted(whom) {
  const waitUntil = whom.waitUntil.bind(whom);
  return (/** @type {Promise<unknown>} */ work) => {
    const settle = () => {
      counts.waiting--;
    };
    counts.waiting++;
    work.then(settle, settle);
    waitUntil(work);
  };
}

/**
 * workerd rings alarms by the real clock: times are moved on the way in and out.
 * @param {DurableObjectState} state
 */
function wrapState(state) {
  const { storage } = state;
  const moved = around(storage, {
    setAlarm: (/** @type {number | Date} */ time, /** @type {DurableObjectSetAlarmOptions} */ options) =>
      storage.setAlarm(Number(time) - ahead(), options),
    getAlarm: async (/** @type {DurableObjectGetAlarmOptions} */ options) => {
      const time = await storage.getAlarm(options);
      return time === null ? null : time + ahead();
    },
  });
  return around(state, { storage: moved, waitUntil: counted(state) });
}

const BINDINGS = /** @type {const} */ ({ KeyGate: "KEY_GATE", Registry: "REGISTRY", Relay: "RELAY" });
/** @type {Record<ObjectClass, Set<string>>} Ids of objects, to find them again. */
const live = { KeyGate: new Set(), Registry: new Set(), Relay: new Set() };
const SHIFT = "https://harness.invalid/shift-alarm";

/** @param {ObjectClass} className */
function wrapObject(className) {
  const Inner = built[className];
  return class {
    /**
     * @param {DurableObjectState} state
     * @param {Env} env
     */
    constructor(state, env) {
      this.state = state;
      this.name = state.id.name ?? String(state.id);
      this.inner = new Inner(wrapState(state), wrapEnv(env));
      live[className].add(String(state.id));
    }

    /** @param {Request} request */
    async fetch(request) {
      if (request.url === SHIFT) {
        const time = await this.state.storage.getAlarm();
        if (time !== null) await this.state.storage.setAlarm(time - Number(await request.text()));
        return new Response();
      }
      const own = counts.objects[className] ?? {};
      counts.objects[className] = own;
      own[this.name] ??= { fetch: 0 };
      own[this.name].fetch++; // alarms ring whenever they are due: none of them is counted
      const reset = () => this.state.abort("reset, as the test asked");
      const say = (/** @type {string} */ answer) => new Response(answer);
      return suffer(`${className}.fetch`, this.name, () => this.inner.fetch(request), { say, reset });
    }

    /** @param {AlarmInvocationInfo} info */
    async alarm(info) {
      return suffer(`${className}.alarm`, this.name, () => this.inner.alarm(info));
    }
  };
}

export const KeyGate = wrapObject("KeyGate");
export const Registry = wrapObject("Registry");
export const Relay = wrapObject("Relay");

export default class extends WorkerEntrypoint {
  /** @param {Request} request */
  fetch(request) {
    const env = wrapEnv(/** @type {Env} */ (this.env));
    const Built = built.default;
    Object.defineProperty(this.ctx, "waitUntil", { value: counted(this.ctx), configurable: true });
    return typeof Built === "function" ? new Built(this.ctx, env).fetch(request) : Built.fetch(request, env, this.ctx);
  }
}

/** @type {Record<string, (details: any, env: Env) => Promise<unknown>>} */
const orders = {
  async faults({ changes }) {
    for (const [operation, fault] of Object.entries(changes)) {
      if (fault) faults.set(operation, /** @type {Fault} */ (fault));
      else faults.delete(operation);
    }
  },
  async binding({ name, value, isThere }) {
    if (isThere) delete replaced[name];
    else replaced[name] = value;
  },
  async stale({ forMs }, env) {
    past = forMs ? { until: RealDate.now() + forMs, values: await kvValues(env.KEYS) } : undefined;
  },
  async hold({ isHeld: hold }) {
    isHeld = hold;
    // A call that an object leaves unanswered, as a test may want it, is not waited for.
    for (let ms = 0; hold && onTheirWay > 0 && ms < 200; ms++) await sleep(1);
  },
  async clock(to, env) {
    const before = ahead();
    ({ standsAt, offsetMs: offset } = to);
    const moved = ahead() - before;
    for (const [className, ids] of Object.entries(live)) {
      const objects = env[BINDINGS[/** @type {ObjectClass} */ (className)]];
      for (const id of ids) {
        await objects.get(objects.idFromString(id)).fetch(SHIFT, { method: "POST", body: String(moved) });
      }
    }
  },
  async call({ className, name, body }, env) {
    const objects = env[BINDINGS[/** @type {ObjectClass} */ (className)]];
    const answer = await objects
      .get(objects.idFromName(name))
      .fetch(`https://object/${name}`, { method: "POST", body });
    return { status: answer.status, text: await answer.text() };
  },
  async trap({ silently }) {
    trap = { silently };
  },
  async log({ line }) {
    console.log(line);
  },
  async counts() {
    return counts;
  },
  async resetCounts() {
    counts.kv = {};
    counts.objects = {};
    counts.crossings = 0;
    counts.points = [];
  },
  async kv(_, env) {
    return Object.fromEntries(await kvValues(env.KEYS));
  },
  async putKv({ key, value }, env) {
    await (value === null ? env.KEYS.delete(key) : env.KEYS.put(key, value));
  },
};

export class Control extends WorkerEntrypoint {
  /** @param {Request} request */
  async fetch(request) {
    const { order, ...details } = /** @type {{ order: string }} */ (await request.json());
    return Response.json((await orders[order](details, /** @type {Env} */ (this.env))) ?? {});
  }
}
