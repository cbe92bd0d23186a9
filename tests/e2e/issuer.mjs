// An issuer of access tokens, made with a library that shares nothing with ours; and the place where it
// publishes its keys.

import { SignJWT, exportJWK, generateKeyPair } from "jose";

/** A key pair under an id: `{ sign(claims, header), jwk, publicKey }`. */
export async function newSigner(alg, kid) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const sign = (claims, more = {}) => new SignJWT(claims).setProtectedHeader({ alg, kid, ...more }).sign(privateKey);
  return { sign, publicKey, jwk: { ...(await exportJWK(publicKey)), kid, use: "sig", alg } };
}

/** The URL of a JWK Set, as the isolates of a gate see it. */
export class Jwks {
  constructor(gate, url) {
    this.gate = gate;
    this.url = url;
  }

  /** Answers with the public keys of these. */
  publish(...signers) {
    return this.serve(JSON.stringify({ keys: signers.map(({ jwk }) => jwk) }));
  }

  /** Answers with this text, or (null) fails. */
  serve(text) {
    return Promise.all(this.gate.isolates.map((isolate) => isolate.web(this.url, text)));
  }

  /** How often the first isolate has fetched it. */
  async fetches() {
    return (await this.gate.isolates[0].counts()).web[this.url] ?? 0;
  }
}
