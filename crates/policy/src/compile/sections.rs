//! Every table that a policy may have, its fields, and what each may hold. The reader goes by it, the JSON Schema is
//! made of it, and a test compares `docs/policy.md` with it. What a text has to look like, each field's own module says.

use super::{
    cors, credential, jwt::SECRET_FORMS, key, limits, link, quotas, reader::MEGABYTE, realm, refusals, route,
    scopes, webhook,
};
use crate::model::PublicAlgorithm;

/// A kind of table and the fields that it may have.
pub struct Section {
    /// As a policy writes it: `[realm.key]`.
    pub name: &'static str,
    /// Its fields, in the order in which the documentation has them.
    pub fields: &'static [Field],
}

/// A field of a table.
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it may hold.
    pub kind: Kind,
    /// Whether it must be there, whatever else is.
    pub is_required: bool,
    /// Whether its value may be shown beside a mistake: not where people put secrets.
    pub is_shown: bool,
}

/// What a value may be.
pub enum Kind {
    /// Text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number from one to the other.
    Number(u32, u32),
    /// A length of time, in milliseconds from one to the other, written as text: `"5s"`.
    Duration(u32, u32),
    /// Bytes from one to the other, written as text: `"8GB"`.
    Size(u64, u64),
    /// Days from one to the other, written as text: `"400d"`.
    Days(u32, u32),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of such values.
    List(&'static Kind),
    /// A table of this section.
    Table(&'static Section),
    /// A table whose fields are names of the policy's own, with such values.
    Entries(&'static Kind),
    /// One or the other.
    Either(&'static Kind, &'static Kind),
}

impl Section {
    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The names of its fields.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|field| field.name)
    }
}

/// The words of a choice.
pub(super) const fn words<T: Copy, const N: usize>(choices: &[(&'static str, T); N]) -> [&'static str; N] {
    let mut words = [""; N];
    let mut at = 0;
    while at < N {
        #[allow(clippy::indexing_slicing, reason = "at compile time")]
        {
            words[at] = choices[at].0;
        }
        at += 1;
    }
    words
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, is_required: false, is_shown: true }
}

const fn required(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, is_required: true, is_shown: true }
}

impl Field {
    /// One into which people put secrets by mistake: keys, passwords, URLs with a password.
    const fn unseen(self) -> Self {
        Self { is_shown: false, ..self }
    }
}

use Kind::{Days, Duration, Either, Entries, Flag, List, Number, Size, Table, Text, Word};

const TEXTS: Kind = List(&Text);
const TEXT_OR_TEXTS: Kind = Either(&Text, &TEXTS);

/// All of them.
pub static SECTIONS: &[&Section] = &[
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

/// The policy as a whole.
pub static TOP: Section = Section {
    name: "the policy",
    fields: &[field("include", TEXTS), field("admin", Table(&ADMIN)), field("realm", List(&Table(&REALM)))],
};
static ADMIN: Section = Section {
    name: "[admin]",
    fields: &[
        field("api", Text),
        field("page", Text),
        field("step_up_roles", Flag),
        field("quotas", Table(&QUOTAS)),
        field("rate", Table(&RATE)),
        field("storage", Size(MEGABYTE, quotas::MOST_STORAGE)),
        field("audit_retention", Days(quotas::LEAST_RETENTION, quotas::MOST_RETENTION)),
    ],
};
static QUOTAS: Section = Section {
    name: "[admin.quotas]",
    fields: &[
        field("keys", Number(1, quotas::MOST)),
        field("ended_keys", Number(0, quotas::MOST)),
        field("key_bytes", Size(MEGABYTE, quotas::MOST_KEY_BYTES)),
        field("links", Number(1, quotas::MOST)),
        field("members", Number(1, quotas::MOST)),
        field("idempotency_keys", Number(1, quotas::MOST)),
        field("audit_entries", Number(1_000, quotas::MOST)),
    ],
};
static RATE: Section = Section {
    name: "[admin.rate]",
    fields: &[
        field("principal", Number(1, quotas::MOST)),
        field("tenant", Number(1, quotas::MOST)),
        field("network", Number(1, quotas::MOST)),
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
        field("origin_timeout", Duration(realm::LEAST_ORIGIN_TIMEOUT_MS, realm::MOST_ORIGIN_TIMEOUT_MS)),
        field("client_timeout", Duration(realm::LEAST_CLIENT_TIMEOUT_MS, realm::MOST_CLIENT_TIMEOUT_MS)),
        field(
            "decision_timeout",
            Duration(realm::LEAST_DECISION_TIMEOUT_MS, realm::MOST_DECISION_TIMEOUT_MS),
        ),
        field("freshness", Duration(0, realm::MOST_FRESHNESS_MS)),
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
        field("key", Table(&KEY)),
        field("configured_key", List(&Table(&CONFIGURED_KEY))),
        field("jwt", Table(&JWT)),
        field("link", Table(&LINK)),
        field("webhook", Entries(&Table(&WEBHOOK))),
        field("limits", Table(&LIMITS)),
        field("cors", Table(&CORS)),
        field("refusals", Table(&REFUSALS)),
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
        field("random", Number(1, key::MOST_RANDOM)),
        field("alphabet", Word(&words(&key::ALPHABETS))),
        field("check", Number(0, key::MOST_CHECK)),
        field("shown", Number(0, key::MOST_RANDOM)),
        field("hash", Word(&words(&key::HASHES))),
    ],
};
static CONFIGURED_KEY: Section = Section {
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
        field("jwks_max_age", Duration(60_000, 86_400_000)),
        field("jwks", Text).unseen(),
        field("secret", Text).unseen(),
        field("secret_form", Word(&words(&SECRET_FORMS))),
        field("typ", Text),
        field("subject_claim", TEXT_OR_TEXTS),
        field("tenant_claim", TEXT_OR_TEXTS),
        field("scopes_claim", TEXT_OR_TEXTS),
        field("skew", Duration(0, 60_000)),
    ],
};
static LINK: Section = Section {
    name: "[realm.link]",
    fields: &[
        required("parameter", Text),
        required("prefix", Text).unseen(),
        field("life", Duration(1_000, link::LONGEST_LIFE_MS)),
        required("cookie", Text),
        field("session_life", Duration(1_000, link::LONGEST_SESSION_MS)),
    ],
};
static WEBHOOK: Section = Section {
    name: "[realm.webhook.NAME]",
    fields: &[
        required("scheme", Word(&words(&webhook::SCHEMES))),
        required("secret", Text).unseen(),
        field("url", Text).unseen(),
        field("header", Text),
        field("tag", Text),
        field("encoding", Word(&words(&webhook::ENCODINGS))),
        field("tolerance", Duration(1_000, 3_600_000)),
    ],
};
static LIMITS: Section = Section {
    name: "[realm.limits]",
    fields: &[field("default", Table(&DEFAULT_LIMITS)), field("maximum", Table(&MAXIMUM_LIMITS))],
};
static DEFAULT_LIMITS: Section = Section { name: "[realm.limits] default", fields: WINDOWS };
static MAXIMUM_LIMITS: Section = Section { name: "[realm.limits] maximum", fields: WINDOWS };
const WINDOWS: &[Field] =
    &[field("per_minute", Number(1, limits::MOST)), field("per_day", Number(1, limits::MOST))];
static CORS: Section = Section {
    name: "[realm.cors]",
    fields: &[
        required("origins", TEXTS).unseen(),
        field("methods", TEXTS),
        field("headers", TEXTS),
        field("max_age", Number(0, cors::MOST_AGE_S)),
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
        field("freshness", Duration(0, realm::MOST_FRESHNESS_MS)),
    ],
};
static REQUIRES: Section = Section {
    name: "[[realm.route]] requires",
    fields: &[
        field("by", List(&Word(&words(&route::PROOFS)))),
        field("scopes", TEXTS),
        field("plans", TEXTS),
        field("live_only", Flag),
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
    ],
};
