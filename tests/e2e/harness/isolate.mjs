// One worker of a gate that runs: requests to it, and orders to what the harness has put around it (entry.mjs).

import { send } from "./http.mjs";
import { startTlsFront } from "./tls.mjs";

/** @import { Counts, Fault, ObjectClass, RequestToSend } from "../../../types/e2e.js" */
/** @import { Gate } from "./gate.mjs" */

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
   * Operations: `kv.get`, `kv.put`, `kv.list`, `kv.delete`, `FAILURES.limit`, `ANALYTICS.writeDataPoint` (throws) and `KEY_GATE.fetch` (a call of a stub) of this isolate, and, of the objects',
   * `KeyGate.fetch`, `KeyGate.alarm`, `Registry.fetch`, `Registry.alarm`, `Relay.fetch`.
   * A fault: `lagMs`, waits first; `fail`, throws without doing it, an error with the properties of `error`; `lose`, does it, then throws;
   * `miss` (kv.get), answers that there is nothing; `answer`, answers this instead; `throws` (kv.get, FAILURES.limit),
   * throws where a promise belongs; `reset` (objects), ends the object as a deployment would; `traps`, does it, and then as `trap` does; `times`, ends after this many calls; `name`, only
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

  /**
   * The wasm instance ends, as by a panic, where it asks for the time next.
   * @param {{ silently?: boolean }} options with `silently`, without telling anybody: of an instance that came after another
   */
  trap({ silently = false } = {}) {
    return this.order("trap", { silently });
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
      signal: AbortSignal.timeout(60_000),
    });
    if (!answer.ok) throw new Error(`${order}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }
}
