// The entry module: which policy it takes.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { documentOf } from "./harness/policies.mjs";
import { bearer } from "./harness/traffic.mjs";

/** A gate until the end of the test. */
async function started(t, options) {
  const gate = await startGate(options);
  t.after(() => gate.stop());
  return gate;
}

describe("a policy that cannot be read", async () => {
  const right = await documentOf("default");
  for (const [what, document, why] of [
    ["of another format", right.replace('"format":2', '"format":1'), /format 1/],
    [
      "with another hash",
      right.replace(/"sha256":"./, (begin) => begin.replace(/.$/, (digit) => (digit === "0" ? "1" : "0"))),
      /hash/,
    ],
    ["that was changed by hand", right.replace("/api/orders", "/api/border"), /hash/],
    ["that breaks off", right.slice(0, -10), /not a document/],
    ["that is other JSON", '{"realm":[]}', /not a document/],
    ["that is a list", "[]", /not a document/],
    ["that is nothing", "", /not a document/],
  ]) {
    it(`503 to every request, and the log says why once: one ${what}`, async (t) => {
      assert.notEqual(document, right);
      const gate = await started(t, { document });
      for (const target of [
        "/api/public/x",
        "/api/orders",
        "/api/admin/api-keys",
        "/admin/",
        "/readyz",
        "/elsewhere",
      ]) {
        const answer = await gate.send({ target, headers: bearer("kw_live_x") });
        assert.deepEqual([answer.status, answer.json().code], [503, "NOT_CONFIGURED"], target);
        assert.match(answer.header("content-type"), /problem\+json/);
      }
      assert.equal(gate.origin.requests.length, 0);
      // The gate's isolate, and the one of the objects.
      const [told] = await gate.loggedTimes(2, '"event":"policy unreadable"');
      assert.match(told, why);
    });
  }
});
