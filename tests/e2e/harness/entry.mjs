// Runs inside workerd, around the built Worker, which stays as it is: lets a test make KV and the
// objects fail, lag or answer from the past, and move the clock, all at run time. Each worker of the
// configuration is an isolate of its own and so has its own faults and its own clock.
//
// The Worker's own address serves the Worker only; a test gives its orders to `Control`, a second
// entry point at an address of its own.

import { WorkerEntrypoint } from "cloudflare:workers";
import * as built from "./built/worker.js";

const RealDate = Date;
let offset = 0; // milliseconds that this isolate's clock is ahead, while it goes
let standsAt; // where it stands still, if it does
let traps = false; // whether the wasm ends where it asks for the time next
const ahead = () => Date.now() - RealDate.now();

globalThis.Date = class extends RealDate {
  constructor(...args) {
    super(...(args.length ? args : [Date.now()]));
  }

  static now() {
    if (traps) {
      traps = false;
      throw new WebAssembly.RuntimeError("a trap, as the test asked");
    }
    return standsAt ?? RealDate.now() + offset;
  }
};

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// What is wrong at the moment: "kv.get", "kv.put" …, "KeyGate.fetch", "Registry.alarm" … → fault.
// A fault: { fail, error, throws, lagMs, lose, miss, answer, reset, times, name }; see `gate.mjs` for what each means.
const faults = new Map();
const counts = { kv: {}, objects: {} };
let past; // what KV held when it began to be stale: { until, values }

function activeFault(operation, name) {
  const fault = faults.get(operation);
  if (!fault || (fault.name !== undefined && ![fault.name].flat().includes(name))) return undefined;
  if (fault.times !== undefined && --fault.times <= 0) faults.delete(operation);
  return fault;
}

async function suffer(operation, name, work, { say = (answer) => answer, reset } = {}) {
  const fault = activeFault(operation, name);
  if (fault?.lagMs) await sleep(fault.lagMs);
  if (fault?.fail) throw Object.assign(new Error(`${operation} fails, as the test asked`), fault.error);
  if (fault?.reset) reset();
  if (fault?.miss) return null;
  if (fault && "answer" in fault) return say(fault.answer);
  const result = await work();
  if (fault?.lose) throw new Error(`${operation} was done, its answer is lost, as the test asked`);
  return result;
}

// A call that does not even return a promise.
function failAtOnce(operation) {
  if (faults.get(operation)?.throws) throw new TypeError(`${operation} throws, as the test asked`);
}

