// What shows a policy at work: a key for the first realm that takes keys, and requests that pass, that
// lack something, and that are over the limit. Made from the policy as it is written.

/** Low, so that a person can reach it. */
const PER_MINUTE = 5;

/**
 * For the first of these realms in which a key opens something: `realm`; `scopes` and `plan` that the
 * key and its tenant need; `passes`, a request that they open; `lacks`, one that they do not, if there
 * is one. Nothing if there is no such realm.
 */
export function demoOf(realms) {
  for (const realm of realms) {
    const credential = realm.credentials?.find(({ kind = "key" }) => kind === "key");
    const samples = (realm.route ?? []).map((route) => sample(realm, route)).filter((request) => request?.by.includes("key"));
    // A read, where there is one.
    const passes = samples.find(({ method }) => method === "GET") ?? samples[0];
    if (!credential || !passes) continue;
    const { scopes, plans: [plan] } = passes;
    const held = withIncluded(realm, scopes);
    const lacks = samples.find((request) => !request.scopes.every((scope) => held.has(scope)) || (request.plans.length > 0 && !request.plans.includes(plan)));
    return { realm, credential, scopes, plan, passes, lacks };
  }
  return undefined;
}

/** A request to this route, and what it needs. Nothing where no credential is needed, or another route comes first. */
function sample(realm, route) {
  const needs = typeof route.requires === "object" ? route.requires : {};
  if (route.requires === "public" || needs.webhook) return undefined;
  const [method] = route.methods ?? ["GET"];
  const path = route.path.replaceAll(/\{[^}]*\}/g, "1").replace(/\/\*$/, "/1").replace(/\*$/, "");
  if (realm.route.find((other) => (other.methods ?? [method]).includes(method) && matches(other.path, path)) !== route) return undefined;
  const { by = ["key"], scopes = [], plans = realm.plans ?? [] } = needs;
  return { method, path, by, scopes, plans, headers: needs.session_id ? { [realm.session_id_header]: "demo" } : {} };
}

/** Whether a path is of a pattern: the part of docs/policy.md, Paths, that plain paths need. */
const matches = (pattern, path) => {
  const literal = pattern.replaceAll(/[.+?^$()|[\]\\]/g, "\\$&");
  return new RegExp(`^${literal.replaceAll(/\{[^}]*\}/g, "[^/]+").replace(/\*$/, ".*")}$`).test(path);
};

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
 * `{ why }` there is none. `call(method, path, body)` is of the admin API and gives `{ status, body }`.
 */
export async function makeDemoKey({ realm, scopes, plan }, call) {
  const tenants = await call("GET", "/tenants");
  if (tenants.status === 401) return { why: "the set-up is done: create keys on the page" };
  const said = ({ status, body }) => `${status} ${JSON.stringify(body)}`;
  if (tenants.status !== 200) return { why: `asking for the tenants says ${said(tenants)}` };
  const [tenant] = tenants.body.tenants;
  if (plan && !tenant.plan) await call("PATCH", `/tenants/${tenant.id}`, { plan });
  const made = await call("POST", "/api-keys", { realm: realm.id, name: "Demo key", scopes, rateLimit: { perMinute: PER_MINUTE } });
  if (made.status !== 201) return { why: `creating it says ${said(made)}` };
  return { key: made.body.plaintextKey, host: hostOf(realm, tenant) };
}

/** A host of the realm's; empty where every host is. */
function hostOf({ hosts: [host] }, { code }) {
  return host === "*" ? "" : host.replace("{tenant}", code.toLowerCase()).replace("*", "any");
}

/** What the key may do, in few words. */
export const terms = ({ scopes }) => [...scopes, `${PER_MINUTE} a minute`].join(", ");

/** Requests that show it: `{ status, method, target, headers, times }`, where `times` is how many it takes for that status. */
export function demoRequests({ credential, passes, lacks }, { key, host }) {
  const request = (status, { method, path, headers }, { proof = true, query = "", times = 1 } = {}) => ({
    status, method, times,
    target: path + query,
    headers: {
      ...(host && { Host: host }),
      ...(proof && { [credential.header]: credential.scheme ? `${credential.scheme} ${key}` : key }),
      ...headers,
    },
  });
  return [
    request(200, passes),
    request(401, passes, { proof: false }),
    // Where a key opens everything, another thing that nobody may do.
    lacks ? request(403, lacks) : request(400, passes, { proof: false, query: `?api_key=${key}` }),
    request(429, passes, { times: PER_MINUTE + 1 }),
  ];
}

/** A request as a line for a shell. */
export function curl(base, { method, target, headers, times }) {
  const rest = [
    ...(method === "GET" ? [] : ["-X", method]),
    target.includes("?") ? `'${base}${target}'` : `${base}${target}`,
    ...Object.entries(headers).map(([name, value]) => `-H '${name}: ${value}'`),
  ].join(" ");
  return times === 1 ? `curl -i ${rest}` : `for i in ${Array.from({ length: times }, (_, i) => i + 1).join(" ")}; do curl -si ${rest} | head -1; done`;
}
