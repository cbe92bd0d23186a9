// The demo origin: answers every request with what it received, so that anyone can see what an origin
// behind the gate sees: no key, and headers that say whose it was.

export default {
  /** @param {Request} request */
  async fetch(request) {
    const url = new URL(request.url);
    let bodyBytes = 0;
    const digest = new crypto.DigestStream("SHA-256");
    const counter = new TransformStream({
      transform(chunk, controller) {
        bodyBytes += chunk.byteLength;
        controller.enqueue(chunk);
      },
    });
    // Hashed as it comes: a body of any size needs no memory.
    const body = /** @type {ReadableStream} */ (request.body ?? new Response("").body);
    await body.pipeThrough(counter).pipeTo(digest);
    const hash = new Uint8Array(await digest.digest);
    return Response.json({
      method: request.method,
      path: url.pathname,
      query: url.search.slice(1),
      headers: Object.fromEntries(request.headers),
      bodyBytes,
      bodySha256: Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join(""),
    });
  },
};
