// A request's way to the origin and its answer's way back: the runtime's streams and headers, edited as
// `crate::forwarding` says. It stays on the JavaScript side, where a header or a chunk costs no crossing.

/** What `forward` gives instead of an answer. */
const TIMED_OUT = /** @type {const} */ ("timed out");
const STALLED = /** @type {const} */ ("stalled");
const BROKEN_OFF = /** @type {const} */ ("broken off");
const GAVE_WAY = /** @type {const} */ ("gave way");

/** Bytes of a body that are read at once: a large upload costs fewer turns, a small one no memory to speak of. */
const LEAST_READ = 16 * 1024;
const MOST_READ = 256 * 1024;
/** So many uploads of an isolate have a large buffer; one that has not moved for so long, in milliseconds, has ended without a word. */
const MOST_LARGE = 64;
const LONGEST_PAUSE = 16 * 60_000;

/** @import { Handler } from "./handlers.js" */
/** @typedef {"origin" | "client"} Side Who may keep the gate waiting. */

const lines = (/** @type {string} */ text) => (text === "" ? [] : text.split("\n"));

/**
 * Sends a request on. The answer; or "timed out", when the origin has kept the gate waiting for longer than it may;
 * or "stalled", when the client has; or "broken off", when the client has not sent its body to the end; or "gave way";
 * or other text that says why the origin cannot be reached. What is thrown is a fault of the gate's own.
 * @param {Request} request
 * @param {Fetcher | undefined} fetcher a service binding, or undefined
 * @param {Handler | undefined} handler an origin in the same Worker, or undefined; where there is neither, the network is asked
 * @param {object} env and
 * @param {ExecutionContext} context what the request came with, for a handler
 * @param {string | undefined} url where to, or undefined for the request's own URL
 * @param {string} removed names, in lower case, of fields that the origin must not see; one that ends in `-` stands for
 *   all that begin so, one between two `-` for all that have these words in them; one after a `~` is removed where it
 *   is spelled otherwise. Every sign counts as `-`: servers give an application several spellings under one name (CGI,
 *   RFC 3875, section 4.1.18)
 * @param {string} cookies names of cookies that the origin must not see
 * @param {string} fields names and values to set, one after the other
 * @param {Uint8Array | undefined} held the body, if the gate has read it
 * @param {Promise<unknown> | undefined} givesWay settles when the room for the copy of a body is needed for others; undefined if none is taken
 * @param {(() => void) | undefined} hasCome is called when all of that body has come, if it does before the answer begins
 * @param {number} originTimeout milliseconds for which the origin may take nothing of the body, or not begin its answer
 * @param {number} clientTimeout milliseconds for which the client may send nothing of a body that has not ended
 */
export async function forward(
  request,
  fetcher,
  handler,
  env,
  context,
  url,
  removed,
  cookies,
  fields,
  held,
  givesWay,
  hasCome,
  originTimeout,
  clientTimeout,
) {
  const abort = new AbortController();
  /** @type {(why: string) => void} */
  let giveUp = () => {};
  /** @type {Promise<string>} */
  const ended = new Promise((resolve) => {
    giveUp = (why) => {
      resolve(why);
      abort.abort();
    };
  });
  const patience = new Patience({ origin: originTimeout, client: clientTimeout }, (who) =>
    giveUp(who === "origin" ? TIMED_OUT : STALLED),
  );

  /** @type {RequestInit<RequestInitCfProperties>} */
  const init = { redirect: "manual", signal: abort.signal };
  // What a cache between gate and origin keeps for one consumer it would give to another, since the credential
  // is gone (RFC 9111, section 3.5). `cache: "no-store"` would tell the origin too, in fields of its own.
  if (!fetcher && !handler) init.cf = { cacheTtlByStatus: { "100-599": -1 } };
  // The runtime takes no body in `init` for GET and HEAD, but a copy keeps what the client sent, if anything.
  const isCopied = request.method === "GET" || request.method === "HEAD";
  const body = request.bodyUsed ? null : request.body;
  const watched = isCopied && body ? request.clone().body?.getReader() : undefined;
  void givesWay?.then(() => giveUp(GAVE_WAY));
  let sink;
  if (held && !isCopied) {
    init.body = held;
  } else if (body && !isCopied) {
    const length = request.headers.get("content-length");
    const pipe = length === null ? new IdentityTransformStream() : new FixedLengthStream(Number(length));
    init.body = pipe.readable;
    sink = pipe.writable;
  }
  const copy = request.bodyUsed
    ? // The gate has read it, to its end.
      new Request(request.url, { ...init, method: request.method, headers: request.headers })
    : new Request(request, init);
  const onward = url === undefined ? copy : new Request(url, copy);
  editRequest(onward.headers, request, removed, cookies, fields);
  if (url !== undefined) mapDestination(onward.headers, originOf(request.url), originOf(url));

  const onBrokenOff = () => giveUp(BROKEN_OFF);
  if (body && sink) void send(body, sink, patience, onBrokenOff);
  else if (watched) void watch(watched, patience, hasCome, onBrokenOff);
  else patience.waitFor("origin");
  try {
    return await Promise.race([ask(onward, fetcher, handler, env, context), ended]);
  } catch (error) {
    return `${error}`;
  } finally {
    patience.end();
    // From now on the runtime takes no more in than the origin takes.
    void watched?.cancel().catch(() => {});
  }
}

