// GW: a commerce gateway for language models (examples/gw/keyward.toml), row by row.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, beforeEach, describe, it } from "node:test";

import { bearer } from "./harness/traffic.mjs";
import { ask, newTenant, PASSWORD, SECRETS, startSystems } from "./systems.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */
/** @import { Isolate } from "./harness/isolate.mjs" */
/** @import { RequestToSend } from "../../types/e2e.js" */

const GATEWAY = "gateway.gw.example";
const SHOP = "shop.gw.example";
const AGENT_KEY = "gw-agent-key-for-tests-5f1c8d9a2b7e4063";
const TLS = "TLSv1.3";
const SESSION = { "X-Session-Id": "unique_session_string_123" };

/** @type {Gate} */
let gate;
/** @type {Admin} */
let operator;
/** @type {Admin} */
let owner;
let other;
before(async () => {
  ({ gate, operator } = await startSystems({ isolates: 2 }));
  ({ owner } = await newTenant(gate, operator, { name: "Growing", plan: "growth" }));
  ({ owner: other } = await newTenant(gate, operator, { name: "Small", plan: "free" }));
});
after(() => gate.stop());
beforeEach(() => gate.origin.reset());

const create = async (admin, fields = {}) => admin.must("POST", "/api-keys", { realm: "gw", name: "A key", ...fields });
/**
 * @param {string} target
 * @param {RequestToSend & { isolate?: Isolate }} request
 */
const send = (target, { host = GATEWAY, headers = {}, ...request } = {}) =>
  ask(gate, host, target, { tls: TLS, headers, ...request });
const code = (answer) => [answer.status, answer.json().code];
const seen = () => gate.origin.requests.at(-1);
const header = (name) => seen().headers[name]?.[0];

