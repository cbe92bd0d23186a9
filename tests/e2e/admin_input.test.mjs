// Bad input at the admin API: a clear refusal that names what is wrong, nothing lost or changed, no
// secret repeated, and no 500.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";

import { OWNER } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";

/** @import { Admin, Write } from "./harness/admin.mjs" */
/** @import { ApiKey } from "../../types/admin-api.js" */
/** @import { Gate } from "./harness/gate.mjs" */

const LIMIT = 64 * 1024;
const KEY = { name: "A key", scopes: ["orders:read"] };
const bytes = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)));
const ERRORS = {
  json: [400, "MALFORMED_JSON"],
  large: [413, "BODY_TOO_LARGE"],
  type: [415, "UNSUPPORTED_MEDIA_TYPE"],
  request: [400, "INVALID_REQUEST"],
  none: [404, "NOT_FOUND"],
};

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
/** @type {ApiKey} */
let apiKey;
/** @type {string} */
let plaintextKey;
let state;

/** Everything that the admin API could have changed: keys, people, tenants and the audit's newest entry. */
const everything = async () =>
  Promise.all(["/api-keys?limit=100", "/members", "/tenants", "/audit?limit=1"].map((path) => owner.must("GET", path)));

before(async () => {
  gate = await startGate();
  owner = await gate.owner();
  ({ apiKey, plaintextKey } = await owner.createKey());
  state = await everything();
});
after(() => gate.stop());
afterEach(async () => {
  const before = state;
  state = await everything();
  assert.deepEqual(state, before, "something was changed");
  const faults = gate.logs.filter(
    ({ level, message }) => level === "error" || /"event":"fault"|panic|Uncaught/.test(message),
  );
  assert.deepEqual(faults, []);
  for (const secret of [OWNER.password, owner.token, plaintextKey])
    assert.ok(!gate.logs.some(({ message }) => message.includes(secret)), "a secret stands in the log");
});

/** @type {(fields: object) => Write} */
const create = (fields) => ["POST", "/api-keys", { ...KEY, ...fields }];
/** @type {(fields: object) => Write} */
const edit = (fields) => ["PATCH", `/api-keys/${apiKey.id}`, fields];

