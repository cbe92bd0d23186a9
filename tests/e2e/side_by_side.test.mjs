// The five systems in one deployment, each on its own hosts: nothing of one means anything in another.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { bearer } from "./harness/traffic.mjs";
import { Jwks, newSigner } from "./issuer.mjs";
import { ask, newTenant, startSystems } from "./systems.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const inHeader = (key) => ({ "X-API-Key": key });

/** One request to each realm that its key may make. */
const REALMS = {
  bd: { host: "app.bd.example", target: "/api/inventory/1", proof: bearer, scopes: ["inventory:read"] },
  gw: { host: "gateway.gw.example", target: "/v1/catalog", proof: bearer, scopes: [] },
  bs: { host: "api.bs.example", target: "/graphql", method: "POST", proof: inHeader, scopes: [] },
  bp: { host: "acme.bp.example", target: "/api/v1/products", proof: inHeader, scopes: ["products:read"] },
  kb: { host: "kb.example", target: "/api/v1/products", proof: bearer, scopes: ["products:read"] },
};
const IDS = Object.keys(REALMS);
const OTHERS = IDS.flatMap((from) => IDS.filter((to) => to !== from).map((to) => [from, to]));

/** @type {Gate} */
let gate;
/** @type {Admin} */
let operator;
let acme, other;
before(async () => {
  ({ gate, operator } = await startSystems());
  acme = await withKeys({ name: "Acme", code: "acme", plan: "integrations" });
  other = await withKeys({ name: "Other", code: "other", plan: "integrations" });
});
after(() => gate?.stop());
beforeEach(() => gate.origin.reset());

/** A tenant with a key of each realm: `{ tenant, owner, keys: { bd: { apiKey, plaintextKey } … } }`. */
async function withKeys(fields) {
  const made = await newTenant(gate, operator, fields);
  const keys = {};
  for (const realm of IDS)
    keys[realm] = await made.owner.must("POST", "/api-keys", {
      realm,
      name: `Of ${realm}`,
      scopes: REALMS[realm].scopes,
    });
  return { ...made, keys };
}

/** What a realm answers, over TLS, to its own request with these headers. */
function send(realm, headers, more = {}) {
  const { host, target, method = "GET" } = REALMS[realm];
  return ask(gate, host, target, { method, tls: "TLSv1.3", headers, ...more });
}
const use = (realm, key, more) => send(realm, REALMS[realm].proof(key), more);
const told = (answer) => [answer.status, answer.json().code];

test("a key opens its own realm and is unknown in every other one, where it is not even looked up", async () => {
  for (const realm of IDS) assert.equal((await use(realm, acme.keys[realm].plaintextKey)).status, 200, realm);
  gate.origin.reset();
  await gate.isolates[0].resetCounts();
  for (const [from, to] of OTHERS) {
    const { plaintextKey } = acme.keys[from];
    assert.deepEqual(told(await use(to, plaintextKey)), [401, "INVALID_API_KEY"], `${from} in ${to}`);
    // As its own realm's clients would send it.
    assert.equal((await send(to, REALMS[from].proof(plaintextKey))).status, 401, `${from} in ${to}`);
  }
  assert.equal(gate.origin.requests.length, 0);
  assert.deepEqual((await gate.isolates[0].counts()).kv, {});
});

test("a scope of one realm cannot be granted in another that does not have it", async () => {
  const { realms } = await acme.owner.must("GET", "/realms");
  const catalogue = Object.fromEntries(realms.map(({ id, scopes }) => [id, scopes.map(({ name }) => name)]));
  const areas = (realm) => [...new Set(catalogue[realm].map((name) => `${name.split(":")[0]}:*`))];
  let tried = 0;
  for (const [from, to] of OTHERS) {
    const foreign = [...catalogue[from], ...areas(from)].filter(
      (name) => ![...catalogue[to], ...areas(to)].includes(name),
    );
    if (!foreign.length) continue;
    tried += 1;
    const fields = foreign.map((_, i) => `scopes[${i}]`);
    await acme.owner.invalid(fields, "POST", "/api-keys", { realm: to, name: "Foreign", scopes: foreign });
    const patch = { scopes: [...REALMS[to].scopes, foreign[0]] };
    await acme.owner.invalid(
      [`scopes[${patch.scopes.length - 1}]`],
      "PATCH",
      `/api-keys/${acme.keys[to].apiKey.id}`,
      patch,
    );
  }
  // All pairs but those from the realm without scopes, which has none to give.
  assert.equal(tried, OTHERS.length - (IDS.length - 1));
});

