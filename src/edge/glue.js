// The few places where staying on the JavaScript side saves a crossing for each header, promise and
// timer. Lists come as one string, an entry a line: no header field can hold a line break.

const lines = (text) => (text === "" ? [] : text.split("\n"));
const TIMED_OUT = Symbol("timed out");

// The promise's value, or TIMED_OUT if it does not come within so many milliseconds of `from`.
async function within(promise, milliseconds, from) {
  let timer;
  let settled = false;
  const late = new Promise((resolve) => {
    const start = () => { if (!settled) timer = setTimeout(resolve, milliseconds, TIMED_OUT); };
    if (from) from.then(start, start);
    else start();
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    settled = true;
    clearTimeout(timer);
  }
}

async function inTime(promise, milliseconds) {
  const value = await within(promise, milliseconds);
  if (value === TIMED_OUT) throw new Error(`no answer within ${milliseconds} ms`);
  return value;
}

// The text under a key of KV, or null.
export function read(kv, key, milliseconds) {
  return inTime(kv.get(key), milliseconds);
}

// Sends JSON text to the object of this name; the text of its answer.
export function ask(namespace, name, body, milliseconds) {
  const answer = async () => {
    const response = await namespace.get(namespace.idFromName(name)).fetch(`https://object/${name}`, { method: "POST", body });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`answered ${response.status}`);
    return text;
  };
  return inTime(answer(), milliseconds);
}

// The first bytes of a body, or null if there are more than `most`.
async function first(body, most) {
  const chunks = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.length;
    if (length > most) return null;
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

// The text at a URL, if it is not longer than `most` bytes.
export function load(url, most, milliseconds) {
  const answer = async () => {
    // Another address than the policy's is not the issuer's: a redirect is answered with its own status. (The
    // runtime knows "follow" and "manual" only.)
    const response = await fetch(url, { redirect: "manual", headers: { accept: "application/json" } });
    if (response.status !== 200) throw new Error(`answered ${response.status}`);
    const bytes = await first(response.body, most);
    if (bytes === null) throw new Error(`answered more than ${most} bytes`);
    return new TextDecoder().decode(bytes);
  };
  return inTime(answer(), milliseconds);
}

// The body of a request that goes on afterwards, or null if it has more than `most` bytes.
export function peek(request, most) {
  return first(request.clone().body, most);
}

// Counts one event of this key; whether there were too many.
export function exceeds(limiter, key, milliseconds) {
  return inTime(limiter.limit({ key }).then(({ success }) => !success), milliseconds);
}

// Sends a client's request on, and returns the answer, or undefined if it does not begin in time.
//   fetcher   a service binding, or undefined for the network
//   url       where to, or undefined for the request's own URL
//   removed   names, in lower case, of header fields that the origin must not see
//   prefix    every field whose name begins so is removed: only the gate says who somebody is
//   cookies   names of cookies that are the gate's own
//   identity  names and values of the fields to set, one after the other
//   patience  milliseconds from when the request has been sent whole
export async function forward(request, fetcher, url, removed, prefix, cookies, identity, patience) {
  const abort = new AbortController();
  const init = { redirect: "manual", signal: abort.signal };
  // A shared cache between gate and origin no longer sees whose answer it holds (RFC 9111, 3.5).
  if (!fetcher) init.cache = "no-store";
  let sent;
  if (request.body) {
    // The runtime pumps one stream into the other; all that is seen of it here is its end.
    const length = request.headers.get("content-length");
    const pipe = length === null ? new IdentityTransformStream() : new FixedLengthStream(Number(length));
    sent = request.body.pipeTo(pipe.writable);
    init.body = pipe.readable;
  }
  const copy = new Request(request, init);
  const onward = url === undefined ? copy : new Request(url, copy);
  const { headers } = onward;
  const hidden = lines(removed);
  for (const name of [...headers.keys()]) {
    // Many servers hand `X_Y` and `X-Y` to an application under one name (CGI, RFC 3875, 4.1.18).
    const read = name.replaceAll("_", "-");
    if (read.startsWith(prefix) || hidden.includes(read)) headers.delete(name);
  }
  const jar = headers.get("cookie");
  const own = lines(cookies);
  if (jar && own.some((name) => jar.includes(name))) {
    // A comma is where the runtime joined two Cookie fields.
    const others = jar.split(/([;,]\s*)/).filter((part, i, parts) => {
      const pair = i % 2 === 0 ? part : parts[i + 1];
      return !own.includes(pair.split("=")[0].trim());
    }).join("").replace(/^[;,]\s*/, "");
    if (others) headers.set("cookie", others);
    else headers.delete("cookie");
  }
  const fields = lines(identity);
  for (let i = 0; i < fields.length; i += 2) headers.set(fields[i], fields[i + 1]);
  const answer = await within(fetcher ? fetcher.fetch(onward) : fetch(onward), patience, sent);
  if (answer !== TIMED_OUT) return answer;
  abort.abort();
  return undefined;
}

// The origin's answer with fields of the gate's own, be it the answer to an upgrade.
export function decorate(response, set, append) {
  const { webSocket } = response;
  const answer = webSocket ? new Response(null, { status: 101, headers: response.headers, webSocket }) : new Response(response.body, response);
  const fields = lines(set);
  for (let i = 0; i < fields.length; i += 2) answer.headers.set(fields[i], fields[i + 1]);
  const more = lines(append);
  for (let i = 0; i < more.length; i += 2) answer.headers.append(more[i], more[i + 1]);
  return answer;
}
