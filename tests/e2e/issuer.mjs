// An issuer of access tokens, made with a library that shares nothing with ours; and the place where it
// publishes its keys: a real server.

import { CompactSign, exportJWK, generateKeyPair, SignJWT } from "jose";

/** A key pair under an id: `{ sign(claims, header), signBytes(payload), jwk, publicKey }`. */
export async function newSigner(alg, kid) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const sign = (claims, more = {}) => new SignJWT(claims).setProtectedHeader({ alg, kid, ...more }).sign(privateKey);
  const signBytes = (bytes) => new CompactSign(bytes).setProtectedHeader({ alg, kid }).sign(privateKey);
  return { sign, signBytes, publicKey, jwk: { ...(await exportJWK(publicKey)), kid, use: "sig", alg } };
}

/** A JWK Set at the URL that the policy names, on the server that URLs of this gate lead to. */
export class Jwks {
  #text = null;

  constructor(gate, url) {
    this.server = gate.internet;
    this.url = new URL(url);
    this.server.answer = (request, response) => {
      if (!this.#isFor(request)) return void response.writeHead(404).end();
      if (this.#text === null) return void response.writeHead(503).end();
      response.writeHead(200, { "content-type": "application/json" }).end(this.#text);
    };
  }

  /** Answers with the public keys of these. */
  publish(...signers) {
    this.serve(JSON.stringify({ keys: signers.map(({ jwk }) => jwk) }));
  }

  /** Answers with this text, or (null) fails. */
  serve(text) {
    this.#text = text;
  }

  /** How often it was fetched. */
  fetches() {
    return this.server.requests.filter((request) => this.#isFor(request)).length;
  }

  #isFor({ url, headers: { host } }) {
    return url === this.url.pathname && [host].flat()[0] === this.url.host;
  }
}
