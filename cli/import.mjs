// `keyward policy import`: the routes of an OpenAPI document as a policy has them, and where the two say something else.

import { parse } from "yaml";

import { answer, check } from "../scripts/lib/check.mjs";
import { Failure, messageOf } from "../scripts/lib/progress.mjs";
import { policyFile, read, readArgs } from "./folder.mjs";

export const HELP = `import prints the routes of an OpenAPI document (3.0 or 3.1, YAML or JSON), with the scopes that its \`security\` names, as they stand in a
policy. With --check it compares them with the policy, in both directions, and the exit code is 1 where they differ: for CI.`;

const METHODS = ["get", "head", "options", "post", "put", "patch", "delete"];

const OPTIONS = /** @type {const} */ ({
  realm: { type: "string" },
  policy: { type: "string" },
  check: { type: "boolean" },
});

/** @typedef {{ method: string, path: string, scopes: string[], isPublic: boolean, isOptional: boolean }} Operation */

/**
 * @param {string[]} args
 * @param {string} help
 */
export async function importOpenApi(args, help) {
  const { values, positionals } = readArgs(args, { help, options: OPTIONS, allowPositionals: true });
  const [file, ...more] = positionals;
  if (!file || more.length) throw new Failure("one OpenAPI document is needed: openapi.yaml", help);
  const operations = operationsOf(file, readDocument(file));
  if (!values.check) return console.log(asPolicy(operations));
  const document = await check(policyFile(values.policy), read);
  const differences = await drift(document, operations, values.realm);
  if (!differences.length) return console.log(`${file} and the policy agree about ${operations.length} operations.`);
  throw new Failure(`${file} and the policy differ`, differences.join("\n"));
}

/** @param {string} file */
function readDocument(file) {
  let text;
  try {
    text = read(file);
  } catch (error) {
    throw new Failure(`${file} cannot be read: ${messageOf(error)}`, "Its path is relative to where you are.");
  }
  let document;
  try {
    document = parse(text);
  } catch (error) {
    throw new Failure(`${file} is neither YAML nor JSON: ${messageOf(error)}`);
  }
  if (!/^3\.[01]\./.test(document?.openapi ?? "")) {
    throw new Failure(
      `${file} is not an OpenAPI document of version 3.0 or 3.1`,
      document?.swagger ? "It is of version 2; converters make it 3." : 'It begins with a field like openapi: "3.1.0".',
    );
  }
  if (typeof document.paths !== "object" || document.paths === null)
    throw new Failure(`${file} has no paths`, "They stand under `paths`.");
  return document;
}

/**
 * What its operations ask for, in its order.
 * @param {string} file
 * @param {any} document
 * @returns {Operation[]}
 */
function operationsOf(file, document) {
  return Object.entries(document.paths)
    .filter(([path]) => !path.startsWith("x-"))
    .flatMap(([path, found]) => {
      if (!path.startsWith("/"))
        throw new Failure(
          `${file}: the path ${JSON.stringify(path)} does not begin with /`,
          "Every path of OpenAPI does.",
        );
      const item = resolved(`${file}: ${path}`, document, found);
      return METHODS.filter((method) => item[method]).map((method) => {
        const where = `${file}: ${method.toUpperCase()} ${path}`;
        const { security = document.security ?? [], servers = item.servers ?? document.servers } = item[method];
        const base = basePath(where, servers);
        return { method: method.toUpperCase(), path: base + path, ...needs(where, security) };
      });
    });
}

/**
 * A path item, or the one in the same document that it points to.
 * @param {string} where
 * @param {any} document
 * @param {any} item
 */
function resolved(where, document, item) {
  if (typeof item?.$ref !== "string") return item ?? {};
  const names = item.$ref.startsWith("#/") ? item.$ref.slice(2).split("/") : [];
  const name = (/** @type {string} */ text) => decodeURIComponent(text).replaceAll("~1", "/").replaceAll("~0", "~");
  const found = names.reduce((/** @type {any} */ at, /** @type {string} */ text) => at?.[name(text)], document);
  if (!names.length || found === undefined)
    throw new Failure(
      `${where} points to ${item.$ref}, which is not in this document`,
      "Bundle it into one file first.",
    );
  return found;
}

/**
 * What the first server has before each path.
 * @param {string} where
 * @param {any} servers
 */
function basePath(where, servers) {
  const { url = "", variables = {} } = servers?.[0] ?? {};
  const written = String(url).replaceAll(/\{([^}]*)\}/g, (whole, name) => variables[name]?.default ?? whole);
  if (!URL.canParse(written, "http://any/") || /[{}]/.test(written))
    throw new Failure(
      `${where}: its server ${JSON.stringify(url)} is no address`,
      "Each variable in it needs a default.",
    );
  return new URL(written, "http://any/").pathname.replace(/\/+$/, "");
}

/**
 * What one of these alternatives asks for. A policy has one set of scopes for a route.
 * @param {string} where
 * @param {unknown} security
 */
