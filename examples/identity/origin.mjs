// An origin that answers only what has come through the gate: it verifies `Keyward-Identity` and believes no other header.
//
//   node examples/identity/origin.mjs      at port 18189, for a gate at http://127.0.0.1:8787

import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

/**
 * What says who asks, given a request's `Keyward-Identity`. It throws a `JOSEError` for whatever the gate has not signed for this
 * API, or not lately. Keys are fetched once, and again when one is unknown.
 * @param {{ jwks: string, issuer: string, audience: string, now?: () => number }} from the URL of the gate's keys, `issuer` of the
 *   policy, and the realm's `id`
 */
export function identities({ jwks, issuer, audience, now = Date.now }) {
  const keys = createRemoteJWKSet(new URL(jwks));
  return async (/** @type {string} */ token) => {
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      audience,
      algorithms: ["EdDSA"],
      requiredClaims: ["iat", "exp"],
      currentDate: new Date(now()),
      // By how much the two clocks may differ.
      clockTolerance: "2s",
    });
    return payload;
  };
}

/** That the gate's keys cannot be had says nothing of a request. */
const NO_KEYS = ["ERR_JOSE_GENERIC", "ERR_JWKS_TIMEOUT", "ERR_JWKS_INVALID"];

/**
 * The origin, a server that does not listen yet: it answers with who asks.
 * @param {Parameters<typeof identities>[0]} from
 */
export function originOf(from) {
  const identify = identities(from);
  return createServer(async (request, response) => {
    const answer = (/** @type {number} */ status, /** @type {object} */ body) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    try {
      const { sub, by, tenant, scope, mode, metadata } = await identify(String(request.headers["keyward-identity"]));
      // A request of nobody's, on a public route, has neither `sub` nor `tenant`.
      answer(200, { path: request.url, caller: { sub, by, tenant, scope, mode, metadata } });
    } catch (error) {
      const isForged = error instanceof errors.JOSEError && !NO_KEYS.includes(error.code);
      if (!isForged) console.error(error);
      answer(isForged ? 401 : 503, { error: isForged ? "not from the gate" : "try again" });
    }
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const jwks = "http://127.0.0.1:8787/api/jwks.json";
  originOf({ jwks, issuer: "https://api.example.com", audience: "shop" }).listen(18_189, "127.0.0.1");
  console.log("The origin listens on http://127.0.0.1:18189, for what comes through the gate.");
}
