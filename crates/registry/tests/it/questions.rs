//! What the Registry hands to the gate: why a request would pass or not, which routes a key may call.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{question::Question, record::Record};
use keyward_registry::{admin_call::AdminReply, questions, router};
use keyward_testing::registry_fixture::{Answer, RegistryFixture};
use serde_json::{Value, json};

fn question(answer: Answer) -> Question {
    let Answer { status, headers, text: body, .. } = answer.expect(200);
    questions::asked(&AdminReply { status, headers, body }).unwrap()
}

fn explain(fixture: &RegistryFixture, token: &str, fields: Value) -> Answer {
    let mut body = json!({ "method": "GET", "path": "/api/orders" });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    fixture.post(token, "/explain", body)
}

fn record(fixture: &RegistryFixture, token: &str, fields: Value) -> Option<Record> {
    question(explain(fixture, token, fields)).record
}

#[test]
fn a_request_is_handed_on_as_it_was_described() {
    let (fixture, owner) = RegistryFixture::open();
    let fields = json!({
        "realm": "default", "host": "API.example:8443", "method": "DELETE", "path": "/api/orders/7?really=1",
        "address": "2001:DB8::7", "origin": "https://App.example/", "sessionId": "chat-7",
    });
    let asked = question(explain(&fixture, &owner, fields));
    let request = asked.request.unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("DELETE", "/api/orders/7?really=1"));
    assert_eq!(request.host.as_deref(), Some("api.example:8443"));
    assert_eq!(request.address.as_deref(), Some("2001:db8::7"));
    assert_eq!(request.origin.as_deref(), Some("https://app.example"), "as browsers send it");
    assert_eq!(request.session_id.as_deref(), Some("chat-7"));
    assert_eq!((asked.realm.as_deref(), asked.key, asked.record), (Some("default"), None, None));
    let bare = question(explain(&fixture, &owner, json!({}))).request.unwrap();
    assert_eq!((bare.host, bare.address, bare.origin, bare.session_id), (None, None, None, None));
}

#[test]
fn the_record_is_the_one_that_the_gate_has() {
    let (fixture, owner) = RegistryFixture::open();
    let made = fixture.key(&owner, json!({ "rateLimit": { "perMinute": 7, "perDay": null } }));
    let (id, text) = (made.key_id(), made.plaintext());
    for revoked in [false, true] {
        if revoked {
            fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
        }
        let published = Some(fixture.record(&id));
        assert_eq!(record(&fixture, &owner, json!({ "keyId": id })), published);
        assert_eq!(record(&fixture, &owner, json!({ "key": text })), published);
        let of_routes = question(fixture.get(&owner, &format!("/routes?keyId={id}")));
        assert_eq!(of_routes.record, published);
        assert!(of_routes.request.is_none());
    }
    assert_eq!(question(explain(&fixture, &owner, json!({ "key": text }))).key, Some(text));
}

#[test]
fn a_key_of_another_tenant_is_one_that_does_not_exist() {
    let (fixture, operator) = RegistryFixture::open();
    let (owner, _) = fixture.tenant(&operator, "shop");
    let foreign = fixture.key(&operator, json!({}));
    let text = foreign.plaintext();
    assert!(record(&fixture, &operator, json!({ "key": text })).is_some());
    let of_foreign = explain(&fixture, &owner, json!({ "key": text })).expect(200).text;
    let unknown = format!("{}{}", &text[..text.len() - 1], if text.ends_with('a') { "b" } else { "a" });
    let of_unknown = explain(&fixture, &owner, json!({ "key": unknown })).expect(200).text;
    assert_eq!(of_foreign.replace(&text, "KEY"), of_unknown.replace(&unknown, "KEY"));
    explain(&fixture, &owner, json!({ "keyId": foreign.key_id() })).refused(404, "NOT_FOUND");
    fixture.get(&owner, &format!("/routes?keyId={}", foreign.key_id())).refused(404, "NOT_FOUND");
}

#[test]
fn scopes_stand_for_a_key_of_the_tenant_that_nobody_has() {
    let (fixture, owner) = RegistryFixture::open();
    let tenant = fixture.get(&owner, "/session").body["tenant"]["id"].as_str().unwrap().to_owned();
    let asked = question(fixture.get(&owner, "/routes?realm=default&scopes=orders:read,files:*"));
    let record = asked.record.unwrap();
    assert_eq!((record.scopes, record.realm.as_str()), (vec!["orders:read".into(), "files:*".into()], ""));
    assert_eq!((record.tenant.id, asked.tenant.id), (tenant.clone(), tenant));
    assert_eq!(asked.realm.as_deref(), Some("default"));
    let none = question(fixture.get(&owner, "/routes?scopes=")).record.unwrap();
    assert_eq!(none.scopes, Vec::<String>::new());
    assert_eq!(question(fixture.get(&owner, "/routes")).record, None);
}

