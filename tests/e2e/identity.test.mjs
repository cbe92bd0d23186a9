// `Keyward-Identity`: an origin that verifies it (examples/identity/origin.mjs) gets what has come through the gate, and nothing else.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { after, before, beforeEach, describe, it } from "node:test";
import { decodeProtectedHeader, exportJWK, generateKeyPair, importJWK, SignJWT, UnsecuredJWT } from "jose";

import { identities, originOf } from "../../examples/identity/origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { send } from "./harness/http.mjs";
import { documentOf, originPort } from "./harness/policies.mjs";
import { bearer } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { Server } from "node:http" */
/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const ISSUER = "https://api.example.com";
const FIELD = "keyward-identity";
const seed = () => randomBytes(32).toString("base64url");

/** More realms: one whose origin records what it gets, a strict one, and one that asks for no token. */
const MORE = `
[[realm]]
id = "lab"
hosts = ["*"]
paths = ["/lab/*"]
origin = { binding = "ORIGIN" }
credentials = [{ header = "Authorization", scheme = "Bearer" }]

[realm.key]
live_prefix = "lab_live_"
test_prefix = "lab_test_"

[realm.identity]
issuer = "${ISSUER}"
jwks_path = "/api/jwks.json"
metadata = ["customer"]

[realm.scopes]
"things:read" = "Read things"

[[realm.route]]
path = "/lab/open"
requires = "public"

[[realm.route]]
path = "/lab/strict"
freshness = "0s"
requires = "key"

[[realm.route]]
path = "/lab/*"
requires = { scopes = ["things:read"] }

[[realm]]
id = "plain"
hosts = ["*"]
paths = ["/plain/*"]
origin = { binding = "ORIGIN" }
credentials = [{ header = "Authorization", scheme = "Bearer" }]

[[realm.route]]
path = "/plain/*"
requires = "public"
`;

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
/** @type {Server} */
let origin;
/** @type {string} */
let originUrl;
const secrets = { KEYWARD_IDENTITY_KEY: seed(), KEYWARD_IDENTITY_KEY_NEXT: seed() };
/** @type {string} */
let jwks;
/** @type {string} */
let document;
before(async () => {
  document = await documentOf("examples/identity/keyward.toml", { edit: (text) => text + MORE });
  gate = await startGate({ document, secrets });
  owner = await gate.owner();
  jwks = `${gate.url}/api/jwks.json`;
  origin = originOf({ jwks, issuer: ISSUER, audience: "shop", now: () => gate.now() });
  origin.listen(originPort(18_189), "127.0.0.1");
  await once(origin, "listening");
  originUrl = `http://127.0.0.1:${originPort(18_189)}`;
});
after(async () => {
  await gate?.stop();
  origin?.closeAllConnections();
  origin?.close();
});
beforeEach(() => gate.origin.reset());

const shopKey = (fields = {}) => owner.createKey({ realm: "shop", scopes: ["orders:read"], ...fields });
const labKey = (fields = {}) => owner.createKey({ realm: "lab", scopes: ["things:read"], ...fields });

/** The token with which a request reaches an origin that records what it gets. */
async function tokenAt(target, key, headers = {}) {
  const before = gate.origin.requests.length;
  const { status } = await gate.send({ target, headers: { ...headers, ...(key && bearer(key)) } });
  assert.equal(status, 200);
  const [{ rawHeaders: got }] = gate.origin.requests.slice(before);
  const values = got.filter(([name]) => name.toLowerCase().replaceAll("_", "-") === FIELD);
  assert.equal(values.length, 1);
  assert.equal(values[0][0].toLowerCase(), FIELD);
  return values[0][1];
}

/** What the origin answers to whoever comes past the gate. */
const pastTheGate = async (token) =>
  send(originUrl, { target: "/api/orders", headers: token === undefined ? {} : { "Keyward-Identity": token } });

const verify = (token, { audience = "lab", now = () => gate.now() } = {}) =>
  identities({ jwks, issuer: ISSUER, audience, now })(token);

