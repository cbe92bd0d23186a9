//! The description of the admin API, as OpenAPI 3.1 (<https://spec.openapis.org/oas/v3.1.1>), for clients, for generators of code,
//! and for tests.
//!
//! It is put together from the Registry's own table of routes, from its enums and bounds, and from the words of
//! docs/admin-api.md. Only natively: what is served is the file `openapi.json`, which `cargo run -p keyward-openapi` prints.

#![allow(clippy::indexing_slicing, reason = "members are set of objects that were just made")]

mod components;
mod conditions;
mod fields;
mod many_keys;
mod operation;
mod operations;
mod schema;
mod typescript;

use keyward_registry::{
    effect::Effect,
    error::Code,
    front::BodyForm,
    router::{self, AdminRoute, ROUTES},
};
use serde_json::{Map, Value, json};

use operation::Operation;
use schema::{Schema, refer, text_of_length};

/// Where calls are described in words.
const DOCS: &str = include_str!("../../../docs/admin-api.md");

/// The whole description, indented, with a line break at its end.
pub fn text() -> String {
    format!("{:#}\n", document())
}

/// The same as types of TypeScript.
pub fn types() -> String {
    typescript::types(&document())
}

/// The whole description.
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let Some(operation) = operations::of(route.method, route.path) else { continue };
        let path = paths.entry(template(route.path)).or_insert_with(|| json!({}));
        path[route.method.to_lowercase()] = described(route, operation);
    }
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Keyward admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Makes, watches, rotates and revokes API keys.",
        },
        "servers": [{
            "url": "{api}",
            "variables": {
                "api": { "default": "/api/admin", "description": "`api` of the policy's [admin]." },
            },
        }],
        "security": [{ "session": [] }, { "cookie": [] }, { "apiKey": [] }],
        "paths": paths,
        "components": {
            "schemas": components::all(),
            "responses": responses(),
            "securitySchemes": {
                "session": { "type": "http", "scheme": "bearer", "description": "What `POST /session` answers as `token`." },
                "cookie": { "type": "apiKey", "in": "cookie", "name": "__Host-keyward_session" },
                "apiKey": { "type": "http", "scheme": "bearer", "description": "A key with `admin:read` or `admin:write`." },
            },
        },
    })
}

/// Routes that are not described.
pub fn undescribed() -> Vec<String> {
    ROUTES
        .iter()
        .filter(|route| operations::of(route.method, route.path).is_none() || words(route).is_none())
        .map(|route| format!("{} {}", route.method, template(route.path)))
        .collect()
}

/// The path as OpenAPI writes it.
fn template(path: &str) -> String {
    let named = |segment: &str| if segment.starts_with('{') { "{id}".to_owned() } else { segment.to_owned() };
    path.split('/').map(named).collect::<Vec<_>>().join("/")
}

/// What a call does: the third column of its row in the table of docs/admin-api.md.
fn words(route: &AdminRoute) -> Option<String> {
    let call = format!("{} {}", route.method, template(route.path));
    DOCS.lines().find_map(|line| {
        let mut columns = line.split(" | ");
        let named = columns.next()?.strip_prefix("| `")?;
        let end = named.find(['?', '`'])?;
        let does = columns.nth(1)?;
        (named.get(..end)? == call).then(|| plain(does))
    })
}

/// Without links, which lead nowhere from here.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once("](") {
        let (words, link) = before.rsplit_once('[').unwrap_or((before, ""));
        text.push_str(words);
        text.push_str(link);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    text + rest
}

fn described(route: &AdminRoute, operation: Operation) -> Value {
    let is_open = router::open(route.method, route.path).is_some();
    let Operation { query, required, body, can_repeat, can_match, .. } = operation;
    let Operation { answer: (status, content), also, media, .. } = operation;
    let mut parameters: Vec<Value> = Vec::new();
    let mut add = |name: &str, place: &str, schema: Schema| {
        parameters.push(json!({ "name": name, "in": place, "required": place == "path" || required.contains(&name), "schema": schema }));
    };
    if let Some(prefix) = route.path.split('/').find_map(|segment| segment.strip_prefix('{')) {
        let prefix = prefix.trim_end_matches('}');
        let pattern = json!({ "type": "string", "minLength": 1, "pattern": format!("^{prefix}[^/?#]+$") });
        add("id", "path", pattern);
    }
    for (name, schema) in query {
        add(name, "query", schema);
    }
    if can_repeat {
        add("Idempotency-Key", "header", text_of_length(1, 255));
    }
    if can_match {
        add("If-Match", "header", schema::text());
    }
    let mut answers = Map::new();
    let mut success = json!({ "description": "Done." });
    if let Some(content) = content {
        let media = if media.is_empty() { &["application/json"] } else { media };
        let of = |media: &&str| ((*media).to_owned(), json!({ "schema": content }));
        success["content"] = media.iter().map(of).collect::<Map<_, _>>().into();
    }
    for status in also.into_iter().chain([status]) {
        answers.insert(status.to_string(), success.clone());
    }
    for status in refusals(route, body.is_some()) {
        answers.insert(
            status.to_string(),
            json!({ "$ref": format!("#/components/responses/{}", refused(status)) }),
        );
    }
    let name: String = template(route.path)
        .split(['/', '-'])
        .filter(|word| !word.is_empty())
        .map(|word| if word == "{id}" { "One".to_owned() } else { capitalised(word) })
        .collect();
    let mut described = json!({
        "operationId": format!("{}{name}", route.method.to_lowercase()),
        "description": words(route).unwrap_or_default(),
        "responses": answers,
    });
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if let Some(body) = body {
        let kind = BodyForm::of(route.method, route.path).essence;
        described["requestBody"] =
            json!({ "required": body.is_required, "content": { kind: { "schema": body.schema } } });
    }
    if is_open {
        described["security"] = json!([]);
    }
    described
}

/// Every refusal: those of the Registry, and those with which the gate itself fails.
fn codes() -> impl Iterator<Item = (u16, &'static str)> {
    Code::ALL.iter().map(|code| code.facts()).chain([(500, "INTERRUPTED"), (500, "INTERNAL_ERROR")])
}

/// Name of the answer that refuses with this status.
fn refused(status: u16) -> String {
    format!("Refused{status}")
}

/// For each status the answer that refuses with it, and the codes that it can have.
fn responses() -> Value {
    let mut responses = Map::new();
    // 405 is of no call that is described.
    for (status, _) in codes().filter(|(status, _)| *status != 405) {
        let codes: Vec<&str> = codes().filter(|(of, _)| *of == status).map(|(_, code)| code).collect();
        responses.insert(
            refused(status),
            json!({
                "description": codes.join(", "),
                "content": { "application/problem+json": { "schema": refer("Problem") } },
            }),
        );
    }
    responses.into()
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Statuses with which a call can be refused, in order.
fn refusals(route: &AdminRoute, has_body: bool) -> Vec<u16> {
    let writes = route.effect != Effect::Reads;
    let of_effect = |status: u16| match status {
        // Where the page was opened at an IP address.
        409 => writes || route.path.ends_with("/options"),
        412 | 422 => route.method != "GET" && route.path.starts_with("/api-keys"),
        408 | 413 | 415 => has_body || writes,
        404 => true,
        405 => false,
        507 => !matches!(route.effect, Effect::Reads | Effect::Ends),
        _ => true,
    };
    let mut statuses: Vec<u16> =
        codes().map(|(status, _)| status).filter(|status| of_effect(*status)).collect();
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}
