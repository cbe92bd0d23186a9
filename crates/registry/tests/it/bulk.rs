//! Many keys changed at once.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::Status,
    time::{DAY, SECOND},
};
use keyward_policy::KeyAction;
use keyward_testing::{
    NOON,
    registry_fixture::{Answer, PASSWORD, RegistryFixture, policy_with},
};
use serde_json::{Value, json};

fn bulk(fixture: &RegistryFixture, token: &str, body: Value) -> Answer {
    fixture.post(token, "/api-keys/bulk", body)
}

fn keys(fixture: &RegistryFixture, owner: &str, count: usize) -> Vec<String> {
    (0..count).map(|_| fixture.key(owner, json!({"tags": ["old"]})).key_id()).collect()
}

fn show(fixture: &RegistryFixture, owner: &str, id: &str) -> Value {
    fixture.get(owner, &format!("/api-keys/{id}")).expect(200).body["apiKey"].clone()
}

#[test]
fn each_action_changes_every_key_that_is_named_audits_each_and_promises_all() {
    let (fixture, owner) = RegistryFixture::open();
    let ids = keys(&fixture, &owner, 3);
    let end = NOON.plus(DAY).to_rfc3339();
    for (more, field, value, action, promise) in [
        (json!({"action": "pause"}), "status", json!("PAUSED"), "key.pause", "refusedEverywhereBy"),
        (json!({"action": "resume"}), "status", json!("ACTIVE"), "key.resume", "effectiveEverywhereBy"),
        (
            json!({"action": "tag", "tag": "new"}),
            "tags",
            json!(["old", "new"]),
            "key.edit",
            "effectiveEverywhereBy",
        ),
        (
            json!({"action": "untag", "tag": "old"}),
            "tags",
            json!(["new"]),
            "key.edit",
            "effectiveEverywhereBy",
        ),
        (
            json!({"action": "expire", "expiresAt": end}),
            "expiresAt",
            json!(end),
            "key.edit",
            "refusedEverywhereBy",
        ),
        (
            json!({"action": "revoke", "reason": "unused"}),
            "revokeReason",
            json!("unused"),
            "key.revoke",
            "refusedEverywhereBy",
        ),
    ] {
        let mut body = json!({"ids": ids});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut dry = body.clone();
        dry["dryRun"] = json!(true);
        let before = fixture.dump();
        let foretold = bulk(&fixture, &owner, dry).expect(200).body;
        assert_eq!(fixture.dump(), before, "{more}");
        let done = bulk(&fixture, &owner, body.clone()).expect(200).body;
        assert_eq!(
            (&done["count"], &done["ids"], &done["skipped"]),
            (&json!(3), &json!(ids), &json!([])),
            "{more}"
        );
        assert_eq!((&foretold["ids"], &foretold[promise]), (&done["ids"], &Value::Null), "{more}");
        assert!(done[promise].is_string() && done["pendingKeys"].is_null(), "{more}");
        let entries = fixture.get(&owner, "/audit?limit=3").body["entries"].clone();
        for (n, id) in ids.iter().enumerate() {
            assert_eq!(show(&fixture, &owner, id)[field], value, "{more}");
            assert_eq!(entries[2 - n]["action"], action);
            assert_eq!(entries[2 - n]["target"], **id);
        }
        let again = bulk(&fixture, &owner, body).expect(200).body;
        assert_eq!((&again["count"], again["skipped"].as_array().unwrap().len()), (&json!(0), 3), "{more}");
    }
    assert_eq!(fixture.published(&ids[2]).unwrap().status, Status::Revoked);
}

#[test]
fn a_filter_changes_a_hundred_keys_a_call_and_repeating_it_finishes() {
    let (fixture, owner) = RegistryFixture::open();
    let other = fixture.key(&owner, json!({})).key_id();
    let key = fixture.key(&owner, json!({"tags": ["old"]})).key_id();
    crate::many_keys::fill(&fixture, &key, 149);
    let body = |dry: bool| json!({"filter": {"tag": "old", "unusedDays": 1}, "dryRun": dry});
    let revoke = |dry: bool| fixture.post(&owner, "/api-keys/bulk-revoke", body(dry)).expect(200).body;
    assert_eq!(revoke(true)["total"], 0, "they were made today");
    fixture.later(DAY);
    let owner = fixture.sign_in("owner@example.com");
    let revoke = |dry: bool| fixture.post(&owner, "/api-keys/bulk-revoke", body(dry)).expect(200).body;
    let foretold = revoke(true);
    assert_eq!(
        (&foretold["total"], &foretold["count"], &foretold["more"]),
        (&json!(150), &json!(100), &json!(true))
    );
    let first = revoke(false);
    assert_eq!((&first["ids"], &first["more"]), (&foretold["ids"], &json!(true)));
    assert!(first["refusedEverywhereBy"].is_string());
    fixture.later(60 * SECOND);
    let second = revoke(false);
    assert_eq!((&second["count"], &second["more"]), (&json!(50), &json!(false)));
    fixture.later(60 * SECOND);
    assert_eq!(revoke(false)["count"], 0);
    assert_eq!(show(&fixture, &owner, &other)["status"], "ACTIVE");
    assert_eq!(show(&fixture, &owner, &key)["status"], "REVOKED");
}

