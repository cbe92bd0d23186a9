// What the admin API takes and answers, made of its description: cargo run -p keyward-openapi -- types
// docs/admin-api.md says what it means.

export type Actor = {
  email: string | null;
  id: string | null;
  type: "member" | "apiKey" | "setupToken" | "recoveryToken" | "scanner" | "system" | "unknown";
};

export type ApiKey = {
  allowedIps: Array<string>;
  allowedOrigins: Array<string>;
  createdAt: string;
  createdBy: Actor;
  effectiveRateLimit: RateLimit;
  expiresAt: string | null;
  id: string;
  /** Null of a key that was made here. */
  importedAt: string | null;
  keyPrefix: string;
  kind: "secret" | "publishable";
  last4: string;
  lastUsedAt: string | null;
  lastUsedFrom: {
    country: string | null;
    network: string | null;
    route: string | null;
  } | null;
  metadata: Record<string, string>;
  name: string;
  pausedAt: string | null;
  rateLimit: RateLimit;
  realm: string;
  revokeReason: string | null;
  revokedAt: string | null;
  revokedBy: Actor | null;
  rotatedFrom: string | null;
  rotatedTo: string | null;
  scopes: Array<string>;
  status: "ACTIVE" | "REVOKED" | "EXPIRED" | "PAUSED";
  strict: boolean;
  tags: Array<string>;
  tenantId: string;
  testMode: boolean;
  updatedAt: string;
  version: number;
};

export type AuditEntry = {
  action: string;
  actor: Actor;
  address: string | null;
  after: Record<string, unknown> | null;
  before: Record<string, unknown> | null;
  hash: string;
  previousHash: string;
  requestId: string | null;
  seq: number;
  target: string;
  tenantId: string;
  time: string;
};

export type BulkChange = {
  count: number;
  effectiveEverywhereBy?: string;
  ids: Array<string>;
  /** Whether a call with `nextCursor` would find others. */
  more?: boolean;
  nextCursor?: string | null;
  pendingKeys?: number;
  refusedEverywhereBy?: string;
  skipped: Array<{
    id: string;
    why: string;
  }>;
  /** How many keys the filter finds. */
  total?: number;
  /** Whether there may be more than `total`. */
  totalIsAtLeast?: boolean;
};

export type Event = {
  /** What happened to what; its members depend on the type. */
  data: Record<string, unknown>;
  id: string;
  timestamp: string;
  type: "key.created" | "key.rotated" | "key.revoked" | "key.expiring" | "key.unused" | "key.limit_reached" | "key.leaked" | "guessing.detected";
};

export type EventEndpoint = {
  error: string | null;
  failingSince: string | null;
  /** Attempts that failed since the last one that did not. */
  failures: number;
  /** When it answered 410. */
  goneAt: string | null;
  lastDelivered: string | null;
  lastDeliveredAt: string | null;
  /** Events that were dropped before it took them. */
  lost: number;
  name: string;
  nextAttemptAt: string | null;
  state: "ok" | "failing" | "gone";
  types: Array<"key.created" | "key.rotated" | "key.revoked" | "key.expiring" | "key.unused" | "key.limit_reached" | "key.leaked" | "guessing.detected">;
  /** Events of its queue, which holds 500. */
  waiting: number;
};

export type ImportedKey = {
  allowedIps?: Array<string> | null;
  allowedOrigins?: Array<string> | null;
  /** Not in the future. */
  createdAt?: string | null;
  /** The first second in which it no longer passes; null is never. */
  expiresAt?: string | null;
  /** SHA-256 of the whole key. */
  hash: string;
  kind?: "secret" | "publishable";
  last4?: string | null;
  metadata?: Record<string, string> | null;
  name: string;
  /** A prefix of the policy's, and at most 4 characters after it. */
  prefix?: string | null;
  rateLimit?: RateLimit | null;
  realm?: string;
  scopes?: Array<string>;
  /** Whether every request asks its object. */
  strict?: boolean;
  tags?: Array<string> | null;
  testMode?: boolean;
};

export type Invitation = {
  createdAt: string;
  createdBy: Actor;
  email: string;
  expiresAt: string;
  id: string;
  /** Whose password is set, if it is a reset. */
  memberId: string | null;
  role: "owner" | "admin" | "viewer";
};

export type KeyFilter = {
  createdBy?: string;
  createdFrom?: string;
  createdTo?: string;
  expiresBefore?: string;
  kind?: "secret" | "publishable";
  mode?: "live" | "test";
  nearLimit?: "true" | true;
  prefix?: string;
  /** Looked for in names, tags, ids and the visible parts. */
  q?: string;
  realm?: string;
  rotating?: "true" | true;
  /** Several, with commas between: each of them. */
  scope?: string;
  status?: "ACTIVE" | "REVOKED" | "EXPIRED" | "PAUSED";
  tag?: string;
  unusedDays?: number | string;
};

