// What the admin API takes and answers, as the page and the tests use it. docs/admin-api.md says what it means.

/** A time: RFC 3339, in UTC. */
export type Time = string;

export type Role = "owner" | "admin" | "viewer";

export interface Member {
  id: string;
  email: string;
  role: Role;
  tenantId: string;
  createdAt: Time;
  /** Exact to five minutes; null before the first time. */
  lastSeenAt: Time | null;
}

/** A one-time link with which somebody joins, or (`memberId`) sets a new password. */
export interface Invitation {
  id: string;
  email: string;
  role: Role;
  memberId: string | null;
  createdAt: Time;
  createdBy: { type: "member"; id: string; email: string };
  expiresAt: Time;
}

/** Its token is shown only here, and in the fragment of the URL. */
export interface CreatedInvitation {
  invitation: Invitation;
  token: string;
  url: string;
}

/** The member who is signed in; `operator`: whether it may manage tenants. */
export type Self = Omit<Member, "createdAt" | "lastSeenAt"> & { operator: boolean };

/** A passkey, as its owner knows it. */
export interface Passkey {
  id: string;
  name: string;
  /** The host that it works at. */
  host: string;
  /** Whether it may be on several devices. */
  synced: boolean;
  createdAt: Time;
  lastUsedAt: Time | null;
}

export interface Session {
  id: string;
  memberId: string;
  createdAt: Time;
  lastSeenAt: Time;
  expiresAt: Time;
  network: string | null;
  userAgent: string | null;
  current: boolean;
}

/** Requests in any 60 seconds and in any 24 hours. Where something is set, null inherits; where it is shown as in effect, it is no limit. */
export interface RateLimit {
  perMinute: number | null;
  perDay: number | null;
}

/** What a person may do with keys, or has to type the password for. */
export type KeyAction = "create" | "rotate" | "revoke";

export interface Scope {
  name: string;
  description: string;
  includes: string[];
  grantable: boolean;
  grant: "anyone" | "admin" | "reserved";
}

export interface Realm {
  id: string;
  scopes: Scope[];
  limits: { default: RateLimit; maximum: RateLimit; inherited: RateLimit };
  keyPrefixes: { live: string; test: string | null };
  /** A host that it answers at; null where any of the gate's will do. */
  host: string | null;
  /** Where a key stands in a request. */
  credential: { header: string; scheme: string | null } | null;
  imported: { prefixes: string[] } | null;
  publishable: boolean;
  stepUp: Record<KeyAction, boolean>;
  ownerOnly: Record<KeyAction, boolean>;
  rotation: "keep-old" | "revoke-old";
  link: { lifeSeconds: number; sessionLifeSeconds: number } | null;
  freshnessSeconds: number;
}

/** Each is the `total` of the list with the filter that docs/admin-api.md names. */
export type KeySummary = Record<
  "total" | "active" | "paused" | "expired" | "revoked" | "expiring" | "unused" | "rotating" | "nearLimit",
  number
>;

/** The last 24 hours of several keys, the oldest first. */
export interface KeysUsage {
  from: Time;
  step: "1h";
  keys: { id: string; accepted: number[]; refused: number[] }[];
}

/** Requests of an hour or a day, refused ones by code. `unattributed`: those of the deployment that belong to no key. */
export interface UsagePoint {
  time: Time;
  accepted: number;
  refused: Record<string, number>;
  unattributed?: Record<string, number>;
}

export interface Refusal {
  time: Time;
  requestId: string;
  keyId: string | null;
  realm: string | null;
  method: string;
  route: string | null;
  code: string;
  status: number;
  network: string | null;
  country: string | null;
}

/** Who did something. */
export interface Actor {
  type: "member" | "apiKey" | "setupToken" | "recoveryToken" | "system" | "unknown";
  id: string | null;
  email: string | null;
}

/** What is set on a key. */
export interface KeySettings {
  name: string;
  scopes: string[];
  rateLimit: RateLimit;
  allowedIps: string[];
  allowedOrigins: string[];
  expiresAt: Time | null;
  testMode: boolean;
  strict: boolean;
  tags: string[];
  metadata: Record<string, string>;
}

