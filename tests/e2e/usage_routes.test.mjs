// What was answered on each route is what usage by route says, whoever admitted it: the key's object, or an isolate under a lease.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { waitFor } from "./harness/wait.mjs";

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
after(() => gate?.stop());

test("requests of keys arrive on their routes, by method, exactly, and the operator sees those of no key, too", async () => {
  const rateLimit = { perMinute: 10_000, perDay: null };
  const made = await owner.createKey({ scopes: ["orders:read"], rateLimit });
  /** @type {Record<string, string>} */
  const headers = { Authorization: `Bearer ${made.plaintextKey}` };
  const all = (count, method, target, more = headers) =>
    Promise.all(
      Array.from({ length: count }, async (_, number) => {
        const { status } = await gate.isolates[number % 2].send({ method, target, headers: more });
        return status;
      }),
    );
  const statuses = [];
  // Soon most of them are admitted under leases.
  for (let round = 0; round < 15; round += 1) {
    statuses.push(...(await all(10, "GET", "/api/orders/17?page=2")));
    await gate.advance(200);
  }
  statuses.push(...(await all(3, "HEAD", "/api/orders")), ...(await all(4, "POST", "/api/orders/17")));
  await all(5, "GET", "/api/orders", {});
  // Neither is counted on a route: a public one, and none.
  await all(2, "GET", "/api/public/x");
  await all(2, "GET", "/api/nothing", headers);
  const answered = (status) => statuses.filter((one) => one === status).length;
  assert.deepEqual([answered(200), answered(403)], [153, 4]);

  await waitFor("their objects to know, without a further request", () => {
    const hours = gate
      .storedObjects()
      .flatMap(({ tables }) => tables.key_gate ?? [])
      .flatMap(({ counts }) => Object.values(JSON.parse(counts).usage.hours));
    const counts = hours
      .flatMap(({ routes = {} }) => [routes.accepted, routes.refused])
      .flatMap((one = {}) => Object.values(one));
    return counts.reduce((sum, count) => sum + count, 0) === 153 + 4 + 5;
  });
  const shown = async (query) => {
    const { routes, others } = await owner.must("GET", `/usage/routes?${query}`);
    assert.equal(others, null);
    const lines = routes.map(({ realm, method, path, accepted, refused, unattributed = "" }) =>
      `${realm} ${method} ${path}: ${accepted} ${refused} ${unattributed}`.trim(),
    );
    return lines.sort();
  };
  await waitFor(
    "all of it to be told",
    async () => {
      await gate.advance(60_000);
      assert.deepEqual(await shown("days=2"), [
        "default GET /api/orders*: 150 0",
        "default HEAD /api/orders*: 3 0",
        "default POST /api/orders*: 0 4",
      ]);
      assert.deepEqual(await shown("days=2&scope=deployment"), [
        "default GET /api/orders*: 150 0 5",
        "default HEAD /api/orders*: 3 0 0",
        "default POST /api/orders*: 0 4 0",
      ]);
      return true;
    },
    { everyMs: 500 },
  );
  // What the route says of itself is the same name, by which the page finds the counts.
  const { routes } = await owner.must("GET", "/routes");
  assert.ok(
    routes.some(
      ({ realm, path, methods }) => `${realm} ${path} ${methods.includes("POST")}` === "default /api/orders* true",
    ),
  );
});

test("keys that hold each of several scopes are found, and counted as listed", async () => {
  const both = await owner.createKey({ scopes: ["orders:write"] });
  const { apiKeys, total } = await owner.must("GET", "/api-keys?status=ACTIVE&scope=orders:read,orders:write");
  assert.deepEqual([apiKeys.map(({ id }) => id), total], [[both.apiKey.id], 1]);
});
