// What shows a policy at work: a key for the first realm that takes keys, and requests that pass, that
// lack something, and that are over the limit. Made from the policy as it is written.

import { randomUUID } from "node:crypto";

/** How many requests a minute: few, so that a person can reach the limit. */
const PER_MINUTE = 5;

/** How often making a key is tried. */
const TRIES = 5;

/** Stands for a key that is not known here. */
const SOME_KEY = "$KEY";

/** How long the key lives, in days, where keys have to end. */
const LIFE_DAYS = 30;
const DAY_MS = 86_400_000;
/** By how much the gate's clock may be behind. */
const CLOCK_MS = 60_000;

/**
 * For the first of these realms in which a key opens something, else for the first with a route: `realm`,
 * and requests: `open`, which needs nothing, and `closed`, which needs something. With a key, moreover
 * its `credential`; `scopes` and `plan` that it and its tenant need; `passes`, a request that they open, and the `units` that it counts as;
 * `lacks`, one that they do not. Of all requests there may be none.
 */
export function demoOf(realms) {
  const demos = realms.map((realm) => {
    const samples = (realm.route ?? []).map((route) => sample(realms, realm, route)).filter(Boolean);
    // A read, where there is one.
    const first = (requests) => requests.find(({ method }) => method === "GET") ?? requests[0];
    const demo = {
      realm,
      open: first(samples.filter(({ by }) => !by.length)),
      closed: first(samples.filter(({ by }) => by.length)),
    };
    // Among a WebSocket's subprotocols only where there is no other place.
    const places = realm.credentials?.filter(({ kind = "key" }) => kind === "key") ?? [];
    const credential = places.find((place) => !isSubprotocol(place)) ?? places[0];
    const opened = samples.filter(({ by }) => by.includes("key"));
    // What counts as most: a key's limit may not be below that.
    const most = Math.max(...opened.map(({ units }) => units));
    const passes = first(opened.filter(({ units }) => units === most));
    if (!credential || !passes) return demo;
    const {
      scopes,
      units,
      plans: [plan],
    } = passes;
    const held = withIncluded(realm, scopes);
    const lacks = opened.find(
      (request) =>
        !request.scopes.every((scope) => held.has(scope)) ||
        (request.plans.length > 0 && !request.plans.includes(plan)),
    );
    return { ...demo, credential, scopes, plan, units, passes, lacks };
  });
  return demos.find(({ passes }) => passes) ?? demos.find(({ open, closed }) => open ?? closed);
}

/** A request to this route, and what it needs. Nothing where another route or realm comes first. */
function sample(realms, realm, route) {
  const method = route.methods?.includes("GET") ? "GET" : (route.methods?.[0] ?? "GET");
  const path = pathOf(route.path);
  const host = hostOf(realm);
  if (realms.find((other) => hasHost(other, host) && other.paths.some((pattern) => matches(pattern, path))) !== realm)
    return undefined;
  if (realm.route.find((other) => (other.methods ?? [method]).includes(method) && matches(other.path, path)) !== route)
    return undefined;
  const needs = typeof route.requires === "object" ? route.requires : {};
  // Where a key and a token are needed, a key alone opens nothing.
  const { by = needs.all ? ["both"] : ["key"], scopes = [], plans = realm.plans ?? [] } = needs;
  const headers = needs.session_id ? { [realm.session_id_header]: "demo" } : {};
  if (route.requires === "public" || needs.optional) return { method, path, by: [], headers };
  const units = route.budget?.reserve ?? route.cost ?? 1;
  return { method, path, by: needs.webhook ? ["webhook"] : by, scopes, plans, units, headers };
}

/** A path of a pattern. */
const pathOf = (pattern) =>
  pattern
    .replaceAll(/\{[^}]*\}/g, "1")
    .replace(/\/\*$/, "/1")
    .replace(/\*$/, "");

