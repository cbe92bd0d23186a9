// What APIs of others have, through the built Worker: keys beside tokens, scopes as issuers name them, paths with verbs and endings,
// origins of apps, secrets of webhooks that are being replaced, several issuers, and tokens in cookies.

import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { after, before, beforeEach, test } from "node:test";

import { SignJWT } from "jose";

import { startGate } from "./harness/gate.mjs";
import { open } from "./harness/http.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const secrets = {
  ID_SECRET: "of id.example, of more than 32 bytes",
  PARTNER_SECRET: "of partner.example, of more than 32 bytes",
  GITHUB_SECRET: "new",
  GITHUB_SECRET_OLD: "old",
  SVIX_SECRET: "whsec_c2VjcmV0IG9mIHN2aXg=",
};

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
/** @type {string} */
let key;
/** @type {string} */
let itemsKey;
before(async () => {
  gate = await startGate({ policy: "tests/e2e/policies/real_apis.toml", secrets });
  owner = await gate.owner();
  key = (await owner.createKey({ realm: "shop", scopes: ["Orders.Read"] })).plaintextKey;
  itemsKey = (await owner.createKey({ realm: "shop", scopes: ["orders:items:*"] })).plaintextKey;
});
after(() => gate?.stop());
beforeEach(() => gate.origin.reset());

/**
 * @param {string} scope
 * @param {{ issuer?: string, secret?: string }} [of]
 */
const token = (scope, { issuer = "https://id.example", secret = secrets.ID_SECRET } = {}) =>
  new SignJWT({ scope })
    .setProtectedHeader({ alg: "HS256" })
    .setIssuer(issuer)
    .setAudience("shop")
    .setSubject("user-7")
    .setExpirationTime(Math.floor(gate.now() / 1000) + 600)
    .sign(new TextEncoder().encode(secret));
/**
 * @param {string} target
 * @param {Record<string, string>} [headers]
 * @param {string} [method]
 */
const send = (target, headers = {}, method = "GET") => gate.send({ method, target, headers });
/** @param {{ status: number, json(): any }} answer */
const code = (answer) => (answer.status < 300 ? answer.status : [answer.status, answer.json().code]);
/** @param {string} name */
const told = (name) => gate.origin.last.headers[name]?.[0];

test("a route may ask for a key and a token: one alone is 401, and the origin learns of both", async () => {
  const bearer = { Authorization: `Bearer ${await token("Orders.Read other")}` };
  assert.deepEqual(code(await send("/v1/both", { "X-API-Key": key })), [401, "MISSING_AUTHORIZATION"]);
  assert.deepEqual(code(await send("/v1/both", bearer)), [401, "MISSING_AUTHORIZATION"]);
  assert.equal(code(await send("/v1/both", { "X-API-Key": key, ...bearer })), 200);
  assert.match(String(told("keyward-key-id")), /^key_/);
  assert.equal(told("keyward-subject"), "user-7");
  assert.equal(told("keyward-scopes"), "Orders.Read");
  const less = { Authorization: `Bearer ${await token("other")}` };
  assert.deepEqual(code(await send("/v1/both", { "X-API-Key": key, ...less })), [403, "INSUFFICIENT_SCOPE"]);
  assert.deepEqual(code(await send("/v1/both", { "X-API-Key": itemsKey, ...bearer })), [403, "INSUFFICIENT_SCOPE"]);
  assert.deepEqual(code(await send("/v1/me", { "X-API-Key": key, ...bearer })), [400, "INVALID_REQUEST"]);
});

test("scopes are named as issuers name them, and a wildcard is one of each area", async () => {
  assert.equal(code(await send("/v1/orders/7", { "X-API-Key": key })), 200);
  assert.deepEqual(code(await send("/v1/orders/7", { "X-API-Key": itemsKey })), [403, "INSUFFICIENT_SCOPE"]);
  await owner.invalid(["scopes[0]"], "POST", "/api-keys", { name: "A key", realm: "shop", scopes: ["orders.read"] });
  const { total } = await owner.must("GET", "/api-keys?scope=orders:items:read");
  assert.equal(total, 1);
});

