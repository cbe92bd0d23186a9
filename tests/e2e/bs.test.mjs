// BS: a GraphQL API with tenant keys (examples/bs/keyward.toml), row by row.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, beforeEach, describe, it } from "node:test";

import { HOST, QUERY, query, startBs } from "./bs.mjs";
import { open } from "./harness/http.mjs";
import { limits } from "./harness/limits.mjs";
import { bearer } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";
import { newSigner } from "./issuer.mjs";
import { heading, show, signedIn, status } from "./page.mjs";
import { newMember, newTenant, PASSWORD } from "./systems.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Credentials, Tenant } from "../../types/admin-api.js" */
/** @import { Gate } from "./harness/gate.mjs" */
/** @import { Jwks } from "./issuer.mjs" */

/** @type {Gate} */
let gate;
/** @type {Admin} */
let operator;
/** @type {Tenant} */
let tenant;
/** @type {Admin} */
let owner;
/** @type {Credentials} */
let person;
/** @type {Jwks} */
let jwks;
before(async () => {
  ({ gate, operator, tenant, owner, person, jwks } = await startBs());
});
after(() => gate.stop());
beforeEach(() => gate.origin.reset());

const newKey = (fields = {}) => owner.must("POST", "/api-keys", { realm: "bs", name: "dev-laptop", ...fields });
const send = (headers, request) => query(gate, headers, request);
const use = (key, request) => send({ "X-Api-Key": key }, request);
/** What a refusal says. */
const told = (answer) => [answer.status, answer.json().detail];
const code = (answer) => [answer.status, answer.json().code];
const header = (name) => gate.origin.last.headers[name]?.[0];
const passed = () => gate.origin.requests.length;

