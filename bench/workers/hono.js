// A gate as people write it with Hono: a digest, KV and an object for each request.

import { DurableObject } from "cloudflare:workers";
import { Hono } from "hono";
import { bearerAuth } from "hono/bearer-auth";

const app = new Hono();

const digestOf = async (key) => {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key));
  return [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
};

app.use(
  "/api/*",
  bearerAuth({
    verifyToken: async (key, c) => {
      const digest = await digestOf(key);
      const record = await c.env.KEYS.get(digest, "json");
      if (record?.status !== "active") return false;
      c.set("record", record);
      c.set("digest", digest);
      return true;
    },
  }),
);

app.use("/api/*", async (c, next) => {
  const record = c.get("record");
  if (!record.scopes.includes("orders:read")) return c.json({ error: "insufficient_scope" }, 403);
  if (record.limit !== null) {
    const counter = c.env.COUNTER.get(c.env.COUNTER.idFromName(c.get("digest")));
    const answer = await counter.fetch(`https://counter/?limit=${record.limit}`);
    if (!(await answer.json()).allowed) return c.json({ error: "rate_limited" }, 429, { "Retry-After": "1" });
  }
  await next();
});

app.all("/api/*", async (c) => {
  const record = c.get("record");
  const headers = new Headers(c.req.raw.headers);
  headers.delete("authorization");
  headers.set("keyward-key-id", record.id);
  headers.set("keyward-tenant", record.tenant);
  headers.set("keyward-scopes", record.scopes.join(" "));
  headers.set("x-request-id", crypto.randomUUID());
  return c.env.ORIGIN.fetch(new Request(c.req.raw, { headers }));
});

export default app;

/** Counts the requests of one key in the present minute. */
export class Counter extends DurableObject {
  fetch(request) {
    const limit = Number(new URL(request.url).searchParams.get("limit"));
    const minute = `${Math.floor(Date.now() / 60_000)}`;
    const used = this.ctx.storage.kv.get(minute) ?? 0;
    if (used < limit) this.ctx.storage.kv.put(minute, used + 1);
    return Response.json({ allowed: used < limit });
  }
}
