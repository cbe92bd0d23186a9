// Starts the built Worker in the real runtime (workerd), with the real simulators of KV, Durable
// Objects on disk and the rate-limit binding, in front of a recording origin: as many isolates of the
// gate as a test wants, all sharing one KV and one set of objects, which live in an isolate of their own.

import assert from "node:assert/strict";
import childProcess from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync } from "node:zlib";

import { Log, LogLevel, Miniflare } from "miniflare";
import { parse } from "smol-toml";

import { check } from "../../../scripts/lib/check.mjs";
import { Admin } from "./admin.mjs";
import { send } from "./http.mjs";
import { startOrigin } from "./origin.mjs";
import { freePort } from "./ports.mjs";
import * as stored from "./stored.mjs";
import { startTlsFront } from "./tls.mjs";
import { waitFor } from "./wait.mjs";

/** @import { ChildProcess, SpawnOptions } from "node:child_process" */
/** @import { TestContext } from "node:test" */
/** @import { MiniflareOptions } from "miniflare" */
/** @typedef {NonNullable<MiniflareOptions["workers"]>[number]} WorkerOptions */
/** @import { Counts, Fault, GateOptions, ObjectClass, RequestToSend } from "../../../types/e2e.js" */
/** @import { Origin } from "./origin.mjs" */

const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const { compatibility_date: compatibilityDate, compatibility_flags: compatibilityFlags } =
  /** @type {{ compatibility_date: string, compatibility_flags: string[] }} */ (
    parse(readFileSync(join(root, "wrangler.toml"), "utf8"))
  );

const OBJECTS = "objects";
const PAGE = "page";
const INTERNET = "internet";

/** The policies that tests are run with, by name. */
/** @type {Record<string, string>} */
export const POLICIES = { default: "keyward.toml", e2e: "tests/e2e/policy.toml", systems: "tests/e2e/systems.toml" };

/** The present build. */
const PRESENT = "build";

/**
 * The document of a policy, of a name in POLICIES or a file.
 * @param {string} policy
 * @param {(text: string) => string} edit what each file's text is replaced with
 */
export const documentOf = (policy, edit = (text) => text) =>
  check(POLICIES[policy] ?? policy, (file) => edit(readFileSync(join(root, file), "utf8")));

/** Options of `startGate` for a policy whose service bindings are handlers in the same Worker, which ask the same origin. */
export const handled = async (/** @type {string} */ policy) => ({
  document: await documentOf(policy, (text) => text.replaceAll('{ binding = "ORIGIN" }', '{ handler = "app" }')),
  origin: "{ app: (request, env) => env.ORIGIN.fetch(request) }",
});

/**
 * Starts a gate. Stop it with `stop()`, in an `after` hook.
 * @param {GateOptions} options
 */
export async function startGate(options = {}) {
  const gate = new Gate(options, await startOrigin());
  await gate.start();
  return gate;
}

export class Gate {
  /** @type {{ level: string, message: string }[]} Lines that the Worker and its objects logged. */
  logs = [];
  /** The isolates of the gate; and the one of the objects. */
  isolates;
  objects;
  origin;
  /** @type {Origin | undefined} The server that URLs lead to, with the option of the same name. */
  internet;
  persist;
  /** @type {Record<string, string>} */
  secrets;
  /** Base of the admin page. */
  page;

  #options;
  #document = "";
  /** @type {{ miniflare: Miniflare, workerd: ChildProcess } | undefined} */
  #runtime;
  #ownsPersist;
  #offsetMs = 0;
  /** @type {number | undefined} */
  #standsAt;

