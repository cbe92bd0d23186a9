// `/readyz`: whether all that the gate needs is there. Anybody learns whether, an operator what.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import { root } from "../../scripts/lib/places.mjs";
import { startGate } from "./harness/gate.mjs";
import { handled } from "./harness/policies.mjs";
import { begin } from "./harness/raw.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { Fault } from "../../types/e2e.js" */

const ready = (gate, headers) => gate.send({ target: "/readyz", headers });
const setUp = (gate) => ({ Authorization: `Setup ${gate.secrets.KEYWARD_SETUP_TOKEN}` });
/** The parts that are at fault, as an operator sees them. */
const faults = async (gate) =>
  Object.fromEntries(
    Object.entries((await ready(gate, setUp(gate))).json().parts).filter(([, found]) => found !== "ok"),
  );

describe("a gate that has all it needs", () => {
  it("says ok to anybody, each part to an operator, and asks the stores once in five seconds", async (t) => {
    const gate = await startGate();
    t.after(() => gate.stop());
    await gate.stopClock();
    const answer = await ready(gate);
    assert.deepEqual([answer.status, answer.json()], [200, { status: "ok" }]);
    assert.equal(answer.header("cache-control"), "no-store");
    const parts = {
      secrets: "ok",
      kv: "ok",
      jurisdiction: "ok",
      keyGate: "ok",
      registry: "ok",
      relay: "ok",
      failures: "ok",
      page: "ok",
      origins: "ok",
      limitsByNetwork: "ok",
    };
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    assert.deepEqual((await ready(gate, setUp(gate))).json(), { status: "ok", parts, version });
    const owner = await gate.owner();
    assert.deepEqual((await ready(gate, { Authorization: `Bearer ${owner.token}` })).json(), {
      status: "ok",
      parts,
      version,
    });

    for (const [what, headers] of /** @type {[string, Record<string, string>][]} */ ([
      ["a wrong token", { Authorization: `Setup ${"x".repeat(32)}` }],
      ["no session", { Authorization: "Bearer kws_x" }],
      ["a scheme", { Authorization: "Basic eDp5" }],
    ])) {
      assert.deepEqual((await ready(gate, headers)).json(), { status: "ok" }, what);
    }
    await Promise.all([gate.isolates[0].resetCounts(), gate.objects.resetCounts()]);
    await gate.advance(5_000);
    await Promise.all(Array.from({ length: 50 }, () => ready(gate)));
    const { KeyGate, Registry } = (await gate.objects.counts()).objects;
    assert.deepEqual(
      [(await gate.isolates[0].counts()).kv, KeyGate, Registry],
      [{ get: 1 }, { readyz: { fetch: 1 } }, { registry: { fetch: 1 } }],
    );
    assert.ok(
      !(await gate.storedObjects()).some(
        ({ className, tables }) => className === "KeyGate" && Object.values(tables).flat().length,
      ),
      "nothing is stored for it",
    );

    assert.equal((await gate.send({ method: "POST", target: "/readyz" })).status, 405);
    const head = await gate.send({ method: "HEAD", target: "/readyz" });
    assert.deepEqual([head.status, head.text], [200, ""]);
    assert.equal(gate.origin.requests.length, 0);
  });

  it("goes on checking when whoever asked hangs up, and the next one is told what it found", async (t) => {
    const gate = await startGate();
    t.after(() => gate.stop());
    await gate.stopClock(); // what was found holds for five seconds
    const asked = async () => (await gate.objects.counts()).objects.Registry?.registry?.fetch ?? 0;
    await gate.objects.faults({ "Registry.fetch": { lagMs: 1_000, times: 1 } });
    const client = begin(gate.url, new URL(gate.url).host, "GET /readyz HTTP/1.1\r\nHost: HOST\r\n\r\n");
    await waitFor("the check", async () => (await asked()) === 1);
    client.socket.destroy();
    assert.deepEqual([(await ready(gate)).status, await asked()], [200, 1]);
  });

  it("does nothing more for whoever shows what is no operator's, and says nothing more", async (t) => {
    const gate = await startGate();
    t.after(() => gate.stop());
    const owner = await gate.owner();
    const { plaintextKey } = await owner.createKey({ scopes: ["admin:read"] });
    await gate.stopClock();
    await ready(gate);
    await Promise.all([gate.isolates[0].resetCounts(), gate.objects.resetCounts()]);
    for (const shown of [`kws_${"A".repeat(43)}`, plaintextKey, `kw_live_${"A".repeat(36)}`]) {
      assert.deepEqual((await ready(gate, { Authorization: `Bearer ${shown}` })).json(), { status: "ok" });
    }
    assert.deepEqual([(await gate.objects.counts()).objects, (await gate.isolates[0].counts()).kv], [{}, {}]);
  });

  it("leaves in the list of sessions what a session was used with", async (t) => {
    const gate = await startGate();
    t.after(() => gate.stop());
    const owner = await gate.owner();
    await gate.advance(6 * 60_000);
    const headers = { Authorization: `Bearer ${owner.token}`, "User-Agent": "a monitor" };
    assert.equal((await ready(gate, headers)).json().parts.kv, "ok");
    assert.deepEqual(
      (await owner.must("GET", "/sessions")).sessions.map(({ userAgent }) => userAgent),
      ["a monitor"],
    );
  });
});