/**
 * The origin's answer.
 * @param {Request} request
 * @param {Fetcher | undefined} fetcher
 * @param {Handler | undefined} handler
 * @param {object} env
 * @param {ExecutionContext} context
 */
async function ask(request, fetcher, handler, env, context) {
  if (!handler) return fetcher ? fetcher.fetch(request) : fetch(request);
  // Where the gate fails, a request goes nowhere, whatever the handler asks for: the platform would send it as it came.
  Object.defineProperty(context, "passThroughOnException", { value: () => {}, configurable: true });
  let answer;
  try {
    answer = await handler(request, env, context);
  } catch (error) {
    throw new Error(`the handler threw ${textOf(error)}`, { cause: error });
  }
  // Text, say, which would be taken for what `forward` gives.
  if (!(answer instanceof Response)) throw new TypeError("the handler answered with something else than a Response");
  return answer;
}

/**
 * What a log says of something thrown, which may be anything.
 * @param {unknown} error
 */
function textOf(error) {
  try {
    return String(error);
  } catch {
    return "something that has no text";
  }
}

/** Counts how long one side keeps the gate waiting without a break: the origin and the client in turn. */
class Patience {
  #of;
  #least;
  #onLate;
  /** @type {Side} */
  #who = "client";
  #since = 0;
  #timer = 0;
  #over = false;

  /**
   * @param {Record<Side, number>} of how many milliseconds each may take
   * @param {(who: Side) => void} onLate is told once, whose they are over
   */
  constructor(of, onLate) {
    this.#of = of;
    this.#least = Math.min(...Object.values(of));
    this.#onLate = onLate;
  }

  /**
   * From now on it is this side that is waited for.
   * @param {Side} who
   */
  waitFor(who) {
    this.#who = who;
    this.#since = performance.now();
    // One timer for the whole transfer, since one for each chunk would cost more than the chunk.
    if (!this.#timer && !this.#over) this.#timer = setTimeout(() => this.#look(), this.#least);
  }

  #look() {
    const left = this.#of[this.#who] - (performance.now() - this.#since);
    if (left <= 0) this.#onLate(this.#who);
    else this.#timer = setTimeout(() => this.#look(), Math.min(left, this.#least));
  }

