// docs/origin.md, line by line: what an origin gets of a client's header fields, and a client of the origin's.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { startOrigin } from "./harness/origin.mjs";
import { originPort } from "./harness/policies.mjs";

/** @import { Gate } from "./harness/gate.mjs" */

const PORT = originPort(18183); // of the realm "headers"
const ORIGIN = `http://127.0.0.1:${PORT}`;

for (const [by, host] of [
  ["service binding", "open.test"],
  ["URL", "headers.test"],
]) {
  describe(`an origin by ${by}`, () => {
    /** @type {Gate} */
    let gate;
    /** @type {string} */
    let key;
    let origin;
    before(async () => {
      gate = await startGate({ policy: "e2e" });
      origin = by === "URL" ? await startOrigin({ port: PORT }) : gate.origin;
      const admin = gate.admin();
      admin.api = "/console/api";
      await admin.setUp(gate.secrets.KEYWARD_SETUP_TOKEN);
      ({ plaintextKey: key } = await admin.createKey({
        realm: by === "URL" ? "headers" : "open",
        scopes: ["things:read"],
      }));
    });
    after(async () => {
      await gate?.stop();
      if (by === "URL") await origin?.stop();
    });
    beforeEach(() => origin.reset());

    const ask = (headers, request = {}) => gate.send({ host, target: "/open/x", headers, ...request });
    const got = (name) => origin.last.headers[name.toLowerCase()]?.join(" | ");
    const answered = async (headers, request) => {
      origin.answer = { status: 200, headers, body: "x" };
      return ask({}, request);
    };

    it("is told where the request came from by the gate, never by the client", async () => {
      const names = [
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-For",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Anything",
        "X_Forwarded_For",
        "Forwarded",
        "X-Real-IP",
        "X-Client-IP",
        "X-Cluster-Client-IP",
        "True-Client-IP",
        "X-ProxyUser-IP",
        "X-Host",
        "X-Original-Host",
        "X-Scheme",
        "X-Url-Scheme",
        "Front-End-Https",
      ];
      await ask(
        { ...Object.fromEntries(names.map((name) => [name, "spoofed"])), "CF-Connecting-IP": "2001:db8::7" },
        { host: `${host}:8443` },
      );
      assert.ok(!JSON.stringify(origin.last.rawHeaders).includes("spoofed"));
      assert.deepEqual(["X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-For"].map(got), [
        `${host}:8443`,
        "http",
        "2001:db8::7",
      ]);
      assert.equal(got("Forwarded"), by === "URL" ? `for="[2001:db8::7]";host="${host}:8443";proto=http` : undefined);
      await ask({ "CF-Connecting-IP": "192.0.2.7" }, { tls: "TLSv1.3" });
      assert.deepEqual(["X-Forwarded-Proto", "X-Forwarded-For"].map(got), ["https", "192.0.2.7"]);
    });

    it("gets no field of the gate's, of Cloudflare's or with a credential in another spelling that it may read as one", async () => {
      const names = [
        "Keyward.Key.Id",
        "Keyward*Key*Id",
        "keyward_tenant",
        "X.Forwarded.For",
        "X.Original.URL",
        "CF_Connecting_IP",
        "CF_Connecting-IP",
        "Client-IP",
        "X-Forwarded",
        "Forwarded-For",
        "X-Original-For",
        "X-Remote-Addr",
        "Remote-User",
        "X.Remote.User",
      ];
      await ask({
        ...Object.fromEntries(names.map((name) => [name, "spoofed"])),
        "CF-Connecting-IP": "192.0.2.7",
        "CF-Ray": "kept",
        "X-Custom_Name": "kept",
      });
      assert.ok(!JSON.stringify(origin.last.rawHeaders).includes("spoofed"), JSON.stringify(origin.last.rawHeaders));
      assert.deepEqual([got("CF-Ray"), got("X-Custom_Name")], ["kept", "kept"]);
      for (const name of ["X_API_Key", "X.Api.Key", "X-API-Key"]) {
        for (const [target, own] of /** @type {[string, Record<string, string>][]} */ ([
          ["/open/x", {}],
          ["/keyed/x", { Authorization: `Bearer ${key}` }],
        ])) {
          assert.equal((await ask({ ...own, [name]: key }, { target })).status, 200);
          assert.ok(!JSON.stringify(origin.last.rawHeaders).includes(key), `${name} ${target}`);
        }
      }
    });

    it("gets the method that was decided on: a WebSocket is opened by GET alone", async () => {
      for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
        await ask(
          {
            Connection: "Upgrade",
            Upgrade: "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
          },
          { method, body: "hello" },
        );
        assert.deepEqual([origin.last.method, origin.last.body.toString()], [method, "hello"]);
      }
    });

    it("gets no field that is for the next server only, nor what Connection names", async () => {
      await ask([
        ["Connection", "close, X-Hop, x-other"],
        ["X-Hop", "hop"],
        ["X-Other", "hop"],
        ["Proxy-Authorization", "hop"],
        ["Proxy-Connection", "hop"],
        ["Proxy-Authenticate", "hop"],
        ["Keep-Alive", "hop"],
        ["TE", "hop"],
        ["Trailer", "hop"],
        ["X-Kept", "kept"],
      ]);
      assert.ok(!JSON.stringify(origin.last.rawHeaders).includes("hop"), JSON.stringify(origin.last.rawHeaders));
      assert.equal(got("X-Kept"), "kept");
      await ask({ Connection: 'close, Keyward-Request-Id, X-Forwarded-Host, Host, Content-Length, "x", é, ' });
      assert.ok(got("Keyward-Request-Id") && got("X-Forwarded-Host"), "the gate's own are none of the client's");
    });

    it("gets several Cookie lines as one, and commas in a cookie as they were", async () => {
      for (const [lines, joined] of /** @type {[string[], string][]} */ ([
        [["a=1", "b=2"], "a=1; b=2"],
        [["a=1; b=2", "c=3"], "a=1; b=2; c=3"],
        [['a={"x":1,"y":2}', "b=2"], 'a={"x":1,"y":2}; b=2'],
        [["a=1,b=2"], "a=1,b=2"],
        [["__Host-keyward-session=kws_x", "a=1"], "a=1"],
        [["a=1", "__Host-keyward-session=kws_x; b=2"], "a=1; b=2"],
        [["a=", "b"], "a=, b"],
        [['a="1, b=2"; c=3'], 'a="1, b=2"; c=3'],
      ])) {
        await ask(lines.map((line) => ["Cookie", line]));
        assert.equal(got("Cookie"), joined);
      }
    });

    it("gets what is meant for it in Authorization, where the gate asks for nothing, and no credential of ours", async () => {
      for (const own of [
        "Basic dXNlcjpwYXNz",
        'Digest username="a", uri="/"',
        "Bearer another-servers-token",
        "AWS4-HMAC-SHA256 Credential=a, Signature=b",
      ]) {
        await ask({ Authorization: own });
        assert.equal(got("Authorization"), own);
      }
      for (const ours of [
        `Bearer ${key}`,
        `bearer ${key}`,
        key,
        `Token ${key}`,
        `Basic ${Buffer.from(`${key}:`).toString("base64")}`,
      ]) {
        await ask({ Authorization: ours });
        assert.equal(got("Authorization"), undefined, ours.slice(0, 8));
      }
      const keyed = await ask({ Authorization: `Bearer ${key}` }, { target: "/keyed/x" });
      assert.deepEqual([keyed.status, got("Authorization")], [200, undefined]);
    });

    it("names itself in an answer's fields and the client reads the host that it asked", async () => {
      const public_ = `http://${host}`;
      for (const [name, given, expected] of [
        ["Location", `${ORIGIN}/next?a=b#c`, `${public_}/next?a=b#c`],
        ["Location", `${ORIGIN}`, public_],
        ["Location", `${ORIGIN.replace("http", "HTTP")}/next`, `${public_}/next`],
        ["Location", `//127.0.0.1:${PORT}/next`, `${public_}/next`],
        ["Refresh", `.5 url=${ORIGIN}/next`, `.5 url=${public_}/next`],
        ["Operation-Location", `${ORIGIN}/jobs/1`, `${public_}/jobs/1`],
        [
          "WWW-Authenticate",
          `Bearer resource_metadata="${ORIGIN}/.well-known/x"`,
          `Bearer resource_metadata="${public_}/.well-known/x"`,
        ],
        ["Location", `${ORIGIN}\\next`, `${public_}\\next`],
        ["Content-Location", `${ORIGIN}/files/1`, `${public_}/files/1`],
        ["Refresh", `5; url=${ORIGIN}/next`, `5; url=${public_}/next`],
        [
          "Link",
          `<${ORIGIN}/x?page=2>; rel="next", <https://elsewhere.example/>; rel="x", <${ORIGIN}/x?page=9>; rel="last"`,
          `<${public_}/x?page=2>; rel="next", <https://elsewhere.example/>; rel="x", <${public_}/x?page=9>; rel="last"`,
        ],
      ]) {
        const answer = await answered({ [name]: given });
        assert.equal(answer.header(name), by === "URL" ? expected : given);
      }
      for (const other of [
        "/next",
        `next?x=${ORIGIN}`,
        "https://elsewhere.example/x",
        "http://127.0.0.1:18199/x",
        "https://127.0.0.1/x",
        "http://127.0.0.1/x",
        `http://127.0.0.1.evil.example:${PORT}/x`,
        `http://user@127.0.0.1:${PORT}/x`,
        "?x",
        "",
      ]) {
        assert.equal((await answered({ Location: other })).header("location") ?? "", other);
      }
    });

    it("adds to Vary what it likes, and nothing stands there twice", async () => {
      const headers = { Authorization: `Bearer ${key}` };
      for (const [given, expected] of [
        [undefined, "authorization"],
        ["Accept", "Accept, authorization"],
        ["Accept, Authorization", "Accept, Authorization"],
        ["accept, Accept", "Accept, authorization"],
        ["*", "*"],
      ]) {
        origin.answer = { status: 200, headers: given === undefined ? {} : { vary: given }, body: "x" };
        const answer = await ask(headers, { target: "/keyed/x" });
        assert.deepEqual(answer.all("vary"), [expected], given);
      }
    });

    it("answers with fields for the next server only, which the client does not get", async () => {
      const answer = await answered([
        ["Connection", "X-Hop"],
        ["X-Hop", "hop"],
        ["Keep-Alive", "hop"],
        ["Proxy-Authenticate", "hop"],
        ["Proxy-Connection", "hop"],
        ["TE", "hop"],
        ["Trailer", "hop"],
        ["X-Kept", "kept"],
      ]);
      assert.ok(!JSON.stringify(answer.rawHeaders).includes("hop"), JSON.stringify(answer.rawHeaders));
      assert.equal(answer.header("x-kept"), "kept");
      const cookies = [
        ["Set-Cookie", "a=1"],
        ["Set-Cookie", "__Host-keyward-session=x; Path=/"],
        ["Set-Cookie", "b=2"],
      ];
      assert.deepEqual((await answered(cookies)).all("set-cookie"), ["a=1", "b=2"], "none of the gate's own");
      assert.equal(
        (await answered({ "Alt-Svc": 'h2="elsewhere.example:443"' })).header("alt-svc"),
        undefined,
        "a way past the gate",
      );
    });

    it("without [realm.cors] answers preflights and says itself who may read", async () => {
      origin.answer = {
        status: 204,
        headers: {
          "access-control-allow-origin": "https://app.example",
          "access-control-allow-credentials": "true",
          "access-control-allow-headers": "x",
        },
      };
      const preflight = await ask(
        { Origin: "https://app.example", "Access-Control-Request-Method": "PUT" },
        { method: "OPTIONS" },
      );
      assert.deepEqual(
        [
          preflight.status,
          preflight.header("access-control-allow-origin"),
          preflight.header("access-control-allow-credentials"),
        ],
        [204, "https://app.example", "true"],
      );
      assert.equal(got("Access-Control-Request-Method"), "PUT");
    });
  });
}

