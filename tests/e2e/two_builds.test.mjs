// The build before this one and this one on the same stored data, as during a deployment and after one that is taken
// back: gates of both at once, the objects of either, and back again. `tests/data/predecessor` says which build that is.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Admin } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";
import { bearer, byStatus, MINUTE } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { Gate } from "./harness/gate.mjs" */
/** @import { CreatedKey } from "../../types/admin-api.js" */

const OLD = "tests/data/predecessor";
const NEW = "build";
const GATES = ["old", "new"];
const EVERYWHERE = 6_000; // a change holds within the realm's `freshness`
const MOST = 600;
const STEP = 50; // between busy requests

/** @type {Gate} */
let gate;
let first;
/** A client of one of the builds. The one before has answers of its own. */
function clientOf(at) {
  const client = new Admin(gate.isolates[at].url);
  client.isDescribed = false;
  return client;
}

before(async () => {
  gate = await startGate({ isolates: 2, builds: [OLD, NEW], objectsBuild: OLD });
  first = await clientOf(0).setUp(gate.secrets.KEYWARD_SETUP_TOKEN);
  await gate.stopClock(); // no leases: what passes is counted at once
});
after(() => gate?.stop());

const use = (at, key, more) => gate.isolates[at].send({ target: "/api/orders", ...more, headers: bearer(key) });
const told = (answer) => (answer.status === 200 ? 200 : answer.json().code);

/** What was made, by whichever builds: `{ key, comes, by, until, … }`, what comes of a request with the key, until when. */
const made = [];
/** The key of all that repeat one `Idempotency-Key`, and how many requests passed with it. */
let repeated;
let passed = 0;
/** Where the list goes on. */
let cursor;

/** Keys that are paused. */
const paused = [];
/** What a paused key is: the build before this one takes it for one that has expired. */
const PAUSED = ["PAUSED_API_KEY", "EXPIRED_API_KEY"];

/** One key is paused and one resumed, by the present build, and refused and let through by both. */
async function pauseOne(where) {
  const owner = clientOf(1);
  owner.token = first.token;
  const { apiKey, plaintextKey } = await owner.createKey({ name: "Paused" });
  for (const at of [0, 1]) assert.equal(told(await use(at, plaintextKey)), 200, where);
  const { refusedEverywhereBy } = await owner.must("POST", `/api-keys/${apiKey.id}/pause`);
  const resumed = paused.shift();
  if (resumed) await owner.must("POST", `/api-keys/${resumed.apiKey.id}/resume`);
  await gate.until(refusedEverywhereBy);
  await gate.advance(EVERYWHERE);
  assert.equal(told(await use(0, plaintextKey)), "EXPIRED_API_KEY", where);
  assert.equal(told(await use(1, plaintextKey)), "PAUSED_API_KEY", where);
  for (const at of [0, 1]) if (resumed) assert.equal(told(await use(at, resumed.plaintextKey)), 200, where);
  paused.push({ apiKey, plaintextKey });
}

/** Every key still is what it was made to be, at both gates. */
async function allHold(where) {
  const all = [...made, ...paused.map(({ plaintextKey: key }) => ({ key, comes: PAUSED, by: "the new objects" }))];
  for (const { key, comes, by, until = Infinity, ...request } of all) {
    if (gate.now() >= until) continue;
    for (const at of [0, 1])
      assert.ok(
        [comes].flat().includes(told(await use(at, key, request))),
        `${where}: at the ${GATES[at]} gate, made by ${by}`,
      );
  }
}

