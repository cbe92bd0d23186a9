// Edits the header fields of requests and responses, as `keyward_gate::forwarding` says. In JavaScript, so that no field
// crosses into the wasm.

import { readName } from "./field_names.js";

/** @import { Way } from "./forward.js" */

/**
 * How a response is edited, as far as that is the same for many (crates/gate/src/forwarding/profile.rs).
 * @typedef {object} AnswerProfile
 * @property {(name: string) => boolean} isRemoved whether a field of this name, in lower case, is not for the client
 * @property {Addition[]} merged
 * @property {string[]} challenges beginnings of challenges that only the gate sends
 */

/**
 * What is added to a list that the origin may have begun.
 * @typedef {object} Addition
 * @property {string} name the list's field
 * @property {string} lower its name in lower case
 * @property {string} list
 */

/**
 * @param {[name: string, list: string]} addition
 * @returns {Addition}
 */
export const additionOf = ([name, list]) => ({ name, lower: name.toLowerCase(), list });

/** The fields that `Connection` names: they are for this connection only (RFC 9110, section 7.6.1). */
const namedIn = (/** @type {string} */ connection) =>
  connection
    .toLowerCase()
    .split(",")
    .map((name) => name.trim());

/** Fields by which the runtime frames and routes a message: they stay even if `Connection` names them. */
const RUNTIME_OWN = new Set([
  "",
  "close",
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "host",
  "upgrade",
]);

/** @param {Headers} headers */
function removeNamedByConnection(headers) {
  for (const name of namedIn(headers.get("connection") ?? "")) {
    if (RUNTIME_OWN.has(name)) continue;
    try {
      headers.delete(name);
    } catch {
      // Not a field's name.
    }
  }
}

/**
 * Removes fields: what is for this connection only, and what `isRemoved` says. Returns the names of those that there were.
 * @param {Headers} headers
 * @param {(name: string) => boolean} isRemoved
 */
function removeFields(headers, isRemoved) {
  const names = [...headers.keys()];
  if (names.includes("connection")) removeNamedByConnection(headers);
  for (const name of names) if (isRemoved(name)) headers.delete(name);
  return names;
}

/**
 * @param {Headers} headers
 * @param {string[]} fields names and values, in turn
 */
function setFields(headers, fields) {
  for (let i = 0; i < fields.length; i += 2) headers.set(fields[i], fields[i + 1]);
}

/**
 * The header fields of a request, as the origin gets them.
 * @param {Headers} headers a copy of the client's
 * @param {Way} way
 * @param {Request} request
 */
export function editRequest(headers, { profile, credentials, set }, request) {
  const names = removeFields(headers, profile.isRemoved);
  for (const name of credentials) headers.delete(name);
  // Only GET opens a WebSocket (RFC 6455, section 4.1); the runtime would turn any method into GET.
  if (names.includes("upgrade") && (request.method !== "GET" || headers.get("upgrade")?.toLowerCase() !== "websocket"))
    headers.delete("upgrade");
  const jar = names.includes("cookie") ? headers.get("cookie") : null;
  if (jar !== null) {
    const kept = withoutCookies(jar, profile.cookies);
    if (kept === "") headers.delete("cookie");
    else if (kept !== jar) headers.set("cookie", kept);
  }
  // Cloudflare replaces Accept-Encoding with its own and keeps the client's here.
  const { clientAcceptEncoding: accepted } = /** @type {{ clientAcceptEncoding?: string }} */ (request.cf ?? {});
  if (accepted) headers.set("accept-encoding", accepted);
  else if (accepted === "") headers.delete("accept-encoding");
  setFields(headers, set);
}

/**
 * A Cookie field without the cookies of these names. Several fields become one (RFC 9113, section 8.2.3). The runtime joins them
 * with a comma; a comma within a cookie's value is not followed by a space and a name.
 * @param {string} jar
 * @param {string[]} names
 */
function withoutCookies(jar, names) {
  const joined = jar.replace(/"[^"]*"|, (?=[!#$%&'*+\-.^_`|~0-9A-Za-z]+=)/g, (part) =>
    part.startsWith(",") ? "; " : part,
  );
  const isOwn = namesCookieOf(names);
  // Some servers take a comma without a space for a separator, too.
  const parts = joined.split(/([;,]\s*)/);
  const kept = parts.filter((part, i) => !isOwn(i % 2 === 0 ? part : parts[i + 1]));
  return kept.length === parts.length ? joined : kept.join("").replace(/^[;,]\s*/, "");
}

/**
 * A function that tells whether a cookie, as `name=value`, has one of these names, in any spelling that a server may read as it.
 * @param {string[]} names
 */