export interface ApiKey extends KeySettings {
  id: string;
  realm: string;
  tenantId: string;
  kind: "secret" | "publishable";
  keyPrefix: string;
  last4: string;
  status: "ACTIVE" | "PAUSED" | "REVOKED" | "EXPIRED";
  effectiveRateLimit: RateLimit;
  createdAt: Time;
  createdBy: Actor;
  updatedAt: Time;
  lastUsedAt: Time | null;
  lastUsedFrom: { network: string | null; country: string | null; route: string | null } | null;
  pausedAt: Time | null;
  revokedAt: Time | null;
  /** Null where an older build revoked it. */
  revokedBy: Actor | null;
  revokeReason: string | null;
  rotatedFrom: string | null;
  rotatedTo: string | null;
  version: number;
  /** Only of a key that was made elsewhere. */
  importedAt?: Time;
}

/** What an import did, or would do: nothing while a line is wrong. */
export interface Imported {
  imported: number;
  repeated: number;
  wrong: number;
  errors: { line: number; field: string; message: string }[];
  pendingKeys?: number;
}

/** What a change of many keys did, or would do. */
export interface BulkChange {
  count: number;
  ids: string[];
  skipped: { id: string; why: string }[];
  total?: number;
  totalIsAtLeast?: true;
  more?: boolean;
  /** The `cursor` of the call that goes on. */
  nextCursor?: string | null;
  refusedEverywhereBy?: Time;
  effectiveEverywhereBy?: Time;
  pendingKeys?: number;
}

/** A new key, with its text: shown once. */
export interface CreatedKey {
  apiKey: ApiKey;
  plaintextKey: string;
}

/** What became of the key that was replaced. */
export interface PreviousKey {
  id: string;
  status: ApiKey["status"];
  expiresAt: Time | null;
  refusedEverywhereBy?: Time;
}

export interface Link {
  id: string;
  realm: string;
  subject: string | null;
  sessionId: string | null;
  expiresAt: Time;
  usedAt: Time | null;
}

export interface Tenant {
  id: string;
  code: string | null;
  name: string;
  status: "ACTIVE" | "INACTIVE";
  plan: string | null;
  rateLimit: RateLimit;
  quotas: Record<string, number>;
  operator: boolean;
  createdAt: Time;
  updatedAt: Time;
}

/** How much there is of something, and may be. */
export interface Quota {
  used: number;
  limit: number;
}

export interface AuditEntry {
  seq: number;
  tenantId: string;
  time: Time;
  actor: Actor;
  action: string;
  target: string;
  before: Record<string, unknown> | null;
  after: Record<string, unknown> | null;
  address: string | null;
  requestId: string | null;
  previousHash: string;
  hash: string;
}

/** Whether a part of the audit is whole; `next` is where the rest of it begins. */
export interface AuditVerdict {
  ok: boolean;
  entries: number;
  total: number;
  lastHash: string;
  brokenAt?: number;
  next?: number;
  checkpoint?: { seq: number };
}

/** What is wrong with a field of a body. */
export interface FieldError {
  field: string;
  message: string;
}

/** Problem details (RFC 9457): an answer that is not a success. */
export interface ProblemDetails {
  status: number;
  title?: string;
  detail?: string;
  code?: string | null;
  requestId?: string | null;
  errors?: FieldError[];
}

export type Query = Record<string, string | number | null | undefined>;

/** A page of a list; `nextCursor` is null on the last one. */
type Page<Name extends string, Entry> = Record<Name, Entry[]> & { nextCursor: string | null };

/** A page of the audit; `names`: what its keys, people and tenants are called now, by id. */
export type AuditPage = Page<"entries", AuditEntry> & { names: Record<string, string> };

/** How a call is made: `anonymous`, without a session too. */
export interface CallOptions {
  headers?: Record<string, string>;
  anonymous?: boolean;
}

/** Something that a route can ask for. */
export type Proof = "key" | "publishable" | "jwt" | "session" | "webhook";

