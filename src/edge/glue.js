// The few places where staying on the JavaScript side saves a crossing for each header.

// Sends a client's request on. Its body is handed over as the stream that it is.
//   fetcher   a service binding, or undefined for the network
//   url       where to, or undefined for the request's own URL
//   removed   names of header fields that hold a credential
//   prefix    every field whose name begins so is removed: only the gate says who somebody is
//   cookie    name of a cookie that is the gate's own
//   identity  names and values of the fields to set, one after the other
//   signal    aborts the request
export function forward(request, fetcher, url, removed, prefix, cookie, identity, signal) {
  const headers = new Headers(request.headers);
  for (const name of [...headers.keys()]) if (name.startsWith(prefix)) headers.delete(name);
  for (const name of removed) headers.delete(name);
  const cookies = headers.get("cookie");
  if (cookies?.includes(cookie)) {
    const others = cookies.split(/;\s*/).filter((pair) => pair.split("=")[0].trim() !== cookie);
    if (others.length > 0) headers.set("cookie", others.join("; "));
    else headers.delete("cookie");
  }
  for (let i = 0; i < identity.length; i += 2) headers.set(identity[i], identity[i + 1]);
  const init = { headers, redirect: "manual", signal };
  if (fetcher) return fetcher.fetch(new Request(request, init));
  // A shared cache between gate and origin no longer sees whose answer it holds (RFC 9111, 3.5).
  return fetch(new Request(url, new Request(request, { ...init, cache: "no-store" })));
}

// The origin's answer with fields of the gate's own. The answer to an upgrade stays as it is.
export function decorate(response, set, append) {
  if (response.webSocket) return response;
  const answer = new Response(response.body, response);
  for (let i = 0; i < set.length; i += 2) answer.headers.set(set[i], set[i + 1]);
  for (let i = 0; i < append.length; i += 2) answer.headers.append(append[i], append[i + 1]);
  return answer;
}
