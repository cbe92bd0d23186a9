// Tokens of issuers, as docs/tokens.md describes them: made with another library, sent to the built Worker, and
// the issuer's keys on a real server.

import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, beforeEach, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { importJWK, SignJWT } from "jose";

import { startGate } from "./harness/gate.mjs";
import { begin } from "./harness/raw.mjs";
import { waitFor } from "./harness/wait.mjs";
import { Jwks, newSigner } from "./issuer.mjs";

/** @import { Gate } from "./harness/gate.mjs" */
/** @import { IncomingMessage, ServerResponse } from "node:http" */

const HOST = "tokens.test";
/** RFC 7515, appendix A.3. */
const RFC_KEY = {
  kty: "EC",
  crv: "P-256",
  x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
  y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
  d: "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
};
const SHORT = "only 31 bytes: too short by one";

/** @type {Gate} */
let gate;
/** @type {Jwks} */
let jwks;
before(async () => {
  gate = await startGate({ policy: "e2e", page: "/console/page", internet: true, secrets: { TOKENS_SECRET: SHORT } });
  jwks = new Jwks(gate, "https://id.tokens.test/jwks.json");
});
after(() => gate?.stop());
beforeEach(() => gate.origin.reset());

const seconds = () => Math.floor(gate.now() / 1000);
const claims = (more = {}) => ({
  iss: "https://id.tokens.test",
  aud: "https://api.tokens.test",
  sub: "user-7",
  exp: seconds() + 600,
  ...more,
});
const send = (token, target = "/me", host = HOST) =>
  gate.send({ target, host, headers: token === undefined ? {} : { Authorization: `Bearer ${token}` } });
const header = (name) => gate.origin.last.headers[name]?.[0];
const code = (answer) => [answer.status, answer.json().code];

/** Isolates keep keys for ten minutes: fetches these. */
async function publish(...signers) {
  jwks.publish(...signers);
  await gate.advance(600_000);
}

describe("tokens that pass", () => {
  it("of each algorithm, with what the origin is told of them", async () => {
    const names = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];
    const signers = await Promise.all(names.map((name) => newSigner(name, `key-${name}`)));
    await publish(...signers);
    for (const [at, signer] of signers.entries()) {
      const answer = await send(
        await signer.sign(claims({ sub: names[at], scope: "things:write openid" })),
        "/things/1",
      );
      assert.equal(answer.status, 200, `${names[at]}: ${answer.text}`);
      assert.deepEqual(["keyward-subject", "keyward-scopes", "authorization"].map(header), [
        names[at],
        "things:write openid",
        undefined,
      ]);
    }
  });

  it("although keys beside theirs cannot be used, and tokens and keys have no id or share one", async () => {
    const [named, same, unnamed] = await Promise.all([
      newSigner("ES256", "one"),
      newSigner("ES256", "one"),
      newSigner("ES256"),
    ]);
    const { kid, ...withoutId } = unnamed.jwk;
    const unusable = [
      { kty: "AKP", pub: "AA" },
      { ...named.jwk, use: "enc" },
      { kty: "RSA", e: "AQAB" },
      { kty: "OKP", crv: "X25519", x: "AA" },
      null,
      "key",
    ];
    jwks.serve(JSON.stringify({ keys: [...unusable, named.jwk, same.jwk, withoutId] }));
    await gate.advance(600_000);
    for (const signer of [named, same, unnamed]) assert.equal((await send(await signer.sign(claims()))).status, 200);
    assert.equal((await send(await named.sign(claims(), { kid: undefined }))).status, 200);
  });

  it("with headers, times and audiences in every form that the standards give them", async () => {
    const signer = await newSigner("ES256", "forms");
    await publish(signer);
    for (const [more, head] of [
      [{ exp: seconds() + 600.5, iat: seconds() - 0.25 }, { typ: "JWT" }],
      [
        { exp: 1e300, nbf: 0, iat: -1 },
        { typ: "application/at+jwt", cty: "JSON", zip: "DEF" },
      ],
      [
        { aud: ["https://other.test", "https://api.tokens.test"] },
        { x5t: "AA", "x5t#S256": "AA", jku: "https://evil.test/", nonce: "n" },
      ],
      [{ scope: "", scp: ["things:read"] }, { typ: "dpop+jwt" }],
      [{ sub: "u".repeat(256), other: { deep: [[[{}]]] }, "": null }, {}],
    ]) {
      const answer = await send(await signer.sign(claims(more), head));
      assert.equal(answer.status, 200, `${JSON.stringify([more, head])}: ${answer.text}`);
    }
  });

  it("of an issuer whose key stands in the policy, with the type that it asks for and whatever id", async () => {
    const key = await importJWK(RFC_KEY, "ES256");
    const sign = (head) => new SignJWT(claims()).setProtectedHeader({ alg: "ES256", ...head }).sign(key);
    for (const typ of ["at+jwt", "AT+JWT", "application/at+jwt"]) {
      for (const kid of [undefined, "any"])
        assert.equal((await send(await sign({ typ, kid }), "/me", "tokens-inline.test")).status, 200, typ);
    }
    for (const typ of ["JWT", undefined])
      assert.deepEqual(code(await send(await sign({ typ }), "/me", "tokens-inline.test")), [401, "INVALID_TOKEN"]);
  });
});