function wrapKv(kv) {
  const call =
    (method) =>
    (...args) => {
      counts.kv[method] = (counts.kv[method] ?? 0) + 1;
      return suffer(`kv.${method}`, args[0], () => kv[method](...args));
    };
  const get = (...args) => {
    counts.kv.get = (counts.kv.get ?? 0) + 1;
    failAtOnce("kv.get");
    return suffer("kv.get", args[0], () => {
      if (past && RealDate.now() < past.until) {
        const text = past.values.get(args[0]) ?? null;
        const type = args[1]?.type ?? args[1];
        return text !== null && type === "json" ? JSON.parse(text) : text;
      }
      return kv.get(...args);
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

async function kvValues(kv) {
  const values = new Map();
  let cursor;
  do {
    const page = await kv.list({ cursor });
    for (const { name } of page.keys) values.set(name, await kv.get(name));
    cursor = page.list_complete ? undefined : page.cursor;
  } while (cursor);
  return values;
}

function wrapLimiter(limiter) {
  const limit = (event) => {
    failAtOnce("FAILURES.limit");
    return suffer("FAILURES.limit", event.key, () => limiter.limit(event));
  };
  return { limit };
}

// As on the platform, a stub that has failed once fails for good.
function wrapObjects(objects) {
  const get = (id) => {
    let broken;
    const fetch = async (...args) => {
      if (broken) throw broken;
      try {
        return await suffer("KEY_GATE.fetch", id.name, () => objects.get(id).fetch(...args));
      } catch (error) {
        broken = error;
        throw error;
      }
    };
    return { fetch };
  };
  return { idFromName: (name) => objects.idFromName(name), get };
}

const replaced = {}; // bindings that are another value here, or (undefined) none
const wrapEnv = (env) => ({
  ...env,
  KEYS: wrapKv(env.KEYS),
  FAILURES: wrapLimiter(env.FAILURES),
  KEY_GATE: wrapObjects(env.KEY_GATE),
  ...replaced,
});

// A getter or method of a native object only works with that object as `this`.
const around = (target, replaced) =>
  new Proxy(target, {
    get(_, property) {
      if (property in replaced) return replaced[property];
      const value = target[property];
      return typeof value === "function" ? value.bind(target) : value;
    },
  });

// workerd rings alarms by the real clock: times are moved on the way in and out.
function wrapState(state) {
  const { storage } = state;
  const moved = around(storage, {
    setAlarm: (time, ...rest) => storage.setAlarm(Number(time) - ahead(), ...rest),
    getAlarm: async (...rest) => {
      const time = await storage.getAlarm(...rest);
      return time === null ? null : time + ahead();
    },
  });
  return around(state, { storage: moved });
}

const BINDINGS = { KeyGate: "KEY_GATE", Registry: "REGISTRY", Relay: "RELAY" };
const live = { KeyGate: new Set(), Registry: new Set(), Relay: new Set() }; // ids of objects, to find them again
const SHIFT = "https://harness.invalid/shift-alarm";

function wrapObject(className) {
  const Inner = built[className];
  return class {
    constructor(state, env) {
      this.state = state;
      this.name = state.id.name ?? String(state.id);
      this.inner = new Inner(wrapState(state), wrapEnv(env));
      live[className].add(String(state.id));
    }

    async fetch(request) {
      if (request.url === SHIFT) {
        const time = await this.state.storage.getAlarm();
        if (time !== null) await this.state.storage.setAlarm(time - Number(await request.text()));
        return new Response();
      }
      counts.objects[className] ??= {};
      counts.objects[className][this.name] ??= { fetch: 0 };
      counts.objects[className][this.name].fetch++; // alarms ring whenever they are due: none of them is counted
      const reset = () => this.state.abort("reset, as the test asked");
      const say = (answer) => new Response(answer);
      return suffer(`${className}.fetch`, this.name, () => this.inner.fetch(request), { say, reset });
    }

    async alarm(info) {
      return suffer(`${className}.alarm`, this.name, () => this.inner.alarm(info));
    }
  };
}

export const KeyGate = wrapObject("KeyGate");
export const Registry = wrapObject("Registry");
export const Relay = wrapObject("Relay");

export default class extends WorkerEntrypoint {
  fetch(request) {
    const env = wrapEnv(this.env);
    const Built = built.default;
    return typeof Built === "function" ? new Built(this.ctx, env).fetch(request) : Built.fetch(request, env, this.ctx);
  }
}

const orders = {
  async faults({ changes }) {
    for (const [operation, fault] of Object.entries(changes)) {
      if (fault) faults.set(operation, fault);
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
  async clock(to, env) {
    const before = ahead();
    ({ standsAt, offsetMs: offset } = to);
    const moved = ahead() - before;
    for (const [className, ids] of Object.entries(live)) {
      const objects = env[BINDINGS[className]];
      for (const id of ids) {
        await objects.get(objects.idFromString(id)).fetch(SHIFT, { method: "POST", body: String(moved) });
      }
    }
  },
  async call({ className, name, body }, env) {
    const objects = env[BINDINGS[className]];
    const answer = await objects
      .get(objects.idFromName(name))
      .fetch(`https://object/${name}`, { method: "POST", body });
    return { status: answer.status, text: await answer.text() };
  },
  async trap() {
    traps = true;
  },
  async counts() {
    return counts;
  },
  async resetCounts() {
    counts.kv = {};
    counts.objects = {};
  },
  async kv(_, env) {
    return Object.fromEntries(await kvValues(env.KEYS));
  },
  async putKv({ key, value }, env) {
    await (value === null ? env.KEYS.delete(key) : env.KEYS.put(key, value));
  },
};

export class Control extends WorkerEntrypoint {
  async fetch(request) {
    const { order, ...details } = await request.json();
    return Response.json((await orders[order](details, this.env)) ?? {});
  }
}