describe("BS keys", () => {
  it("BS-2 a key is btk_, the first eight characters of the tenant's UUID, and 32 random bytes", async () => {
    assert.match(tenant.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const keys = await Promise.all(Array.from({ length: 4 }, async () => (await newKey()).plaintextKey));
    for (const key of keys) {
      const random = key.match(/^btk_([0-9a-f]{8})_([\w-]{43})$/);
      assert.equal(random?.[1], tenant.id.slice(0, 8), key);
      const bytes = Buffer.from(random[2], "base64url");
      assert.deepEqual([bytes.length, bytes.toString("base64url")], [32, random[2]], "no bits beyond the bytes");
      assert.equal((await use(key)).status, 200);
      assert.equal(header("keyward-tenant"), tenant.id);
    }
    assert.equal(new Set(keys).size, keys.length);
  });

  it("BS-3 only the key's SHA-256 is stored: in KV and in the objects, and the key nowhere", async () => {
    const { apiKey, plaintextKey } = await newKey();
    assert.equal((await use(plaintextKey)).status, 200);
    const hash = createHash("sha256").update(plaintextKey).digest("hex");
    const kv = await waitFor("the key in KV", async () => (await gate.storedKv()).get(`key:sha256:${hash}`));
    assert.equal(JSON.parse(kv).id, apiKey.id);
    const stored = gate.storedObjects();
    const registry = stored.find(({ className }) => className === "Registry");
    assert.equal(registry.tables.keys.find(({ id }) => id === apiKey.id).hash, `sha256:${hash}`);
    assert.ok(
      stored.some(({ className, tables }) => className === "KeyGate" && JSON.stringify(tables).includes(apiKey.id)),
    );
    const [, , ...random] = plaintextKey.split("_");
    for (const secret of [plaintextKey, random.join("_"), Buffer.from(random.join("_"), "base64url")]) {
      assert.deepEqual(gate.grep(secret), []);
    }
    assert.notDeepEqual(gate.grep(hash), [], "a search that finds what is there");
    await gate.allLogged();
    assert.ok(!JSON.stringify([...(await gate.storedKv()), stored, gate.logs]).includes(plaintextKey));
  });

  it("BS-4 the list shows the first twelve characters, creation, last use and the key's own limits", async () => {
    const since = gate.now();
    const { apiKey, plaintextKey } = await newKey({ rateLimit: { perMinute: 7, perDay: 70 } });
    const listed = async () => {
      const { apiKeys } = await owner.must("GET", "/api-keys?realm=bs");
      return apiKeys.find(({ id }) => id === apiKey.id);
    };
    const fresh = await listed();
    assert.equal(fresh.keyPrefix, plaintextKey.slice(0, 12));
    assert.ok(Math.abs(Date.parse(fresh.createdAt) - since) < 30_000, fresh.createdAt);
    assert.deepEqual([fresh.rateLimit, fresh.lastUsedAt], [limits({ perMinute: 7, perDay: 70 }), null]);
    assert.equal((await use(plaintextKey)).status, 200);
    const { lastUsedAt } = await waitFor("the last use", async () =>
      (await listed()).lastUsedAt ? listed() : undefined,
    );
    assert.ok(
      Date.parse(lastUsedAt) >= Date.parse(fresh.createdAt) && Date.parse(lastUsedAt) <= gate.now(),
      lastUsedAt,
    );
    const text = JSON.stringify(await owner.must("GET", "/api-keys?realm=bs"));
    assert.ok(!text.includes(plaintextKey.slice(13, -4)), "never the key");
  });

  describe("BS-5 limits", () => {
    /** Sends until 429; how many passed, and the refusal. */
    const exhaust = async (key) => {
      for (let count = 0; ; count++) {
        const answer = await use(key, { isolate: gate.isolates[count % 2] });
        if (answer.status !== 200) return [count, answer];
      }
    };
    const refused = (answer, window) => {
      assert.deepEqual(code(answer), [429, "RATE_LIMITED"]);
      assert.match(answer.header("ratelimit"), new RegExp(`"${window}";r=0;`));
      const wait = Number(answer.header("retry-after"));
      assert.ok(wait >= 1 && wait <= { minute: 60, day: 86_400 }[window], `${wait} s`);
      return wait * 1000;
    };

    it("BS-5 a key that names none inherits its tenant's, in both windows", async (t) => {
      await gate.stopClock(t);
      const planned = await newTenant(gate, operator, { name: "Limited", rateLimit: { perMinute: 3, perDay: 5 } });
      const { apiKey, plaintextKey } = await planned.owner.must("POST", "/api-keys", { realm: "bs", name: "Blank" });
      assert.deepEqual([apiKey.rateLimit, apiKey.effectiveRateLimit], [limits(), limits({ perMinute: 3, perDay: 5 })]);
      const [first, byMinute] = await exhaust(plaintextKey);
      assert.equal(first, 3);
      await gate.advance(refused(byMinute, "minute"));
      const [second, byDay] = await exhaust(plaintextKey);
      assert.equal(second, 2);
      await gate.advance(refused(byDay, "day"));
      assert.equal((await use(plaintextKey)).status, 200);
      await operator.signIn(); // sessions have ended meanwhile
      await operator.stepUp();
      await owner.signIn(person);
    });

    it("BS-5 a key's own limits stand above its tenant's, each window by itself", async (t) => {
      await gate.stopClock(t);
      const planned = await newTenant(gate, operator, { name: "Overridden", rateLimit: { perMinute: 2, perDay: 3 } });
      const make = async (rateLimit) =>
        (await planned.owner.must("POST", "/api-keys", { realm: "bs", name: "Own", rateLimit })).plaintextKey;
      const [minute, byMinute] = await exhaust(await make({ perMinute: 4, perDay: 100 }));
      assert.equal(minute, 4);
      refused(byMinute, "minute");
      const [day, byDay] = await exhaust(await make({ perMinute: 100, perDay: 6 }));
      assert.equal(day, 6);
      refused(byDay, "day");
      const [inherited, stillByDay] = await exhaust(await make({ perMinute: 100 }));
      assert.equal(inherited, 3);
      refused(stillByDay, "day");
    });

    it("BS-5 a key and a tenant that name none have the policy's", async () => {
      const { apiKey } = await newKey();
      assert.deepEqual(apiKey.effectiveRateLimit, limits({ perMinute: 600, perDay: 100_000 }));
    });
  });

  it("BS-6 to rotate a key its owner types the password again; then the old one is revoked", async () => {
    const other = await newTenant(gate, operator, { name: "Rotates" });
    const old = await other.owner.must("POST", "/api-keys", { realm: "bs", name: "To rotate" });
    const path = `/api-keys/${old.apiKey.id}/rotate`;
    await other.owner.refused([403, "STEP_UP_REQUIRED"], "POST", path, {});
    await other.owner.refused([401, "INVALID_CREDENTIALS"], "POST", "/session/step-up", {
      password: "not the password",
    });
    await other.owner.refused([403, "STEP_UP_REQUIRED"], "POST", path, {});
    assert.equal((await use(old.plaintextKey)).status, 200);

    await other.owner.stepUp(PASSWORD);
    const { apiKey, plaintextKey, previous } = await other.owner.must("POST", path, {});
    assert.deepEqual([previous.id, previous.status], [old.apiKey.id, "REVOKED"]);
    assert.equal((await use(plaintextKey)).status, 200);
    await gate.until(previous.refusedEverywhereBy);
    gate.origin.reset();
    for (const isolate of gate.isolates) {
      assert.deepEqual(told(await use(old.plaintextKey, { isolate })), [401, "API key is revoked or expired"]);
    }
    assert.equal(passed(), 0);
    await gate.advance(300_000);
    await other.owner.refused([403, "STEP_UP_REQUIRED"], "POST", `/api-keys/${apiKey.id}/rotate`, {});
  });

  it("BS-7 keys are created and rotated by the tenant's owners, not by its admins, nor by keys", async () => {
    const body = { realm: "bs", name: "By an owner" };
    const created = await owner.call("POST", "/api-keys", body);
    assert.equal(created.status, 201);
    const { id } = created.json().apiKey;
    await owner.stepUp(PASSWORD);
    const admin = await newMember(gate, owner, "admin@acme.example", "admin");
    await admin.stepUp(PASSWORD);
    await admin.refused([403, "FORBIDDEN"], "POST", "/api-keys", body);
    await admin.refused([403, "FORBIDDEN"], "POST", `/api-keys/${id}/rotate`, {});
    const managing = await owner.must("POST", "/api-keys", {
      realm: "bd",
      name: "Manages keys",
      scopes: ["admin:write"],
    });
    const byKey = gate.admin();
    byKey.token = managing.plaintextKey;
    await byKey.refused([403, "FORBIDDEN"], "POST", "/api-keys", body);
    await byKey.refused([403, "FORBIDDEN"], "POST", `/api-keys/${id}/rotate`, {});
    assert.equal((await admin.get(id)).status, "ACTIVE", "an admin may look");
    assert.equal((await admin.revoke(id)).apiKey.status, "REVOKED", "and revoke");
    const own = (await newKey()).apiKey.id;
    assert.equal((await owner.call("POST", `/api-keys/${own}/rotate`, {})).status, 201);
  });

  it("BS-8 the four refusals have the document's words, and the origin never sees the request", async () => {
    const { apiKey, plaintextKey } = await newKey();
    const other = plaintextKey.at(-2) === "A" ? "B" : "A";
    const expiring = await newKey({ expiresAt: new Date(gate.now() + 60_000).toISOString() });
    await owner.revoke(apiKey.id);
    await gate.advance(60_000);
    jwks.publish(await newSigner("ES256", "words"));
    for (const [message, keys] of [
      [
        "Invalid API key format",
        ["kbd_live_abcdefgh", "x".repeat(60), "btk", "btk_", "btk_0192", "btk_0192345", "BTK_019234ab_x"],
      ],
      [
        "Unknown API key",
        [
          `${plaintextKey.slice(0, -2)}${other}${plaintextKey.at(-1)}`,
          "btk_019234ab",
          "btk_019234ab_",
          `${plaintextKey}A`,
          plaintextKey.slice(0, -1),
          `btk_00000000_${plaintextKey.slice(13)}`,
          "btk_019234ab_Kj8mN2pQrStUvWxYz1a2B3c4D5e6F7g8H9i0...",
        ],
      ],
      ["API key is revoked or expired", [plaintextKey, expiring.plaintextKey]],
    ]) {
      for (const key of keys) assert.deepEqual(told(await use(key)), [401, message], key);
    }
    for (const token of ["x", "a.b.c", plaintextKey, "eyJhbGciOiJFUzI1NiJ9.e30.AAAA"]) {
      assert.deepEqual(told(await send(bearer(token))), [401, "Invalid or expired token"], token);
    }
    assert.equal(passed(), 0);
  });
});

it("BS-9 the origin's answer, GraphQL errors and all, passes untouched and as it comes", async () => {
  const { plaintextKey } = await newKey();
  const errors =
    '{"data":null, "errors":[{"message":"no","extensions":{"code":"PERMISSION_DENIED"}}],\u00a0"x":"\u{1f511}"}\n';
  gate.origin.answer = {
    status: 200,
    headers: { "content-type": "application/json; charset=utf-8", "x-own": "kept" },
    body: errors,
  };
  const body = Buffer.from('{"query":\n  "{ \\u0041 é }" }  ');
  const whole = await use(plaintextKey, { body });
  assert.deepEqual([whole.status, whole.text], [200, errors]);
  assert.deepEqual([whole.header("content-type"), whole.header("x-own")], ["application/json; charset=utf-8", "kept"]);
  assert.deepEqual([gate.origin.last.url, gate.origin.last.body], ["/graphql", body]);
  assert.equal(header("x-api-key"), undefined);

  const [first, last] = ['{"data":{"a":1},"hasNext":true}\n', '{"incremental":[],"hasNext":false}\n'];
  let goOn;
  const held = new Promise((resolve) => {
    goOn = resolve;
  });
  gate.origin.answer = {
    status: 200,
    headers: { "content-type": "application/json" },
    body: (async function* () {
      yield first;
      await held;
      yield last;
    })(),
  };
  const answer = await open(gate.url, {
    method: "POST",
    target: "/graphql",
    host: HOST,
    headers: { "X-Api-Key": plaintextKey },
    body: QUERY,
  });
  const chunks = answer.chunks();
  let text = "";
  while (text.length < first.length) text += (await chunks.next()).value;
  assert.equal(text, first, "the beginning is here while the origin still holds the rest");
  goOn();
  for await (const chunk of chunks) text += chunk;
  assert.equal(text, first + last);
});

it("BS-11 the page shows a new key once, in an amber banner", async () => {
  await signedIn(gate, "/keys/new", { person }, async (page) => {
    await page.getByLabel("Realm").selectOption("bs");
    await page.getByLabel("Name").fill("From the page");
    await page.getByRole("button", { name: "Create key" }).click();
    const banner = page.getByRole("region", { name: "Copy this key now" });
    const key = await banner.getByTestId("new-key").innerText();
    assert.match(key, /^btk_[0-9a-f]{8}_[\w-]{43}$/);
    await banner.getByText("It is shown only once").waitFor();
    for (const property of ["backgroundColor", "borderTopColor"]) {
      const color = await banner.evaluate((node, name) => getComputedStyle(node)[name], property);
      const [red, green, blue] = color.match(/\d+/g).map(Number);
      assert.ok(red > green && green > blue && (green - blue) / (red - blue) > 0.5, `${property} is amber: ${color}`);
    }
    assert.equal((await use(key)).status, 200);

    await page.getByRole("button", { name: "I have saved it" }).click();
    await heading(page, "From the page");
    for (const reload of [false, true]) {
      if (reload) await page.reload();
      await heading(page, "From the page");
      const text = await page.evaluate(
        () => document.documentElement.outerHTML + JSON.stringify([localStorage, sessionStorage]),
      );
      assert.ok(text.includes(key.slice(0, 12)) && !text.includes(key.slice(13)), "its prefix stays, the key does not");
    }
    await show(page, gate, "/keys");
    await page.getByRole("link", { name: "From the page" }).waitFor();
    assert.ok(!(await page.content()).includes(key.slice(13)));
  });
});

it("BS-6 the page asks for the password before it rotates a key, and shows the new one in its banner", async () => {
  const { apiKey, plaintextKey } = await newKey();
  await signedIn(gate, `/keys/${apiKey.id}/rotate`, { person, expectedErrors: [status(403)] }, async (page) => {
    await page.getByRole("button", { name: "Rotate key" }).click();
    const prompt = page.getByRole("dialog", { name: "Confirm with your password" });
    await prompt.getByLabel("Password").fill(PASSWORD);
    assert.equal((await use(plaintextKey)).status, 200);
    await prompt.getByRole("button", { name: "Confirm" }).click();
    const banner = page.getByRole("region", { name: "Copy this key now" });
    assert.equal((await use(await banner.getByTestId("new-key").innerText())).status, 200);
    await waitFor("the old key's end", async () => (await use(plaintextKey)).status === 401);
    await page.getByRole("button", { name: "I have saved it" }).click();
    await heading(page, "dev-laptop");
  });
});
