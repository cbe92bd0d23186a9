// TLS on 127.0.0.1. The runtime's direct sockets speak plain HTTP only, so a server of Node's ends TLS in
// front of them, as Cloudflare's own does in front of a Worker, and tells the runtime, in the form that its
// proxy sockets take, which URL was asked for and what was spoken.

import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { createServer } from "node:tls";

const pem = readFileSync(new URL("localhost.pem", import.meta.url), "utf8");

/** For 127.0.0.1 and localhost, signed by itself: of use to these tests only. */
export const certificate = {
  key: pem.slice(0, pem.indexOf("-----BEGIN CERTIFICATE")),
  cert: pem.slice(pem.indexOf("-----BEGIN CERTIFICATE")),
};

/** Where every request that comes over TLS is said to come from. */
export const COUNTRY = "CH";

/**
 * Ends TLS of any version at `url` and sends each connection's one request on to the proxy socket at
 * `proxy`; the server, to be closed.
 * @param {string} url
 * @param {string} proxy
 */
export async function startTlsFront(url, proxy) {
  const server = createServer({ ...certificate, minVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" }, (client) => {
    const inner = connect(Number(new URL(proxy).port), "127.0.0.1");
    client.on("error", () => inner.destroy()).on("close", () => inner.destroy());
    // An answer may come, and the connection end, before all of the request was taken.
    inner.on("error", () => {}).on("close", () => client.end());
    let head = Buffer.alloc(0);
    client.on("data", onHead);
    inner.pipe(client);

    /** @param {Buffer} chunk */
    function onHead(chunk) {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      client.off("data", onHead);
      inner.write(absolute(head.subarray(0, end).toString("latin1"), client.getProtocol()), "latin1");
      inner.write(head.subarray(end));
      client.pipe(inner);
    }
  });
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(Number(new URL(url).port), "127.0.0.1", () => resolve(undefined));
  });
  return server;
}

/**
 * A request's head with its target in absolute form, and the platform's word on the connection.
 * @param {string} head
 * @param {string | null} tlsVersion
 */
function absolute(head, tlsVersion) {
  const host = head.match(/^host: *(.*)$/im)?.[1] ?? "127.0.0.1";
  const [line, ...fields] = head.split("\r\n");
  const [method, target, version] = line.split(" ");
  return [
    `${method} https://${host}${target} ${version}`,
    ...fields,
    `MF-CF-Blob: ${JSON.stringify({ tlsVersion, country: COUNTRY })}`,
  ].join("\r\n");
}
