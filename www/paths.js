// Where a key is: on this page, and at the admin API.

/** @param {string} id */
export const keyPage = (id) => `/keys/${encodeURIComponent(id)}`;

/** @param {string} id */
export const keyApi = (id) => /** @type {const} */ (`/api-keys/${encodeURIComponent(id)}`);
