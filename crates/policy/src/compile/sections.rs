//! Every table that a policy may have, with its fields. `docs/policy.md` describes them: a test compares. What a text has
//! to look like, each field's own module says.

use super::{
    cors, credential, imported, jwt, key, leaks, limits, link, log, quotas, realm, refusals, route, scopes,
    section::{
        Field,
        Kind::{self, Days, Duration, Either, Entries, Flag, List, Number, Size, Table, Text, Word},
        Section, field, required, words,
    },
    sign_in,
    units::MEGABYTE,
    webhook,
};
use crate::{
    model::{EventType, Jurisdiction, MOST_IN_FLIGHT, PublicAlgorithm, Window},
    span::Span,
};

const TEXTS: Kind = List(&Text);
const TEXT_OR_TEXTS: Kind = Either(&Text, &TEXTS);

/// All of them.
pub static SECTIONS: &[&Section] = &[
    &TOP,
    &ADMIN,
    &QUOTAS,
    &RATE,
    &SIGN_IN,
    &EVENTS,
    &LEAKS,
    &LOG,
    &PLAN,
    &PLAN_LIMITS,
    &PLAN_POOL,
    &REALM,
    &ORIGIN,
    &CREDENTIAL,
    &KEY,
    &IMPORTED,
    &STATIC_KEY,
    &JWT,
    &LINK,
    &WEBHOOK,
    &LIMITS,
    &DEFAULT_LIMITS,
    &MAXIMUM_LIMITS,
    &CORS,
    &SCOPE,
    &ROUTE,
    &REQUIRES,
    &BUDGET,
    &LIMIT_BY_NETWORK,
    &REFUSALS,
    &IDENTITY,
];