export type Link = {
  expiresAt: string;
  id: string;
  realm: string;
  sessionId: string | null;
  subject: string | null;
  usedAt: string | null;
};

export type Member = {
  createdAt: string;
  email: string;
  id: string;
  lastSeenAt: string | null;
  role: "owner" | "admin" | "viewer";
  tenantId: string;
};

export type Passkey = {
  createdAt: string;
  /** The host that it works at. */
  host: string;
  id: string;
  lastUsedAt: string | null;
  name: string;
  /** Whether it may be on several devices. */
  synced: boolean;
};

export type PreviousKey = {
  expiresAt: string | null;
  id: string;
  refusedEverywhereBy?: string;
  status: "ACTIVE" | "REVOKED" | "EXPIRED" | "PAUSED";
};

export type Problem = {
  code: string;
  /** What was wrong, and how to mend it. */
  detail?: string;
  /** What is wrong with each field. */
  errors?: Array<{
    field: string;
    message: string;
  }>;
  requestId?: string;
  status: number;
  title: string;
  type: string;
};

export type Quota = {
  limit: number;
  used: number;
};

export type Quotas = {
  auditEntries: Quota;
  endedKeys: Quota;
  idempotencyKeys: Quota;
  keyBytes: Quota;
  keys: Quota;
  links: Quota;
  members: Quota;
};

export type RateLimit = {
  /** Requests at the same time, each until its answer has ended. */
  inFlight?: number | null;
  /** Requests in any 24 hours. */
  perDay?: number | null;
  /** Requests in any 60 minutes. */
  perHour?: number | null;
  /** Requests in any 60 seconds. */
  perMinute?: number | null;
  /** Requests in a month of the calendar, in UTC. */
  perMonth?: number | null;
  /** Requests in any second. Null inherits; where it is in effect: no limit. */
  perSecond?: number | null;
  /** Requests in all, counted from when this is set. Raise it to top it up. */
  total?: number | null;
};

export type Realm = {
  /** Where a key stands in a request; null where none is taken. */
  credential: {
    header: string;
    scheme: string | null;
  } | null;
  freshnessSeconds: number;
  /** A host that it answers at; null where any of the gate's will do. */
  host: string | null;
  id: string;
  imported: {
    prefixes: Array<string>;
  } | null;
  keyPrefixes: {
    live: string;
    test: string | null;
  };
  /** Whether a new key needs an end. */
  keysMustExpire: boolean;
  limits: {
    default: RateLimit;
    inherited: RateLimit;
    maximum: RateLimit;
    /** Limits over all keys of the tenant together, in all realms. */
    pool: RateLimit;
  };
  link: {
    lifeSeconds: number;
    sessionLifeSeconds: number;
  } | null;
  /** How far off a new key's end may be at most; null where there is no such limit. */
  maxKeyLifeSeconds: number | null;
  ownerOnly: {
    create: boolean;
    revoke: boolean;
    rotate: boolean;
  };
  publishable: boolean;
  rotation: "keep-old" | "revoke-old";
  scopes: Array<{
    description: string;
    grant: "anyone" | "admin" | "reserved";
    /** Whether the caller may give it to a key. */
    grantable: boolean;
    includes: Array<string>;
    name: string;
  }>;
  /** What asks for the password again. */
  stepUp: {
    create: boolean;
    revoke: boolean;
    rotate: boolean;
  };
};

export type Refusal = {
  code: string;
  country: string | null;
  keyId: string | null;
  method: string;
  network: string | null;
  realm: string | null;
  requestId: string;
  route: string | null;
  status: number;
  time: string;
};

export type Route = {
  code: string | null;
  /** What a request counts as in the limits of its key. */
  cost: number;
  freshnessSeconds: number;
  /** Whether requests without a credential have an approximate limit for each network. */
  limitedByNetwork: boolean;
  mayCall: Array<string> | null;
  methods: Array<string>;
  needs: {
    /** Whether a request needs all of `by`, a key and a token. */
    all: boolean;
    by: Array<"key" | "publishable" | "jwt" | "session" | "webhook">;
    /** By which scopes and wildcards each is held. */
    heldBy: Record<string, Array<string>>;
    /** Whether a request without a credential passes, too. */
    optional: boolean;
    plans: Array<string>;
    scopes: Array<string>;
    sessionId: boolean;
    testKeys: "all" | "read" | "none";
  };
  path: string;
  realm: string;
};

