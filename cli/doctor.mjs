// `keyward doctor`: whether a gate that runs is whole, closed and the only way to its origin.

import { relative } from "node:path";

import { demoOf } from "../scripts/lib/demo.mjs";
import { ofEnvironment, originOf, readConfig } from "../scripts/lib/deployment.mjs";
import { secretsFile } from "../scripts/lib/deployment_secrets.mjs";
import { ask, statusOf } from "../scripts/lib/http.mjs";
import { readPolicies, realmsOf } from "../scripts/lib/policy.mjs";
import { codeOf, Failure, messageOf } from "../scripts/lib/progress.mjs";
import { readSecrets } from "../scripts/lib/secrets.mjs";
import { DEV_VARS, folder, isHere, ownVersion, policyFile, readArgs } from "./folder.mjs";

const HELP = `usage: keyward doctor URL [--env NAME] [--policy FILE]

Looks at a gate that runs, here or deployed: that it answers and has all it needs, that what the policy guards is refused without a
credential, that the origin cannot be reached past it, that clocks and versions agree, and what wrangler.toml leaves open. The exit code is 1 if
something is wrong. The gate's details are read with the set-up token, from .keyward/secrets.env or .dev.vars. --env: the environment of
wrangler.toml that is deployed there, whose token is in .keyward/secrets.NAME.env.`;

/** By how much the gate's clock may differ from this machine's: its answers tell whole seconds, and took some time. */
const CLOCK_MS = 5_000;

/** Nobody listens there, or nobody gets there. */
const UNREACHABLE = ["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH"];

/** How to mend a part of `/readyz`, where that is not in the usual place. @type {Record<string, string>} */
const HINTS = { jurisdiction: "See docs/operating.md, Choosing a jurisdiction." };

/** @typedef {{ mark: "ok" | "WRONG" | "look", what: string, hint?: string }} Finding */

const ok = (/** @type {string} */ what) => /** @type {Finding} */ ({ mark: "ok", what });
const wrong = (/** @type {string} */ what, /** @type {string} */ hint) =>
  /** @type {Finding} */ ({ mark: "WRONG", what, hint });
/** What nobody can see from here. */
const look = (/** @type {string} */ what, /** @type {string} */ hint) =>
  /** @type {Finding} */ ({ mark: "look", what, hint });

/** @param {string[]} args */
export async function run(args) {
  const { values, positionals } = readArgs(args, {
    help: HELP,
    options: { env: { type: "string" }, policy: { type: "string" } },
    allowPositionals: true,
  });
  const [url, ...more] = positionals;
  if (!url || more.length || !URL.canParse(url) || !/^https?:/.test(url))
    throw new Failure("the address of one gate is needed: https://api.example.com", HELP);
  const { origin, protocol, hostname } = new URL(url);
  const realms = realmsOf(await readPolicies(policyFile(values.policy), folder));
  // The set-up token goes there.
  if (protocol === "http:" && !isHere(hostname))
    throw new Failure(
      `${origin} is not asked without TLS: whoever is on the way would read the set-up token`,
      "Write https://.",
    );
  const config = ofEnvironment(await readConfig(folder), values.env);
  const findings = [
    ...(await ofGate(origin, isHere(hostname) ? DEV_VARS : secretsFile(folder, values.env))),
    ...(await ofRefusals(origin, realms)),
    ...(await ofOrigins(realms, config)),
    ...(isHere(hostname) ? [] : exposure(config)),
  ];
  for (const { mark, what, hint } of findings)
    console.log(`  ${mark.padEnd(5)}  ${what}${hint ? `\n         ${hint}` : ""}`);
  const faults = findings.filter(({ mark }) => mark === "WRONG").length;
  if (faults)
    throw new Failure(`${faults} of ${findings.length} findings are wrong`, "Each says above how to mend it.");
  console.log("\nNothing is wrong.");
}

/**
 * Whether it answers, and has all it needs.
 * @param {string} base
 * @param {string} file with the set-up token
 */
async function ofGate(base, file) {
  const { KEYWARD_SETUP_TOKEN: token } = readSecrets(file);
  const began = Date.now();
  const health = await ask(base, "/healthz");
  const { status, version: isGate } = health.json() ?? {};
  if (health.status !== 200 || status !== "ok" || !isGate)
    throw new Failure(
      `${base}/healthz answers ${health.status}, and not as a gate does`,
      "Is that the gate's address? Do its routes have /healthz?",
    );
  const findings = [ok("it answers"), ...ofClock(health.headers.date, began)];
  const ready = await ask(base, "/readyz", token ? { Authorization: `Setup ${token}` } : {});
  const { parts, version } = ready.json() ?? {};
  const shown = relative(process.cwd(), file);
  if (!parts) {
    const details = "its parts are not told";
    findings.push(
      ready.status === 200
        ? look(
            `it has all it needs; ${details}`,
            `For each part and the version, put the deployment's KEYWARD_SETUP_TOKEN into ${shown}.`,
          )
        : wrong(
            `it lacks something (/readyz: ${ready.status}), and ${details}`,
            `Put the deployment's KEYWARD_SETUP_TOKEN into ${shown} and ask again.`,
          ),
    );
    return findings;
  }
  const lacking = Object.entries(parts).filter(([, found]) => found !== "ok");
  for (const [part, found] of lacking)
    findings.push(
      wrong(`${part}: ${found}`, HINTS[part] ?? "See docs/policy.md, [admin], and what wrangler.toml binds."),
    );
  if (!lacking.length) findings.push(ok("secrets, stores, objects and bindings are there"));
  findings.push(
    version === ownVersion()
      ? ok(`it is of version ${version}, as this command is`)
      : wrong(
          `it is of version ${version ?? "before 0.2"}, this command of ${ownVersion()}`,
          "Deploy again with the version that is installed here.",
        ),
  );
  return findings;
}

