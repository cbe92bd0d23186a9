// How far behind the machine was, and when. A busy one holds up the runtime, the origin and the test alike, so what they
// record is late, and says nothing of the gate. Probes measure that: the gate answers `/healthz` without a key or a store.

import { Client, sleep } from "./traffic.mjs";

/** A probe is sent this often. */
const EVERY_MS = 100;
/** An admitted request reaches the origin within this time: what the promises of limits and revocation assume. */
const TRAVEL_MS = 250;
/** What was late because of a stall arrives at the latest this long after it. */
const AFTER_MS = 500;

export class Stalls {
  #client = new Client();
  #isOver = false;
  /** @type {{ from: number, until: number }[]} */
  #stalls = [];
  /** @type {Promise<void>} */
  #measuring;

  /** @param {{ url: string }} isolate */
  constructor(isolate) {
    this.#measuring = this.#measure(isolate);
  }

  /** @param {{ url: string }} isolate */
  async #measure(isolate) {
    while (!this.#isOver) {
      const from = Date.now();
      const { status, at } = await this.#client.ask(isolate, {}, { target: "/healthz" });
      await sleep(EVERY_MS);
      // The answer was late, or this process was. While the runtime is killed there is nothing to measure.
      const until = Math.max(at, Date.now() - EVERY_MS);
      if (status === 200 && until - from > TRAVEL_MS) this.#stalls.push({ from, until });
    }
  }

  async stop() {
    this.#isOver = true;
    await this.#measuring;
    this.#client.close();
  }

  /**
   * The longest stall, in milliseconds, that had an effect in this span; 0 on a machine that kept up.
   * @param {number} from
   * @param {number} until
   */
  longest(from, until) {
    const inIt = this.#stalls.filter((stall) => stall.until + AFTER_MS >= from && stall.from <= until);
    return Math.max(0, ...inIt.map((stall) => stall.until - stall.from));
  }

  /**
   * The earliest moment at which something may have arrived that was recorded at this one.
   * @param {number} at
   */
  earliest(at) {
    return at - Math.max(0, this.longest(at, at) - TRAVEL_MS);
  }

  /**
   * The share of a span in which the machine kept up.
   * @param {number} from
   * @param {number} until
   */
  steady(from, until) {
    const clipped = this.#stalls.map((stall) => Math.min(stall.until, until) - Math.max(stall.from, from));
    return 1 - clipped.reduce((sum, length) => sum + Math.max(0, length), 0) / (until - from);
  }

  /**
   * Whether an answer says that a store did not answer, which was because of a stall: such a store is left alone for up to 5 s.
   * @param {{ code?: string, sentAt: number, at: number }} answer
   */
  explains({ code, sentAt, at }) {
    return code === "STORE_UNAVAILABLE" && this.longest(sentAt - 6_000, at) > 0;
  }

  /** For a line of the report. */
  toString() {
    return `${this.#stalls.length} stalls, the longest of ${this.longest(0, Infinity)} ms`;
  }
}
