// The realm `strict` of policy.toml: plans, the very next request, keyed hashes, its own style and
// codes of refusals, and the admin side at paths of its own.

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { after, before, beforeEach, describe, it } from "node:test";

import { Admin, OWNER } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";
import { limits } from "./harness/limits.mjs";
import { waitFor } from "./harness/wait.mjs";
import { signedIn } from "./page.mjs";

/** @import { Gate } from "./harness/gate.mjs" */

const PASSWORD = "another long passphrase 2";
const API = "/console/api";
const ROUNDS = 30;

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
before(async () => {
  gate = await startGate({ policy: "e2e", isolates: 4, page: "/console/page" });
  owner = await new Admin(gate.url, API).setUp(gate.secrets.KEYWARD_SETUP_TOKEN);
});
after(() => gate.stop());
beforeEach(() => owner.stepUp());

const create = (admin, fields = {}) => admin.createKey({ realm: "strict", scopes: ["things:read"], ...fields });
const ask = (key, { target = "/things/1", isolate = gate.isolates[0], headers = {} } = {}) =>
  isolate.send({ target, host: "strict.test", headers: { ...(key && { "X-API-Key": key }), ...headers } });
/** The code in a refusal of this realm's style. */
const codeOf = (answer) => answer.json().error.code;
const everywhere = (key, request = {}) =>
  Promise.all(
    gate.isolates.map(async (isolate) => {
      const answer = await ask(key, { ...request, isolate });
      return answer.status === 200 ? 200 : codeOf(answer);
    }),
  );
const all = (result) => gate.isolates.map(() => result);

describe("freshness 0", () => {
  it("a scope that is given or taken away counts for the very next request, in every isolate", async (t) => {
    await gate.stopClock(t);
    const { apiKey, plaintextKey } = await create(owner);
    for (let round = 0; round < ROUNDS; round++) {
      const taken = await owner.patch(apiKey.id, { scopes: ["admin:read"] });
      assert.equal(Date.parse(taken.effectiveEverywhereBy), gate.now());
      assert.deepEqual(await everywhere(plaintextKey), all("INSUFFICIENT_SCOPE"), `round ${round}`);
      await owner.patch(apiKey.id, { scopes: ["things:write"] });
      assert.deepEqual(await everywhere(plaintextKey), all(200), `round ${round}`);
    }
  });

  it("a revoked key is refused from the very next request on, in every isolate", async (t) => {
    await gate.stopClock(t);
    for (let round = 0; round < ROUNDS; round++) {
      const { apiKey, plaintextKey } = await create(owner);
      assert.deepEqual(await everywhere(plaintextKey), all(200), `round ${round}`);
      await owner.revoke(apiKey.id);
      assert.deepEqual(await everywhere(plaintextKey), all("REVOKED_API_KEY"), `round ${round}`);
    }
  });

  it("so is an old key that was rotated away, and an address that was taken off the list", async (t) => {
    await gate.stopClock(t);
    let { apiKey, plaintextKey } = await create(owner);
    for (const options of [{ revokeOld: true }, { graceSeconds: 0 }]) {
      assert.deepEqual(await everywhere(plaintextKey), all(200));
      const next = await owner.rotate(apiKey.id, options);
      assert.deepEqual(await everywhere(plaintextKey), all(options.revokeOld ? "REVOKED_API_KEY" : "EXPIRED_API_KEY"));
      ({ apiKey, plaintextKey } = next);
    }
    await owner.patch(apiKey.id, { allowedIps: ["203.0.113.0/24"] });
    assert.deepEqual(
      await everywhere(plaintextKey, { headers: { "CF-Connecting-IP": "192.0.2.7" } }),
      all("IP_RESTRICTION"),
    );
    assert.deepEqual(await everywhere(plaintextKey, { headers: { "CF-Connecting-IP": "203.0.113.7" } }), all(200));
  });
});