describe("a body", () => {
  it("that is not JSON is 400 with the place, and does not come back", async () => {
    const wrong = [
      "{",
      "}",
      "nonsense",
      "{'name': 1}",
      '{"name": "a",}',
      '{"name": NaN}',
      "{} {}",
      '{"name": "a" "b"}',
      '{"name": "\\ud800"}',
      '{"name": "a\nb"}',
      '{"n": 01}',
      "\u0000",
      "\ufeff{}",
      `\ufeff${JSON.stringify(KEY)}`,
      '{"password": "correct horse battery staple 1"',
      "name=a&scopes=b",
      "<xml/>",
    ];
    for (const body of wrong) {
      const { detail } = (await owner.refused(ERRORS.json, "POST", "/api-keys", body)).json();
      assert.match(detail, /line \d+, column \d+/, body);
      assert.ok(!detail.includes("horse"));
    }
  });

  it("that begins with a byte order mark is 400 and says so", async () => {
    const { detail } = (await owner.refused(ERRORS.json, "POST", "/api-keys", `\ufeff${JSON.stringify(KEY)}`)).json();
    assert.match(detail, /byte order mark \(U\+FEFF\)/);
  });

  it("with a number beyond what can be held is 400 and names its field", async () => {
    const body = (fields) => `{"name":"a","scopes":["orders:read"],${fields}}`;
    await owner.invalid(["rateLimit.perMinute"], "POST", "/api-keys", body('"rateLimit":{"perMinute":1e400}'));
    await owner.invalid(["rateLimit.perDay"], "PATCH", `/api-keys/${apiKey.id}`, '{"rateLimit":{"perDay":-1E999}}');
    await owner.invalid(["graceSeconds"], "POST", `/api-keys/${apiKey.id}/rotate`, '{"graceSeconds":1e400}');
    await owner.invalid(["metadata.a"], "POST", "/api-keys", body('"metadata":{"a":1e400}'));
    await owner.invalid(["rateLimit.perMinute"], "POST", "/tenants", '{"name":"T","rateLimit":{"perMinute":1e400}}');
  });

  it("that is not UTF-8 is 400", async () => {
    for (const wrong of [[0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xc0, 0x80]]) {
      await owner.refused(ERRORS.json, "POST", "/api-keys", bytes('{"name":"', wrong, '","scopes":["orders:read"]}'));
    }
  });

  it("that is no object is 400", async () => {
    for (const body of ["null", "[]", "1", '"text"', "true", '[{"name":"a"}]'])
      await owner.invalid(["body"], "POST", "/api-keys", body);
  });

  it("that is nested ever so deeply is 400", async () => {
    for (const [open, close] of [
      ["[", "]"],
      ['{"a":', "}"],
    ]) {
      const deep = (depth) => `{"name":${open.repeat(depth)}1${close.repeat(depth)},"scopes":["orders:read"]}`;
      await owner.refused(ERRORS.json, "POST", "/api-keys", deep(10_000));
      await owner.invalid(["name"], "POST", "/api-keys", deep(100));
    }
  });

  it("that names a field twice is 400 and says which", async () => {
    await owner.invalid(["name"], "POST", "/api-keys", '{"name":"a","scopes":["orders:read"],"name":"b"}');
    await owner.invalid(
      ["rateLimit.perDay"],
      "POST",
      "/api-keys",
      '{"name":"a","scopes":["orders:read"],"rateLimit":{"perDay":1,"perMinute":1,"perDay":2}}',
    );
    await owner.invalid(
      ["password"],
      "POST",
      "/session",
      `{"email":"${OWNER.email}","password":"wrong wrong wrong","password":"${OWNER.password}"}`,
    );
  });

  it("of another type than JSON is 415", async () => {
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "application/jsonp",
      "application/json+x",
      "",
      "json",
      "text/plain; application/json",
    ]) {
      await owner.refused(ERRORS.type, "POST", "/api-keys", JSON.stringify(KEY), { "Content-Type": type });
    }
  });

  const padded = (length) => JSON.stringify({ nonsense: 1 }).padEnd(length);
  const inChunks = async function* (text) {
    for (let at = 0; at < text.length; at += 1000) yield text.slice(at, at + 1000);
  };
  const raw = (body, headers = {}) =>
    gate.send({
      method: "POST",
      target: "/api/admin/api-keys",
      headers: { Authorization: `Bearer ${owner.token}`, "Content-Type": "application/json", ...headers },
      body,
    });

  it("of 65,536 bytes is read, of one more is 413, with and without its length", async () => {
    for (const wrap of [(text) => text, inChunks]) {
      const fits = await raw(wrap(padded(LIMIT)));
      assert.deepEqual(
        [
          fits.status,
          fits
            .json()
            .errors?.map(({ field }) => field)
            .sort(),
        ],
        [400, ["name", "nonsense", "scopes"]],
      );
      const over = await raw(wrap(padded(LIMIT + 1)));
      assert.deepEqual([over.status, over.json().code], [413, "BODY_TOO_LARGE"]);
      assert.match(over.json().detail, /65536/);
    }
  });

  it("that is too large is 413 before the rest of it has come", async () => {
    const declared = await raw("{", { "Content-Length": "5000000" });
    assert.equal(declared.status, 413);
    const never = async function* () {
      yield "x".repeat(LIMIT);
      yield "x";
      await new Promise(() => {});
    };
    assert.equal((await raw(never())).status, 413);
    const anybody = await gate.send({
      method: "POST",
      target: "/api/admin/session",
      headers: { "Content-Type": "application/json", "Content-Length": "5000000" },
      body: "{",
    });
    assert.equal(anybody.status, 413, "without a credential too");
  });

  it("with fields that nobody knows is 400 and names each", async () => {
    await owner.invalid(["naem", "plaintextKey"], ...create({ naem: "x", plaintextKey: "kw_live_mine" }));
    await owner.invalid(["__proto__"], "POST", "/api-keys", '{"name":"a","scopes":["orders:read"],"__proto__":{}}');
    await owner.invalid(["rateLimit.perHour"], ...create({ rateLimit: { perHour: 1 } }));
    await owner.invalid([`${"x".repeat(64)}…`], ...create({ ["x".repeat(10_000)]: 1 }));
    const { errors } = await owner.invalid(["a\ufffdb"], ...create({ "a\u0007b": 1 }));
    assert.match(errors[0].message, /there are .*name.*scopes/);
    await owner.invalid(["remember"], "POST", "/session", { ...OWNER, remember: true });
    await owner.invalid(["owner.role"], "POST", "/tenants", {
      name: "T",
      owner: { email: "t@example.com", password: "a long enough password", role: "owner" },
    });
  });
});

