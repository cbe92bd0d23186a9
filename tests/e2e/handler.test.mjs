// An origin in the same Worker: what it is given, what it may answer, and what it sees of a request that does not come to
// its end.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { handled } from "./harness/policies.mjs";
import { begin, CHUNKED, GET_LENGTH, LENGTH } from "./harness/raw.mjs";
import { bearer } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";

/** A gate until the end of the test. */
async function started(t, options) {
  const gate = await startGate(options);
  t.after(() => gate.stop());
  return gate;
}

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

  it("gets what the platform tells of the client, and what follows from the method, with a body or without", async (t) => {
    const { document } = await handled("default");
    const origin = `async (request) => Response.json({
      method: request.method, country: request.cf?.country, redirect: request.redirect, agent: request.headers.get("user-agent"), body: await request.text(),
    })`;
    const gate = await started(t, { document, origin });
    const headers = { "MF-CF-Blob": JSON.stringify({ country: "XK" }), "User-Agent": "me/1" };
    const told = { country: "XK", redirect: "manual", agent: "me/1" };
    for (const [method, body] of [["GET"], ["GET", "hello"], ["PATCH", "hello"], ["DELETE"]]) {
      const request = { method, target: "/api/public/x", headers, body };
      assert.deepEqual((await gate.send(request)).json(), { method, ...told, body: body ?? "" });
    }
  });

  it("502 if it throws, rejects, or returns anything but a Response, and the log says so", async (t) => {
    const { document } = await handled("default");
    const gate = await started(t, {
      document,
      origin: `(request) => {
      const how = new URL(request.url).searchParams.get("how");
      if (how === "throws") throw new Error("thrown by the handler");
      if (how === "throws text") throw "timed out";
      if (how === "throws no text") throw Object.create(null);
      if (how === "throws much") throw new Error("of https://user:s3cret@id.test/?token=s3cret\\r\\n".repeat(10000));
      if (how === "rejects") return Promise.reject(new Error("rejected by the handler"));
      return how === "text" ? "timed out" : undefined;
    }`,
    });
    for (const [how, why] of [
      ["throws", "thrown by the handler"],
      ["throws text", "threw timed out"],
      ["throws no text", "something that has no text"],
      ["throws much", "threw Error: of https://id.test/ of https://id.test/"],
      ["rejects", "rejected by the handler"],
      ["text", "something else"],
      ["nothing", "something else"],
    ]) {
      const answer = await ask(gate, { target: `/api/public/x?how=${encodeURIComponent(how)}` });
      assert.deepEqual([answer.status, answer.json().code], [502, "ORIGIN_UNREACHABLE"], how);
      assert.ok(!answer.text.includes("by the handler"), "not for strangers");
      await gate.logged('"event":"origin"', why);
    }
    await gate.allLogged();
    for (const { message } of gate.logs) assert.ok(message.length < 2_000 && !message.includes("s3cret"), message);
  });

  it("an origin of another type is an error at startup that names it", async () => {
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

/** Reads the request's body, after `wait`, and notes what comes of it under its query; asked for `/open/seen`, tells that. */
const READER = `((seen) => async (request, env, context) => {
  const { pathname, search } = new URL(request.url);
  if (pathname === "/open/seen") return Response.json(seen);
  seen[search] = "waits";
  const note = (what) => (seen[search] = what);
  const reading = (async () => {
    const reader = request.body.getReader();
    for (let text = ""; ; ) {
      const { done, value } = await reader.read();
      if (done) return "ended after " + text;
      note("read " + (text += new TextDecoder().decode(value)));
    }
  })();
  context.waitUntil(reading.then(note, () => note("failed")));
  await reading.catch(() => {});
  return new Response("read");
})({})`;

describe("a handler that reads a body", async () => {
  const { document } = await handled("e2e");
  for (const [method, head, part] of [
    ["POST in chunks", CHUNKED, "5\r\nhello\r\n"],
    ["POST with a length", LENGTH, "hello"],
    ["GET with a length", GET_LENGTH, "hello"],
  ]) {
    for (const [how, end, status] of /** @type {[string, (socket: import("node:net").Socket) => void, number?][]} */ ([
      ["stalls", () => {}, 408],
      ["is broken off", (socket) => socket.end()],
      ["is reset", (socket) => socket.resetAndDestroy()],
    ])) {
      it(`sees an error, not its end, where it ${how}: ${method}`, async (t) => {
        const gate = await started(t, { document, origin: READER });
        const seen = async () =>
          (await gate.send({ host: "hasty-client-bound.test", target: "/open/seen" })).json()[""];
        const client = begin(gate.url, "hasty-client-bound.test", `${head}${part}`);
        t.after(() => client.socket.destroy());
        await waitFor("the beginning at the handler", async () => /hello|failed/.test(await seen()));
        end(client.socket);
        if (status) await waitFor("the answer", () => client.status === status);
        await waitFor("the error at the handler", async () => (await seen()) === "failed");
      });
    }
  }
});
