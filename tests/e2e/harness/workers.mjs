// What miniflare is told to run: isolates of the gate, the one of the objects, the page's files, and what stands where the
// network is.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";

import { parse } from "smol-toml";

import { PAGE as FILES } from "../../../scripts/lib/page.mjs";
import { root } from "../../../scripts/lib/places.mjs";

/** @import { MiniflareOptions } from "miniflare" */
/** @import { GateOptions } from "../../../types/e2e.js" */
/** @import { Isolate } from "./isolate.mjs" */
/** @typedef {NonNullable<MiniflareOptions["workers"]>[number]} WorkerOptions */

const { compatibility_date: compatibilityDate, compatibility_flags: compatibilityFlags } =
  /** @type {{ compatibility_date: string, compatibility_flags: string[] }} */ (
    parse(readFileSync(join(root, "wrangler.toml"), "utf8"))
  );

/** How the runtime has to behave, as wrangler.toml says. */
export const compatibility = { compatibilityDate, compatibilityFlags };

/** The name of the isolate of the objects. */
export const OBJECTS = "objects";
const PAGE = "page";
const INTERNET = "internet";

/** The present build. */
const PRESENT = "build";

/**
 * An isolate of the gate, or the one of the objects.
 * @param {Isolate} isolate
 * @param {GateOptions} options
 * @param {string} document the policy's
 * @returns {WorkerOptions}
 */
export function gateWorker({ gate, name, url, control, proxy }, options, document) {
  const { build = PRESENT, builds = gate.isolates.map(() => build), objectsBuild = builds[0], origin } = options;
  const own = name === OBJECTS ? objectsBuild : builds[gate.isolates.findIndex((isolate) => isolate.name === name)];
  const { limit = 1_000_000, period = 10 } = options.failures ?? {};
  const text = Object.entries(gate.secrets).filter(([, value]) => value !== undefined);
  const socket = (/** @type {string} */ entrypoint, /** @type {string} */ at, more = {}) => ({
    host: "127.0.0.1",
    port: Number(new URL(at).port),
    entrypoint,
    ...more,
  });
  /** @type {NonNullable<WorkerOptions["config"]["env"]>} */
  const env = {
    KEYS: { type: "kv", id: "keys" },
    KEY_GATE: { type: "durable-object", worker: OBJECTS, exportName: "KeyGate" },
    RELAY: { type: "durable-object", worker: OBJECTS, exportName: "Relay" },
    REGISTRY: { type: "durable-object", worker: OBJECTS, exportName: "Registry" },
    FAILURES: { type: "rate-limit", namespace: "1001", simple: { limit, period } },
    ADMIN: { type: "worker", worker: PAGE },
    ORIGIN: { type: "external", address: options.originAddress ?? gate.origin.address, http: {} },
  };
  for (const [name, simple] of Object.entries(options.limiters ?? {}))
    env[name] = { type: "rate-limit", namespace: name, simple };
  if (options.analytics) env.ANALYTICS = { type: "analytics-engine-dataset", name: "keyward" };
  for (const [key, value] of text) env[key] = { type: "text", value };
  for (const name of options.unbound ?? []) delete env[name];
  return {
    config: {
      name,
      ...compatibility,
      manifest: {
        mainModule: "entry.mjs",
        modules: {
          "entry.mjs": { type: "esm", contents: readFileSync(new URL("entry.mjs", import.meta.url), "utf8") },
          ...modulesOf(own, document, origin),
        },
      },
      env,
      exports:
        name !== OBJECTS
          ? {}
          : {
              // Kept in memory, so that their alarms can follow the clock.
              KeyGate: { type: "durable-object", storage: "sqlite", unsafePreventEviction: true },
              Registry: { type: "durable-object", storage: "sqlite", unsafePreventEviction: true },
              Relay: { type: "durable-object", storage: "sqlite", unsafePreventEviction: true },
            },
    },
    dev: {
      unsafeDirectSockets: [
        socket("default", url),
        socket("Control", control),
        socket("default", proxy, { proxy: true }),
      ],
      ...(gate.internet && { outboundService: { type: "worker", worker: INTERNET } }),
      unsafeRegisterWorker: false,
    },
  };
}

