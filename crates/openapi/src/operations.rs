//! What each call takes and answers. That there is a row here for each route, and the reverse, a test sees to; what a call does
//! in words is in docs/admin-api.md, from where it is taken.

use keyward_core::record::{KeyKind, TenantStatus};
use keyward_registry::{
    keys::{list::MOST_UNUSED_DAYS, rotate::LONGEST_GRACE_S},
    principal::Role,
};
use serde_json::{Value, json};

use crate::{
    components::{key_name, key_status, optional_settings, own_quotas, scopes},
    schema::{
        Members, Schema, count, described, flag, line, list, nullable, object, object_with, one_of,
        one_of_enum, refer, text, text_of_length, time, whole,
    },
};

/// What a call takes and answers.
#[derive(Default)]
pub struct Operation {
    /// Parameters of the query, all of which may be left out.
    pub query: Members,
    /// The body, if the call takes one.
    pub body: Option<Body>,
    /// Whether `Idempotency-Key` means something.
    pub can_repeat: bool,
    /// Whether `If-Match` means something.
    pub can_match: bool,
    /// Status and content of the answer; `None` has none.
    pub answer: (u16, Option<Schema>),
}

/// A body.
pub struct Body {
    /// What it is.
    pub schema: Schema,
    /// Whether there must be one: none at all is an empty object.
    pub is_required: bool,
}

impl Operation {
    fn answers(status: u16, content: Members) -> Self {
        Self { answer: (status, Some(object(content))), ..Self::default() }
    }

    fn ends() -> Self {
        Self { answer: (204, None), ..Self::default() }
    }

    fn takes(self, required: Members, optional: Members) -> Self {
        let is_required = !required.is_empty();
        Self { body: Some(Body { schema: object_with(required, optional), is_required }), ..self }
    }

    fn query(self, query: Members) -> Self {
        Self { query, ..self }
    }

    /// A list in pages.
    fn pages(name: &'static str, of: &str, filters: Members) -> Self {
        let limit = described(whole(1, 100), "How many there are on a page.");
        let cursor = described(text(), "`nextCursor` of the page before.");
        Self::answers(200, vec![(name, list(refer(of))), ("nextCursor", nullable(text()))])
            .query([vec![("limit", limit), ("cursor", cursor)], filters].concat())
    }
}

fn email() -> Schema {
    json!({ "type": "string", "format": "email", "maxLength": 254 })
}

/// One that is chosen; what is guessable is refused beside.
fn password() -> Schema {
    text_of_length(12, 200)
}

fn typed_password() -> Schema {
    text_of_length(0, 200)
}

fn role() -> Schema {
    one_of_enum(&Role::ALL)
}

/// What is set on a tenant, but for its name.
fn tenant_settings() -> Members {
    vec![
        ("code", json!({ "type": "string", "pattern": "^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])$" })),
        ("plan", nullable(json!({ "type": "string", "pattern": "^[!-~]([ -~]{0,48}[!-~])?$" }))),
        ("rateLimit", nullable(refer("RateLimit"))),
    ]
}

fn created_key() -> Members {
    vec![
        ("apiKey", refer("ApiKey")),
        ("plaintextKey", described(text(), "The key. It is shown here and never again.")),
    ]
}

