//! What the API's answers consist of, and what several bodies have in common. Lengths, words and numbers come from the code
//! that reads and writes them.

use keyward_core::record::{KeyKind, TenantStatus};
use keyward_policy::EventType;
use keyward_registry::{
    keys::{
        import::MOST_SHOWN,
        settings::{
            LONGEST_METADATA_CHARS, MOST_ADDRESSES, MOST_METADATA, MOST_ORIGINS, MOST_SCOPES, MOST_TAGS,
        },
    },
    principal::Role,
    quotas::Quota,
};
use serde_json::{Value, json};

use crate::many_keys::{bulk_change, key_filter, key_status};
use crate::schema::{
    Members, Schema, count, described, dictionary, flag, id, line, list, nullable, object, object_with,
    one_of, one_of_enum, refer, short_list, text, text_of_length, time, whole,
};

/// Every component, by its name.
pub fn all() -> Value {
    json!({
        "Problem": problem(),
        "Actor": actor(),
        "RateLimit": rate_limit(),
        "ApiKey": api_key(),
        "PreviousKey": object_with(
            vec![("id", id("key_")), ("status", key_status()), ("expiresAt", nullable(time()))],
            vec![("refusedEverywhereBy", time())],
        ),
        "UsagePoint": object_with(
            vec![
                ("time", described(time(), "When the hour or day begins.")),
                ("accepted", count(0)),
                ("refused", described(dictionary(count(1)), "By the code of the refusal.")),
            ],
            vec![("unattributed", described(dictionary(count(1)), "Refusals that belong to no key."))],
        ),
        "Refusal": object(vec![
            ("time", time()),
            ("requestId", text()),
            ("keyId", nullable(text())),
            ("realm", nullable(text())),
            ("method", text()),
            ("route", nullable(text())),
            ("code", text()),
            ("status", whole(400, 599)),
            ("network", nullable(text())),
            ("country", nullable(text())),
        ]),
        "Route": route(),
        "ImportedKey": imported_key(),
        "RouteCounts": object_with(route_counts().0, route_counts().1),
        "RouteUsage": object_with(
            [vec![("realm", text()), ("method", text()), ("path", text())], route_counts().0].concat(),
            route_counts().1,
        ),
        "KeyFilter": key_filter(),
        "BulkChange": bulk_change(),
        "Invitation": object(vec![
            ("id", id("inv_")),
            ("email", text()),
            ("role", one_of_enum(&Role::ALL)),
            ("memberId", described(nullable(id("mem_")), "Whose password is set, if it is a reset.")),
            ("createdAt", time()),
            ("createdBy", refer("Actor")),
            ("expiresAt", time()),
        ]),
        "Link": object(vec![
            ("id", id("link_")),
            ("realm", text()),
            ("subject", nullable(text())),
            ("sessionId", nullable(text())),
            ("expiresAt", time()),
            ("usedAt", nullable(time())),
        ]),
        "Quota": object(vec![("used", count(0)), ("limit", count(0))]),
        "Quotas": quotas(refer("Quota")),
        "Realm": realm(),
        "AuditEntry": audit_entry(),
        "Event": event(),
        "EventEndpoint": event_endpoint(),
        "Member": object(member()),
        "Self": object([person(), vec![("operator", described(flag(), "Whether it may manage tenants."))]].concat()),
        "Passkey": object(vec![
            ("id", id("pky_")),
            ("name", line(1, 100)),
            ("host", described(text(), "The host that it works at.")),
            ("synced", described(flag(), "Whether it may be on several devices.")),
            ("createdAt", time()),
            ("lastUsedAt", nullable(time())),
        ]),
        "Session": object(vec![
            ("id", id("ses_")),
            ("memberId", id("mem_")),
            ("createdAt", time()),
            ("lastSeenAt", time()),
            ("expiresAt", time()),
            ("network", nullable(text())),
            ("userAgent", nullable(text())),
            ("current", flag()),
        ]),
        "Tenant": tenant(),
    })
}