describe("a gate that lacks something", () => {
  for (const [part, fault, worker] of /** @type {[string, Record<string, Fault>, string?][]} */ ([
    ["kv", { "kv.get": { fail: true } }],
    ["keyGate", { "KeyGate.fetch": { fail: true } }, "objects"],
    ["registry", { "Registry.fetch": { fail: true } }, "objects"],
  ])) {
    it(`503 when this fails: ${part}; and 200 when it works again`, async (t) => {
      const gate = await startGate();
      t.after(() => gate.stop());
      const isolate = worker ? gate.objects : gate.isolates[0];
      await isolate.faults(fault);
      const answer = await ready(gate);
      assert.deepEqual([answer.status, answer.json()], [503, { status: "unavailable" }]);
      assert.ok(answer.header("retry-after"));
      assert.deepEqual(Object.keys(await faults(gate)), [part]);
      assert.equal((await gate.send({ target: "/healthz" })).status, 200, "the Worker runs");
      await gate.logged('"event":"not ready"', part);
      await isolate.faults(Object.fromEntries(Object.keys(fault).map((name) => [name, null])));
      await gate.advance(5_000);
      assert.equal((await ready(gate)).status, 200);
    });
  }

  it("503 with a secret that is too short or missing, which the operator and the log are told by name", async (t) => {
    for (const KEYWARD_SECRET of ["hush", undefined]) {
      const gate = await startGate({ secrets: { KEYWARD_SECRET } });
      t.after(() => gate.stop());
      assert.equal((await ready(gate)).status, 503);
      assert.match((await faults(gate)).secrets, /^KEYWARD_SECRET /);
      const [message] = await gate.logged('"event":"not ready"');
      assert.ok(message.includes("KEYWARD_SECRET") && !message.includes("hush"));
    }
  });

  it("503 with a set-up token that can be guessed, which opens nothing here either, until there is an owner", async (t) => {
    const KEYWARD_SETUP_TOKEN = "passwordpassword1234";
    const gate = await startGate({ secrets: { KEYWARD_SETUP_TOKEN } });
    t.after(() => gate.stop());
    const answer = await ready(gate, { Authorization: `Setup ${KEYWARD_SETUP_TOKEN}` });
    assert.deepEqual([answer.status, answer.json()], [503, { status: "unavailable" }]);
    const [message] = await gate.logged('"event":"not ready"');
    assert.ok(
      message.includes("KEYWARD_SETUP_TOKEN can be guessed") && !message.includes(KEYWARD_SETUP_TOKEN),
      message,
    );
    const { code } = (
      await gate.admin().call("POST", "/setup", {
        token: KEYWARD_SETUP_TOKEN,
        email: "a@example.com",
        password: "a long enough password",
      })
    ).json();
    assert.equal(code, "NOT_CONFIGURED");
  });

  it("503 with a Registry whose database is of a newer build", async (t) => {
    const gate = await startGate();
    t.after(() => gate.stop());
    await gate.owner();
    await gate.kill();
    gate.alterObjects("Registry", "INSERT INTO migrations (number) VALUES (99)");
    await gate.restart();
    assert.equal((await ready(gate)).status, 503);
    assert.match((await faults(gate)).registry, /has schema \d+, this build knows \d+/);
    assert.equal((await gate.send({ target: "/healthz" })).status, 200, "the Worker runs");
  });

  it("503 without the origin that the policy names", async (t) => {
    const gate = await startGate({ unbound: ["ORIGIN"] });
    t.after(() => gate.stop());
    assert.equal((await ready(gate)).status, 503);
    assert.deepEqual(await faults(gate), { origins: "the binding ORIGIN is missing" });
  });

  it("503 without the handler that the policy names", async (t) => {
    const { document } = await handled("default");
    const gate = await startGate({ document, origin: "{ other: () => new Response() }" });
    t.after(() => gate.stop());
    assert.equal((await ready(gate)).status, 503);
    assert.deepEqual(await faults(gate), {
      origins: "the handler app is missing: the entry module gives keyward none",
    });
    const answer = await gate.send({ target: "/api/public/x" });
    assert.deepEqual([answer.status, answer.json().code], [503, "NOT_CONFIGURED"]);
    await gate.logged("the handler is missing");
  });
});
