// The least that any gate must do beside checking: one header off, four on, one on the answer.
let count = 0;

export default {
  async fetch(request, env) {
    const forwarded = new Request(request);
    forwarded.headers.delete("authorization");
    forwarded.headers.set("keyward-key-id", "key_1");
    forwarded.headers.set("keyward-tenant", "tenant-1");
    forwarded.headers.set("keyward-scopes", "orders:read");
    forwarded.headers.set("x-request-id", `${++count}`);
    const answer = await env.ORIGIN.fetch(forwarded);
    const own = new Response(answer.body, answer);
    own.headers.set("x-request-id", `${count}`);
    return own;
  },
};