  end() {
    clearTimeout(this.#timer);
    this.#over = true;
  }

  /** Whether nobody is waited for any more. */
  get isOver() {
    return this.#over;
  }
}

/**
 * Sends a body on, chunk by chunk. That the source breaks off is told, since the origin must not take what
 * came for the whole. That the origin takes no more is not: it may have answered, and the answer says why.
 * @param {ReadableStream} source
 * @param {WritableStream} sink
 * @param {Patience} patience
 * @param {() => void} onBrokenOff
 */
async function send(source, sink, patience, onBrokenOff) {
  const reader = source.getReader({ mode: "byob" });
  const writer = sink.getWriter();
  const upload = Symbol("upload");
  try {
    await pass(reader, writer, upload, patience, onBrokenOff);
  } finally {
    large.delete(upload);
  }
}

/** @type {Map<symbol, number>} Uploads with a large buffer, and when each moved last. */
const large = new Map();

/**
 * Whether an upload may have a large buffer now.
 * @param {symbol} upload
 */
function mayBeLarge(upload) {
  const now = performance.now();
  if (!large.has(upload) && large.size >= MOST_LARGE) {
    for (const [other, moved] of large) if (now - moved > LONGEST_PAUSE) large.delete(other);
    if (large.size >= MOST_LARGE) return false;
  }
  large.set(upload, now);
  return true;
}

/**
 * @param {ReadableStreamBYOBReader} reader
 * @param {WritableStreamDefaultWriter} writer
 * @param {symbol} upload
 * @param {Patience} patience
 * @param {() => void} onBrokenOff
 */
async function pass(reader, writer, upload, patience, onBrokenOff) {
  let buffer = new ArrayBuffer(LEAST_READ);
  for (;;) {
    let chunk;
    try {
      patience.waitFor("client");
      chunk = await reader.read(new Uint8Array(buffer));
    } catch {
      return onBrokenOff();
    }
    try {
      patience.waitFor("origin");
      // An origin that refuses a large upload and closes has often answered by now. Written on to, its system would
      // throw that answer away; given a moment, the runtime reads it first.
      if (chunk.value?.buffer.byteLength === MOST_READ) await scheduler.wait(1);
      if (chunk.done) return void (await writer.close());
      await writer.write(chunk.value);
    } catch {
      // What the client still sends is left to whoever answers.
      return reader.releaseLock();
    }
    const { byteLength, buffer: own } = chunk.value;
    const isLarge = byteLength === own.byteLength && mayBeLarge(upload);
    buffer = isLarge && own.byteLength < MOST_READ ? new ArrayBuffer(MOST_READ) : own;
  }
}

/**
 * Follows a body that the runtime sends on by itself: the origin is waited for when it has come to its end.
 * @param {ReadableStreamDefaultReader} reader
 * @param {Patience} patience
 * @param {(() => void) | undefined} hasCome
 * @param {() => void} onBrokenOff
 */
async function watch(reader, patience, hasCome, onBrokenOff) {
  try {
    do patience.waitFor("client");
    while (!(await reader.read()).done);
    if (patience.isOver) return;
    patience.waitFor("origin");
    hasCome?.();
  } catch {
    onBrokenOff();
  }
}

/**
 * The name by which servers know a field or cookie that give an application several spellings under one (CGI, RFC 3875,
 * section 4.1.18; WSGI, PHP): without case, each sign a `-`.
 */
const readName = (/** @type {string} */ name) => name.toLowerCase().replace(/[^a-z0-9]/g, "-");

/**
 * Whether a field of this name, in lower case, is one of a list as `forward` takes it.
 * @param {string} list
 * @returns {(name: string) => boolean}
 */
function matcher(list) {
  const names = new Set(lines(list));
  const words = [...names].filter((name) => name.startsWith("-"));
  const prefixes = [...names].filter((name) => name.endsWith("-"));
  const begins = (/** @type {string} */ name, /** @type {string} */ how) =>
    prefixes.some((prefix) => prefix.startsWith(how) && name.startsWith(prefix.slice(how.length)));
  return (name) => {
    if (names.has(name) || begins(name, "")) return true;
    const read = readName(name);
    if (words.some((some) => `-${read}-`.includes(some))) return true;
    return read !== name && (names.has(read) || names.has(`~${read}`) || begins(read, "") || begins(read, "~"));
  };
}

/** @type {Map<string, (name: string) => boolean>} */
const matchers = new Map();

/** @param {string} list */
function matches(list) {
  // A list belongs to a realm and a kind of credential: there are few.
  let found = matchers.get(list);
  if (!found) {
    if (matchers.size > 1000) matchers.clear();
    found = matcher(list);
    matchers.set(list, found);
  }
  return found;
}

/** Fields that `Connection` names belong to this connection only (RFC 9110, section 7.6.1). */
const namedIn = (/** @type {string} */ connection) =>
  connection
    .toLowerCase()
    .split(",")
    .map((name) => name.trim());

/** What the runtime itself frames and routes a message by, whatever `Connection` names. */
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
  const connection = headers.get("connection");
  if (connection === null) return;
  for (const name of namedIn(connection)) {
    if (RUNTIME_OWN.has(name)) continue;
    try {
      headers.delete(name);
    } catch {
      // Not a field's name.
    }
  }
}

/**
 * @param {Headers} headers
 * @param {Request} request
 * @param {string} removed
 * @param {string} cookies
 * @param {string} fields
 */
function editRequest(headers, request, removed, cookies, fields) {
  removeNamedByConnection(headers);
  const isRemoved = matches(removed);
  for (const name of [...headers.keys()]) if (isRemoved(name)) headers.delete(name);
  // A WebSocket is opened by GET alone (RFC 6455, section 4.1); the runtime would make one of any method.
  if (request.method !== "GET" || headers.get("upgrade")?.toLowerCase() !== "websocket") headers.delete("upgrade");
  const jar = headers.get("cookie");
  if (jar !== null) {
    const kept = withoutCookies(jar, lines(cookies));
    if (kept === "") headers.delete("cookie");
    else if (kept !== jar) headers.set("cookie", kept);
  }
  // Cloudflare asks with an Accept-Encoding of its own and keeps the client's here.
  const { clientAcceptEncoding: accepted } = /** @type {{ clientAcceptEncoding?: string }} */ (request.cf ?? {});
  if (accepted) headers.set("accept-encoding", accepted);
  else if (accepted === "") headers.delete("accept-encoding");
  const given = lines(fields);
  for (let i = 0; i < given.length; i += 2) headers.set(given[i], given[i + 1]);
}

/**
 * A Cookie field without the cookies of these names. Several fields become one (RFC 9113, section 8.2.3): the
 * runtime joins them with a comma, which in a cookie's own value is not followed by a space and a name.
 * @param {string} jar
 * @param {string[]} names
 */
