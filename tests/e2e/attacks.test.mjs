// What an attacker would try against the gate of the built Worker, one test for each promise that is attacked.
// `docs/threat-model.md` says what is promised.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { attacker } from "./attacks.mjs";
import { OWNER } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";
import { bearer } from "./harness/traffic.mjs";

/** @import { Admin, Call } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const COOKIE = "__Host-keyward-session";

describe("the gate under attack", () => {
  /** @type {Gate} */
  let gate;
  /** @type {Admin} */
  let owner;
  /** @type {string} */
  let key;
  before(async () => {
    gate = await startGate();
    owner = await gate.owner();
    ({ plaintextKey: key } = await owner.createKey({ rateLimit: { perMinute: 1000 } }));
  });
  after(() => gate.stop());
  beforeEach(() => gate.origin.reset());

  const { ask, stopped } = attacker(() => gate);

  it("accepts a key in its header and nowhere else", async () => {
    for (const headers of [
      { "X-API-Key": key },
      { "Api-Key": key },
      { "X-Authorization": `Bearer ${key}` },
      { "Proxy-Authorization": `Bearer ${key}` },
      { Cookie: `Authorization=Bearer ${key}; key=${key}` },
      { "Sec-WebSocket-Protocol": `bearer, ${key}` },
      { Authorization: `Basic ${Buffer.from(`user:${key}`).toString("base64")}` },
      { Authorization: key },
      { Authorization: `Token ${key}` },
      { Authorization: `Bearer\t${key}` },
      { Authorization: `Bearer "${key}"` },
      { Authorization: `Bearer ${key} x` },
      { Authorization: `Bearer ${key};` },
    ])
      await stopped({ headers });
    await stopped({
      method: "POST",
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      body: `access_token=${key}`,
    });
  });

  it("refuses forged and borrowed keys without asking any store", async () => {
    const other = await startGate();
    try {
      const foreign = (await (await other.owner()).createKey()).plaintextKey;
      await gate.isolates[0].resetCounts();
      await gate.objects.resetCounts();
      const flip = (at) => key.slice(0, at) + (key[at] === "a" ? "b" : "a") + key.slice(at + 1);
      for (const forged of [
        foreign, // well made, under another deployment's secret
        key.replace("kw_live_", "kw_test_"), // a test key's prefix must not borrow a live key's check, nor the other way round
        key.toLowerCase(),
        flip(8),
        flip(20),
        flip(key.length - 1),
        `${key}A`,
        key.slice(1),
        `kw_live_${key}`,
        `kw_live_${"0".repeat(36)}`,
        `kw_live_${"é".repeat(18)}`,
        `kws_${"A".repeat(43)}`,
        "null",
        "undefined",
        "../../x",
        "key:sha256:0",
      ])
        assert.equal((await stopped({ headers: bearer(forged) }, [401])).json().code, "INVALID_API_KEY", forged);
      assert.deepEqual((await gate.isolates[0].counts()).kv, {});
      assert.deepEqual((await gate.objects.counts()).objects, {});
    } finally {
      await other.stop();
    }
  });

  it("lets no client forge the identity fields, in any spelling that an origin may read as ours", async () => {
    const spellings = [
      "Keyward-Tenant",
      "keyward-tenant",
      "KEYWARD-TENANT",
      "Keyward_Tenant",
      "keyward_key-id",
      "KEYWARD_SCOPES",
      "Keyward-Plan",
      "Keyward-Subject",
      "Keyward-Identity",
      "Keyward-Anything",
    ];
    for (const target of ["/api/orders", "/api/public/x"]) {
      const headers = [["Authorization", `Bearer ${key}`], ...spellings.map((name) => [name, "evil"])];
      assert.equal((await ask({ target, headers })).status, 200);
      const seen = gate.origin.last.rawHeaders.filter(([name]) =>
        name.replaceAll("_", "-").toLowerCase().startsWith("keyward-"),
      );
      assert.equal(new Set(seen.map(([name]) => name.toLowerCase())).size, seen.length, "each name once");
      assert.ok(!JSON.stringify(gate.origin.last.rawHeaders).includes("evil"));
      assert.equal(seen.length, target === "/api/orders" ? 5 : 1);
      gate.origin.reset();
    }
    for (const [name, value] of [
      ["Keyward-Tenant ", "evil"],
      [" Keyward-Tenant", "evil"],
      ["X-A", "b\r\n Keyward-Tenant: evil"],
      ["Keyward-Tenant\t", "evil"],
      ["X-A", "b\rKeyward-Tenant: evil"],
      ["X-A", "b\0c"],
    ]) {
      await stopped({
        headers: [
          ["Authorization", `Bearer ${key}`],
          [name, value],
        ],
      });
    }
  });

  it("keeps an identity that the gate has set from being named as the connection's own", async () => {
    assert.equal(
      (await ask({ headers: { ...bearer(key), Connection: "close, Keyward-Tenant, Keyward-Key-Id" } })).status,
      200,
    );
    assert.equal(gate.origin.last.headers["keyward-tenant"].length, 1);
    assert.doesNotMatch(String(gate.origin.last.headers.connection), /keyward/i);
  });

  it("sends the origin no credential: neither the key, look-alikes of its header, nor the admin session", async () => {
    const headers = [
      ["Authorization", `Bearer ${key}`],
      ["authorization ".trim().toUpperCase().replace("AUTHORIZATION", "X_Authorization"), "kept"],
      ["Cookie", "a=1"],
      ["Cookie", `${COOKIE}=kws_secret; b=2`],
    ];
    assert.equal((await ask({ headers })).status, 200);
    assert.doesNotMatch(JSON.stringify(gate.origin.last), new RegExp(`${key}|kws_`));
    assert.match(gate.origin.last.headers.cookie[0], /a=1.*b=2/);
    for (const cookie of [
      `${COOKIE}=kws_secret`,
      ` ${COOKIE} = kws_secret`,
      `a=1, ${COOKIE}=kws_secret`,
      `${COOKIE}=kws_secret; ${COOKIE}=kws_secret`,
      `a=1;${COOKIE}=kws_secret;b=2`,
    ]) {
      await ask({ target: "/api/public/x", headers: { Cookie: cookie } });
      assert.doesNotMatch(JSON.stringify(gate.origin.last), /kws_/, cookie);
    }
    assert.deepEqual(gate.origin.last.headers.cookie, ["a=1;b=2"]);
  });

  it("believes no client about its address", async () => {
    const bound = (await owner.createKey({ allowedIps: ["198.51.100.7"] })).plaintextKey;
    const names = [
      "X-Forwarded-For",
      "X-Real-IP",
      "True-Client-IP",
      "X-Client-IP",
      "Forwarded",
      "CF-Connecting-IPv6",
      "CF_Connecting_IP",
      "X-Cluster-Client-IP",
    ];
    const spoofed = names.map((name) => [name, name === "Forwarded" ? "for=198.51.100.7" : "198.51.100.7"]);
    for (const own of [
      [["CF-Connecting-IP", "192.0.2.1"]],
      [
        ["CF-Connecting-IP", "192.0.2.1"],
        ["CF-Connecting-IP", "198.51.100.7"],
      ],
      [
        ["CF-Connecting-IP", "198.51.100.7"],
        ["CF-Connecting-IP", "192.0.2.1"],
      ],
      [["CF-Connecting-IP", "198.51.100.7, 192.0.2.1"]],
      [["CF-Connecting-IP", "198.51.100.7:80"]],
      [["CF-Connecting-IP", "0198.51.100.7"]],
      [],
    ]) {
      await stopped({ headers: [["Authorization", `Bearer ${bound}`], ...own, ...spoofed] }, [403]);
    }
  });

  it("lets no web origin but the listed ones use a publishable key, nor any look-alike", async () => {
    const { plaintextKey } = await owner.createKey({ kind: "publishable", allowedOrigins: ["https://shop.example"] });
    for (const origin of [
      "https://shop.example.evil.example",
      "https://evilshop.example",
      "http://shop.example",
      "https://shop.example:8443",
      "https://SHOP.example",
      "https://shop.example/",
      "null",
      "https://shop.example, https://evil.example",
      "https://shop.example\u00a0",
    ]) {
      await stopped({ headers: { ...bearer(plaintextKey), Origin: origin } }, [403]);
    }
    await stopped({ headers: { ...bearer(plaintextKey), Referer: "https://shop.example/" } }, [403]);
  });

  it("lets no shared cache give one consumer's answer to another", async () => {
    gate.origin.answer = {
      status: 200,
      headers: { "cache-control": "public, max-age=3600", vary: "Accept" },
      body: "mine",
    };
    const answer = await ask({ headers: bearer(key) });
    assert.match(answer.header("vary"), /Accept.*authorization/i);
    for (const refused of [await ask({}), await ask({ headers: bearer("x") }), await ask({ target: "/nowhere" })]) {
      assert.equal(refused.header("cache-control"), "no-store");
    }
    assert.equal((await owner.call("GET", "/api-keys")).header("cache-control"), "no-store");
  });

  it("answers a hostile amount of anything within a bounded time", async () => {
    const many = (count, text) => text.repeat(count);
    for (const request of [
      { target: `/api/orders?${many(6000, "a=b&")}` },
      { target: `/api/orders?${many(1500, "kw_live_kw_")}` },
      { target: `/api/public/${many(4000, "a/")}x` },
      { target: `/api/public/${many(4000, "%61")}` },
      { target: `/api/public/${many(3000, "%25")}` },
      { target: "/api/public/x", headers: { Cookie: many(4000, ";,=") + COOKIE } },
      { headers: { Authorization: `Bearer ${many(10_000, " ")}x` } },
      { headers: { Authorization: `Bearer ${many(15_000, "k")}` } },
      { headers: Array.from({ length: 100 }, (_, i) => [`X-${i}`, "y"]) },
      {
        target: "/api/admin/session",
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: many(30_000, "["),
      },
      {
        target: "/api/admin/session",
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: `{${Array.from({ length: 5000 }, (_, i) => `"f${i}":0`)}}`,
      },
      { target: `/api/admin/api-keys?${many(3000, "q=1&")}`, headers: bearer(owner.token) },
    ]) {
      const start = performance.now();
      const answer = await ask(request);
      const took = performance.now() - start;
      // Milliseconds on a quiet machine; what grew with the square of its size would take minutes.
      assert.ok(answer.status < 600 && took < 20_000, `${JSON.stringify(request).slice(0, 80)}: ${took} ms`);
      assert.ok(answer.body.length < 100_000, `${answer.body.length} bytes come back`);
      gate.origin.reset();
    }
  });

  it("once the revocation of a strict key is acknowledged, nothing that was on its way passes after it", async () => {
    const { plaintextKey, apiKey } = await owner.createKey({ strict: true, rateLimit: { perMinute: 1000 } });
    let acknowledged = false;
    const users = Array.from({ length: 8 }, async () => {
      const late = [];
      for (let i = 0; i < 12; i++) {
        const sentAfter = acknowledged;
        const { status } = await ask({ headers: bearer(plaintextKey) });
        if (sentAfter) late.push(status);
      }
      return late;
    });
    await ask({ headers: bearer(plaintextKey) });
    await owner.revoke(apiKey.id);
    acknowledged = true;
    const late = (await Promise.all(users)).flat();
    late.push((await ask({ headers: bearer(plaintextKey) })).status);
    assert.ok(
      late.every((status) => status === 401),
      JSON.stringify(late),
    );
  });

  it("an edit, a rotation and a revocation at once leave the key revoked", async () => {
    const made = await owner.createKey();
    const path = `/api-keys/${made.apiKey.id}`;
    const answers = await Promise.all([
      owner.call("PATCH", path, { scopes: ["orders:write"] }),
      owner.call("POST", `${path}/rotate`, { graceSeconds: 3600 }),
      owner.call("POST", `${path}/revoke`, {}),
      owner.call("PATCH", path, { name: "later" }),
    ]);
    assert.equal(answers[2].status, 200);
    assert.equal((await owner.get(made.apiKey.id)).status, "REVOKED");
    await stopped({ headers: bearer(made.plaintextKey) }, [401]);
    for (const change of /** @type {Call[]} */ ([
      ["PATCH", path, { expiresAt: null }],
      ["POST", `${path}/rotate`, {}],
    ])) {
      assert.equal((await owner.call(...change)).status, 409, "nothing brings it back");
    }
  });

  it("writes no key, password, session or set-up token into a log, an answer or storage", async () => {
    const { plaintextKey } = await owner.createKey({ name: "leak?" });
    const secrets = [
      key,
      plaintextKey,
      OWNER.password,
      owner.token,
      gate.secrets.KEYWARD_SETUP_TOKEN,
      gate.secrets.KEYWARD_SECRET,
    ];
    const answers = [
      await ask({ headers: bearer(`${plaintextKey}x`) }),
      await ask({ headers: { Authorization: `Bearer ${plaintextKey}, Bearer ${plaintextKey}` } }),
      await ask({ target: `/api/orders?key=${plaintextKey}` }),
      await owner.call("POST", "/session", { email: OWNER.email, password: `${OWNER.password}!` }),
      await owner.call("POST", "/session", `{"email": "${OWNER.email}", "password": "${OWNER.password}"`),
      await owner.call("POST", "/session", { email: OWNER.email, password: OWNER.password, extra: true }),
      await owner.call("POST", "/setup", {
        token: gate.secrets.KEYWARD_SETUP_TOKEN,
        email: "x@example.com",
        password: OWNER.password,
      }),
      await owner.call("GET", "/audit?limit=100"),
      await owner.call("GET", "/api-keys?limit=100"),
    ];
    await gate.allLogged();
    const said = JSON.stringify([gate.logs, answers.map(({ rawHeaders, text }) => [rawHeaders, text])]);
    for (const secret of secrets) assert.ok(!said.includes(secret), secret.slice(0, 8));
    for (const secret of secrets) assert.deepEqual(gate.grep(secret), [], secret.slice(0, 8));
    await owner.signIn();
  });
});
