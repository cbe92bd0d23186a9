// Events, from outside: a real receiver gets what happens to keys, and verifies it with the library of Standard Webhooks.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";

import { Webhook } from "standardwebhooks";

import { readPolicies } from "../../scripts/lib/policy.mjs";
import { devSecrets } from "../../scripts/lib/secrets.mjs";
import { startGate } from "./harness/gate.mjs";
import { startOrigin } from "./harness/origin.mjs";
import { bearer } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */
/** @import { Origin } from "./harness/origin.mjs" */

const DAY = 86_400_000;
const newSecret = () => `whsec_${randomBytes(32).toString("base64")}`;
const SECRETS = { EVENTS_SECRET: newSecret(), EVENTS_SECRET_OLD: newSecret() };

/** @type {Origin} */
let receiver;
const section = () => `
[admin.events.main]
url = "http://${receiver.address}/hooks?from=keyward"
secret = ["EVENTS_SECRET", "EVENTS_SECRET_OLD"]
`;
/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
before(async () => {
  receiver = await startOrigin();
  gate = await startGate({ edit: (text) => text + section(), secrets: SECRETS });
  owner = await gate.owner();
});
after(async () => {
  await gate?.stop();
  await receiver?.stop();
});
beforeEach(() => receiver.reset());

const headersOf = ({ headers }) =>
  Object.fromEntries(["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => [name, headers[name][0]]));

/** A request as the library of Standard Webhooks reads it. */
const verified = (request, secret = SECRETS.EVENTS_SECRET) =>
  new Webhook(secret).verify(request.body.toString(), headersOf(request));

const received = () => receiver.requests.filter(({ body }) => body).map(({ body }) => JSON.parse(body.toString()));

/** What objects report of what they count, which they do once in five minutes. */
const reported = (what, condition) =>
  waitFor(
    what,
    async () => {
      const found = await condition();
      if (!found) await gate.advance(301_000);
      return found;
    },
    { everyMs: 2_000 },
  );

/** What came, once this event of this key has come. The gate's clock must be the real one: the library goes by it. */
const events = (type, id) =>
  waitFor(`${type} of ${id}`, () => {
    const of = received().filter(({ data }) => data.keyId === id);
    return of.some((body) => body.type === type) && of;
  });
const typesOf = (list) => list.map(({ type }) => type);
const status = async () => (await owner.must("GET", "/events/endpoints")).endpoints[0];

describe("events", () => {
  it("tell that a key was made, rotated and revoked, in order, each signed with both secrets", async () => {
    const { apiKey, plaintextKey } = await owner.createKey({ name: "Nightly export" });
    const rotated = await owner.must("POST", `/api-keys/${apiKey.id}/rotate`, { revokeOld: true });
    const told = await events("key.revoked", apiKey.id);
    assert.deepEqual(typesOf(told), ["key.created", "key.rotated", "key.revoked"]);
    assert.equal(told[0].data.name, "Nightly export");
    assert.equal(told[1].data.rotatedTo, rotated.apiKey.id);
    assert.equal(told[2].data.refusedEverywhereBy, rotated.previous.refusedEverywhereBy);
    assert.deepEqual(typesOf(await events("key.created", rotated.apiKey.id)), ["key.created"]);
    for (const request of receiver.requests) {
      assert.equal(`${request.method} ${request.url}`, "POST /hooks?from=keyward");
      assert.equal(request.headers["content-type"]?.[0], "application/json");
      for (const secret of Object.values(SECRETS)) {
        assert.deepEqual(verified(request, secret), JSON.parse(request.body.toString()));
      }
      assert.throws(() => verified(request, newSecret()), /No matching signature/);
      const forged = { ...request, body: Buffer.from(request.body.toString().replace("key.", "kex.")) };
      assert.throws(() => verified(forged), /No matching signature/);
      assert.ok(!request.body.toString().includes(plaintextKey));
    }
  });

  it("are signed with the secrets that `npm start` and `keyward dev` make up for a policy", async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "keyward-events-"));
    t.after(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, "keyward.toml"), `include = "realms.toml"\n${section()}`);
    await writeFile(join(folder, "realms.toml"), '[[realm]]\nid = "api"\njwt = { secret = "ISSUER_SECRET" }\n');
    const secrets = devSecrets(await readPolicies("keyward.toml", folder), join(folder, ".dev.vars"));
    assert.ok(secrets.ISSUER_SECRET);
    const dev = await startGate({ edit: (text) => text + section(), secrets });
    t.after(() => dev.stop());
    const { apiKey } = await (await dev.owner()).createKey();
    await events("key.created", apiKey.id);
    for (const name of Object.keys(SECRETS)) assert.ok(verified(receiver.requests[0], secrets[name]));
  });

  it("tell each share of a limit once", async () => {
    const { apiKey, plaintextKey } = await owner.createKey({ rateLimit: { perDay: 10 } });
    const use = () => gate.send({ target: "/api/orders", headers: bearer(plaintextKey) });
    for (let i = 0; i < 12; i++) await use();
    const told = await reported("all of the limit", async () => {
      await use();
      const list = received().filter(({ type, data }) => type === "key.limit_reached" && data.keyId === apiKey.id);
      const shares = list.map(({ data }) => data.percent);
      return shares.includes(100) && shares;
    });
    assert.deepEqual(told, [80, 95, 100]);
    assert.equal((await events("key.limit_reached", apiKey.id)).at(-1).data.of, 10);
  });

  it("tell once an hour that somebody guesses", async () => {
    for (let i = 0; i < 150; i++) {
      const key = `kw_live_${randomBytes(24).toString("base64url").replaceAll(/[-_]/g, "x")}`;
      await gate.send({ target: "/api/orders", headers: bearer(key) });
    }
    const told = await waitFor("the guesses", () => {
      const guesses = received().filter(({ type }) => type === "guessing.detected");
      return guesses.length > 0 && guesses;
    });
    assert.equal(told.length, 1);
    assert.ok(told[0].data.refused >= 100, JSON.stringify(told[0]));
    assert.equal(told[0].data.realm, "default");
  });

  // From here on the clock is set back, too, after which what isolates count is known later.
  it("wait while the receiver fails, redirects or is not there, and come in order for each key once it is back", async () => {
    const elsewhere = await startOrigin();
    try {
      const { apiKey } = await owner.createKey();
      await events("key.created", apiKey.id);
      receiver.reset();
      receiver.answer = { status: 307, headers: { location: `http://${elsewhere.address}/` } };
      const { apiKey: other } = await owner.createKey();
      await waitFor("a redirect", async () => (await status()).state === "failing");
      assert.match((await status()).error, /^answered 307/);
      assert.equal(elsewhere.requests.length, 0, "nobody else gets it");
      await receiver.refuse();
      await owner.revoke(other.id);
      await owner.revoke(apiKey.id);
      await gate.advance(DAY);
      await owner.signIn();
      await waitFor("a connection refused", async () => (await status()).error === "cannot be reached");
      assert.deepEqual([(await status()).lost, (await status()).state], [0, "failing"]);

      receiver.reset();
      await receiver.listen();
      await gate.advance(600_000);
      assert.deepEqual(typesOf(await events("key.revoked", other.id)), ["key.created", "key.revoked"]);
      assert.deepEqual(typesOf(await events("key.revoked", apiKey.id)), ["key.revoked"]);
      await waitFor("that all is well", async () => (await status()).state === "ok");
    } finally {
      await elsewhere.stop();
      await gate.setClock(0);
      await owner.signIn();
    }
  });

  it("survive the runtime's end", async () => {
    receiver.answer = { status: 500 };
    const { apiKey } = await owner.createKey();
    await waitFor("an attempt", () => receiver.requests.length > 0);
    await gate.kill();
    receiver.reset();
    await gate.restart();
    owner.base = gate.url;
    await owner.must("GET", "/session");
    await events("key.created", apiKey.id);
    const [request] = receiver.requests.filter(({ body }) => body?.toString().includes(apiKey.id));
    assert.ok(verified(request));
  });

  it("are listed after any of them, in the shape that is sent, and sent again from there", async () => {
    const made = [];
    for (let i = 0; i < 3; i++) made.push((await owner.createKey()).apiKey.id);
    await events("key.created", made[2]);
    const all = [];
    for (let after = ""; ; ) {
      const page = await owner.must("GET", `/events?limit=2${after && `&after=${after}`}`);
      all.push(...page.events);
      if (!page.nextAfter) break;
      after = page.nextAfter;
    }
    const of = all.filter(({ data }) => made.includes(data.keyId));
    assert.deepEqual(
      of.map(({ data }) => data.keyId),
      made,
    );
    const [sent] = receiver.requests.filter(({ body }) => body?.toString().includes(made[1]));
    const { id, ...body } = of[1];
    assert.deepEqual([headersOf(sent)["webhook-id"], JSON.parse(sent.body.toString())], [id, body]);

    receiver.reset();
    await owner.must("POST", "/events/endpoints/main/replay", { after: of[0].id });
    await events("key.created", made[2]);
    assert.deepEqual(
      receiver.requests.map((request) => headersOf(request)["webhook-id"]),
      [of[1].id, of[2].id],
      "the same ids: a receiver drops what it had",
    );
    await owner.refused([400, "VALIDATION_FAILED"], "GET", "/events?after=evt_0");
    await owner.refused([404, "NOT_FOUND"], "POST", "/events/endpoints/none/replay", {});
  });

  it("end where the receiver answers 410, until somebody replays", async () => {
    receiver.answer = { status: 410 };
    const { apiKey } = await owner.createKey();
    await waitFor("that it is gone", async () => (await status()).state === "gone");
    receiver.reset();
    const { endpoint } = await owner.must("POST", "/events/endpoints/main/replay", {});
    assert.equal(endpoint.state, "ok");
    assert.deepEqual(typesOf(await events("key.created", apiKey.id)), ["key.created"]);
  });

  it("tell 30, 7 and 1 day before a key expires, once each", async () => {
    const expiresAt = new Date(Math.floor(gate.now() / 1_000) * 1_000 + 40 * DAY).toISOString();
    const { apiKey } = await owner.createKey({ expiresAt });
    await events("key.created", apiKey.id);
    try {
      for (const days of [30, 7, 1]) {
        await gate.until(new Date(Date.parse(expiresAt) - days * DAY + 1_000).toISOString());
        await owner.signIn();
        await waitFor(`${days} days`, async () => {
          const list = await events("key.expiring", apiKey.id);
          return list.at(-1).data.daysBefore === days;
        });
      }
      const told = (await events("key.expiring", apiKey.id)).filter(({ type }) => type === "key.expiring");
      assert.deepEqual(
        told.map(({ data }) => [data.daysBefore, data.expiresAt]),
        [30, 7, 1].map((days) => [days, expiresAt]),
      );
    } finally {
      await gate.setClock(0);
    }
  });
});