function needs(where, security) {
  if (!Array.isArray(security)) throw new Failure(`${where}: security is not a list`);
  const isOptional = security.some((one) => Object.keys(one ?? {}).length === 0);
  const wanted = security.map((one) => [...new Set(Object.values(one ?? {}).flat())].map(String).sort());
  const asked = wanted.filter((_, i) => Object.keys(security[i] ?? {}).length > 0);
  const different = new Set(asked.map((scopes) => scopes.join(" ")));
  if (different.size > 1) {
    throw new Failure(
      `${where}: its security has alternatives with different scopes (${[...different].map((one) => one || "none").join("; or ")})`,
      "A route of a policy has one set of scopes: make them the same, or make two operations of it.",
    );
  }
  return { scopes: asked[0] ?? [], isPublic: asked.length === 0, isOptional: isOptional && asked.length > 0 };
}

/**
 * A path as the policy's patterns have it.
 * @param {string} path
 */
function pattern(path) {
  if (/\{[^}]*\}[^/]*\{/.test(path))
    throw new Failure(
      `${path} has two parameters in one segment, and a policy's path has one at most`,
      "Write that route by hand, with a parameter for the whole segment.",
    );
  return path.replaceAll(/\{([^}]*)\}/g, (_, name) => `{${name.replaceAll(/[^A-Za-z0-9_]/g, "_")}}`);
}

/** @param {Operation[]} operations */
function asPolicy(operations) {
  /** @type {Map<string, Operation & { methods: string[] }>} */
  const routes = new Map();
  for (const operation of operations) {
    const requires = requirement(operation);
    const name = `${pattern(operation.path)}\n${requires}`;
    const route = routes.get(name) ?? { ...operation, methods: [] };
    route.methods.push(operation.method);
    routes.set(name, route);
  }
  const scopes = [...new Set(operations.flatMap((operation) => operation.scopes))].sort();
  const catalogue = scopes.length
    ? ["[realm.scopes]", ...scopes.map((scope) => `${JSON.stringify(scope)} = ${JSON.stringify(scope)}`), ""]
    : [];
  const sorted = [...routes.values()].sort((one, other) => rank(one.path).localeCompare(rank(other.path)));
  const tables = sorted.map((route) =>
    [
      "[[realm.route]]",
      `methods = ${list(route.methods)}`,
      `path = ${JSON.stringify(pattern(route.path))}`,
      `requires = ${requirement(route)}`,
      "",
    ].join("\n"),
  );
  return [...catalogue, ...tables].join("\n").trimEnd();
}

/**
 * By what routes are sorted, since the first one that matches decides: in each segment what is written out comes before a parameter with
 * text beside it, and that before a parameter alone.
 * @param {string} path
 */
const rank = (path) => {
  const kind = (/** @type {string} */ segment) => (segment.startsWith("{") && segment.endsWith("}") ? 2 : 1);
  const ranked = path.split("/").map((segment) => `${segment.includes("{") ? kind(segment) : 0}${segment}`);
  return ranked.join("/");
};

/** @param {string[]} texts */
const list = (texts) => `[${texts.map((text) => JSON.stringify(text)).join(", ")}]`;

/** @param {Operation} operation */
function requirement({ scopes, isPublic, isOptional }) {
  if (isPublic) return '"public"';
  const parts = [...(scopes.length ? [`scopes = ${list(scopes)}`] : []), ...(isOptional ? ["optional = true"] : [])];
  return parts.length ? `{ ${parts.join(", ")} }` : '"key"';
}

/**
 * What a route of the policy asks for, as {@link requirement} says it. A webhook has a signature, of which a document says nothing.
 * @param {{ by: string[], scopes: string[], optional: boolean }} needs
 */
function asked({ by, scopes, optional }) {
  const isPublic = by.length === 0 || by.includes("webhook");
  return requirement({ method: "", path: "", scopes: [...scopes].sort(), isPublic, isOptional: optional });
}

/**
 * Where the policy decides otherwise than the document says, a line each.
 * @param {string} document the policy's
 * @param {Operation[]} operations
 * @param {string} [realm]
 */
async function drift(document, operations, realm) {
  const lines = [];
  const { routes } = await answer(document, { realm });
  const met = new Set();
  for (const operation of operations) {
    const { method, path } = operation;
    const { route, realm: its } = await answer(document, { realm, method, path: path.replaceAll(/\{[^}]*\}/g, "1") });
    const found =
      route &&
      routes.find((/** @type {any} */ one) => one.path === route.path && String(one.methods) === String(route.methods));
    if (!found) {
      lines.push(`${method} ${path} is in no route of the policy`);
      continue;
    }
    met.add(`${its} ${method} ${found.path}`);
    if (method === "GET") met.add(`${its} HEAD ${found.path}`);
    const has = asked(found.needs);
    const wanted = requirement(operation);
    if (has !== wanted)
      lines.push(`${method} ${path} requires ${wanted}, but in the policy, by the route ${found.path}, ${has}`);
  }
  for (const { realm: its, methods, path } of routes) {
    const others = methods.filter((/** @type {string} */ method) => !met.has(`${its} ${method} ${path}`));
    if (others.length) lines.push(`the policy's route ${others.join(", ")} ${path} is no operation of the document`);
  }
  return lines;
}
