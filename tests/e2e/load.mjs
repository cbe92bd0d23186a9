// What tests with many requests share.

import { startGate } from "./harness/gate.mjs";
import { Stalls } from "./harness/stalls.mjs";
import { Client } from "./harness/traffic.mjs";

/** @import { TestContext } from "node:test" */
/** @import { GateOptions } from "../../types/e2e.js" */

/**
 * A gate with eight isolates and an origin that answers 200, a client of it, and what notices when the machine
 * is too busy. They are stopped after the test.
 * @param {TestContext} t
 * @param {GateOptions} options
 */
export async function startLoad(t, options = {}) {
  const gate = await startGate({ isolates: 8, ...options });
  const client = new Client();
  const stalls = new Stalls(gate.isolates[0]);
  t.after(async () => {
    await stalls.stop();
    client.close();
    await gate.stop();
  });
  gate.origin.answer = { status: 200, headers: {}, body: "" };
  return { gate, client, stalls };
}