/**
 * Whether the gate's clock and this machine's agree. The runtime on this machine tells no time, and has this one's.
 * @param {string | undefined} date of an answer
 * @param {number} began when it was asked for
 */
function ofClock(date, began) {
  if (date === undefined) return [];
  const clock = Date.parse(date);
  if (clock >= began - CLOCK_MS && clock <= Date.now() + CLOCK_MS) return [ok("its clock and this machine's agree")];
  return [
    wrong(
      `its clock shows ${date}, this machine's ${new Date().toUTCString()}`,
      "Set the one that is wrong: keys expire, and tokens are judged, by the gate's.",
    ),
  ];
}

/**
 * Whether what the policy guards is closed.
 * @param {string} base
 * @param {any[]} realms
 */
async function ofRefusals(base, realms) {
  const demo = demoOf(realms);
  if (!demo?.closed) return [look("no route of the policy needs a credential", "Everything that it names is open.")];
  const { method, path } = demo.closed;
  const [host] = demo.realm.hosts;
  const { status, json } = await ask(base, path, /[*{]/.test(host) ? {} : { Host: host }, method);
  const body = json() ?? {};
  // Another status than 401 may be the realm's own, or the connection is refused first. Whoever has no such body is no gate.
  const code = body.code ?? body.error?.code;
  if (status >= 400 && status < 500 && code)
    return [ok(`${method} ${path} without a credential is refused: ${status} ${code}`)];
  return [
    wrong(
      `${method} ${path} without a credential answers ${status}, not as the gate refuses`,
      status < 400
        ? "Something else answers there: is the gate's route ahead of it?"
        : "Something else answers there, or the stores fail: see /readyz.",
    ),
  ];
}

/**
 * Whether an origin that is named by a URL answers past the gate.
 * @param {any[]} realms
 * @param {any} config
 */
async function ofOrigins(realms, config) {
  const findings = [];
  for (const realm of realms) {
    const { url, isDemo } = originOf(realm, config);
    if (isDemo)
      findings.push(
        look(
          `the origin of realm ${realm.id} is the demo`,
          "It shows whoever calls what it received: name your own in the policy.",
        ),
      );
    const closed = url && demoOf([realm])?.closed;
    if (!closed) continue;
    const { origin } = new URL(url);
    let status;
    try {
      // Whatever certificate it has: others may not look at that either.
      status = await statusOf(origin, closed.method, closed.path, {}, { anyCertificate: true });
    } catch (error) {
      const isClosed = UNREACHABLE.includes(codeOf(error));
      findings.push(
        isClosed
          ? ok(`the origin of realm ${realm.id} cannot be reached past the gate: ${codeOf(error)}`)
          : look(
              `the origin of realm ${realm.id} did not answer: ${messageOf(error)}`,
              "That need not be so from elsewhere.",
            ),
      );
      continue;
    }
    findings.push(
      [401, 403].includes(status)
        ? ok(`the origin of realm ${realm.id} refuses what does not come from the gate: ${status}`)
        : wrong(
            `the origin of realm ${realm.id} answers past the gate: ${status} to ${closed.method} ${closed.path}`,
            "Let it accept requests from the gate only: whoever knows its address needs no key.",
          ),
    );
  }
  return findings;
}

/**
 * What wrangler.toml leaves open.
 * @param {{ workers_dev?: boolean, preview_urls?: boolean, route?: Route, routes?: Route[] }} config
 * @typedef {string | { pattern: string, custom_domain?: boolean }} Route
 */
export function exposure({ workers_dev, preview_urls, route, routes = route ? [route] : [] }) {
  const isCustomDomain = (/** @type {Route} */ one) => typeof one === "object" && one.custom_domain === true;
  const ofZone = routes.filter((one) => !isCustomDomain(one));
  const patterns = ofZone.map((one) => (typeof one === "object" ? one.pattern : one)).join(", ");
  const onWorkersDev = Object.entries({ workers_dev: workers_dev !== false, preview_urls: preview_urls === true });
  const on = onWorkersDev.filter(([, isOn]) => isOn).map(([name]) => name);
  return [
    on.length
      ? wrong(
          `${on.join(" and ")} may be on: the gate answers under workers.dev, too, past the routes`,
          `${on.map((name) => `${name} = false`).join(" and ")} in wrangler.toml.`,
        )
      : ok("workers.dev is off"),
    routes.length && !ofZone.length
      ? ok("its routes are custom domains: nothing stands behind the gate that a request could be let through to")
      : look(
          `each route fails closed${patterns && `: ${patterns}`}`,
          'In the dashboard, under Workers Routes: failure mode "Fail closed (block)". Nobody can see that from here.',
        ),
  ];
}
