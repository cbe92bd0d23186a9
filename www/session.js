// Who is signed in, and what the policy offers: read once, forgotten when the session ends.

import { get, post, remove } from "./api.js";

/** @import { KeyAction, Realm, Self } from "../types/admin-api.js" */

/** @type {Self | null} The member, or null when nobody is signed in. */
export let member = null;

/** @type {Promise<Realm[]> | null} */
let realmsRead = null;

/** Asks the server who is signed in. */
export async function load() {
  ({ member } = await get("/session", undefined, { anonymous: true }));
}

/**
 * @param {string} email
 * @param {string} password
 */
export async function signIn(email, password) {
  ({ member } = await post("/session", { email, password }, { anonymous: true }));
}

export async function signOut() {
  await remove("/session", { anonymous: true });
  forget();
}

/** Forgets everything about the session. */
export function forget() {
  member = null;
  realmsRead = null;
}

/** The member, for views that only a member gets to see. */
export function me() {
  if (!member) throw new Error("nobody is signed in");
  return member;
}

export const mayWrite = () => member?.role === "owner" || member?.role === "admin";

/**
 * Whether the member may do this with keys of this realm, which may keep it for owners.
 * @param {KeyAction} action
 * @param {Realm | undefined} realm
 */
export function may(action, realm) {
  if (!mayWrite()) return false;
  // Rotating makes a key.
  const isForOwners = realm?.ownerOnly[action] || (action === "rotate" && realm?.ownerOnly.create);
  return member?.role === "owner" || !isForOwners;
}

export const mayManageMembers = () => member?.role === "owner";
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
