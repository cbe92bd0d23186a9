// No spelling of a name that some server reads as one of the gate's reaches an origin: servers give applications several
// under one (CGI, WSGI, PHP). All sent on raw sockets.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, beforeEach, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { startOrigin } from "./harness/origin.mjs";
import { originPort } from "./harness/policies.mjs";

/** @import { Gate } from "./harness/gate.mjs" */
/** @import { Origin } from "./harness/origin.mjs" */

/** Every sign that the name of a field may have (RFC 9110, section 5.6.2). */
const SIGNS = "!#$%&'*+.^_`|~-";

/** Each way to write a name with one sign for all of its hyphens, or for one; in three cases. */
function spellings(name) {
  const parts = name.split("-");
  const some = [...SIGNS].flatMap((sign) => [
    parts.join(sign),
    ...parts.slice(1).map((_, at) => parts.slice(0, at + 1).join("-") + sign + parts.slice(at + 1).join("-")),
  ]);
  return [...new Set(some.flatMap((name) => [name, name.toLowerCase(), name.toUpperCase()]))];
}

const others = (name) => spellings(name).filter((spelling) => spelling.toLowerCase() !== name.toLowerCase());

describe("in no spelling", () => {
  /** @type {Gate} */
  let gate;
  let remote, keys;
  before(async () => {
    gate = await startGate({ policy: "e2e" });
    remote = await startOrigin({ port: originPort(18188) });
    const admin = gate.admin();
    admin.api = "/console/api";
    await admin.setUp(gate.secrets.KEYWARD_SETUP_TOKEN);
    const key = async (realm) => (await admin.createKey({ realm, scopes: ["things:read"] })).plaintextKey;
    keys = { open: await key("open"), strict: await key("strict"), spellings: await key("spellings") };
  });
  after(async () => {
    await gate?.stop();
    await remote?.stop();
  });
  beforeEach(() => {
    gate.origin.reset();
    remote.reset();
  });

  /** @type {[by: string, origin: () => Origin, host: string, realm: string, header: string, value: (key: string) => string][]} */
  const WAYS = [
    ["a service binding", () => gate.origin, "open.test", "open", "Authorization", (key) => `Bearer ${key}`],
    [
      "a service binding, the key alone in its header",
      () => gate.origin,
      "strict.test",
      "strict",
      "X-API-Key",
      (key) => key,
    ],
    ["a URL", () => remote, "spellings.test", "spellings", "Authorization", (key) => `Bearer ${key}`],
  ];
  for (const [by, origin, host, realm, header, value] of WAYS) {
    const targets = realm === "strict" ? ["/usual/x", "/things/1"] : ["/open/x", "/keyed/x"];

    it(`a credential reaches an origin by ${by}, once or twice, with the right one or without`, async () => {
      const key = keys[realm];
      for (const [target, own] of /** @type {[string, string[][]][]} */ ([
        [targets[0], []],
        [targets[1], [[header, value(key)]]],
      ])) {
        const names = ["X-API-Key", "Authorization"].flatMap((name) =>
          name === header && own.length ? others(name) : spellings(name),
        );
        // The header of the realm itself is read, and may be there once.
        const sent = names.filter((name) => name.toLowerCase() !== header.toLowerCase());
        const answer = await gate.send({
          host,
          target,
          headers: [
            ...own,
            ...sent.flatMap((name) => [
              [name, key],
              [name, `Bearer ${key}`],
            ]),
          ],
        });
        assert.equal(answer.status, 200, answer.text);
        assert.ok(
          !JSON.stringify(origin().last.rawHeaders).includes(key),
          `${target}: ${JSON.stringify(origin().last.rawHeaders)}`,
        );
      }
    });

    it(`an identity, an address or another path reaches an origin by ${by}`, async () => {
      for (const name of [
        "Keyward-Tenant",
        "Keyward-Key-Id",
        "X-Remote-User",
        "X-Forwarded-For",
        "X-Forwarded-Anything-Else",
        "X-Original-URL",
        "X-HTTP-Method-Override",
        "True-Client-IP",
        "X-WebAuth-User",
        "Client-Cert",
        "Remote-Groups",
        "X-MS-Client-Principal-Name",
        "Cf-Access-Jwt-Assertion",
        "X-Goog-Authenticated-User-Email",
        "X-Middleware-Subrequest",
      ]) {
        const answer = await gate.send({
          host,
          target: targets[0],
          headers: spellings(name).flatMap((name) => [
            [name, "spoofed"],
            [name, "spoofed"],
          ]),
        });
        assert.equal(answer.status, 200, answer.text);
        assert.ok(
          !JSON.stringify(origin().last.rawHeaders).includes("spoofed"),
          `${name}: ${JSON.stringify(origin().last.rawHeaders)}`,
        );
      }
    });

    it(`what the policy reads, or what frames a message, reaches an origin by ${by}: in their own they do`, async () => {
      for (const name of [
        "X-Session-Id",
        "X-Hub-Signature-256",
        "Content-Length",
        "Transfer-Encoding",
        "Content-Type",
        "CF-Connecting-IP",
      ]) {
        assert.equal(
          (await gate.send({ host, target: targets[0], headers: others(name).map((name) => [name, "spoofed"]) }))
            .status,
          200,
        );
        assert.ok(
          !JSON.stringify(origin().last.rawHeaders).includes("spoofed"),
          `${name}: ${JSON.stringify(origin().last.rawHeaders)}`,
        );
      }
      await gate.send({
        host,
        target: targets[0],
        headers: { "X-Session-Id": "abc", "X-Hub-Signature-256": "def", "X-Custom_Name": "kept" },
      });
      assert.deepEqual(
        ["x-session-id", "x-hub-signature-256", "x-custom_name"].map((name) => origin().last.headers[name]?.[0]),
        ["abc", "def", "kept"],
      );
    });

    it(`a cookie of the gate's reaches an origin by ${by}, nor is set by it`, async () => {
      const own = [
        "__Host-keyward-session",
        "__host-keyward-session",
        "__HOST-KEYWARD-SESSION",
        "__Host_keyward_session",
        "__Host.keyward.session",
        "__Host-keyward session",
        "__Host%2Dkeyward%2Dsession",
        "__%48ost-keyward-session",
        " __Host-keyward-session",
        "__Host-keyward-session ",
        '"__Host-keyward-session"',
        "=__Host-keyward-session",
        "__Host[keyward[session",
      ];
      for (const name of own) {
        await gate.send({
          host,
          target: targets[0],
          headers: [
            ["Cookie", `a=1; ${name}=kws_secret; b=2`],
            ["Cookie", `${name}=kws_secret`],
          ],
        });
        assert.deepEqual(origin().last.headers.cookie, ["a=1; b=2"], name);
        origin().answer = {
          status: 200,
          headers: [
            ["Set-Cookie", `${name}=evil; Path=/`],
            ["Set-Cookie", "c=3"],
          ],
          body: "x",
        };
        assert.deepEqual((await gate.send({ host, target: targets[0] })).all("set-cookie"), ["c=3"], name);
        origin().answer = undefined;
      }
      await gate.send({
        host,
        target: targets[0],
        headers: { Cookie: "keyward-session=1; __Host-other=2; a=__Host-keyward-session" },
      });
      assert.deepEqual(origin().last.headers.cookie, ["keyward-session=1; __Host-other=2; a=__Host-keyward-session"]);
    });

    it(`a trailer passes the gate, to an origin by ${by} or from it`, async () => {
      let trailers;
      origin().answer = async (request, response, recorded) => {
        await recorded.complete;
        trailers = request.rawTrailers;
        response.writeHead(200, { Trailer: "X-Request-Id" });
        response.write("x");
        response.addTrailers({ "X-Request-Id": "spoofed", "Keyward-Tenant": "spoofed" });
        response.end();
      };
      const { port } = new URL(gate.url);
      const socket = connect(Number(port), "127.0.0.1");
      socket.write(
        `POST ${targets[0]} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: Keyward-Tenant\r\n\r\n1\r\nx\r\n0\r\nKeyward-Tenant: spoofed\r\nAuthorization: ${keys[realm]}\r\n\r\n`,
      );
      let text = "";
      for await (const chunk of socket) text += chunk;
      assert.match(text, /^HTTP\/1.1 200 /);
      assert.ok(!text.includes("spoofed"), text);
      assert.deepEqual(trailers, []);
    });

    it(`a parameter that holds a credential reaches an origin by ${by}`, async () => {
      for (const name of [
        "api_key",
        "API_KEY",
        "api.key",
        "api+key",
        "api%20key",
        "%20api_key",
        "api%5Fkey",
        "api%5Bkey",
        "api%255Fkey",
        "access.token",
      ]) {
        for (const query of [`a=1&${name}=x`, `a=1;${name}=x`]) {
          const answer = await gate.send({ host, target: `${targets[0]}?${query}` });
          assert.deepEqual([answer.status, answer.json().code ?? answer.json().error.code], [400, "KEY_IN_URL"], query);
        }
      }
      assert.equal(origin().requests.length, 0);
      assert.equal((await gate.send({ host, target: `${targets[0]}?apis=1&my_api_key=x&key=2` })).status, 200);
    });
  }
});