describe("tokens that do not pass", () => {
  let signer, stranger;
  before(async () => {
    [signer, stranger] = await Promise.all([newSigner("ES256", "own"), newSigner("ES256", "own")]);
    await publish(signer);
  });

  it("are told in general what is wrong with them, in words about tokens, and only a true one learns what it says", async () => {
    const [head, payload, signature] = (await signer.sign(claims())).split(".");
    for (const [what, token, word] of [
      ["expired", await signer.sign(claims({ exp: seconds() - 31 })), "has expired"],
      ["not yet", await signer.sign(claims({ nbf: seconds() + 100 })), "not valid yet"],
      ["another audience", await signer.sign(claims({ aud: "https://other.test" })), "not meant for this API"],
      ["another issuer", await signer.sign(claims({ iss: "https://id.tokens.test/" })), "not meant for this API"],
      ["no subject", await signer.sign(claims({ sub: undefined })), "claim"],
      ["a stranger's", await stranger.sign(claims()), "not signed by the issuer"],
      ["a stranger's, and expired", await stranger.sign(claims({ exp: 1 })), "not signed by the issuer"],
      ["cut short", `${head}.${payload}.${signature.slice(0, 80)}`, "not signed by the issuer"],
      ["not a token", "something-else", "copied whole"],
      ["JSON serialization", '{"payload":"e30"}', "copied whole"],
      ["longer than 8 KiB", await signer.sign(claims({ padding: "x".repeat(8_000) })), "copied whole"],
    ]) {
      const answer = await send(token);
      assert.deepEqual(code(answer), [401, "INVALID_TOKEN"], what);
      assert.ok(answer.json().detail.includes(word), `${what}: ${answer.text}`);
      assert.ok(!answer.text.includes("API key"), `${what}: ${answer.text}`);
      assert.match(answer.header("www-authenticate"), /^Bearer realm="tokens", error="invalid_token"/, what);
    }
    assert.equal(gate.origin.requests.length, 0);
  });

  it("are 401 and never 500, whatever their claims are made of", async () => {
    for (const more of [
      { sub: "jörg" },
      { sub: "a\r\nKeyward-Tenant: evil" },
      { sub: "a\u0000" },
      { sub: "\ud83d\udd11" },
      { sub: " a" },
      { sub: "u".repeat(257) },
      { sub: "" },
      { sub: 7 },
      { sub: null },
      { sub: ["a"] },
      { scope: "ä" },
      { scope: 'a"b' },
      { scope: { a: 1 } },
      { scope: null },
      { aud: 7 },
      { aud: {} },
      { aud: [7] },
      { iss: ["https://id.tokens.test"] },
      { exp: "2100" },
      { exp: null },
      { exp: {} },
      { exp: -1 },
      { exp: -1e300 },
      { nbf: "0" },
      { nbf: 1e300 },
      { iat: true },
    ]) {
      const token = await signer.signBytes(Buffer.from(JSON.stringify(claims(more))));
      assert.deepEqual(code(await send(token)), [401, "INVALID_TOKEN"], JSON.stringify(more));
    }
    const now = seconds();
    const begin = `{"iss":"https://id.tokens.test","aud":"https://api.tokens.test"`;
    for (const text of [
      `${begin},"sub":"a","exp":1e400}`,
      `${begin},"sub":"a","exp":${now + 60},"sub":"b"}`,
      `${begin},"sub":"a","exp":${now + 60},"x":{"y":1,"y":2}}`,
      `${begin},"sub":"\\ud800","exp":${now + 60}}`,
      `\ufeff${begin},"sub":"a","exp":${now + 60}}`,
      `${begin},"sub":"a","exp":${now + 60}`,
      "[]",
      "null",
      '"text"',
      "",
      "[".repeat(5_000),
    ]) {
      assert.deepEqual(
        code(await send(await signer.signBytes(Buffer.from(text)))),
        [401, "INVALID_TOKEN"],
        text.slice(0, 80),
      );
    }
    assert.deepEqual(
      code(await send(await signer.signBytes(Buffer.from([0xff, 0xfe])))),
      [401, "INVALID_TOKEN"],
      "not UTF-8",
    );
    assert.equal(gate.origin.requests.length, 0);
  });

  it("for want of a scope: nothing is a wildcard in a token, and the origin hears of none", async () => {
    for (const scope of ["*", "openid *", "things:*", ["things:*", "*"], "things", "things:read:x", ""]) {
      const answer = await send(await signer.sign(claims({ scope })), "/things/1");
      assert.deepEqual(code(answer), [403, "INSUFFICIENT_SCOPE"], JSON.stringify(scope));
    }
    assert.equal(gate.origin.requests.length, 0);
    assert.equal(
      (await send(await signer.sign(claims({ scope: "* things:write things:*" })), "/things/1")).status,
      200,
    );
    assert.equal(header("keyward-scopes"), "things:write");
  });

  it("under a secret that is too short are 503, and the log says why", async () => {
    const token = await new SignJWT(claims()).setProtectedHeader({ alg: "HS256" }).sign(Buffer.from(SHORT));
    const answer = await send(token, "/me", "tokens-shared.test");
    assert.deepEqual(code(answer), [503, "NOT_CONFIGURED"]);
    const id = answer.header("x-request-id");
    const log = await waitFor("the log", () => gate.logs.find(({ message }) => message.includes(id)));
    assert.match(log.message, /TOKENS_SECRET.*at least 32 bytes/);
    await gate.allLogged();
    assert.ok(!gate.logs.some(({ message }) => message.includes(SHORT)));
  });
});

