// What wrangler.toml has to say before the gate can be deployed, or run with a policy.

import { existsSync, readFileSync } from "node:fs";
import { join, normalize } from "node:path";

import { root } from "./places.mjs";
import { realmsOf } from "./policy.mjs";
import { Failure } from "./progress.mjs";

/** What wrangler deploys: the gate alone, as scripts/build.mjs writes it. */
export const ENTRY = "build/worker.js";
/** What `npm start` has it run instead. */
export const DEV_ENTRY = "build/dev/worker.js";

/**
 * Whether that is what a part of wrangler.toml runs, however it is spelled there.
 * @param {{ main?: string }} config
 */
export const isEntry = ({ main }) => main !== undefined && normalize(main) === ENTRY;

/** The demo as an entrypoint, and as a handler of the package's template. */
const DEMO = { entrypoint: "DemoOrigin", handler: "demo" };

/**
 * What stands behind a realm: `url`; or `handler`, in the same Worker; or `service`, which is undefined if wrangler.toml has
 * no such binding; `isDemo`.
 */
export function originOf(realm, config) {
  const { url, binding, handler } = realm.origin ?? {};
  if (url || handler) return { url, handler, isDemo: handler === DEMO.handler };
  const service = config.services?.find((entry) => entry.binding === binding);
  return { binding, service, isDemo: service?.entrypoint === DEMO.entrypoint };
}

/** The wrangler.toml of a folder, as it is written. */
export async function readConfig(folder = root) {
  // Set-up installs it, and may run in the same process before.
  const { parse, TomlError } = await import("smol-toml");
  const file = join(folder, "wrangler.toml");
  if (!existsSync(file))
    throw new Failure(`wrangler.toml is not in ${folder}`, "Run this where it is; npx keyward init writes one.");
  try {
    return parse(readFileSync(file, "utf8"));
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [what] = error.message.split("\n");
    throw new Failure(`wrangler.toml:${error.line}: ${what}`, "https://toml.io describes the syntax.");
  }
}

/** What wrangler gives an environment of the top of the file; everything else it has to say itself. */
const INHERITED = [
  "main",
  "compatibility_date",
  "compatibility_flags",
  "migrations",
  "assets",
  "routes",
  "route",
  "workers_dev",
  "preview_urls",
];

/** The objects of the gate, by their bindings. */
const OBJECTS = { REGISTRY: "Registry", KEY_GATE: "KeyGate", RELAY: "Relay" };

/** What would be deployed: the top of wrangler.toml, and each `[env.…]`, with what it inherits; each with what stands before its names. */
export function deployments(config) {
  const inherited = Object.fromEntries(
    INHERITED.filter((name) => config[name] !== undefined).map((name) => [name, config[name]]),
  );
  return [
    ["", config],
    ...Object.entries(config.env ?? {}).map(([name, own]) => [`env.${name}.`, { ...inherited, ...own }]),
  ];
}

/**
 * What wrangler.toml has for an environment, or without a name at its top.
 * @param {any} config
 * @param {string} [name]
 */
export function ofEnvironment(config, name) {
  const at = name === undefined ? "" : `env.${name}.`;
  const found = deployments(config).find(([prefix]) => prefix === at);
  if (!found)
    throw new Failure(
      `wrangler.toml has no [env.${name}]`,
      `It has ${Object.keys(config.env ?? {}).join(", ") || "none"}.`,
    );
  return found[1];
}

/** The id of the namespace for keys, if it is named. Without one the first deployment makes a namespace. */
const keysOf = ({ kv_namespaces: all = [] }) => all.find(({ binding }) => binding === "KEYS")?.id;

/**
 * What the gate cannot do without and a deployment would not have, a line each: in the file's words, of each
 * environment, since wrangler uploads it all the same.
 */