test("every refusal is in its own realm's name and words", async () => {
  const WORDS = {
    bs: { UNKNOWN: "Unknown API key", REVOKED: "API key is revoked or expired", MALFORMED: "Invalid API key format" },
  };
  for (const realm of IDS) {
    const { apiKey, plaintextKey } = await acme.owner.must("POST", "/api-keys", {
      realm,
      name: "Revoked",
      scopes: REALMS[realm].scopes,
    });
    assert.equal((await use(realm, plaintextKey)).status, 200);
    await acme.owner.revoke(apiKey.id);
    await gate.advance(5_000);
    const last = plaintextKey.at(-2) === "A" ? "B" : "A";
    for (const [cause, key, code] of [
      ["REVOKED", plaintextKey, "REVOKED_API_KEY"],
      ["UNKNOWN", `${plaintextKey.slice(0, -2)}${last}${plaintextKey.at(-1)}`, "INVALID_API_KEY"],
      ["MALFORMED", "another-kind-of-key", "INVALID_API_KEY"],
    ]) {
      const answer = await use(realm, key);
      assert.deepEqual(told(answer), [401, code], realm);
      assert.match(answer.header("www-authenticate"), new RegExp(`realm="${realm}"`));
      const own = WORDS[realm]?.[cause];
      if (own) assert.equal(answer.json().detail, own);
      else assert.ok(!Object.values(WORDS.bs).includes(answer.json().detail), `${realm}: ${answer.text}`);
    }
  }
  // The same cause, under two spellings in two realms.
  const away = { allowedIps: ["198.51.100.0/24"], name: "Away", scopes: ["inventory:read"] };
  const here = await acme.owner.must("POST", "/api-keys", { realm: "bd", ...away });
  const there = await acme.owner.must("POST", "/api-keys", { realm: "bd-other-spelling", ...away });
  assert.deepEqual(told(await use("bd", here.plaintextKey)), [403, "IP_RESTRICTED"]);
  const elsewhere = await ask(gate, "other.bd.example", "/api/inventory/1", { headers: bearer(there.plaintextKey) });
  assert.deepEqual(told(elsewhere), [403, "IP_RESTRICTION"]);
});

test("tenants see and use only what is their own, in every realm", async () => {
  const listed = async ({ owner }, realm) => (await owner.must("GET", `/api-keys?realm=${realm}`)).apiKeys;
  for (const realm of IDS) {
    const { apiKey, plaintextKey } = other.keys[realm];
    assert.ok((await listed(other, realm)).some(({ id }) => id === apiKey.id));
    for (const key of await listed(acme, realm)) assert.deepEqual([key.tenantId, key.realm], [acme.tenant.id, realm]);
    const path = `/api-keys/${apiKey.id}`;
    await acme.owner.refused([404, "NOT_FOUND"], "GET", path);
    await acme.owner.refused([404, "NOT_FOUND"], "PATCH", path, { name: "Mine" });
    await acme.owner.refused([404, "NOT_FOUND"], "POST", `${path}/revoke`, {});
    // Only one of the realms has a host for each tenant: there another's key is unknown.
    const answer = await use(realm, plaintextKey);
    if (realm === "bp") {
      assert.deepEqual(told(answer), [401, "INVALID_API_KEY"]);
      assert.equal((await use(realm, plaintextKey, { host: "other.bp.example" })).status, 200);
    } else {
      assert.equal(answer.status, 200, realm);
    }
    assert.equal(gate.origin.last.headers["keyward-tenant"][0], other.tenant.id);
  }
});

test("a token, a session, a link and a key of the policy mean nothing beside their own realm", async () => {
  const issuer = await newSigner("ES256", "side-by-side");
  new Jwks(gate, "https://id.bs.example/.well-known/jwks.json").publish(issuer);
  const now = Math.floor(gate.now() / 1000);
  const token = await issuer.sign({
    iss: "https://id.bs.example",
    aud: "https://api.bs.example",
    sub: "user-7",
    tenant_id: acme.tenant.id,
    iat: now,
    exp: now + 600,
  });
  const newLink = () => acme.owner.must("POST", "/links", { url: "https://shop.gw.example/checkout" });
  const atShop = (target, headers = {}) => send("gw", headers, { host: "shop.gw.example", target });
  const link = await newLink();
  const entered = await atShop(`/checkout?token=${link.token}`);
  const Cookie = entered.header("set-cookie").split(";")[0];
  const agent = "gw-agent-key-for-tests-5f1c8d9a2b7e4063";

  assert.equal((await send("bs", bearer(token))).status, 200);
  assert.equal((await atShop("/checkout", { Cookie })).status, 200);
  assert.equal((await use("gw", agent)).status, 200);
  gate.origin.reset();

  const { token: fresh } = await newLink();
  for (const realm of IDS) {
    const { target } = REALMS[realm];
    if (realm !== "bs") assert.equal((await use(realm, token)).status, 401, `the token in ${realm}`);
    assert.deepEqual(told(await send(realm, { Cookie })), [401, "MISSING_AUTHORIZATION"], `the cookie in ${realm}`);
    if (realm !== "gw") {
      assert.equal((await use(realm, agent)).status, 401, `the policy's key in ${realm}`);
      assert.ok(
        [400, 401].includes((await send(realm, {}, { target: `${target}?token=${fresh}` })).status),
        `the link in ${realm}`,
      );
    }
    // What signs people in at the admin side opens no realm.
    assert.equal((await use(realm, acme.owner.token)).status, 401, `the admin's session in ${realm}`);
  }
  assert.equal(gate.origin.requests.length, 0);
  assert.equal((await atShop(`/checkout?token=${fresh}`)).status, 303, "nobody used it up");
});
