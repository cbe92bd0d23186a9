// When the body of a response has ended.

/**
 * The same response. `ends` is called once all of its body has been sent, or no more of it will be. Of a WebSocket only the
 * handshake is a response.
 * @param {Response} response
 * @param {Request} request
 * @param {() => void} ends
 */
export function watched(response, request, ends) {
  const { body, status, statusText } = response;
  const headers = new Headers(response.headers);
  const isEncoded = headers.has("content-encoding");
  // The runtime decodes what passes through here, which it cannot do with a part.
  if (body === null || request.method === "HEAD" || (isEncoded && status === 206)) {
    ends();
    return response;
  }
  const length = headers.get("content-length") ?? "";
  // What is decoded is encoded again: then it has another length.
  const isPlain = /^\d+$/.test(length) && !isEncoded;
  if (!isPlain) headers.delete("content-length");
  const { readable, writable } = isPlain ? new FixedLengthStream(Number(length)) : new IdentityTransformStream();
  // The origin is told of a client that goes away: else it would go on for nobody, and nobody would count that.
  body.pipeTo(writable, { signal: request.signal }).then(ends, ends);
  return new Response(readable, { status, statusText, headers });
}
