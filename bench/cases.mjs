// What is measured: each case is a request to one of the servers, with the answer that it has to get.

import { bearer, haproxy, javaScript, keyward, NO_KEY, ORDERS, plain } from "./lib/servers.mjs";

/** @import { Request } from "./lib/wrk.mjs" */

/**
 * @typedef {object} Server
 * @property {Awaited<ReturnType<typeof plain>>} server
 * @property {Record<string, string>} [keys] none if it looks at none
 * @property {Record<string, string>[]} [coldKeys] header fields, each with a key that no isolate knows
 * @property {import("./lib/measure.mjs").Refusal[]} [refusals] what it has to refuse
 * @property {() => Promise<void>} [fill] writes its records to KV
 */

/**
 * @typedef {object} Case
 * @property {string} name
 * @property {string} what in a few words, for the table
 * @property {string} server whose process's time is read
 * @property {(has: Server) => Request} request
 * @property {number} status that each answer has
 * @property {string} [body] that each answer has
 * @property {number} [bytes] that each answer has at least
 * @property {boolean} [isCold] whether the process is started again before each run
 * @property {number} [connections]
 * @property {number} [seconds]
 */

const KIB = 1024;
const MIB = 1024 * KIB;
const FROM = { "CF-Connecting-IP": "192.0.2.1" };

/**
 * All servers, by name. `hello` is also what answers behind those whose origin is reached over TCP: a process of its own,
 * whose time does not count.
 * @type {Record<string, (externals: { origin?: string }) => Promise<Server>>}
 */
export const SERVERS = {
  hello: async () => ({ server: await plain("hello") }),
  bare: async () => ({ server: await plain("bare") }),
  strip: async () => ({ server: await plain("strip") }),
  "strip-fields": async () => ({ server: await plain("strip-fields") }),
  "js-tuned": () => javaScript("js-tuned"),
  // What is started again and again has a process of its own: the others stay warm.
  "js-tuned-cold": () => javaScript("js-tuned", { hasColdKeys: true }),
  hono: () => javaScript("hono"),
  keyward: () => keyward(),
  "keyward-identity": () => keyward({ isSigned: true }),
  "keyward-cold": () => keyward({ hasColdKeys: true }),
  "bare-tcp": async (externals) => ({ server: await plain("bare", { externals }) }),
  "strip-tcp": async (externals) => ({ server: await plain("strip", { externals }) }),
  "js-tuned-tcp": (externals) => javaScript("js-tuned", { externals }),
  haproxy: ({ origin }) => haproxy(origin),
  "keyward-tcp": (externals) => keyward({ externals }),
};

const get = (/** @type {string} */ key, path = ORDERS) => ({ path, headers: { ...FROM, ...bearer(key) } });
const post = (/** @type {string} */ key, bodyBytes = 0) => ({ ...get(key), method: "POST", bodyBytes });

/** A hot key with a limit; for those that look at none, as many bytes. */
const hot = (/** @type {Server} */ { keys }) => keys?.limit ?? NO_KEY;

const COLD = {
  what: "a new key each time",
  isCold: true,
  seconds: 1,
  request: (/** @type {Server} */ { coldKeys }) => ({ path: ORDERS, headers: FROM, turns: coldKeys }),
};

const ok = { status: 200, body: "ok" };