/// RFC 9457.
fn problem() -> Schema {
    let field = object(vec![("field", text()), ("message", text())]);
    let mut problem = object_with(
        vec![("type", text()), ("title", text()), ("status", whole(400, 599)), ("code", text())],
        vec![
            ("detail", described(text(), "What was wrong, and how to mend it.")),
            ("requestId", text()),
            ("errors", described(list(field), "What is wrong with each field.")),
        ],
    );
    // Refusals of the gate itself say more, such as the scope that is missing.
    problem["additionalProperties"] = true.into();
    problem
}

fn actor() -> Schema {
    object(vec![
        (
            "type",
            one_of(&["member", "apiKey", "setupToken", "recoveryToken", "scanner", "system", "unknown"]),
        ),
        ("id", nullable(text())),
        ("email", nullable(text())),
    ])
}

fn route_counts() -> (Members, Members) {
    let unattributed = described(count(0), "Of the deployment: refusals that belong to no key.");
    (vec![("accepted", count(0)), ("refused", count(0))], vec![("unattributed", unattributed)])
}

fn rate_limit() -> Schema {
    let window = |meaning| described(nullable(whole(1, u32::MAX.into())), meaning);
    object_with(
        Vec::new(),
        vec![
            ("perSecond", window("Requests in any second. Null inherits; where it is in effect: no limit.")),
            ("perMinute", window("Requests in any 60 seconds.")),
            ("perHour", window("Requests in any 60 minutes.")),
            ("perDay", window("Requests in any 24 hours.")),
            ("perMonth", window("Requests in a month of the calendar, in UTC.")),
            ("total", window("Requests in all, counted from when this is set. Raise it to top it up.")),
            ("inFlight", window("Requests at the same time, each until its answer has ended.")),
        ],
    )
}

/// What a new key is made of, besides its name.
pub fn of_new_key() -> Members {
    let first = vec![("realm", text()), ("kind", one_of_enum(&KeyKind::ALL)), ("scopes", scopes())];
    [first, optional_settings()].concat()
}

/// A line of an import.
fn imported_key() -> Schema {
    let hash = r"^(sha256:)?([0-9A-Fa-f]{64}|[A-Za-z0-9+/_-]{42}[AEIMQUYcgkosw048]=?)$";
    let visible = vec![
        (
            "prefix",
            described(nullable(text()), "A prefix of the policy's, and at most 4 characters after it."),
        ),
        ("last4", nullable(text_of_length(0, MOST_SHOWN))),
        ("createdAt", described(nullable(time()), "Not in the future.")),
    ];
    object_with(
        vec![
            ("hash", described(json!({ "type": "string", "pattern": hash }), "SHA-256 of the whole key.")),
            ("name", key_name()),
        ],
        [visible, of_new_key()].concat(),
    )
}

/// What is set on a key, but for its name and scopes: the fields that may be left out.
pub fn optional_settings() -> Members {
    vec![
        ("rateLimit", nullable(refer("RateLimit"))),
        (
            "allowedIps",
            nullable(short_list(described(text(), "An address or a range (CIDR)."), MOST_ADDRESSES)),
        ),
        ("allowedOrigins", nullable(short_list(text(), MOST_ORIGINS))),
        ("tags", nullable(short_list(line(1, 50), MOST_TAGS))),
        ("metadata", nullable(metadata())),
        (
            "expiresAt",
            described(nullable(time()), "The first second in which it no longer passes; null is never."),
        ),
        ("testMode", flag()),
        ("strict", described(flag(), "Whether every request asks its object.")),
    ]
}

/// A key's name.
pub fn key_name() -> Schema {
    line(1, 100)
}

/// A key's scopes, as they are given.
pub fn scopes() -> Schema {
    short_list(text(), MOST_SCOPES)
}