describe("a field", () => {
  const wrongTypes = { number: 1, true: true, text: "text", list: [1], object: { a: 1 }, null: null };
  const takes = {
    // field: which of these are right
    name: ["text"],
    scopes: [],
    rateLimit: ["null"],
    allowedIps: ["null"],
    allowedOrigins: ["null"],
    tags: ["null"],
    metadata: ["null"],
    expiresAt: ["null"],
    testMode: ["true"],
    strict: ["true"],
  };

  it("of another type is 400 and named, at creation and at an edit", async () => {
    for (const [field, right] of Object.entries(takes)) {
      for (const [type, value] of Object.entries(wrongTypes)) {
        if (right.includes(type)) continue;
        const named = ({ errors }) =>
          assert.ok(
            errors.every(
              (error) =>
                error.field === field || error.field.startsWith(`${field}[`) || error.field.startsWith(`${field}.`),
            ),
            `${field} ${type}: ${JSON.stringify(errors)}`,
          );
        for (const call of [create({ [field]: value }), edit({ [field]: value })])
          named((await owner.refused([400, "VALIDATION_FAILED"], ...call)).json());
      }
    }
    for (const field of ["kind", "realm"])
      for (const value of [1, true, "text", [], {}]) await owner.invalid([field], ...create({ [field]: value }));
  });

  it("wrong in many ways at once: every one is named in one answer", async () => {
    const { detail } = await owner.invalid(
      [
        "allowedIps[1]",
        "expiresAt",
        "metadata.a",
        "name",
        "rateLimit.perDay",
        "rateLimit.perMinute",
        "scopes[0]",
        "surplus",
        "tags[0]",
      ],
      ...create({
        name: "",
        scopes: ["orders:fly"],
        rateLimit: { perMinute: 0, perDay: "5" },
        allowedIps: ["192.0.2.1", "300.1.1.1"],
        tags: [""],
        metadata: { a: 1 },
        expiresAt: "tomorrow",
        surplus: 1,
      }),
    );
    assert.match(detail, /name/);
  });

  it("name: 1 to 100 characters of one line", async () => {
    for (const name of [
      "",
      " ",
      "\t",
      "a".repeat(101),
      "a".repeat(10_000),
      "\u{1f511}".repeat(101),
      "a\nb",
      "a\u0000b",
      "\u001b[31m",
    ]) {
      await owner.invalid(["name"], ...create({ name }));
      await owner.invalid(["name"], ...edit({ name }));
    }
  });

  it("names, tags, reasons and tenants that show nothing, or something else, are 400 and say which character it is", async () => {
    for (const c of [
      "\u200b",
      "\u202e",
      "\u2028",
      "\u2800",
      "\u115f",
      "\u3164",
      "\u00ad",
      "\u2066",
      "\u061c",
      "\u{e0041}",
      "\u034f",
      "\ufeff",
      "\u0085",
    ]) {
      const codePoint = new RegExp(`U\\+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}\\b`);
      /** @type {[string[], Write][]} */
      const calls = [
        [["name"], create({ name: `Ti${c}ll` })],
        [["name"], edit({ name: `Ti${c}ll` })],
        [["tags[0]"], create({ tags: [`a${c}b`] })],
        [["reason"], ["POST", `/api-keys/${apiKey.id}/revoke`, { reason: `a${c}b` }]],
        [["name"], ["POST", "/tenants", { name: `Ac${c}me` }]],
      ];
      for (const [fields, call] of calls)
        assert.match((await owner.invalid(fields, ...call)).errors[0].message, codePoint);
      await owner.invalid(["name"], ...create({ name: c }));
      await owner.invalid(["email"], "POST", "/members", {
        email: `a${c}b@example.com`,
        role: "viewer",
        password: "a long enough password",
      });
    }
    for (const name of ["\u0301", "\ufe0f", "\u200d", "\u200c", "a\ufe0f"])
      await owner.invalid(["name"], ...create({ name }));
  });

  it("scopes: at least one, each from the catalogue of the realm", async () => {
    await owner.invalid(["scopes"], ...create({ scopes: [] }));
    await owner.invalid(["scopes"], ...create({ scopes: Array.from({ length: 101 }, (_, i) => `orders:${i}`) }));
    for (const scope of [
      "",
      " ",
      "orders",
      "orders:",
      ":read",
      "orders:fly",
      "Orders:read",
      "orders:read ",
      "orders:*:x",
      "**",
      "nothing:*",
      "orders:re*",
      "*:read",
      "a".repeat(10_000),
      "\u0000",
    ]) {
      const { errors } = await owner.invalid(["scopes[1]"], ...create({ scopes: ["orders:read", scope] }));
      assert.match(errors[0].message, /orders:read/, "it says which there are");
      assert.ok(errors[0].message.length < 400);
    }
  });

  it("rateLimit: whole numbers from 1 to the realm's maximum", async () => {
    for (const wrong of [0, -1, 1e9, 1.5, "5", 1e300, -0.5, true, [], {}, 100_001, 4294967296]) {
      const { errors } = await owner.invalid(["rateLimit.perMinute"], ...create({ rateLimit: { perMinute: wrong } }));
      assert.match(errors[0].message, /from 1 to 100000/);
      await owner.invalid(["rateLimit.perMinute"], ...edit({ rateLimit: { perMinute: wrong } }));
    }
    for (const wrong of [0, 10_000_001, "1"])
      await owner.invalid(["rateLimit.perDay"], ...create({ rateLimit: { perDay: wrong } }));
  });

  it("expiresAt: a time to come, with its offset", async () => {
    const wrong = [
      "",
      "tomorrow",
      "2100-01-01",
      "2100-01-01T00:00:00",
      "2100-13-01T00:00:00Z",
      "2100-02-30T00:00:00Z",
      "2100-01-01T25:00:00Z",
      "01/01/2100",
      "1893456000",
      "2100-01-01T00:00:00+99:00",
      "2020-01-01T00:00:00Z",
      "1969-12-31T23:59:59Z",
      "0000-01-01T00:00:00Z",
      new Date(gate.now() - 1_000).toISOString(),
      "2100-01-01T00:00:00Z\u0000",
      " 2100-01-01T00:00:00Z",
    ];
    for (const expiresAt of wrong) {
      await owner.invalid(["expiresAt"], ...create({ expiresAt }));
      await owner.invalid(["expiresAt"], ...edit({ expiresAt }));
    }
  });

  it("allowedIps: addresses and ranges", async () => {
    for (const range of [
      "",
      "localhost",
      "192.0.2",
      "192.0.2.256",
      "192.0.2.0/33",
      "192.0.2.0/-1",
      "192.0.2.0/",
      "192.0.2.0/24/24",
      "192.0.2.0-192.0.2.9",
      "192.0.2.*",
      "2001:db8::/129",
      "2001:db8:::1",
      "fe80::1%eth0",
      " 192.0.2.1",
      "1.2.3.4/0",
      "10.0.0.1/8",
      "192.0.2.1/31",
      "::1/0",
      "2001:db8::1/32",
      "::ffff:192.0.2.1/0",
      "::ffff:192.0.2.1/120",
      "0xC0000201",
      "1".repeat(10_000),
      "010.0.0.1",
    ]) {
      const { errors } = await owner.invalid(["allowedIps[1]"], ...create({ allowedIps: ["192.0.2.1", range] }));
      assert.ok(errors[0].message.length < 300);
    }
    const { errors } = await owner.invalid(["allowedIps[0]"], ...create({ allowedIps: ["203.0.113.7/0"] }));
    assert.match(errors[0].message, /203\.0\.113\.7 .*0\.0\.0\.0\/0 \(every address\)/, "it says what both would be");
    await owner.invalid(
      ["allowedIps"],
      ...create({ allowedIps: Array.from({ length: 101 }, (_, i) => `10.0.0.${i}`) }),
    );
    await owner.invalid(["allowedIps"], ...create({ allowedIps: "192.0.2.1" }));
  });

  it("allowedOrigins: for publishable keys, in the form that browsers send", async () => {
    await owner.invalid(["allowedOrigins"], ...create({ allowedOrigins: ["https://shop.example"] }));
    await owner.invalid(["allowedOrigins"], ...create({ kind: "publishable" }));
    for (const origin of [
      "*",
      "null",
      "shop.example",
      "https://shop.example/x",
      "https://shop.example?",
      "http://shop.example",
      "https://*.shop.example",
      "ftp://shop.example",
      "https://a@shop.example",
      "https://",
    ]) {
      await owner.invalid(["allowedOrigins[0]"], ...create({ kind: "publishable", allowedOrigins: [origin] }));
    }
  });

  it("tags, metadata and reason: bounded", async () => {
    await owner.invalid(["tags"], ...create({ tags: Array.from({ length: 21 }, (_, i) => `t${i}`) }));
    for (const tag of ["", "a".repeat(51), "a\nb", 5]) await owner.invalid(["tags[0]"], ...create({ tags: [tag] }));
    await owner.invalid(
      ["metadata"],
      ...create({ metadata: Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`k${i}`, "v"])) }),
    );
    await owner.invalid(["metadata.a"], ...create({ metadata: { a: "v".repeat(501) } }));
    await owner.invalid(["metadata.a b"], ...create({ metadata: { "a b": "v" } }));
    await owner.invalid(["metadata."], ...create({ metadata: { "": "v" } }));
    for (const reason of [1, "a\nb", "a".repeat(501)])
      await owner.invalid(["reason"], "POST", `/api-keys/${apiKey.id}/revoke`, { reason });
  });

  it("of people: addresses, roles and passwords", async () => {
    const person = { email: "new@example.com", role: "viewer", password: "a long enough password" };
    /** @type {(more: object) => Write} */
    const add = (more) => ["POST", "/members", { ...person, ...more }];
    for (const email of [
      "",
      "nobody",
      "@example.com",
      "a@",
      "a b@example.com",
      "a@b@c",
      "a@.example",
      "a@c..de",
      "a..b@example.com",
      ".a@example.com",
      "a.@example.com",
      "a@example.com.",
      "a@example",
      "a@-b.example",
      '"a b"@example.com',
      "Ada <a@example.com>",
      "a@192.0.2.1",
      "a@[192.0.2.1]",
      `${"a".repeat(65)}@example.com`,
      `${"a".repeat(250)}@example.com`,
      5,
      null,
      "a\u0000@example.com",
    ])
      await owner.invalid(["email"], ...add({ email }));
    for (const role of ["", "god", "Owner", 1, null]) await owner.invalid(["role"], ...add({ role }));
    for (const password of [
      "",
      "short",
      "p".repeat(11),
      "p".repeat(201),
      "p".repeat(10_000),
      123456789012,
      null,
      ["a long enough password"],
    ])
      await owner.invalid(["password"], ...add({ password }));
    await owner.invalid(["password"], "POST", "/session", { email: OWNER.email, password: "p".repeat(10_000) });
    await owner.invalid(["password"], "POST", "/session/step-up", {});
  });

  it("of tenants: name, status, plan, limits and first owner", async () => {
    /** @type {(more: object) => Write} */
    const add = (more) => ["POST", "/tenants", { name: "T", ...more }];
    await owner.invalid(["name"], "POST", "/tenants", {});
    for (const name of ["", "a".repeat(101), 5, null]) await owner.invalid(["name"], ...add({ name }));
    for (const plan of ["", "a".repeat(51), 5]) await owner.invalid(["plan"], ...add({ plan }));
    await owner.invalid(["rateLimit.perMinute"], ...add({ rateLimit: { perMinute: 0 } }));
    await owner.invalid(["owner"], ...add({ owner: "x" }));
    await owner.invalid(["owner.email", "owner.password"], ...add({ owner: {} }));
    const {
      tenants: [{ id }],
    } = await owner.must("GET", "/tenants");
    for (const status of ["active", "GONE", 1, null])
      await owner.invalid(["status"], "PATCH", `/tenants/${id}`, { status });
  });
});

