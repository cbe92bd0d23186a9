// What the screens read, each under a name of its own.

import type { ApiKey, AuditEntry, Member, Quota, Route, Session, Tenant } from "../types/admin-api.js";
import { get, getAll } from "./api.ts";
import type { Query } from "./cache.ts";
import { keyApi, memberApi } from "./paths.ts";

/** A page of a list. */
export interface Page<Entry> {
  entries: Entry[];
  nextCursor: string | null;
}

const next = ({ nextCursor }: Page<unknown>) => nextCursor ?? null;

/** What narrows a list of keys. */
export type KeyFilter = Record<"q" | "status" | "unusedDays" | "realm", string>;

export const keysQuery = (filter: Partial<KeyFilter>, limit = 50): Query<Page<ApiKey>> => ({
  key: `keys ${limit} ${new URLSearchParams(filter)}`,
  next,
  async read(cursor) {
    const { apiKeys, nextCursor } = await get("/api-keys", { ...filter, limit, cursor });
    return { entries: apiKeys, nextCursor };
  },
});

export const keyQuery = (id: string): Query<ApiKey> => ({
  key: `key ${id}`,
  read: async () => (await get(keyApi(id))).apiKey,
});

export const auditQuery = (limit = 50): Query<Page<AuditEntry>> => ({
  key: `audit ${limit}`,
  next,
  read: (cursor) => get("/audit", { limit, cursor }),
});

export const routesQuery: Query<Route[]> = {
  key: "routes",
  read: async () => (await get("/routes")).routes,
};

export const quotasQuery: Query<Record<string, Quota>> = {
  key: "quotas",
  read: async () => (await get("/quotas")).quotas,
};

export const peopleQuery: Query<Member[]> = { key: "people", read: () => getAll("/members", "members") };

export const tenantsQuery: Query<Tenant[]> = { key: "tenants", read: () => getAll("/tenants", "tenants") };

/** Where a member is signed in; without one, the person who asks. */
export const sessionsQuery = (memberId?: string): Query<Session[]> => ({
  key: `sessions ${memberId ?? ""}`,
  read: async () => (await getAll(memberId ? `${memberApi(memberId)}/sessions` : "/sessions", "sessions")).toReversed(),
});

export const memberQuery = (id: string): Query<Member> => ({
  key: `member ${id}`,
  read: async () => (await get(memberApi(id))).member,
});
