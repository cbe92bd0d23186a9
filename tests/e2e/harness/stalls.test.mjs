// What tests of real time allow a machine that stalls: what was measured, and nothing where it kept up.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";

import { Stalls } from "./stalls.mjs";
import { mostWithin } from "./traffic.mjs";
import { waitFor } from "./wait.mjs";

test("a stall counts for what arrived in it or right after it, and for nothing else", async (t) => {
  let holds = false;
  let held = 0;
  let answered = 0;
  const server = createServer((_, response) => {
    answered++;
    if (!holds) return response.end();
    holds = false;
    held = Date.now();
    setTimeout(() => response.end(), 700);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address && typeof address === "object");
  const before = Date.now() - 1_000;
  const stalls = new Stalls({ url: `http://127.0.0.1:${address.port}` });
  t.after(async () => {
    await stalls.stop();
    server.close();
  });
  await waitFor("probes", () => answered >= 3);
  assert.equal(stalls.longest(before - 1_000, before), 0);
  assert.equal(stalls.earliest(before), before);
  assert.equal(stalls.steady(before - 1_000, before), 1);
  holds = true;
  await waitFor("the probe that is held", () => held > 0);
  const seen = answered;
  await waitFor("the probe after it", () => answered > seen);
  const stall = stalls.longest(held + 600, held + 600);
  assert.ok(stall >= 690, `${stall}`);
  assert.equal(stalls.earliest(held + 600), held + 600 - (stall - 250));
  assert.ok(stalls.steady(held - 1_000, held + 9_000) <= 0.94);
});

test("of moments that may have been earlier only those count that were within the span in any case", () => {
  const moments = [0, 10, 20, 1_000];
  assert.equal(mostWithin(moments, 1_000), 3);
  assert.equal(mostWithin(moments, 1_001), 4);
  assert.equal(
    mostWithin(moments, 1_001, (at) => at - 5),
    3,
  );
  assert.equal(
    mostWithin(moments, 1_001, (at) => (at === 10 ? -500 : at)),
    3,
  );
});
