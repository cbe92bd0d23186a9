// The API itself. Whatever arrives here has passed the gate, which says in headers whose it is.

import { Hono } from "hono";

const app = new Hono();

app.get("/notes", (c) => c.json({ tenant: c.req.header("Keyward-Tenant"), notes: [] }));

app.post("/notes", async (c) => {
  const { text } = await c.req.json();
  return c.json({ text, writtenBy: c.req.header("Keyward-Key-Id") }, 201);
});

export default app;