describe("GW", () => {
  it("GW-1 a key that the policy lists by its hash passes without any store, and another does not", async () => {
    await gate.isolates[0].resetCounts();
    await gate.objects.resetCounts();
    const answer = await send("/v1/carts", { headers: { ...bearer(AGENT_KEY), ...SESSION } });
    assert.equal(answer.status, 200);
    assert.equal(header("keyward-key-id"), "agent");
    assert.equal(header("authorization"), undefined);
    assert.deepEqual((await gate.isolates[0].counts()).kv, {});
    assert.deepEqual((await gate.objects.counts()).objects, {});
    assert.deepEqual(code(await send("/v1/carts", { headers: { ...bearer(`${AGENT_KEY}x`), ...SESSION } })), [
      401,
      "INVALID_API_KEY",
    ]);
    const policy = readFileSync(new URL("../../examples/gw/keyward.toml", import.meta.url), "utf8");
    assert.ok(!policy.includes(AGENT_KEY));
  });

  it("GW-2 the session's id is required where the route says so, checked, and forwarded", async () => {
    const key = bearer(AGENT_KEY);
    assert.deepEqual(code(await send("/v1/carts", { headers: key })), [400, "INVALID_SESSION_ID"]);
    for (const bad of ["", "a b", "a".repeat(129), "a/b", "é"]) {
      assert.deepEqual(
        code(await send("/v1/carts", { headers: { ...key, "X-Session-Id": bad } })),
        [400, "INVALID_SESSION_ID"],
        bad,
      );
    }
    const twice = [...Object.entries(key), ["X-Session-Id", "one"], ["X-Session-Id", "two"]];
    assert.deepEqual(code(await gate.send({ tls: TLS, target: "/v1/carts", host: GATEWAY, headers: twice })), [
      400,
      "INVALID_SESSION_ID",
    ]);
    assert.equal(gate.origin.requests.length, 0);
    assert.equal((await send("/v1/carts", { headers: { ...key, ...SESSION } })).status, 200);
    assert.equal(header("keyward-session"), SESSION["X-Session-Id"]);
    assert.equal((await send("/v1/catalog", { headers: key })).status, 200, "not everywhere");
  });

  it("GW-3 a cloud key is of an account and its plan: the origin learns both, and a route may ask for a plan", async () => {
    const { apiKey, plaintextKey } = await create(owner);
    assert.match(plaintextKey, /^gwk_live_/);
    assert.equal((await send("/v1/insights/sales", { headers: bearer(plaintextKey) })).status, 200);
    assert.deepEqual([header("keyward-plan"), header("keyward-tenant")], ["growth", apiKey.tenantId]);
    const small = await create(other);
    assert.deepEqual(code(await send("/v1/insights/sales", { headers: bearer(small.plaintextKey) })), [
      403,
      "PLAN_REQUIRED",
    ]);
    assert.equal((await send("/v1/carts", { headers: { ...bearer(small.plaintextKey), ...SESSION } })).status, 200);
    assert.equal(header("keyward-plan"), "free");
  });

  describe("GW-4 a link", () => {
    const PAGE = `https://${SHOP}/checkout?cart=7`;
    const newLink = (fields = {}) => owner.must("POST", "/links", { url: PAGE, ...fields });
    const follow = (url, request = {}) => {
      const { host, pathname, search } = new URL(url);
      return send(pathname + search, { host, ...request });
    };
    const cookieOf = (answer) => answer.header("set-cookie").split(";")[0];

    it("GW-4 becomes a session: a cookie, and a redirect to the URL without the token", async () => {
      const { url, token, link } = await newLink({ subject: "cart-7", sessionId: "chat-1" });
      assert.match(token, /^st_[0-9A-Za-z]{36}$/);
      assert.equal(url, `${PAGE}&token=${token}`);
      assert.equal(Date.parse(link.expiresAt) - gate.now() <= 600_000, true);
      assert.deepEqual(await gate.grep(token), [], "only its hash is stored");
      const answer = await follow(url);
      assert.equal(answer.status, 303);
      assert.equal(answer.header("location"), PAGE);
      const [cookie, ...attributes] = answer.header("set-cookie").split("; ");
      assert.match(cookie, /^__Host-checkout=/);
      assert.deepEqual(attributes, ["Path=/", "Max-Age=3600", "HttpOnly", "Secure", "SameSite=Lax"]);
      assert.equal(answer.header("cache-control"), "no-store");
      assert.equal(gate.origin.requests.length, 0);

      const page = await follow(PAGE, { headers: { Cookie: `a=b; ${cookie}` } });
      assert.equal(page.status, 200);
      assert.deepEqual(["keyward-subject", "keyward-session", "keyward-tenant"].map(header), [
        "cart-7",
        "chat-1",
        (await owner.must("GET", "/session")).member.tenantId,
      ]);
      assert.equal(header("cookie"), "a=b", "the cookie is the gate's own");
    });

    it("GW-4 works once, also when two requests race in two isolates", async () => {
      const { url } = await newLink();
      const { pathname, search } = new URL(url);
      const race = await Promise.all(
        Array.from({ length: 8 }, (_, i) => send(pathname + search, { host: SHOP, isolate: gate.isolates[i % 2] })),
      );
      assert.deepEqual(race.map(({ status }) => status).sort(), [303, ...new Array(7).fill(401)]);
      assert.deepEqual(code(await follow(url)), [401, "INVALID_LINK"]);
    });

    it("GW-4 that has expired, is forged, or stands there twice is refused", async () => {
      const { url, token } = await newLink();
      assert.deepEqual(code(await follow(`${url}&token=${token}`)), [400, "INVALID_REQUEST"]);
      const last = token.at(-1) === "a" ? "b" : "a";
      assert.deepEqual(code(await follow(`${PAGE}&token=${token.slice(0, -1)}${last}`)), [401, "INVALID_LINK"]);
      assert.deepEqual(code(await follow(`${PAGE}&token=st_abc123`)), [401, "INVALID_LINK"]);
      assert.deepEqual(code(await follow(url, { method: "POST" })), [400, "KEY_IN_URL"]);
      await gate.advance(600_000);
      assert.deepEqual(code(await follow(url)), [401, "INVALID_LINK"]);
      assert.deepEqual(code(await follow(PAGE)), [401, "MISSING_AUTHORIZATION"]);
      assert.equal(gate.origin.requests.length, 0);
    });

    it("GW-4 gives a session that ends, cannot be forged, and changes things from its own site only", async () => {
      await owner.signIn({ email: "owner-growing@example.com", password: "another long passphrase 2" });
      const cookie = cookieOf(await follow((await newLink()).url));
      const post = (headers) => follow(PAGE, { method: "POST", headers: { Cookie: cookie, ...headers } });
      assert.deepEqual(code(await post({})), [403, "CROSS_SITE"]);
      assert.deepEqual(code(await post({ Origin: "https://evil.example" })), [403, "CROSS_SITE"]);
      assert.equal((await post({ Origin: `https://${SHOP}` })).status, 200);
      const forged = cookie.replace("kw_session_", "kw_session_A");
      assert.deepEqual(code(await follow(PAGE, { headers: { Cookie: forged } })), [401, "INVALID_SESSION"]);
      const twice = [
        ["Cookie", cookie],
        ["Cookie", cookie],
      ];
      for (const headers of [{ Cookie: `${cookie}; ${cookie}` }, twice]) {
        const answer = await gate.send({ tls: TLS, target: "/checkout?cart=7", host: SHOP, headers });
        assert.deepEqual(code(answer), [400, "INVALID_REQUEST"], "a cookie that was sent twice");
      }
      assert.deepEqual(code(await send("/v1/carts", { headers: { Cookie: cookie, ...SESSION } })), [
        401,
        "MISSING_AUTHORIZATION",
      ]);
      await gate.advance(3_600_000);
      assert.deepEqual(code(await follow(PAGE, { headers: { Cookie: cookie } })), [401, "INVALID_SESSION"]);
    });

    it("GW-4 may be made by a key that holds the scope for it", async () => {
      await owner.stepUp(PASSWORD);
      const { plaintextKey } = await create(owner, { scopes: ["links:write"] });
      const made = await gate.admin().call("POST", "/links", { url: PAGE }, bearer(plaintextKey));
      assert.equal(made.status, 201);
      const { plaintextKey: without } = await create(owner);
      const refused = await gate.admin().call("POST", "/links", { url: PAGE }, bearer(without));
      assert.deepEqual(code(refused), [403, "FORBIDDEN"]);
    });
  });

  it("GW-5 a publishable key works on public routes from its origins, and a secret key in a page is refused", async () => {
    const origin = "https://shop.example";
    const { plaintextKey: publishable } = await create(owner, { kind: "publishable", allowedOrigins: [origin] });
    const from = (key, target, Origin) =>
      send(target, { headers: { ...bearer(key), ...SESSION, ...(Origin && { Origin }) } });
    assert.equal((await from(publishable, "/v1/catalog", origin)).status, 200);
    assert.deepEqual(code(await from(publishable, "/v1/catalog", "https://evil.example")), [403, "ORIGIN_RESTRICTED"]);
    assert.deepEqual(code(await from(publishable, "/v1/carts", origin)), [403, "ORIGIN_RESTRICTED"]);
    const { plaintextKey: secret } = await create(owner);
    for (const target of ["/v1/catalog", "/v1/carts"]) {
      assert.deepEqual(code(await from(secret, target, origin)), [403, "ORIGIN_RESTRICTED"]);
      assert.equal((await from(secret, target)).status, 200);
    }
  });

  it("GW-6 plain HTTP and TLS older than 1.2 are refused, but from this machine", async () => {
    const over = (tls, address) =>
      gate.send({
        target: "/v1/catalog",
        host: GATEWAY,
        tls,
        headers: { ...bearer(AGENT_KEY), "CF-Connecting-IP": address },
      });
    for (const tls of ["TLSv1.2", "TLSv1.3"]) assert.equal((await over(tls, "192.0.2.1")).status, 200, tls);
    for (const tls of [undefined, "TLSv1", "TLSv1.1"])
      assert.deepEqual(code(await over(tls, "192.0.2.1")), [403, "INSECURE_TRANSPORT"], tls);
    assert.equal((await over(undefined, "127.0.0.1")).status, 200);
    assert.equal(gate.origin.requests.length, 3);
  });

  describe("GW-7 a webhook", () => {
    const BODY = Buffer.from('{"id":"evt_1","amount":1200,"note":"gr\u00fc\u00dfe"}\n');
    const stripe = (body, { at = Math.floor(gate.now() / 1000), secret = SECRETS.GW_STRIPE_SECRET } = {}) => {
      const signature = createHmac("sha256", secret).update(`${at}.`).update(body).digest("hex");
      return { "Stripe-Signature": `t=${at},v1=${signature}` };
    };
    const square = (body, { url = `https://${GATEWAY}/webhooks/square`, secret = SECRETS.GW_SQUARE_SECRET } = {}) => ({
      "X-Square-HmacSha256-Signature": createHmac("sha256", secret).update(url).update(body).digest("base64"),
    });
    const deliver = (target, body, headers) => send(target, { method: "POST", body, headers });

    it("GW-7 of Stripe and of Square passes with its sender's signature, its body unchanged", async () => {
      for (const [target, headers] of /** @type {[string, Record<string, string>][]} */ ([
        ["/webhooks/stripe", stripe(BODY)],
        ["/webhooks/square", square(BODY)],
      ])) {
        assert.equal((await deliver(target, BODY, headers)).status, 200, target);
        assert.deepEqual(seen().body, BODY);
      }
    });

    it("GW-7 that was changed, is old, lacks its header, or has a key instead is 401", async () => {
      const changed = Buffer.from(BODY);
      changed[10] ^= 1;
      const old = Math.floor(gate.now() / 1000) - 301;
      for (const [target, body, headers] of [
        ["/webhooks/stripe", changed, stripe(BODY)],
        ["/webhooks/stripe", BODY, stripe(BODY, { at: old })],
        ["/webhooks/stripe", BODY, stripe(BODY, { secret: "other" })],
        ["/webhooks/stripe", BODY, {}],
        ["/webhooks/stripe", BODY, bearer(AGENT_KEY)],
        ["/webhooks/stripe", BODY, square(BODY)],
        ["/webhooks/square", changed, square(BODY)],
        ["/webhooks/square", BODY, square(BODY, { url: "https://evil.example/" })],
        ["/webhooks/square", BODY, {}],
      ]) {
        assert.deepEqual(code(await deliver(target, body, headers)), [401, "INVALID_SIGNATURE"]);
      }
      assert.equal(gate.origin.requests.length, 0);
    });

    it("GW-7 of 1 MiB passes whole, and a larger one is 413", async () => {
      const whole = Buffer.alloc(1024 * 1024, "x");
      assert.equal((await deliver("/webhooks/stripe", whole, stripe(whole))).status, 200);
      assert.equal(seen().body.length, whole.length);
      const large = Buffer.alloc(1024 * 1024 + 1, "x");
      assert.deepEqual(code(await deliver("/webhooks/stripe", large, stripe(large))), [413, "BODY_TOO_LARGE"]);
    });
  });
});
