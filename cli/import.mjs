// `keyward policy import`: the routes of an OpenAPI document as a policy has them, and where the two say something else.

import { parse } from "yaml";

import { answer, check } from "../scripts/lib/check.mjs";
import { Failure, messageOf } from "../scripts/lib/progress.mjs";
import { policyFile, read, readArgs } from "./folder.mjs";

export const HELP = `import prints the routes of an OpenAPI document (3.0 or 3.1, YAML or JSON), with the scopes that its \`security\` names, as they stand in a
policy. With --check it compares them with the policy, in both directions, and the exit code is 1 where they differ: for CI.`;

const METHODS = ["get", "head", "post", "put", "patch", "delete"];

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
  const base = basePath(document.servers);
  return Object.entries(document.paths).flatMap(([path, item]) => {
    if (!path.startsWith("/")) throw new Failure(`${file}: the path ${JSON.stringify(path)} does not begin with /`);
    return METHODS.filter((method) => item?.[method]).map((method) => {
      const where = `${file}: ${method.toUpperCase()} ${path}`;
      const security = item[method].security ?? document.security ?? [];
      return { method: method.toUpperCase(), path: base + path, ...needs(where, security) };
    });
  });
}

/** What the first server has before each path. @param {any} servers */
function basePath(servers) {
  const url = servers?.[0]?.url ?? "";
  const path = URL.canParse(url, "http://any/") ? new URL(url, "http://any/").pathname : "";
  return path.replace(/\/+$/, "");
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

/** As the policy's patterns have it. @param {string} path */
const pattern = (path) =>
  path.replaceAll(/\{[^}]*\}/g, (name) => `{${name.slice(1, -1).replaceAll(/[^A-Za-z0-9_]/g, "_")}}`);

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
  const tables = [...routes.values()].map((route) =>
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

/** @param {string[]} texts */
const list = (texts) => `[${texts.map((text) => JSON.stringify(text)).join(", ")}]`;

/** @param {Operation} operation */
function requirement({ scopes, isPublic, isOptional }) {
  if (isPublic) return '"public"';
  const parts = [...(scopes.length ? [`scopes = ${list(scopes)}`] : []), ...(isOptional ? ["optional = true"] : [])];
  return parts.length ? `{ ${parts.join(", ")} }` : '"key"';
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
    const { route } = await answer(document, { realm, method, path: path.replaceAll(/\{[^}]*\}/g, "1") });
    const found =
      route &&
      routes.find((/** @type {any} */ one) => one.path === route.path && String(one.methods) === String(route.methods));
    if (!found) {
      lines.push(`${method} ${path} is in no route of the policy`);
      continue;
    }
    met.add(`${method} ${found.path}`);
    if (method === "GET") met.add(`HEAD ${found.path}`);
    const { by, scopes, optional } = found.needs;
    const has = requirement({
      ...operation,
      scopes: [...scopes].sort(),
      isPublic: by.length === 0,
      isOptional: optional,
    });
    const wanted = requirement(operation);
    if (has !== wanted)
      lines.push(`${method} ${path} requires ${wanted}, but in the policy, by the route ${found.path}, ${has}`);
  }
  for (const { methods, path } of routes) {
    const others = methods.filter((/** @type {string} */ method) => !met.has(`${method} ${path}`));
    if (others.length) lines.push(`the policy's route ${others.join(", ")} ${path} is no operation of the document`);
  }
  return lines;
}
