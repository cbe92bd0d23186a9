// When the body of a response has ended.

/**
 * The same response. `ends` is called once all of its body has been sent, or no more of it will be. Of a WebSocket only the
 * handshake is a response.
 * @param {Response} response
 * @param {string} method the request's
 * @param {() => void} ends
 */
export function watched(response, method, ends) {
  const { body, status, statusText } = response;
  if (body === null || method === "HEAD") {
    ends();
    return response;
  }
  const headers = new Headers(response.headers);
  const length = headers.get("content-length");
  // The runtime decodes what it reads, and encodes it again: then it has another length.
  const isPlain = length !== null && !headers.has("content-encoding");
  if (!isPlain) headers.delete("content-length");
  const { readable, writable } = isPlain ? new FixedLengthStream(Number(length)) : new IdentityTransformStream();
  body.pipeTo(writable).then(ends, ends);
  return new Response(readable, { status, statusText, headers });
}
