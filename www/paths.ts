// Where a key is: on this page, and at the admin API.

export const keyPage = (id: string) => `/keys/${encodeURIComponent(id)}`;
export const keyApi = (id: string) => `/api-keys/${encodeURIComponent(id)}` as const;
export const keyUsageApi = (id: string) => `${keyApi(id)}/usage` as const;
export const tenantApi = (id: string) => `/tenants/${encodeURIComponent(id)}` as const;
export const memberApi = (id: string) => `/members/${encodeURIComponent(id)}` as const;
/** What happened to a request. */
export const requestPage = (id: string) => `/routes?request=${id}`;
