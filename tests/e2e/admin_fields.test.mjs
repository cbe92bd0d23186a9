// Wrong fields in bodies of the admin API: each is named, with what is wrong, and nothing is changed.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { apiKey, create, edit, gate, owner } from "./admin_input.mjs";
import { OWNER } from "./harness/admin.mjs";

/** @import { Write } from "./harness/admin.mjs" */

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

  it("wrong in many ways at once: one answer names all of them", async () => {
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

  it("names, tags, reasons and tenants with invisible or misleading characters are 400, and the answer says which character", async () => {
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

  it("expiresAt: a future time, with its offset", async () => {
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
