// Everything from an empty clone to a running gate: set-up, build, wrangler dev with the demo origin
// behind it, a demo key, and what to type to see it work.
//   npm start [-- --port 8787] [--policy FILE]
// Each policy has a state of its own: other keys, other people.

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { appendFileSync, createWriteStream, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import { connect } from "node:net";
import { dirname, join, relative, resolve } from "node:path";
import { createInterface } from "node:readline";
import { text as readAll } from "node:stream/consumers";
import { parseArgs } from "node:util";

import { build } from "./build.mjs";
import { curl, demoOf, demoRequests, makeDemoKey, terms } from "./lib/demo.mjs";
import { readPolicies, realmsOf, secretsOf } from "./lib/policy.mjs";
import { Failure, Steps, runMain } from "./lib/progress.mjs";
import { logs, node, root, toolEnv } from "./lib/places.mjs";
import { setup, setupSteps } from "./setup.mjs";

const SECRETS = join(root, ".dev.vars");
const LOG = join(logs, "wrangler.log");
const READY_WITHIN_MS = 60_000;
const DEFAULT_POLICY = "keyward.toml";

await runMain(async () => {
  const { port, policy } = options();
  const base = `http://127.0.0.1:${port}`;
  const steps = new Steps(setupSteps() + 3);
  await setup(steps);
  // For wrangler too, which builds again after each change.
  Object.assign(process.env, { KEYWARD_POLICY: policy, KEYWARD_QUICK: "1" });
  await steps.run("Building the Worker", (progress) => build({}, progress));
  const policies = await readPolicies(policy);
  const realms = realmsOf(policies);
  const { api = "/api/admin", page = "/admin" } = policies.get(policy).admin ?? {};
  const setupToken = devSecrets(secretsOf(realms)).KEYWARD_SETUP_TOKEN;
  await refuseBusyPort(port);
  const state = join(".wrangler", `state${ownName(policy)}`);
  const { stop, tellOfBuilds } = await steps.run("Starting wrangler dev", () => wranglerDev(base, port, state));
  try {
    const demo = demoOf(realms);
    const made = await steps.run("A demo key", () => demoKey(base, demo, join(root, ".keyward", `demo-key${ownName(policy)}`),
      (method, path, body) => call(base, method, api + path, { Authorization: `Setup ${setupToken}` }, body)));
    const lines = [
      `Keyward is running. Ctrl-C stops it; what it stores stays in ${state}.`,
      "",
      `  Gate        ${base}`,
      `  Admin page  ${base}${page}/#setup=${setupToken}`,
      ...(realms.length > 1 ? [`  Realms      ${realms.map(({ id }) => id).join(", ")}; the demo key is of ${demo?.realm.id ?? "none"}`] : []),
      ...demoLines(base, demo, made),
      "",
      ...(await remarks(realms)),
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
    ({ values } = parseArgs({ options: { port: { type: "string", default: "8787" }, policy: { type: "string" } } }));
  } catch (error) {
    throw new Failure(error.message, "npm start -- --port 8787 --policy keyward.toml");
  }
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Failure(`--port ${values.port} is not a port`, "A whole number from 1 to 65535.");
  }
  const policy = values.policy ? relative(root, resolve(process.env.INIT_CWD ?? ".", values.policy)) : process.env.KEYWARD_POLICY;
  return { port, policy: policy ?? DEFAULT_POLICY };
}

/** What tells the files of this policy from those of the default one. */
function ownName(policy) {
  return policy === DEFAULT_POLICY ? "" : `-${policy.replace(/(\/keyward)?\.toml$/, "").replaceAll(/[^A-Za-z0-9]+/g, "-")}`;
}

/** The secrets of `.dev.vars`, which is made if it is not there, and gets those of the policy that it lacks. */
function devSecrets(named) {
  if (!existsSync(SECRETS)) {
    writeFileSync(SECRETS, [
      "# Secrets of the local gate, made by npm start. Not for a deployment, not for git.",
      `KEYWARD_SECRET=${randomBytes(32).toString("base64url")}`,
      `KEYWARD_SETUP_TOKEN=${randomBytes(24).toString("base64url")}`,
      "",
    ].join("\n"), { mode: 0o600, flag: "wx" });
  }
  const read = () => Object.fromEntries(Array.from(
    readFileSync(SECRETS, "utf8").matchAll(/^\s*([A-Z][A-Z0-9_]*)\s*=\s*"?([^"\n]*?)"?\s*$/gm), ([, name, value]) => [name, value]));
  const known = read();
  for (const name of ["KEYWARD_SECRET", "KEYWARD_SETUP_TOKEN"]) {
    if (!known[name]) throw new Failure(`.dev.vars has no ${name}`, "Add it (see .dev.vars.example), or remove .dev.vars and a new one is made.");
  }
  const missing = named.filter((name) => known[name] === undefined);
  // Hex is base64 too, whichever of the two is expected.
  for (const name of missing) appendFileSync(SECRETS, `${name}=${randomBytes(32).toString("hex")}\n`);
  return read();
}

async function refuseBusyPort(port) {
  const busy = await new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => { socket.destroy(); resolve(true); });
    socket.on("error", () => resolve(false));
  });
  if (busy) {
    throw new Failure(`port ${port} of 127.0.0.1 is in use`,
      `Stop what listens there, or choose another: npm start -- --port ${port + 1}`);
  }
}

