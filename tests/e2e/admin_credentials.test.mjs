// What lets somebody in at the admin API, and what does not: keys of web pages, of tests, in URLs and cookies; and floods
// of what nobody signed in sends.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { send } from "./harness/http.mjs";
import { bearer } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { Admin, Call, Headers } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const outcome = (answer) => [answer.status, answer.body.length ? answer.json().code : undefined];
const PAGE = "https://shop.example";
/** @type {Call} */
const READ = ["GET", "/api-keys"];
/** @type {Call} */
const WRITE = ["POST", "/api-keys", { name: "Made by a key", scopes: ["orders:read"] }];

describe("keys at the admin API", () => {
  /** @type {Gate} */
  let gate;
  /** @type {Admin} */
  let owner;
  let own;
  before(async () => {
    gate = await startGate();
    owner = await gate.owner();
    own = new URL(gate.url).origin;
  });
  after(() => gate.stop());

  const call = async (/** @type {Call} */ [method, path, body], /** @type {Headers} */ headers) => {
    const answer = await gate.admin().call(method, path, body, headers);
    assert.equal(answer.header("cache-control"), "no-store");
    assert.equal(answer.header("x-content-type-options"), "nosniff");
    return answer;
  };
  const publishable = (fields) =>
    owner.call("POST", "/api-keys", {
      name: "For the page",
      kind: "publishable",
      allowedOrigins: [PAGE, own],
      scopes: ["orders:read"],
      ...fields,
    });
  /** What changes with every call that does anything. */
  const state = async () => (await owner.must("GET", "/audit?limit=1")).entries;

  it("take no publishable key, with whatever origin and words of a browser it comes", async () => {
    const { apiKey, plaintextKey } = (await publishable()).json();
    const before = await state();
    for (const origin of [undefined, PAGE, own]) {
      for (const site of [undefined, "same-origin", "none", "cross-site"]) {
        const headers = {
          ...bearer(plaintextKey),
          ...(origin && { Origin: origin }),
          ...(site && { "Sec-Fetch-Site": site }),
        };
        for (const what of /** @type {Call[]} */ ([
          READ,
          WRITE,
          ["POST", `/api-keys/${apiKey.id}/revoke`, {}],
          ["GET", "/realms"],
          ["GET", "/audit"],
          ["GET", "/members"],
        ])) {
          const answer = await call(what, headers);
          assert.ok(["ORIGIN_RESTRICTED", "CROSS_SITE"].includes(outcome(answer)[1]), `${what} ${answer.text}`);
          assert.equal(answer.status, 403);
        }
      }
    }
    assert.deepEqual(await state(), before, "something was done");
    const works = await gate.send({ target: "/api/orders", headers: { ...bearer(plaintextKey), Origin: PAGE } });
    assert.equal(works.status, 200, "it is in order otherwise");
  });

  it("put no admin scope on a publishable key", async () => {
    const { apiKey } = (await publishable()).json();
    for (const scope of ["admin:read", "admin:write", "admin:*", "*"]) {
      const made = await publishable({ scopes: ["orders:read", scope] });
      assert.deepEqual([outcome(made), made.json().errors[0].field], [[400, "VALIDATION_FAILED"], "scopes[1]"], scope);
      await owner.invalid(["scopes[0]"], "PATCH", `/api-keys/${apiKey.id}`, { scopes: [scope] });
    }
    assert.deepEqual((await owner.get(apiKey.id)).scopes, ["orders:read"]);
  });

  it("take a secret key from servers only: any other origin is refused, reads too", async () => {
    const { plaintextKey } = await owner.createKey({ scopes: ["admin:write"] });
    const before = await state();
    const foreign = [PAGE, "null", own.replace("http:", "https:"), `${own}0`, `${own}, ${PAGE}`, own.toUpperCase()];
    const heads = foreign.flatMap((Origin) => [
      { Origin },
      { Origin, "Sec-Fetch-Site": "same-origin" },
      { Origin, "Sec-Fetch-Site": "none" },
    ]);
    for (const head of [...heads, { "Sec-Fetch-Site": "cross-site" }, { "Sec-Fetch-Site": "same-site", Origin: own }]) {
      for (const what of [READ, WRITE])
        assert.deepEqual(
          outcome(await call(what, { ...bearer(plaintextKey), ...head })),
          [403, "CROSS_SITE"],
          JSON.stringify(head),
        );
    }
    assert.deepEqual(await state(), before, "something was done");
    for (const head of [{}, { Origin: own }, { Origin: own, "Sec-Fetch-Site": "same-origin" }]) {
      assert.equal((await call(READ, { ...bearer(plaintextKey), ...head })).status, 200, JSON.stringify(head));
      assert.equal((await call(WRITE, { ...bearer(plaintextKey), ...head })).status, 201, JSON.stringify(head));
    }
  });

  it("are accepted in one header only: not in the URL, not in or beside a cookie, not twice", async () => {
    const { plaintextKey } = await owner.createKey({ scopes: ["admin:write"] });
    const cookie = (value) => ({ Cookie: `__Host-keyward-session=${value}` });
    const before = await state();
    for (const [target, headers, expected] of /** @type {[string, Headers, unknown[]][]} */ ([
      [`/api-keys?access_token=${plaintextKey}`, {}, [400, "KEY_IN_URL"]],
      [`/api-keys?q=${plaintextKey}`, bearer(plaintextKey), [400, "KEY_IN_URL"]],
      [`/api-keys?q=${plaintextKey.replaceAll("_", "%5F")}`, bearer(owner.token), [400, "KEY_IN_URL"]],
      [`/api-keys/${plaintextKey}`, bearer(owner.token), [400, "KEY_IN_URL"]],
      ["/api-keys", cookie(plaintextKey), [401, "UNAUTHENTICATED"]],
      ["/api-keys", { ...bearer(plaintextKey), ...cookie(plaintextKey) }, [400, "INVALID_REQUEST"]],
      ["/api-keys", { ...bearer(plaintextKey), ...cookie(owner.token) }, [400, "INVALID_REQUEST"]],
      [
        "/api-keys",
        { ...bearer(owner.token), Cookie: `__Host-keyward-session=${owner.token}; __Host-keyward-session=x` },
        [400, "INVALID_REQUEST"],
      ],
      ["/api-keys", { Authorization: `Bearer ${plaintextKey}, Bearer ${plaintextKey}` }, [400, "INVALID_REQUEST"]],
      ["/api-keys", { "X-Api-Key": plaintextKey }, [401, "UNAUTHENTICATED"]],
    ])) {
      const answer = await call(["GET", target], headers);
      assert.deepEqual(outcome(answer), expected, `${target} ${Object.keys(headers)}`);
      assert.ok(!answer.text.includes(plaintextKey), "the answer repeats it");
    }
    assert.deepEqual(await state(), before);
  });

  it("reach no route by another spelling of its path", async () => {
    const headers = bearer(owner.token);
    gate.origin.reset();
    for (const path of [
      "/session/",
      "//session",
      "/./session/x/..//",
      "/%73ession",
      "/session%2f",
      "/session;x",
      "/session%00",
      "/api-keys/..%2fsession",
      "/SESSION",
      "/session/.%2e/session",
    ]) {
      const answer = await call(["GET", path], headers);
      assert.equal(answer.status, 404, path);
    }
    for (const target of [
      "/api/%61dmin/session",
      "/API/admin/session",
      "/api//admin/session",
      "/api/admin%2fsession",
      "/api\\admin/session",
      "/api/admin;/session",
      "/api/adminx/session",
    ]) {
      const answer = await send(gate.url, { target, headers });
      assert.ok([400, 404].includes(answer.status), `${target}: ${answer.status}`);
      assert.ok(!answer.text.includes("owner@example.com"), target);
    }
    assert.deepEqual(gate.origin.requests.length, 0, "nor an origin");
  });
});

