// `keyward policy import`: the routes of an OpenAPI document as a policy has them, and where the two say something else.

import { answer, check } from "../scripts/lib/check.mjs";
import { Failure } from "../scripts/lib/progress.mjs";
import { policyFile, read, readArgs } from "./folder.mjs";
import { operationsOf } from "./openapi.mjs";

/** @import { Operation } from "./openapi.mjs" */

export const HELP = `import prints the routes of an OpenAPI document (3.0 or 3.1, YAML or JSON), with the scopes that its \`security\` names, as they stand in a
policy. With --check it compares them with the policy, in both directions, and the exit code is 1 where they differ: for CI.`;

const OPTIONS = /** @type {const} */ ({
  realm: { type: "string" },
  policy: { type: "string" },
  check: { type: "boolean" },
});

/**
 * @param {string[]} args
 * @param {string} help
 */
export async function importOpenApi(args, help) {
  const { values, positionals } = readArgs(args, { help, options: OPTIONS, allowPositionals: true });
  const [file, ...more] = positionals;
  if (!file || more.length) throw new Failure("one OpenAPI document is needed: openapi.yaml", help);
  const operations = operationsOf(file);
  if (!values.check) return console.log(asPolicy(operations));
  const document = await check(policyFile(values.policy), read);
  const differences = await drift(document, operations, values.realm);
  if (!differences.length) return console.log(`${file} and the policy agree about ${operations.length} operations.`);
  throw new Failure(`${file} and the policy differ`, differences.join("\n"));
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

/** In place of a parameter: what nobody writes out in a path. */
const ANY = "any-value-of-it";

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
    const { route, realm: its } = await answer(document, { realm, method, path: path.replaceAll(/\{[^}]*\}/g, ANY) });
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