/// The policy as a whole.
pub static TOP: Section = Section {
    name: "the policy",
    fields: &[
        field("include", TEXTS),
        field("jurisdiction", Word(&words(&Jurisdiction::NAMES))),
        field("admin", Table(&ADMIN)),
        field("log", Table(&LOG)),
        field("plan", Entries(&Table(&PLAN))),
        field("realm", List(&Table(&REALM))),
    ],
};
static LOG: Section = Section {
    name: "[log]",
    fields: &[
        field("requests", Word(&words(&log::REQUESTS))),
        field("one_in", Number(1, log::MAX_ONE_IN)),
        field("traces", Word(&words(&log::TRACES))),
    ],
};
static PLAN: Section = Section {
    name: "[plan.NAME]",
    fields: &[field("limits", Table(&PLAN_LIMITS)), field("pool", Table(&PLAN_POOL))],
};
static PLAN_LIMITS: Section = Section { name: "[plan.NAME] limits", fields: WINDOWS };
static PLAN_POOL: Section = Section { name: "[plan.NAME] pool", fields: WINDOWS };
static ADMIN: Section = Section {
    name: "[admin]",
    fields: &[
        field("api", Text),
        field("page", Text),
        field("step_up_roles", Flag),
        field("quotas", Table(&QUOTAS)),
        field("rate", Table(&RATE)),
        field("storage", Size(MEGABYTE, quotas::MAX_STORAGE)),
        field("audit_retention", Days(quotas::MIN_RETENTION_DAYS, quotas::MAX_RETENTION_DAYS)),
        field("sign_in", Table(&SIGN_IN)),
        field("events", Entries(&Table(&EVENTS))),
        field("leaks", Table(&LEAKS)),
    ],
};
static LEAKS: Section = Section {
    name: "[admin.leaks]",
    fields: &[required("then", Word(&words(&leaks::AFTER))), field("keys_url", Text)],
};
static SIGN_IN: Section = Section {
    name: "[admin.sign_in]",
    fields: &[
        field("password", Word(&words(&sign_in::PASSWORDS))),
        field("name", Text),
        field("header", Text),
        field("authorization_url", Text).unseen(),
        field("token_url", Text).unseen(),
        field("client_id", Text),
        field("client_secret", Text).unseen(),
        field("scopes", Text),
        required("issuer", Text),
        required("audience", TEXT_OR_TEXTS),
        field("algorithms", List(&Word(&words(&PublicAlgorithm::NAMES)))),
        field("jwks_url", Text).unseen(),
        field("jwks_max_age", Duration(jwt::MIN_JWKS_MAX_AGE, jwt::MAX_JWKS_MAX_AGE)),
        field("jwks", Text).unseen(),
        field("secret", Text).unseen(),
        field("secret_form", Word(&words(&jwt::SECRET_FORMS))),
        field("typ", Text),
        field("skew", Duration(Span::ZERO, jwt::MAX_SKEW)),
    ],
};
static EVENTS: Section = Section {
    name: "[admin.events.NAME]",
    fields: &[
        required("url", Text).unseen(),
        required("secret", TEXT_OR_TEXTS).unseen(),
        field("types", List(&Word(&words(&EventType::NAMES)))),
    ],
};
static QUOTAS: Section = Section {
    name: "[admin.quotas]",
    fields: &[
        field("keys", Number(1, quotas::MAX_QUOTA)),
        field("ended_keys", Number(0, quotas::MAX_QUOTA)),
        field("key_bytes", Size(MEGABYTE, quotas::MAX_KEY_BYTES)),
        field("links", Number(1, quotas::MAX_QUOTA)),
        field("members", Number(1, quotas::MAX_QUOTA)),
        field("idempotency_keys", Number(1, quotas::MAX_QUOTA)),
        field("audit_entries", Number(1_000, quotas::MAX_QUOTA)),
    ],
};
static RATE: Section = Section {
    name: "[admin.rate]",
    fields: &[
        field("principal", Number(1, quotas::MAX_QUOTA)),
        field("tenant", Number(1, quotas::MAX_QUOTA)),
        field("network", Number(1, quotas::MAX_QUOTA)),
    ],
};
static REALM: Section = Section {
    name: "[[realm]]",
    fields: &[
        required("id", Text),
        required("hosts", TEXTS),
        required("paths", TEXTS),
        required("origin", Table(&ORIGIN)),
        field("forwarded", Flag),
        field("request_id", Word(&words(&realm::REQUEST_IDS))),
        field("origin_timeout", Duration(realm::MIN_ORIGIN_TIMEOUT, realm::MAX_ORIGIN_TIMEOUT)),
        field("client_timeout", Duration(realm::MIN_CLIENT_TIMEOUT, realm::MAX_CLIENT_TIMEOUT)),
        field("decision_timeout", Duration(realm::MIN_DECISION_TIMEOUT, realm::MAX_DECISION_TIMEOUT)),
        field("freshness", Duration(Span::ZERO, realm::MAX_FRESHNESS)),
        field("limits_unavailable", Word(&words(&realm::LIMITS_UNAVAILABLE))),
        field("tls", Word(&words(&realm::TLS_VERSIONS))),
        field("local_http", Flag),
        required("credentials", List(&Table(&CREDENTIAL))),
        field("url_parameters", TEXTS),
        field("secret_keys_from_pages", Word(&words(&realm::PAGE_KEYS))),
        field("session_id_header", Text),
        field("plans", TEXTS),
        field("test_mode", Word(&words(&realm::TEST_MODES))),
        field("step_up", List(&Word(&words(&realm::KEY_ACTIONS)))),
        field("owner_only", List(&Word(&words(&realm::KEY_ACTIONS)))),
        field("rotation", Word(&words(&realm::ROTATIONS))),
        field("max_key_life", Days(1, realm::MAX_KEY_LIFE_DAYS)),
        field("keys_must_expire", Flag),
        field("key", Table(&KEY)),
        field("imported", Table(&IMPORTED)),
        field("configured_key", List(&Table(&STATIC_KEY))),
        field("jwt", Either(&Table(&JWT), &List(&Table(&JWT)))),
        field("link", Table(&LINK)),
        field("webhook", Entries(&Table(&WEBHOOK))),
        field("limits", Table(&LIMITS)),
        field("cors", Table(&CORS)),
        field("refusals", Table(&REFUSALS)),
        field("identity", Table(&IDENTITY)),
        field("scopes", Entries(&Either(&Text, &Table(&SCOPE)))),
        required("route", List(&Table(&ROUTE))),
    ],
};
static ORIGIN: Section = Section {
    name: "[[realm]] origin",
    fields: &[
        field("binding", Text),
        field("url", Text).unseen(),
        field("handler", Text),
        field("plain_http", Flag),
    ],
};
static CREDENTIAL: Section = Section {
    name: "[[realm]] credentials",
    fields: &[
        required("header", Text),
        field("scheme", Text),
        field("kind", Word(&words(&credential::KINDS))),
        field("forward", Flag),
    ],
};
static KEY: Section = Section {
    name: "[realm.key]",
    fields: &[
        required("live_prefix", Text).unseen(),
        field("test_prefix", Text).unseen(),
        field("tenant", Word(&words(&key::TENANT_PARTS))),
        field("random", Number(1, key::MAX_RANDOM)),
        field("alphabet", Word(&words(&key::ALPHABETS))),
        field("check", Number(0, key::MAX_CHECKSUM)),
        field("shown", Number(0, key::MAX_RANDOM)),
        field("hash", Word(&words(&key::HASHES))),
    ],
};
static IMPORTED: Section = Section {
    name: "[realm.imported]",
    fields: &[
        field("prefixes", TEXTS).unseen(),
        required("min_length", Number(1, imported::MAX_LENGTH)),
        field("max_length", Number(1, imported::MAX_LENGTH)),
        field("alphabet", Word(&words(&imported::ALPHABETS))),
    ],
};
static STATIC_KEY: Section = Section {
    name: "[[realm.configured_key]]",
    fields: &[
        required("id", Text),
        required("hash", Text).unseen(),
        field("scopes", TEXTS),
        field("tenant", Text),
        field("plan", Text),
    ],
};
static JWT: Section = Section {
    name: "[realm.jwt]",
    fields: &[
        required("issuer", Text),
        required("audience", TEXT_OR_TEXTS),
        field("algorithms", List(&Word(&words(&PublicAlgorithm::NAMES)))),
        field("jwks_url", Text).unseen(),
        field("jwks_max_age", Duration(jwt::MIN_JWKS_MAX_AGE, jwt::MAX_JWKS_MAX_AGE)),
        field("jwks", Text).unseen(),
        field("secret", Text).unseen(),
        field("secret_form", Word(&words(&jwt::SECRET_FORMS))),
        field("typ", Text),
        field("subject_claim", TEXT_OR_TEXTS),
        field("tenant_claim", TEXT_OR_TEXTS),
        field("scopes_claim", TEXT_OR_TEXTS),
        field("skew", Duration(Span::ZERO, jwt::MAX_SKEW)),
        field("cookie", Text),
    ],
};
static LINK: Section = Section {
    name: "[realm.link]",
    fields: &[
        required("parameter", Text),
        required("prefix", Text).unseen(),
        field("life", Duration(link::MIN_LIFE, link::MAX_LIFE)),
        required("cookie", Text),
        field("session_life", Duration(link::MIN_LIFE, link::MAX_SESSION_LIFE)),
    ],
};
static WEBHOOK: Section = Section {
    name: "[realm.webhook.NAME]",
    fields: &[
        required("scheme", Word(&words(&webhook::SCHEMES))),
        required("secret", TEXT_OR_TEXTS).unseen(),
        field("url", Text).unseen(),
        field("header", Text),
        field("tag", Text),
        field("encoding", Word(&words(&webhook::ENCODINGS))),
        field("tolerance", Duration(webhook::MIN_TOLERANCE, webhook::MAX_TOLERANCE)),
        field("max_body", Size(MEGABYTE, webhook::MAX_BODY)),
    ],
};
static LIMITS: Section = Section {
    name: "[realm.limits]",
    fields: &[
        field("default", Table(&DEFAULT_LIMITS)),
        field("maximum", Table(&MAXIMUM_LIMITS)),
        field("travel", Duration(Span::ZERO, limits::MAX_TRAVEL)),
        field("x_ratelimit", Word(&words(&limits::RESET_FORMS))),
    ],
};
static DEFAULT_LIMITS: Section = Section { name: "[realm.limits] default", fields: WINDOWS };
static MAXIMUM_LIMITS: Section = Section { name: "[realm.limits] maximum", fields: WINDOWS };
const WINDOWS: &[Field] = &[
    window(Window::Second),
    window(Window::Minute),
    window(Window::Hour),
    window(Window::Day),
    window(Window::Month),
    window(Window::Total),
    field(Window::InFlight.setting(), Number(1, MOST_IN_FLIGHT)),
];
const fn window(window: Window) -> Field {
    field(window.setting(), Number(1, limits::MAX_LIMIT))
}
static CORS: Section = Section {
    name: "[realm.cors]",
    fields: &[
        required("origins", TEXTS).unseen(),
        field("methods", TEXTS),
        field("headers", TEXTS),
        field("max_age", Number(0, cors::MAX_AGE_CEILING_S)),
    ],
};
static SCOPE: Section = Section {
    name: "[realm.scopes]",
    fields: &[
        required("description", Text),
        field("includes", TEXTS),
        field("grant", Word(&words(&scopes::GRANTS))),
    ],
};
static ROUTE: Section = Section {
    name: "[[realm.route]]",
    fields: &[
        field("methods", TEXTS),
        required("path", Text),
        required("requires", Either(&Text, &Table(&REQUIRES))),
        field("freshness", Duration(Span::ZERO, realm::MAX_FRESHNESS)),
        field("cost", Number(1, route::MAX_COST)),
        field("budget", Table(&BUDGET)),
        field("limit_by_network", Table(&LIMIT_BY_NETWORK)),
    ],
};
static BUDGET: Section = Section {
    name: "[[realm.route]] budget",
    fields: &[
        required("reserve", Number(1, route::MAX_RESERVE)),
        field("header", Text),
        field("call", Flag),
        field("within", Duration(Span::from_secs(1), route::MAX_WITHIN)),
    ],
};
static LIMIT_BY_NETWORK: Section = Section {
    name: "[[realm.route]] limit_by_network",
    fields: &[required("binding", Text), field("period", Word(&words(&route::PERIODS)))],
};
static REQUIRES: Section = Section {
    name: "[[realm.route]] requires",
    fields: &[
        field("by", List(&Word(&words(&route::PROOFS)))),
        field("all", List(&Word(&words(&route::PROOFS)))),
        field("scopes", TEXTS),
        field("plans", TEXTS),
        field("live_only", Flag),
        field("optional", Flag),
        field("session_id", Flag),
        field("webhook", Text),
    ],
};
static REFUSALS: Section = Section {
    name: "[realm.refusals]",
    fields: &[
        field("style", Word(&words(&refusals::STYLES))),
        field("codes", Entries(&Text)),
        field("messages", Entries(&Text)),
        field("statuses", Entries(&Number(400, 499))),
    ],
};
static IDENTITY: Section = Section {
    name: "[realm.identity]",
    fields: &[required("issuer", Text), required("jwks_path", Text), field("metadata", TEXTS)],
};
