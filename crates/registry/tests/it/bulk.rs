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
fn a_filter_leaves_out_the_keys_to_which_it_has_been_done() {
    let (fixture, owner) = RegistryFixture::open();
    keys(&fixture, &owner, 2);
    for more in [
        json!({"action": "pause"}),
        json!({"action": "resume"}),
        json!({"action": "tag", "tag": "new"}),
        json!({"action": "untag", "tag": "new"}),
        json!({"action": "expire", "expiresAt": NOON.plus(DAY).to_rfc3339()}),
        json!({"action": "revoke"}),
    ] {
        let mut body = json!({"filter": {"tag": "old"}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        for count in [2, 0] {
            let done = bulk(&fixture, &owner, body.clone()).expect(200).body;
            let seen = (&done["count"], &done["total"], &done["skipped"]);
            assert_eq!(seen, (&json!(count), &json!(count), &json!([])), "{more}");
        }
    }
}

#[test]
fn tags_that_are_more_than_a_tenant_may_keep_are_put_on_no_key() {
    let (fixture, owner) = RegistryFixture::open();
    let ids = keys(&fixture, &owner, 3);
    let used = fixture.get(&owner, "/quotas").body["quotas"]["keyBytes"]["used"].as_u64().unwrap();
    let tenant = fixture.get(&owner, "/session").body["tenant"]["id"].as_str().unwrap().to_owned();
    let quotas = json!({"quotas": {"keyBytes": used + 50}});
    fixture.patch(&owner, &format!("/tenants/{tenant}"), quotas).expect(200);
    let tag = json!({"ids": ids, "action": "tag", "tag": "a tag of some length"});
    bulk(&fixture, &owner, tag).refused(409, "QUOTA_EXCEEDED");
    assert!(ids.iter().all(|id| show(&fixture, &owner, id)["tags"] == json!(["old"])));
}

#[test]
fn a_filter_goes_on_past_keys_that_were_skipped_and_comes_to_an_end() {
    let (fixture, owner) = RegistryFixture::open();
    let fine = keys(&fixture, &owner, 2);
    // A tag more than a key can have.
    let full: Vec<String> = (0..19).map(|n| format!("tag {n}")).chain(["old".to_owned()]).collect();
    let full = fixture.key(&owner, json!({"tags": full})).key_id();
    crate::many_keys::fill(&fixture, &full, 149);
    let late = keys(&fixture, &owner, 1);
    let call = |cursor: &Value, dry: bool| {
        let filter = json!({"tag": "old"});
        let body = json!({"filter": filter, "cursor": cursor, "action": "tag", "tag": "new", "dryRun": dry});
        bulk(&fixture, &owner, body).expect(200).body
    };
    for dry in [true, false] {
        let (mut changed, mut skipped, mut cursor, mut calls) = (Vec::new(), 0, Value::Null, 0);
        loop {
            let answer = call(&cursor, dry);
            let ids = answer["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned());
            changed.extend(ids);
            skipped += answer["skipped"].as_array().unwrap().len();
            calls += 1;
            cursor = answer["nextCursor"].clone();
            assert_eq!(answer["more"], !cursor.is_null());
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(
            (changed, skipped, calls),
            (vec![late[0].clone(), fine[1].clone(), fine[0].clone()], 150, 2)
        );
    }
    let again = call(&Value::Null, false);
    assert_eq!((&again["count"], &again["total"], &again["more"]), (&json!(0), &json!(150), &json!(true)));
    // A cursor is of this list, of this tenant, and only for a filter.
    let cursor = &again["nextCursor"];
    let (other, _) = fixture.tenant(&owner, "other");
    let revoke = |token: &str, body: Value| fixture.post(token, "/api-keys/bulk-revoke", body);
    assert_eq!(revoke(&other, json!({"filter": {"tag": "old"}, "cursor": cursor})).fields(), ["cursor"]);
    let of_list = fixture.get(&owner, "/api-keys?limit=1").body["nextCursor"].clone();
    assert_eq!(revoke(&owner, json!({"filter": {"tag": "old"}, "cursor": of_list})).fields(), ["cursor"]);
    let of_ids = json!({"ids": fine, "cursor": cursor, "action": "pause"});
    assert_eq!(bulk(&fixture, &owner, of_ids).fields(), ["cursor"]);
    let revoked =
        revoke(&owner, json!({"filter": {"tag": "old"}, "cursor": cursor, "dryRun": true})).expect(200);
    assert_eq!(revoked.body["count"], 52, "those after the cursor");
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
