//! What each call takes and answers. That there is a row here for each route, and the reverse, a test sees to; what a call does
//! in words is in docs/admin-api.md, from where it is taken.

use keyward_core::record::TenantStatus;
use keyward_policy::method;
use keyward_registry::{
    keys::{
        bulk::{ACTIONS, MOST_KEYS},
        export::FORMATS,
        list::SORTS,
        rotate::LONGEST_GRACE_S,
        summary::COUNTS,
    },
    leaks::report::MOST_MATCHES,
    usage::routes::DAYS_KEPT,
};
use serde_json::{Value, json};

use crate::{
    components::{key_name, of_new_key, optional_settings, own_quotas, scopes},
    conditions::{bulk_needs, one_of_fields},
    fields::{code, email, issued, password, role, session_id, shown_passkey, state, typed_password},
    many_keys::key_filters,
    operation::{Body, Operation},
    schema::{
        Members, count, cursor, described, dictionary, flag, id, line, list, nullable, object, object_with,
        one_of, one_of_enum, refer, searched, short_list, text, time, whole,
    },
};

/// What is set on a tenant, but for its name.
fn tenant_settings() -> Members {
    vec![
        ("code", json!({ "type": "string", "pattern": "^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])$" })),
        ("plan", nullable(json!({ "type": "string", "pattern": "^[!-~]([ -~]{0,48}[!-~])?$" }))),
        ("rateLimit", nullable(refer("RateLimit"))),
        ("pool", nullable(refer("RateLimit"))),
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
        ("GET", "/setup") => Operation::answers(200, vec![("open", flag())]),
        ("POST", "/setup") => Operation::answers(201, member())
            .takes(vec![("token", text()), ("email", email())], vec![("password", password())]),
        ("POST", "/session") => {
            Operation::answers(201, vec![("token", text()), ("expiresAt", time()), ("member", refer("Self"))])
                .takes(
                    Vec::new(),
                    vec![
                        ("email", email()),
                        ("password", typed_password()),
                        ("passkey", shown_passkey()),
                        ("token", issued()),
                        ("code", code()),
                        ("state", state()),
                    ],
                )
                .if_only(json!({
                    "dependentRequired": {
                        "email": ["password"], "password": ["email"], "code": ["state"], "state": ["code"],
                    },
                    "oneOf": one_of_fields(&["email", "passkey", "token", "code"]),
                }))
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
            let either = vec![
                ("password", typed_password()),
                ("passkey", shown_passkey()),
                ("token", issued()),
                ("code", code()),
                ("state", state()),
            ];
            Operation::ends().takes(Vec::new(), either).if_only(json!({
                "dependentRequired": { "code": ["state"], "state": ["code"] },
                "oneOf": one_of_fields(&["password", "passkey", "token", "code"]),
            }))
        }
        ("POST", "/session/code/options") => Operation::answers(200, vec![("url", text())])
            .takes(Vec::new(), vec![("purpose", json!({ "enum": ["sign-in", "step-up"] }))]),
        ("POST", "/session/passkey/options" | "/session/step-up/options" | "/passkeys/options") => {
            let options = json!({ "type": "object", "required": ["challenge"] });
            let options = described(
                options,
                "As `parseRequestOptionsFromJSON` or `parseCreationOptionsFromJSON` reads it.",
            );
            Operation::answers(200, vec![("publicKey", options)]).takes(Vec::new(), Vec::new())
        }
        ("GET", "/passkeys") => Operation::pages("passkeys", "Passkey", Vec::new()),
        ("POST", "/passkeys") => Operation::answers(201, vec![("passkey", refer("Passkey"))])
            .takes(vec![("name", line(1, 100)), ("passkey", shown_passkey())], Vec::new()),
        (
            "DELETE",
            "/session"
            | "/sessions"
            | "/sessions/{ses_}"
            | "/passkeys/{pky_}"
            | "/members/{}"
            | "/members/{}/sessions"
            | "/invitations/{inv_}"
            | "/tenants/{}/sessions",
        ) => Operation::ends(),
        ("GET", "/sessions" | "/members/{}/sessions") => Operation::pages("sessions", "Session", Vec::new()),
        ("GET", "/api-keys") => key_list(),
        ("POST", "/api-keys") => {
            let made = Operation::answers(201, created_key()).takes(vec![("name", key_name())], of_new_key());
            Operation { can_repeat: true, ..made }
        }
        ("POST", "/api-keys/bulk") => {
            let actions: Vec<&str> = ACTIONS.iter().map(|(name, _)| *name).collect();
            let of = vec![
                ("ids", nullable(short_list(text(), MOST_KEYS))),
                ("filter", nullable(refer("KeyFilter"))),
                ("cursor", nullable(cursor())),
                ("tag", nullable(line(1, 50))),
                ("expiresAt", nullable(time())),
            ];
            bulk_change()
                .takes(vec![("action", one_of(&actions))], [of, bulk_reason()].concat())
                .if_only(bulk_needs())
        }
        ("POST", "/api-keys/bulk-revoke") => {
            let optional = [vec![("cursor", nullable(cursor()))], bulk_reason()].concat();
            bulk_change().takes(vec![("filter", refer("KeyFilter"))], optional)
        }
        ("GET", "/api-keys/summary") => {
            let names = ["total"].into_iter().chain(COUNTS.map(|(name, _)| name));
            let summary = object(names.map(|name| (name, count(0))).collect());
            Operation::answers(200, vec![("summary", summary)]).query(vec![("realm", text())])
        }
        ("GET", "/api-keys/export") => {
            let formats: Vec<&str> = FORMATS.iter().map(|(name, _)| *name).collect();
            let keys = described(text(), "A key a line. `Next-Cursor` is the cursor of the next page.");
            let first = vec![("format", one_of(&formats)), ("cursor", cursor())];
            let media = &["application/x-ndjson", "text/csv"];
            Operation { answer: (200, Some(keys)), media, ..Operation::default() }
                .query([first, sorted_filters()].concat())
        }
        ("GET", "/api-keys/usage") => {
            let hours = || json!({ "type": "array", "items": count(0), "minItems": 24, "maxItems": 24 });
            let key = object(vec![("id", id("key_")), ("accepted", hours()), ("refused", hours())]);
            let keys = described(list(key), "The last 24 hours, the oldest first.");
            let usage =
                Operation::answers(200, vec![("from", time()), ("step", one_of(&["1h"])), ("keys", keys)])
                    .query(vec![("ids", described(text(), "Up to 100, with commas between."))]);
            Operation { required: &["ids"], ..usage }
        }
        ("POST", "/api-keys/import") => {
            let lines = "A key a line, each an object of its own as `contentSchema` has it. No more than 1,000 lines.";
            let schema = json!({
                "type": "string",
                "pattern": "[^\\s]",
                "contentMediaType": "application/x-ndjson",
                "contentSchema": refer("ImportedKey"),
                "description": lines,
            });
            let body = Body { schema, is_required: true };
            let error = object(vec![("line", count(1)), ("field", text()), ("message", text())]);
            let answer = object_with(
                vec![
                    ("imported", count(0)),
                    ("repeated", described(count(0), "Keys that were imported before.")),
                    ("wrong", described(count(0), "Lines with mistakes.")),
                    ("errors", described(list(error), "The first 100 mistakes.")),
                ],
                vec![("pendingKeys", count(1))],
            );
            let imported =
                Operation { answer: (200, Some(answer)), body: Some(body), ..Operation::default() };
            imported.query(vec![("dryRun", flag())])
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
            let both = json!({
                "required": ["revokeOld", "graceSeconds"],
                "properties": { "revokeOld": { "type": "boolean" }, "graceSeconds": { "type": "integer" } },
            });
            let rotated =
                Operation::answers(201, answer).takes(Vec::new(), old).if_only(json!({ "not": both }));
            Operation { can_match: true, can_repeat: true, ..rotated }
        }
        ("POST", "/api-keys/{key_}/pause") => {
            let answer = vec![("apiKey", refer("ApiKey")), ("refusedEverywhereBy", time())];
            Operation { can_match: true, ..Operation::answers(200, answer).takes(Vec::new(), Vec::new()) }
        }
        ("POST", "/api-keys/{key_}/resume") => {
            let answer = vec![("apiKey", refer("ApiKey")), ("effectiveEverywhereBy", time())];
            Operation { can_match: true, ..Operation::answers(200, answer).takes(Vec::new(), Vec::new()) }
        }
        ("GET", "/api-keys/{key_}/usage") => {
            Operation::answers(200, vec![("points", list(refer("UsagePoint")))]).query(vec![
                ("from", time()),
                ("to", time()),
                ("step", one_of(&["1h", "1d"])),
            ])
        }
        ("GET", "/usage") => {
            Operation::answers(200, vec![("points", list(refer("UsagePoint")))]).query(vec![
                ("from", time()),
                ("to", time()),
                ("step", one_of(&["1h", "1d"])),
                ("scope", one_of(&["tenant", "deployment"])),
            ])
        }
        ("GET", "/usage/routes") => {
            let from = described(time(), "When the first of these days begins, in UTC.");
            let others = described(nullable(refer("RouteCounts")), "Further routes together.");
            Operation::answers(
                200,
                vec![("from", from), ("routes", list(refer("RouteUsage"))), ("others", others)],
            )
            .query(vec![("days", whole(1, DAYS_KEPT.into())), ("scope", one_of(&["tenant", "deployment"]))])
        }
        ("GET", "/refusals") => Operation::pages(
            "refusals",
            "Refusal",
            vec![
                ("keyId", text()),
                ("requestId", text()),
                ("code", text()),
                ("scope", one_of(&["tenant", "deployment"])),
            ],
        ),
        ("GET", "/routes") => Operation::answers(200, vec![("routes", list(refer("Route")))]).query(vec![
            ("realm", text()),
            ("keyId", text()),
            ("scopes", described(text(), "With commas between.")),
        ]),
        ("POST", "/explain") => explanation(),
        ("POST", "/links") => Operation::answers(
            201,
            vec![("link", refer("Link")), ("token", text()), ("url", text())],
        )
        .takes(
            vec![("url", json!({ "type": "string", "pattern": "^https?://[a-z0-9][!-\"$-~]*$" }))],
            vec![
                ("subject", nullable(json!({ "type": "string", "pattern": "^[!-~]([ -~]{0,254}[!-~])?$" }))),
                ("sessionId", nullable(session_id())),
            ],
        ),
        ("GET", "/links/{link_}") => Operation::answers(200, vec![("link", refer("Link"))]),
        ("GET", "/quotas") => Operation::answers(200, vec![("quotas", refer("Quotas"))]),
        ("GET", "/metrics") => {
            let text = described(text(), "Metrics in the text format of Prometheus, version 0.0.4.");
            Operation { answer: (200, Some(text)), media: &["text/plain"], ..Operation::default() }
        }
        ("GET", "/realms") => Operation::answers(200, vec![("realms", list(refer("Realm")))]),
        ("GET", "/audit") => {
            let names = described(
                dictionary(text()),
                "What keys, people and tenants of the entries are called now, by id.",
            );
            let answer = vec![
                ("entries", list(refer("AuditEntry"))),
                ("nextCursor", nullable(text())),
                ("names", names),
            ];
            Operation {
                answer: (200, Some(object(answer))),
                ..Operation::pages("entries", "AuditEntry", audit_filters())
            }
        }
        ("GET", "/audit/export") => {
            let lines = described(text(), "An entry a line. `Next-Cursor` is the cursor of the next page.");
            let cursor = vec![("cursor", cursor())];
            Operation { answer: (200, Some(lines)), media: &["application/x-ndjson"], ..Operation::default() }
                .query([cursor, audit_filters()].concat())
        }
        ("GET", "/audit/verify") => verification(),
        ("GET", "/events") => {
            let after = described(id("evt_"), "The id of the last event that is known.");
            let answer = vec![("events", list(refer("Event"))), ("nextAfter", nullable(text()))];
            Operation::answers(200, answer).query(vec![("after", after), ("limit", whole(1, 100))])
        }
        ("GET", "/events/endpoints") => {
            Operation::answers(200, vec![("endpoints", list(refer("EventEndpoint")))])
        }
        ("POST", "/events/endpoints/{}/replay") => {
            Operation::answers(200, vec![("endpoint", refer("EventEndpoint"))])
                .takes(Vec::new(), vec![("after", nullable(id("evt_")))])
        }
        ("GET", "/members") => Operation::pages("members", "Member", vec![("q", searched(254))]),
        ("POST", "/members") => Operation::answers(201, member())
            .takes(vec![("email", email()), ("role", role())], vec![("password", password())]),
        ("GET", "/members/{}") => Operation::answers(200, member()),
        ("PATCH", "/members/{}") => {
            let fields =
                vec![("role", role()), ("password", password()), ("currentPassword", typed_password())];
            Operation::answers(200, member()).takes(Vec::new(), fields)
        }
        ("POST", "/members/{}/reset") => Operation::answers(201, invited()).takes(Vec::new(), Vec::new()),
        ("GET", "/invitations") => Operation::pages("invitations", "Invitation", Vec::new()),
        ("POST", "/invitations") => {
            Operation::answers(201, invited()).takes(vec![("email", email()), ("role", role())], Vec::new())
        }
        ("POST", "/invitations/accept") => {
            let either =
                vec![("password", password()), ("idToken", issued()), ("code", code()), ("state", state())];
            let accepted = Operation::answers(201, member()).takes(vec![("token", text())], either);
            Operation { also: Some(200), ..accepted }
        }
        ("POST", "/recover") => {
            let recovered = Operation::answers(201, member())
                .takes(vec![("token", text()), ("email", email())], vec![("password", password())]);
            Operation { also: Some(200), ..recovered }
        }
        ("GET", "/backup") => {
            let page = described(text(), "A page of the backup. `Next-Cursor` is the cursor of the next.");
            Operation { answer: (200, Some(page)), media: &["application/x-ndjson"], ..Operation::default() }
                .query(vec![("cursor", cursor())])
        }
        ("POST", "/restore") => {
            let schema = json!({
                "type": "string",
                "pattern": "[^\\s]",
                "contentMediaType": "application/x-ndjson",
                "description": "A page of a backup, as it was read.",
            });
            let answer = vec![
                ("backup", id("bak_")),
                ("madeAt", time()),
                ("page", count(0)),
                ("rows", count(0)),
                ("done", flag()),
            ];
            Operation { body: Some(Body { schema, is_required: true }), ..Operation::answers(200, answer) }
        }
        ("POST", "/leaks") => {
            let found = object_with(
                vec![("token", text()), ("type", text())],
                vec![("url", nullable(text())), ("source", nullable(text()))],
            );
            let labels = one_of(&["true_positive", "false_positive"]);
            let label = object(vec![("token_raw", text()), ("token_type", text()), ("label", labels)]);
            let body = Body { schema: short_list(found, MOST_MATCHES), is_required: true };
            Operation { answer: (200, Some(list(label))), body: Some(body), ..Operation::default() }
        }
        ("POST", "/settlements") => Operation::answers(200, vec![("settled", flag())])
            .takes(vec![("token", text()), ("used", whole(0, u32::MAX.into()))], Vec::new()),
        ("POST", "/tenants/{}/owners") => {
            Operation::answers(201, invited()).takes(vec![("email", email())], Vec::new())
        }
        ("GET", "/tenants") => Operation::pages("tenants", "Tenant", Vec::new()),
        ("POST", "/tenants") => {
            let owner = object_with(vec![("email", email())], vec![("password", password())]);
            let answer = object_with(vec![("tenant", refer("Tenant"))], vec![("owner", refer("Member"))]);
            // One that is null is chosen; it cannot become null.
            let settings = tenant_settings().into_iter();
            let settings = settings.map(|(name, it)| (name, if name == "code" { nullable(it) } else { it }));
            let fields = settings.chain([("owner", nullable(owner))]).collect();
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

fn bulk_reason() -> Members {
    vec![("reason", nullable(line(0, 500))), ("dryRun", nullable(flag()))]
}

fn bulk_change() -> Operation {
    Operation { answer: (200, Some(refer("BulkChange"))), ..Operation::default() }
}

fn explanation() -> Operation {
    let maybe = || nullable(text());
    let answer = vec![
        ("allowed", flag()),
        ("status", nullable(whole(400, 599))),
        ("code", maybe()),
        ("realm", maybe()),
        ("route", nullable(object(vec![("methods", list(text())), ("path", text())]))),
        ("steps", list(object(vec![("step", text()), ("ok", flag()), ("detail", maybe())]))),
    ];
    let supposed = vec![
        ("realm", maybe()),
        ("host", maybe()),
        ("keyId", maybe()),
        ("key", maybe()),
        ("address", maybe()),
        ("origin", maybe()),
        ("sessionId", maybe()),
    ];
    let methods: Vec<&str> = method::USUAL.iter().chain(method::NAMED).copied().collect();
    let path = json!({ "type": "string", "pattern": "^/[!-\"$-~]*$", "maxLength": 2_000 });
    let both = json!({
        "required": ["keyId", "key"],
        "properties": { "keyId": { "type": "string" }, "key": { "type": "string" } },
    });
    Operation::answers(200, answer)
        .takes(vec![("method", one_of(&methods)), ("path", path)], supposed)
        .if_only(json!({ "not": both }))
}

fn audit_filters() -> Members {
    vec![
        ("actor", line(1, 254)),
        ("action", json!({ "type": "string", "pattern": "^[A-Za-z.]{1,254}$" })),
        ("object", line(1, 254)),
        ("from", time()),
        ("to", time()),
        ("order", one_of(&["asc", "desc"])),
    ]
}

fn invited() -> Members {
    vec![("invitation", refer("Invitation")), ("token", text()), ("url", text())]
}

fn verification() -> Operation {
    let checkpoint: Value =
        json!({ "type": "object", "required": ["seq"], "properties": { "seq": count(1) } });
    let answer = object_with(
        vec![("ok", flag()), ("entries", count(0)), ("total", count(0)), ("lastHash", text())],
        vec![
            ("brokenAt", described(count(1), "The first entry that does not fit.")),
            ("next", described(count(1), "Where the rest begins.")),
            ("checkpoint", checkpoint),
        ],
    );
    Operation { answer: (200, Some(answer)), ..Operation::default() }
        .query(vec![("from", whole(1, u32::MAX.into()))])
}

fn sorted_filters() -> Members {
    let sorts: Vec<&str> = SORTS.iter().map(|sort| sort.name).collect();
    [key_filters(), vec![("sort", one_of(&sorts))]].concat()
}

fn key_list() -> Operation {
    let answer = object_with(
        vec![("apiKeys", list(refer("ApiKey"))), ("nextCursor", nullable(text())), ("total", count(0))],
        vec![("totalIsAtLeast", described(flag(), "Whether there may be more than `total`."))],
    );
    Operation { answer: (200, Some(answer)), ..Operation::pages("apiKeys", "ApiKey", sorted_filters()) }
}