/// What a call takes and answers; `None` for one that is not described. The path is as in the table of routes.
pub fn of(method: &str, path: &str) -> Option<Operation> {
    let member = || vec![("member", refer("Member"))];
    Some(match (method, path) {
        ("POST", "/setup") => Operation::answers(201, member())
            .takes(vec![("token", text()), ("email", email()), ("password", password())], Vec::new()),
        ("POST", "/session") => {
            Operation::answers(201, vec![("token", text()), ("expiresAt", time()), ("member", refer("Self"))])
                .takes(vec![("email", email()), ("password", typed_password())], Vec::new())
        }
        ("GET", "/session") => Operation::answers(
            200,
            vec![
                ("member", refer("Self")),
                ("tenant", object(vec![("id", text()), ("name", text())])),
                ("expiresAt", time()),
                ("steppedUpUntil", nullable(time())),
            ],
        ),
        ("POST", "/session/step-up") => {
            Operation::ends().takes(vec![("password", typed_password())], Vec::new())
        }
        (
            "DELETE",
            "/session" | "/sessions" | "/sessions/{ses_}" | "/members/{}" | "/members/{}/sessions",
        ) => Operation::ends(),
        ("GET", "/sessions" | "/members/{}/sessions") => Operation::pages("sessions", "Session", Vec::new()),
        ("GET", "/api-keys") => Operation::pages(
            "apiKeys",
            "ApiKey",
            vec![
                (
                    "q",
                    described(
                        text_of_length(0, 100),
                        "Looked for in names, tags, ids and the visible parts.",
                    ),
                ),
                ("status", key_status()),
                ("realm", text()),
                ("unusedDays", whole(1, MOST_UNUSED_DAYS.into())),
            ],
        ),
        ("POST", "/api-keys") => {
            let optional =
                vec![("realm", text()), ("kind", one_of_enum(&KeyKind::ALL)), ("scopes", scopes())];
            let optional = [optional, optional_settings()].concat();
            let made = Operation::answers(201, created_key()).takes(vec![("name", key_name())], optional);
            Operation { can_repeat: true, ..made }
        }
        ("GET", "/api-keys/{key_}") => Operation::answers(200, vec![("apiKey", refer("ApiKey"))]),
        ("PATCH", "/api-keys/{key_}") => {
            let all = [vec![("name", key_name()), ("scopes", scopes())], optional_settings()].concat();
            let answer = vec![("apiKey", refer("ApiKey")), ("effectiveEverywhereBy", time())];
            Operation { can_match: true, ..Operation::answers(200, answer).takes(Vec::new(), all) }
        }
        ("POST", "/api-keys/{key_}/revoke") => {
            let answer = vec![("apiKey", refer("ApiKey")), ("refusedEverywhereBy", time())];
            let reason = vec![("reason", nullable(line(0, 500)))];
            Operation { can_match: true, ..Operation::answers(200, answer).takes(Vec::new(), reason) }
        }
        ("POST", "/api-keys/{key_}/rotate") => {
            let answer = [created_key(), vec![("previous", refer("PreviousKey"))]].concat();
            let old = vec![
                ("revokeOld", nullable(flag())),
                ("graceSeconds", nullable(whole(0, LONGEST_GRACE_S.into()))),
            ];
            let rotated = Operation::answers(201, answer).takes(Vec::new(), old);
            Operation { can_match: true, can_repeat: true, ..rotated }
        }
        ("GET", "/api-keys/{key_}/usage") => {
            Operation::answers(200, vec![("points", list(refer("UsagePoint")))]).query(vec![
                ("from", time()),
                ("to", time()),
                ("step", one_of(&["1h", "1d"])),
            ])
        }
        ("POST", "/links") => Operation::answers(
            201,
            vec![("link", refer("Link")), ("token", text()), ("url", text())],
        )
        .takes(vec![("url", text())], vec![("subject", nullable(text())), ("sessionId", nullable(text()))]),
        ("GET", "/links/{link_}") => Operation::answers(200, vec![("link", refer("Link"))]),
        ("GET", "/quotas") => Operation::answers(200, vec![("quotas", refer("Quotas"))]),
        ("GET", "/realms") => Operation::answers(200, vec![("realms", list(refer("Realm")))]),
        ("GET", "/audit") => Operation::pages("entries", "AuditEntry", Vec::new()),
        ("GET", "/audit/verify") => verification(),
        ("GET", "/members") => Operation::pages("members", "Member", Vec::new()),
        ("POST", "/members") => Operation::answers(201, member())
            .takes(vec![("email", email()), ("role", role()), ("password", password())], Vec::new()),
        ("GET", "/members/{}") => Operation::answers(200, member()),
        ("PATCH", "/members/{}") => {
            let fields = vec![
                ("role", role()),
                ("password", password()),
                ("currentPassword", nullable(typed_password())),
            ];
            Operation::answers(200, member()).takes(Vec::new(), fields)
        }
        ("GET", "/tenants") => Operation::pages("tenants", "Tenant", Vec::new()),
        ("POST", "/tenants") => {
            let owner = object(vec![("email", email()), ("password", password())]);
            let answer = object_with(vec![("tenant", refer("Tenant"))], vec![("owner", refer("Member"))]);
            let fields = [tenant_settings(), vec![("owner", nullable(owner))]].concat();
            Operation { answer: (201, Some(answer)), ..Operation::default() }
                .takes(vec![("name", key_name())], fields)
        }
        ("GET", "/tenants/{}") => Operation::answers(
            200,
            vec![("tenant", refer("Tenant")), ("quotas", refer("Quotas")), ("storage", refer("Quota"))],
        ),
        ("PATCH", "/tenants/{}") => {
            let answer = object_with(
                vec![("tenant", refer("Tenant"))],
                vec![("effectiveEverywhereBy", time()), ("pendingKeys", count(1))],
            );
            let more = vec![
                ("name", key_name()),
                ("status", one_of_enum(&TenantStatus::ALL)),
                ("quotas", nullable(own_quotas())),
            ];
            Operation { answer: (200, Some(answer)), ..Operation::default() }
                .takes(Vec::new(), [tenant_settings(), more].concat())
        }
        _ => return None,
    })
}

fn verification() -> Operation {
    let checkpoint: Value =
        json!({ "type": "object", "required": ["seq"], "properties": { "seq": count(1) } });
    let answer = object_with(
        vec![("ok", flag()), ("entries", count(0)), ("lastHash", text())],
        vec![
            ("brokenAt", described(count(1), "The first entry that does not fit.")),
            ("next", described(count(1), "Where the rest begins.")),
            ("checkpoint", checkpoint),
        ],
    );
    Operation { answer: (200, Some(answer)), ..Operation::default() }
        .query(vec![("from", whole(1, u32::MAX.into()))])
}
