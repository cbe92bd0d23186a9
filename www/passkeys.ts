// Passkeys: the browser's part in making and using one (WebAuthn), between two calls of the admin API.

import { Problem, post } from "./api.ts";

/** Whether the page was opened at an IP address, where browsers make no passkeys. */
export const isAtAddress = /^[\d.]+$|^\[/.test(location.hostname);

/** Whether this browser makes and uses them here. */
export const areUsable =
  !isAtAddress && typeof PublicKeyCredential === "function" && "parseRequestOptionsFromJSON" in PublicKeyCredential;

/** What the browser has made or used, as the API takes it. */
async function shown(asked: Promise<Credential | null>, otherwise: string) {
  let detail = otherwise;
  try {
    const passkey = await asked;
    if (passkey) return (passkey as PublicKeyCredential).toJSON();
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    if (error.name === "InvalidStateError") detail = "You have a passkey on this device already.";
  }
  throw new Problem({ status: 400, detail });
}

const make = (options: object) =>
  shown(
    navigator.credentials.create({
      publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options as PublicKeyCredentialCreationOptionsJSON),
    }),
    "No passkey was added.",
  );

const asked = (options: object) =>
  PublicKeyCredential.parseRequestOptionsFromJSON(options as PublicKeyCredentialRequestOptionsJSON);

export function use(options: object) {
  // A browser asks for one thing at a time.
  offer?.abort();
  return shown(navigator.credentials.get({ publicKey: asked(options) }), "No passkey was used.");
}

/** What is offered now among the accounts that the browser has kept. */
let offer: AbortController | null = null;

/** Offers passkeys there, until `own` is aborted. Resolves to one that was chosen. */
export async function offered(own: AbortController) {
  if (!areUsable || !(await PublicKeyCredential.isConditionalMediationAvailable?.())) return null;
  const { publicKey } = await post("/session/passkey/options", {}, { anonymous: true, isQuestion: true });
  offer = own;
  const { signal } = own;
  const chosen = await navigator.credentials.get({ mediation: "conditional", signal, publicKey: asked(publicKey) });
  return chosen && (chosen as PublicKeyCredential).toJSON();
}

/** Adds one, which the browser makes. */
export async function add(name: string) {
  const { publicKey } = await post("/passkeys/options", {}, { isQuestion: true });
  await post("/passkeys", { name, passkey: await make(publicKey) });
}

/** How to ask for one of the person's own, to step up; null if there is none here. */
export async function ownOptions() {
  if (!areUsable) return null;
  const { publicKey } = await post("/session/step-up/options", {}, { isQuestion: true });
  return (publicKey as PublicKeyCredentialRequestOptionsJSON).allowCredentials?.length ? publicKey : null;
}
