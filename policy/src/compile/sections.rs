//! Every table that a policy may have, and its fields. `docs/policy.md` describes them; a test
//! compares.

use super::reader::Section;

/// All of them.
pub const SECTIONS: &[&Section] = &[
    &TOP,
    &ADMIN,
    &QUOTAS,
    &RATE,
    &REALM,
    &ORIGIN,
    &CREDENTIAL,
    &KEY,
    &CONFIGURED_KEY,
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
    &REFUSALS,
];

pub(super) const TOP: Section = Section { name: "the policy", fields: &["include", "admin", "realm"] };
pub(super) const ADMIN: Section = Section {
    name: "[admin]",
    fields: &["api", "page", "step_up_roles", "quotas", "rate", "storage", "audit_retention"],
};
pub(super) const QUOTAS: Section = Section {
    name: "[admin.quotas]",
    fields: &["keys", "ended_keys", "key_bytes", "links", "members", "idempotency_keys", "audit_entries"],
};
pub(super) const RATE: Section =
    Section { name: "[admin.rate]", fields: &["principal", "tenant", "network"] };
pub(super) const REALM: Section = Section {
    name: "[[realm]]",
    fields: &[
        "id",
        "hosts",
        "paths",
        "origin",
        "forwarded",
        "origin_timeout",
        "client_timeout",
        "decision_timeout",
        "freshness",
        "limits_unavailable",
        "tls",
        "local_http",
        "credentials",
        "url_parameters",
        "secret_keys_from_pages",
        "session_id_header",
        "plans",
        "test_mode",
        "step_up",
        "owner_only",
        "rotation",
        "key",
        "configured_key",
        "jwt",
        "link",
        "webhook",
        "limits",
        "cors",
        "refusals",
        "scopes",
        "route",
    ],
};
pub(super) const ORIGIN: Section =
    Section { name: "[[realm]] origin", fields: &["binding", "url", "plain_http"] };
pub(super) const CREDENTIAL: Section =
    Section { name: "[[realm]] credentials", fields: &["header", "scheme", "kind", "forward"] };
pub(super) const KEY: Section = Section {
    name: "[realm.key]",
    fields: &["live_prefix", "test_prefix", "tenant", "random", "alphabet", "check", "shown", "hash"],
};
pub(super) const CONFIGURED_KEY: Section =
    Section { name: "[[realm.configured_key]]", fields: &["id", "hash", "scopes", "tenant", "plan"] };
pub(super) const JWT: Section = Section {
    name: "[realm.jwt]",
    fields: &[
        "issuer",
        "audience",
        "algorithms",
        "jwks_url",
        "jwks_max_age",
        "jwks",
        "secret",
        "secret_form",
        "typ",
        "subject_claim",
        "tenant_claim",
        "scopes_claim",
        "skew",
    ],
};
pub(super) const LINK: Section =
    Section { name: "[realm.link]", fields: &["parameter", "prefix", "life", "cookie", "session_life"] };
pub(super) const WEBHOOK: Section = Section {
    name: "[realm.webhook.NAME]",
    fields: &["scheme", "secret", "url", "header", "tag", "encoding", "tolerance"],
};
pub(super) const LIMITS: Section = Section { name: "[realm.limits]", fields: &["default", "maximum"] };
pub(super) const DEFAULT_LIMITS: Section =
    Section { name: "[realm.limits] default", fields: &["per_minute", "per_day"] };
pub(super) const MAXIMUM_LIMITS: Section =
    Section { name: "[realm.limits] maximum", fields: DEFAULT_LIMITS.fields };
pub(super) const CORS: Section =
    Section { name: "[realm.cors]", fields: &["origins", "methods", "headers", "max_age"] };
pub(super) const SCOPE: Section =
    Section { name: "[realm.scopes]", fields: &["description", "includes", "grant"] };
pub(super) const ROUTE: Section =
    Section { name: "[[realm.route]]", fields: &["methods", "path", "requires", "freshness"] };
pub(super) const REQUIRES: Section = Section {
    name: "[[realm.route]] requires",
    fields: &["by", "scopes", "plans", "live_only", "session_id", "webhook"],
};
pub(super) const REFUSALS: Section =
    Section { name: "[realm.refusals]", fields: &["style", "codes", "messages"] };
