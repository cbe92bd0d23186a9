// Everything from an empty clone to a running gate: set-up, build, wrangler dev with the demo origin
// behind it, a demo key, and what to type to see it work.
//   npm start [-- --port 8787] [--policy FILE]
// Each policy has a state of its own: other keys, other people.

import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import { dirname, join, relative, resolve } from "node:path";
import { text as readAll } from "node:stream/consumers";
import { parseArgs } from "node:util";

import { build } from "./build.mjs";
import { curl, demoOf, demoRequests, makeDemoKey, terms } from "./lib/demo.mjs";
import { ENTRY, isEntry, originOf, readConfig } from "./lib/deployment.mjs";
import { root } from "./lib/places.mjs";
import { readPolicies, realmsOf, secretsOf } from "./lib/policy.mjs";
import { refuseBusyPort } from "./lib/ports.mjs";
import { Failure, runMain, Steps } from "./lib/progress.mjs";
import { beTheOnlyOne } from "./lib/running.mjs";
import { ANOTHER_TOKEN, DEV_VARS, devSecrets } from "./lib/secrets.mjs";
import { LOG, wranglerDev } from "./lib/wrangler.mjs";
import { refuseOldNode, setup, setupSteps } from "./setup.mjs";

const DEFAULT_POLICY = "keyward.toml";

/** Longer than the gate takes for any answer. */
const ANSWERED_WITHIN_MS = 60_000;

await runMain(async () => {
  refuseOldNode();
  const { port, policy } = options();
  const base = `http://127.0.0.1:${port}`;
  // Check now what would otherwise fail after minutes of building.
  await refuseBusyPort(port, "npm start -- --port");
  if (!existsSync(resolve(root, policy)))
    throw new Failure(`the policy file ${policy} is not there`, "Its path is relative to where you are.");
  devSecrets();
  await beTheOnlyOne(`${base}, ${policy}`);
  const steps = new Steps(setupSteps() + 3);
  await setup(steps);
  // For wrangler too, which builds again after each change.
  process.env.KEYWARD_POLICY = policy;
  process.env.KEYWARD_STARTED = "1";
  await steps.run("Building the Worker", (progress) => build({ dev: true }, progress));
  const policies = await readPolicies(policy);
  const realms = realmsOf(policies);
  const { api = "/api/admin", page = "/admin" } = policies.get(policy).admin ?? {};
  const setupToken = devSecrets(secretsOf(realms)).KEYWARD_SETUP_TOKEN;
  await refuseBusyPort(port, "npm start -- --port");
  const state = join(".wrangler", `state${ownName(policy)}`);
  const { stop, tellOfBuilds } = await steps.run("Starting wrangler dev", () => wranglerDev(base, port, state, policy));
  try {
    const asSetup = (method, path, body, headers) =>
      call(base, method, api + path, { Authorization: `Setup ${setupToken}`, ...headers }, body);
    // The token is refused once there is an owner, and one that can be guessed until then.
    const { status, body } = await asSetup("GET", "/tenants");
    if (body.code === "NOT_CONFIGURED")
      throw new Failure(body.detail, `It stands in ${relative(process.cwd(), DEV_VARS)}. ${ANOTHER_TOKEN}`);
    const isSetUp = status === 401;
    const demo = demoOf(realms);
    const made = await steps.run("A demo key", () =>
      demoKey(base, demo, join(root, ".keyward", `demo-key${ownName(policy)}`), asSetup),
    );
    const lines = [
      `Keyward is running. Ctrl-C stops it; what it stores stays in ${state}.`,
      "",
      `  Admin page  ${base}${page}/${isSetUp ? "" : `#setup=${setupToken}`}`,
      `  Health      ${base}/healthz`,
      ...(realms.length > 1
        ? [`  Realms      ${realms.map(({ id }) => id).join(", ")}; the requests are for ${demo?.realm.id ?? "none"}`]
        : []),
      ...(await demoLines(base, demo, made)),
      "",
      ...(await remarks(realms)),
      ...notReady((await call(base, "GET", "/readyz", { Authorization: `Setup ${setupToken}` })).body),
      `  Its log     ${relative(process.cwd(), LOG)}`,
    ];
    console.log(`\n${lines.join("\n")}`);
    tellOfBuilds();
  } catch (error) {
    await stop();
    throw error;
  }
});

function options() {
  let values;
  try {
    ({ values } = parseArgs({ options: { port: { type: "string" }, policy: { type: "string" } } }));
  } catch (error) {
    throw new Failure(
      error.message,
      "Options stand behind a --, or npm takes them for its own: npm start -- --port 8787 --policy keyward.toml",
    );
  }
  // Without the `--` in between, npm takes options for its own and hands them on like this.
  const { npm_config_port = "8787", npm_config_policy } = process.env;
  values = { port: npm_config_port, policy: npm_config_policy, ...values };
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Failure(`--port ${values.port} is not a port`, "A whole number from 1 to 65535.");
  }
  const policy = values.policy
    ? relative(root, resolve(process.env.INIT_CWD ?? ".", values.policy))
    : process.env.KEYWARD_POLICY;
  return { port, policy: policy ?? DEFAULT_POLICY };
}

/** What tells the files of this policy from those of the default one. */
function ownName(policy) {
  return policy === DEFAULT_POLICY
    ? ""
    : `-${policy.replace(/(\/keyward)?\.toml$/, "").replaceAll(/[^A-Za-z0-9]+/g, "-")}`;
}

/** What `makeDemoKey` gives; a key is kept in `file`, since it is shown once, with what it is for. */
async function demoKey(base, demo, file, admin) {
  if (!demo) return { why: "no realm of this policy has a route that a request could show" };
  const { realm, scopes, plan } = demo;
  const use = JSON.stringify({ realm: realm.id, scopes, plan });
  const [key, host, madeFor] = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
  const stillGood = async () => {
    // What it lacks a right for says that it works, and costs none of its limit.
    const [passes, , refused] = demoRequests(demo, { key, host });
    const { method, target, headers } = refused?.status === 403 ? refused : passes;
    return (await call(base, method, target, headers)).status !== 401;
  };
  if (key && madeFor === use && (await stillGood())) return { key, host };
  const made = await makeDemoKey(demo, admin);
  if (made.key) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, `${made.key}\n${made.host}\n${use}\n`, { mode: 0o600 });
  }
  return made;
}

/** A request with node:http: fetch() sets the Host header itself. */
async function call(base, method, path, headers, body) {
  const request = http.request(base + path, {
    method,
    signal: AbortSignal.timeout(ANSWERED_WITHIN_MS),
    headers: { ...headers, ...(body && { "Content-Type": "application/json" }) },
  });
  request.end(body && JSON.stringify(body));
  const [response] = await once(request, "response");
  const text = await readAll(response);
  const isJson = /[/+]json/.test(response.headers["content-type"]);
  const retryAfter = Number(response.headers["retry-after"]) || undefined;
  return { status: response.statusCode, retryAfter, body: isJson ? JSON.parse(text) : text };
}

/** The key, and requests with what they get. Of an origin of the user's own, only the gate's part is known. */
async function demoLines(base, demo, made) {
  if (!demo) return [`  Requests    none: ${made.why}`];
  const { isDemo } = originOf(demo.realm, await readConfig());
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
async function remarks(realms) {
  const lines = [];
  const answers = (url) =>
    fetch(url, { method: "HEAD", redirect: "manual", signal: AbortSignal.timeout(2_000) }).then(
      () => true,
      () => false,
    );
  const config = await readConfig();
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
