// Answers by itself: what the runtime costs without an origin. Also the origin of all other contestants, where it shows
// what has reached it.
const body = "x".repeat(64 * 1024);
const MEGABYTES = new Uint8Array(5 * 1024 * 1024);

let requests = 0;

export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/requests") return new Response(`${requests}`);
    requests += 1;
    if (request.method === "POST") {
      let length = 0;
      for await (const chunk of request.body ?? []) length += chunk.length;
      return new Response(`${length}`);
    }
    if (pathname.endsWith("/64k")) return new Response(body);
    if (pathname.endsWith("/5m")) return new Response(MEGABYTES);
    if (pathname.endsWith("/headers")) return Response.json(Object.fromEntries(request.headers));
    return new Response("ok");
  },
};