#[test]
fn what_cannot_be_asked_is_refused_field_by_field_and_repeats_no_value() {
    let (fixture, owner) = RegistryFixture::open();
    let secret = "kw_live_0123456789";
    for (fields, wrong) in [
        (json!({ "realm": secret }), "realm"),
        (json!({ "host": format!("user@{secret}") }), "host"),
        (json!({ "host": "a.example/path" }), "host"),
        (json!({ "host": "" }), "host"),
        (json!({ "method": "get" }), "method"),
        (json!({ "method": "TRACE" }), "method"),
        (json!({ "method": null }), "method"),
        (json!({ "path": secret }), "path"),
        (json!({ "path": "/a#b" }), "path"),
        (json!({ "path": "/a b" }), "path"),
        (json!({ "path": "/é" }), "path"),
        (json!({ "path": format!("/{}", "x".repeat(2_000)) }), "path"),
        (json!({ "path": "/api/admin/api-keys" }), "path"),
        (json!({ "path": "/healthz" }), "path"),
        (json!({ "key": format!("{secret}\n") }), "key"),
        (json!({ "key": "" }), "key"),
        (json!({ "key": "x".repeat(2_001) }), "key"),
        (json!({ "key": secret, "keyId": "key_1" }), "key"),
        (json!({ "keyId": 7 }), "keyId"),
        (json!({ "address": secret }), "address"),
        (json!({ "address": "192.0.2.0/24" }), "address"),
        (json!({ "origin": secret }), "origin"),
        (json!({ "sessionId": "\u{7f}" }), "sessionId"),
        (json!({ "scopes": [] }), "scopes"),
    ] {
        let answer = explain(&fixture, &owner, fields.clone());
        answer.refused(400, "VALIDATION_FAILED");
        assert_eq!(answer.fields(), [wrong], "{fields}");
        assert!(!answer.text.contains(secret), "{}", answer.text);
    }
    assert_eq!(fixture.post(&owner, "/explain", json!({})).fields(), ["method", "path"]);
    let many = format!("scopes={}", vec!["a:b"; 101].join(","));
    for (query, wrong) in [
        ("realm=other", "realm"),
        ("scopes=orders:", "scopes"),
        ("scopes=*:read", "scopes"),
        (&many, "scopes"),
        ("scopes=a:b&keyId=key_1", "scopes"),
        ("cursor=x", "cursor"),
    ] {
        let answer = fixture.get(&owner, &format!("/routes?{query}"));
        answer.refused(400, "VALIDATION_FAILED");
        assert_eq!(answer.fields(), [wrong], "{query}");
    }
}

#[test]
fn whoever_may_read_may_ask_and_nothing_is_changed_by_it() {
    let (fixture, owner) = RegistryFixture::open();
    let (viewer, _) = fixture.member(&owner, "viewer@example.com", "viewer");
    let reads = fixture.key(&owner, json!({ "scopes": ["admin:read"] })).key_id();
    let made = fixture.key(&owner, json!({ "scopes": ["orders:read"] }));
    let (plain, text) = (made.key_id(), made.plaintext());
    let before = fixture.dump();
    for caller in [&viewer, &format!("key:{reads}")] {
        explain(&fixture, caller, json!({ "keyId": plain })).expect(200);
        explain(&fixture, caller, json!({ "key": text })).expect(200);
        fixture.get(caller, &format!("/routes?keyId={plain}")).expect(200);
    }
    let caller = format!("key:{plain}");
    explain(&fixture, &caller, json!({})).refused(403, "FORBIDDEN");
    fixture.get(&caller, "/routes").refused(403, "FORBIDDEN");
    explain(&fixture, "", json!({})).refused(401, "UNAUTHENTICATED");
    assert_eq!(fixture.dump(), before);
}

#[test]
fn only_these_calls_are_answered_by_the_gate() {
    let asks = |route: &&router::AdminRoute| router::asks_gate(route.method, &route.path.replace("{}", "x"));
    let paths: Vec<_> = router::ROUTES.iter().filter(asks).map(|route| route.path).collect();
    assert_eq!(paths, ["/routes", "/explain"]);
    assert!(router::asks_gate("HEAD", "/routes"));
    assert!(!router::asks_gate("GET", "/explain"));
}
