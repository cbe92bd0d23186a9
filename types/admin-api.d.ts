// The admin API as the page and the tests use it: names for parts of what is made of its description.

import type { ApiKey, Calls, Problem, RateLimit, Realm } from "./made/admin-api.d.ts";

export type {
  Actor,
  ApiKey,
  AuditEntry,
  Invitation,
  Link,
  Member,
  Passkey,
  PreviousKey,
  Quota,
  RateLimit,
  Realm,
  Refusal,
  Route,
  RouteUsage,
  Self,
  Session,
  Tenant,
  UsagePoint,
} from "./made/admin-api.d.ts";

/** A time: RFC 3339, in UTC. */
export type Time = string;

/** What a person may do with keys, or has to type the password for. */
export type KeyAction = keyof Realm["stepUp"];
export type Scope = Realm["scopes"][number];
/** What can be set on a key. */
export type KeySettings = Pick<ApiKey, keyof Calls["PATCH /api-keys/{id}"]["body"]>;
/** A new key, with its text: shown once. */
export type CreatedKey = Calls["POST /api-keys"]["answer"];
export type BulkChange = Calls["POST /api-keys/bulk"]["answer"];
export type CreatedInvitation = Calls["POST /invitations"]["answer"];
export type Imported = Calls["POST /api-keys/import"]["answer"];
export type KeySummary = Calls["GET /api-keys/summary"]["answer"]["summary"];
/** The last 24 hours of several keys, the oldest first. */
export type KeysUsage = Calls["GET /api-keys/usage"]["answer"];
/** What was counted by route. */
export type RoutesUsage = Calls["GET /usage/routes"]["answer"];
/** `names`: what the keys, people and tenants of its entries are called now, by id. */
export type AuditPage = Calls["GET /audit"]["answer"];
export type AuditVerdict = Calls["GET /audit/verify"]["answer"];
/** A request that nobody sent. */
export type SupposedRequest = Typed<Calls["POST /explain"]["body"]>;
export type Explanation = Calls["POST /explain"]["answer"];
export type FieldError = NonNullable<Problem["errors"]>[number];

/** An answer that is not a success (RFC 9457), or what is known of one that did not come. */
export type ProblemDetails = { [Name in keyof Problem]?: Problem[Name] | null } & Pick<Problem, "status">;

/** How a call is made. */
export interface CallOptions {
  headers?: Record<string, string>;
  /** Without a session too. */
  anonymous?: boolean;
  /** It changes nothing, though it is no GET. */
  isQuestion?: boolean;
}

/** As somebody typed it. What is no number, or none of the words, goes to the API as it is, which says what is wrong with it. */
export type Typed<Part> = Part extends number
  ? number | string
  : Part extends string
    ? string
    : Part extends object
      ? { [Name in keyof Part]: Typed<Part[Name]> }
      : Part;
export type TypedRateLimit = Typed<RateLimit>;
export type TypedKeySettings = Partial<Typed<Calls["POST /api-keys"]["body"]>>;
export interface Credentials {
  email: string;
  password: string;
}

type Method = "GET" | "POST" | "PATCH" | "DELETE";
type Templates<M extends Method> = keyof Calls extends infer Call
  ? Call extends `${M} ${infer Path}`
    ? Path
    : never
  : never;
/** The path as the description has it: `/members/{id}` for `/members/mem_1`. */
type Template<M extends Method, Path extends string> = Path extends `${infer Before}?${string}`
  ? Template<M, Before>
  : Path extends Templates<M>
    ? Path
    : Templates<M> extends infer One
      ? One extends `${infer Before}{id}${infer After}`
        ? Path extends `${Before}${infer Id}${After}`
          ? Id extends `${string}/${string}`
            ? never
            : One
          : never
        : never
      : never;
/** The path, if it is one of the API's. */
type Known<M extends Method, Path extends string> = [Template<M, Path>] extends [never] ? never : Path;
type Call<M extends Method, Path extends string> = Calls[Extract<`${M} ${Template<M, Path>}`, keyof Calls>];

/** What narrows a list; what is null or empty is left out. */
export type Query = Record<string, string | number | null | undefined>;
type QueryOf<M extends Method, Path extends string> = { [Name in keyof Call<M, Path>["query"]]?: Query[string] };

export type Get = <Path extends string>(
  path: Known<"GET", Path>,
  query?: QueryOf<"GET", Path>,
  options?: CallOptions,
) => Promise<Call<"GET", Path>["answer"]>;

/** GET of a page of an export. */
export type GetText = (path: string, query: Query) => Promise<{ text: string; nextCursor: string | null }>;

/** GET of a whole list, page after page. */
export type GetAll = <Path extends string, Name extends string & keyof Call<"GET", Path>["answer"]>(
  path: Known<"GET", Path>,
  name: Name,
) => Promise<Call<"GET", Path>["answer"][Name]>;

export type Post = <Path extends string>(
  path: Known<"POST", Path>,
  body: Typed<Call<"POST", Path>["body"]>,
  options?: CallOptions,
) => Promise<Call<"POST", Path>["answer"]>;

export type Patch = <Path extends string>(
  path: Known<"PATCH", Path>,
  body: Typed<Call<"PATCH", Path>["body"]>,
  options?: CallOptions,
) => Promise<Call<"PATCH", Path>["answer"]>;

export type Delete = <Path extends string>(path: Known<"DELETE", Path>, options?: CallOptions) => Promise<void>;
