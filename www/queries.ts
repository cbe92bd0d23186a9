// What the screens read, each under a name of its own.

import type {
  ApiKey,
  AuditPage,
  Invitation,
  KeySummary,
  KeysUsage,
  Member,
  Passkey,
  Quota,
  Refusal,
  Route,
  RoutesUsage,
  Session,
  Tenant,
  UsagePoint,
} from "../types/admin-api.js";
import { get, getAll } from "./api.ts";
import type { Query } from "./cache.ts";
import { keyApi, memberApi } from "./paths.ts";
import { mayManageTenants } from "./session.ts";

/** A page of a list. */
export interface Page<Entry> {
  entries: Entry[];
  nextCursor: string | null;
}

const next = ({ nextCursor }: Page<unknown>) => nextCursor ?? null;

/** What narrows and sorts a list of keys, and the cursor of its page: parameters of the API, and of the address. */
export type KeyFilter = Record<string, string>;

export type KeysPage = Page<ApiKey> & { total: number; totalIsAtLeast?: boolean };

/** One page: another takes its place. */
export const keysQuery = (filter: KeyFilter, limit = 50): Query<KeysPage> => ({
  key: `keys ${limit} ${new URLSearchParams(filter)}`,
  async read() {
    const { apiKeys, ...page } = await get("/api-keys", { ...filter, limit });
    return { entries: apiKeys, ...page };
  },
});

export const summaryQuery = (realm: string): Query<KeySummary> => ({
  key: `summary ${realm}`,
  read: async () => (await get("/api-keys/summary", { realm })).summary,
});

export type RecentUsage = KeysUsage["keys"][number];

/** The last 24 hours of the keys of a page, by id. */
export const usageQuery = (ids: string[]): Query<Map<string, RecentUsage>> => ({
  key: `usage ${ids}`,
  async read() {
    const keys = ids.length > 0 ? (await get("/api-keys/usage", { ids: ids.join() })).keys : [];
    return new Map(keys.map((key) => [key.id, key]));
  },
});

export const keyQuery = (id: string): Query<ApiKey> => ({
  key: `key ${id}`,
  read: async () => (await get(keyApi(id))).apiKey,
});

/** `filter` as the API takes it. */
export const auditQuery = (limit = 50, filter: Record<string, string> = {}): Query<AuditPage> => ({
  key: `audit ${limit} ${new URLSearchParams(filter)}`,
  next,
  async read(cursor) {
    let page = await get("/audit", { ...filter, limit, cursor });
    // Where filters leave nothing of what one call looks at.
    for (let calls = 1; page.entries.length === 0 && page.nextCursor && calls < 20; calls += 1)
      page = await get("/audit", { ...filter, limit, cursor: page.nextCursor });
    return page;
  },
});

/** Of how long usage is shown: hours of a day, or days. */
export const PERIODS = { "24h": 24, "7d": 7, "30d": 30, "90d": 90 };
export type Period = keyof typeof PERIODS;
export type UsagePath = "/usage" | `/api-keys/${string}/usage`;

const DAY_MS = 86_400_000;

/** Usage of a key, by its path, or of a tenant or the deployment. */
export const outcomesQuery = (
  path: UsagePath,
  period: Period,
  scope?: string,
): Query<{ byDay: boolean; points: UsagePoint[] }> => ({
  key: `usage ${path} ${period} ${scope ?? ""}`,
  async read() {
    const byDay = period !== "24h";
    const count = PERIODS[period];
    const from = byDay ? new Date(Date.now() - (count - 1) * DAY_MS).toISOString() : null;
    const { points } = await get(path as "/usage", { step: byDay ? "1d" : "1h", from, scope });
    return { byDay, points: points.slice(-count) };
  },
});

export const refusalsQuery = (of: { keyId?: string; scope?: string }, limit = 5): Query<Page<Refusal>> => ({
  key: `refusals ${limit} ${new URLSearchParams(of)}`,
  next,
  async read(cursor) {
    const { refusals, nextCursor } = await get("/refusals", { ...of, limit, cursor });
    return { entries: refusals, nextCursor };
  },
});

/** What was counted by route in the latest days. */
export const trafficQuery = (of: { days?: string; scope?: string }): Query<RoutesUsage> => ({
  key: `traffic ${new URLSearchParams(of)}`,
  read: () => get("/usage/routes", of),
});

/** The refusal of a request: of a key's, or, for the operator, of one that belongs to no key. */
export const requestQuery = (requestId: string): Query<Refusal | null> => ({
  key: `request ${requestId}`,
  async read() {
    const scopes = mayManageTenants() ? ["tenant", "deployment"] : ["tenant"];
    const answers = await Promise.all(scopes.map((scope) => get("/refusals", { requestId, scope })));
    return answers.flatMap(({ refusals }) => refusals)[0] ?? null;
  },
});

export const routesQuery: Query<Route[]> = {
  key: "routes",
  read: async () => (await get("/routes")).routes,
};

/** The routes, and which of their methods a key may call, or one with these scopes. */
export const mayCallQuery = (asks: Record<string, string>): Query<Route[]> => ({
  key: `routes ${new URLSearchParams(asks)}`,
  read: async () => (await get("/routes", asks)).routes,
});

export const quotasQuery: Query<Record<string, Quota>> = {
  key: "quotas",
  read: async () => (await get("/quotas")).quotas,
};

export const peopleQuery: Query<Member[]> = { key: "people", read: () => getAll("/members", "members") };

export const invitationsQuery: Query<Invitation[]> = {
  key: "invitations",
  read: () => getAll("/invitations", "invitations"),
};

export const tenantsQuery: Query<Tenant[]> = { key: "tenants", read: () => getAll("/tenants", "tenants") };

/** Where a member is signed in; without one, the person who asks. */
export const sessionsQuery = (memberId?: string): Query<Session[]> => ({
  key: `sessions ${memberId ?? ""}`,
  read: async () => (await getAll(memberId ? `${memberApi(memberId)}/sessions` : "/sessions", "sessions")).toReversed(),
});

export const passkeysQuery: Query<Passkey[]> = { key: "passkeys", read: () => getAll("/passkeys", "passkeys") };

export const memberQuery = (id: string): Query<Member> => ({
  key: `member ${id}`,
  read: async () => (await get(memberApi(id))).member,
});