async function missing(policies, folder = root) {
  const config = await readConfig(folder);
  const lines = [];
  const ids = new Map();
  for (const [at, own] of deployments(config)) {
    const need = (is, what) => {
      if (!is) lines.push(`wrangler.toml: ${what}`);
    };
    need(own.main === config.main, `${at}main is not ${config.main}, which is the gate`);
    need(
      own.kv_namespaces?.some(({ binding }) => binding === "KEYS"),
      `[[${at}kv_namespaces]] with binding = "KEYS" is missing`,
    );
    const id = keysOf(own);
    need(
      !id || !ids.has(id),
      `[[${at}kv_namespaces]] has the id of [[${ids.get(id)}kv_namespaces]]: two gates would write over each other's keys`,
    );
    if (id && !ids.has(id)) ids.set(id, at);
    for (const [binding, className] of Object.entries(OBJECTS)) {
      need(
        own.durable_objects?.bindings?.some((entry) => entry.name === binding && entry.class_name === className),
        `[[${at}durable_objects.bindings]] with name = "${binding}" and class_name = "${className}" is missing`,
      );
      need(
        own.migrations?.some((step) => step.new_sqlite_classes?.includes(className)),
        `[[${at}migrations]] with ${className} in new_sqlite_classes is missing`,
      );
    }
    need(
      own.ratelimits?.some(({ name }) => name === "FAILURES"),
      `[[${at}ratelimits]] with name = "FAILURES" is missing`,
    );
    need(
      own.assets?.binding === "ADMIN" && own.assets.run_worker_first === true,
      `[${at}assets] with binding = "ADMIN" and run_worker_first = true is missing`,
    );
    for (const flag of /** @type {string[]} */ (config.compatibility_flags ?? []))
      need(own.compatibility_flags?.includes(flag), `${at}compatibility_flags lacks "${flag}"`);
    need(
      own.compatibility_date >= config.compatibility_date,
      `${at}compatibility_date is before ${config.compatibility_date}`,
    );
    const origins = realmsOf(policies).map((realm) => originOf(realm, own));
    for (const handler of new Set(origins.map((origin) => origin.handler).filter(Boolean))) {
      need(
        !isEntry(own),
        `${at}main is ${ENTRY}, which has no handler ${handler}, an origin of the policy: name a module of yours (README, Deploying)`,
      );
    }
    const unbound = origins.filter(({ url, handler, service }) => !url && !handler && !service);
    for (const binding of new Set(unbound.map((origin) => origin.binding)))
      need(false, `[[${at}services]] with binding = "${binding}", an origin of the policy, is missing`);
    const namespaces = (own.ratelimits ?? []).map((limiter) => limiter.namespace_id);
    need(
      new Set(namespaces).size === namespaces.length,
      `two [[${at}ratelimits]] have one namespace_id: they would count together`,
    );
    const limits = realmsOf(policies).flatMap(({ route = [] }) =>
      [route].flat().flatMap(({ limit_by_network: limit }) => limit ?? []),
    );
    for (const { binding, period = "60s" } of limits) {
      const limiter = own.ratelimits?.find(({ name }) => name === binding);
      const line = limiter
        ? `[[${at}ratelimits]] with name = "${binding}" has another period than the policy's limit_by_network: ${period}`
        : `[[${at}ratelimits]] with name = "${binding}", a limit_by_network of the policy, is missing`;
      if (!lines.includes(`wrangler.toml: ${line}`)) need(`${limiter?.simple?.period}s` === period, line);
    }
  }
  return lines;
}

/** Fails where what would be deployed is not a whole gate. */
export async function refuseIncomplete(policies, folder = root) {
  const lacks = await missing(policies, folder);
  if (!lacks.length) return;
  const how =
    "An environment inherits no bindings: write them below [env.…] too, as the top of the file has them. Give it a KV namespace of its own.";
  throw new Failure("what would be deployed is not a whole gate", [...lacks, how].join("\n"));
}

/** What is left to do before a deployment with these policies is of use, a line each. */
export async function openEnds(policies, folder = root) {
  const lines = [];
  for (const [at, own] of deployments(await readConfig(folder))) {
    const where = at && `[${at.slice(0, -1)}]: `;
    for (const realm of realmsOf(policies)) {
      const { isDemo, handler } = originOf(realm, own);
      const instead = handler
        ? "which shows whoever calls what it received: name a url in the policy, or a handler of yours."
        : `which is not deployed: name your Worker in [[${at}services]] of wrangler.toml, or a url in the policy.`;
      if (isDemo) lines.push(`${where}the origin of realm ${realm.id} is the demo, ${instead}`);
    }
    if (!own.routes && !own.route && !own.workers_dev)
      lines.push(`${where}no routes: nothing reaches the Worker until wrangler.toml lists some.`);
  }
  return lines;
}