describe("a request to an invalid host", () => {
  /** @type {Gate} */
  let gate;
  before(async () => {
    gate = await startGate({ policy: "e2e" });
  });
  after(() => gate?.stop());

  it("is 400 wherever it goes, the gate's own paths too", async () => {
    for (const host of [
      "user@open.test",
      "u:p@open.test",
      "@open.test",
      "open.test:99999",
      "open.test:65536",
      "open test",
      "open.test:x",
      "",
      "open.test,other.test",
    ]) {
      for (const target of ["/open/x", "/healthz", "/console/api/session", "/console/page/"]) {
        const answer = await gate.send({ host, target });
        assert.equal(answer.status, 400, `${host} ${target}: ${answer.status} ${answer.text}`);
      }
    }
    assert.equal(gate.origin.requests.length, 0);
  });
});

describe("CORS of a realm", () => {
  /** @type {Gate} */
  let gate;
  before(async () => {
    gate = await startGate();
  });
  after(() => gate?.stop());
  beforeEach(() => gate.origin.reset());

  it("is the policy's: what the origin says is removed, but for what it exposes", async () => {
    gate.origin.answer = {
      status: 200,
      body: "x",
      headers: {
        "access-control-allow-origin": "https://evil.example",
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "x",
        "access-control-allow-headers": "x",
        "access-control-max-age": "9",
        "access-control-expose-headers": "X-Total, ratelimit",
      },
    };
    for (const headers of [{ Origin: "https://app.example" }, {}]) {
      const answer = await gate.send({ target: "/api/public/x", headers });
      // A cache may give this answer to a page that asks later.
      assert.deepEqual(answer.all("access-control-allow-origin"), ["*"]);
      for (const name of ["credentials", "methods", "headers"])
        assert.equal(answer.header(`access-control-allow-${name}`), undefined, name);
      assert.equal(answer.header("access-control-max-age"), undefined);
      const exposed = answer.header("access-control-expose-headers").split(", ");
      assert.deepEqual(exposed, [
        "X-Total",
        "ratelimit",
        "WWW-Authenticate",
        "Retry-After",
        "RateLimit-Policy",
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
        "X-Request-Id",
        "Keyward-Request-Id",
      ]);
    }
  });
});
