// How long a request may be on its way to the origin: it counts from the latest moment at which it can have arrived.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { documentOf } from "./harness/policies.mjs";
import { bearer } from "./harness/traffic.mjs";

/** @import { Gate } from "./harness/gate.mjs" */

/** @type {Gate} */
let gate;
before(async () => {
  const edit = (/** @type {string} */ text) => text.replace("[realm.limits]\n", '[realm.limits]\ntravel = "3s"\n');
  gate = await startGate({ document: await documentOf("default", { edit }) });
});
after(() => gate?.stop());

test("where requests travel for 3 s, each takes its slot for as much longer", async (t) => {
  const owner = await gate.owner();
  await gate.stopClock(t);
  const { plaintextKey } = await owner.createKey({ rateLimit: { perMinute: 2 } });
  const ask = async () => (await gate.send({ target: "/api/orders", headers: bearer(plaintextKey) })).status;
  assert.deepEqual([await ask(), await ask(), await ask()], [200, 200, 429]);
  // By then both would have left if they had arrived within 250 ms.
  await gate.advance(62_000);
  assert.equal(await ask(), 429);
  await gate.advance(2_000);
  assert.deepEqual([await ask(), await ask(), await ask()], [200, 200, 429]);
});
