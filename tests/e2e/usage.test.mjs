// What was answered is what the usage of a key says: by the hour and the code, without a further request.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { OWNER } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";
import { open } from "./harness/http.mjs";
import { begin } from "./harness/raw.mjs";
import { COUNTRY } from "./harness/tls.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const HOUR = 3_600_000;

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
before(async () => {
  gate = await startGate({ isolates: 2 });
  owner = await gate.owner();
});
after(() => gate?.stop());

const use = (key, { isolate = 0, ...more } = {}) =>
  gate.isolates[isolate].send({
    target: "/api/orders",
    ...more,
    headers: { Authorization: `Bearer ${key}`, "CF-Connecting-IP": "192.0.2.1" },
  });

/** The totals of a key's usage by hour and code, `accepted` among them. */
function sum(hours) {
  const all = {};
  for (const { hour, accepted, refused } of hours) {
    for (const [code, count] of Object.entries({ accepted, ...refused })) {
      if (count) all[`${hour} ${code}`] = (all[`${hour} ${code}`] ?? 0) + count;
    }
  }
  return all;
}

const objects = (className) => gate.storedObjects().filter((object) => object.className === className);

/** What the key's object has on disk, read past the Worker: no request helps it on. */
function counted(id) {
  const row = objects("KeyGate")
    .flatMap(({ tables }) => tables.key_gate ?? [])
    .find(({ record }) => JSON.parse(record).id === id);
  return sum(Object.entries(JSON.parse(row.counts).usage.hours).map(([hour, counts]) => ({ hour, ...counts })));
}

/** What the Registry has on disk. */
const told = (id) =>
  sum(
    objects("Registry")
      .flatMap(({ tables }) => tables.usage)
      .filter(({ key_id }) => key_id === id)
      .map(({ hour, accepted, refused }) => ({ hour, accepted, refused: JSON.parse(refused) })),
  );

/** Answers as they were given, by key, hour and code. */
class Answers {
  all = new Map();

  async send(made, options) {
    const answer = await use(made.plaintextKey, options);
    return this.count(made, answer.status === 200 ? "accepted" : answer.json().code);
  }

  count(made, code) {
    const hour = Math.floor(gate.now() / HOUR) * HOUR;
    const counts = this.all.get(made.apiKey.id) ?? {};
    counts[`${hour} ${code}`] = (counts[`${hour} ${code}`] ?? 0) + 1;
    this.all.set(made.apiKey.id, counts);
    return code;
  }

  /** Every object has them on disk, and then the Registry. */
  async areTold() {
    await waitFor("the keys' objects to know", () => {
      for (const [id, counts] of this.all) assert.deepEqual(counted(id), counts);
      return true;
    });
    await waitFor(
      "the Registry to know",
      async () => {
        await gate.advance(60_000); // reports gather for some minutes
        for (const [id, counts] of this.all) assert.deepEqual(told(id), counts);
        return true;
      },
      { everyMs: 250 },
    );
  }
}

