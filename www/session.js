// Who is signed in, and what the policy offers: read once, forgotten when the session ends.

import { call, get, post } from "./api.js";

/** The member, or null when nobody is signed in. */
export let member = null;

let realmsRead = null;

/** Asks the server who is signed in. */
export async function load() {
  const { data } = await call("GET", "/session", { anonymous: true });
  member = data.member;
}

export async function signIn(email, password) {
  ({ member } = await post("/session", { email, password }, { anonymous: true }));
}

export async function signOut() {
  await call("DELETE", "/session", { anonymous: true });
  forget();
}

/** Forgets everything about the session. */
export function forget() {
  member = null;
  realmsRead = null;
}

export const mayWrite = () => member?.role === "owner" || member?.role === "admin";

/** Whether the member may `create`, `rotate` or `revoke` keys of this realm, which may keep that for owners. Rotating makes a key. */
export const may = (action, realm) =>
  mayWrite() &&
  (member.role === "owner" || !(realm?.ownerOnly[action] || (action === "rotate" && realm?.ownerOnly.create)));

export const mayManageMembers = () => member?.role === "owner";
export const mayManageTenants = () => Boolean(member?.operator);

/** The realms of the policy: `[{id, scopes, limits, ownerOnly …}]`. */
export async function realms() {
  realmsRead ??= get("/realms").then((answer) => answer.realms);
  try {
    return await realmsRead;
  } catch (problem) {
    realmsRead = null;
    throw problem;
  }
}
