// The client's bytes go on: paths, queries and header values as they were sent, whether the origin is a service
// binding or a URL. What cannot go on as it is, is refused.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { after, before, beforeEach, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { originPort } from "./harness/policies.mjs";

/** @import { Gate } from "./harness/gate.mjs" */

/** An origin that keeps each request as the bytes that came. */
async function startRecorder(port) {
  const requests = [];
  const server = createServer((socket) => {
    let text = "";
    socket
      .on("error", () => {})
      .on("data", (chunk) => {
        text += chunk.toString("latin1");
        const end = text.indexOf("\r\n\r\n");
        if (end < 0) return;
        const [line, ...fields] = text.slice(0, end).split("\r\n");
        requests.push({
          target: line.replace(/^\S+ /, "").replace(/ HTTP\/1\.1$/, ""),
          fields: fields.map((field) => field.split(/: ?(.*)/s).slice(0, 2)),
        });
        text = "";
        socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
      });
  });
  server.listen(port ?? 0, "127.0.0.1");
  await once(server, "listening");
  return {
    requests,
    address: `127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}`,
    stop: () => server.close(),
  };
}

const printable = Array.from({ length: 0x7e - 0x21 + 1 }, (_, i) => String.fromCharCode(0x21 + i)).filter(
  (character) => character !== "#",
);
const bytes = Array.from({ length: 256 }, (_, i) => `%${i.toString(16).padStart(2, "0")}`);

/** Targets of which each part is as odd as a client can send it. */
const TARGETS = [
  ...printable.flatMap((character) => [`/open/a${character}b`, `/open/x?a=${character}b`, `/open/x?${character}`]),
  ...bytes.flatMap((encoded) => [`/open/a${encoded}b`, `/open/x?a=${encoded}b`, `/open/x?${encoded.toUpperCase()}`]),
  "/",
  "/?",
  "/??",
  "/?&",
  "/?=",
  "/open/?",
  "/open/x?",
  "/open/x??y",
  "/open/x?a=b?c=d",
  "/open/x?/../y",
  "/open/x?..",
  "/open/x?//",
  "/open/",
  "/open/x?%",
  "/open/x?%zz",
  "/open/x?a=%2",
  "/open/x?a=b&&c",
  "/open/x?a&b&c",
  "/open/x?&&&",
  "/open/x?a==b",
  "/open/x?a=1&a=2",
  "/open/x?b&a",
  "/open/x?A=b&a=B",
  "/open/x?%C3%A9=%e2%82%ac",
  "/open/x?a=+b+",
  "/open/x?filter[name]='x'",
  "/open/x?$filter=name%20eq%20'Milk'",
  '/open/x?q={"a":1}',
  "/open/x?a=^|`",
  "/open/x?a=<b>",
  "/open/x;v=1",
  "/open/x;v=1/y;w=2",
  "/open/(x)",
  "/open/x,y",
  "/open/x:y",
  "/open/@x",
  "/open/~x",
  "/open/x=y&z",
  "/open/x!y$z",
  "/open/x'y'",
  '/open/x"y"',
  "/open/x{y}",
  "/open/[x]",
  "/open/x|y",
  "/open/x^y",
  "/open/%41",
  "/open/%7E",
  "/open/a%20b",
  "/open/%e2%82%ac",
  "/open/%E2%82%AC",
  "/open/a.b",
  "/open/.a",
  "/open/a..b",
  "/open/...a",
  "/open/a.",
  `/open/${"a".repeat(4000)}`,
  `/open/x?${"a=b&".repeat(1000)}`,
  "/open/x?url=https://a.example/b?c=d%26e",
  "/open/x?a=\u00e9",
  "/open/\u00e9",
  "/open/x?sig=ab%2Bcd%2F%3D",
  "/open/x?X-Amz-Signature=abc&X-Amz-Credential=a%2Fb",
];

const VALUES = [
  "caf\u00e9",
  "\u00c3\u00a9\u00e2\u0082\u00ac",
  "a  b",
  "a\tb",
  "a,b",
  "a, b",
  "a;b",
  '"a"',
  "a\\b",
  "'",
  "{}",
  "%20",
  "\u00ff\u00fe",
  "=?utf-8?B?w6k=?=",
  "a".repeat(8000),
  "0",
  "-",
  'W/"x"',
  "bytes=0-1",
];