test("a parameter may have a verb or an ending behind it", async () => {
  assert.equal(code(await send("/v1/orders/7:cancel", { "X-API-Key": itemsKey }, "POST")), 200);
  assert.deepEqual(code(await send("/v1/orders/7:cancel", { "X-API-Key": key }, "POST")), [403, "INSUFFICIENT_SCOPE"]);
  assert.equal(code(await send("/v1/reports/may.json")), 200);
  assert.deepEqual(code(await send("/v1/reports/may.xml")), [404, "NO_ROUTE"]);
  // What a server may take for the verb needs what the verb needs.
  assert.equal(code(await send("/v1/orders/7:CANCEL", { "X-API-Key": key }, "POST"))[0], 400);
  assert.equal(code(await send("/v1/orders/7%3Acancel", { "X-API-Key": itemsKey }, "POST")), 200);
});

test("pages of apps and of all hosts below a domain may call, and no others", async () => {
  for (const [origin, isAllowed] of /** @type {[string, boolean][]} */ ([
    ["capacitor://localhost", true],
    ["https://a.shop.example", true],
    ["https://a.b.shop.example", true],
    ["https://shop.example", false],
    ["https://evil-shop.example", false],
    ["http://a.shop.example", false],
    ["null", false],
  ])) {
    const preflight = { Origin: origin, "Access-Control-Request-Method": "GET" };
    const answer = await send("/v1/reports/may.json", preflight, "OPTIONS");
    assert.equal(answer.header("access-control-allow-origin"), isAllowed ? origin : undefined, origin);
    assert.match(answer.header("vary"), /origin/i);
  }
});

test("while a webhook's secret is replaced, the old one and the new one are right; GitHub's and Svix's headers are known", async () => {
  const body = '{"event":"push"}';
  const github = (/** @type {string} */ secret) => ({
    "X-Hub-Signature-256": `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`,
  });
  const deliver = (/** @type {string} */ target, /** @type {Record<string, string>} */ headers) =>
    gate.send({ method: "POST", target, headers, body });
  assert.equal(code(await deliver("/v1/hooks/github", github("new"))), 200);
  assert.equal(code(await deliver("/v1/hooks/github", github("old"))), 200);
  assert.deepEqual(code(await deliver("/v1/hooks/github", github("other"))), [401, "INVALID_SIGNATURE"]);

  const at = String(Math.floor(gate.now() / 1000));
  const svix = (/** @type {string} */ id) => ({
    "svix-id": id,
    "svix-timestamp": at,
    "svix-signature": `v1,${createHmac("sha256", "secret of svix").update(`msg_1.${at}.${body}`).digest("base64")}`,
  });
  assert.equal(code(await deliver("/v1/hooks/svix", svix("msg_1"))), 200);
  assert.deepEqual(code(await deliver("/v1/hooks/svix", svix("msg_2"))), [401, "INVALID_SIGNATURE"]);
});

test("each of several issuers vouches for its own tokens only", async () => {
  const partner = { issuer: "https://partner.example", secret: secrets.PARTNER_SECRET };
  const bearer = async (/** @type {Parameters<typeof token>[1]} */ of) => ({
    Authorization: `Bearer ${await token("", of)}`,
  });
  assert.equal(code(await send("/v1/me", await bearer({}))), 200);
  assert.equal(code(await send("/v1/me", await bearer(partner))), 200);
  for (const of of [
    { ...partner, secret: secrets.ID_SECRET },
    { ...partner, issuer: "https://id.example" },
    { issuer: "https://x.example" },
  ])
    assert.deepEqual(code(await send("/v1/me", await bearer(of))), [401, "INVALID_TOKEN"]);
});

test("a token may stand in a cookie, which the origin does not get and may set, and changes come from its own site", async () => {
  const cookie = { Cookie: `theme=dark; token=${await token("")}` };
  gate.origin.answer = { headers: { "set-cookie": "token=another; Path=/" } };
  const answer = await send("/v1/me", cookie);
  assert.equal(answer.status, 200);
  assert.equal(told("cookie"), "theme=dark");
  assert.equal(answer.header("set-cookie"), "token=another; Path=/");
  assert.match(answer.header("vary"), /cookie/i);
  assert.deepEqual(code(await send("/v1/me", cookie, "POST")), [403, "CROSS_SITE"]);
  assert.deepEqual(code(await send("/v1/me", { ...cookie, Origin: "https://a.shop.example" }, "POST")), [
    403,
    "CROSS_SITE",
  ]);
  assert.equal(code(await send("/v1/me", { ...cookie, "Sec-Fetch-Site": "same-origin" }, "POST")), 200);
});