/** Makes some of everything through this gate, and checks each with the other one, too. */
async function makeAll(at, by) {
  const owner = clientOf(at);
  owner.token = first.token;
  const other = 1 - at;
  const add = (key, comes, more) => made.push({ key, comes, by, ...more });
  const create = (fields) => owner.createKey({ name: `Key ${made.length}`, ...fields });
  const both = async (key, request) => [told(await use(at, key, request)), told(await use(other, key, request))];

  const limited = await create({ rateLimit: { perMinute: 3, perDay: null } });
  const all = [...(await both(limited.plaintextKey)), ...(await both(limited.plaintextKey))];
  assert.deepEqual(all, [200, 200, 200, "RATE_LIMITED"], by);
  // Well within the minute.
  add(limited.plaintextKey, "RATE_LIMITED", { until: gate.now() + 50_000 });

  const revoked = await create();
  assert.deepEqual(await both(revoked.plaintextKey), [200, 200], by);
  await owner.revoke(revoked.apiKey.id);

  const edited = await create();
  assert.deepEqual(
    await both(edited.plaintextKey, { method: "POST" }),
    ["INSUFFICIENT_SCOPE", "INSUFFICIENT_SCOPE"],
    by,
  );
  await owner.patch(edited.apiKey.id, { scopes: ["orders:read", "orders:write"] });

  const replaced = await create();
  const rotated = await owner.rotate(replaced.apiKey.id, { revokeOld: true });
  await gate.advance(EVERYWHERE);
  for (const [{ plaintextKey }, comes, more] of /** @type {[CreatedKey, string | number, object?][]} */ ([
    [revoked, "REVOKED_API_KEY"],
    [edited, 200, { method: "POST" }],
    [replaced, "REVOKED_API_KEY"],
    [rotated, 200],
  ])) {
    assert.deepEqual(await both(plaintextKey, more), [comes, comes], by);
    add(plaintextKey, comes, more);
  }

  const { plaintextKey: manages } = await create({ scopes: ["admin:read"] });
  add(manages, 200, { target: "/api/admin/api-keys?limit=1" });

  // What one build handed out, each takes back: a session, a password, a cursor, a request that is repeated.
  await clientOf(at).signIn();
  const again = await owner.must(
    "POST",
    "/api-keys",
    { name: "Once", scopes: ["orders:read"] },
    { "Idempotency-Key": "the-same" },
  );
  repeated ??= again;
  assert.equal(again.plaintextKey, repeated.plaintextKey, by);
  const list = await owner.must("GET", `/api-keys?limit=1${cursor ? `&cursor=${cursor}` : ""}`);
  assert.equal(list.apiKeys.length, 1, by);
  cursor = list.nextCursor;
  for (let i = 0; i < 3; i++) assert.deepEqual(await both(repeated.plaintextKey), [200, 200], by);
  passed += 6;
  assert.equal((await owner.must("GET", "/audit/verify")).ok, true, by);
}

/** A limit holds while both gates hold leases. The clock moves with the requests: demand is as steady on any machine. */
async function busy(where) {
  const { plaintextKey: key } = await first.createKey({ name: "Busy", rateLimit: { perMinute: MOST, perDay: null } });
  await gate.objects.resetCounts();
  const begin = gate.now();
  const answers = [];
  while (byStatus(answers)[429] === undefined) {
    answers.push(...(await Promise.all(Array.from({ length: 16 }, (_, i) => use(i % 2, key)))));
    await gate.advance(STEP);
    assert.ok(gate.now() - begin < MINUTE / 2, `${where}: ${JSON.stringify(byStatus(answers))}`);
  }
  const counts = byStatus(answers);
  assert.deepEqual(Object.keys(counts), ["200", "429"], where);
  assert.ok(counts[200] <= MOST, `${where}: ${counts[200]} passed`);
  const { keyGate } = await gate.callsFor(key);
  assert.ok(keyGate < counts[200], `${where}: ${keyGate} calls for ${counts[200]} requests: no lease was used`);
}

test("a build and the one before it serve side by side, and one can go back", async (t) => {
  for (const [name, objectsBuild] of [
    ["old", OLD],
    ["new", NEW],
    ["old again", OLD],
    ["new again", NEW],
  ]) {
    const where = `the objects ${name}`;
    await t.test(where, async () => {
      await gate.kill();
      await gate.restart({ objectsBuild });
      await allHold(where);
      for (const at of [0, 1]) await makeAll(at, `the ${GATES[at]} gate, ${where}`);
      if (objectsBuild === NEW) await pauseOne(where);
      await allHold(where);
      await busy(where);
    });
  }
  await t.test("usage is whole, whichever counted it", async () => {
    const accepted = async () =>
      (await first.must("GET", `/api-keys/${repeated.apiKey.id}/usage`)).points.reduce(
        (sum, point) => sum + point.accepted,
        0,
      );
    await waitFor(
      "usage of all",
      async () => {
        await gate.advance(60_000); // reports gather for some minutes
        assert.equal(await accepted(), passed);
        return true;
      },
      { everyMs: 250 },
    );
  });
  await gate.allLogged();
  assert.deepEqual(
    gate.logs.filter(({ message }) => /cannot be read|deploy the newer|"event":"fault"/.test(message)),
    [],
  );
});
