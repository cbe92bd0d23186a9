// Guesses, from outside: what is looked up for a network that keeps failing, and who beside it is not kept out. What each
// kind of guess costs is in crates/gate/tests/it/guesses.rs.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { bearer } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";
import { ask, newTenant, startSystems } from "./systems.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const SHOP = "shop.gw.example";
const GATEWAY = "gateway.gw.example";
const TLS = "TLSv1.3";
const LIMIT = 5;

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
before(async () => {
  /** @type {Admin} */
  let operator;
  ({ gate, operator } = await startSystems({ failures: { limit: LIMIT, period: 10 } }));
  ({ owner } = await newTenant(gate, operator, { name: "Shop", plan: "growth" }));
});
after(() => gate?.stop());
beforeEach(() => gate.origin.reset());

const code = (answer) => [answer.status, answer.json().code];
const newLink = async () => (await owner.must("POST", "/links", { url: `https://${SHOP}/checkout` })).token;
const follow = (token, from) =>
  ask(gate, SHOP, `/checkout?token=${token}`, { tls: TLS, headers: { "CF-Connecting-IP": from } });
const registryCalls = async () =>
  Object.values((await gate.objects.counts()).objects.Registry ?? {}).reduce((sum, { fetch = 0 }) => sum + fetch, 0);

describe("links that are over", () => {
  it("a few of them lock nobody out; many hold their network back from the Registry, and nobody else", async () => {
    const from = "192.0.2.21";
    const used = [];
    for (let i = 0; i < LIMIT + 30; i++) {
      used.push(await newLink());
      assert.equal((await follow(used.at(-1), "192.0.2.20")).status, 303);
    }
    const fresh = await newLink();
    await gate.objects.resetCounts();
    for (let i = 0; i < 50; i++) assert.deepEqual(code(await follow(used[0], from)), [401, "INVALID_LINK"]);
    assert.equal(await registryCalls(), 1, "whoever reloads one costs one call");
    for (let i = 1; i < LIMIT; i++) assert.deepEqual(code(await follow(used[i], from)), [401, "INVALID_LINK"]);
    assert.equal((await follow(await newLink(), from)).status, 303, "another link still works");

    await gate.stopClock();
    let answer;
    for (const link of used.slice(LIMIT)) answer = await follow(link, from);
    assert.deepEqual(code(answer), [429, "RATE_LIMITED"]);
    await gate.objects.resetCounts();
    for (let i = 0; i < 20; i++) assert.equal((await follow(used.at(-1), from)).status, 429);
    assert.equal(await registryCalls(), 0);

    const { plaintextKey } = await owner.must("POST", "/api-keys", { realm: "gw", name: "A neighbour's" });
    const byKey = await ask(gate, GATEWAY, "/v1/catalog", {
      tls: TLS,
      headers: { ...bearer(plaintextKey), "CF-Connecting-IP": from },
    });
    assert.equal(byKey.status, 200, "keys of that network pass");
    assert.equal((await follow(await newLink(), "192.0.2.22")).status, 303, "so do links of another");
    const wait = Number((await follow(fresh, from)).header("retry-after"));
    assert.ok(wait >= 1 && wait <= 10, String(wait));
    await gate.startClock();
    await gate.advance(wait * 1_000);
    assert.equal((await follow(fresh, from)).status, 303, "the wait is enough, and the link was not used up meanwhile");
  });
});

describe("the Registry that fails where links are followed", () => {
  it("is asked by those who sign in and are signed in as soon as it is well", async () => {
    const token = await newLink();
    await gate.objects.faults({ "Registry.fetch": { fail: true } });
    try {
      await waitFor("the gate to leave it alone", async () => {
        await gate.objects.resetCounts();
        assert.equal((await follow(token, "192.0.2.23")).status, 503);
        return (await registryCalls()) === 0;
      });
    } finally {
      await gate.objects.faults({ "Registry.fetch": null });
    }
    assert.equal((await owner.call("GET", "/session")).status, 200);
    assert.equal(
      (await gate.admin().call("POST", "/session", { email: "nobody@example.com", password: "a wrong passphrase 1" }))
        .status,
      401,
    );
    await waitFor("the link", async () => (await follow(token, "192.0.2.23")).status === 303);
  });
});
