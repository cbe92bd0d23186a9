// BS where the caller is a person: tokens of the issuer's beside the tenant's keys (examples/bs/keyward.toml), row by row.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { exportSPKI, SignJWT, UnsecuredJWT } from "jose";

import { HOST, QUERY, query, startBs } from "./bs.mjs";
import { bearer } from "./harness/traffic.mjs";
import { newSigner } from "./issuer.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */
/** @import { Jwks } from "./issuer.mjs" */
/** @import { Tenant } from "../../types/admin-api.js" */

/** @type {Gate} */
let gate;
/** @type {Tenant} */
let tenant;
/** @type {Admin} */
let owner;
/** @type {Jwks} */
let jwks;
before(async () => {
  ({ gate, tenant, owner, jwks } = await startBs());
});
after(() => gate.stop());
beforeEach(() => gate.origin.reset());

const newKey = (fields = {}) => owner.must("POST", "/api-keys", { realm: "bs", name: "dev-laptop", ...fields });
const send = (headers, request) => query(gate, headers, request);
/** What a refusal says. */
const told = (answer) => [answer.status, answer.json().detail];
const code = (answer) => [answer.status, answer.json().code];
const header = (name) => gate.origin.last.headers[name]?.[0];
const passed = () => gate.origin.requests.length;