fn metadata() -> Schema {
    json!({
        "type": "object",
        "maxProperties": MOST_METADATA,
        "propertyNames": { "pattern": "^[A-Za-z0-9_.-]{1,50}$" },
        "additionalProperties": text_of_length(0, LONGEST_METADATA_CHARS),
    })
}

fn api_key() -> Schema {
    let used_from = object(vec![
        ("network", nullable(text())),
        ("country", nullable(text())),
        ("route", nullable(text())),
    ]);
    object(vec![
        ("id", id("key_")),
        ("realm", text()),
        ("tenantId", text()),
        ("kind", one_of_enum(&KeyKind::ALL)),
        ("name", text()),
        ("keyPrefix", text()),
        ("last4", text()),
        ("scopes", list(text())),
        ("status", key_status()),
        ("testMode", flag()),
        ("strict", flag()),
        ("rateLimit", refer("RateLimit")),
        ("effectiveRateLimit", refer("RateLimit")),
        ("allowedIps", list(text())),
        ("allowedOrigins", list(text())),
        ("tags", list(text())),
        ("metadata", dictionary(text())),
        ("createdAt", time()),
        ("createdBy", refer("Actor")),
        ("importedAt", described(nullable(time()), "Null of a key that was made here.")),
        ("updatedAt", time()),
        ("expiresAt", nullable(time())),
        ("lastUsedAt", nullable(time())),
        ("lastUsedFrom", nullable(used_from)),
        ("pausedAt", nullable(time())),
        ("revokedAt", nullable(time())),
        ("revokedBy", nullable(refer("Actor"))),
        ("revokeReason", nullable(text())),
        ("rotatedFrom", nullable(id("key_"))),
        ("rotatedTo", nullable(id("key_"))),
        ("version", count(1)),
    ])
}

fn quotas(of: Schema) -> Schema {
    object(Quota::ALL.iter().map(|quota| (quota.name(), of.clone())).collect())
}

/// Quotas as the operator sets them: null is the policy's.
pub fn own_quotas() -> Schema {
    let one = nullable(whole(0, u32::MAX.into()));
    object_with(Vec::new(), Quota::ALL.iter().map(|quota| (quota.name(), one.clone())).collect())
}

fn realm() -> Schema {
    let scope = object(vec![
        ("name", text()),
        ("description", text()),
        ("includes", list(text())),
        ("grantable", described(flag(), "Whether the caller may give it to a key.")),
        ("grant", one_of(&["anyone", "admin", "reserved"])),
    ]);
    let actions = object(vec![("create", flag()), ("rotate", flag()), ("revoke", flag())]);
    object(vec![
        ("id", text()),
        ("scopes", list(scope)),
        (
            "limits",
            object(vec![
                ("default", refer("RateLimit")),
                ("maximum", refer("RateLimit")),
                ("inherited", refer("RateLimit")),
                (
                    "pool",
                    described(
                        refer("RateLimit"),
                        "Limits over all keys of the tenant together, in all realms.",
                    ),
                ),
            ]),
        ),
        ("keyPrefixes", object(vec![("live", text()), ("test", nullable(text()))])),
        (
            "host",
            described(nullable(text()), "A host that it answers at; null where any of the gate's will do."),
        ),
        (
            "credential",
            described(
                nullable(object(vec![("header", text()), ("scheme", nullable(text()))])),
                "Where a key stands in a request; null where none is taken.",
            ),
        ),
        ("imported", nullable(object(vec![("prefixes", list(text()))]))),
        ("publishable", flag()),
        ("stepUp", described(actions.clone(), "What asks for the password again.")),
        ("ownerOnly", actions),
        (
            "maxKeyLifeSeconds",
            described(
                nullable(count(1)),
                "How far off a new key's end may be at most; null where there is no such limit.",
            ),
        ),
        ("keysMustExpire", described(flag(), "Whether a new key needs an end.")),
        ("rotation", one_of(&["keep-old", "revoke-old"])),
        ("link", nullable(object(vec![("lifeSeconds", count(0)), ("sessionLifeSeconds", count(0))]))),
        ("freshnessSeconds", json!({ "type": "number", "minimum": 0 })),
    ])
}