test("what is sent as another type than the admin API takes is told the right one", async () => {
  const { apiKey } = await owner.createKey({ realm: "shop", scopes: ["Orders.Read"] });
  const refused = await owner.refused([415, "UNSUPPORTED_MEDIA_TYPE"], "PATCH", `/api-keys/${apiKey.id}`, "{}", {
    "Content-Type": "application/merge-patch+json",
    "If-Match": '"1"',
  });
  assert.equal(refused.header("accept-patch"), "application/json");
});

const host = "partner.test";
const partnerKey = async () => {
  const expiresAt = new Date(gate.now() + 30 * 86_400_000).toISOString();
  return (await owner.createKey({ realm: "partner", scopes: [], expiresAt })).plaintextKey;
};
const basic = (/** @type {string} */ pair) => ({ Authorization: `Basic ${Buffer.from(pair).toString("base64")}` });

test("a key may be the user name of Basic authentication", async () => {
  const shown = await partnerKey();
  for (const pair of [`${shown}:`, `${shown}:x`])
    assert.equal((await gate.send({ target: "/v1/x", host, headers: basic(pair) })).status, 200);
  assert.equal(told("authorization"), undefined);
  const wrong = await gate.send({ target: "/v1/x", host, headers: basic(`x:${shown}`) });
  assert.deepEqual(code(wrong), [401, "INVALID_API_KEY"]);
});

test("a key may be one of a WebSocket's subprotocols, of which the origin gets the others", async () => {
  const shown = await partnerKey();
  const headers = {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
    "Sec-WebSocket-Protocol": `chat, key.${shown}`,
  };
  const opened = await open(gate.url, { target: "/v1/socket", host, headers });
  assert.equal(opened.status, 101);
  assert.equal(opened.header("sec-websocket-protocol"), "chat", "what the origin has chosen");
  opened.socket.destroy();
  assert.equal(told("sec-websocket-protocol"), "chat");
  assert.match(String(told("keyward-key-id")), /^key_/);
});

test("a realm may have statuses of its own, X-RateLimit fields, and the origin's request id", async () => {
  assert.deepEqual(code(await gate.send({ target: "/v1/x", host })), [404, "MISSING_AUTHORIZATION"]);
  gate.origin.answer = { headers: { "x-request-id": "of-the-origin" } };
  const answer = await gate.send({ target: "/v1/x", host, headers: basic(`${await partnerKey()}:`) });
  assert.equal(answer.header("x-request-id"), "of-the-origin");
  assert.match(answer.header("keyward-request-id"), /^[0-9a-f]{32}$/);
  assert.equal(answer.header("x-ratelimit-limit"), "100");
  assert.equal(answer.header("x-ratelimit-remaining"), "99");
  assert.ok(Math.abs(Number(answer.header("x-ratelimit-reset")) * 1000 - gate.now()) < 120_000);
});

test("where keys live a bounded time, each needs an end", async () => {
  const fields = { name: "A key", realm: "partner", scopes: [] };
  await owner.invalid(["expiresAt"], "POST", "/api-keys", fields);
  const expiresAt = new Date(gate.now() + 91 * 86_400_000).toISOString();
  await owner.invalid(["expiresAt"], "POST", "/api-keys", { ...fields, expiresAt });
});

test("a webhook's body may be as large as the policy says", async () => {
  const deliver = (/** @type {number} */ bytes) => {
    const body = Buffer.alloc(bytes, "x");
    const signature = `sha256=${createHmac("sha256", "new").update(body).digest("hex")}`;
    return gate.send({
      method: "POST",
      target: "/v1/hooks/github",
      headers: { "X-Hub-Signature-256": signature },
      body,
    });
  };
  const most = 25 * 1024 * 1024;
  assert.equal(code(await deliver(most)), 200);
  assert.equal(gate.origin.last.body.length, most);
  assert.deepEqual(code(await deliver(most + 1)), [413, "BODY_TOO_LARGE"]);
});