/** Whether a path is of a pattern: the part of docs/matching.md, Paths, that plain paths need. */
const matches = (pattern, path) => {
  const literal = pattern.replaceAll(/[.+?^$()|[\]\\]/g, "\\$&");
  return new RegExp(`^${literal.replaceAll(/\{[^}]*\}/g, "[^/]+").replace(/\*$/, ".*")}$`).test(path);
};

/** A host of the realm's, for the tenant with this code; empty where every host is. */
function hostOf({ hosts: [host] }, code = "any") {
  return host === "*" ? "" : host.replace("{tenant}", code.toLowerCase()).replace("*", "any");
}

/** Whether a realm answers for such a host. */
const hasHost = ({ hosts }, host) =>
  hosts.some((pattern) => {
    const parent = pattern.match(/^(?:\*|\{tenant\})(\..+)$/)?.[1];
    return (
      pattern === "*" ||
      pattern.toLowerCase() === host.toLowerCase() ||
      (parent && host.toLowerCase().endsWith(parent.toLowerCase()))
    );
  });

/** These scopes and all that the realm's catalogue includes in them. */
function withIncluded(realm, scopes, held = new Set()) {
  for (const scope of scopes.filter((name) => !held.has(name))) {
    const entry = realm.scopes?.[scope];
    held.add(scope);
    // An entry may be its description alone.
    if (typeof entry === "object") withIncluded(realm, entry.includes ?? [], held);
  }
  return held;
}

/**
 * Makes the key, with the set-up token, which can do that until the first owner is: `{ key, host }`, or
 * `{ why, host }` there is none. `call(method, path, body, headers)` is of the admin API and gives `{ status, retryAfter, body }`.
 */
export async function makeDemoKey({ realm, passes, scopes, plan, units }, call) {
  const tenants = await call("GET", "/tenants");
  const tenant = tenants.body.tenants?.[0];
  const host = hostOf(realm, tenant?.code);
  const none = (why) => ({ why, host });
  if (!passes) return none("no route of this policy is opened by a secret key");
  if (tenants.status === 401) return none("the set-up is done: create keys on the page");
  const said = ({ status, body }) => `${status} ${JSON.stringify(body)}`;
  if (!tenant) return none(`asking for the tenants says ${said(tenants)}`);
  if (plan && !tenant.plan) await call("PATCH", `/tenants/${tenant.id}`, { plan });
  const make = () =>
    call(
      "POST",
      "/api-keys",
      {
        realm: realm.id,
        name: "Demo key",
        scopes,
        rateLimit: { perMinute: perMinute({ realm, units }) },
        ...endOf(realm),
      },
      once,
    );
  const once = { "Idempotency-Key": randomUUID() };
  let made = await make();
  // A machine that has just begun may be busy with it: whoever repeats gets the same key.
  for (let tries = 1; made.status === 503 && tries < TRIES; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 1_000 * (made.retryAfter ?? 1)));
    made = await make();
  }
  if (made.status !== 201) return none(`creating it says ${said(made)}`);
  return { key: made.body.plaintextKey, host };
}

/** When a key ends that has to. */
function endOf({ max_key_life: longest, keys_must_expire: mustEnd }) {
  if (!longest && !mustEnd) return {};
  const days = Math.min(Number.parseInt(longest ?? LIFE_DAYS, 10), LIFE_DAYS);
  return { expiresAt: new Date(Date.now() + days * DAY_MS - CLOCK_MS).toISOString() };
}

/**
 * The status of a refusal, which a realm may have set. `ours` is what it is otherwise.
 * @param {any} realm
 * @param {string} code
 * @param {number} ours
 */
export const refusalStatus = ({ refusals }, code, ours) => refusals?.statuses?.[code] ?? ours;

const isSubprotocol = ({ header }) => header.toLowerCase() === "sec-websocket-protocol";

