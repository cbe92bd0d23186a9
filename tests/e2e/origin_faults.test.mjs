// What an origin may answer that is odd, or no HTTP at all, byte for byte, by a service binding and by a URL: it passes, or
// it is a 502 that says that the origin may have done what was asked. It is never a 500, which says that nothing was let through.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { after, before, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { originPort } from "./harness/policies.mjs";

/** @import { Gate } from "./harness/gate.mjs" */

const PORT = originPort(18186); // of the realm "faults"

const head = (status, ...fields) => [`HTTP/1.1 ${status}`, ...fields, "", ""].join("\r\n");
const LENGTH = "Content-Length: 1";
const OK = (...fields) => `${head("200 OK", ...fields)}x`;

const INVALID = Object.fromEntries(
  ["600 X", "700 X", "999 X"]
    .map((status) => [status, `${head(status, LENGTH)}x`])
    .concat([
      ["101 unasked", head("101 X", "Upgrade: websocket", "Connection: Upgrade")],
      ["101 alone", head("101 X")],
    ]),
);

const NO_HTTP = {
  ...Object.fromEntries(
    ["0 X", "000 X", "99 X", "099 X", "1000 X", "-1 X", "abc X", "", "200 a\x01b"].map((status) => [
      `status ${JSON.stringify(status)}`,
      `${head(status, LENGTH)}x`,
    ]),
  ),
  "100 alone": head("100 Continue"),
  "103 alone": head("103 Early Hints", "Link: </a>; rel=preload"),
  "HTTP/0.9": "<html>hello</html>",
  "HTTP/2": "HTTP/2.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
  "HTTP/2's preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  nothing: "",
  "half a head": "HTTP/1.1 200 OK\r\nX-",
  "lengths that differ": OK("Content-Length: 1", "Content-Length: 2"),
  ...Object.fromEntries(
    ["-1", "+1", "abc", "99999999999999999999999"].map((length) => [
      `length ${length}`,
      OK(`Content-Length: ${length}`),
    ]),
  ),
  "a field without a colon": OK("foo", LENGTH),
  "a space in a field's name": OK("foo bar: x", LENGTH),
  "a space after a field's name": OK("foo : x", LENGTH),
  "a field without a name": OK(": x", LENGTH),
  "a name beyond ASCII": OK("\xc3\xa9: x", LENGTH),
  "NUL in a value": OK("X-A: a\0b", LENGTH),
  "CR in a value": OK("X-A: a\rb", LENGTH),
  "a folded field": OK("X-A: a\r\n b", LENGTH),
};

const PASSES = {
  "HTTP/1.0": ["HTTP/1.0 200 OK\r\n\r\nx", 200, "x"],
  "no text beside the status": [`${head("200", LENGTH)}x`, 200, "x"],
  "an empty text beside the status": [`${head("200 ", LENGTH)}x`, 200, "x"],
  "a status that nobody has named": [`${head("599 X", LENGTH)}x`, 599, "x"],
  ...Object.fromEntries(
    [100, 102, 103, 150].map((status) => [
      `${status} before it`,
      [head(`${status} X`, "Link: </a>; rel=preload") + OK(LENGTH), 200, "x"],
    ]),
  ),
  ...Object.fromEntries(
    [204, 205, 304].flatMap((status) => [
      [`${status} with a body`, [`${head(`${status} X`, LENGTH)}x`, status, ""]],
      [
        `${status} with chunks`,
        [`${head(`${status} X`, "Transfer-Encoding: chunked")}1\r\nx\r\n0\r\n\r\n`, status, ""],
      ],
    ]),
  ),
  "more than the length": [`${OK(LENGTH)}yz`, 200, "x"],
  "the same length twice": [OK(LENGTH, LENGTH), 200, "x"],
  "a length beside chunks": [`${head("200 OK", LENGTH, "Transfer-Encoding: chunked")}1\r\nx\r\n0\r\n\r\n`, 200, "x"],
  "chunks in other case": [`${head("200 OK", "Transfer-Encoding: Chunked")}1\r\nx\r\n0\r\n\r\n`, 200, "x"],
  "a large field": [OK(`X-A: ${"a".repeat(100_000)}`, LENGTH), 200, "x"],
  "many fields": [OK(...Array.from({ length: 2000 }, (_, i) => `X-${i}: a`), LENGTH), 200, "x"],
  "an empty Location": [head("302 Found", "Location:", "Content-Length: 0"), 302, ""],
  "a Location that is no URL": [head("302 Found", "Location: http://[::bad/ x", "Content-Length: 0"), 302, ""],
  "two Locations": [head("302 Found", "Location: /a", "Location: /b", "Content-Length: 0"), 302, ""],
  "a Content-Encoding that nobody has": [OK("Content-Encoding: xyz", LENGTH), 200, "x"],
  "gzip that is none": [OK("Content-Encoding: gzip", LENGTH), 200, "x"],
  "a Set-Cookie that is none": [OK("Set-Cookie: \xff\xfe;;=", LENGTH), 200, "x"],
};

const BREAKS = {
  "less than the length": OK("Content-Length: 10"),
  "a chunk that is none": `${head("200 OK", "Transfer-Encoding: chunked")}zz\r\nx\r\n0\r\n\r\n`,
};

describe("an origin's odd answer", () => {
  /** @type {Gate} */
  let gate;
  let server, bytes, seen;
  before(async () => {
    server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => {
        seen++;
        if (bytes === undefined) return void socket.resetAndDestroy();
        socket.end(Buffer.from(bytes, "latin1"));
      });
    }).listen(PORT, "127.0.0.1");
    await once(server, "listening");
    gate = await startGate({ policy: "e2e", originAddress: `127.0.0.1:${PORT}` });
  });
  after(async () => {
    await gate?.stop();
    server.close();
  });

  for (const [by, host] of [
    ["a service binding", "open.test"],
    ["a URL", "faults.test"],
  ]) {
    const ask = (text) => {
      bytes = text;
      seen = 0;
      return gate.send({ host, target: "/open/x" });
    };
    const mayHave = async (text, name, code) => {
      const answer = await ask(text);
      assert.deepEqual([answer.status, answer.json().code, seen > 0], [502, code, true], `${name}: ${answer.text}`);
      assert.match(answer.json().detail, /Whether it did what was asked is not known/, name);
    };

    it(`by ${by} with a status that no answer has is 502 ORIGIN_INVALID`, async () => {
      for (const [name, text] of Object.entries(INVALID)) await mayHave(text, name, "ORIGIN_INVALID");
    });

    it(`by ${by} that is not HTTP is 502 ORIGIN_UNREACHABLE`, async () => {
      for (const [name, text] of [...Object.entries(NO_HTTP), ["a reset", undefined]])
        await mayHave(text, name, "ORIGIN_UNREACHABLE");
    });

    it(`by ${by} passes where HTTP can carry it`, async () => {
      for (const [name, [text, status, body]] of Object.entries(PASSES)) {
        const answer = await ask(text);
        assert.deepEqual([answer.status, answer.text], [status, body], name);
        assert.match(answer.header("x-request-id"), /^[0-9a-f]{32}$/, name);
      }
    });

    it(`by ${by} that breaks off does not end`, async () => {
      for (const [name, text] of Object.entries(BREAKS))
        await assert.rejects(ask(text), /ended before the answer did/, name);
    });
  }
});