describe("requests of somebody who is not signed in", () => {
  const attack = () => `{"${"n".repeat(32_700)}":{${'"a":1,'.repeat(5_400)}"a":1}}`;
  const json = { "Content-Type": "application/json" };

  it("many repeated fields under one very long name cost neither memory nor a long answer", async (t) => {
    const gate = await startGate();
    t.after(() => gate.stop());
    const post = (path, body) => send(gate.url, { method: "POST", target: `/api/admin${path}`, headers: json, body });
    await post("/session", "{}");
    const before = gate.memory();
    for (const path of ["/session", "/setup"]) {
      const answers = await Promise.all(Array.from({ length: 4 }, () => post(path, attack())));
      for (const answer of answers) {
        assert.deepEqual(outcome(answer), [400, "VALIDATION_FAILED"]);
        assert.ok(answer.body.length < 16_384, `${answer.body.length} bytes come back`);
        assert.equal(answer.json().errors.length, 20);
        assert.match(answer.json().detail, /More is wrong/);
      }
    }
    // WebAssembly's memory never shrinks: what it once took is still seen. The rest is garbage until it is collected.
    await waitFor("the garbage to be collected", async () => {
      await post("/session", "{}");
      const grown = gate.memory() - before;
      assert.ok(grown < 96 * 2 ** 20, `the runtime has grown by ${Math.round(grown / 2 ** 20)} MB`);
      return true;
    });
  });

  it("malformed calls count as failures of their network, which is then held back before any body is read", async (t) => {
    const gate = await startGate({ failures: { limit: 4, period: 60 } });
    t.after(() => gate.stop());
    const owner = await gate.owner();
    await gate.stopClock(); // whoever is held back stays so
    for (const [i, [path, body, headers]] of /** @type {[string, string, Headers][]} */ ([
      ["/session", attack(), json],
      ["/session", "{", json],
      ["/session", "{}", {}],
      ["/setup", "x".repeat(70_000), json],
      ["/setup", "{}", json],
      ["/session", "{}", { ...json, Authorization: "Basic eA==" }],
    ]).entries()) {
      const call = (n) =>
        send(gate.url, {
          method: "POST",
          target: `/api/admin${path}`,
          headers: { ...headers, "CF-Connecting-IP": `2001:db8:${i}:1::${n}` },
          body,
        });
      const statuses = [];
      for (let n = 1; n <= 10; n++) statuses.push((await call(n)).status);
      assert.ok([400, 409, 413, 415].includes(statuses[0]), `${statuses}`);
      assert.equal(statuses.at(-1), 429, `${path} ${statuses}`);
      await gate.objects.resetCounts();
      assert.deepEqual(outcome(await call(99)), [429, "TOO_MANY_ATTEMPTS"]);
      assert.deepEqual((await gate.objects.counts()).objects, {}, "no object is asked");
    }
    assert.equal((await owner.call("GET", "/session")).status, 200, "others go on");
    for (let n = 0; n < 10; n++)
      assert.equal((await owner.call("POST", "/api-keys", "{")).status, 400, "who is signed in may err");
  });
});
