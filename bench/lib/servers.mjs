// The processes that are measured, each with the keys that its requests need and with what it has to refuse: a gate that
// lets through what it is compared for refusing would only seem fast.

import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

import { check } from "../../scripts/lib/check.mjs";
import { root } from "../../scripts/lib/places.mjs";
import { Admin } from "../../tests/e2e/harness/admin.mjs";
import { freePort, ServerProcess } from "./process.mjs";
import { startWorkerd } from "./workerd.mjs";

const worker = (name) => join(root, "bench/workers", `${name}.js`);
const built = (name) => join(root, "build", name);

const ORIGIN = { modules: { "hello.js": worker("hello") } };
const KV = { modules: { "kv.js": worker("kv") } };

/** How many keys there are for requests with a key that no isolate knows: more than are sent in a run. */
const COLD_KEYS = 1_200;
/** How many of them are made at once: each waits for the disk. */
const AT_ONCE = 8;
/** Requests a minute that no run reaches. */
const PLENTY = 1_000_000;
/** As long as a key: for contestants that do not look at it, so that all are sent as many bytes. */
const NO_KEY = `kw_live_${"x".repeat(36)}`;

/**
 * @typedef {object} Options
 * @property {Record<string, string>} [externals] an origin over TCP
 * @property {boolean} [isCounting] counts what is asked for, and is not timed
 * @property {boolean} [isSigned] whether its origin gets `Keyward-Identity`
 * @property {boolean} [hasColdKeys] has keys for requests with a key that no isolate knows: making them takes a while
 */

/**
 * A worker in workers/ that looks at no key.
 * @param {string} name
 * @param {Options} [options]
 */
const plain = (name, { externals = {} } = {}) => {
  const hasOrigin = name !== "hello";
  return startWorkerd(
    {
      main: { modules: { "main.js": worker(name) }, ...(hasOrigin && { services: { ORIGIN: "origin" } }) },
      ...(hasOrigin && !externals.origin && { origin: ORIGIN }),
    },
    externals,
  );
};

/** Modules of a worker, or of the one that counts its calls. */
const modulesOf = (main, isCounting, more = {}) =>
  isCounting ? { "counting.js": worker("counting"), "contestant.js": main, ...more } : { "main.js": main, ...more };

const bearer = (key) => ({ Authorization: `Bearer ${key}` });

const ORDERS = "/api/orders";

/**
 * A gate in JavaScript: its records are written to KV.
 * @param {string} name
 * @param {Options} [options]
 */
async function javaScript(name, { externals = {}, isCounting = false, hasColdKeys = false } = {}) {
  const server = await startWorkerd(
    {
      main: {
        modules: modulesOf(worker(name), isCounting),
        services: { ORIGIN: "origin" },
        kv: { KEYS: "kv" },
        objects: { COUNTER: "Counter" },
      },
      kv: KV,
      ...(externals.origin ? {} : { origin: ORIGIN }),
    },
    externals,
  );
  const newKey = () => `kw_live_${randomBytes(18).toString("hex")}`;
  /** @type {Record<string, string>} */
  const all = {};
  const add = (more) => {
    const key = newKey();
    const record = { id: "key_1", tenant: "tenant-1", status: "active", scopes: ["orders:read"], limit: null, ...more };
    all[createHash("sha256").update(key).digest("hex")] = JSON.stringify(record);
    return key;
  };
  const keys = {
    limit: add({ limit: PLENTY }),
    noLimit: add({}),
  };
  const cold = Array.from({ length: hasColdKeys ? COLD_KEYS : 0 }, () => bearer(add({ limit: PLENTY })));
  const refusals = [
    { what: "no key", headers: {}, status: 401 },
    { what: "an unknown key", headers: bearer(newKey()), status: 401 },
    { what: "a revoked key", headers: bearer(add({ status: "revoked" })), status: 401 },
    { what: "a key without the scope", headers: bearer(add({ scopes: [] })), status: 403 },
    { what: "a key over its limit", headers: bearer(add({ limit: 0 })), status: 429 },
  ];
  const fill = async () => {
    await fetch(`${server.kv}/`, { method: "PUT", body: JSON.stringify(all) });
  };
  await fill();
  return { server, keys, coldKeys: cold, refusals, fill };
}

