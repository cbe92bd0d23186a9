// Passkeys at the built Worker's admin API, with an authenticator of Node's own crypto: the signatures that the platform
// verifies. What is refused of one: crates/registry/tests/it/passkeys.rs. In a browser: page_passkeys.test.mjs.

import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { after, before, test } from "node:test";

import { Admin } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";

/** @import { Gate } from "./harness/gate.mjs" */

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
let origin = "";
before(async () => {
  gate = await startGate();
  await gate.owner();
  origin = gate.url.replace("127.0.0.1", "localhost");
  owner = await new Admin(origin).signIn();
});
after(() => gate?.stop());

const base64url = (/** @type {import("node:crypto").BinaryLike} */ bytes) =>
  Buffer.from(/** @type {Buffer} */ (bytes)).toString("base64url");
const sha256 = (/** @type {Buffer | string} */ bytes) => createHash("sha256").update(bytes).digest();
const bytes = (/** @type {string} */ hex, /** @type {string | undefined} */ text) =>
  Buffer.concat([Buffer.from(hex, "hex"), Buffer.from(text ?? "", "base64url")]);

/** Key pairs, and their public keys as COSE has them. */
const KINDS = {
  ES256: () => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const { x, y } = publicKey.export({ format: "jwk" });
    return { privateKey, cose: Buffer.concat([bytes("a5010203262001215820", x), bytes("225820", y)]) };
  },
  EdDSA: () => {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    return { privateKey, cose: bytes("a4010103272006215820", publicKey.export({ format: "jwk" }).x) };
  },
  RS256: () => {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const { n } = publicKey.export({ format: "jwk" });
    return { privateKey, cose: Buffer.concat([bytes("a401030339010020590100", n), bytes("2143010001", "")]) };
  },
};

/** @param {keyof typeof KINDS} kind */
function authenticator(kind) {
  const { privateKey, cose } = KINDS[kind]();
  const id = sha256(kind).subarray(0, 16);
  let userHandle = "";
  const said = (/** @type {string} */ type, /** @type {string} */ challenge, /** @type {Buffer} */ data) => {
    const client = Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false }));
    const signed = Buffer.concat([data, sha256(client)]);
    const signature = sign(kind === "EdDSA" ? null : "sha256", signed, privateKey);
    return {
      id: base64url(id),
      response: {
        clientDataJSON: base64url(client),
        authenticatorData: base64url(data),
        signature: base64url(signature),
        userHandle,
      },
    };
  };
  return {
    make: ({ publicKey: { rp, user, challenge } }) => {
      userHandle = user.id;
      const data = [sha256(rp.id), bytes("4500000000", ""), Buffer.alloc(16), bytes("0010", ""), id, cose];
      return said("webauthn.create", challenge, Buffer.concat(data));
    },
    use: ({ publicKey: { rpId, challenge } }) =>
      said("webauthn.get", challenge, Buffer.concat([sha256(rpId), bytes("0500000000", "")])),
  };
}

for (const kind of /** @type {(keyof typeof KINDS)[]} */ (Object.keys(KINDS))) {
  test(`a passkey of ${kind} signs in and steps up, and what it did not sign does neither`, async () => {
    const { make, use } = authenticator(kind);
    const made = make(await owner.must("POST", "/passkeys/options", {}));
    const { passkey } = await owner.must("POST", "/passkeys", { name: kind, passkey: made });

    const stranger = new Admin(origin);
    const [used, other] = [
      use(await stranger.must("POST", "/session/passkey/options", {})),
      use(await stranger.must("POST", "/session/passkey/options", {})),
    ];
    const forged = { ...used, response: { ...used.response, signature: other.response.signature } };
    await stranger.refused([401, "INVALID_CREDENTIALS"], "POST", "/session", { passkey: forged });
    stranger.token = (await stranger.must("POST", "/session", { passkey: used })).token;
    assert.equal((await stranger.must("GET", "/session")).steppedUpUntil, null);

    const options = await stranger.must("POST", "/session/step-up/options", {});
    await stranger.must("POST", "/session/step-up", { passkey: use(options) });
    assert.ok((await stranger.must("GET", "/session")).steppedUpUntil);

    const { passkeys } = await stranger.must("GET", "/passkeys");
    const { lastUsedAt } = passkeys.find(({ id }) => id === passkey.id);
    assert.ok(Date.parse(lastUsedAt) > 0);
    await stranger.must("DELETE", `/passkeys/${passkey.id}`);
    await new Admin(origin).refused([401, "INVALID_CREDENTIALS"], "POST", "/session", { passkey: other });
  });
}

test("at an IP address there are no passkeys, and the refusal says where there are", async () => {
  const answer = await new Admin(gate.url).refused([409, "CONFLICT"], "POST", "/session/passkey/options", {});
  assert.match(answer.json().detail, /localhost/);
});