for (const [by, host, port] of /** @type {[string, string, number | undefined][]} */ ([
  ["service binding", "open.test", undefined],
  ["URL", "raw.test", originPort(18182)],
])) {
  describe(`by ${by}`, () => {
    /** @type {Gate} */
    let gate;
    let origin;
    before(async () => {
      origin = await startRecorder(port);
      gate = await startGate({ policy: "e2e", originAddress: origin.address });
    });
    after(async () => {
      await gate?.stop();
      origin?.stop();
    });
    beforeEach(() => {
      origin.requests.length = 0;
    });

    it(`each of ${TARGETS.length} paths and queries goes on byte for byte, or is refused`, async () => {
      let passed = 0;
      for (const target of TARGETS) {
        origin.requests.length = 0;
        const answer = await gate.send({ host, target });
        if (answer.status === 400) {
          assert.equal(origin.requests.length, 0, target);
          continue;
        }
        assert.deepEqual(
          [answer.status, origin.requests.map((request) => request.target)],
          [200, [Buffer.from(target).toString("latin1")]],
          target,
        );
        passed++;
      }
      // Control characters, encoded slashes and the like are refused; hardly anything else is.
      assert.ok(passed > TARGETS.length * 0.8, `${passed} of ${TARGETS.length}`);
    });

    it("header values go on byte for byte, each line of a repeated one, names as they were written", async () => {
      for (const value of VALUES) {
        origin.requests.length = 0;
        const headers = [
          ["X-Odd-Name", Buffer.from(value, "latin1")],
          ["x-second", "1"],
          ["X-Third", Buffer.from(value, "latin1")],
        ];
        assert.equal((await gate.send({ host, target: "/open/x", headers })).status, 200, value);
        const sent = origin.requests[0].fields;
        for (const name of ["X-Odd-Name", "X-Third"])
          assert.deepEqual(
            sent.filter(([given]) => given.toLowerCase() === name.toLowerCase()).map(([, given]) => given),
            [value],
            value,
          );
      }
      const twice = [
        ["X-Twice", "one, two"],
        ["X-Twice", "three"],
      ];
      await gate.send({ host, target: "/open/x", headers: twice });
      assert.deepEqual(
        origin.requests
          .at(-1)
          .fields.filter(([name]) => name === "X-Twice")
          .map(([, value]) => value)
          .join(", "),
        "one, two, three",
      );
    });

    it("no field of the client's changes but those that docs/origin.md names, and none is added but those", async () => {
      const fields = {
        Accept: "a/b;q=0.5, */*",
        "Accept-Encoding": "identity",
        "Accept-Language": "de",
        "Cache-Control": "max-age=0",
        "Content-Language": "de",
        Cookie: "a=1; b=2",
        DNT: "1",
        "If-Match": '"x"',
        "If-Modified-Since": "Sat, 29 Oct 1994 19:43:31 GMT",
        "If-None-Match": 'W/"x"',
        Origin: "https://app.example",
        Pragma: "x",
        Priority: "u=1",
        Range: "bytes=0-99",
        Referer: "https://app.example/x",
        "Sec-Fetch-Site": "none",
        Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        Tracestate: "a=1",
        "User-Agent": "odd/1.0 (x)",
        "X-Request-Id": "theirs",
        "X-Custom_Name": "y",
        Via: "1.1 other",
        Authorization: "Basic dXNlcjpwYXNz",
      };
      for (const more of [{}, { "Accept-Encoding": "gzip" }, { Range: "bytes=5-" }]) {
        origin.requests.length = 0;
        const sent = { ...fields, ...more };
        assert.equal((await gate.send({ host, target: "/open/x", headers: sent })).status, 200);
        const got = Object.fromEntries(origin.requests[0].fields.map(([name, value]) => [name.toLowerCase(), value]));
        for (const [name, value] of Object.entries(sent)) assert.equal(got[name.toLowerCase()], value, name);
        const added = Object.keys(got).filter(
          (name) => !Object.keys(sent).some((given) => given.toLowerCase() === name),
        );
        // CF-Worker is the platform's own word on requests that leave it.
        assert.deepEqual(
          added.filter((name) => name !== "cf-worker").sort(),
          [
            "host",
            "keyward-request-id",
            "x-forwarded-host",
            "x-forwarded-proto",
            ...(by === "URL" ? ["forwarded"] : []),
          ].sort(),
        );
      }
      origin.requests.length = 0;
      await gate.send({ host, target: "/open/x" });
      const bare = origin.requests[0].fields.map(([name]) => name.toLowerCase());
      for (const name of ["accept-encoding", "cache-control", "pragma", "accept"])
        assert.ok(!bare.includes(name), name);
    });

    it("the origin is asked for the encodings that the client takes, whatever the platform asks for by itself", async () => {
      for (const [client, expected] of [
        ["identity", "identity"],
        ["gzip;q=0.5", "gzip;q=0.5"],
        ["", undefined],
      ]) {
        origin.requests.length = 0;
        // As Cloudflare hands a request to a Worker; the socket that takes it is the runtime's own.
        const cf = JSON.stringify({ clientAcceptEncoding: client });
        await gate.send({ host, target: "/open/x", headers: { "Accept-Encoding": "br, gzip", "MF-CF-Blob": cf } });
        assert.equal(
          origin.requests[0].fields.find(([name]) => name.toLowerCase() === "accept-encoding")?.[1],
          expected,
          client,
        );
      }
    });

    it("GET and HEAD with a length of 0 or an empty body have none, and a body whose length is said goes on", async () => {
      for (const method of ["GET", "HEAD"]) {
        for (const [
          headers,
          body,
          framing,
        ] of /** @type {[Record<string, string>, string | undefined, string | undefined][]} */ ([
          [{ "Content-Length": "0" }, undefined, undefined],
          [{ "Transfer-Encoding": "chunked" }, "0\r\n\r\n", undefined],
          [{ "Content-Length": "3" }, "abc", "3"],
        ])) {
          origin.requests.length = 0;
          const answer = await gate.send({ host, method, target: "/open/x", headers, body });
          const got = origin.requests[0]?.fields.find(([name]) =>
            /^(content-length|transfer-encoding)$/i.test(name),
          )?.[1];
          assert.deepEqual(
            [answer.status, origin.requests.length, got],
            [200, 1, framing],
            JSON.stringify([method, headers, body]),
          );
        }
        origin.requests.length = 0;
        const chunked = await gate.send({
          host,
          method,
          target: "/open/x",
          headers: { "Transfer-Encoding": "chunked" },
          body: "3\r\nabc\r\n0\r\n\r\n",
        });
        assert.deepEqual([chunked.status, origin.requests.length], [411, 0], "the runtime would drop it");
      }
    });
  });
}