/** A route of the policy. `mayCall` and `code` are null unless a key or scopes were named. */
export interface Route {
  realm: string;
  methods: string[];
  path: string;
  needs: {
    by: Proof[];
    scopes: string[];
    heldBy: Record<string, string[]>;
    plans: string[];
    testKeys: "all" | "read" | "none";
    sessionId: boolean;
  };
  freshnessSeconds: number;
  mayCall: string[] | null;
  code: string | null;
}

/** A request that nobody sent. */
export interface SupposedRequest {
  method: string;
  path: string;
  realm?: string | null;
  host?: string | null;
  keyId?: string | null;
  key?: string | null;
  address?: string | null;
  origin?: string | null;
  sessionId?: string | null;
}

/** A step of a decision; docs/admin-api.md lists them. */
export interface Step {
  step: string;
  ok: boolean;
  detail: string | null;
}

/** What the gate would answer: status and code are null where the request would pass. */
export interface Explanation {
  allowed: boolean;
  status: number | null;
  code: string | null;
  realm: string | null;
  route: Pick<Route, "methods" | "path"> | null;
  steps: Step[];
}

/** What somebody typed as a number. What is none goes to the API as it is, which says what is wrong with it. */
export type TypedNumber = number | string | null;
export type TypedRateLimit = Record<keyof RateLimit, TypedNumber>;

/** The settings of a key as they stand in a form. */
export type TypedKeySettings = Partial<Omit<KeySettings, "rateLimit">> & {
  rateLimit?: TypedRateLimit;
  kind?: ApiKey["kind"];
};

/** A tenant as it stands in a form. */
export interface TypedTenant {
  name?: string;
  code?: string;
  plan?: string | null;
  status?: string;
  rateLimit?: TypedRateLimit;
  quotas?: Record<string, TypedNumber>;
  owner?: NewCredentials;
}

export interface Credentials {
  email: string;
  password: string;
}

/** Of somebody new: without a password where people have none. */
export type NewCredentials = Pick<Credentials, "email"> & Partial<Credentials>;

/** GET */
export interface Get {
  (
    path: "/session",
    query?: undefined,
    options?: CallOptions,
  ): Promise<{
    member: Self;
    tenant: Pick<Tenant, "id" | "name">;
    expiresAt: Time;
    steppedUpUntil: Time | null;
  }>;
  (path: "/setup", query?: undefined, options?: CallOptions): Promise<{ open: boolean }>;
  (path: "/realms"): Promise<{ realms: Realm[] }>;
  (path: "/routes", query?: Query): Promise<{ routes: Route[] }>;
  (path: "/refusals", query: Query): Promise<Page<"refusals", Refusal>>;
  (path: "/quotas"): Promise<{ quotas: Record<string, Quota> }>;
  (path: "/audit", query: Query): Promise<AuditPage>;
  (path: "/audit/verify", query?: { from: number }): Promise<AuditVerdict>;
  (path: "/api-keys", query: Query): Promise<Page<"apiKeys", ApiKey> & { total: number; totalIsAtLeast?: true }>;
  (path: "/api-keys/summary", query: Query): Promise<{ summary: KeySummary }>;
  (path: "/api-keys/usage", query: Query): Promise<KeysUsage>;
  (
    path: "/usage" | `/api-keys/${string}/usage`,
    query?: Query,
    options?: CallOptions,
  ): Promise<{ points: UsagePoint[] }>;
  (path: `/api-keys/${string}`): Promise<{ apiKey: ApiKey }>;
  (path: `/members/${string}`): Promise<{ member: Member }>;
  (path: `/tenants/${string}`): Promise<{ tenant: Tenant; quotas: Record<string, Quota> }>;
}

/** GET of a page of an export. */
export type GetText = (path: string, query: Query) => Promise<{ text: string; nextCursor: string | null }>;

/** GET of a whole list, page after page. */
export interface GetAll {
  (path: "/tenants", name: "tenants"): Promise<Tenant[]>;
  (path: "/members", name: "members"): Promise<Member[]>;
  (path: "/invitations", name: "invitations"): Promise<Invitation[]>;
  (path: "/passkeys", name: "passkeys"): Promise<Passkey[]>;
  (path: "/sessions" | `/members/${string}/sessions`, name: "sessions"): Promise<Session[]>;
}

