// The admin API's keys: create, read, edit and revoke, in the shapes that others build against,
// and what each does at the gate.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */
import { limits } from "./harness/limits.mjs";

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const DAY = 86_400_000;
const FRESHNESS = 5_000;

/** Every field of a key as listed, in alphabetical order. */
const FIELDS = [
  "allowedIps",
  "allowedOrigins",
  "createdAt",
  "createdBy",
  "effectiveRateLimit",
  "expiresAt",
  "id",
  "importedAt",
  "keyPrefix",
  "kind",
  "last4",
  "lastUsedAt",
  "lastUsedFrom",
  "metadata",
  "name",
  "pausedAt",
  "rateLimit",
  "realm",
  "revokeReason",
  "revokedAt",
  "revokedBy",
  "rotatedFrom",
  "rotatedTo",
  "scopes",
  "status",
  "strict",
  "tags",
  "tenantId",
  "testMode",
  "updatedAt",
  "version",
];

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
before(async () => {
  gate = await startGate({ isolates: 2 });
  owner = await gate.owner();
});
after(() => gate.stop());

const use = (key, more = {}, isolate = gate.isolates[0]) =>
  isolate.send({ target: "/api/orders", headers: { Authorization: `Bearer ${key}` }, ...more });

/** That a moment lies so far ahead as the realm's freshness says, counted from `since`. */
function assertPromised(moment, since) {
  assert.match(moment, TIME);
  const ahead = Date.parse(moment) - since;
  assert.equal(ahead, FRESHNESS);
}

describe("creating a key", () => {
  it("answers with the key once, and with what was asked for, filled in", async (t) => {
    await gate.stopClock(t);
    const answer = await owner.call("POST", "/api-keys", { name: "  Till 4 ", scopes: ["orders:read"] });
    assert.equal(answer.status, 201);
    const { apiKey, plaintextKey, ...more } = answer.json();
    assert.deepEqual(more, {});
    assert.deepEqual(Object.keys(apiKey).sort(), FIELDS);
    assert.match(plaintextKey, /^kw_live_[0-9A-Za-z]{36}$/);
    assert.equal(answer.header("etag"), `"${apiKey.version}"`);
    const { member } = await owner.must("GET", "/session");
    const { id, keyPrefix, createdAt, effectiveRateLimit, ...rest } = apiKey;
    assert.ok(
      plaintextKey.startsWith(keyPrefix) && keyPrefix.startsWith("kw_live_") && keyPrefix.length <= 16,
      keyPrefix,
    );
    assert.match(id, /^key_/);
    assert.equal(Date.parse(createdAt), gate.now());
    assert.deepEqual(effectiveRateLimit, limits({ perMinute: 600 }));
    assert.deepEqual(rest, {
      realm: "default",
      tenantId: member.tenantId,
      kind: "secret",
      name: "Till 4",
      last4: plaintextKey.slice(-4),
      scopes: ["orders:read"],
      status: "ACTIVE",
      testMode: false,
      strict: false,
      rateLimit: limits(),
      allowedIps: [],
      allowedOrigins: [],
      tags: [],
      metadata: {},
      createdBy: { type: "member", id: member.id, email: member.email },
      importedAt: null,
      updatedAt: createdAt,
      expiresAt: null,
      lastUsedAt: null,
      lastUsedFrom: null,
      pausedAt: null,
      revokedAt: null,
      revokedBy: null,
      revokeReason: null,
      rotatedFrom: null,
      rotatedTo: null,
      version: 1,
    });
    for (const text of [
      (await owner.call("GET", `/api-keys/${id}`)).text,
      (await owner.call("GET", "/api-keys")).text,
    ]) {
      assert.ok(!text.includes(plaintextKey.slice(8, -4)), "shown again");
    }
  });

  it("accepts every field, and each takes effect at the gate at once, in every isolate", async () => {
    const fields = {
      name: "Everything",
      realm: "default",
      kind: "publishable",
      scopes: ["orders:*"],
      rateLimit: { perMinute: 2, perDay: 3 },
      allowedIps: ["203.0.113.0/24", "2001:db8::1"],
      allowedOrigins: ["HTTPS://Shop.example:443/"],
      tags: ["till", "eu"],
      metadata: { store: "4" },
      expiresAt: new Date(gate.now() + DAY).toISOString(),
      testMode: true,
    };
    const { apiKey, plaintextKey } = await owner.must("POST", "/api-keys", fields);
    const seconds = fields.expiresAt.replace(/\.\d{3}Z/, ".000Z");
    assert.deepEqual(Object.fromEntries(Object.keys(fields).map((name) => [name, apiKey[name]])), {
      ...fields,
      rateLimit: limits(fields.rateLimit),
      allowedIps: ["203.0.113.0/24", "2001:db8::1/128"],
      allowedOrigins: ["https://shop.example"],
      expiresAt: seconds,
    });
    assert.deepEqual(apiKey.effectiveRateLimit, limits({ perMinute: 2, perDay: 3 }));
    assert.match(plaintextKey, /^kw_test_/);
    const ask = (isolate, more) =>
      use(
        plaintextKey,
        {
          headers: {
            Authorization: `Bearer ${plaintextKey}`,
            Origin: "https://shop.example",
            "CF-Connecting-IP": "203.0.113.200",
            ...more,
          },
        },
        isolate,
      );
    for (const isolate of gate.isolates) {
      assert.equal((await ask(isolate, { "CF-Connecting-IP": "203.0.114.1" })).json().code, "IP_RESTRICTED");
      assert.equal((await ask(isolate, { Origin: "https://evil.example" })).json().code, "ORIGIN_RESTRICTED");
      assert.equal((await ask(isolate)).status, 200);
    }
    assert.equal((await ask(gate.isolates[0])).json().code, "RATE_LIMITED");
  });

  it("400 names each field that is missing", async () => {
    await owner.invalid(["name"], "POST", "/api-keys", { scopes: ["orders:read"] });
    await owner.invalid(["scopes"], "POST", "/api-keys", { name: "No scopes" });
    await owner.invalid(["name", "scopes"], "POST", "/api-keys", {});
    await owner.invalid(["name", "scopes"], "POST", "/api-keys");
  });

  it("never makes the same key twice", async () => {
    const made = await Promise.all(Array.from({ length: 20 }, () => owner.createKey()));
    assert.equal(new Set(made.map(({ plaintextKey }) => plaintextKey)).size, 20);
    assert.equal(new Set(made.map(({ apiKey }) => apiKey.id)).size, 20);
  });
});