/** Files and bindings of the built gate. */
const gateWorker = (policy, secrets) => ({
  modules: { "keyward.js": built("keyward.js"), "keyward.wasm": built("keyward.wasm"), "policy.json": policy },
  services: { ORIGIN: "origin", FAILURES: "limiter" },
  kv: { KEYS: "kv" },
  objects: { KEY_GATE: "KeyGate", REGISTRY: "Registry", RELAY: "Relay" },
  texts: secrets,
});

const IDENTITY = '[realm.identity]\nissuer = "https://api.example.com"\njwks_path = "/api/jwks.json"\n';

/**
 * The policy of `bench/keyward.toml` as a file, and secrets.
 * @param {boolean} [isSigned] whether the origin gets `Keyward-Identity`
 */
async function configuration(isSigned = false) {
  const policy = join(mkdtempSync(join(tmpdir(), "keyward-bench-policy-")), "policy.json");
  const text = readFileSync(join(root, "bench/keyward.toml"), "utf8");
  writeFileSync(policy, await check("bench/keyward.toml", () => (isSigned ? `${text}\n${IDENTITY}` : text)));
  const secrets = {
    ...(isSigned && { KEYWARD_IDENTITY_KEY: randomBytes(32).toString("base64url") }),
    KEYWARD_SECRET: randomBytes(32).toString("base64url"),
    KEYWARD_SETUP_TOKEN: randomBytes(24).toString("base64url"),
  };
  return { policy, secrets };
}

/** The longest that the Registry may take to write to KV what it has acknowledged. */
const PUBLISHED_MS = 60_000;

/**
 * All that KV holds, once the Registry has published this many keys.
 * @param {string} kv
 * @param {number} keys
 * @returns {Promise<Record<string, string>>}
 */
async function published(kv, keys) {
  for (const began = performance.now(); ; ) {
    const all = await (await fetch(`${kv}/`)).json();
    if (Object.keys(all).length >= keys) return all;
    if (performance.now() - began > PUBLISHED_MS)
      throw new Error(`of ${keys} keys ${Object.keys(all).length} are in KV`);
    await setTimeout(50);
  }
}

const LIMITER = { modules: { "limiter.js": worker("limiter") } };

/**
 * The built gate, with the policy of `bench/keyward.toml`.
 * @param {Options} [options]
 */
async function keyward({ externals = {}, isCounting = false, isSigned = false, hasColdKeys = false } = {}) {
  const { policy, secrets } = await configuration(isSigned);
  const gate = gateWorker(policy, secrets);
  const server = await startWorkerd(
    {
      main: { ...gate, modules: modulesOf(built("worker.js"), isCounting, gate.modules) },
      kv: KV,
      limiter: LIMITER,
      ...(externals.origin ? {} : { origin: ORIGIN }),
    },
    externals,
  );
  const owner = await new Admin(server.url).setUp(secrets.KEYWARD_SETUP_TOKEN);
  let made = 0;
  const create = async (fields = {}) => {
    made += 1;
    const scopes = ["orders:read", "orders:write"];
    const rateLimit = { perMinute: PLENTY, perDay: null };
    const { plaintextKey, apiKey } = await owner.createKey({ scopes, rateLimit, ...fields });
    return { key: plaintextKey, id: apiKey.id };
  };
  const revoked = await create();
  await owner.revoke(revoked.id);
  const cold = [];
  const addCold = async () => {
    for (let left = COLD_KEYS / AT_ONCE; left > 0; left--) cold.push(bearer((await create()).key));
  };
  if (hasColdKeys) await Promise.all(Array.from({ length: AT_ONCE }, addCold));
  const { key: limit } = await create();
  const keys = {
    limit,
    noLimit: (await create({ rateLimit: null })).key,
    over: (await create({ rateLimit: { perMinute: null, perDay: 1 } })).key,
    scope: (await create({ scopes: ["orders:read"] })).key,
    revoked: revoked.key,
    // One character of the check is another one.
    forged: `${limit.slice(0, -1)}${limit.endsWith("0") ? "1" : "0"}`,
  };
  // Its one request of the day.
  await fetch(server.url + ORDERS, { headers: bearer(keys.over) });
  const refusals = [
    { what: "no key", headers: {}, status: 401 },
    { what: "a forged key", headers: bearer(keys.forged), status: 401 },
    { what: "a revoked key", headers: bearer(keys.revoked), status: 401 },
    { what: "a key without the scope", method: "POST", headers: bearer(keys.scope), status: 403 },
    { what: "a key over its limit", headers: bearer(keys.over), status: 429 },
  ];
  const all = await published(server.kv, made);
  const fill = async () => {
    await fetch(`${server.kv}/`, { method: "PUT", body: JSON.stringify(all) });
  };
  return { server, keys, coldKeys: cold, refusals, fill, owner };
}

