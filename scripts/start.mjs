// Everything from an empty clone to a running gate: set-up, build, wrangler dev with the demo origin
// behind it, a demo key, and what to type to see it work.
//   npm start [-- --port 8787] [--policy FILE]

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createWriteStream, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { dirname, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";

import { build } from "./build.mjs";
import { Failure, Steps, runMain } from "./lib/progress.mjs";
import { logs, node, root, toolEnv } from "./lib/places.mjs";
import { setup, setupSteps } from "./setup.mjs";

const SECRETS = join(root, ".dev.vars");
const DEMO_KEY = join(root, ".keyward", "demo-key");
const LOG = join(logs, "wrangler.log");
const READY_WITHIN_MS = 60_000;

await runMain(async () => {
  const { port, policy } = options();
  const base = `http://127.0.0.1:${port}`;
  const steps = new Steps(setupSteps() + 3);
  await setup(steps);
  if (policy) process.env.KEYWARD_POLICY = policy;
  await steps.run("Building the Worker", (progress) => build({}, progress));
  const secrets = devSecrets();
  await refuseBusyPort(port);
  const stop = await steps.run("Starting wrangler dev", () => wranglerDev(base, port));
  try {
    const demo = await steps.run("A demo key", () => demoKey(base, secrets.KEYWARD_SETUP_TOKEN));
    console.log(`\n${summary(base, secrets.KEYWARD_SETUP_TOKEN, demo)}`);
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
  return { port, policy: values.policy && relative(root, resolve(process.env.INIT_CWD ?? ".", values.policy)) };
}

/** The secrets of `.dev.vars`, which is made if it is not there. */
function devSecrets() {
  if (!existsSync(SECRETS)) {
    writeFileSync(SECRETS, [
      "# Secrets of the local gate, made by npm start. Not for a deployment, not for git.",
      `KEYWARD_SECRET=${randomBytes(32).toString("base64url")}`,
      `KEYWARD_SETUP_TOKEN=${randomBytes(24).toString("base64url")}`,
      "",
    ].join("\n"), { mode: 0o600, flag: "wx" });
  }
  const lines = readFileSync(SECRETS, "utf8").matchAll(/^\s*([A-Z_]+)\s*=\s*"?([^"\n]*?)"?\s*$/gm);
  const secrets = Object.fromEntries(Array.from(lines, ([, name, value]) => [name, value]));
  for (const name of ["KEYWARD_SECRET", "KEYWARD_SETUP_TOKEN"]) {
    if (!secrets[name]) throw new Failure(`.dev.vars has no ${name}`, "Add it (see .dev.vars.example), or remove .dev.vars and a new one is made.");
  }
  return secrets;
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

/** Starts both Workers, waits until the gate answers, and returns what stops them. */
async function wranglerDev(base, port) {
  mkdirSync(logs, { recursive: true });
  const child = spawn(node(), [
    // Not bin/wrangler.js, which starts this as a child and hands on no signals.
    "--no-warnings", join(root, "node_modules", "wrangler", "wrangler-dist", "cli.js"), "dev",
    "-c", join(root, "wrangler.toml"), "-c", join(root, "demo", "wrangler.toml"),
    "--ip", "127.0.0.1", "--port", String(port),
    "--persist-to", join(root, ".wrangler", "state"),
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
  return stop;
}

/** `{ key }`, or `{ why }` there can be none. Made with the set-up token, which can do that until the first owner is. */
async function demoKey(base, setupToken) {
  const known = existsSync(DEMO_KEY) ? readFileSync(DEMO_KEY, "utf8").trim() : undefined;
  // A write with it is refused for its scope, which says that the key works and costs none of its limit.
  if (known && (await call(base, "POST", "/api/orders", undefined, `Bearer ${known}`)).status === 403) return { key: known };
  const made = await call(base, "POST", "/api/admin/api-keys",
    { name: "Demo key", scopes: ["orders:read"], rateLimit: { perMinute: 5 } }, `Setup ${setupToken}`);
  if (made.status === 401) return { why: "the set-up is done: create keys on the page" };
  if (made.status !== 201) return { why: `creating it says ${made.status} ${JSON.stringify(made.body)}` };
  mkdirSync(dirname(DEMO_KEY), { recursive: true, mode: 0o700 });
  writeFileSync(DEMO_KEY, `${made.body.plaintextKey}\n`, { mode: 0o600 });
  return { key: made.body.plaintextKey };
}

async function call(base, method, path, body, authorization) {
  const response = await fetch(base + path, {
    method,
    headers: { ...(body && { "Content-Type": "application/json" }), ...(authorization && { Authorization: authorization }) },
    body: body && JSON.stringify(body),
  });
  return { status: response.status, body: await response.json().catch(() => undefined) };
}

function summary(base, setupToken, { key, why }) {
  const orders = `${base}/api/orders`;
  const auth = `-H 'Authorization: Bearer ${key}'`;
  return [
    "Keyward is running. Ctrl-C stops it; what it stores stays in .wrangler/state.",
    "",
    `  Gate        ${base}`,
    `  Admin page  ${base}/admin/#setup=${setupToken}`,
    ...(key ? [
      `  Demo key    ${key}  (orders:read, 5 a minute)`,
      "",
      `  200  curl -i ${orders} ${auth}`,
      `  401  curl -i ${orders}`,
      `  403  curl -i -X POST ${orders} ${auth}`,
      `  429  for i in 1 2 3 4 5 6; do curl -si ${orders} ${auth} | head -1; done`,
    ] : [`  Demo key    none: ${why}`]),
    "",
    `  Its log     ${relative(process.cwd(), LOG)}`,
  ].join("\n");
}
