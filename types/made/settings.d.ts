// What the Worker makes of the policy for the page (crates/registry/src/front.rs).

/** Path of the admin API: `/api/admin`. */
export const api: string;

/** The issuer whose tokens sign people in, if there is one; whether they have passwords, too, and the header in which a proxy adds the token. */
export const signIn: { name: string; password: boolean; header: string | null; code: boolean } | null;