describe("usage", () => {
  it("says where a key was last used from, of uses through its object and under a lease, over whatever connection", async () => {
    const { apiKey, plaintextKey } = await owner.createKey();
    assert.equal(apiKey.lastUsedFrom, null);
    const send = (address, more) => {
      const headers = { Authorization: `Bearer ${plaintextKey}`, "CF-Connecting-IP": address };
      return gate.isolates[0].send({ target: "/api/orders/17?secret", headers, ...more });
    };
    const isShown = (from) =>
      waitFor(
        "the Registry to know",
        async () => {
          await gate.advance(60_000);
          assert.deepEqual((await owner.get(apiKey.id)).lastUsedFrom, { ...from, route: "/api/orders*" });
          return true;
        },
        { everyMs: 250 },
      );
    assert.equal((await send("2001:db8:1:2:3::4", { tls: "TLSv1.3" })).status, 200);
    await isShown({ network: "2001:db8:1:2::/64", country: COUNTRY });
    const answers = await Promise.all(Array.from({ length: 40 }, () => send("192.0.2.7")));
    assert.ok(answers.every(({ status }) => status === 200));
    await isShown({ network: "192.0.2.7", country: null });
  });

  it("has hundreds of refusals, for six reasons, in their hours, each once and without a further request", async () => {
    // Well before a full hour, so that none comes in between.
    await gate.setClock(HOUR - (Date.now() % HOUR) + 10 * 60_000);
    const answers = new Answers();
    const key = (fields) => owner.createKey(fields);
    const soon = new Date(gate.now() + 60_000 - (gate.now() % 1_000)).toISOString();
    const keys = {
      REVOKED_API_KEY: await key(),
      EXPIRED_API_KEY: await key({ expiresAt: soon }),
      INSUFFICIENT_SCOPE: await key(),
      IP_RESTRICTED: await key({ allowedIps: ["198.51.100.0/24"] }),
      ORIGIN_RESTRICTED: await key({ kind: "publishable", allowedOrigins: ["https://shop.example"] }),
      RATE_LIMITED: await key({ rateLimit: { perMinute: 2, perDay: null } }),
      strict: await key({ strict: true, rateLimit: { perMinute: 2, perDay: null } }),
    };
    await owner.revoke(keys.REVOKED_API_KEY.apiKey.id);
    await gate.until(soon);
    for (const made of [keys.RATE_LIMITED, keys.strict]) {
      for (let i = 0; i < 2; i++) assert.equal(await answers.send(made), "accepted");
    }
    const method = (code) => (code === "INSUFFICIENT_SCOPE" ? "POST" : "GET");
    for (let i = 0; i < 58; i++) {
      const codes = await Promise.all(
        Object.entries(keys).map(([code, made]) => answers.send(made, { method: method(code), isolate: i % 2 })),
      );
      assert.deepEqual(
        codes,
        Object.keys(keys).map((code) => (code === "strict" ? "RATE_LIMITED" : code)),
      );
    }
    await answers.areTold();
  });

  it("has what was let through for clients that hung up, although the key's object fails for a while", async (t) => {
    t.after(() => gate.origin.reset());
    const answers = new Answers();
    const made = await owner.createKey({ rateLimit: { perMinute: 100_000, perDay: null } });
    // Under a lease, so that none of them tells the object of itself.
    await waitFor("a lease", async () => {
      const burst = await Promise.all(Array.from({ length: 30 }, () => answers.send(made, { isolate: 1 })));
      assert.ok(burst.every((code) => code === "accepted"));
      await gate.objects.resetCounts();
      await answers.send(made, { isolate: 1 });
      return (await gate.callsFor(made.plaintextKey)).keyGate === 0;
    });
    await gate.objects.faults({ "KeyGate.fetch": { fail: true, name: gate.objectName(made.plaintextKey) } });
    t.after(() => gate.objects.faults({ "KeyGate.fetch": null }));
    gate.origin.hang();
    const before = gate.origin.requests.length;
    const head = `GET /api/orders HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer ${made.plaintextKey}\r\n\r\n`;
    const clients = Array.from({ length: 8 }, () => begin(gate.isolates[1].url, "api.test", head));
    await gate.origin.received(before + clients.length);
    await gate.objects.resetCounts();
    for (const client of clients) {
      client.socket.resetAndDestroy();
      answers.count(made, "accepted");
    }
    await waitFor("the object to be told in vain", async () => (await gate.callsFor(made.plaintextKey)).keyGate > 0);
    await gate.objects.faults({ "KeyGate.fetch": null });
    await waitFor("the object to know, without a further request", () => {
      assert.deepEqual(counted(made.apiKey.id), answers.all.get(made.apiKey.id));
      return true;
    });
  });

  it("has WebSockets, each once", async () => {
    const answers = new Answers();
    const made = await owner.createKey();
    const upgrade = {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    };
    for (let i = 0; i < 3; i++) {
      const answer = await open(gate.isolates[0].url, {
        target: "/api/orders/live",
        headers: { ...upgrade, Authorization: `Bearer ${made.plaintextKey}` },
      });
      assert.equal(answer.status, 101);
      answer.socket.destroy();
      answers.count(made, "accepted");
    }
    await answers.areTold();
  });

  it("has what a key did at the admin API, accepted and refused", async () => {
    const answers = new Answers();
    await owner.stepUp(OWNER.password);
    const made = await owner.createKey({ scopes: ["admin:read"] });
    const call = () =>
      gate.admin().call("GET", "/api-keys", undefined, { Authorization: `Bearer ${made.plaintextKey}` });
    for (let i = 0; i < 3; i++) {
      assert.equal((await call()).status, 200);
      answers.count(made, "accepted");
    }
    await owner.revoke(made.apiKey.id);
    for (let i = 0; i < 4; i++) answers.count(made, (await call()).json().code);
    await answers.areTold();
  });

  it("has refusals that were answered while the key's object did not answer, once it does", async (t) => {
    const answers = new Answers();
    const made = await owner.createKey();
    await owner.revoke(made.apiKey.id);
    // From the isolate's memory, for as long as the object's word is fresh.
    await gate.stopClock(t);
    assert.equal(await answers.send(made), "REVOKED_API_KEY");
    await gate.objects.resetCounts();
    await gate.objects.faults({ "KeyGate.fetch": { fail: true, name: gate.objectName(made.plaintextKey) } });
    for (let i = 0; i < 10; i++) assert.equal(await answers.send(made), "REVOKED_API_KEY");
    await gate.startClock();
    await waitFor("a call that failed", async () => (await gate.callsFor(made.plaintextKey)).keyGate > 0);
    await gate.objects.faults({ "KeyGate.fetch": null });
    await answers.areTold();
  });

  it("has what passed under leases, once, whatever answers of the object are lost", async () => {
    const answers = new Answers();
    const made = await owner.createKey({ rateLimit: { perMinute: 100_000, perDay: null } });
    const name = gate.objectName(made.plaintextKey);
    for (let round = 0; round < 8; round++) {
      // Each second call is done, and its answer lost.
      await gate.objects.faults({ "KeyGate.fetch": round % 2 ? { lose: true, name, times: 1 } : null });
      await Promise.all(Array.from({ length: 12 }, (_, i) => answers.send(made, { isolate: i % 2 })));
    }
    await gate.objects.faults({ "KeyGate.fetch": null });
    // Refused because the object did not answer is no answer about the key.
    for (const counts of answers.all.values())
      for (const each of Object.keys(counts)) if (each.endsWith("STORE_UNAVAILABLE")) delete counts[each];
    await waitFor("leases to end and what they let through to be told", () => {
      for (const [id, counts] of answers.all) assert.deepEqual(counted(id), counts);
      return true;
    });
    await answers.areTold();
  });

  it("of all keys together is the tenant's, and the deployment's has refusals that belong to no key, too", async () => {
    const refused = async (code, isolate, target, headers = {}) => {
      const answer = await gate.isolates[isolate].send({ target, headers });
      assert.equal(answer.json().code, code);
    };
    for (let i = 0; i < 6; i++) {
      await refused("MISSING_AUTHORIZATION", i % 2, "/api/orders");
      await refused("INVALID_API_KEY", i % 2, "/api/orders", { Authorization: "Bearer made-up" });
      await refused("NO_ROUTE", i % 2, "/api/nothing-there");
    }
    const sums = async (path, field = "refused") => {
      const all = {};
      for (const point of (await owner.must("GET", `${path}step=1d`)).points) {
        for (const [code, count] of Object.entries({ accepted: point.accepted, ...point[field] })) {
          if (count) all[code] = (all[code] ?? 0) + count;
        }
      }
      return all;
    };
    await waitFor("their object to know, without a further request", () => {
      const counts = Object.entries(counted("unattributed"));
      for (const code of ["MISSING_AUTHORIZATION", "INVALID_API_KEY", "NO_ROUTE"]) {
        const [, count] = counts.find(([name]) => name.endsWith(` default ${code}`)) ?? [];
        assert.equal(count, 6, code);
      }
      return true;
    });
    await waitFor(
      "the Registry to know",
      async () => {
        await gate.advance(60_000);
        const { MISSING_AUTHORIZATION, INVALID_API_KEY, NO_ROUTE } = await sums(
          "/usage?scope=deployment&",
          "unattributed",
        );
        assert.deepEqual(
          { MISSING_AUTHORIZATION, INVALID_API_KEY, NO_ROUTE },
          {
            MISSING_AUTHORIZATION: 6,
            INVALID_API_KEY: 6,
            NO_ROUTE: 6,
          },
        );
        return true;
      },
      { everyMs: 250 },
    );
    const ofKeys = {};
    const { apiKeys } = await owner.must("GET", "/api-keys?limit=100");
    for (const { id } of apiKeys) {
      for (const [code, count] of Object.entries(await sums(`/api-keys/${id}/usage?`))) {
        ofKeys[code] = (ofKeys[code] ?? 0) + count;
      }
    }
    assert.ok(ofKeys.accepted > 0 && ofKeys.REVOKED_API_KEY > 0);
    assert.deepEqual(await sums("/usage?"), ofKeys);
    assert.deepEqual(await sums("/usage?scope=deployment&"), ofKeys);
  });

  it("has the latest refusals of a key, each with its request, and for the operator those of no key", async () => {
    const made = await owner.createKey();
    const send = async (token) => {
      const headers = { Authorization: `Bearer ${token}`, "CF-Connecting-IP": "2001:db8:1:2:3::4" };
      const answer = await gate.isolates[1].send({ method: "POST", target: "/api/orders/17", headers, tls: "TLSv1.3" });
      return { ...answer.json(), status: answer.status };
    };
    const ofKey = await send(made.plaintextKey);
    const ofNone = await send("kw_test_of_refusals");
    assert.deepEqual([ofKey.code, ofNone.code], ["INSUFFICIENT_SCOPE", "INVALID_API_KEY"]);
    await waitFor("both objects, or the Registry, to know", () => {
      const stored = JSON.stringify(gate.storedObjects());
      return [ofKey, ofNone].every(({ requestId }) => stored.includes(requestId));
    });
    const shown = async (query) => (await owner.must("GET", `/refusals?${query}`)).refusals;
    const [refusal] = await waitFor(
      "the Registry to know",
      async () => {
        await gate.advance(60_000);
        const found = await shown(`keyId=${made.apiKey.id}`);
        return found.length > 0 && found;
      },
      { everyMs: 250 },
    );
    assert.ok(Math.abs(Date.parse(refusal.time) - gate.now()) < HOUR);
    assert.deepEqual(refusal, {
      time: refusal.time,
      requestId: ofKey.requestId,
      keyId: made.apiKey.id,
      realm: "default",
      method: "POST",
      route: "/api/orders*",
      code: "INSUFFICIENT_SCOPE",
      status: 403,
      network: "2001:db8:1:2::/64",
      country: COUNTRY,
    });
    await waitFor(
      "the one of no key",
      async () => {
        await gate.advance(60_000);
        const found = await shown(`scope=deployment&requestId=${ofNone.requestId}`);
        assert.deepEqual([found[0]?.keyId, found[0]?.status], [null, 401]);
        return true;
      },
      { everyMs: 250 },
    );
    assert.deepEqual(await shown(`requestId=${ofNone.requestId}`), []);
  });
});