describe("reading and editing a key", () => {
  it("an edit holds where it was made, changes nothing else, and answers with a new version", async (t) => {
    await gate.stopClock(t);
    const { apiKey } = await owner.createKey({ tags: ["a"], metadata: { a: "1" } });
    const read = await owner.call("GET", `/api-keys/${apiKey.id}`);
    assert.deepEqual([read.status, read.json()], [200, { apiKey }]);
    assert.equal(read.header("etag"), `"1"`);
    const since = gate.now();
    const answer = await owner.call("PATCH", `/api-keys/${apiKey.id}`, { name: "Renamed", tags: ["b"] });
    const { apiKey: edited, effectiveEverywhereBy, ...more } = answer.json();
    assert.deepEqual([answer.status, more, answer.header("etag")], [200, {}, `"2"`]);
    assertPromised(effectiveEverywhereBy, since);
    assert.ok(edited.updatedAt >= apiKey.updatedAt);
    assert.deepEqual(
      { ...edited, updatedAt: apiKey.updatedAt },
      { ...apiKey, name: "Renamed", tags: ["b"], version: 2 },
    );
    assert.deepEqual(await owner.get(apiKey.id), edited);
  });

  it("If-Match accepts the answer's ETag, weakened on the way or not", async () => {
    const { apiKey } = await owner.createKey();
    const edit = (name, match) => owner.call("PATCH", `/api-keys/${apiKey.id}`, { name }, { "If-Match": match });
    const versions = [];
    for (const match of ['"1"', 'W/"2"', '"9", W/"3"', "*", ' W/"5"\t'])
      versions.push((await edit(match, match)).header("etag"));
    assert.deepEqual(versions, ['"2"', '"3"', '"4"', '"5"', '"6"']);
    await owner.refused(
      [412, "VERSION_MISMATCH"],
      "PATCH",
      `/api-keys/${apiKey.id}`,
      { name: "late" },
      { "If-Match": 'W/"5"' },
    );
  });

  it("If-Match keeps two people from overwriting each other", async () => {
    const { apiKey } = await owner.createKey();
    const edit = (name, match) => owner.call("PATCH", `/api-keys/${apiKey.id}`, { name }, { "If-Match": match });
    const answers = await Promise.all([edit("Mine", `"1"`), edit("Yours", `"1"`)]);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 412]);
    const winner = answers.find(({ status }) => status === 200).json().apiKey;
    const loser = answers.find(({ status }) => status === 412);
    assert.equal(loser.json().code, "VERSION_MISMATCH");
    assert.match(loser.json().detail, /"2"/);
    assert.deepEqual(await owner.get(apiKey.id), winner);
    assert.equal((await edit("Again", `"2"`)).status, 200);
    assert.equal((await edit("Any", "*")).status, 200);
    assert.equal((await edit("One of", `"9", "4"`)).status, 200);
  });

  it("added and removed scopes and addresses take effect everywhere by the promised time", async (t) => {
    await gate.stopClock(t);
    const { apiKey, plaintextKey } = await owner.createKey({ scopes: ["orders:read"] });
    const write = async () =>
      Promise.all(gate.isolates.map((isolate) => use(plaintextKey, { method: "POST" }, isolate)));
    assert.deepEqual(
      (await write()).map(({ status }) => status),
      [403, 403],
    );
    const given = await owner.patch(apiKey.id, { scopes: ["orders:write"] });
    await gate.until(given.effectiveEverywhereBy);
    assert.deepEqual(
      (await write()).map(({ status }) => status),
      [200, 200],
    );
    const taken = await owner.patch(apiKey.id, { scopes: ["orders:read"], allowedIps: ["203.0.113.0/24"] });
    await gate.until(taken.effectiveEverywhereBy);
    assert.deepEqual(
      (await write()).map((answer) => answer.json().code),
      ["IP_RESTRICTED", "IP_RESTRICTED"],
    );
    await owner.patch(apiKey.id, { allowedIps: [] });
    await gate.advance(FRESHNESS);
    assert.deepEqual(
      (await write()).map((answer) => answer.json().code),
      ["INSUFFICIENT_SCOPE", "INSUFFICIENT_SCOPE"],
    );
  });

  it("null removes a limit, an expiry or a list", async () => {
    const set = {
      rateLimit: { perMinute: 5, perDay: 9 },
      allowedIps: ["203.0.113.0/24"],
      tags: ["x"],
      metadata: { a: "b" },
      expiresAt: "2100-01-01T00:00:00Z",
    };
    const { apiKey } = await owner.createKey(set);
    assert.equal(apiKey.expiresAt, "2100-01-01T00:00:00.000Z");
    const { apiKey: blank } = await owner.patch(
      apiKey.id,
      Object.fromEntries(Object.keys(set).map((name) => [name, null])),
    );
    assert.deepEqual(
      [blank.rateLimit, blank.allowedIps, blank.tags, blank.metadata, blank.expiresAt],
      [limits(), [], [], {}, null],
    );
    assert.deepEqual(blank.effectiveRateLimit, limits({ perMinute: 600 }));
  });

  it("kind, realm, mode and status of a key cannot be edited, nor can a revoked or expired key", async () => {
    const { apiKey } = await owner.createKey();
    for (const [field, value] of Object.entries({
      kind: "publishable",
      realm: "default",
      status: "REVOKED",
      id: "key_x",
      tenantId: "x",
      version: 9,
      plaintextKey: "x",
    })) {
      await owner.invalid([field], "PATCH", `/api-keys/${apiKey.id}`, { [field]: value });
    }
    await owner.invalid(["testMode"], "PATCH", `/api-keys/${apiKey.id}`, { testMode: true });
    assert.deepEqual(await owner.get(apiKey.id), apiKey);
    await owner.revoke(apiKey.id);
    await owner.refused([409, "CONFLICT"], "PATCH", `/api-keys/${apiKey.id}`, { name: "Back" });
    const { apiKey: brief } = await owner.createKey({ expiresAt: new Date(gate.now() + 10_000).toISOString() });
    await gate.advance(10_000);
    await owner.refused([409, "CONFLICT"], "PATCH", `/api-keys/${brief.id}`, { expiresAt: null });
  });
});