describe("BS tokens", () => {
  let ec, rsa;
  before(async () => {
    ec = await newSigner("ES256", "ec-1");
    rsa = await newSigner("RS256", "rsa-1");
  });
  // Isolates keep the issuer's keys for ten minutes: each test begins when these are fetched anew.
  beforeEach(() => publishAndWait(ec, rsa));

  const publishAndWait = async (...signers) => {
    jwks.publish(...signers);
    await gate.advance(600_000);
  };
  const seconds = () => Math.floor(gate.now() / 1000);
  const claims = (more = {}) => ({
    iss: "https://id.bs.example",
    aud: "https://api.bs.example",
    sub: "user-7",
    tenant_id: tenant.id,
    iat: seconds(),
    exp: seconds() + 600,
    ...more,
  });
  const refused = async (token, what) => {
    assert.deepEqual(told(await send(bearer(token))), [401, "Invalid or expired token"], what);
    assert.equal(passed(), 0, what);
  };

  it("BS-1 a key passes in X-Api-Key, a token as Bearer, and neither in the other's place", async () => {
    const { plaintextKey } = await newKey();
    const token = await ec.sign(claims());
    assert.equal((await send({ "X-Api-Key": plaintextKey })).status, 200);
    assert.equal((await send(bearer(token))).status, 200);
    gate.origin.reset();
    assert.deepEqual(told(await send(bearer(plaintextKey))), [401, "Invalid or expired token"]);
    assert.deepEqual(told(await send({ "X-Api-Key": token })), [401, "Invalid API key format"]);
    assert.deepEqual(told(await send({ "X-Api-Key": `Bearer ${plaintextKey}` })), [401, "Invalid API key format"]);
    assert.deepEqual(code(await send({ "X-Api-Key": plaintextKey, ...bearer(token) })), [400, "INVALID_REQUEST"]);
    assert.deepEqual(code(await send({})), [401, "MISSING_AUTHORIZATION"]);
    assert.equal(passed(), 0);
  });

  it("BS-10 a valid token passes, and the origin learns for whom it speaks with every call", async () => {
    for (const [signer, sub] of [
      [ec, "user-7"],
      [rsa, "user-8"],
      [ec, "user-9"],
    ]) {
      const token = await signer.sign(claims({ sub, scope: "rides:read rides:write" }));
      assert.equal(
        (await send({ ...bearer(token), "Keyward-Subject": "forged", "Keyward-Tenant": "forged" })).status,
        200,
      );
      assert.deepEqual(["keyward-subject", "keyward-tenant", "keyward-scopes"].map(header), [
        sub,
        tenant.id,
        "rides:read rides:write",
      ]);
      assert.equal(header("authorization"), undefined, "the token is the gate's");
      assert.ok(!JSON.stringify(gate.origin.last.rawHeaders).includes("forged"));
    }
    const many = await ec.sign(claims({ aud: ["https://other.example", "https://api.bs.example"] }));
    assert.equal((await send(bearer(many))).status, 200);
  });

  it("BS-10 a signature, an algorithm or a key that is not the issuer's is 401", async () => {
    const token = await ec.sign(claims());
    const [head, payload, signature] = token.split(".");
    const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const flipped = Buffer.from(signature, "base64url");
    flipped[0] ^= 1;
    await refused(`${head}.${payload}.${flipped.toString("base64url")}`, "a changed signature");
    await refused(`${head}.${part(claims({ sub: "admin" }))}.${signature}`, "changed claims");
    await refused(`${head}.${payload}.`, "no signature");
    const stranger = await newSigner("ES256", "ec-1");
    await refused(await stranger.sign(claims()), "another's key under the issuer's key id");
    await refused(await stranger.sign(claims(), { jwk: stranger.jwk }), "a key that the token brings along");
    await refused(await rsa.sign(claims(), { kid: "ec-1" }), "another key's id");
    const eddsa = await newSigner("EdDSA", "ed-1");
    await publishAndWait(ec, rsa, eddsa);
    await refused(await eddsa.sign(claims()), "an algorithm that the policy does not take");
  });

  it("BS-10 `none`, and a public key used as a shared secret, are 401", async () => {
    const unsecured = new UnsecuredJWT(claims()).encode();
    await refused(unsecured, "none");
    for (const alg of ["none", "None", "NONE", "nOnE", ""]) {
      const head = Buffer.from(JSON.stringify({ alg, kid: "ec-1" })).toString("base64url");
      await refused(`${head}.${unsecured.split(".")[1]}.`, alg);
      await refused(`${head}.${unsecured.split(".")[1]}.AAAA`, alg);
    }
    const pem = await exportSPKI(rsa.publicKey);
    const forms = [pem, pem.trim(), JSON.stringify(rsa.jwk), rsa.jwk.n, Buffer.from(rsa.jwk.n, "base64url")];
    for (const form of forms) {
      const forged = new SignJWT(claims()).setProtectedHeader({ alg: "HS256", kid: "rsa-1" }).sign(Buffer.from(form));
      await refused(await forged, "HS256 under the public key");
    }
  });

  it("BS-10 another issuer, another audience, a time that is over or has not come, a claim that lacks: 401", async () => {
    for (const [what, more] of Object.entries({
      "another issuer": { iss: "https://evil.example" },
      "an issuer that begins the same": { iss: "https://id.bs.example/" },
      "no issuer": { iss: undefined },
      "another audience": { aud: "https://other.example" },
      "no audience": { aud: undefined },
      "expired, the clock's skew allowed for": { exp: seconds() - 31 },
      "no expiry": { exp: undefined },
      "not yet": { nbf: seconds() + 60 },
      "issued in the future": { iat: seconds() + 60 },
      "no subject": { sub: undefined },
      "no tenant": { tenant_id: undefined },
    })) {
      for (const signer of [ec, rsa]) await refused(await signer.sign(claims(more)), what);
    }
    const brief = await ec.sign(claims({ exp: seconds() + 60 }));
    assert.equal((await send(bearer(brief))).status, 200);
    gate.origin.reset();
    await gate.advance(91_000);
    await refused(brief, "a token that passed before");
  });

  it("BS-10 the issuer's keys are fetched once, again when a new one is used, and a withdrawn one ends", async () => {
    const before = jwks.fetches();
    const fetches = () => jwks.fetches() - before;
    const tokens = await Promise.all(Array.from({ length: 12 }, (_, i) => (i % 2 ? ec : rsa).sign(claims())));
    const statuses = await Promise.all(tokens.map(async (token) => (await send(bearer(token))).status));
    assert.deepEqual(statuses, new Array(12).fill(200));
    assert.equal(fetches(), 1);

    const next = await newSigner("ES256", "ec-2");
    jwks.publish(ec, next);
    gate.origin.reset();
    for (let i = 0; i < 5; i++) await refused(await next.sign(claims()), "made-up key ids cost no fetch");
    assert.equal(fetches(), 1);
    await gate.advance(60_000);
    assert.equal((await send(bearer(await next.sign(claims())))).status, 200);
    assert.equal(fetches(), 2);
    assert.equal((await send(bearer(await ec.sign(claims())))).status, 200, "the old one still is the issuer's");

    await publishAndWait(next);
    gate.origin.reset();
    await refused(await ec.sign(claims()), "withdrawn");
    assert.equal((await send(bearer(await next.sign(claims())))).status, 200);
    assert.equal(fetches(), 3);
  });

  it("BS-10 while the issuer's keys cannot be had, nor could be for an hour, a token is neither good nor bad: 503", async () => {
    jwks.serve(null);
    await gate.advance(4_200_000);
    const token = await ec.sign(claims());
    for (const text of [null, "", "<html>", "{}", '{"keys": []}']) {
      jwks.serve(text);
      const answer = await send(bearer(token));
      assert.deepEqual(code(answer), [503, "STORE_UNAVAILABLE"], `${text}`);
      assert.ok(Number(answer.header("retry-after")) >= 1);
      await gate.advance(10_000);
    }
    assert.equal(passed(), 0);
    jwks.publish(ec);
    assert.equal((await send(bearer(token))).status, 200);
  });

  it("BS-10 a token of 100 KB, or one that stands there twice, is refused", async () => {
    await refused(await ec.sign(claims({ padding: "x".repeat(8_000) })), "10 KB");
    await refused(await ec.sign(claims({ padding: "x".repeat(75_000) })), "100 KB");
    const token = await ec.sign(claims());
    const twice = [
      ["Authorization", `Bearer ${token}`],
      ["Authorization", `Bearer ${token}`],
    ];
    assert.deepEqual(
      code(await gate.send({ method: "POST", target: "/graphql", host: HOST, headers: twice, body: QUERY })),
      [400, "INVALID_REQUEST"],
    );
    assert.equal(passed(), 0);
  });
});
