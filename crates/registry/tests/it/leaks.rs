//! Keys that a scanner has found in public.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{sql::Sql, time::Span};
use keyward_policy::{Admin, AfterLeak, EventType, Leaks, Policy, StaticKey};
use keyward_registry::{
    admin_call::{AdminCall, AdminCredential},
    leaks::report::{self, MOST_MATCHES},
};
use keyward_testing::{
    policy::POLICY,
    registry_fixture::{Answer, RegistryFixture, policy_with},
    secrets,
};
use serde_json::{Value, json};

pub const REVOKES: Leaks = leaks(AfterLeak::Revoke);
const URL: &str = "https://github.com/octocat/hello/blob/main/.env";

const fn leaks(then: AfterLeak) -> Leaks {
    Leaks { then, keys_url: "https://keys.example.com/secret_scanning" }
}

fn open(then: AfterLeak) -> (RegistryFixture, String) {
    let policy = policy_with(|_| {});
    let admin = Admin { leaks: Some(leaks(then)), ..policy.admin };
    RegistryFixture::open_over(Box::leak(Box::new(Policy { admin, ..*policy })))
}

/// What the Registry is asked for a key of this id, found at [`URL`].
pub fn found(fixture: &RegistryFixture, key_id: &str) -> Value {
    let hash = fixture.db.run("SELECT hash FROM keys WHERE id = ?", &[key_id.into()]).unwrap();
    json!({"found": [{"names": [hash[0]["hash"]], "url": URL}]})
}

fn report(fixture: &RegistryFixture, body: Value) -> Answer {
    let call = fixture.call("POST", "", "/leaks", body);
    fixture.send(AdminCall { credential: AdminCredential::Scanner, ..call })
}

fn entries(fixture: &RegistryFixture, owner: &str) -> Vec<Value> {
    let entries = fixture.get(owner, "/audit?action=key.leaked").expect(200).body;
    entries["entries"].as_array().unwrap().clone()
}

fn status(fixture: &RegistryFixture, owner: &str, key: &str) -> Value {
    fixture.get(owner, &format!("/api-keys/{key}")).expect(200).body["apiKey"]["status"].clone()
}

#[test]
fn a_key_that_was_found_becomes_what_the_policy_says_and_the_audit_says_where_it_was() {
    for (then, after) in
        [(AfterLeak::Revoke, "REVOKED"), (AfterLeak::Pause, "PAUSED"), (AfterLeak::Tell, "ACTIVE")]
    {
        let (fixture, owner) = open(then);
        let (found_one, other) =
            (fixture.key(&owner, json!({})).key_id(), fixture.key(&owner, json!({})).key_id());
        let question = found(&fixture, &found_one);
        assert_eq!(report(&fixture, question).expect(200).body["known"], json!([true]));
        assert_eq!(status(&fixture, &owner, &found_one), after);
        assert_eq!(status(&fixture, &owner, &other), "ACTIVE");
        let entries = entries(&fixture, &owner);
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0]["actor"]["type"], "scanner");
        assert_eq!(entries[0]["target"], found_one);
        assert_eq!(entries[0]["before"], json!({"status": "ACTIVE"}));
        assert_eq!(entries[0]["after"], json!({"status": after, "url": URL}));
    }
}

#[test]
fn a_key_that_was_found_is_told_to_the_endpoints_of_the_policy() {
    let policy = policy_with(|_| {});
    let events = Vec::leak(vec![crate::events::endpoint(&EventType::ALL)]);
    let admin = Admin { leaks: Some(REVOKES), events, ..policy.admin };
    let (fixture, owner) = RegistryFixture::open_over(Box::leak(Box::new(Policy { admin, ..*policy })));
    let key = fixture.key(&owner, json!({})).key_id();
    report(&fixture, found(&fixture, &key)).expect(200);
    fixture.pass_with_alarms(Span::from_mins(1));
    assert_eq!(crate::events::types(&fixture), ["key.created", "key.leaked", "key.revoked"]);
}