/** @type {Case[]} In the order of the table. */
export const CASES = [
  { name: "hello", what: "no origin", server: "hello", request: (has) => get(hot(has)), ...ok },
  { name: "bare", what: "forwards, and nothing else", server: "bare", request: (has) => get(hot(has)), ...ok },
  {
    name: "strip",
    what: "one field off, four on, one on the answer",
    server: "strip",
    request: (has) => get(hot(has)),
    ...ok,
  },
  {
    name: "strip-fields",
    what: "strip with the fields, the search for forged ones and the deadline of Keyward",
    server: "strip-fields",
    request: (has) => get(hot(has)),
    ...ok,
  },
  { name: "js-tuned", what: "hot key", server: "js-tuned", request: (has) => get(hot(has)), ...ok },
  {
    name: "js-tuned-unlimited",
    what: "hot key without a limit",
    server: "js-tuned",
    request: ({ keys }) => get(keys.noLimit),
    ...ok,
  },
  { name: "js-tuned-cold", server: "js-tuned-cold", ...COLD, ...ok },
  { name: "hono", what: "KV and an object each time", server: "hono", request: (has) => get(hot(has)), ...ok },
  { name: "keyward", what: "hot key", server: "keyward", request: (has) => get(hot(has)), ...ok },
  {
    name: "keyward-unlimited",
    what: "hot key without a limit",
    server: "keyward",
    request: ({ keys }) => get(keys.noLimit),
    ...ok,
  },
  {
    name: "keyward-public",
    what: "public route",
    server: "keyward",
    request: () => ({ path: "/api/public/x", headers: FROM }),
    ...ok,
  },
  {
    name: "keyward-identity",
    what: "hot key, and the origin gets Keyward-Identity",
    server: "keyward-identity",
    request: (has) => get(hot(has)),
    ...ok,
  },
  { name: "keyward-cold", server: "keyward-cold", ...COLD, ...ok },
  {
    name: "keyward-forged",
    what: "401, a made-up key",
    server: "keyward",
    request: ({ keys }) => get(keys.forged),
    status: 401,
  },
  {
    name: "keyward-revoked",
    what: "401, a revoked key",
    server: "keyward",
    request: ({ keys }) => get(keys.revoked),
    status: 401,
  },
  {
    name: "keyward-none",
    what: "401, no key",
    server: "keyward",
    request: () => ({ path: ORDERS, headers: FROM }),
    status: 401,
  },
  {
    name: "keyward-scope",
    what: "403, a scope that is missing",
    server: "keyward",
    request: ({ keys }) => post(keys.scope),
    status: 403,
  },
  {
    name: "keyward-over",
    what: "429, over its limit",
    server: "keyward",
    request: ({ keys }) => get(keys.over),
    status: 429,
  },
  ...["bare", "keyward"].flatMap((server) => [
    {
      name: `${server}-64k-down`,
      what: "64 KiB to the client",
      server,
      request: (/** @type {Server} */ has) => get(hot(has), `${ORDERS}/64k`),
      status: 200,
      bytes: 64 * KIB,
    },
    {
      name: `${server}-64k-up`,
      what: "64 KiB to the origin",
      server,
      request: (/** @type {Server} */ has) => post(hot(has), 64 * KIB),
      status: 200,
      body: `${64 * KIB}`,
    },
    {
      name: `${server}-5m-down`,
      what: "5 MiB to the client",
      server,
      request: (/** @type {Server} */ has) => get(hot(has), `${ORDERS}/5m`),
      status: 200,
      bytes: 5 * MIB,
      connections: 4,
    },
    {
      name: `${server}-5m-up`,
      what: "5 MiB to the origin",
      server,
      request: (/** @type {Server} */ has) => post(hot(has), 5 * MIB),
      status: 200,
      body: `${5 * MIB}`,
      connections: 4,
    },
  ]),
  ...[
    { name: "bare-tcp", what: "forwards, origin over TCP" },
    { name: "strip-tcp", what: "strip, origin over TCP" },
    { name: "js-tuned-tcp", what: "hot key, origin over TCP" },
    { name: "haproxy", what: "hot key, origin over TCP" },
    { name: "keyward-tcp", what: "hot key, origin over TCP" },
  ].map(({ name, what }) => ({
    name,
    what,
    server: name,
    request: (/** @type {Server} */ has) => get(hot(has)),
    ...ok,
  })),
];

/** Ratios of two cases, and the most that the first may cost. */
export const GOALS = [
  { one: "keyward", to: "strip", goal: 1.15 },
  { one: "keyward", to: "strip-fields", goal: 1.15 },
  { one: "keyward", to: "js-tuned", goal: 1 },
  { one: "keyward-public", to: "strip", goal: 1.05 },
  { one: "keyward-forged", to: "bare", goal: 0.65 },
  { one: "keyward-revoked", to: "bare", goal: 0.65 },
  { one: "keyward-scope", to: "bare", goal: 0.65 },
  { one: "keyward-over", to: "bare", goal: 0.65 },
  { one: "keyward-none", to: "bare", goal: 0.65 },
  { one: "keyward-cold", to: "js-tuned-cold", goal: 1 },
  { one: "keyward", to: "hono", goal: 0.33 },
];