  /**
   * @param {GateOptions} options
   * @param {Origin} origin
   */
  constructor(options, origin) {
    this.#options = options;
    this.origin = origin;
    this.#ownsPersist = options.persist === undefined;
    this.page = options.page ?? "/admin";
    this.persist = options.persist ?? mkdtempSync(join(tmpdir(), "keyward-e2e-"));
    this.secrets = {
      KEYWARD_SECRET: randomBytes(32).toString("base64url"),
      KEYWARD_SETUP_TOKEN: randomBytes(24).toString("base64url"),
      ...options.secrets,
    };
    const names = Array.from({ length: options.isolates ?? 1 }, (_, i) => `gate-${i}`);
    this.isolates = names.map((name) => new Isolate(this, name));
    this.objects = new Isolate(this, OBJECTS);
  }

  async start() {
    this.#document = this.#options.document ?? (await documentOf(this.#options.policy ?? "default"));
    if (this.#options.internet) this.internet ??= await startOrigin();
    for (;;) {
      for (const worker of [...this.isolates, this.objects]) {
        worker.url = `http://127.0.0.1:${await freePort()}`;
        worker.control = `http://127.0.0.1:${await freePort()}`;
        worker.proxy = `http://127.0.0.1:${await freePort()}`;
        worker.secureUrl = `https://127.0.0.1:${await freePort()}`;
      }
      try {
        await this.#run();
        await Promise.all(this.isolates.map((isolate) => isolate.listenOverTls()));
        return;
      } catch (error) {
        // Another test may have taken a port meanwhile.
        if (/** @type {NodeJS.ErrnoException} */ (error).code === "ERR_ADDRESS_IN_USE") continue;
        await this.stop();
        throw error;
      }
    }
  }

  /** The first isolate's address. */
  get url() {
    return this.isolates[0].url;
  }

  /**
   * One request to the first isolate; see `send` in http.mjs.
   * @param {RequestToSend} [request]
   */
  send(request) {
    return this.isolates[0].send(request);
  }

  /** A client of the admin API that has not signed in. */
  admin() {
    return new Admin(this.url);
  }

  /** A client of the admin API, signed in as the first owner, whom it makes. */
  async owner() {
    return this.admin().setUp(this.secrets.KEYWARD_SETUP_TOKEN);
  }

  /**
   * Moves every worker's clock so far ahead of the real one, in milliseconds; alarms of objects that
   * were used since the start move with it. What an isolate's own `clock` set is replaced.
   * @param {number} offsetMs
   */
  async setClock(offsetMs) {
    this.#offsetMs = offsetMs;
    this.#standsAt = undefined;
    await this.#setClocks({ offsetMs });
  }

  /**
   * Makes every worker's clock stand still, so that only `advance` and `until` move it and no test
   * depends on how fast this machine is. Timers and alarms go on in real time. At the end of `test`
   * (a test's context), if given, clocks go on.
   * @param {TestContext} [test]
   */
  async stopClock(test) {
    test?.after(() => this.startClock());
    await this.#standAt(this.now());
  }

  /** Lets every worker's clock go on from where it stands. */
  async startClock() {
    await this.setClock(this.now() - Date.now());
  }

  /**
   * Lets time pass for all workers at once.
   * @param {number} ms
   */
  async advance(ms) {
    if (this.#standsAt === undefined) await this.setClock(this.#offsetMs + ms);
    else await this.#standAt(this.#standsAt + ms);
  }

  /**
   * Lets time pass until this moment, an ISO text, unless it has come.
   * @param {string} moment
   */
  async until(moment) {
    const ms = Date.parse(moment) - this.now();
    if (ms > 0) await this.advance(ms);
  }

  /** The workers' time, in milliseconds since 1970. */
  now() {
    return this.#standsAt ?? Date.now() + this.#offsetMs;
  }

  /** @param {number} standsAt */
  async #standAt(standsAt) {
    this.#standsAt = standsAt;
    await this.#setClocks({ standsAt });
  }

  /** @param {{ offsetMs: number } | { standsAt: number }} to */
  async #setClocks(to) {
    await Promise.all([...this.isolates, this.objects].map((worker) => worker.order("clock", to)));
  }

