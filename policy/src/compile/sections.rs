//! Every table that a policy may have, and its fields. `docs/policy.md` describes them; a test
//! compares.

use super::reader::Section;

/// All of them.
pub const SECTIONS: &[&Section] = &[
    &TOP,
    &ADMIN,
    &REALM,
    &ORIGIN,
    &CREDENTIAL,
    &KEY,
    &LIMITS,
    &DEFAULT_LIMITS,
    &MAXIMUM_LIMITS,
    &CORS,
    &SCOPE,
    &ROUTE,
    &REQUIRES,
    &REFUSALS,
];

pub(super) const TOP: Section = Section { name: "the policy", fields: &["admin", "realm"] };
pub(super) const ADMIN: Section = Section { name: "[admin]", fields: &["api", "page", "step_up_roles"] };
pub(super) const REALM: Section = Section {
    name: "[[realm]]",
    fields: &[
        "id",
        "hosts",
        "paths",
        "origin",
        "origin_timeout",
        "freshness",
        "limits_unavailable",
        "credentials",
        "url_parameters",
        "test_mode",
        "step_up",
        "key",
        "limits",
        "cors",
        "refusals",
        "scopes",
        "route",
    ],
};
pub(super) const ORIGIN: Section = Section { name: "[[realm]] origin", fields: &["binding", "url"] };
pub(super) const CREDENTIAL: Section =
    Section { name: "[[realm]] credentials", fields: &["header", "scheme"] };
pub(super) const KEY: Section = Section {
    name: "[realm.key]",
    fields: &["live_prefix", "test_prefix", "random", "alphabet", "check", "shown", "hash"],
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
    Section { name: "[[realm.route]]", fields: &["methods", "path", "requires"] };
pub(super) const REQUIRES: Section =
    Section { name: "[[realm.route]] requires", fields: &["scopes", "plans", "publishable"] };
pub(super) const REFUSALS: Section = Section { name: "[realm.refusals]", fields: &["style", "codes"] };
