// The table of docs/origin.md that says which fields the gate adds: each kind of request, in a realm that tells all that it can and in
// one that tells no more than it must, from a client that sends every one of these fields itself.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";

import { SignJWT } from "jose";

import { startGate } from "./harness/gate.mjs";
import { startOrigin } from "./harness/origin.mjs";
import { originPort } from "./harness/policies.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */
/** @import { Origin } from "./harness/origin.mjs" */

const HEAD = "| field | key | token | key and token | session | webhook | nobody | its value |";
const docs = readFileSync(new URL("../../docs/origin.md", import.meta.url), "utf8");
const KINDS = HEAD.split(" | ").slice(1, -1);
/** Of each field and kind, what its cell says: `yes`, `-`, or what it depends on. */
const ROWS = docs
  .split(`${HEAD}\n`)[1]
  .split("\n\n")[0]
  .split("\n")
  .slice(1)
  .map((line) => {
    const [field, ...cells] = line.slice(2, -2).split(" | ");
    return { field: field.replaceAll("`", ""), when: new Map(KINDS.map((kind, i) => [kind, cells[i]])) };
  });
const FIELDS = ROWS.map(({ field }) => field);

const secrets = { ISSUER_SECRET: "of id.example, of more than 32 bytes", HOOK_SECRET: "of the webhook" };

/** What a client sends that has read the table, and wants to be somebody else. */
const FORGED = Object.fromEntries(
  FIELDS.filter((field) => field !== "Host").flatMap((field) => [
    [field, "forged"],
    [field.replaceAll("-", "_"), "forged"],
  ]),
);

/** What the platform adds to what leaves it, and frames a message with. */
const PLATFORM = ["cf-worker", "cf-ray", "content-length", "transfer-encoding", "connection"];

describe("docs/origin.md: what the gate adds", () => {
  /** @type {Gate} */
  let gate;
  /** @type {Origin} */
  let origin;
  /** An owner of a tenant for each realm. @type {Record<string, Admin>} */
  const owners = {};
  /** The one with a plan, which issuers name in their tokens. */
  let tenantId = "";
  before(async () => {
    origin = await startOrigin({ port: originPort(18181) });
    gate = await startGate({ policy: "tests/e2e/policies/who_asks.toml", secrets });
    const operator = await gate.owner();
    for (const [realm, plan] of [
      ["full", "gold"],
      ["bare", null],
    ]) {
      const owner = { email: `${realm}@example.com`, password: "correct horse battery staple 1" };
      const { tenant } = await operator.must("POST", "/tenants", { name: realm, plan, owner });
      if (plan) tenantId = tenant.id;
      owners[realm] = await gate.admin().signIn(owner);
      await owners[realm].stepUp(owner.password);
    }
  });
  after(async () => {
    await gate?.stop();
    await origin?.stop();
  });

  /** @param {string} realm */
  const token = (realm) =>
    new SignJWT({ ...(realm === "full" && { tenant: tenantId, scope: "things:read" }) })
      .setProtectedHeader({ alg: "HS256" })
      .setIssuer("https://id.example")
      .setAudience(realm)
      .setSubject("ada")
      .setExpirationTime("10m")
      .sign(new TextEncoder().encode(secrets.ISSUER_SECRET));

  const key = async (realm, fields = {}) => {
    const scopes = realm === "full" ? ["things:read"] : [];
    return (await owners[realm].createKey({ realm, scopes, ...fields })).plaintextKey;
  };

  /** What is sent of each kind, to a realm. */
  const requests = {
    key: async (realm) => [
      { target: "/things", headers: { "X-API-Key": await key(realm) } },
      { target: "/things", headers: { "X-API-Key": await key(realm, { testMode: true }) } },
      { target: "/optional", headers: { "X-API-Key": await key(realm) } },
      {
        target: "/things",
        headers: {
          Origin: "https://app.example",
          "X-API-Key": await key(realm, { kind: "publishable", allowedOrigins: ["https://app.example"] }),
        },
      },
    ],
    token: async (realm) => [
      { target: "/things", headers: { Authorization: `Bearer ${await token(realm)}` } },
      { target: "/things", headers: { Cookie: `token=${await token(realm)}` } },
    ],
    "key and token": async (realm) => [
      { target: "/both", headers: { "X-API-Key": await key(realm), Authorization: `Bearer ${await token(realm)}` } },
    ],
    session: async (realm) => {
      const subject = realm === "full" ? { subject: "ada" } : {};
      const { url } = await owners[realm].must("POST", "/links", { url: `https://${realm}.test/things`, ...subject });
      const { pathname, search } = new URL(url);
      const followed = await gate.send({ host: `${realm}.test`, target: pathname + search });
      return [{ target: "/things", headers: { Cookie: followed.header("set-cookie").split(";")[0] } }];
    },
    webhook: async () => {
      const signature = createHmac("sha256", secrets.HOOK_SECRET).update("{}").digest("hex");
      return [
        { method: "POST", target: "/hooks", body: "{}", headers: { "X-Hub-Signature-256": `sha256=${signature}` } },
      ];
    },
    // A public route can have no budget.
    nobody: async () => [{ target: "/public", without: "Keyward-Settle" }, { target: "/optional" }],
  };

  for (const [realm, isFull] of [
    ["full", true],
    ["bare", false],
  ])
    for (const kind of KINDS)
      it(`${kind}, ${isFull ? "with all that its cells name" : "with none of it"}: these fields and no others, and none as the client sent it`, async () => {
        const expected = ROWS.filter(({ when }) => when.get(kind) === "yes" || (isFull && when.get(kind) !== "-"));
        for (const { headers = {}, without, ...request } of await requests[kind](realm)) {
          const own = { ...headers, ...(isFull && { "X-Session-Id": "s-1", "CF-Connecting-IP": "192.0.2.9" }) };
          origin.reset();
          const answer = await gate.send({ host: `${realm}.test`, ...request, headers: { ...FORGED, ...own } });
          assert.equal(answer.status, 200, answer.text);
          assert.ok(!JSON.stringify(origin.last.rawHeaders).includes("forged"), JSON.stringify(origin.last.rawHeaders));
          const got = Object.keys(origin.last.headers).filter(
            (name) => !PLATFORM.includes(name) && !Object.keys(own).some((sent) => sent.toLowerCase() === name),
          );
          const told = expected.map(({ field }) => field).filter((field) => field !== without);
          assert.deepEqual(got.sort(), told.map((field) => field.toLowerCase()).sort(), request.target);
        }
      });

  it("every field of the table is told to somebody", () => {
    for (const { field, when } of ROWS)
      assert.ok(
        [...when.values()].some((cell) => cell !== "-"),
        field,
      );
  });
});