describe("keys without a keyed check, which begin with sk_", () => {
  it("are found in a URL, and words and parameters of the origin's own are no keys", async () => {
    const { plaintextKey } = await create(owner, { scopes: ["things:write"] });
    for (const target of [
      "/things/task_management?fields=disk_utilization",
      "/things/desk_reservations",
      "/things/7?token=abc&key=name",
      "/things/sk_7",
    ]) {
      assert.equal((await ask(plaintextKey, { target })).status, 200, target);
      assert.ok(gate.origin.last.url.endsWith(target), gate.origin.last.url);
    }
    const twice = encodeURIComponent(encodeURIComponent(`Bearer ${plaintextKey}`));
    for (const target of [
      `/things/${plaintextKey}`,
      `/things/7?q=${plaintextKey}.`,
      `/things/7?${twice}=1`,
      `/things/7?q=${encodeURIComponent(btoa(`${plaintextKey}:`))}`,
      "/things/7?api_key=x",
    ]) {
      assert.equal(codeOf(await ask(plaintextKey, { target })), "KEY_IN_URL", target);
    }
  });
});

describe("methods", () => {
  const passes = async (method, path) =>
    (await gate.isolates[0].send({ method, target: path, host: "strict.test" })).status === 200;

  it("are the usual ones where a route names none, and others only where it names them", async () => {
    for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
      assert.ok(await passes(method, "/usual/x"), method);
    for (const method of [
      "ACL",
      "CHECKOUT",
      "COPY",
      "LOCK",
      "MERGE",
      "MKACTIVITY",
      "MKCOL",
      "MOVE",
      "NOTIFY",
      "PROPFIND",
      "PROPPATCH",
      "PURGE",
      "REPORT",
      "SEARCH",
      "SUBSCRIBE",
      "UNLOCK",
      "UNSUBSCRIBE",
    ]) {
      assert.ok(!(await passes(method, "/usual/x")), method);
      assert.ok(await passes(method, "/dav/x"), method);
      assert.equal(gate.origin.last.method, method);
    }
    const asked = gate.origin.requests.length;
    for (const method of ["TRACE", "CONNECT", "BREW", "get"]) {
      for (const path of ["/usual/x", "/dav/x"]) assert.ok(!(await passes(method, path)), method);
    }
    assert.equal(gate.origin.requests.length, asked);
  });
});

describe("a route for certain plans", () => {
  it("is 403 PLAN_REQUIRED without the plan, passes with it, and follows a change of it at once", async () => {
    const { tenant } = await owner.must("POST", "/tenants", {
      name: "Planned",
      owner: { email: "planned@example.com", password: PASSWORD },
    });
    const admin = await new Admin(gate.url, API).signIn({ email: "planned@example.com", password: PASSWORD });
    const { plaintextKey } = await create(admin);
    const target = "/pro/report";
    for (const [plan, expected] of [
      [undefined, "PLAN_REQUIRED"],
      ["pro", 200],
      ["free", "PLAN_REQUIRED"],
      ["Pro", "PLAN_REQUIRED"],
      ["enterprise", 200],
      [null, "PLAN_REQUIRED"],
    ]) {
      if (plan !== undefined) await owner.must("PATCH", `/tenants/${tenant.id}`, { plan });
      assert.deepEqual(await everywhere(plaintextKey, { target }), all(expected), `${plan}`);
      assert.equal((await ask(plaintextKey)).status, 200, "a route for everybody is open");
    }
  });
});