function namesCookieOf(names) {
  const own = new Set(names.map(readName));
  return (/** @type {string} */ pair) => {
    // Of a cookie without a name, browsers send only the value.
    const [, name = ""] = pair.match(/^[\s="]*([^=]*)/) ?? [];
    return own.has(readName(decoded(name).trim().replace(/"$/, "")));
  };
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * The origin's response as the client gets it, or undefined if it cannot be passed on.
 * @param {Response} response
 * @param {Way} way
 * @param {Request} request
 */
export function decorate(response, { profile, answerSet, answerMerged }, request) {
  const { status, webSocket } = response;
  if (status > 599 || (status < 200 && !webSocket)) return undefined;
  const init = webSocket ? { status, headers: response.headers, webSocket } : response;
  const answer = new Response(webSocket || NO_BODY.has(status) ? null : response.body, init);
  const { headers } = answer;
  const names = removeFields(headers, profile.answer.isRemoved);
  if (names.includes("set-cookie")) removeOwnCookies(headers, profile.ownCookies);
  if (names.includes("www-authenticate")) removeOwnChallenges(headers, profile.answer.challenges);
  if (profile.ownAddress !== null) mapAddresses(headers, profile.ownAddress, originOf(request.url));
  setFields(headers, answerSet);
  for (const addition of profile.answer.merged) merge(headers, addition, names);
  for (let i = 0; i < answerMerged.length; i += 2)
    merge(headers, additionOf([answerMerged[i], answerMerged[i + 1]]), names);
  return answer;
}

/**
 * Removes cookies of the gate's names: the origin may not set them.
 * @param {Headers} headers
 * @param {string[]} names
 */
function removeOwnCookies(headers, names) {
  const all = headers.getSetCookie();
  const isOwn = namesCookieOf(names);
  const others = all.filter((cookie) => !isOwn(cookie.split(";")[0]));
  if (others.length === all.length) return;
  headers.delete("set-cookie");
  for (const cookie of others) headers.append("set-cookie", cookie);
}

/**
 * Removes challenges of the gate's realms: only the gate judges the client's credential.
 * @param {Headers} headers
 * @param {string[]} own
 */
function removeOwnChallenges(headers, own) {
  const given = headers
    .get("www-authenticate")
    ?.toLowerCase()
    .replace(/"/g, "")
    .replace(/\s+/g, " ")
    .replace(/ ?= ?/g, "=");
  if (given !== undefined && own.some((challenge) => given.includes(challenge))) headers.delete("www-authenticate");
}

/** Whether the origin says who may store the response to a request with `Authorization` (RFC 9111, section 3.5). */
const saysWhoMayKeepIt = (/** @type {Headers} */ headers) =>
  /(^|[,\s])(public|private|no-store|must-revalidate|s-maxage)\b/i.test(headers.get("cache-control") ?? "");

/** Statuses of responses without content (the Fetch standard's null body status). */
const NO_BODY = new Set([204, 205, 304]);

/**
 * Adds the members of a list to a field, none of them twice; a field that has `*` needs none.
 * @param {Headers} headers
 * @param {Addition} addition
 * @param {string[]} names the fields that the origin has sent
 */
function merge(headers, { name, lower, list }, names) {
  if (!names.includes(lower)) {
    headers.set(name, list);
    return;
  }
  if (lower === "cache-control" && saysWhoMayKeepIt(headers)) return;
  const present = (headers.get(name) ?? "")
    .split(",")
    .map((member) => member.trim())
    .filter(Boolean);
  const known = new Set(present.map((member) => member.toLowerCase()));
  if (known.has("*")) return;
  const missing = list
    .split(",")
    .map((member) => member.trim())
    .filter((member) => !known.has(member.toLowerCase()));
  if (missing.length || present.length > known.size) {
    const unique = [...new Map([...present, ...missing].map((member) => [member.toLowerCase(), member])).values()];
    headers.set(name, unique.join(", "));
  }
}

/** Scheme, host and port of a URL. */
export const originOf = (/** @type {string} */ url) => url.slice(0, url.indexOf("/", url.indexOf("://") + 3));

/**
 * Replaces the address that was asked for in the target of a COPY or MOVE with the origin's own (RFC 4918, section 10.3).
 * @param {Headers} headers
 * @param {string} asked
 * @param {string} own
 */
export function mapDestination(headers, asked, own) {
  const destination = headers.get("destination");
  if (destination?.startsWith(`${asked}/`)) headers.set("destination", own + destination.slice(asked.length));
}

/** Fields that are a URL, and fields that contain URLs: an origin may name itself there. */
const URLS = ["location", "content-location", "operation-location", "odata-entityid", "sourcemap"];
const WITH_URLS = ["link", "refresh", "www-authenticate"];
const ADDRESS = /((?:https?:)?\/\/[^\s/?#\\<>"',;]+)(?=[\s/?#\\<>"',;]|$)/;
const AT_BEGIN = new RegExp(`^(\\s*)${ADDRESS.source}`, "i");
const ANYWHERE = new RegExp(`(^|[\\s<"',;]|\\burl\\s*=\\s*)${ADDRESS.source}`, "gi");

/**
 * Replaces the origin's own address with the one that was asked for.
 * @param {Headers} headers
 * @param {string} own
 * @param {string} asked
 */
function mapAddresses(headers, own, asked) {
  for (const [names, pattern] of /** @type {[string[], RegExp][]} */ ([
    [URLS, AT_BEGIN],
    [WITH_URLS, ANYWHERE],
  ])) {
    for (const name of names) {
      const value = headers.get(name);
      if (value === null) continue;
      const mapped = value.replace(pattern, (whole, before, address) =>
        isSameServer(address, own) ? before + asked : whole,
      );
      if (mapped !== value) headers.set(name, mapped);
    }
  }
}

/**
 * Whether an address is the origin's own; the scheme may differ, since many origins behind a TLS proxy say http.
 * @param {string} address
 * @param {string} own
 */
function isSameServer(address, own) {
  try {
    const other = new URL(address, own);
    const { hostname, port } = new URL(own);
    return other.hostname === hostname && other.port === port && other.username === "" && other.password === "";
  } catch {
    return false;
  }
}