/**
 * The modules of a build, of which `built/worker.js` is the Worker. A folder has keyward.js and keyward.wasm, and
 * policy.json unless it is the present one's; or, of builds whose policy was in the wasm, index.js and index_bg.wasm.
 * Wasm may be compressed: with `.br`.
 * @param {string} build
 * @param {string} document
 * @param {string | undefined} origin
 * @returns {Extract<WorkerOptions["config"]["manifest"], { modules: unknown }>["modules"]}
 */
function modulesOf(build, document, origin) {
  const at = (/** @type {string} */ name) => join(root, build, name);
  const text = (/** @type {string} */ name) => readFileSync(at(name), "utf8");
  const wasm = (/** @type {string} */ name) =>
    new Uint8Array(
      existsSync(at(`${name}.br`)) ? brotliDecompressSync(readFileSync(at(`${name}.br`))) : readFileSync(at(name)),
    );
  const hasOwnPolicy = existsSync(at("index.js"));
  if (build !== PRESENT && hasOwnPolicy) {
    return {
      "built/worker.js": {
        type: "esm",
        contents: 'export * from "./index.js";\nexport { default } from "./index.js";\n',
      },
      "built/index.js": { type: "esm", contents: text("index.js") },
      ...(/index_bg\.wasm/.test(text("index.js")) && {
        "built/index_bg.wasm": { type: "wasm", contents: wasm("index_bg.wasm") },
      }),
    };
  }
  const policy = build === PRESENT ? document : text("policy.json");
  return {
    "built/worker.js": { type: "esm", contents: workerWith(origin) },
    "built/policy.json": { type: isJson(policy) ? "json" : "text", contents: policy },
    "built/keyward.js": { type: "esm", contents: text("keyward.js") },
    "built/keyward.wasm": { type: "wasm", contents: wasm("keyward.wasm") },
  };
}

/**
 * As scripts/build.mjs writes it, or as somebody does whose Worker has the origin too.
 * @param {string | undefined} origin
 */
const workerWith = (origin) => `import { keyward } from "./keyward.js";
import policy from "./policy.json";

export { KeyGate, Registry, Relay } from "./keyward.js";
export default keyward(policy${origin ? `, { origin: ${origin} }` : ""});
`;

/** @param {string} text */
function isJson(text) {
  try {
    return typeof JSON.parse(text) === "object";
  } catch {
    return false;
  }
}

// The page's files, as the assets binding of a worker of their own, so that nothing stands before the gate.
/** @type {() => WorkerOptions} */
export const pageWorker = () => ({
  config: {
    name: PAGE,
    ...compatibility,
    manifest: {
      mainModule: "page.mjs",
      modules: {
        "page.mjs": { type: "esm", contents: "export default { fetch: (request, env) => env.ASSETS.fetch(request) }" },
      },
    },
    env: { ASSETS: { type: "assets" } },
    assets: { hasUserWorker: true, runWorkerFirst: true, directory: join(root, FILES) },
  },
  dev: { unsafeRegisterWorker: false },
});

// Stands where the network is: leads whatever URL is fetched to one server.
/** @type {(address: string) => WorkerOptions} */
export const internetWorker = (address) => ({
  config: {
    name: INTERNET,
    ...compatibility,
    manifest: {
      mainModule: "internet.mjs",
      modules: {
        "internet.mjs": {
          type: "esm",
          contents: "export default { fetch: (request, env) => env.SERVER.fetch(request) }",
        },
      },
    },
    env: { SERVER: { type: "external", address, http: {} } },
  },
  dev: { unsafeRegisterWorker: false },
});