describe("keyed hashes", () => {
  it("are HMACs as documented; a plain hash of a key is stored nowhere", async () => {
    const { plaintextKey } = await create(owner);
    assert.match(plaintextKey, /^sk_[\w-]{43}$/);
    await ask(plaintextKey);
    const keyed = createHmac("sha256", gate.secrets.KEYWARD_SECRET)
      .update(`keyward key storage 1\0${plaintextKey}`)
      .digest("hex");
    const plain = createHash("sha256").update(plaintextKey).digest();
    const stored = await waitFor("the key in KV", async () => (await gate.storedKv()).get(`key:hmac-sha256:${keyed}`));
    const record = JSON.parse(stored);
    assert.equal(record.realm, "strict");
    const registry = gate.storedObjects().find(({ className }) => className === "Registry");
    assert.ok(registry.tables.keys.some(({ hash }) => hash === `hmac-sha256:${keyed}`));
    for (const text of [
      plain.toString("hex"),
      plain.toString("base64"),
      plain.toString("base64url"),
      plain,
      plaintextKey,
      plaintextKey.slice(3),
    ]) {
      assert.deepEqual(gate.grep(text), []);
    }
  });

  it("differ between two deployments for the same key", async (t) => {
    const other = await startGate({ policy: "e2e" });
    t.after(() => other.stop());
    const { plaintextKey, apiKey } = await create(owner);
    const copied = await waitFor("the key in KV", async () => {
      const all = [...(await gate.storedKv())];
      return all.some(([, value]) => value.includes(apiKey.id)) && all;
    });
    // The record is copied, as a thief of the store could do: without the secret it names no key.
    for (const [name, value] of copied) await other.isolates[0].putKv(name, value);
    const answer = await other.send({
      target: "/things/1",
      host: "strict.test",
      headers: { "X-API-Key": plaintextKey },
    });
    assert.deepEqual([answer.status, codeOf(answer)], [401, "INVALID_API_KEY"]);
  });
});

describe("refusals in the realm's own style", () => {
  it("are plain JSON with the realm's own codes", async () => {
    const { plaintextKey } = await create(owner, { allowedIps: ["203.0.113.0/24"] });
    const answer = await ask(plaintextKey, { headers: { "CF-Connecting-IP": "192.0.2.7" } });
    assert.equal(answer.status, 403);
    assert.equal(answer.header("content-type"), "application/json");
    assert.equal(answer.header("cache-control"), "no-store");
    const { code, message, requestId, ...more } = answer.json().error;
    assert.deepEqual(
      [code, requestId, typeof message, more],
      ["IP_RESTRICTION", answer.header("x-request-id"), "string", {}],
      answer.text,
    );
    const none = await ask();
    assert.deepEqual(
      [none.status, codeOf(none), none.header("content-type")],
      [401, "MISSING_AUTHORIZATION", "application/json"],
    );
    assert.equal(none.header("www-authenticate"), `ApiKey realm="strict", header="X-API-Key"`);
    assert.equal(codeOf(await ask("sk_short")), "INVALID_API_KEY");
  });

  it("a key in Authorization is no key here", async () => {
    const { plaintextKey } = await create(owner);
    assert.equal(
      codeOf(await ask(undefined, { headers: { Authorization: `Bearer ${plaintextKey}` } })),
      "MISSING_AUTHORIZATION",
    );
  });

  it("can be read by the listed origin only, and so can answers; preflights too", async () => {
    const { plaintextKey } = await create(owner);
    const preflight = (origin) =>
      gate.send({
        method: "OPTIONS",
        target: "/things/1",
        host: "strict.test",
        headers: {
          Origin: origin,
          "Access-Control-Request-Method": "GET",
          "Access-Control-Request-Headers": "x-api-key",
        },
      });
    for (const [origin, allowed] of [
      ["https://app.example", "https://app.example"],
      ["https://evil.example", undefined],
      ["http://app.example", undefined],
      ["https://app.example.evil.example", undefined],
      ["null", undefined],
    ]) {
      const answers = [
        await ask(plaintextKey, { headers: { Origin: origin } }),
        await ask(undefined, { headers: { Origin: origin } }),
        await preflight(origin),
      ];
      assert.deepEqual(
        answers.map(({ status }) => status),
        [200, 401, 204],
      );
      for (const answer of answers) {
        assert.equal(answer.header("access-control-allow-origin"), allowed, origin);
        assert.match(answer.header("vary"), /Origin/i);
      }
    }
  });
});

