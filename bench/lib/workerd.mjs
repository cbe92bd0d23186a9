// A workerd of its own for each contestant: its configuration is written, it is started bare, without what wrangler
// puts in front, and its process is the one whose time is read.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";

import { build } from "esbuild";
import { parse } from "smol-toml";

import { root } from "../../scripts/lib/places.mjs";
import { freePort, ServerProcess } from "./process.mjs";

export const { compatibility_date, compatibility_flags } =
  /** @type {{ compatibility_date: string, compatibility_flags: string[] }} */ (
    parse(readFileSync(join(root, "wrangler.toml"), "utf8"))
  );

/** The program itself, not the script around it: that one would be another process. */
const WORKERD = join(
  root,
  `node_modules/@cloudflare/workerd-linux-${process.arch === "arm64" ? "arm64" : "64"}/bin/workerd`,
);

const WORKERS = join(root, "bench/workers");

const text = (value) => JSON.stringify(value);
const list = (values) => `[${values.join(", ")}]`;

/**
 * A worker of the configuration.
 * @typedef {object} Worker
 * @property {Record<string, string>} modules by their names, the first being the main one: files
 * @property {Record<string, string>} [services] bindings to other services, by name
 * @property {Record<string, string>} [kv] bindings of KV, by name: the service that stands for it
 * @property {Record<string, string>} [objects] bindings of objects of its own, by name: the class
 * @property {Record<string, string>} [texts] variables and secrets
 */

const KINDS = { ".wasm": "wasm", ".json": "json", "": "esModule", ".js": "esModule" };

/**
 * @param {string} name
 * @param {Worker} worker
 */
function workerText(name, { modules, services = {}, kv = {}, objects = {}, texts = {} }) {
  const of = (entries, what) => Object.entries(entries).map(([key, to]) => `(name = ${text(key)}, ${what(to)})`);
  const bindings = [
    ...of(services, (to) => `service = ${text(to)}`),
    ...of(kv, (to) => `kvNamespace = ${text(to)}`),
    ...of(objects, (to) => `durableObjectNamespace = ${text(to)}`),
    ...of(texts, (to) => `text = ${text(to)}`),
  ];
  const classes = Object.values(objects);
  return `(
    modules = ${list(Object.keys(modules).map((file) => `(name = ${text(file)}, ${KINDS[extname(file)]} = embed ${text(`${name}/${file}`)})`))},
    compatibilityDate = ${text(compatibility_date)},
    compatibilityFlags = ${list(compatibility_flags.map(text))},
    bindings = ${list(bindings)},
    ${
      classes.length === 0
        ? ""
        : `durableObjectNamespaces = ${list(classes.map((one) => `(className = ${text(one)}, uniqueKey = ${text(one)}, enableSql = true)`))},
    durableObjectStorage = (localDisk = "objects"),`
    }
  )`;
}

/**
 * A contestant's module with what it imports, in one file.
 * @param {string} from
 * @param {string} to
 */
const bundle = (from, to) =>
  build({
    entryPoints: [from],
    outfile: to,
    bundle: true,
    format: "esm",
    target: "es2024",
    external: ["cloudflare:*", "./contestant.js", "./instances.js"],
    logLevel: "error",
  });

/**
 * Starts workerd with these workers: "main" is the one that is asked; "kv" and "origin", if there are any, listen on
 * ports of their own. Of what is returned, `kv` and `origin` are their URLs, and `objects` is the folder that objects
 * are stored in.
 * @param {Record<string, Worker>} workers
 * @param {Record<string, string>} [externals] services at addresses
 */
export async function startWorkerd(workers, externals = {}) {
  const dir = mkdtempSync(join(tmpdir(), "keyward-bench-"));
  mkdirSync(join(dir, "objects"));
  for (const [name, { modules }] of Object.entries(workers)) {
    for (const [as, file] of Object.entries(modules)) {
      const to = join(dir, name, as);
      mkdirSync(join(to, ".."), { recursive: true });
      if (file.startsWith(WORKERS)) await bundle(file, to);
      else cpSync(file, to);
    }
  }
  const ports = { main: await freePort(), kv: await freePort(), origin: await freePort() };
  const sockets = Object.entries(ports)
    .filter(([name]) => workers[name])
    .map(([name, port]) => `(name = ${text(name)}, address = "127.0.0.1:${port}", http = (), service = ${text(name)})`);
  const services = [
    ...Object.keys(workers).map((name) => `(name = ${text(name)}, worker = .${name})`),
    ...Object.entries(externals).map(([name, to]) => `(name = ${text(name)}, external = (address = ${text(to)}))`),
    `(name = "objects", disk = (path = ${text(join(dir, "objects"))}, writable = true))`,
  ];
  const config = join(dir, "config.capnp");
  writeFileSync(
    config,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = ${list(services)}, sockets = ${list(sockets)});
${Object.entries(workers)
  .map(([name, worker]) => `const ${name} :Workerd.Worker = ${workerText(name, worker)};`)
  .join("\n")}
`,
  );
  const server = new ServerProcess(`http://127.0.0.1:${ports.main}`, WORKERD, ["serve", "--experimental", config]);
  await server.restart();
  const urlOf = (name) => `http://${externals[name] ?? `127.0.0.1:${ports[workers[name] ? name : "main"]}`}`;
  return Object.assign(server, { kv: urlOf("kv"), origin: urlOf("origin"), objects: join(dir, "objects") });
}
