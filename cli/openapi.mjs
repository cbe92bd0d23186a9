// An OpenAPI document, as far as a policy can say the same: each operation, and what its `security` asks for. What cannot be read
// without a doubt is refused: a guess could open what the document closes.

import { parse } from "yaml";

import { Failure, messageOf } from "../scripts/lib/progress.mjs";
import { read } from "./folder.mjs";

const METHODS = ["get", "head", "options", "post", "put", "patch", "delete"];

/** Those of OpenAPI that no gate lets through (docs/matching.md, Methods). */
const NEVER_PASS = ["trace"];

/** @typedef {{ method: string, path: string, scopes: string[], isPublic: boolean, isOptional: boolean }} Operation */

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
    // With the merge keys that come with anchors; the file is the user's own, so it may use each as often as it likes.
    document = parse(text, { merge: true, maxAliasCount: -1 });
  } catch (error) {
    // The lines after the first one are the file's own.
    throw new Failure(`${file} is neither YAML nor JSON: ${messageOf(error).split(/:?\n/)[0]}`);
  }
  if (!/^3\.[01]\./.test(document?.openapi ?? "")) {
    throw new Failure(
      `${file} is not an OpenAPI document of version 3.0 or 3.1`,
      document?.swagger ? "It is of version 2; converters make it 3." : 'It begins with a field like openapi: "3.1.0".',
    );
  }
  if (!isObject(document.paths)) throw new Failure(`${file} has no paths`, "They stand under `paths`.");
  return document;
}

/** @param {unknown} value */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * What the operations of a document ask for, in its order.
 * @param {string} file
 * @returns {Operation[]}
 */
export function operationsOf(file) {
  const document = readDocument(file);
  const { security: usual = [] } = document;
  const operations = Object.entries(document.paths)
    .filter(([path]) => !path.startsWith("x-"))
    .flatMap(([path, found]) => {
      if (!path.startsWith("/"))
        throw new Failure(
          `${file}: the path ${JSON.stringify(path)} does not begin with /`,
          "Every path of OpenAPI does.",
        );
      const item = resolved(`${file}: ${path}`, document, found);
      return METHODS.filter((method) => method in item).map((method) => {
        const where = `${file}: ${method.toUpperCase()} ${path}`;
        if (!isObject(item[method]))
          throw new Failure(`${where} is no operation`, "It is an object; an empty one is {}.");
        const { security = usual, servers = item.servers ?? document.servers } = item[method];
        const whole = basePath(where, servers) + path;
        if (whole.includes("*"))
          throw new Failure(
            `${where}: the path ${JSON.stringify(whole)} has a *, which in a policy stands for everything below`,
            "Name a parameter in its place, like {path}, or write that route by hand.",
          );
        return { method: method.toUpperCase(), path: whole, ...needs(where, security) };
      });
    });
  if (!operations.length)
    throw new Failure(`${file} has no operations`, "They stand under their paths: get, post and others.");
  return operations;
}

/**
 * A path item, with what the one has that it points to in the same document.
 * @param {string} where
 * @param {any} document
 * @param {any} item
 * @param {string[]} [seen] where it has come from
 * @returns {Record<string, any>}
 */
function resolved(where, document, item, seen = []) {
  if (!isObject(item)) throw new Failure(`${where} is no path item`, "It is an object with get, post and others.");
  const never = NEVER_PASS.find((method) => method in item);
  if (never)
    throw new Failure(
      `${where} has an operation ${never.toUpperCase()}, which no gate lets through`,
      "Take it out, or give the import a document without it.",
    );
  if (typeof item.$ref !== "string") return item;
  if (seen.includes(item.$ref))
    throw new Failure(
      `${where} points to itself: ${[...seen, item.$ref].join(", ")}`,
      "Bundle it into one file first.",
    );
  const found = pointedTo(document, item.$ref);
  if (found === undefined)
    throw new Failure(
      `${where} points to ${item.$ref}, which is not in this document`,
      "Bundle it into one file first.",
    );
  return { ...resolved(where, document, found, [...seen, item.$ref]), ...item };
}

/**
 * What stands at a JSON pointer in a document (RFC 6901, section 6).
 * @param {any} document
 * @param {string} pointer
 */
function pointedTo(document, pointer) {
  if (!pointer.startsWith("#/")) return undefined;
  try {
    const names = decodeURIComponent(pointer.slice(2)).split("/");
    return names.reduce((at, name) => at?.[name.replaceAll("~1", "/").replaceAll("~0", "~")], document);
  } catch {
    return undefined;
  }
}

/**
 * What the first server has before each path.
 * @param {string} where
 * @param {any} servers
 */
function basePath(where, servers) {
  const first = Array.isArray(servers ?? []) ? (servers?.[0] ?? {}) : undefined;
  if (!isObject(first))
    throw new Failure(`${where}: servers is not a list of servers`, 'Such as: servers: [{ url: "/v1" }]');
  const { url = "", variables } = first;
  const written = String(url).replaceAll(/\{([^}]*)\}/g, (whole, name) => variables?.[name]?.default ?? whole);
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
  const hint = "Such as: security: [{ bearer: [orders:read] }]; a scheme without scopes has an empty list.";
  if (!Array.isArray(security)) throw new Failure(`${where}: security is not a list`, hint);
  for (const one of security) {
    if (!isObject(one))
      throw new Failure(`${where}: its security has ${JSON.stringify(one)}, which names no scheme`, hint);
    for (const [scheme, scopes] of Object.entries(one))
      if (!Array.isArray(scopes) || !scopes.every((scope) => typeof scope === "string"))
        throw new Failure(`${where}: its security has no list of scopes for ${JSON.stringify(scheme)}`, hint);
  }
  const isOptional = security.some((one) => Object.keys(one).length === 0);
  const named = security.filter((one) => Object.keys(one).length > 0);
  const asked = named.map((one) => [...new Set(Object.values(one).flat())].sort());
  const different = new Set(asked.map((scopes) => scopes.join(" ")));
  if (different.size > 1) {
    throw new Failure(
      `${where}: its security has alternatives with different scopes (${[...different].map((one) => one || "none").join("; or ")})`,
      "A route of a policy has one set of scopes: make them the same, or make two operations of it.",
    );
  }
  return { scopes: asked[0] ?? [], isPublic: asked.length === 0, isOptional: isOptional && asked.length > 0 };
}
