// What the Worker makes of the policy for the page (crates/registry/src/front.rs).

/** Path of the admin API: `/api/admin`. */
export const api: string;
