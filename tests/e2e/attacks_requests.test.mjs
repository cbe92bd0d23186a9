// What an attacker would try to have the gate decide on another request than the one that the origin gets, one test for
// each promise that is attacked. `docs/threat-model.md` says what is promised.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { attacker } from "./attacks.mjs";
import { startGate } from "./harness/gate.mjs";
import { bearer } from "./harness/traffic.mjs";

/** @import { Gate } from "./harness/gate.mjs" */

describe("a request that is to be read in two ways", () => {
  /** @type {Gate} */
  let gate;
  /** @type {string} */
  let key;
  before(async () => {
    gate = await startGate();
    const owner = await gate.owner();
    ({ plaintextKey: key } = await owner.createKey({ rateLimit: { perMinute: 1000 } }));
  });
  after(() => gate?.stop());
  beforeEach(() => gate.origin.reset());

  const { ask, stopped } = attacker(() => gate);

  it("lets no client tell the origin another method or path than the gate decided on", async () => {
    const names = [
      "X-HTTP-Method-Override",
      "X-HTTP-Method",
      "X-Method-Override",
      "X-Original-URL",
      "X-Rewrite-URL",
      "X_HTTP_METHOD_OVERRIDE",
    ];
    assert.equal(
      (await ask({ headers: { ...bearer(key), ...Object.fromEntries(names.map((name) => [name, "DELETE"])) } })).status,
      200,
    );
    assert.ok(!JSON.stringify(gate.origin.last.rawHeaders).includes("DELETE"));
    gate.origin.reset();
    await stopped({ method: "POST", headers: { ...bearer(key), "X-HTTP-Method-Override": "GET" } }, [403]);
    for (const method of ["get", "pOsT", "FOO", "CONNECT", "PROPFIND", "TRACE", "GET\u000b"]) {
      await stopped({ method, headers: bearer(key) }, [400, 403, 404, 405, 500, 501]);
    }
  });

  it("lets no spelling of a path reach a protected one through a public one", async () => {
    const spellings = [
      "/api/public/../orders",
      "/api/public/%2e%2e/orders",
      "/api/public/.%2e/orders",
      "/api/public/..%2forders",
      "/api/public/..%5corders",
      "/api/public\\..\\orders",
      "/api/public/..;/orders",
      "/api/public/..;x=1/orders",
      "/api/public/%2e%2e;/orders",
      "/api/public/%252e%252e/orders",
      "/api/public/%25252e%25252e%25252forders",
      "/api/public//../orders",
      "//api/public/../orders",
      "/api/public/./../orders",
      "/api/public/x/../../orders",
      "/api/public/%c0%ae%c0%ae/orders",
      "/api/public/%00/../orders",
      "/api/public/\t../orders",
      "/api/public/%0d%0aGET%20/api/orders",
      "/api/public/x%2f..%2f..%2forders",
      "/api/%6frders",
      "/%61pi/orders",
      "/api/orders/",
      "/api/orders;public",
      "/api/orders%3f",
      "/api/orders%23",
      "/API/orders",
      "/api/Orders",
      "/api/orders#/api/public/x",
      "/api/orders?/api/public/x",
      "http://x/api/orders",
      "http://x/api/public/../orders",
      "https://api/public/x/api/orders",
      "*",
      "/",
      "/api",
      "/api/",
      "/api/public",
      "api/public/x",
      "/api/admin/../orders",
      "/admin/../api/orders",
      "/healthz/../api/orders",
      "/healthz/",
      "/healthz;/api/orders",
      "/admin%2f..%2fapi/orders",
    ];
    for (const target of spellings) {
      const answer = await ask({ target });
      const reached = gate.origin.requests.map(({ url }) => url);
      assert.deepEqual(reached, [], `${target}: ${answer.status}`);
    }
  });

  it("decides on the very host and path that it forwards, whatever the Host header holds", async () => {
    for (const host of [
      "evil/api/public/x?",
      "evil/api/public/x#",
      "evil?/api/public/",
      "user:pass@evil",
      "evil/..",
      "evil\\api\\public",
      "a b",
      "a,b",
      "[::1]:1",
      "evil.",
      "EVIL:99999",
      "evil#",
      "\u00e9vil",
    ]) {
      const answer = await ask({ host }); // /api/orders without a key
      for (const { url } of gate.origin.requests)
        assert.match(url, /^\/api\/public\//, `${host}: ${url} passed without a key`);
      assert.ok(answer.status >= 400 || gate.origin.requests.length, `${host}: ${answer.status}`);
      gate.origin.reset();
    }
  });

  it("agrees with the origin where a request ends", async () => {
    const smuggled = "0\r\n\r\nGET /api/orders/smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    for (const headers of [
      [
        ["Transfer-Encoding", "chunked"],
        ["Content-Length", "4"],
      ],
      [
        ["Content-Length", "4"],
        ["Transfer-Encoding", "chunked"],
      ],
      [["Transfer-Encoding", "xchunked"]],
      [["Transfer-Encoding", "chunked, identity"]],
      [["Transfer-Encoding", " chunked"]],
      [
        ["Content-Length", "4"],
        ["Content-Length", "0"],
      ],
      [["Content-Length", "+4"]],
      [["Content-Length", "4, 4"]],
      [["Content-Length", "-1"]],
      [["Content-Length", "0x4"]],
    ]) {
      await gate
        .send({ method: "POST", target: "/api/public/x", headers, body: smuggled, timeoutMs: 2000 })
        .catch(() => {});
      for (const { url } of gate.origin.requests) assert.equal(url, "/api/public/x", JSON.stringify(headers));
      gate.origin.reset();
    }
  });
});