describe("an origin that verifies Keyward-Identity", () => {
  it("learns who asks, and believes what it learns", async () => {
    const { apiKey, plaintextKey } = await shopKey({ metadata: { customer: "c-7", note: "ours" } });
    const answer = await gate.send({ target: "/api/orders/7", headers: bearer(plaintextKey) });
    assert.deepEqual(answer.json(), {
      path: "/api/orders/7",
      caller: {
        sub: apiKey.id,
        by: "key",
        tenant: apiKey.tenantId,
        scope: "orders:read",
        mode: "live",
        metadata: { customer: "c-7" },
      },
    });
    const open = await gate.send({ target: "/api/status" });
    assert.deepEqual(open.json(), { path: "/api/status", caller: {} });
  });

  it("answers nobody who comes past the gate, whatever they send", async () => {
    const { plaintextKey } = await labKey();
    const others = await tokenAt("/lab/things", plaintextKey);
    const [header, payload, signature] = others.split(".");
    const changed = Buffer.from(
      JSON.stringify({ ...JSON.parse(Buffer.from(payload, "base64url").toString()), aud: "shop" }),
    ).toString("base64url");
    const claims = { sub: "key", by: "key", scope: "*" };
    const now = Math.floor(gate.now() / 1000);
    const signed = async (key, protectedHeader) =>
      new SignJWT(claims)
        .setProtectedHeader(protectedHeader)
        .setIssuer(ISSUER)
        .setAudience("shop")
        .setIssuedAt(now)
        .setExpirationTime(now + 5)
        .sign(key);
    const { privateKey } = await generateKeyPair("EdDSA", { extractable: true });
    const { kid } = decodeProtectedHeader(others);
    const { keys } = (await gate.send({ target: "/api/jwks.json" })).json();
    const forged = {
      "no token": undefined,
      "an empty one": "",
      "another realm's": others,
      "another realm's with another audience": `${header}.${changed}.${signature}`,
      "one without a signature": `${header}.${payload}.`,
      "one of a key of its own, under the gate's id": await signed(privateKey, { alg: "EdDSA", kid }),
      "one with a key of its own in it": await signed(privateKey, { alg: "EdDSA", jwk: await exportJWK(privateKey) }),
      "one with a MAC under the public key": await signed(Buffer.from(keys[0].x, "base64url"), { alg: "HS256", kid }),
      "an unsecured one": new UnsecuredJWT(claims).setIssuer(ISSUER).setAudience("shop").encode(),
    };
    for (const [what, token] of Object.entries(forged)) {
      const { status } = await pastTheGate(token);
      assert.equal(status, 401, what);
    }
  });

  it("does not believe a token longer than it lives, and two seconds", async (t) => {
    await gate.stopClock(t);
    const { plaintextKey } = await labKey();
    const token = await tokenAt("/lab/things", plaintextKey);
    const { iat, exp } = await verify(token);
    assert.equal(exp - iat, 5);
    assert.ok(Math.abs(iat * 1000 - gate.now()) <= 1000);
    await gate.advance(7_000);
    await assert.rejects(verify(token), { code: "ERR_JWT_EXPIRED" });
  });
});

it("a client's own Keyward-Identity reaches no origin, in whatever spelling and realm", async () => {
  const { plaintextKey } = await labKey();
  const own = await tokenAt("/lab/things", plaintextKey);
  for (const name of ["Keyward-Identity", "keyward_identity", "KEYWARD.IDENTITY"]) {
    assert.notEqual(await tokenAt("/lab/open", undefined, { [name]: own }), own, name);
    assert.equal(await tokenAt("/lab/things", plaintextKey, { [name]: "forged" }), own, name);
    const before = gate.origin.requests.length;
    assert.equal((await gate.send({ target: "/plain/x", headers: { [name]: own } })).status, 200);
    const [{ rawHeaders }] = gate.origin.requests.slice(before);
    assert.ok(!rawHeaders.some(([field]) => /identity/i.test(field)), name);
  }
});

it("a token is signed once for half of its life, and anew when what it says has changed", async (t) => {
  await gate.stopClock(t);
  const { apiKey, plaintextKey } = await labKey({ metadata: { customer: "c-7" } });
  const first = await tokenAt("/lab/things", plaintextKey);
  await gate.advance(2_400);
  assert.equal(await tokenAt("/lab/things", plaintextKey), first);
  await gate.advance(200);
  const second = await tokenAt("/lab/things", plaintextKey);
  assert.notEqual(second, first);
  assert.deepEqual((await verify(second)).metadata, { customer: "c-7" });

  const changed = await owner.patch(apiKey.id, { metadata: { customer: "c-8" } });
  // A strict route knows at once.
  assert.deepEqual((await verify(await tokenAt("/lab/strict", plaintextKey))).metadata, { customer: "c-8" });
  await gate.until(changed.effectiveEverywhereBy);
  assert.deepEqual((await verify(await tokenAt("/lab/things", plaintextKey))).metadata, { customer: "c-8" });
});