describe("a query", () => {
  it("with a parameter that is wrong, unknown or repeated is 400 and names it", async () => {
    for (const limit of ["0", "101", "-1", "1.5", "ten", "1e1", "", "%201", "99999999999999999999", "%31%30x"]) {
      await owner.invalid(["limit"], "GET", `/api-keys?limit=${limit}`);
      await owner.invalid(["limit"], "GET", `/audit?limit=${limit}`);
    }
    for (const days of ["0", "-1", "1.5", "99999", "x"])
      await owner.invalid(["unusedDays"], "GET", `/api-keys?unusedDays=${days}`);
    for (const status of ["active", "GONE", ""]) await owner.invalid(["status"], "GET", `/api-keys?status=${status}`);
    await owner.invalid(["q"], "GET", `/api-keys?q=${"a".repeat(101)}`);
    await owner.invalid(["q"], "GET", "/api-keys?q=%00");
    await owner.invalid(["q"], "GET", "/api-keys?q=%ff");
    await owner.invalid(["page"], "GET", "/api-keys?page=2");
    await owner.invalid(["limit"], "GET", "/api-keys?limit=1&limit=2");
  });

  it("with a cursor that was not given out is 400", async () => {
    await Promise.all([0, 1].map(() => owner.createKey()));
    state = await everything();
    const { nextCursor } = await owner.must("GET", "/api-keys?limit=1");
    const flipped = Buffer.from(nextCursor, "base64url");
    flipped[7] ^= 1;
    const forged = [
      "",
      "x",
      "AAAA",
      nextCursor.slice(0, -1),
      `${nextCursor}A`,
      flipped.toString("base64url"),
      nextCursor.toUpperCase(),
      "9".repeat(10_000),
      "%00",
      "..%2f",
      "'--",
    ];
    for (const cursor of forged) await owner.invalid(["cursor"], "GET", `/api-keys?limit=1&cursor=${cursor}`);
    await owner.invalid(["cursor"], "GET", `/audit?cursor=${nextCursor}`);
    const audit = (await owner.must("GET", "/audit?limit=1")).nextCursor;
    await owner.invalid(["cursor"], "GET", `/api-keys?cursor=${audit}`);
  });
});