  /**
   * The name of the objects that keep this key's record and counts, where keys are stored as SHA-256.
   * @param {string} key
   */
  objectName(key) {
    return `sha256:${createHash("sha256").update(key).digest("hex")}`;
  }

  /**
   * The lines of log with all of these texts, once there is one: they come a moment after the answer.
   * @param {string[]} texts
   */
  logged(...texts) {
    return waitFor(`a line of log with ${texts.join(", ")}`, () => {
      const lines = this.logs
        .map(({ message }) => message)
        .filter((line) => texts.every((text) => line.includes(text)));
      return lines.length > 0 ? lines : undefined;
    });
  }

  /**
   * As `logged`, once there are so many; there must not be more.
   * @param {number} times
   * @param {string[]} texts
   */
  async loggedTimes(times, ...texts) {
    const lines = await waitFor(`${times} lines of log with ${texts.join(", ")}`, async () => {
      const lines = await this.logged(...texts);
      return lines.length >= times ? lines : undefined;
    });
    assert.equal(lines.length, times, lines.join("\n"));
    return lines;
  }

  /**
   * Calls to this key's objects since the last `resetCounts` of `objects`: `{ keyGate, relays }`.
   * @param {string} key
   */
  async callsFor(key) {
    const name = this.objectName(key);
    const { KeyGate = {}, Relay = {} } = (await this.objects.counts()).objects;
    const relays = Object.entries(Relay).filter(([relay]) => relay.startsWith(`${name}/`));
    return { keyGate: KeyGate[name]?.fetch ?? 0, relays: relays.reduce((sum, [, { fetch }]) => sum + fetch, 0) };
  }

  /**
   * Everything in KV: a Map of key to value.
   * @returns {Promise<Map<string, string>>}
   */
  async storedKv() {
    return new Map(Object.entries(await this.objects.order("kv")));
  }

  /** Every object's rows; see stored.mjs. */
  storedObjects() {
    return stored.objects(this.persist);
  }

  /**
   * Runs statements on the databases of a class of objects, as SQL, between `kill` and `restart`.
   * @param {ObjectClass} className
   * @param {string} statements
   */
  alterObjects(className, statements) {
    stored.alter(this.persist, className, statements);
  }

  /**
   * The stored files that have this text anywhere in them.
   * @param {string} text
   */
  grep(text) {
    return stored.grep(this.persist, text);
  }