describe("pausing a key", () => {
  it("refuses it everywhere by the promised time, says so, and resuming lets it pass again", async (t) => {
    await gate.stopClock(t);
    const { apiKey, plaintextKey } = await owner.createKey();
    const path = `/api-keys/${apiKey.id}`;
    const told = async () => {
      const answers = await Promise.all(gate.isolates.map((isolate) => use(plaintextKey, {}, isolate)));
      return answers.map((answer) => (answer.status === 200 ? 200 : answer.json().code));
    };
    assert.deepEqual(await told(), [200, 200]);
    const paused = await owner.must("POST", `${path}/pause`);
    assert.equal(paused.apiKey.status, "PAUSED");
    assertPromised(paused.refusedEverywhereBy, gate.now());
    await gate.until(paused.refusedEverywhereBy);
    assert.deepEqual(await told(), ["PAUSED_API_KEY", "PAUSED_API_KEY"]);
    const again = await owner.must("POST", `${path}/pause`, {});
    assert.deepEqual(
      [again.apiKey.version, again.refusedEverywhereBy],
      [paused.apiKey.version, paused.refusedEverywhereBy],
    );

    const resumed = await owner.must("POST", `${path}/resume`);
    assert.equal(resumed.apiKey.status, "ACTIVE");
    assertPromised(resumed.effectiveEverywhereBy, gate.now());
    await gate.until(resumed.effectiveEverywhereBy);
    assert.deepEqual(await told(), [200, 200]);
    const stale = await owner.call("POST", `${path}/pause`, {}, { "If-Match": `"1"` });
    assert.equal(stale.status, 412);
  });
});

