// Who is signed in, and what the policy offers: read once, forgotten when the session ends.

import type { KeyAction, Realm, Self } from "../types/admin-api.js";
import type { Calls } from "../types/made/admin-api.d.ts";
import { get, noteSignIn, post, remove } from "./api.ts";
import { clear } from "./cache.ts";
import { inWindow, leave } from "./issuer.ts";
import { HOME } from "./router.ts";
import { signIn as issuer } from "./settings.js";

/** The member, or null when nobody is signed in. */
export let member: Self | null = null;
/** The name of the member's tenant. */
export let tenantName = "";

let realmsRead: Promise<Realm[]> | null = null;

/** Asks the server who is signed in. */
export async function load() {
  const answer = await get("/session", undefined, { anonymous: true });
  member = answer.member;
  tenantName = answer.tenant.name;
}

export { issuer };
/** Whether people have passwords. */
export const hasPasswords = issuer?.password ?? true;
/** The name of an issuer that the page can sign in through: at its own page, or behind its proxy. */
export const issuerName = issuer?.code || issuer?.header ? issuer.name : null;

/** What somebody signs in with. */
type Shown = Calls["POST /session"]["body"];

export const signIn = (shown: Shown) => (hasPasswords ? begin(shown) : signInByIssuer(HOME));

/** Signs in by the issuer; where this window has to leave for it, it goes on at `next`. */
export const signInByIssuer = (next: string) => (issuer?.code ? leave(next) : begin({}));

/** What shows who the issuer says it is, without leaving this screen. Behind its proxy, every call does. */
export const shownByIssuer = async (purpose: "sign-in" | "step-up" = "sign-in") =>
  issuer?.code ? inWindow(purpose) : {};

/** Begins a session. */
export async function begin(shown: Shown) {
  await post("/session", shown, { anonymous: true });
  noteSignIn();
  await load().catch((problem) => {
    throw problem.status === 401
      ? problem.reworded("Your browser did not keep the sign-in. Open this page over https, and allow its cookie.")
      : problem;
  });
}

let wasTried = !issuer?.header;

/** The same, once and without being asked for. Whether it worked. */
export async function signInAtOnce() {
  if (wasTried) return false;
  wasTried = true;
  try {
    await begin({});
    return true;
  } catch {
    return false;
  }
}

export async function signOut() {
  await remove("/session", { anonymous: true });
  forget();
}

/** Forgets everything about the session. */
export function forget() {
  member = null;
  realmsRead = null;
  clear();
}

/** The member, for screens that only a member gets to see. */
export function me() {
  if (!member) throw new Error("nobody is signed in");
  return member;
}

export const mayWrite = () => member?.role === "owner" || member?.role === "admin";

/** Whether the member may do this with keys of this realm, which may keep it for owners. */
export function may(action: KeyAction, realm: Realm | undefined) {
  if (!mayWrite()) return false;
  // Rotating makes a key.
  const isForOwners = realm?.ownerOnly[action] || (action === "rotate" && realm?.ownerOnly.create);
  return member?.role === "owner" || !isForOwners;
}

export const mayManagePeople = () => member?.role === "owner";
export const mayManageTenants = () => Boolean(member?.operator);

/** The realms of the policy. */
export async function realms() {
  realmsRead ??= get("/realms").then((answer) => answer.realms);
  try {
    return await realmsRead;
  } catch (problem) {
    realmsRead = null;
    throw problem;
  }
}
