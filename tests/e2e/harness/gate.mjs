// Starts the built Worker in the real runtime (workerd), with the real simulators of KV, Durable
// Objects on disk and the rate-limit binding, in front of a recording origin: as many isolates of the
// gate as a test wants, all sharing one KV and one set of objects, which live in an isolate of their own.

import assert from "node:assert/strict";
import childProcess from "node:child_process";
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Log, LogLevel, Miniflare } from "miniflare";

import { buildPage } from "../../../scripts/lib/page.mjs";
import { Admin } from "./admin.mjs";
import { Isolate } from "./isolate.mjs";
import { startOrigin } from "./origin.mjs";
import { documentOf } from "./policies.mjs";
import { freePort, isTaken } from "./ports.mjs";
import * as stored from "./stored.mjs";
import { inTime, waitFor } from "./wait.mjs";
import { gateWorker, internetWorker, OBJECTS, pageWorker } from "./workers.mjs";

/** @import { ChildProcess, SpawnOptions } from "node:child_process" */
/** @import { TestContext } from "node:test" */
/** @import { MiniflareOptions } from "miniflare" */
/** @import { GateOptions, ObjectClass, RequestToSend } from "../../../types/e2e.js" */
/** @import { Origin } from "./origin.mjs" */

/**
 * Starts a gate. Stop it with `stop()`, in an `after` hook.
 * @param {GateOptions} options
 */
export async function startGate(options = {}) {
  const gate = new Gate(options, await startOrigin());
  try {
    await gate.start();
  } catch (error) {
    // What listens would keep the tests' process alive, with nothing left to do.
    await gate.stop();
    throw error;
  }
  return gate;
}

/** Settles when the gate that was begun last has started. @type {Promise<void>} */
let started = Promise.resolve();

/** Once for all gates of a process. */
const pageBuilt = buildPage();

/** No runtime takes longer to start, however busy the machine is. */
const STARTED_WITHIN_MS = 120_000;

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
      KEYWARD_IDENTITY_KEY: randomBytes(32).toString("base64url"),
      ...options.secrets,
    };
    const names = Array.from({ length: options.isolates ?? 1 }, (_, i) => `gate-${i}`);
    this.isolates = names.map((name) => new Isolate(this, name));
    this.objects = new Isolate(this, OBJECTS);
  }

  async start() {
    this.#document = this.#options.document ?? (await documentOf(this.#options.policy ?? "default", this.#options));
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
        for (const isolate of this.isolates) await isolate.listenOverTls();
        return;
      } catch (error) {
        // A program that is no test may have taken a port meanwhile.
        if (isTaken(error)) {
          await this.#end();
          continue;
        }
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
   * Lets time pass for all workers at once: meanwhile no call to an object is on its way, or it would seem that a clock was set.
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

  /**
   * Makes the objects' clock stand still while something is done. After it, it is where it would be.
   * @param {() => Promise<unknown>} work
   */
  async whileObjectsStand(work) {
    await this.objects.order("clock", { standsAt: this.now() });
    try {
      await work();
    } finally {
      await this.objects.order("clock", this.#clock);
    }
  }

  get #clock() {
    return this.#standsAt === undefined ? { offsetMs: this.#offsetMs } : { standsAt: this.#standsAt };
  }

  /** @param {number} standsAt */
  async #standAt(standsAt) {
    this.#standsAt = standsAt;
    await this.#setClocks({ standsAt });
  }

  /** @param {{ offsetMs: number } | { standsAt: number }} to */
  async #setClocks(to) {
    const everyIsolate = (/** @type {string} */ order, /** @type {Record<string, unknown>} */ details) =>
      Promise.all(this.isolates.map((isolate) => isolate.order(order, details)));
    await everyIsolate("hold", { isHeld: true });
    await this.objects.order("clock", to);
    await everyIsolate("clock", to);
    await everyIsolate("hold", { isHeld: false });
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
   * As `logged`, once there are this many; there must not be more.
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

  /** Settles once every line has come that has been logged until now: for what must not be in `logs`. */
  async allLogged() {
    const workers = [...this.isolates, this.objects];
    const mark = `everything before this line has come: ${randomUUID()}`;
    const isMark = (/** @type {{ message: string }} */ { message }) => message.includes(mark);
    for (const worker of workers) await worker.order("log", { line: mark });
    await waitFor("the last lines of log", () => this.logs.filter(isMark).length === workers.length);
    const lines = this.logs.filter((line) => !isMark(line));
    this.logs.splice(0, Infinity, ...lines);
  }

  /** Empties `logs`, of what has been logged until now and has not come yet, too. */
  async forgetLogs() {
    await this.allLogged();
    this.logs.length = 0;
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
    await inTime("the end of the killed runtime", Promise.all([ended, disposed]));
  }

  /**
   * Starts the runtime again on what is stored, at the same addresses, without faults, the clock as it was;
   * with `changes` to the options of `startGate` that say which builds, or with another policy (`document`).
   * @param {GateOptions} changes
   */
  async restart(changes = {}) {
    this.#options = { ...this.#options, ...changes };
    this.#document = changes.document ?? this.#document;
    await this.#run();
    await this.#setClocks(this.#clock);
  }

  async stop() {
    const end = async () => {
      await this.#end();
      await this.origin.stop();
      await this.internet?.stop();
    };
    await inTime("the end of the runtime and its origin", end());
    if (this.#ownsPersist) rmSync(this.persist, { recursive: true, force: true });
  }

  /** Ends what listens at the ports of the workers. */
  async #end() {
    for (const isolate of this.isolates) isolate.tlsFront?.close();
    await this.#runtime?.miniflare.dispose();
    this.#runtime = undefined;
  }

  get #running() {
    if (!this.#runtime) throw new Error("the gate has not started");
    return this.#runtime;
  }

  async #run() {
    await pageBuilt;
    this.#runtime = await this.#spawn({
      workers: [
        ...[...this.isolates, this.objects].map((isolate) => gateWorker(isolate, this.#options, this.#document)),
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
   * Miniflare does not tell which process its runtime is: it is the one it spawns while it starts. So gates start one
   * after the other.
   * @param {MiniflareOptions} options
   */
  async #spawn(options) {
    const before = started;
    /** @type {() => void} */
    let isStarted = () => {};
    started = new Promise((resolve) => {
      isStarted = resolve;
    });
    await before;
    try {
      return await this.#spawnAlone(options);
    } finally {
      isStarted();
    }
  }

  /** @param {MiniflareOptions} options */
  async #spawnAlone(options) {
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
      await inTime("the runtime's start", miniflare.ready, { timeoutMs: STARTED_WITHIN_MS });
      if (!workerd) throw new Error("miniflare has started no workerd");
      return { miniflare, workerd };
    } catch (error) {
      await inTime("the end of a runtime that did not start", miniflare.dispose());
      throw error;
    } finally {
      childProcess.spawn = spawn;
    }
  }
}
