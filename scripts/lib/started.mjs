// What is said of a gate that has just started on this machine: where it is, a key that is made for that, and requests to try.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

import { curl, demoOf, demoRequests, makeDemoKey, refusalStatus, terms } from "./demo.mjs";
import { ENTRY, isEntry, originOf, readConfig } from "./deployment.mjs";
import { send } from "./http.mjs";
import { realmsOf } from "./policy.mjs";
import { Failure } from "./progress.mjs";
import { ANOTHER_TOKEN } from "./secrets.mjs";

/** The policy that needs no name. */
export const DEFAULT_POLICY = "keyward.toml";

/** What tells the files of this policy from those of the default one. */
export const ownName = (policy) =>
  policy === DEFAULT_POLICY ? "" : `-${policy.replace(/(\/keyward)?\.toml$/, "").replaceAll(/[^A-Za-z0-9]+/g, "-")}`;

/**
 * Makes a demo key, as the last of `steps`, and prints what there is to see.
 * @param {{ folder: string, base: string, policy: string, policies: Map<string, any>, secretsFile: string, setupToken: string, state: string, log: string, steps: import("./progress.mjs").Steps }} gate
 *   `policies`: what `readPolicies` gives; `secretsFile`: where the set-up token stands; `state` and `log`: where they are
 */
export async function introduce({ folder, base, policy, policies, secretsFile, setupToken, state, log, steps }) {
  const realms = realmsOf(policies);
  const { api = "/api/admin", page = "/admin" } = policies.get(policy).admin ?? {};
  const asSetup = (method, path, body, headers) =>
    call(base, method, api + path, { Authorization: `Setup ${setupToken}`, ...headers }, body);
  // The token is refused once there is an owner, and one that can be guessed until then.
  const { status, body } = await asSetup("GET", "/tenants");
  if (body.code === "NOT_CONFIGURED")
    throw new Failure(body.detail, `It stands in ${relative(process.cwd(), secretsFile)}. ${ANOTHER_TOKEN}`);
  const isSetUp = status === 401;
  const demo = demoOf(realms);
  const made = await steps.run("A demo key", () =>
    demoKey(base, demo, join(folder, ".keyward", `demo-key${ownName(policy)}`), asSetup),
  );
  const config = await readConfig(folder);
  const lines = [
    `Keyward is running. Ctrl-C stops it; what it stores stays in ${state}.`,
    "",
    `  Admin page  ${base}${page}/${isSetUp ? "" : `#setup=${setupToken}`}`,
    `  Health      ${base}/healthz`,
    ...(realms.length > 1
      ? [`  Realms      ${realms.map(({ id }) => id).join(", ")}; the requests are for ${demo?.realm.id ?? "none"}`]
      : []),
    ...demoLines(base, demo, made, config),
    "",
    ...(await remarks(realms, config)),
    ...notReady((await call(base, "GET", "/readyz", { Authorization: `Setup ${setupToken}` })).body),
    `  Its log     ${relative(process.cwd(), log)}`,
  ];
  console.log(`\n${lines.join("\n")}`);
}

/** What is said of a key that no longer works. */
const OF_NO_GOOD_KEY = ["INVALID_API_KEY", "REVOKED_API_KEY", "EXPIRED_API_KEY", "PAUSED_API_KEY"];

/** What `makeDemoKey` gives; a key is kept in `file`, since it is shown once, with what it is for. */
async function demoKey(base, demo, file, admin) {
  if (!demo) return { why: "no realm of this policy has a route that a request could show" };
  const { realm, scopes, plan } = demo;
  const use = JSON.stringify({ realm: realm.id, scopes, plan });
  const [key, host, madeFor] = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
  const stillGood = async () => {
    // What it lacks a right for says that it works, and costs none of its limit.
    const [passes, , refused] = demoRequests(demo, { key, host });
    const { method, target, headers } = (demo.lacks && refused) ?? passes;
    const { status } = await call(base, method, target, headers);
    return !OF_NO_GOOD_KEY.some((code) => refusalStatus(realm, code, 401) === status);
  };
  if (key && madeFor === use && (await stillGood())) return { key, host };
  const made = await makeDemoKey(demo, admin);
  if (made.key) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, `${made.key}\n${made.host}\n${use}\n`, { mode: 0o600 });
  }
  return made;
}