  /** Bytes of memory that the runtime's process has now. */
  memory() {
    return (
      Number(
        childProcess.execFileSync("ps", ["-o", "rss=", "-p", String(this.#running.workerd.pid)], { encoding: "utf8" }),
      ) * 1024
    );
  }

  /** Ends the runtime as a crash would: SIGKILL, nothing is written any more. */
  async kill() {
    const { miniflare, workerd } = this.#running;
    const ended = new Promise((resolve) => workerd.once("exit", resolve));
    workerd.kill("SIGKILL");
    // Before the exit is seen, or miniflare starts another one by itself.
    const disposed = miniflare.dispose();
    await ended;
    await disposed;
  }

  /**
   * Starts the runtime again on what is stored, at the same addresses, without faults, the clock as it was;
   * with `changes` to the options of `startGate` that say which builds.
   * @param {GateOptions} changes
   */
  async restart(changes = {}) {
    this.#options = { ...this.#options, ...changes };
    await this.#run();
    await this.#setClocks(this.#standsAt === undefined ? { offsetMs: this.#offsetMs } : { standsAt: this.#standsAt });
  }

  async stop() {
    for (const isolate of this.isolates) isolate.tlsFront?.close();
    await this.#runtime?.miniflare.dispose();
    await this.origin.stop();
    await this.internet?.stop();
    if (this.#ownsPersist) rmSync(this.persist, { recursive: true, force: true });
  }

  get #running() {
    if (!this.#runtime) throw new Error("the gate has not started");
    return this.#runtime;
  }

  async #run() {
    this.#runtime = await this.#spawn({
      workers: [
        ...[...this.isolates, this.objects].map((isolate) => this.#worker(isolate)),
        pageWorker(),
        ...(this.internet ? [internetWorker(this.internet.address)] : []),
      ],
      host: "127.0.0.1",
      port: 0,
      cf: false,
      enableDevRegistry: false,
      logRequests: false,
      log: new Log(LogLevel.NONE),
      handleStructuredLogs: ({ level, message }) => this.logs.push({ level, message }),
      resourcePersistencePath: this.persist,
    });
  }

  /**
   * Miniflare does not tell which process its runtime is: it is the one it spawns while it starts.
   * @param {MiniflareOptions} options
   */
  async #spawn(options) {
    const { spawn } = childProcess;
    /** @type {ChildProcess | undefined} */
    let workerd;
    childProcess.spawn = /** @type {typeof spawn} */ (
      (/** @type {string} */ command, /** @type {string[]} */ args, /** @type {SpawnOptions} */ options) => {
        const child = spawn(command, args, options);
        if (/workerd/.test(command)) workerd = child;
        return child;
      }
    );
    const miniflare = new Miniflare(options);
    try {
      await miniflare.ready;
      if (!workerd) throw new Error("miniflare has started no workerd");
      return { miniflare, workerd };
    } catch (error) {
      await miniflare.dispose();
      throw error;
    } finally {
      childProcess.spawn = spawn;
    }
  }

  /**
   * @param {Isolate} isolate
   * @returns {WorkerOptions}
   */
  #worker({ name, url, control, proxy }) {
    const {
      build = PRESENT,
      builds = this.isolates.map(() => build),
      objectsBuild = builds[0],
      origin,
    } = this.#options;
    const own = name === OBJECTS ? objectsBuild : builds[this.isolates.findIndex((isolate) => isolate.name === name)];
    const { limit = 1_000_000, period = 10 } = this.#options.failures ?? {};
    const text = Object.entries(this.secrets).filter(([, value]) => value !== undefined);
    const socket = (/** @type {string} */ entrypoint, /** @type {string} */ at, more = {}) => ({
      host: "127.0.0.1",
      port: Number(new URL(at).port),
      entrypoint,
      ...more,
    });
    /** @type {NonNullable<WorkerOptions["config"]["env"]>} */
    const env = {
      KEYS: { type: "kv", id: "keys" },
      KEY_GATE: { type: "durable-object", worker: OBJECTS, exportName: "KeyGate" },
      RELAY: { type: "durable-object", worker: OBJECTS, exportName: "Relay" },
      REGISTRY: { type: "durable-object", worker: OBJECTS, exportName: "Registry" },
      FAILURES: { type: "rate-limit", namespace: "1001", simple: { limit, period } },
      ADMIN: { type: "worker", worker: PAGE },
      ORIGIN: { type: "external", address: this.#options.originAddress ?? this.origin.address, http: {} },
    };
    for (const [key, value] of text) env[key] = { type: "text", value };
    for (const name of this.#options.unbound ?? []) delete env[name];
    return {
      config: {
        name,
        compatibilityDate,
        compatibilityFlags,
        manifest: {
          mainModule: "entry.mjs",
          modules: {
            "entry.mjs": { type: "esm", contents: readFileSync(new URL("entry.mjs", import.meta.url), "utf8") },
            ...modulesOf(own, this.#document, origin),
          },
        },
        env,
        exports:
          name !== OBJECTS
            ? {}
            : {
                // Kept in memory, so that their alarms can follow the clock.
                KeyGate: { type: "durable-object", storage: "sqlite", unsafePreventEviction: true },
                Registry: { type: "durable-object", storage: "sqlite", unsafePreventEviction: true },
                Relay: { type: "durable-object", storage: "sqlite", unsafePreventEviction: true },
              },
      },
      dev: {
        unsafeDirectSockets: [
          socket("default", url),
          socket("Control", control),
          socket("default", proxy, { proxy: true }),
        ],
        ...(this.internet && { outboundService: { type: "worker", worker: INTERNET } }),
        unsafeRegisterWorker: false,
      },
    };
  }
}

/**
 * The modules of a build, of which `built/worker.js` is the Worker. A folder has keyward.js and keyward.wasm, and
 * policy.json unless it is the present one's; or, of builds whose policy was in the wasm, index.js and index_bg.wasm.
 * Wasm may be compressed: with `.br`.
 * @param {string} build
 * @param {string} document
 * @param {string | undefined} origin
 * @returns {Extract<WorkerOptions["config"]["manifest"], { modules: unknown }>["modules"]}
 */
function modulesOf(build, document, origin) {
  const at = (/** @type {string} */ name) => join(root, build, name);
  const text = (/** @type {string} */ name) => readFileSync(at(name), "utf8");
  const wasm = (/** @type {string} */ name) =>
    new Uint8Array(
      existsSync(at(`${name}.br`)) ? brotliDecompressSync(readFileSync(at(`${name}.br`))) : readFileSync(at(name)),
    );
  const hasOwnPolicy = existsSync(at("index.js"));
  if (build !== PRESENT && hasOwnPolicy) {
    return {
      "built/worker.js": {
        type: "esm",
        contents: 'export * from "./index.js";\nexport { default } from "./index.js";\n',
      },
      "built/index.js": { type: "esm", contents: text("index.js") },
      ...(/index_bg\.wasm/.test(text("index.js")) && {
        "built/index_bg.wasm": { type: "wasm", contents: wasm("index_bg.wasm") },
      }),
    };
  }
  const policy = build === PRESENT ? document : text("policy.json");
  return {
    "built/worker.js": { type: "esm", contents: workerWith(origin) },
    "built/policy.json": { type: isJson(policy) ? "json" : "text", contents: policy },
    "built/keyward.js": { type: "esm", contents: text("keyward.js") },
    "built/keyward.wasm": { type: "wasm", contents: wasm("keyward.wasm") },
  };
}

/**
 * As scripts/build.mjs writes it, or as somebody does whose Worker has the origin too.
 * @param {string | undefined} origin
 */
const workerWith = (origin) => `import { keyward } from "./keyward.js";
import policy from "./policy.json";

export { KeyGate, Registry, Relay } from "./keyward.js";
export default keyward(policy${origin ? `, { origin: ${origin} }` : ""});
`;

/** @param {string} text */
function isJson(text) {
  try {
    return typeof JSON.parse(text) === "object";
  } catch {
    return false;
  }
}

// The page's files, as the assets binding of a worker of their own, so that nothing stands before the gate.
/** @type {() => WorkerOptions} */
const pageWorker = () => ({
  config: {
    name: PAGE,
    compatibilityDate,
    manifest: {
      mainModule: "page.mjs",
      modules: {
        "page.mjs": { type: "esm", contents: "export default { fetch: (request, env) => env.ASSETS.fetch(request) }" },
      },
    },
    env: { ASSETS: { type: "assets" } },
    assets: { hasUserWorker: true, runWorkerFirst: true, directory: join(root, "www") },
  },
  dev: { unsafeRegisterWorker: false },
});

// Stands where the network is: leads whatever URL is fetched to one server.
/** @type {(address: string) => WorkerOptions} */
const internetWorker = (address) => ({
  config: {
    name: INTERNET,
    compatibilityDate,
    manifest: {
      mainModule: "internet.mjs",
      modules: {
        "internet.mjs": {
          type: "esm",
          contents: "export default { fetch: (request, env) => env.SERVER.fetch(request) }",
        },
      },
    },
    env: { SERVER: { type: "external", address, http: {} } },
  },
  dev: { unsafeRegisterWorker: false },
});

/** One worker: its address, and what a test can do to it while it runs. */
export class Isolate {
  url = "";
  control = "";
  /** Takes requests for absolute URLs, as a proxy does: what stands in front of it says over what they came. */
  proxy = "";
  /** The isolate behind a server that ends TLS. */
  secureUrl = "";
  /** @type {import("node:tls").Server | undefined} */
  tlsFront;

  /**
   * @param {Gate} gate
   * @param {string} name
   */
  constructor(gate, name) {
    this.gate = gate;
    this.name = name;
  }

  /**
   * One request; see `send` in http.mjs. With `tls`, a version like "TLSv1.3", over TLS.
   * @param {RequestToSend} [request]
   */
  send(request) {
    return send(request?.tls ? this.secureUrl : this.url, request);
  }

  async listenOverTls() {
    this.tlsFront = await startTlsFront(this.secureUrl, this.proxy);
  }

  /**
   * Sets faults, or with null ends them: `{ "kv.get": { fail: true } }`.
   * @param {Record<string, Fault | null> | null} changes
   * Operations: `kv.get`, `kv.put`, `kv.list`, `kv.delete`, `FAILURES.limit` and `KEY_GATE.fetch` (a call of a stub) of this isolate, and, of the objects',
   * `KeyGate.fetch`, `KeyGate.alarm`, `Registry.fetch`, `Registry.alarm`, `Relay.fetch`.
   * A fault: `lagMs`, waits first; `fail`, throws without doing it, an error with the properties of `error`; `lose`, does it, then throws;
   * `miss` (kv.get), answers that there is nothing; `answer`, answers this instead; `throws` (kv.get, FAILURES.limit),
   * throws where a promise belongs; `reset` (objects), ends the object as a deployment would; `times`, ends after so many calls; `name`, only
   * for this KV key or object name, or one of these.
   */
  faults(changes) {
    return this.order("faults", { changes });
  }

  /**
   * This isolate has no such binding, or another value in its place.
   * @param {string} name
   * @param {unknown} [value]
   */
  withoutBinding(name, value) {
    return this.order("binding", { name, value, isThere: false });
  }

  /**
   * The binding is as it was.
   * @param {string} name
   */
  withBinding(name) {
    return this.order("binding", { name, isThere: true });
  }

  /**
   * KV answers this isolate, for so long (real time), from what it holds now; 0 ends that.
   * @param {number} forMs
   */
  staleKv(forMs) {
    return this.order("stale", { forMs });
  }

  /**
   * Sets this worker's clock ahead of the real one.
   * @param {number} offsetMs
   */
  clock(offsetMs) {
    return this.order("clock", { offsetMs });
  }

  /** The wasm instance ends, as by a panic, where it asks for the time next. */
  trap() {
    return this.order("trap");
  }

  /**
   * Calls an object as a worker would, with JSON; the answer's.
   * @param {ObjectClass} className
   * @param {string} name
   * @param {unknown} call
   */
  async call(className, name, call) {
    const { status, text } = await this.order("call", { className, name, body: JSON.stringify(call) });
    if (status !== 200) throw new Error(`${className} ${name}: ${status} ${text}`);
    return JSON.parse(text);
  }

  /**
   * Calls since the start.
   * @returns {Promise<Counts>}
   */
  counts() {
    return this.order("counts");
  }

  resetCounts() {
    return this.order("resetCounts");
  }

  /**
   * Writes to KV past the Worker; null deletes.
   * @param {string} key
   * @param {string | null} value
   */
  putKv(key, value) {
    return this.order("putKv", { key, value });
  }

  /**
   * Has the control server of this worker do something; see entry.mjs.
   * @param {string} order
   * @param {object} details
   */
  async order(order, details = {}) {
    const answer = await fetch(this.control, {
      method: "POST",
      body: JSON.stringify({ order, ...details }),
      signal: AbortSignal.timeout(30_000),
    });
    if (!answer.ok) throw new Error(`${order}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }
}
