// The least that any gate must do that keeps Keyward's promises to the origin and to the client, beside checking: the redirect
// is the client's to follow, the origin has a deadline, fields that only the gate may set are looked for in both directions,
// and as many are set as Keyward sets.
let count = 0;

const isForged = (name) => name.startsWith("keyward-") || name.startsWith("x-forwarded-");
const isTheGates = (name) => name.startsWith("keyward-") || name.startsWith("ratelimit");

export default {
  async fetch(request, env) {
    const id = `${++count}`;
    const abort = new AbortController();
    const forwarded = new Request(request, { redirect: "manual", signal: abort.signal });
    const { headers } = forwarded;
    for (const name of [...headers.keys()]) if (isForged(name)) headers.delete(name);
    headers.delete("authorization");
    headers.set("keyward-request-id", id);
    headers.set("keyward-key-id", "key_1");
    headers.set("keyward-tenant", "tenant-1");
    headers.set("keyward-scopes", "orders:read");
    headers.set("keyward-mode", "live");
    headers.set("x-forwarded-host", "127.0.0.1");
    headers.set("x-forwarded-proto", "http");
    headers.set("x-forwarded-for", "192.0.2.1");
    const timer = setTimeout(() => abort.abort(), 30_000);
    const answer = await env.ORIGIN.fetch(forwarded);
    clearTimeout(timer);
    const own = new Response(answer.body, answer);
    for (const name of [...own.headers.keys()]) if (isTheGates(name)) own.headers.delete(name);
    own.headers.set("x-request-id", id);
    own.headers.set("ratelimit-policy", '"minute";q=1000000;w=60');
    own.headers.set("ratelimit", '"minute";r=999999;t=60');
    own.headers.set("vary", "authorization");
    own.headers.set("cache-control", "private");
    return own;
  },
};
