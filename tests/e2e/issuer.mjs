// An issuer of access tokens, made with a library that shares nothing with ours; and the place where it
// publishes its keys: a real server.

import { CompactSign, exportJWK, generateKeyPair, SignJWT } from "jose";

/** @import { JWTPayload } from "jose" */
/** @import { Gate } from "./harness/gate.mjs" */
/** @typedef {Awaited<ReturnType<typeof newSigner>>} Signer */

/**
 * A key pair under an id: `{ sign(claims, header), signBytes(payload), jwk, publicKey }`.
 * @param {string} alg
 * @param {string} [kid]
 */
export async function newSigner(alg, kid) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const sign = (/** @type {JWTPayload} */ claims, /** @type {object} */ more = {}) =>
    new SignJWT(claims).setProtectedHeader({ alg, kid, ...more }).sign(privateKey);
  const signBytes = (/** @type {Uint8Array} */ bytes) =>
    new CompactSign(bytes).setProtectedHeader({ alg, kid }).sign(privateKey);
  return { sign, signBytes, publicKey, jwk: { ...(await exportJWK(publicKey)), kid, use: "sig", alg } };
}

/**
 * A private key, as a JWK.
 * @param {string} alg
 * @param {string} kid
 */
export async function newPrivateKey(alg, kid) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, use: "sig", alg };
}

/** A JWK Set at the URL that the policy names, on the server that URLs of this gate lead to. */
export class Jwks {
  /** @type {string | null} */
  #text = null;

  /**
   * @param {Gate} gate
   * @param {string} url
   */
  constructor(gate, url) {
    if (!gate.internet) throw new Error("this gate has no server that URLs lead to");
    this.server = gate.internet;
    this.url = new URL(url);
    this.server.answer = (request, response) => {
      if (!this.#isFor(request)) return void response.writeHead(404).end();
      if (this.#text === null) return void response.writeHead(503).end();
      response.writeHead(200, { "content-type": "application/json" }).end(this.#text);
    };
  }

  /**
   * Answers with the public keys of these.
   * @param {Pick<Signer, "jwk">[]} signers
   */
  publish(...signers) {
    this.serve(JSON.stringify({ keys: signers.map(({ jwk }) => jwk) }));
  }

  /**
   * Answers with this text, or (null) fails.
   * @param {string | null} text
   */
  serve(text) {
    this.#text = text;
  }

  /** How often it was fetched. */
  fetches() {
    return this.server.requests.filter((request) => this.#isFor(request)).length;
  }

  /** @param {{ url?: string, headers: NodeJS.Dict<string | string[]> }} request */
  #isFor({ url, headers: { host } }) {
    return url === this.url.pathname && [host].flat()[0] === this.url.host;
  }
}
