// A limit of each window at the gate: what passes, and what the client is told.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { limits } from "./harness/limits.mjs";
import { bearer } from "./harness/traffic.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
before(async () => {
  gate = await startGate({ isolates: 2 });
  owner = await gate.owner();
});
after(() => gate.stop());
beforeEach(async () => {
  await gate.setClock(0);
  await owner.signIn();
  await gate.stopClock();
});

/** Sends until a request is refused: how many passed, and that answer. */
async function exhaust(key) {
  for (let passed = 0; ; passed++) {
    const answer = await gate.isolates[passed % 2].send({ target: "/api/orders", headers: bearer(key) });
    if (answer.status !== 200) return { passed, answer };
  }
}

const told = (answer) => [answer.status, answer.header("ratelimit-policy"), answer.header("ratelimit")];

it("each window is told, in order; a month has no length, and a total no end", async () => {
  const rateLimit = { perSecond: 9, perMinute: 60, perHour: 600, perDay: 6_000, perMonth: 60_000, total: 1_000 };
  const { plaintextKey, apiKey } = await owner.createKey({ rateLimit });
  assert.deepEqual(apiKey.effectiveRateLimit, limits(rateLimit));
  const answer = await gate.isolates[0].send({ target: "/api/orders", headers: bearer(plaintextKey) });
  const now = new Date(gate.now());
  const month = Math.ceil((Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1) - gate.now()) / 1_000);
  const [status, policy, left] = told(answer);
  assert.deepEqual(
    [status, policy],
    [
      200,
      '"second";q=9;w=1, "minute";q=60;w=60, "hour";q=600;w=3600, "day";q=6000;w=86400, "month";q=60000, "total";q=1000',
    ],
  );
  const [, until] = left.match(
    /^"second";r=8;t=1, "minute";r=59;t=60, "hour";r=599;t=3600, "day";r=5999;t=86400, "month";r=59999;t=(\d+), "total";r=999$/,
  );
  assert.ok(Math.abs(Number(until) - month) <= 2, `${until}, not ${month}`);
});

describe("a limit of", () => {
  /** @type {[string, string, number][]} */
  const sliding = [
    ["second", "perSecond", 1],
    ["hour", "perHour", 3_600],
  ];
  for (const [window, field, length] of sliding) {
    it(`a ${window} is exact over two isolates, and open again when Retry-After says so`, async () => {
      const { plaintextKey } = await owner.createKey({ rateLimit: { perMinute: null, [field]: 3 } });
      const { passed, answer } = await exhaust(plaintextKey);
      assert.equal(passed, 3);
      assert.equal(answer.status, 429);
      assert.match(answer.header("ratelimit-policy"), new RegExp(`"${window}";q=3;w=${length}`));
      assert.match(answer.header("ratelimit"), new RegExp(`"${window}";r=0;t=${answer.header("retry-after")}\\b`));
      assert.deepEqual(answer.json().violatedPolicies, [window]);
      const wait = Number(answer.header("retry-after"));
      assert.ok(wait <= length && wait > length - 3, `${wait}`);
      await gate.advance(wait * 1_000);
      assert.equal((await gate.isolates[0].send({ target: "/api/orders", headers: bearer(plaintextKey) })).status, 200);
    });
  }

  it("a month ends with the month, in UTC", async () => {
    const { plaintextKey } = await owner.createKey({ rateLimit: { perMonth: 2 } });
    const { passed, answer } = await exhaust(plaintextKey);
    assert.deepEqual([passed, answer.status, answer.json().violatedPolicies], [2, 429, ["month"]]);
    const wait = Number(answer.header("retry-after")) * 1_000;
    const [end, day] = [new Date(gate.now() + wait + 1_000), 86_400_000];
    assert.deepEqual([end.getUTCDate(), end.getUTCHours(), end.getUTCMinutes()], [1, 0, 0], end.toISOString());
    if (wait > day) {
      await gate.advance(wait - day);
      assert.equal((await gate.isolates[0].send({ target: "/api/orders", headers: bearer(plaintextKey) })).status, 429);
      await gate.advance(day);
    } else {
      await gate.advance(wait);
    }
    assert.equal((await gate.isolates[0].send({ target: "/api/orders", headers: bearer(plaintextKey) })).status, 200);
  });

  it("a total never comes back, is told without Retry-After, and is topped up by raising it", async () => {
    const { plaintextKey, apiKey } = await owner.createKey({ rateLimit: { total: 3 } });
    const spent = async (passes) => {
      const { passed, answer } = await exhaust(plaintextKey);
      assert.deepEqual([passed, answer.status, answer.json().violatedPolicies], [passes, 429, ["total"]]);
      assert.equal(answer.header("retry-after"), undefined);
      assert.equal(answer.header("x-should-retry"), "false");
      assert.match(answer.header("ratelimit"), /"total";r=0$/);
      assert.match(answer.json().detail, /requests in total\. Waiting brings none back/);
    };
    await spent(3);
    await gate.advance(40 * 60_000);
    await spent(0);
    await owner.signIn();
    const { effectiveEverywhereBy } = await owner.patch(apiKey.id, { rateLimit: { total: 5 } });
    await gate.until(effectiveEverywhereBy);
    await spent(2);
  });
});

it("a longer window with less than a shorter one is refused, with the field and what it must be", async () => {
  const { errors } = await owner.invalid(["rateLimit.perHour"], "POST", "/api-keys", {
    name: "x",
    scopes: ["orders:read"],
    rateLimit: { perMinute: 60, perHour: 59 },
  });
  assert.match(errors[0].message, /at least 60, as perMinute is/);
});