describe("an issuer", () => {
  it("that changes its key under the same id, or without one, works on after a minute", async (test) => {
    await gate.stopClock(test);
    for (const kid of ["fixed", undefined]) {
      const [old, next] = await Promise.all([newSigner("ES256", kid), newSigner("ES256", kid)]);
      await publish(old);
      assert.equal((await send(await old.sign(claims()))).status, 200);
      jwks.publish(next);
      assert.deepEqual(code(await send(await next.sign(claims()))), [401, "INVALID_TOKEN"]);
      await gate.advance(60_000);
      assert.equal((await send(await next.sign(claims()))).status, 200);
      assert.deepEqual(code(await send(await old.sign(claims()))), [401, "INVALID_TOKEN"]);
      const fetches = jwks.fetches();
      for (let i = 0; i < 10; i++)
        assert.deepEqual(code(await send(await old.sign(claims(), { kid: `made-up-${i}` }))), [401, "INVALID_TOKEN"]);
      assert.equal(jwks.fetches(), fetches, "what is made up costs no fetch within the minute");
    }
  });

  it("that is slow is waited for, while the deadline lasts", async () => {
    const signer = await newSigner("ES256", "slow");
    const published = /** @type {(request: IncomingMessage, response: ServerResponse) => unknown} */ (
      gate.internet.answer
    );
    try {
      jwks.publish(signer);
      await gate.advance(5_000_000);
      gate.internet.answer = (request, response) => void setTimeout(() => published(request, response), 300);
      assert.equal((await send(await signer.sign(claims()))).status, 200);
    } finally {
      gate.internet.answer = published;
    }
  });

  it("that changes its key and then does not answer is 503, and never that the token is not its own", async (test) => {
    await gate.stopClock(test);
    const published = /** @type {(request: IncomingMessage, response: ServerResponse) => unknown} */ (
      gate.internet.answer
    );
    test.after(() => {
      gate.internet.answer = published;
    });
    for (const kid of ["kept", undefined]) {
      const [old, next] = await Promise.all([newSigner("ES256", kid), newSigner("ES256", kid)]);
      gate.internet.answer = published;
      await publish(old);
      assert.equal((await send(await old.sign(claims()))).status, 200);
      await gate.advance(60_000);
      for (const answer of [(_request, response) => response.writeHead(500).end(), () => {}]) {
        gate.internet.answer = answer;
        const refused = await send(await next.sign(claims()));
        assert.deepEqual(code(refused), [503, "STORE_UNAVAILABLE"], kid);
        assert.equal((await send(await old.sign(claims()))).status, 200, "older keys serve on");
        await gate.advance(Number(refused.header("retry-after")) * 1_000);
      }
      gate.internet.answer = published;
      jwks.publish(next);
      assert.equal((await send(await next.sign(claims()))).status, 200);
      assert.deepEqual(code(await send(await old.sign(claims()))), [401, "INVALID_TOKEN"]);
    }
  });

  it("is heard to the end although the client for whom it was asked has hung up", async (test) => {
    const signer = await newSigner("ES256", "dropped");
    jwks.publish(signer);
    const published = /** @type {(request: IncomingMessage, response: ServerResponse) => unknown} */ (
      gate.internet.answer
    );
    test.after(() => {
      gate.internet.answer = published;
    });
    // Beyond what older keys serve for.
    await gate.advance(5_000_000);
    const asked = [];
    gate.internet.answer = (request, response) => void asked.push([request, response]);
    const token = await signer.sign(claims());
    const client = begin(gate.url, HOST, `GET /me HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer ${token}\r\n\r\n`);
    await waitFor("the fetch", () => asked.length === 1);
    client.socket.resetAndDestroy();
    const [[request, response]] = asked;
    // Time for the gate to give it up with its client.
    await Promise.race([once(response, "close"), pause(400)]);
    const second = send(token);
    await Promise.race([once(response, "close"), pause(100)]);
    published(request, response);
    assert.equal((await second).status, 200);
    assert.equal(asked.length, 1, "it is not asked again");
  });

  it("whose keys cannot be had is 503 with the time that is left, and the log says why", async (test) => {
    await gate.stopClock(test);
    const signer = await newSigner("ES256", "lost");
    const token = () => signer.sign(claims());
    /** @type {Record<string, [answer: (response: ServerResponse) => unknown, reason: RegExp]>} */
    const answers = {
      "a failure": [(response) => response.writeHead(500).end("no"), /answered 500/],
      "nothing there": [(response) => response.writeHead(404).end(), /answered 404/],
      "a redirect": [
        (response) => response.writeHead(302, { location: "https://evil.test/jwks.json" }).end(),
        /answered 302/,
      ],
      "a page": [(response) => response.end("<html></html>"), /not JSON/],
      nothing: [(response) => response.end(), /not JSON/],
      "no set": [(response) => response.end("{}"), /not a JWK Set/],
      "no keys": [(response) => response.end('{"keys":[]}'), /has no keys/],
      "no usable key": [
        (response) => response.end('{"keys":[{"kty":"oct"},{"kty":"RSA","e":"AQAB"}]}'),
        /keys\[0\] has the `kty`.*keys\[1\] has no `n`/,
      ],
      "too much": [(response) => response.end(`{"keys":[],"x":"${"x".repeat(70_000)}"}`), /more than 65536 bytes/],
      "an endless answer": [(response) => endless(response), /more than 65536 bytes/],
      "an end in the middle": [
        (response) => {
          response.writeHead(200, { "content-length": 1000 }).write("{");
          response.destroy();
        },
        /./,
      ],
      "a closed connection": [(response) => response.destroy(), /./],
      "no answer": [() => {}, /no answer within 2000 ms/],
    };
    const published = /** @type {(request: IncomingMessage, response: ServerResponse) => unknown} */ (
      gate.internet.answer
    );
    test.after(() => {
      gate.internet.answer = published;
    });
    // Beyond what older keys serve for.
    await gate.advance(5_000_000);
    for (const [what, [answer, reason]] of Object.entries(answers)) {
      gate.internet.answer = (_request, response) => answer(response);
      await gate.forgetLogs();
      const first = await send(await token());
      assert.deepEqual(code(first), [503, "STORE_UNAVAILABLE"], what);
      assert.match(first.json().detail, /^The token cannot be checked/, what);
      assert.equal(first.header("retry-after"), "10", what);
      for (const event of ["store unavailable", "request"]) {
        const logged = await waitFor(`the log, ${what}`, () =>
          gate.logs.find(({ message }) => message.includes(`"${event}"`)),
        );
        assert.match(logged.message, reason, what);
      }
      await gate.advance(6_500);
      const asked = gate.internet.requests.length;
      assert.equal((await send(await token())).header("retry-after"), "4", what);
      assert.equal(gate.internet.requests.length, asked, "it is not asked again before that");
      await gate.advance(3_500);
    }
    gate.internet.answer = published;
    jwks.publish(signer);
    assert.equal((await send(await token())).status, 200, "what was said to be left was enough");
    assert.equal(gate.origin.requests.length, 1);
  });
});

function endless(response) {
  response.writeHead(200);
  const more = () => {
    while (response.write("x".repeat(16_384)));
  };
  response.on("drain", more);
  more();
}