/**
 * Starts both Workers and waits until the gate answers: `{ stop, tellOfBuilds }`, of which the second has
 * it told from then on what becomes of each change of the policy or the source.
 */
async function wranglerDev(base, port, state) {
  mkdirSync(logs, { recursive: true });
  const child = spawn(node(), [
    // Not bin/wrangler.js, which starts this as a child and hands on no signals.
    "--no-warnings", join(root, "node_modules", "wrangler", "wrangler-dist", "cli.js"), "dev",
    "-c", join(root, "wrangler.toml"), "-c", join(root, "demo", "wrangler.toml"),
    "--ip", "127.0.0.1", "--port", String(port),
    "--persist-to", join(root, state),
    "--show-interactive-dev-session=false",
  ], { cwd: root, env: toolEnv(), stdio: ["ignore", "pipe", "pipe"] });
  const log = createWriteStream(LOG);
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const ended = new Promise((resolve) => child.on("close", resolve));
  let wanted = false;
  const stop = async () => {
    wanted = true;
    const impatient = setTimeout(() => child.kill("SIGKILL"), 5_000);
    child.kill("SIGTERM");
    await ended;
    clearTimeout(impatient);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => void stop().then(() => process.exit(0)));
  }
  const failed = (why) => new Failure(why, `${readFileSync(LOG, "utf8").trim().split("\n").slice(-30).join("\n")}\nEverything it said: ${LOG}`);
  let gone = false;
  void ended.then((code) => {
    gone = true;
    if (!wanted) void runMain(() => { throw failed(`wrangler dev ended (${code})`); });
  });
  const end = Date.now() + READY_WITHIN_MS;
  while (!gone && !(await fetch(`${base}/healthz`).then(({ ok }) => ok, () => false))) {
    if (Date.now() > end) {
      await stop();
      throw failed(`the gate does not answer on ${base}/healthz`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const tellOfBuilds = () => {
    for (const input of [child.stdout, child.stderr]) createInterface({ input }).on("line", tellOfBuild);
  };
  return { stop, tellOfBuilds };
}

/** Says what a line of wrangler's means for whoever has changed something: after each change it builds again. */
function tellOfBuild(line) {
  const [, changed] = line.match(/^The file (.+) changed, restarting build/) ?? [];
  const [, said] = line.match(/^\[custom build\] (.+)/) ?? [];
  if (changed) console.log(`\n${changed} has changed: building the Worker. Requests wait until that is done.`);
  else if (said && !/^Running: |: in place$/.test(said)) console.log(said);
  else if (line.includes("Local server updated and ready")) console.log("The gate runs with it.");
}

/** `{ key, host }`, or `{ why }` there is none; kept in `file`, since a key is shown once. */
async function demoKey(base, demo, file, admin) {
  if (!demo) return { why: "no realm of this policy has a route that a key opens" };
  const [key, host] = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
  const stillGood = async () => {
    // What it lacks a right for says that it works, and costs none of its limit.
    const [passes, , refused] = demoRequests(demo, { key, host });
    const { method, target, headers } = refused.status === 403 ? refused : passes;
    return (await call(base, method, target, headers)).status !== 401;
  };
  if (key && (await stillGood())) return { key, host };
  const made = await makeDemoKey(demo, admin);
  if (made.key) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, `${made.key}\n${made.host}\n`, { mode: 0o600 });
  }
  return made;
}

/** A request with node:http: fetch() sets the Host header itself. */
async function call(base, method, path, headers, body) {
  const request = http.request(base + path, { method, headers: { ...headers, ...(body && { "Content-Type": "application/json" }) } });
  request.end(body && JSON.stringify(body));
  const [response] = await once(request, "response");
  const text = await readAll(response);
  const isJson = /[/+]json/.test(response.headers["content-type"]);
  return { status: response.statusCode, body: isJson ? JSON.parse(text) : text };
}

function demoLines(base, demo, made) {
  if (made.why) return [`  Demo key    none: ${made.why}`];
  return [
    `  Demo key    ${made.key}  (${terms(demo)})`,
    "",
    ...demoRequests(demo, made).map((request) => `  ${request.status}  ${curl(base, request)}`),
  ];
}

/** What is otherwise here than where it will run. */
async function remarks(realms) {
  const lines = [];
  for (const { id, tls, local_http, jwt } of realms) {
    if (tls) lines.push(`  ${id} asks for TLS ${tls}, ${local_http ? "but not of this machine (local_http)" : "so it refuses what comes here: see local_http in docs/policy.md"}.`);
    if (jwt?.jwks_url && !(await fetch(jwt.jwks_url, { signal: AbortSignal.timeout(2_000) }).then(({ ok }) => ok, () => false))) {
      lines.push(`  ${id} takes tokens, but not here: their keys, ${jwt.jwks_url}, cannot be fetched.`);
    }
  }
  return lines;
}