/// What a configured key may look like: nothing of a realm's own format.
const AGENT: &str = "agent-secret";
const CONFIGURED: StaticKey = StaticKey {
    id: "agent",
    sha256: "cc000e626ba67bed4834794d42288b228f012823877440d2bc5a3787cc6ffce9",
    scopes: &[],
    tenant: None,
    plan: None,
};

#[test]
fn a_key_of_the_policy_that_was_found_is_one_and_the_operator_is_told_once_for_each_place() {
    let policy = policy_with(|realm| realm.static_keys = &[CONFIGURED]);
    let events = Vec::leak(vec![crate::events::endpoint(&EventType::ALL)]);
    let admin = Admin { leaks: Some(REVOKES), events, ..policy.admin };
    let policy: &'static Policy = Box::leak(Box::new(Policy { admin, ..*policy }));
    let matches = json!([{"token": AGENT, "type": "keyward", "url": URL}, {"token": "agent-secreT", "type": "keyward"}]);
    let matches = report::read(&matches.to_string()).unwrap();
    let (candidate, is_known) = matches[0].candidate(policy, &secrets()).unwrap();
    assert!(is_known && matches[1].candidate(policy, &secrets()).is_none());
    let question = json!({"found": [candidate]});
    let sent = format!(r#"{{"names":[],"configured":[{{"realm":"default","id":"agent"}}],"url":"{URL}"}}"#);
    assert_eq!(serde_json::to_string(&candidate).unwrap(), sent, "what crosses to the Registry stays");

    let (fixture, owner) = RegistryFixture::open_over(policy);
    let (other, _) = fixture.tenant(&owner, "other");
    for _ in 0..2 {
        assert_eq!(report(&fixture, question.clone()).expect(200).body["known"], json!([true]));
    }
    let told = entries(&fixture, &owner);
    assert_eq!((told.len(), entries(&fixture, &other).len()), (1, 0));
    assert_eq!((&told[0]["target"], &told[0]["actor"]["type"]), (&json!("default/agent"), &json!("scanner")));
    assert_eq!(told[0]["after"], json!({"status": "CONFIGURED", "url": URL}));
    fixture.pass_with_alarms(Span::from_mins(1));
    let received = fixture.received.borrow();
    let [event] = &received[..] else { panic!("{received:?}") };
    let event: Value = serde_json::from_str(&event.body).unwrap();
    let data = json!({
        "keyId": "agent", "name": "agent", "realm": "default", "tenantId": told[0]["tenantId"], "configured": true,
    });
    assert_eq!((&event["type"], &event["data"]), (&json!("key.leaked"), &data));
}

#[test]
fn without_an_endpoint_a_key_of_the_policy_is_told_of_in_the_audit_alone() {
    let (fixture, owner) = open(AfterLeak::Tell);
    let question =
        json!({"found": [{"names": [], "configured": [{"realm": "default", "id": "agent"}], "url": URL}]});
    report(&fixture, question).expect(200);
    assert_eq!(entries(&fixture, &owner).len(), 1);
    assert_eq!(fixture.get(&owner, "/events").expect(200).body["events"], json!([]));
}

#[test]
fn the_same_report_again_changes_nothing_and_one_key_has_few_entries() {
    let (fixture, owner) = open(AfterLeak::Revoke);
    let key = fixture.key(&owner, json!({})).key_id();
    let question = found(&fixture, &key);
    report(&fixture, question.clone()).expect(200);
    fixture.alarm();
    let version = |fixture: &RegistryFixture| fixture.record(&key).version;
    let before = (version(&fixture), entries(&fixture, &owner));
    report(&fixture, question.clone()).expect(200);
    assert_eq!((version(&fixture), entries(&fixture, &owner)), before);
    for number in 0..50 {
        let mut elsewhere = question.clone();
        elsewhere["found"][0]["url"] = format!("{URL}?{number}").into();
        report(&fixture, elsewhere).expect(200);
    }
    assert_eq!(entries(&fixture, &owner).len(), 20);
    assert_eq!(version(&fixture), before.0);
}

#[test]
fn keys_of_every_tenant_are_found_and_each_audit_has_its_own() {
    let (fixture, owner) = open(AfterLeak::Revoke);
    let (other, _) = fixture.tenant(&owner, "other");
    let key = fixture.key(&other, json!({})).key_id();
    report(&fixture, found(&fixture, &key)).expect(200);
    assert_eq!(status(&fixture, &other, &key), "REVOKED");
    assert_eq!((entries(&fixture, &owner).len(), entries(&fixture, &other).len()), (0, 1));
}

#[test]
fn nobody_but_the_scanner_of_a_policy_that_has_one_ends_keys_so() {
    let (fixture, owner) = open(AfterLeak::Revoke);
    let key = fixture.key(&owner, json!({"scopes": ["admin:write"]})).key_id();
    for token in ["", &owner, &format!("key:{key}")] {
        fixture.post(token, "/leaks", found(&fixture, &key)).refused(401, "UNAUTHENTICATED");
    }
    let (fixture, owner) = RegistryFixture::open();
    let key = fixture.key(&owner, json!({})).key_id();
    report(&fixture, found(&fixture, &key)).refused(401, "UNAUTHENTICATED");
    assert_eq!(status(&fixture, &owner, &key), "ACTIVE");
    // Nor may it do anything else.
    let call = fixture.call("GET", "", "/api-keys", Value::Null);
    fixture.send(AdminCall { credential: AdminCredential::Scanner, ..call }).refused(401, "UNAUTHENTICATED");
}

#[test]
fn what_is_no_key_is_told_by_its_checksum_alone_and_a_key_by_its_names_alone() {
    let (fixture, owner) = RegistryFixture::open();
    let key = fixture.key(&owner, json!({})).plaintext();
    let mut forged = key.clone();
    let last = if forged.pop() == Some('a') { 'b' } else { 'a' };
    forged.push(last);
    let matches = json!([
        {"token": key, "type": "keyward", "url": format!("{URL}\n\u{1f511}"), "source": "content"},
        {"token": forged, "type": "keyward"},
        {"token": "some_token", "type": "some_type", "url": null},
        {"token": "k".repeat(100_000), "type": "long"},
    ]);
    let matches = report::read(&matches.to_string()).unwrap();
    let candidates: Vec<_> = matches.iter().map(|found| found.candidate(&POLICY, &secrets())).collect();
    assert!(candidates[1..].iter().all(Option::is_none));
    let (candidate, is_keyed) = candidates[0].as_ref().unwrap();
    assert!(is_keyed);
    assert_eq!(candidate.url, URL);
    let text = serde_json::to_string(candidate).unwrap();
    assert!(!text.contains(&key), "the key itself goes no further");
    let label = matches[1].label(false);
    assert_eq!(label, json!({"token_raw": forged, "token_type": "keyward", "label": "false_positive"}));
    assert_eq!(matches[0].label(true)["label"], "true_positive");
}

#[test]
fn a_report_of_another_form_or_of_too_many_is_refused() {
    for wrong in ["", "{}", "[1]", r#"[{"token":"a"}]"#, r#"[{"token":1,"type":"t"}]"#] {
        assert_eq!(report::read(wrong).err().unwrap().code.facts().1, "MALFORMED_JSON", "{wrong}");
    }
    let many = |count| json!(vec![json!({"token": "t", "type": "t"}); count]).to_string();
    assert_eq!(report::read(&many(MOST_MATCHES)).unwrap().len(), MOST_MATCHES);
    assert_eq!(report::read(&many(MOST_MATCHES + 1)).err().unwrap().code.facts().1, "VALIDATION_FAILED");
}