export type RouteCounts = {
  accepted: number;
  refused: number;
  /** Of the deployment: refusals that belong to no key. */
  unattributed?: number;
};

export type RouteUsage = {
  accepted: number;
  method: string;
  path: string;
  realm: string;
  refused: number;
  /** Of the deployment: refusals that belong to no key. */
  unattributed?: number;
};

export type Self = {
  email: string;
  id: string;
  /** Whether it may manage tenants. */
  operator: boolean;
  role: "owner" | "admin" | "viewer";
  tenantId: string;
};

export type Session = {
  createdAt: string;
  current: boolean;
  expiresAt: string;
  id: string;
  lastSeenAt: string;
  memberId: string;
  network: string | null;
  userAgent: string | null;
};

export type Tenant = {
  code: string | null;
  createdAt: string;
  id: string;
  name: string;
  operator: boolean;
  plan: string | null;
  pool: RateLimit;
  /** Those that it has in place of the policy's. */
  quotas: Record<string, number>;
  rateLimit: RateLimit;
  status: "ACTIVE" | "INACTIVE";
  updatedAt: string;
};

export type UsagePoint = {
  accepted: number;
  /** By the code of the refusal. */
  refused: Record<string, number>;
  /** When the hour or day begins. */
  time: string;
  /** Refusals that belong to no key. */
  unattributed?: Record<string, number>;
};