it("the public keys are there for everybody, and may be kept", async () => {
  const answer = await gate.send({ target: "/api/jwks.json" });
  assert.equal(answer.status, 200);
  assert.equal(answer.header("content-type"), "application/jwk-set+json");
  assert.equal(answer.header("cache-control"), "public, max-age=300");
  const { keys } = answer.json();
  assert.equal(keys.length, 2);
  for (const key of keys) {
    assert.deepEqual(Object.keys(key).sort(), ["alg", "crv", "kid", "kty", "use", "x"]);
    await importJWK(key);
  }
  assert.equal(gate.origin.requests.length, 0);
  assert.equal((await gate.send({ method: "HEAD", target: "/api/jwks.json" })).status, 200);
  assert.equal((await gate.send({ method: "POST", target: "/api/jwks.json" })).status, 405);
});

describe("the keys of a deployment", () => {
  /** The gate once more, with other secrets. */
  const withSecrets = async (others) => {
    await gate.kill();
    Object.assign(gate.secrets, others);
    await gate.restart();
    await owner.signIn();
  };
  after(() => withSecrets({ ...secrets, KEYWARD_IDENTITY_KEY_PREVIOUS: undefined }));

  it("are rotated without an origin that has to know: it knows the next one, and the one before for as long as it matters", async () => {
    const { plaintextKey } = await labKey();
    const before = await tokenAt("/lab/things", plaintextKey);
    let fetched = 0;
    // An origin that keeps the keys of now.
    const kept = (await gate.send({ target: "/api/jwks.json" })).body;
    const { createServer } = await import("node:http");
    const cache = createServer((_, response) => {
      fetched += 1;
      response.end(kept);
    }).listen(0, "127.0.0.1");
    await once(cache, "listening");
    const { port } = /** @type {import("node:net").AddressInfo} */ (cache.address());
    const identify = identities({
      jwks: `http://127.0.0.1:${port}`,
      issuer: ISSUER,
      audience: "lab",
      now: () => gate.now(),
    });
    try {
      await identify(before);
      const { KEYWARD_IDENTITY_KEY, KEYWARD_IDENTITY_KEY_NEXT } = secrets;
      await withSecrets({
        KEYWARD_IDENTITY_KEY: KEYWARD_IDENTITY_KEY_NEXT,
        KEYWARD_IDENTITY_KEY_NEXT: seed(),
        KEYWARD_IDENTITY_KEY_PREVIOUS: KEYWARD_IDENTITY_KEY,
      });
      const rotated = await tokenAt("/lab/things", plaintextKey);
      assert.notEqual(decodeProtectedHeader(rotated).kid, decodeProtectedHeader(before).kid);
      await identify(rotated);
      assert.equal(fetched, 1);
      // Who asks now gets both.
      const { iat } = await verify(rotated);
      await verify(before, { now: () => iat * 1000 });
      assert.equal((await gate.send({ target: "/api/jwks.json" })).json().keys.length, 3);
      // One that is published no more verifies nothing.
      await withSecrets({ KEYWARD_IDENTITY_KEY_PREVIOUS: undefined });
      await assert.rejects(verify(before, { now: () => iat * 1000 }), { code: "ERR_JWKS_NO_MATCHING_KEY" });
    } finally {
      cache.close();
    }
  });

  for (const [what, key] of /** @type {[string, string | undefined][]} */ ([
    ["missing", undefined],
    ["too short", randomBytes(31).toString("base64url")],
  ])) {
    it(`let nothing through where the one that signs is ${what}, and /readyz says so`, async () => {
      const { plaintextKey } = await labKey();
      await withSecrets({ KEYWARD_IDENTITY_KEY: key });
      for (const target of ["/lab/things", "/lab/open", "/api/jwks.json"]) {
        const answer = await gate.send({ target, headers: bearer(plaintextKey) });
        assert.equal(answer.status, 503, target);
        assert.equal(answer.json().code, "NOT_CONFIGURED");
      }
      assert.equal((await gate.send({ target: "/plain/x" })).status, 200);
      assert.equal(gate.origin.requests.length, 1, "the realm that asks for no token goes on");
      const headers = { Authorization: `Setup ${gate.secrets.KEYWARD_SETUP_TOKEN}` };
      const ready = await waitFor("readiness", () => gate.send({ target: "/readyz", headers }));
      assert.equal(ready.status, 503);
      assert.match(ready.json().parts.secrets, /KEYWARD_IDENTITY_KEY is not (set|fit)/);
      if (key) assert.ok(!ready.body.includes(key) && !gate.logs.some(({ message }) => message.includes(key)));
    });
  }
});