function withoutCookies(jar, names) {
  const joined = jar.replace(/"[^"]*"|, (?=[!#$%&'*+\-.^_`|~0-9A-Za-z]+=)/g, (part) =>
    part.startsWith(",") ? "; " : part,
  );
  const isOwn = namesCookieOf(names);
  // A comma without a space may part cookies to some servers.
  const parts = joined.split(/([;,]\s*)/);
  const kept = parts.filter((part, i) => !isOwn(i % 2 === 0 ? part : parts[i + 1]));
  return kept.length === parts.length ? joined : kept.join("").replace(/^[;,]\s*/, "");
}

/**
 * Tells whether a cookie, as `name=value`, has one of these names, in any spelling that a server may read as one.
 * @param {string[]} names
 */
function namesCookieOf(names) {
  const own = new Set(names.map(readName));
  return (/** @type {string} */ pair) => {
    // What browsers send of a cookie without a name begins with its value.
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
 * The origin's answer as the client gets it, or undefined if it is none that can be passed on.
 * @param {Response} response
 * @param {string} removed as for `forward`
 * @param {string} cookies names of cookies that only the gate sets
 * @param {string} challenges beginnings of challenges that only the gate makes
 * @param {string} set names and values, one after the other
 * @param {string} merged names and values to be added to lists that the origin may have begun
 * @param {string | undefined} addresses the origin's own, scheme, host and port, and the one that the client asked; undefined for a binding
 */
export function decorate(response, removed, cookies, challenges, set, merged, addresses) {
  const { status, webSocket } = response;
  if (status > 599 || (status < 200 && !webSocket)) return undefined;
  const init = webSocket ? { status, headers: response.headers, webSocket } : response;
  const answer = new Response(webSocket || NO_BODY.has(status) ? null : response.body, init);
  const { headers } = answer;
  removeNamedByConnection(headers);
  const isRemoved = matches(removed);
  for (const name of [...headers.keys()]) if (isRemoved(name)) headers.delete(name);
  removeOwnCookies(headers, lines(cookies));
  removeOwnChallenges(headers, lines(challenges));
  if (addresses !== undefined) {
    const [own, asked] = lines(addresses);
    mapAddresses(headers, own, asked);
  }
  const fields = lines(set);
  for (let i = 0; i < fields.length; i += 2) headers.set(fields[i], fields[i + 1]);
  const more = lines(merged);
  for (let i = 0; i < more.length; i += 2) {
    if (!(more[i] === "Cache-Control" && saysWhoMayKeepIt(headers))) merge(headers, more[i], more[i + 1]);
  }
  return answer;
}

/**
 * An origin sets no cookie of the gate's own.
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
 * An origin does not say of the client's credential what only the gate says.
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

/** Whether an answer to a request with `Authorization` could be kept by a cache that many share, or by none (RFC 9111, section 3.5). */
const saysWhoMayKeepIt = (/** @type {Headers} */ headers) =>
  /(^|[,\s])(public|private|no-store|must-revalidate|s-maxage)\b/i.test(headers.get("cache-control") ?? "");

/** Statuses whose answers have no content (the Fetch standard's null body status). */
const NO_BODY = new Set([204, 205, 304]);

/**
 * Adds the members of a list to a field, none of them twice; `*` in it says all there is to say.
 * @param {Headers} headers
 * @param {string} name
 * @param {string} list
 */
function merge(headers, name, list) {
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
const originOf = (/** @type {string} */ url) => url.slice(0, url.indexOf("/", url.indexOf("://") + 3));

/**
 * Where a COPY or MOVE goes, in the origin's own words (RFC 4918, section 10.3).
 * @param {Headers} headers
 * @param {string} asked
 * @param {string} own
 */
function mapDestination(headers, asked, own) {
  const destination = headers.get("destination");
  if (destination?.startsWith(`${asked}/`)) headers.set("destination", own + destination.slice(asked.length));
}

/** Fields that are a URL, in which an origin may name itself, and fields with URLs in them. */
const URLS = ["location", "content-location", "operation-location", "odata-entityid", "sourcemap"];
const WITH_URLS = ["link", "refresh", "www-authenticate"];
const ADDRESS = /((?:https?:)?\/\/[^\s/?#\\<>"',;]+)(?=[\s/?#\\<>"',;]|$)/;
const AT_BEGIN = new RegExp(`^(\\s*)${ADDRESS.source}`, "i");
const ANYWHERE = new RegExp(`(^|[\\s<"',;]|\\burl\\s*=\\s*)${ADDRESS.source}`, "gi");

/**
 * Maps the origin's own address back to the one that was asked.
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
 * Whether an address is the origin's own, also by its other scheme: behind TLS that ends before it, many say http.
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
