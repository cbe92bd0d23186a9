// Stands for KV in bare workerd, in memory: `GET`, `PUT` and `DELETE` of `/<key>`, as the runtime's KV binding asks.
// The benchmark itself reads all of it at `/`, and puts it back there after a restart.
/** @type {Map<string, string>} */
const values = new Map();

export default {
  async fetch(request) {
    const key = decodeURIComponent(new URL(request.url).pathname.slice(1));
    if (request.method === "PUT") {
      const value = await request.text();
      if (key === "") for (const [one, its] of Object.entries(JSON.parse(value))) values.set(one, its);
      else values.set(key, value);
      return new Response(null, { status: 204 });
    }
    if (request.method === "DELETE") {
      values.delete(key);
      return new Response(null, { status: 204 });
    }
    if (key === "") return Response.json(Object.fromEntries(values));
    const value = values.get(key);
    return value === undefined ? new Response(null, { status: 404 }) : new Response(value);
  },
};