/** A call of the gate, with what its answer says. */
async function call(base, method, path, headers, body) {
  const { status, headers: answered, json } = await send(base, method, path, headers, { body });
  return { status, retryAfter: Number(answered["retry-after"]) || undefined, body: json() ?? {} };
}

/** The key, and requests with what they get. Of an origin of the user's own, only the gate's part is known. */
function demoLines(base, demo, made, config) {
  if (!demo) return [`  Requests    none: ${made.why}`];
  const { isDemo } = originOf(demo.realm, config);
  const requests = demoRequests(demo, made);
  const label = ({ status, passes }) => (passes && !isDemo ? "pass" : status);
  return [
    made.key ? `  Demo key    ${made.key}  (${terms(demo)})` : `  Demo key    none: ${made.why}`,
    "",
    ...requests.map((request) => `  ${`${label(request)}`.padEnd(4)} ${curl(base, request)}`),
    ...(requests.some((request) => label(request) === "pass")
      ? ["", "  pass: the gate lets it through; the answer is your origin's, whatever it says to that path."]
      : []),
    ...(demo.passes && !made.key
      ? ["", `  KEY: one of your keys${demo.scopes.length ? ` with ${demo.scopes.join(", ")}` : ""}: KEY=kw_…`]
      : []),
  ];
}

/** What the gate itself says that it lacks; of origins `remarks` says more. */
function notReady({ parts = {} }) {
  const faults = Object.entries(parts).filter(([part, found]) => part !== "origins" && found !== "ok");
  return faults.map(([part, found]) => `  Not ready: ${part}: ${found}.`);
}

/** A URL without user info, query and fragment, as in the log. */
function withoutSecrets(url) {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/** What is otherwise here than where it will run. */
async function remarks(realms, config) {
  const lines = [];
  const answers = (url) =>
    fetch(url, { method: "HEAD", redirect: "manual", signal: AbortSignal.timeout(2_000) }).then(
      () => true,
      () => false,
    );
  for (const realm of realms) {
    const { id, tls, local_http, jwt } = realm;
    const { url, handler, binding, service, isDemo } = originOf(realm, config);
    if (url && !(await answers(url)))
      lines.push(`  ${id}: its origin, ${url}, does not answer here, so what passes gets 502 or 504.`);
    if (handler && isEntry(config))
      lines.push(
        `  ${id}: its origin is the handler ${handler}, which ${ENTRY} does not have, so what passes gets 503: see README, Deploying.`,
      );
    if (!url && !handler && !service)
      lines.push(
        `  ${id}: its origin is the binding ${binding}, which wrangler.toml does not have under [[services]], so what passes gets 503.`,
      );
    if (service && !isDemo)
      lines.push(
        `  ${id}: its origin is the Worker ${service.service}: start it too, with npx wrangler dev in its folder.`,
      );
    if (tls)
      lines.push(
        `  ${id} asks for TLS ${tls}, ${local_http ? "but not of this machine (local_http)" : "so it refuses what comes here: see local_http in docs/policy.md"}.`,
      );
    if (
      jwt?.jwks_url &&
      !(await fetch(jwt.jwks_url, { signal: AbortSignal.timeout(2_000) }).then(
        ({ ok }) => ok,
        () => false,
      ))
    ) {
      lines.push(`  ${id} takes tokens, but not here: their keys, ${withoutSecrets(jwt.jwks_url)}, cannot be fetched.`);
    }
  }
  return lines;
}
