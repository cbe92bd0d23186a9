// A deployment whose people sign in at the own page of an OpenID provider: one that shares nothing with ours (oidc-provider), over
// TLS, for the gate and for browsers.

import { once } from "node:events";
import { createServer, request as httpsRequest } from "node:https";

import Provider from "oidc-provider";

import { Admin } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";
import { certificate } from "./harness/tls.mjs";
import { newPrivateKey } from "./issuer.mjs";

/** @import { AddressInfo } from "node:net" */
/** @import { Page } from "playwright-core" */

export const NAME = "Acme";
const CLIENT = "keyward";

/**
 * A provider with this client; without a secret, a public one.
 * @param {string} issuer
 * @param {string} redirectUri
 * @param {string | null} secret
 */
export async function newProvider(issuer, redirectUri, secret) {
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: CLIENT,
        redirect_uris: [redirectUri],
        grant_types: ["authorization_code"],
        response_types: ["code"],
        id_token_signed_response_alg: "ES256",
        ...(secret === null
          ? { token_endpoint_auth_method: "none" }
          : { client_secret: secret, token_endpoint_auth_method: "client_secret_basic" }),
      },
    ],
    jwks: { keys: [await newPrivateKey("ES256", "openid-1")] },
    cookies: { keys: ["a key of these tests"] },
    claims: { openid: ["sub"], email: ["email", "email_verified"] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    // Who signs in has the address that they type.
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, email: sub, email_verified: true }) }),
    // Nobody is asked what this client may know.
    async loadExistingGrant({ oidc }) {
      const grant = new provider.Grant({ clientId: oidc.client?.clientId, accountId: oidc.session?.accountId });
      grant.addOIDCScope("openid email");
      await grant.save();
      return grant;
    },
  });
  return provider;
}

/**
 * `hasSecret`: whether the gate is a client with a secret, and not a public one.
 * @param {{ password?: "on" | "off", hasSecret?: boolean }} [options]
 */
export async function startOpenId({ password = "on", hasSecret = true } = {}) {
  const server = createServer(certificate);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const issuer = `https://localhost:${/** @type {AddressInfo} */ (server.address()).port}`;
  const section = `
[admin.sign_in]
password = "${password}"
name = "${NAME}"
issuer = "${issuer}"
audience = "${CLIENT}"
algorithms = ["ES256"]
jwks_url = "${issuer}/jwks"
authorization_url = "${issuer}/auth"
token_url = "${issuer}/token"
client_id = "${CLIENT}"
${hasSecret ? 'client_secret = "CLIENT_SECRET"' : ""}
`;
  const secret = "a secret: with /+ and %";
  const gate = await startGate({
    edit: (text) => text.replace('id = "default"\n', 'id = "default"\nstep_up = ["revoke"]\n') + section,
    internet: true,
    secrets: hasSecret ? { CLIENT_SECRET: secret } : {},
  });
  const provider = await newProvider(issuer, `${gate.url}/admin/signed-in`, hasSecret ? secret : null);
  const answer = provider.callback();
  server.on("request", (request, response) => {
    if (request.url === "/favicon.ico") response.writeHead(204).end();
    else void answer(request, response);
  });

  let isDown = false;
  if (!gate.internet) throw new Error("this gate has no server that URLs lead to");
  gate.internet.answer = async ({ method, url, headers }, response, recorded) => {
    const { body } = await recorded.complete;
    if (isDown) return void response.writeHead(503).end();
    const { port } = new URL(issuer);
    const passed = httpsRequest({ host: "127.0.0.1", port, path: url, method, headers, rejectUnauthorized: false });
    passed.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    passed.end(body);
  };

  /** Signs in on the provider's page. */
  async function typeAddress(/** @type {Page} */ page, /** @type {string} */ email) {
    await page.locator('[name="login"]').fill(email);
    await page.locator('[name="password"]').fill("any");
    await page.getByRole("button", { name: "Sign-in" }).click();
  }

  /** An attempt that a browser has begun: where it is sent, and its cookie. */
  async function begin(purpose = "sign-in") {
    const answer = await gate.admin().call("POST", "/session/code/options", { purpose });
    const cookie = (answer.header("set-cookie") ?? "").split(";")[0];
    return { url: new URL(answer.json().url), cookie };
  }

  /** What the provider sends a browser back with that was sent there. */
  async function codeFor(/** @type {Page} */ page, /** @type {URL} */ url, /** @type {string} */ email) {
    const landed = page.waitForRequest((request) => request.url().startsWith(`${gate.url}/admin/signed-in?`));
    await page.goto(`${url}`);
    await typeAddress(page, email);
    const query = new URL((await landed).url()).searchParams;
    return { code: query.get("code"), state: query.get("state") };
  }

  return {
    gate,
    issuer,
    typeAddress,
    begin,
    codeFor,
    /** A call of the page's, with the cookie of an attempt. */
    show: (
      /** @type {string} */ path,
      /** @type {unknown} */ shown,
      /** @type {string} */ cookie,
      client = new Admin(gate.url),
    ) => client.call("POST", path, shown, { Cookie: cookie, Origin: gate.url }),
    fail(/** @type {boolean} */ fails) {
      isDown = fails;
    },
    async stop() {
      await gate.stop();
      server.close();
      server.closeAllConnections();
    },
  };
}
