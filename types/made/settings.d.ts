// What the Worker makes of the policy for the page (src/registry/front.rs).

/** Path of the admin API: `/api/admin`. */
export const api: string;