describe("a path, a method, a header", () => {
  it("unknown paths are 404, to whoever asks", async () => {
    for (const path of [
      "",
      "/",
      "/nope",
      "/api-keys/",
      "//api-keys",
      "/api-keys/x",
      "/api-keys/key_",
      `/api-keys/${apiKey.id}/nope`,
      "/api-keys/key_%00",
      "/API-KEYS",
      "/api-keys/..",
      `/api-keys/key_${"a".repeat(10_000)}`,
      `/api-keys/${apiKey.id.toLowerCase()}x`,
    ]) {
      await owner.refused(ERRORS.none, "GET", path);
    }
    await gate.admin().refused(ERRORS.none, "GET", "/nope");
  });

  it("known paths with another method are 405 and say which they take", async () => {
    const allowed = {
      "/setup": "POST",
      "/session": "POST, GET, DELETE, HEAD",
      "/session/step-up": "POST",
      "/api-keys": "GET, POST, HEAD",
      [`/api-keys/${apiKey.id}`]: "GET, PATCH, HEAD",
      [`/api-keys/${apiKey.id}/revoke`]: "POST",
      [`/api-keys/${apiKey.id}/rotate`]: "POST",
      "/realms": "GET, HEAD",
      "/audit": "GET, HEAD",
      "/audit/verify": "GET, HEAD",
      "/members": "GET, POST, HEAD",
      "/members/mem_x": "GET, PATCH, DELETE, HEAD",
      "/tenants": "GET, POST, HEAD",
      "/tenants/x": "GET, PATCH, HEAD",
      "/links": "POST",
      "/links/link_x": "GET, HEAD",
    };
    for (const [path, methods] of Object.entries(allowed)) {
      for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "TRACE"]) {
        if (methods.split(", ").includes(method)) continue;
        const answer = await owner.refused([405, "METHOD_NOT_ALLOWED"], method, path);
        assert.equal(answer.header("allow"), methods, `${method} ${path}`);
      }
    }
  });

  it("an If-Match that names no version is 412 and changes nothing", async () => {
    for (const match of [
      "1",
      "garbage",
      `"0"`,
      `"2"`,
      `W/"2"`,
      `w/"1"`,
      "W/1",
      `"2", *`,
      `"1`,
      `""`,
      "-",
      "é",
      `"99999999999999999999"`,
    ]) {
      for (const call of /** @type {Write[]} */ ([
        edit({ name: "Changed" }),
        ["POST", `/api-keys/${apiKey.id}/revoke`, {}],
        ["POST", `/api-keys/${apiKey.id}/rotate`, {}],
      ])) {
        await owner.refused([412, "VERSION_MISMATCH"], ...call, { "If-Match": match });
      }
    }
  });

  it("an Idempotency-Key that is none is 400 and makes nothing", async () => {
    for (const token of [
      "",
      " ",
      "a b",
      "é",
      "a".repeat(256),
      "a".repeat(100_000),
      bytes([1]),
      bytes("a", [0x7f]),
      bytes([0xff]),
    ]) {
      const { detail } = (await owner.refused(ERRORS.request, ...create({}), { "Idempotency-Key": token })).json();
      assert.match(detail, /Idempotency-Key/);
    }
  });

  it("a credential that is none is 400 or 401 and does not come back", async () => {
    const wrong = {
      "": 401,
      Bearer: 400,
      "Bearer ": 400,
      "Basic eDp5": 400,
      [`Bearer ${"a".repeat(100_000)}`]: 401,
      "Bearer kws_": 401,
      "Bearer é": 400,
      [`Bearer ${apiKey.id}`]: 401,
      [`Token ${"t".repeat(20)}`]: 400,
    };
    for (const [Authorization, status] of Object.entries(wrong)) {
      const answer = await gate.admin().call("GET", "/api-keys", undefined, { Authorization });
      assert.equal(answer.status, status, `${Authorization.slice(0, 30)}: ${answer.text.slice(0, 300)}`);
      assert.ok(answer.text.length < 1_000);
    }
    const cookie = "__Host-keyward-session=";
    await gate
      .admin()
      .refused([401, "UNAUTHENTICATED"], "GET", "/session", undefined, { Cookie: `${cookie}${"a".repeat(50_000)}` });
    await gate.admin().refused(ERRORS.request, "GET", "/session", undefined, { Cookie: `${cookie}a; ${cookie}b` });
  });
});