describe("revoking a key", () => {
  it("is final, names the time from which it holds everywhere, and can be repeated", async (t) => {
    await gate.stopClock(t);
    const { apiKey, plaintextKey } = await owner.createKey();
    for (const isolate of gate.isolates) assert.equal((await use(plaintextKey, {}, isolate)).status, 200);
    const since = gate.now();
    const answer = await owner.call("POST", `/api-keys/${apiKey.id}/revoke`, { reason: "lost" });
    const { apiKey: revoked, refusedEverywhereBy, ...more } = answer.json();
    assert.deepEqual([answer.status, more], [200, {}]);
    assertPromised(refusedEverywhereBy, since);
    assert.deepEqual([revoked.status, revoked.revokeReason, revoked.version], ["REVOKED", "lost", 2]);
    assert.match(revoked.revokedAt, TIME);
    assert.deepEqual(revoked.revokedBy, revoked.createdBy);
    await gate.until(refusedEverywhereBy);
    for (const isolate of gate.isolates)
      assert.equal((await use(plaintextKey, {}, isolate)).json().code, "REVOKED_API_KEY");
    const entries = (await owner.must("GET", "/audit?limit=1")).entries[0].seq;
    const again = await owner.call("POST", `/api-keys/${apiKey.id}/revoke`, { reason: "another" });
    const { lastUsedAt, lastUsedFrom } = again.json().apiKey; // reported meanwhile
    assert.deepEqual(
      [again.status, again.json()],
      [200, { apiKey: { ...revoked, lastUsedAt, lastUsedFrom }, refusedEverywhereBy }],
    );
    assert.equal((await owner.must("GET", "/audit?limit=1")).entries[0].seq, entries, "nothing happened");
  });

  it("needs no body", async () => {
    const { apiKey } = await owner.createKey();
    const { apiKey: revoked } = await owner.must("POST", `/api-keys/${apiKey.id}/revoke`);
    assert.deepEqual([revoked.status, revoked.revokeReason], ["REVOKED", null]);
  });

  it("404 for a key that does not exist, on every path", async () => {
    const id = "key_doesnotexist";
    await owner.refused([404, "NOT_FOUND"], "GET", `/api-keys/${id}`);
    await owner.refused([404, "NOT_FOUND"], "PATCH", `/api-keys/${id}`, {});
    await owner.refused([404, "NOT_FOUND"], "POST", `/api-keys/${id}/revoke`, {});
    await owner.refused([404, "NOT_FOUND"], "POST", `/api-keys/${id}/rotate`, {});
  });
});
