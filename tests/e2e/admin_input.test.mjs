// Bad input at the admin API: a clear refusal that names what is wrong, nothing lost or changed, no
// secret repeated, and no 500. What is wrong with a single field is in admin_fields.test.mjs.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { apiKey, create, edit, gate, KEY, keepAsItIs, owner } from "./admin_input.mjs";
import { OWNER } from "./harness/admin.mjs";

/** @import { Write } from "./harness/admin.mjs" */

const LIMIT = 64 * 1024;
const bytes = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)));
const ERRORS = {
  json: [400, "MALFORMED_JSON"],
  large: [413, "BODY_TOO_LARGE"],
  type: [415, "UNSUPPORTED_MEDIA_TYPE"],
  request: [400, "INVALID_REQUEST"],
  none: [404, "NOT_FOUND"],
};

describe("a body", () => {
  it("that is not JSON is 400 with the place of the error, and is not repeated in the answer", async () => {
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

  it("with a number that is too large is 400 and names its field", async () => {
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

  it("that is not an object is 400", async () => {
    for (const body of ["null", "[]", "1", '"text"', "true", '[{"name":"a"}]'])
      await owner.invalid(["body"], "POST", "/api-keys", body);
  });

  it("that is nested too deeply is 400", async () => {
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

  it("of 65,536 bytes is accepted, one byte more is 413, with and without a Content-Length", async () => {
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

  it("with unknown fields is 400 and names each", async () => {
    await owner.invalid(["naem", "plaintextKey"], ...create({ naem: "x", plaintextKey: "kw_live_mine" }));
    await owner.invalid(["__proto__"], "POST", "/api-keys", '{"name":"a","scopes":["orders:read"],"__proto__":{}}');
    await owner.invalid(["rateLimit.perYear"], ...create({ rateLimit: { perYear: 1 } }));
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

  it("with a cursor that the API did not issue is 400", async () => {
    await Promise.all([0, 1].map(() => owner.createKey()));
    await keepAsItIs();
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

  it("known paths with another method are 405 and name the allowed ones", async () => {
    const allowed = {
      "/setup": "GET, POST, HEAD",
      "/session": "POST, GET, DELETE, HEAD",
      "/session/step-up": "POST",
      "/session/step-up/options": "POST",
      "/session/code/options": "POST",
      "/session/passkey/options": "POST",
      "/passkeys": "POST, GET, HEAD",
      "/passkeys/options": "POST",
      "/passkeys/pky_x": "DELETE",
      "/api-keys": "GET, POST, HEAD",
      "/api-keys/summary": "GET, HEAD",
      "/api-keys/usage": "GET, HEAD",
      "/api-keys/export": "GET, HEAD",
      "/api-keys/import": "POST",
      [`/api-keys/${apiKey.id}`]: "GET, PATCH, HEAD",
      [`/api-keys/${apiKey.id}/revoke`]: "POST",
      [`/api-keys/${apiKey.id}/rotate`]: "POST",
      "/realms": "GET, HEAD",
      "/audit": "GET, HEAD",
      "/audit/export": "GET, HEAD",
      "/audit/verify": "GET, HEAD",
      "/events": "GET, HEAD",
      "/events/endpoints": "GET, HEAD",
      "/events/endpoints/x/replay": "POST",
      "/members": "GET, POST, HEAD",
      "/members/mem_x": "GET, PATCH, DELETE, HEAD",
      "/members/mem_x/reset": "POST",
      "/invitations": "GET, POST, HEAD",
      "/invitations/accept": "POST",
      "/invitations/inv_x": "DELETE",
      "/recover": "POST",
      "/backup": "GET, HEAD",
      "/restore": "POST",
      "/settlements": "POST",
      "/tenants/x/owners": "POST",
      "/tenants/x/sessions": "DELETE",
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

  it("an If-Match without a valid version is 412 and changes nothing", async () => {
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

  it("an invalid Idempotency-Key is 400 and creates nothing", async () => {
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

  it("an invalid credential is 400 or 401 and is not repeated in the answer", async () => {
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
