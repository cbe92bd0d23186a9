// A deployment whose people sign in by Cloudflare Access: its issuer publishes keys at its URL, on a real server.

import { OWNER } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";
import { Jwks, newSigner } from "./issuer.mjs";

export const ISSUER = "https://acme.cloudflareaccess.com";
export const HEADER = "Cf-Access-Jwt-Assertion";
const AUDIENCE = "4714c1358e65fe4b";

/** @param {"on" | "off"} password */
export async function startAccess(password) {
  const section = `
[admin.sign_in]
password = "${password}"
name = "Acme Access"
header = "${HEADER}"
issuer = "${ISSUER}"
audience = "${AUDIENCE}"
algorithms = ["RS256"]
jwks_url = "${ISSUER}/cdn-cgi/access/certs"
`;
  const gate = await startGate({ edit: (text) => text + section, internet: true });
  const jwks = new Jwks(gate, `${ISSUER}/cdn-cgi/access/certs`);
  const [signer, other] = await Promise.all(["access-1", "access-1"].map((kid) => newSigner("RS256", kid)));
  jwks.publish(signer);
  let made = 0;
  const claims = (more = {}) => {
    const now = Math.floor(gate.now() / 1000);
    made += 1;
    return {
      iss: ISSUER,
      aud: [AUDIENCE],
      sub: "7",
      email: OWNER.email,
      iat: now,
      exp: now + 3600,
      jti: `${made}`,
      ...more,
    };
  };
  /** A token with these claims changed, and one that another key has signed. */
  const token = (/** @type {object} */ more = {}) => signer.sign(claims(more));
  const forged = (/** @type {object} */ more = {}) => other.sign(claims(more));
  return { gate, jwks, token, forged, claims };
}