/** POST */
export interface Post {
  (
    path: "/setup" | "/recover",
    body: NewCredentials & { token: string },
    options: CallOptions,
  ): Promise<{ member: Member }>;
  (
    path: "/session",
    body: Partial<Credentials> & { passkey?: unknown; token?: string },
    options: CallOptions,
  ): Promise<{ token: string; expiresAt: Time; member: Self }>;
  (path: "/explain", body: SupposedRequest): Promise<Explanation>;
  (path: "/session/step-up", body: { password?: string; passkey?: unknown; token?: string }): Promise<null>;
  (
    path: "/session/passkey/options" | "/session/step-up/options",
    body: Record<string, never>,
    options?: CallOptions,
  ): Promise<{ publicKey: PublicKeyCredentialRequestOptionsJSON }>;
  (
    path: "/passkeys/options",
    body: Record<string, never>,
  ): Promise<{ publicKey: PublicKeyCredentialCreationOptionsJSON }>;
  (path: "/passkeys", body: { name: string; passkey: unknown }): Promise<{ passkey: Passkey }>;
  (path: "/api-keys", body: TypedKeySettings & { realm: string }, options: CallOptions): Promise<CreatedKey>;
  (
    path: "/api-keys/bulk",
    body: { ids: string[]; action: string; tag?: string; expiresAt?: Time | null; dryRun?: boolean },
  ): Promise<BulkChange>;
  (path: `/api-keys/import?dryRun=${boolean}`, body: string): Promise<Imported>;
  (
    path: `/api-keys/${string}/pause`,
    body: Record<string, never>,
  ): Promise<{ apiKey: ApiKey; refusedEverywhereBy: Time }>;
  (
    path: `/api-keys/${string}/resume`,
    body: Record<string, never>,
  ): Promise<{ apiKey: ApiKey; effectiveEverywhereBy: Time }>;
  (
    path: `/api-keys/${string}/revoke`,
    body: { reason?: string },
  ): Promise<{ apiKey: ApiKey; refusedEverywhereBy: Time }>;
  (
    path: `/api-keys/${string}/rotate`,
    body: { revokeOld?: boolean; graceSeconds?: TypedNumber },
    options: CallOptions,
  ): Promise<CreatedKey & { previous: PreviousKey }>;
  (
    path: "/links",
    body: { url: string; subject?: string; sessionId?: string },
  ): Promise<{ link: Link; token: string; url: string }>;
  (path: "/members", body: NewCredentials & { role: string }): Promise<{ member: Member }>;
  (path: "/invitations", body: { email: string; role: string }): Promise<CreatedInvitation>;
  (path: `/members/${string}/reset`, body: Record<string, never>): Promise<CreatedInvitation>;
  (path: `/tenants/${string}/owners`, body: { email: string }): Promise<CreatedInvitation>;
  (
    path: "/invitations/accept",
    body: { token: string; password?: string; idToken?: string },
    options: CallOptions,
  ): Promise<{ member: Member }>;
  (path: "/tenants", body: TypedTenant): Promise<{ tenant: Tenant; owner: Member | null }>;
}

/** PATCH */
export interface Patch {
  (
    path: `/api-keys/${string}`,
    body: TypedKeySettings,
    options: CallOptions,
  ): Promise<{ apiKey: ApiKey; effectiveEverywhereBy: Time }>;
  (
    path: `/members/${string}`,
    body: { role?: string; password?: string; currentPassword?: string },
  ): Promise<{ member: Member }>;
  (path: `/tenants/${string}`, body: TypedTenant): Promise<{ tenant: Tenant }>;
}

/** DELETE */
export type Delete = (
  path:
    | "/session"
    | "/sessions"
    | `/sessions/${string}`
    | `/passkeys/${string}`
    | `/members/${string}`
    | `/invitations/${string}`
    | `/tenants/${string}/sessions`,
  options?: CallOptions,
) => Promise<void>;