#[test]
fn what_cannot_be_changed_is_skipped_with_why_and_the_rest_is_done() {
    let (fixture, owner) = RegistryFixture::open();
    let (other, _) = fixture.tenant(&owner, "other");
    let foreign = fixture.key(&other, json!({})).key_id();
    let full: Vec<String> = (0..20).map(|n| format!("tag {n}")).collect();
    let full = fixture.key(&owner, json!({"tags": full})).key_id();
    let ended = fixture.key(&owner, json!({})).key_id();
    fixture.post(&owner, &format!("/api-keys/{ended}/revoke"), json!({})).expect(200);
    let fine = fixture.key(&owner, json!({})).key_id();
    let done =
        bulk(&fixture, &owner, json!({"ids": [foreign, full, ended, fine], "action": "tag", "tag": "t"}));
    assert_eq!(done.expect(200).body["ids"], json!([fine]));
    let done =
        bulk(&fixture, &owner, json!({"ids": [foreign, full, ended], "action": "tag", "tag": "t"})).body;
    let why: Vec<&str> =
        done["skipped"].as_array().unwrap().iter().map(|it| it["why"].as_str().unwrap()).collect();
    assert!(why[0].starts_with("There is no such API key"), "{why:?}");
    assert!(why[1].starts_with("The key has 20 tags"), "{why:?}");
    assert!(why[2].starts_with("The key is revoked"), "{why:?}");
    assert_eq!(fixture.get(&other, &format!("/api-keys/{foreign}")).body["apiKey"]["tags"], json!([]));
}

#[test]
fn each_key_is_guarded_as_if_it_were_changed_alone() {
    let policy = policy_with(|realm| realm.step_up = &[KeyAction::Revoke]);
    let (fixture, owner) = RegistryFixture::open_over(policy);
    let ids = keys(&fixture, &owner, 2);
    let revoke = json!({"ids": ids, "action": "revoke"});
    let before = fixture.dump();
    bulk(&fixture, &owner, revoke.clone()).refused(403, "STEP_UP_REQUIRED");
    assert_eq!(fixture.dump(), before);
    bulk(&fixture, &owner, json!({"ids": ids, "action": "tag", "tag": "t"})).expect(200);
    fixture.post(&owner, "/session/step-up", json!({"password": PASSWORD})).expect(204);
    assert_eq!(bulk(&fixture, &owner, revoke).expect(200).body["count"], 2);

    let (fixture, owner) = RegistryFixture::open();
    let manager = format!("key:{}", fixture.key(&owner, json!({"scopes": ["admin:write"]})).key_id());
    let admin = fixture.key(&owner, json!({"scopes": ["admin:read"]})).key_id();
    let plain = fixture.key(&owner, json!({})).key_id();
    let body = json!({"ids": [admin, plain], "action": "expire", "expiresAt": NOON.plus(DAY).to_rfc3339()});
    let done = bulk(&fixture, &manager, body).expect(200).body;
    assert_eq!((&done["ids"], &done["skipped"][0]["id"]), (&json!([plain]), &json!(admin)));
    let (viewer, _) = fixture.member(&owner, "v@example.com", "viewer");
    bulk(&fixture, &viewer, json!({"ids": [plain], "action": "revoke"})).refused(403, "FORBIDDEN");
}

#[test]
fn what_a_bulk_call_lacks_or_has_too_much_is_named() {
    let (fixture, owner) = RegistryFixture::open();
    let many: Vec<String> = (0..101).map(|n| format!("key_{n}")).collect();
    for (body, field) in [
        (json!({"ids": ["key_1"]}), "action"),
        (json!({"ids": ["key_1"], "action": "delete"}), "action"),
        (json!({"action": "revoke"}), "filter"),
        (json!({"action": "revoke", "filter": {}}), "filter"),
        (json!({"action": "revoke", "filter": {"tag": "t"}, "ids": ["key_1"]}), "filter"),
        (json!({"action": "revoke", "filter": {"tags": "t"}}), "filter.tags"),
        (json!({"action": "revoke", "filter": {"unusedDays": 0}}), "filter.unusedDays"),
        (json!({"action": "revoke", "ids": many}), "ids"),
        (json!({"action": "tag", "ids": ["key_1"]}), "tag"),
        (json!({"action": "revoke", "ids": ["key_1"], "tag": "t"}), "tag"),
        (json!({"action": "expire", "ids": ["key_1"]}), "expiresAt"),
        (json!({"action": "pause", "ids": ["key_1"], "reason": "r"}), "reason"),
    ] {
        let answer = bulk(&fixture, &owner, body.clone());
        answer.refused(400, "VALIDATION_FAILED");
        assert_eq!(answer.fields()[0], field, "{body}");
    }
}