/** Each call, with its query, body and answer. */
export interface Calls {
  /** lists the keys that all filters find, newest first, or as `sort` says: `created`, `lastUsed` (the latest first), `expires` (the soonest first), `name`; with a `-` before it the other way round. `total` is how many there are on all pages; of those that `q` finds, 1,000 are counted at most, of those that a `scope`, `tag` or `createdBy` finds beside other filters 10,000, and there are more if `totalIsAtLeast` is true */
  "GET /api-keys": {
    query: {
      createdBy?: string;
      createdFrom?: string;
      createdTo?: string;
      /** `nextCursor` of the page before. */
      cursor?: string;
      expiresBefore?: string;
      kind?: "secret" | "publishable";
      /** How many there are on a page. */
      limit?: number;
      mode?: "live" | "test";
      nearLimit?: "true";
      prefix?: string;
      /** Looked for in names, tags, ids and the visible parts. */
      q?: string;
      realm?: string;
      rotating?: "true";
      /** Several, with commas between: each of them. */
      scope?: string;
      sort?: "created" | "-created" | "lastUsed" | "-lastUsed" | "expires" | "-expires" | "name" | "-name";
      status?: "ACTIVE" | "REVOKED" | "EXPIRED" | "PAUSED";
      tag?: string;
      unusedDays?: number;
    };
    body: null;
    answer: {
      apiKeys: Array<ApiKey>;
      nextCursor: string | null;
      total: number;
      /** Whether there may be more than `total`. */
      totalIsAtLeast?: boolean;
    };
  };
  /** makes a key from these fields */
  "POST /api-keys": {
    query: undefined;
    body: {
      allowedIps?: Array<string> | null;
      allowedOrigins?: Array<string> | null;
      /** The first second in which it no longer passes; null is never. */
      expiresAt?: string | null;
      kind?: "secret" | "publishable";
      metadata?: Record<string, string> | null;
      name: string;
      rateLimit?: RateLimit | null;
      realm?: string;
      scopes?: Array<string>;
      /** Whether every request asks its object. */
      strict?: boolean;
      tags?: Array<string> | null;
      testMode?: boolean;
    };
    answer: {
      apiKey: ApiKey;
      /** The key. It is shown here and never again. */
      plaintextKey: string;
    };
  };
  /** changes many keys: `action` is `revoke`, `pause`, `resume`, `tag`, `untag` or `expire` */
  "POST /api-keys/bulk": {
    query: undefined;
    body: {
      action: "revoke" | "pause" | "resume" | "tag" | "untag" | "expire";
      cursor?: string | null;
      dryRun?: boolean | null;
      expiresAt?: string | null;
      filter?: KeyFilter | null;
      ids?: Array<string> | null;
      reason?: string | null;
      tag?: string | null;
    };
    answer: BulkChange;
  };
  /** the same, to revoke: possible when there is no space for anything else */
  "POST /api-keys/bulk-revoke": {
    query: undefined;
    body: {
      cursor?: string | null;
      dryRun?: boolean | null;
      filter: KeyFilter;
      reason?: string | null;
    };
    answer: BulkChange;
  };
  /** the list as a file, up to 1,000 keys or a megabyte: `csv` (text that begins as a formula has a `'` before it; lists and objects are JSON) or `json` (a key a line, as listed, `application/x-ndjson`) */
  "GET /api-keys/export": {
    query: {
      createdBy?: string;
      createdFrom?: string;
      createdTo?: string;
      cursor?: string;
      expiresBefore?: string;
      format?: "csv" | "json";
      kind?: "secret" | "publishable";
      mode?: "live" | "test";
      nearLimit?: "true";
      prefix?: string;
      /** Looked for in names, tags, ids and the visible parts. */
      q?: string;
      realm?: string;
      rotating?: "true";
      /** Several, with commas between: each of them. */
      scope?: string;
      sort?: "created" | "-created" | "lastUsed" | "-lastUsed" | "expires" | "-expires" | "name" | "-name";
      status?: "ACTIVE" | "REVOKED" | "EXPIRED" | "PAUSED";
      tag?: string;
      unusedDays?: number;
    };
    body: null;
    answer: string;
  };
  /** imports keys that were made elsewhere, by their hash: a key a line (`application/x-ndjson`), 1,000 lines and a megabyte at most */
  "POST /api-keys/import": {
    query: {
      dryRun?: boolean;
    };
    body: string;
    answer: {
      /** The first 100 mistakes. */
      errors: Array<{
        field: string;
        line: number;
        message: string;
      }>;
      imported: number;
      pendingKeys?: number;
      /** Keys that were imported before. */
      repeated: number;
      /** Lines with mistakes. */
      wrong: number;
    };
  };
  /** how many keys there are of each kind that the list can show: `expiring` are active ones that expire within 30 days, `unused` active ones not used for 90; each is the `total` of the list with that filter */
  "GET /api-keys/summary": {
    query: {
      realm?: string;
    };
    body: null;
    answer: {
      summary: {
        active: number;
        expired: number;
        expiring: number;
        nearLimit: number;
        paused: number;
        revoked: number;
        rotating: number;
        total: number;
        unused: number;
      };
    };
  };
  /** the usage of up to 100 keys, `ids` with commas between, in the last 24 hours: the oldest hour first, the running one last. An id of no key of the tenant is left out */
  "GET /api-keys/usage": {
    query: {
      /** Up to 100, with commas between. */
      ids: string;
    };
    body: null;
    answer: {
      from: string;
      /** The last 24 hours, the oldest first. */
      keys: Array<{
        accepted: Array<number>;
        id: string;
        refused: Array<number>;
      }>;
      step: "1h";
    };
  };
  /** shows one */
  "GET /api-keys/{id}": {
    query: undefined;
    body: null;
    answer: {
      apiKey: ApiKey;
    };
  };
  /** changes the fields that are named, each as a whole */
  "PATCH /api-keys/{id}": {
    query: undefined;
    body: {
      allowedIps?: Array<string> | null;
      allowedOrigins?: Array<string> | null;
      /** The first second in which it no longer passes; null is never. */
      expiresAt?: string | null;
      metadata?: Record<string, string> | null;
      name?: string;
      rateLimit?: RateLimit | null;
      scopes?: Array<string>;
      /** Whether every request asks its object. */
      strict?: boolean;
      tags?: Array<string> | null;
      testMode?: boolean;
    };
    answer: {
      apiKey: ApiKey;
      effectiveEverywhereBy: string;
    };
  };
  /** pauses: until it is resumed, the key is refused with `PAUSED_API_KEY`. A paused key can be edited and revoked, not rotated; its expiry goes on, and it can be resumed after that only once it has a later one; it counts as one of the tenant's `keys`. Repeating it is harmless */
  "POST /api-keys/{id}/pause": {
    query: undefined;
    body: Record<string, never>;
    answer: {
      apiKey: ApiKey;
      refusedEverywhereBy: string;
    };
  };
  /** lets a paused key pass again; repeating it is harmless */
  "POST /api-keys/{id}/resume": {
    query: undefined;
    body: Record<string, never>;
    answer: {
      apiKey: ApiKey;
      effectiveEverywhereBy: string;
    };
  };
  /** revokes for good; repeating it is harmless */
  "POST /api-keys/{id}/revoke": {
    query: undefined;
    body: {
      reason?: string | null;
    };
    answer: {
      apiKey: ApiKey;
      refusedEverywhereBy: string;
    };
  };
  /** makes a new key with the old one's settings. The old key stays (`"revokeOld": false`), is revoked at once (`"revokeOld": true`), or expires after `graceSeconds` (0 to ten years), or earlier if its own expiry is earlier. Default: the realm's `rotation`. A grace ends the old key only: one that is rotated again meanwhile makes another key with the expiry that its owner set */
  "POST /api-keys/{id}/rotate": {
    query: undefined;
    body: {
      graceSeconds?: number | null;
      revokeOld?: boolean | null;
    };
    answer: {
      apiKey: ApiKey;
      /** The key. It is shown here and never again. */
      plaintextKey: string;
      previous: PreviousKey;
    };
  };
  /** counts by the hour (`step=1h`) or day (`1d`), by default the last 24; at most 1,000 */
  "GET /api-keys/{id}/usage": {
    query: {
      from?: string;
      step?: "1h" | "1d";
      to?: string;
    };
    body: null;
    answer: {
      points: Array<UsagePoint>;
    };
  };
  /** finds entries of the audit, newest first; `names` is what the keys, people and tenants in them are called now, by id */
  "GET /audit": {
    query: {
      action?: string;
      actor?: string;
      /** `nextCursor` of the page before. */
      cursor?: string;
      from?: string;
      /** How many there are on a page. */
      limit?: number;
      object?: string;
      order?: "asc" | "desc";
      to?: string;
    };
    body: null;
    answer: {
      entries: Array<AuditEntry>;
      /** What keys, people and tenants of the entries are called now, by id. */
      names: Record<string, string>;
      nextCursor: string | null;
    };
  };
  /** the same as lines of JSON (`application/x-ndjson`): up to 1,000 entries or a megabyte of them */
  "GET /audit/export": {
    query: {
      action?: string;
      actor?: string;
      cursor?: string;
      from?: string;
      object?: string;
      order?: "asc" | "desc";
      to?: string;
    };
    body: null;
    answer: string;
  };
  /** whether the chain is whole, at most 1,000 entries at once (how) */
  "GET /audit/verify": {
    query: {
      from?: number;
    };
    body: null;
    answer: {
      /** The first entry that does not fit. */
      brokenAt?: number;
      checkpoint?: {
        seq: number;
      };
      entries: number;
      lastHash: string;
      /** Where the rest begins. */
      next?: number;
      ok: boolean;
      total: number;
    };
  };
  /** a backup of everything but keys themselves, in pages of half a megabyte that are signed under `KEYWARD_SECRET` (`application/x-ndjson`, format). The first is audited, and the password is asked for that one only; cursors are taken for 24 hours after it */
  "GET /backup": {
    query: {
      cursor?: string;
    };
    body: null;
    answer: string;
  };
  /** events after this one, oldest first, at most 100; the operator's owners see those of all tenants */
  "GET /events": {
    query: {
      /** The id of the last event that is known. */
      after?: string;
      limit?: number;
    };
    body: null;
    answer: {
      events: Array<Event>;
      nextAfter: string | null;
    };
  };
  /** how the policy's endpoints are doing */
  "GET /events/endpoints": {
    query: undefined;
    body: null;
    answer: {
      endpoints: Array<EventEndpoint>;
    };
  };
  /** sends everything there once more that is kept, or came after this event; also to one that was gone */
  "POST /events/endpoints/{id}/replay": {
    query: undefined;
    body: {
      after?: string | null;
    };
    answer: {
      endpoint: EventEndpoint;
    };
  };
  /** says step by step what the gate would answer to such a request. It counts nowhere */
  "POST /explain": {
    query: undefined;
    body: {
      address?: string | null;
      host?: string | null;
      key?: string | null;
      keyId?: string | null;
      method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" | "ACL" | "CHECKOUT" | "COPY" | "LOCK" | "MERGE" | "MKACTIVITY" | "MKCOL" | "MOVE" | "NOTIFY" | "PROPFIND" | "PROPPATCH" | "PURGE" | "REPORT" | "SEARCH" | "SUBSCRIBE" | "UNLOCK" | "UNSUBSCRIBE";
      origin?: string | null;
      path: string;
      realm?: string | null;
      sessionId?: string | null;
    };
    answer: {
      allowed: boolean;
      code: string | null;
      realm: string | null;
      route: {
        methods: Array<string>;
        path: string;
      } | null;
      status: number | null;
      steps: Array<{
        detail: string | null;
        ok: boolean;
        step: string;
      }>;
    };
  };
  /** links that may still be used, in the order they were made */
  "GET /invitations": {
    query: {
      /** `nextCursor` of the page before. */
      cursor?: string;
      /** How many there are on a page. */
      limit?: number;
    };
    body: null;
    answer: {
      invitations: Array<Invitation>;
      nextCursor: string | null;
    };
  };
  /** makes a one-time link with which somebody joins */
  "POST /invitations": {
    query: undefined;
    body: {
      email: string;
      role: "owner" | "admin" | "viewer";
    };
    answer: {
      invitation: Invitation;
      token: string;
      url: string;
    };
  };
  /** joins with this password, or sets it; or joins with a token of the address that was invited, here or in the policy's header, or with an issuer's `code` and `state` */
  "POST /invitations/accept": {
    query: undefined;
    body: {
      /** The code that the issuer has sent the browser back with, beside `state`. */
      code?: string;
      /** A token of the issuer that the policy names, in place of a password. */
      idToken?: string;
      password?: string;
      /** The `state` that came with `code`. It has to be that of the browser's cookie. */
      state?: string;
      token: string;
    };
    answer: {
      member: Member;
    };
  };
  /** ends one */
  "DELETE /invitations/{id}": {
    query: undefined;
    body: null;
    answer: null;
  };
  /** takes a report of keys that were found in public, and does with them what the policy says. 404 without [`admin.leaks]` */
  "POST /leaks": {
    query: undefined;
    body: Array<{
      source?: string | null;
      token: string;
      type: string;
      url?: string | null;
    }>;
    answer: Array<{
      label: "true_positive" | "false_positive";
      token_raw: string;
      token_type: string;
    }>;
  };
  /** makes a link that becomes a session once, where a realm has them */
  "POST /links": {
    query: undefined;
    body: {
      sessionId?: string | null;
      subject?: string | null;
      url: string;
    };
    answer: {
      link: Link;
      token: string;
      url: string;
    };
  };
  /** shows one, without its token, until a day after its end */
  "GET /links/{id}": {
    query: undefined;
    body: null;
    answer: {
      link: Link;
    };
  };
  /** people of the tenant, in the order they were added; `q` looks in addresses. `lastSeenAt` is exact to five minutes */
  "GET /members": {
    query: {
      /** `nextCursor` of the page before. */
      cursor?: string;
      /** How many there are on a page. */
      limit?: number;
      q?: string;
    };
    body: null;
    answer: {
      members: Array<Member>;
      nextCursor: string | null;
    };
  };
  /** adds one; `role` is `owner`, `admin` or `viewer` */
  "POST /members": {
    query: undefined;
    body: {
      email: string;
      password?: string;
      role: "owner" | "admin" | "viewer";
    };
    answer: {
      member: Member;
    };
  };
  /** removes one, whose sessions end */
  "DELETE /members/{id}": {
    query: undefined;
    body: null;
    answer: null;
  };
  /** shows one */
  "GET /members/{id}": {
    query: undefined;
    body: null;
    answer: {
      member: Member;
    };
  };
  /** changes role or password; one's own asks for the present one. Another password ends the member's other sessions, another role all */
  "PATCH /members/{id}": {
    query: undefined;
    body: {
      currentPassword?: string;
      password?: string;
      role?: "owner" | "admin" | "viewer";
    };
    answer: {
      member: Member;
    };
  };
  /** makes a one-time link with which somebody else sets a new password */
  "POST /members/{id}/reset": {
    query: undefined;
    body: Record<string, never>;
    answer: {
      invitation: Invitation;
      token: string;
      url: string;
    };
  };
  /** ends them all, but the one that asks */
  "DELETE /members/{id}/sessions": {
    query: undefined;
    body: null;
    answer: null;
  };
  /** lists a member's sessions */
  "GET /members/{id}/sessions": {
    query: {
      /** `nextCursor` of the page before. */
      cursor?: string;
      /** How many there are on a page. */
      limit?: number;
    };
    body: null;
    answer: {
      nextCursor: string | null;
      sessions: Array<Session>;
    };
  };
  /** metrics of the deployment for Prometheus */
  "GET /metrics": {
    query: undefined;
    body: null;
    answer: string;
  };
  /** lists one's own passkeys, in the order they were added */
  "GET /passkeys": {
    query: {
      /** `nextCursor` of the page before. */
      cursor?: string;
      /** How many there are on a page. */
      limit?: number;
    };
    body: null;
    answer: {
      nextCursor: string | null;
      passkeys: Array<Passkey>;
    };
  };
  /** adds it, under a name of 1 to 100 characters */
  "POST /passkeys": {
    query: undefined;
    body: {
      name: string;
      /** What `PublicKeyCredential.toJSON()` gives. */
      passkey: {
        id: string;
        response: object;
      };
    };
    answer: {
      passkey: Passkey;
    };
  };
  /** what a browser needs to make a passkey */
  "POST /passkeys/options": {
    query: undefined;
    body: Record<string, never>;
    answer: {
      /** As `parseRequestOptionsFromJSON` or `parseCreationOptionsFromJSON` reads it. */
      publicKey: object;
    };
  };
  /** removes one of one's own */
  "DELETE /passkeys/{id}": {
    query: undefined;
    body: null;
    answer: null;
  };
  /** how much the tenant has of what it may have */
  "GET /quotas": {
    query: undefined;
    body: null;
    answer: {
      quotas: Quotas;
    };
  };
  /** the policy as far as keys are concerned: scopes, limits, prefixes, how long a key may live, a host, and the header in which a key stands */
  "GET /realms": {
    query: undefined;
    body: null;
    answer: {
      realms: Array<Realm>;
    };
  };
  /** recovery: gives an owner of the operator's tenant a new password, or makes one; the token is the secret `KEYWARD_RECOVERY_TOKEN`, each value of which works once */
  "POST /recover": {
    query: undefined;
    body: {
      email: string;
      password?: string;
      token: string;
    };
    answer: {
      member: Member;
    };
  };
  /** the latest refusals of the tenant's keys, those reported last first; with `scope=deployment` those that belong to no key */
  "GET /refusals": {
    query: {
      code?: string;
      /** `nextCursor` of the page before. */
      cursor?: string;
      keyId?: string;
      /** How many there are on a page. */
      limit?: number;
      requestId?: string;
      scope?: "tenant" | "deployment";
    };
    body: null;
    answer: {
      nextCursor: string | null;
      refusals: Array<Refusal>;
    };
  };
  /** takes the pages of a backup back, one a call, in their order (`application/x-ndjson`). Until the last is there, every other call is 503. The first page begins anew, and one that came before does no harm */
  "POST /restore": {
    query: undefined;
    body: string;
    answer: {
      backup: string;
      done: boolean;
      madeAt: string;
      page: number;
      rows: number;
    };
  };
  /** every route of the policy in its order, what it needs, and which of its methods this key may call, or one with these scopes (with commas between) */
  "GET /routes": {
    query: {
      keyId?: string;
      realm?: string;
      /** With commas between. */
      scopes?: string;
    };
    body: null;
    answer: {
      routes: Array<Route>;
    };
  };
  /** signs out */
  "DELETE /session": {
    query: undefined;
    body: null;
    answer: null;
  };
  /** says who is signed in */
  "GET /session": {
    query: undefined;
    body: null;
    answer: {
      expiresAt: string;
      member: Self;
      steppedUpUntil: string | null;
      tenant: {
        id: string;
        name: string;
      };
    };
  };
  /** signs in: with `email` and `password`, with a `passkey` alone, with a token, here or in the policy's header, or with an issuer's `code` and `state` */
  "POST /session": {
    query: undefined;
    body: {
      /** The code that the issuer has sent the browser back with, beside `state`. */
      code?: string;
      email?: string;
      /** What `PublicKeyCredential.toJSON()` gives. */
      passkey?: {
        id: string;
        response: object;
      };
      password?: string;
      /** The `state` that came with `code`. It has to be that of the browser's cookie. */
      state?: string;
      /** A token of the issuer that the policy names, in place of a password. */
      token?: string;
    };
    answer: {
      expiresAt: string;
      member: Self;
      token: string;
    };
  };
  /** where a browser signs in at the issuer: `purpose` is `sign-in`, or `step-up` to be asked there again */
  "POST /session/code/options": {
    query: undefined;
    body: {
      purpose?: "sign-in" | "step-up";
    };
    answer: {
      url: string;
    };
  };
  /** what a browser needs to ask for a passkey, to sign in */
  "POST /session/passkey/options": {
    query: undefined;
    body: Record<string, never>;
    answer: {
      /** As `parseRequestOptionsFromJSON` or `parseCreationOptionsFromJSON` reads it. */
      publicKey: object;
    };
  };
  /** opens five minutes, in this session, for what asks for the password again: with the `password`, a `passkey`, a token of the last five minutes, or an issuer's `code` and `state` */
  "POST /session/step-up": {
    query: undefined;
    body: {
      /** The code that the issuer has sent the browser back with, beside `state`. */
      code?: string;
      /** What `PublicKeyCredential.toJSON()` gives. */
      passkey?: {
        id: string;
        response: object;
      };
      password?: string;
      /** The `state` that came with `code`. It has to be that of the browser's cookie. */
      state?: string;
      /** A token of the issuer that the policy names, in place of a password. */
      token?: string;
    };
    answer: null;
  };
  /** what a browser needs to ask for one of one's own passkeys, which are in `allowCredentials` */
  "POST /session/step-up/options": {
    query: undefined;
    body: Record<string, never>;
    answer: {
      /** As `parseRequestOptionsFromJSON` or `parseCreationOptionsFromJSON` reads it. */
      publicKey: object;
    };
  };
  /** ends all of one's own but this one */
  "DELETE /sessions": {
    query: undefined;
    body: null;
    answer: null;
  };
  /** lists one's own sessions; `lastSeenAt` is exact to five minutes, `network` is an IPv4 address or the first 64 bits of an IPv6 one */
  "GET /sessions": {
    query: {
      /** `nextCursor` of the page before. */
      cursor?: string;
      /** How many there are on a page. */
      limit?: number;
    };
    body: null;
    answer: {
      nextCursor: string | null;
      sessions: Array<Session>;
    };
  };
  /** ends one */
  "DELETE /sessions/{id}": {
    query: undefined;
    body: null;
    answer: null;
  };
  /** says what a request has used of its budget; `token` is the `Keyward-Settle` that came with it, `used` a whole number up to 4,294,967,295. The gate answers, not the registry: it counts in no `[admin.rate]` */
  "POST /settlements": {
    query: undefined;
    body: {
      token: string;
      used: number;
    };
    answer: {
      settled: boolean;
    };
  };
  /** says whether the first owner is still to be made */
  "GET /setup": {
    query: undefined;
    body: null;
    answer: {
      open: boolean;
    };
  };
  /** makes the first owner, with this password where there are any; the token is the secret `KEYWARD_SETUP_TOKEN` */
  "POST /setup": {
    query: undefined;
    body: {
      email: string;
      password?: string;
      token: string;
    };
    answer: {
      member: Member;
    };
  };
  /** lists tenants, in the order they were made */
  "GET /tenants": {
    query: {
      /** `nextCursor` of the page before. */
      cursor?: string;
      /** How many there are on a page. */
      limit?: number;
    };
    body: null;
    answer: {
      nextCursor: string | null;
      tenants: Array<Tenant>;
    };
  };
  /** adds one, with a first owner (`email`, and `password` where there are any) if it is named */
  "POST /tenants": {
    query: undefined;
    body: {
      code?: string | null;
      name: string;
      owner?: {
        email: string;
        password?: string;
      } | null;
      plan?: string | null;
      pool?: RateLimit | null;
      rateLimit?: RateLimit | null;
    };
    answer: {
      owner?: Member;
      tenant: Tenant;
    };
  };
  /** shows one, what it has of what it may have, and how full the database is */
  "GET /tenants/{id}": {
    query: undefined;
    body: null;
    answer: {
      quotas: Quotas;
      storage: Quota;
      tenant: Tenant;
    };
  };
  /** changes one, `status` to `ACTIVE` or `INACTIVE`, and with it all its keys; a `code` is given once; `quotas` names those that it gets in place of the policy's, null for the policy's; `rateLimit`, `pool` and `plan` */
  "PATCH /tenants/{id}": {
    query: undefined;
    body: {
      code?: string;
      name?: string;
      plan?: string | null;
      pool?: RateLimit | null;
      quotas?: {
        auditEntries?: number | null;
        endedKeys?: number | null;
        idempotencyKeys?: number | null;
        keyBytes?: number | null;
        keys?: number | null;
        links?: number | null;
        members?: number | null;
      } | null;
      rateLimit?: RateLimit | null;
      status?: "ACTIVE" | "INACTIVE";
    };
    answer: {
      effectiveEverywhereBy?: string;
      pendingKeys?: number;
      tenant: Tenant;
    };
  };
  /** makes a one-time link with which one more owner joins a tenant */
  "POST /tenants/{id}/owners": {
    query: undefined;
    body: {
      email: string;
    };
    answer: {
      invitation: Invitation;
      token: string;
      url: string;
    };
  };
  /** signs all of a tenant's people out, but for the session that asks */
  "DELETE /tenants/{id}/sessions": {
    query: undefined;
    body: null;
    answer: null;
  };
  /** the same of all the tenant's keys together, those that were removed included; with `scope=deployment` of all tenants. Hours for 90 days, days for two years, however many keys there are */
  "GET /usage": {
    query: {
      from?: string;
      scope?: "tenant" | "deployment";
      step?: "1h" | "1d";
      to?: string;
    };
    body: null;
    answer: {
      points: Array<UsagePoint>;
    };
  };
  /** the same by route, for the last `days` days of UTC, today included (1 to 30, default 7) */
  "GET /usage/routes": {
    query: {
      days?: number;
      scope?: "tenant" | "deployment";
    };
    body: null;
    answer: {
      /** When the first of these days begins, in UTC. */
      from: string;
      /** Further routes together. */
      others: RouteCounts | null;
      routes: Array<RouteUsage>;
    };
  };
}
