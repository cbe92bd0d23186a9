// The entry module: which policy it takes, what it does after a panic, and an origin in the same Worker.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { documentOf, handled, startGate } from "./harness/gate.mjs";
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
    ["of another format", right.replace('"format":1', '"format":2'), /format 2/],
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

describe("after a panic", () => {
  const events = (gate, event) => gate.logs.filter(({ message }) => message.includes(`"event":"${event}"`)).length;

  it("the gate starts over: that request gets nothing, the next ones are answered", async (t) => {
    const gate = await started(t);
    const { plaintextKey } = await (await gate.owner()).createKey();
    const use = () => gate.send({ target: "/api/orders", headers: bearer(plaintextKey) });
    assert.equal((await use()).status, 200);
    for (let round = 1; round <= 2; round++) {
      gate.origin.reset();
      await gate.isolates[0].trap();
      const answer = await use();
      assert.ok(answer.status >= 500, String(answer.status));
      assert.equal(gate.origin.requests.length, 0);
      assert.equal((await use()).status, 200);
      assert.deepEqual([events(gate, "panic"), events(gate, "started over")], [round, round]);
    }
  });

  it("objects are made anew from what is stored, and limits go on", async (t) => {
    const gate = await started(t);
    const admin = await gate.owner();
    await gate.stopClock();
    const { plaintextKey, apiKey } = await admin.createKey({ rateLimit: { perMinute: 2, perDay: null } });
    const use = () => gate.send({ target: "/api/orders", headers: bearer(plaintextKey) });
    assert.equal((await use()).status, 200);
    await gate.objects.trap();
    assert.equal((await use()).status, 503);
    assert.equal(events(gate, "panic"), 1);
    assert.deepEqual([(await use()).status, (await use()).status], [200, 429]);
    assert.equal((await admin.must("GET", `/api-keys/${apiKey.id}`)).apiKey.id, apiKey.id);
    assert.equal(events(gate, "started over"), 1);
  });
});

describe("an origin in the same Worker", () => {
  const ask = (gate, request) => gate.send({ target: "/api/public/x?a=b", ...request });

  for (const [what, origin] of [
    ["a function", "(request, env, context) => answer(request, env, context)"],
    ["an object with fetch", "{ fetch: (request, env, context) => answer(request, env, context) }"],
    [
      "one of several, by its name",
      "{ other: () => new Response('other'), app: { fetch: (request, env, context) => answer(request, env, context) } }",
    ],
    [
      "a class",
      "class { constructor(context, env) { Object.assign(this, { context, env }); } fetch(request) { return answer(request, this.env, this.context); } }",
    ],
  ]) {
    it(`is called with request, env and context: ${what}`, async (t) => {
      const answer = `(request, env, context) => {
        context.waitUntil(Promise.resolve());
        return request.text().then((body) => Response.json({ method: request.method, url: request.url, body, bound: "KEYS" in env, fields: Object.fromEntries(request.headers) }));
      }`;
      const { document } = await handled("default");
      const gate = await started(t, { document, origin: `((answer) => (${origin}))(${answer})` });
      const { plaintextKey } = await (await gate.owner()).createKey({ scopes: ["orders:write"] });
      const got = (
        await gate.send({ method: "POST", target: "/api/orders?a=b", headers: bearer(plaintextKey), body: "hello" })
      ).json();
      assert.deepEqual(
        [got.method, new URL(got.url).pathname, got.body, got.bound],
        ["POST", "/api/orders", "hello", true],
      );
      assert.equal(got.fields.authorization, undefined);
      assert.ok(got.fields["keyward-key-id"]);
      assert.equal((await gate.send({ target: "/api/orders" })).status, 401);
      assert.equal(gate.origin.requests.length, 0);
      assert.equal((await gate.send({ target: "/readyz" })).status, 200);
    });
  }

  it("502 where it throws, rejects, or answers with something else, and the log says so", async (t) => {
    const { document } = await handled("default");
    const gate = await started(t, {
      document,
      origin: `(request) => {
      const how = new URL(request.url).searchParams.get("how");
      if (how === "throws") throw new Error("thrown by the handler");
      if (how === "throws text") throw "timed out";
      if (how === "throws no text") throw Object.create(null);
      if (how === "rejects") return Promise.reject(new Error("rejected by the handler"));
      return how === "text" ? "timed out" : undefined;
    }`,
    });
    for (const [how, why] of [
      ["throws", "thrown by the handler"],
      ["throws text", "threw timed out"],
      ["throws no text", "something that has no text"],
      ["rejects", "rejected by the handler"],
      ["text", "something else"],
      ["nothing", "something else"],
    ]) {
      const answer = await ask(gate, { target: `/api/public/x?how=${encodeURIComponent(how)}` });
      assert.deepEqual([answer.status, answer.json().code], [502, "ORIGIN_UNREACHABLE"], how);
      assert.ok(!answer.text.includes("by the handler"), "not for strangers");
      await gate.logged('"event":"origin"', why);
    }
  });

  it("does not start with what is no origin, and says which", async () => {
    const { document } = await handled("default");
    for (const [origin, which] of /** @type {[string, RegExp][]} */ ([
      ["'https://x.test'", /origin is neither/],
      ["{ app: {} }", /origin\.app is neither/],
      ["null", /origin is neither/],
    ])) {
      await assert.rejects(
        startGate({ document, origin }).then((gate) => gate.stop()),
        which,
        origin,
      );
    }
  });
});