/** A key as its header holds it. */
function written({ header, scheme }, key) {
  if (!scheme) return key;
  if (isSubprotocol({ header })) return `${scheme}.${key}`;
  if (scheme.toLowerCase() !== "basic") return `${scheme} ${key}`;
  const pair = key === SOME_KEY ? `$(printf %s "${key}:" | base64 | tr -d '\\n')` : btoa(`${key}:`);
  return `${scheme} ${pair}`;
}

const perMinute = ({ realm: { limits }, units = 1 }) =>
  Math.min(PER_MINUTE * units, limits?.maximum?.per_minute ?? Number.POSITIVE_INFINITY);

/** What the key may do, in few words. */
export const terms = ({ realm, scopes, units }) => [...scopes, `${perMinute({ realm, units })} a minute`].join(", ");

/**
 * Requests that show it: `{ status, method, target, headers, times }`, where `times` is how many it takes
 * for that status. Those with `passes` pass the gate, and the status is what the demo origin says.
 * @param {Record<string, any>} demo as `demoOf` gives it
 * @param {{ key?: string, host: string, why?: string }} made as `makeDemoKey` gives it
 */
export function demoRequests({ realm, credential, open, closed, passes, lacks, plan, units }, { key, host }) {
  const request = (
    status,
    { method, path, headers },
    /** @type {{ proof?: string, query?: string, times?: number }} */ { proof, query = "", times = 1 } = {},
  ) => ({
    status,
    method,
    times,
    passes: status === 200,
    target: path + query,
    headers: {
      ...(host && { Host: host }),
      ...(proof && { [credential.header]: written(credential, proof) }),
      ...headers,
    },
  });
  const refused = (code, status, what, more = {}) => request(refusalStatus(realm, code, status), what, more);
  if (realm.tls && !realm.local_http) return [refused("INSECURE_TRANSPORT", 403, passes ?? closed ?? open)];
  const unknown = (what) => refused("MISSING_AUTHORIZATION", 401, what);
  if (passes && !key) return [request(200, passes, { proof: SOME_KEY }), unknown(passes)];
  if (passes) {
    return [
      request(200, passes, { proof: key }),
      unknown(passes),
      // Where a key opens everything, another thing that nobody may do.
      lacks
        ? refused(
            lacks.plans.length > 0 && !lacks.plans.includes(plan) ? "PLAN_REQUIRED" : "INSUFFICIENT_SCOPE",
            403,
            lacks,
            { proof: key },
          )
        : refused("KEY_IN_URL", 400, passes, { query: `?api_key=${key}` }),
      refused("RATE_LIMITED", 429, passes, { proof: key, times: Math.floor(perMinute({ realm, units }) / units) + 1 }),
    ];
  }
  const nowhere = realm.paths
    .map((pattern) => `${pathOf(pattern)}-nothing`)
    .find(
      (path) =>
        realm.paths.some((pattern) => matches(pattern, path)) &&
        !realm.route.some((route) => matches(route.path, path)),
    );
  return [
    ...(open ? [request(200, open)] : []),
    ...(closed
      ? [refused(closed.by.includes("webhook") ? "INVALID_SIGNATURE" : "MISSING_AUTHORIZATION", 401, closed)]
      : []),
    ...(nowhere ? [refused("NO_ROUTE", 404, { method: "GET", path: nowhere, headers: {} })] : []),
  ];
}

/** A request as a line for a shell. */
export function curl(base, { method, target, headers, times }) {
  const how = { GET: [], HEAD: ["-I"] }[method] ?? ["-X", method];
  const rest = [
    ...how,
    word(base + target),
    ...Object.entries(headers).map(
      ([name, value]) => `-H ${value.includes(SOME_KEY) ? `"${name}: ${value}"` : quoted(`${name}: ${value}`)}`,
    ),
  ].join(" ");
  return times === 1
    ? `curl -i ${rest}`
    : `for i in ${Array.from({ length: times }, (_, i) => i + 1).join(" ")}; do curl -si ${rest} | head -1; done`;
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const word = (text) => (/^[\w:/.@%+=,-]+$/.test(text) ? text : quoted(text));