/** The built gate with what tells how much memory it has; KV is another process. */
async function keywardForMemory() {
  const kv = await startWorkerd({ main: KV });
  const { policy, secrets } = await configuration();
  const { modules, ...gate } = gateWorker(policy, secrets);
  const own = {
    "memory.js": worker("memory"),
    "instances.js": worker("instances"),
    "contestant.js": built("worker.js"),
  };
  const server = await startWorkerd(
    { main: { ...gate, modules: { ...own, ...modules } }, limiter: LIMITER, origin: ORIGIN },
    { kv: new URL(kv.url).host },
  );
  return { server, kv, secrets };
}

/**
 * HAProxy as a gate in front of an origin over TCP: maps of digests, and a table that counts each key's requests. It
 * shows what a gate costs on a server of one's own; it has no scopes, and no keys but those that its files name.
 */
async function haproxy(origin) {
  const dir = mkdtempSync(join(tmpdir(), "keyward-bench-haproxy-"));
  const newKey = () => `kw_live_${randomBytes(18).toString("hex")}`;
  const [key, over] = [newKey(), newKey()];
  const [ids, limits] = [join(dir, "ids.map"), join(dir, "limits.map")];
  const digest = (text) => createHash("sha256").update(text).digest("hex");
  writeFileSync(ids, `${digest(key)} key_1\n${digest(over)} key_2\n`);
  writeFileSync(limits, `${digest(key)} ${PLENTY}\n${digest(over)} 0\n`);
  const port = await freePort();
  const config = join(dir, "haproxy.cfg");
  writeFileSync(
    config,
    `global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend gate
  bind 127.0.0.1:${port}
  stick-table type string len 64 size 100k expire 60s store http_req_rate(60s)
  http-request set-var(txn.digest) req.hdr(authorization),regsub("^Bearer ",""),sha2(256),hex,lower
  http-request set-var(txn.id) uuid
  http-request deny deny_status 401 hdr www-authenticate Bearer unless { var(txn.digest),map(${ids}) -m found }
  http-request track-sc0 var(txn.digest)
  http-request set-var(txn.limit) var(txn.digest),map_str_int(${limits})
  http-request deny deny_status 429 if { sc_http_req_rate(0),sub(txn.limit) gt 0 }
  http-request del-header authorization
  http-request set-header keyward-key-id %[var(txn.digest),map(${ids})]
  http-request set-header keyward-tenant tenant-1
  http-request set-header keyward-scopes orders:read
  http-request set-header x-request-id %[var(txn.id)]
  http-response set-header x-request-id %[var(txn.id)]
  default_backend origin
backend origin
  server origin ${origin}
`,
  );
  const proxy = new ServerProcess(`http://127.0.0.1:${port}`, "haproxy", ["-db", "-f", config]);
  const server = Object.assign(proxy, { origin: `http://${origin}`, kv: "", objects: "" });
  await server.restart();
  const refusals = [
    { what: "no key", headers: {}, status: 401 },
    { what: "an unknown key", headers: bearer(newKey()), status: 401 },
    { what: "a key over its limit", headers: bearer(over), status: 429 },
  ];
  return { server, keys: { limit: key }, refusals };
}

export { bearer, haproxy, javaScript, keyward, keywardForMemory, NO_KEY, ORDERS, plain, published };