fn route() -> Schema {
    object(vec![
        ("realm", text()),
        ("methods", list(text())),
        ("path", text()),
        (
            "needs",
            object(vec![
                ("by", list(one_of(&["key", "publishable", "jwt", "session", "webhook"]))),
                ("scopes", list(text())),
                (
                    "heldBy",
                    described(dictionary(list(text())), "By which scopes and wildcards each is held."),
                ),
                ("plans", list(text())),
                ("testKeys", one_of(&["all", "read", "none"])),
                ("sessionId", flag()),
                ("optional", described(flag(), "Whether a request without a credential passes, too.")),
                ("all", described(flag(), "Whether a request needs all of `by`, a key and a token.")),
            ]),
        ),
        ("freshnessSeconds", json!({ "type": "number", "minimum": 0 })),
        ("cost", described(count(1), "What a request counts as in the limits of its key.")),
        (
            "limitedByNetwork",
            described(
                flag(),
                "Whether requests without a credential have an approximate limit for each network.",
            ),
        ),
        ("mayCall", nullable(list(text()))),
        ("code", nullable(text())),
    ])
}

fn audit_entry() -> Schema {
    let mut entry = object(vec![
        ("seq", count(1)),
        ("tenantId", text()),
        ("time", time()),
        ("actor", refer("Actor")),
        ("action", text()),
        ("target", text()),
        ("before", nullable(json!({ "type": "object", "additionalProperties": true }))),
        ("after", nullable(json!({ "type": "object", "additionalProperties": true }))),
        ("address", nullable(text())),
        ("requestId", nullable(text())),
        ("previousHash", text()),
        ("hash", text()),
    ]);
    // An entry is shown as it was hashed, and builds to come may write more.
    entry["additionalProperties"] = true.into();
    entry
}

fn event_type() -> Schema {
    one_of(&EventType::NAMES.map(|(name, _)| name))
}

fn event() -> Schema {
    let data = json!({ "type": "object", "additionalProperties": true });
    let data = described(data, "What happened to what; its members depend on the type.");
    object(vec![("id", id("evt_")), ("type", event_type()), ("timestamp", time()), ("data", data)])
}

fn event_endpoint() -> Schema {
    object(vec![
        ("name", text()),
        ("types", list(event_type())),
        ("state", one_of(&["ok", "failing", "gone"])),
        ("lastDelivered", nullable(id("evt_"))),
        ("lastDeliveredAt", nullable(time())),
        ("waiting", described(count(0), "Events of its queue, which holds 500.")),
        ("lost", described(count(0), "Events that were dropped before it took them.")),
        ("failures", described(count(0), "Attempts that failed since the last one that did not.")),
        ("failingSince", nullable(time())),
        ("nextAttemptAt", nullable(time())),
        ("goneAt", described(nullable(time()), "When it answered 410.")),
        ("error", nullable(text())),
    ])
}

fn person() -> Members {
    vec![("id", id("mem_")), ("email", text()), ("role", one_of_enum(&Role::ALL)), ("tenantId", text())]
}

fn member() -> Members {
    [person(), vec![("createdAt", time()), ("lastSeenAt", nullable(time()))]].concat()
}

fn tenant() -> Schema {
    object(vec![
        ("id", text()),
        ("code", nullable(text())),
        ("name", text()),
        ("status", one_of_enum(&TenantStatus::ALL)),
        ("plan", nullable(text())),
        ("rateLimit", refer("RateLimit")),
        ("pool", refer("RateLimit")),
        ("quotas", described(dictionary(count(0)), "Those that it has in place of the policy's.")),
        ("operator", flag()),
        ("createdAt", time()),
        ("updatedAt", time()),
    ])
}