describe("what may be put on a key", () => {
  it("a reserved scope is on nobody's key, a scope of another realm neither", async () => {
    await owner.invalid(["scopes[1]"], "POST", "/api-keys", {
      name: "K",
      realm: "strict",
      scopes: ["things:read", "things:purge"],
    });
    await owner.invalid(["scopes[0]"], "POST", "/api-keys", { name: "K", realm: "remote", scopes: ["things:write"] });
    await owner.invalid(["rateLimit.perDay", "rateLimit.perMinute"], "POST", "/api-keys", {
      name: "K",
      realm: "remote",
      scopes: ["things:read"],
      rateLimit: { perMinute: 1_001, perDay: 10_001 },
    });
    const { apiKey } = await owner.createKey({ realm: "remote", scopes: ["things:read"] });
    assert.deepEqual(apiKey.effectiveRateLimit, limits({ perMinute: 1_000, perDay: 5_000 }));
  });

  it("a key of one realm is unknown in another", async () => {
    const { plaintextKey } = await owner.createKey({ realm: "remote", scopes: ["things:read"] });
    assert.equal(codeOf(await ask(plaintextKey)), "INVALID_API_KEY");
    const { plaintextKey: strict } = await create(owner);
    const answer = await gate.send({ target: "/things/1", host: "remote.test", headers: { "X-API-Key": strict } });
    assert.deepEqual([answer.status, answer.json().code], [401, "INVALID_API_KEY"]);
  });
});

describe("an API key of a realm at the admin API", () => {
  const as = (key) => Object.assign(new Admin(gate.url, API), { token: key });

  it("reads and writes with that realm's admin scopes, but does nothing that asks for a password", async () => {
    const { apiKey, plaintextKey } = await create(owner, { scopes: ["admin:write"] });
    const writer = as(plaintextKey);
    const made = await create(writer);
    assert.equal((await ask(made.plaintextKey)).status, 200);
    for (const action of ["rotate", "revoke"])
      await writer.refused([403, "FORBIDDEN"], "POST", `/api-keys/${made.apiKey.id}/${action}`, {});
    await owner.revoke(apiKey.id);
    await writer.refused([401, "REVOKED_API_KEY"], "GET", "/api-keys");
    assert.equal((await ask(made.plaintextKey)).status, 200);
  });

  it("a wildcard is no admin scope where the realm's catalogue has none", async () => {
    const { plaintextKey } = await owner.createKey({ realm: "remote", scopes: ["*"] });
    await as(plaintextKey).refused([403, "FORBIDDEN"], "GET", "/api-keys");
  });
});

describe("the admin side at paths of its own", () => {
  it("answers there and nowhere else", async () => {
    assert.equal((await gate.send({ target: `${API}/session` })).json().code, "UNAUTHENTICATED");
    const page = await gate.send({ target: "/console/page/" });
    assert.deepEqual([page.status, page.header("content-type")?.split(";")[0]], [200, "text/html"]);
    assert.match(page.header("content-security-policy"), /default-src 'none'/);
    const elsewhere = await gate.send({ target: "/console/page" });
    assert.deepEqual([elsewhere.status, elsewhere.header("location")], [308, "/console/page/"]);
    for (const target of ["/api/admin/session", "/admin/", "/console/", "/console/apix/session", "/console/pagex"]) {
      assert.equal((await gate.send({ target, host: "nowhere.test" })).status, 404, target);
    }
    assert.equal(
      (
        await gate.send({
          target: `${API}/session`,
          host: "strict.test",
          headers: { Authorization: `Bearer ${owner.token}` },
        })
      ).json().member.email,
      OWNER.email,
    );
  });

  it("the page finds the API there, signs in and shows the keys", async () => {
    const { apiKey } = await create(owner, { name: "Seen on the page" });
    await signedIn(gate, "/keys", {}, async (page) => {
      await page.getByRole("link", { name: apiKey.name }).waitFor();
    });
  });
});
