//! Keys paused and resumed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::{PAUSED, Status},
    sql::Sql,
    time::{DAY, SECOND, Timestamp},
};
use keyward_testing::{
    NOON,
    registry_fixture::{Answer, RegistryFixture},
};
use serde_json::{Value, json};

use crate::quotas::policy;

fn send(fixture: &RegistryFixture, owner: &str, id: &str, what: &str) -> Answer {
    fixture.post(owner, &format!("/api-keys/{id}/{what}"), json!({}))
}

fn entries(fixture: &RegistryFixture, owner: &str) -> Value {
    fixture.get(owner, "/audit/verify").body["entries"].clone()
}

#[test]
fn a_paused_key_is_published_as_paused_and_a_resumed_one_as_it_was_and_repeating_either_is_harmless() {
    let (fixture, owner) = RegistryFixture::open();
    let end = NOON.plus(DAY);
    let id = fixture.key(&owner, json!({"expiresAt": end.to_rfc3339()})).key_id();
    let before = fixture.published(&id).unwrap();
    fixture.later(SECOND);
    let first = send(&fixture, &owner, &id, "pause").expect(200);
    assert_eq!(first.body["apiKey"]["status"], "PAUSED");
    assert_eq!(first.body["apiKey"]["pausedAt"], NOON.plus(SECOND).to_rfc3339());
    assert_eq!(first.body["apiKey"]["expiresAt"], end.to_rfc3339());
    assert_eq!(first.body["refusedEverywhereBy"], NOON.plus(6 * SECOND).to_rfc3339());
    assert_eq!(first.header("ETag"), Some("\"2\""));
    let paused = fixture.published(&id).unwrap();
    assert_eq!((paused.status, paused.paused, paused.expires_at), (Status::Active, true, Some(PAUSED)));
    assert_eq!(fixture.record(&id), paused);
    let entry = &fixture.get(&owner, "/audit?limit=1").body["entries"][0];
    assert_eq!(entry["action"], "key.pause");
    assert_eq!((&entry["before"]["status"], &entry["after"]["status"]), (&"ACTIVE".into(), &"PAUSED".into()));
    let audited = entries(&fixture, &owner);
    fixture.later(SECOND);
    assert_eq!(send(&fixture, &owner, &id, "pause").expect(200).body, first.body);
    assert_eq!(entries(&fixture, &owner), audited);

    let resumed = send(&fixture, &owner, &id, "resume").expect(200);
    assert_eq!(resumed.body["apiKey"]["status"], "ACTIVE");
    assert_eq!(resumed.body["apiKey"]["pausedAt"], Value::Null);
    assert_eq!(resumed.body["effectiveEverywhereBy"], NOON.plus(7 * SECOND).to_rfc3339());
    let published = fixture.published(&id).unwrap();
    assert_eq!(published, keyward_core::record::Record { version: 3, ..before });
    assert_eq!(fixture.get(&owner, "/audit?limit=1").body["entries"][0]["action"], "key.resume");
    let audited = entries(&fixture, &owner);
    assert_eq!(send(&fixture, &owner, &id, "resume").expect(200).body, resumed.body);
    assert_eq!(entries(&fixture, &owner), audited);
}

#[test]
fn a_paused_key_can_be_edited_and_revoked_and_neither_rotated_nor_used_here() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({"scopes": ["admin:read"]})).key_id();
    let path = format!("/api-keys/{id}");
    let token = format!("key:{id}");
    fixture.get(&token, "/quotas").expect(200);
    send(&fixture, &owner, &id, "pause").expect(200);
    fixture.get(&token, "/quotas").refused(401, "UNAUTHENTICATED");
    send(&fixture, &owner, &id, "rotate").refused(409, "CONFLICT");
    let end = NOON.plus(DAY).to_rfc3339();
    let edited = fixture.patch(&owner, &path, json!({"name": "new", "expiresAt": end})).expect(200);
    assert_eq!(edited.body["apiKey"]["status"], "PAUSED");
    assert_eq!(edited.body["apiKey"]["expiresAt"], end);
    assert_eq!(fixture.published(&id).unwrap().expires_at, Some(PAUSED));
    let resumed = send(&fixture, &owner, &id, "resume").expect(200);
    assert_eq!(resumed.body["apiKey"]["expiresAt"], end);
    assert_eq!(fixture.published(&id).unwrap().expires_at, Timestamp::parse_rfc3339(&end));

    send(&fixture, &owner, &id, "pause").expect(200);
    let revoked = send(&fixture, &owner, &id, "revoke").expect(200);
    assert_eq!(revoked.body["apiKey"]["status"], "REVOKED");
    assert_eq!(revoked.body["apiKey"]["pausedAt"], Value::Null);
    assert_eq!(revoked.body["apiKey"]["expiresAt"], end);
    assert!(!fixture.published(&id).unwrap().paused);
    send(&fixture, &owner, &id, "pause").refused(409, "CONFLICT");
    send(&fixture, &owner, &id, "resume").refused(409, "CONFLICT");
}

#[test]
fn a_key_whose_expiry_passes_while_it_is_paused_stays_paused_until_it_has_a_later_one() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({"expiresAt": NOON.plus(5 * SECOND).to_rfc3339()})).key_id();
    send(&fixture, &owner, &id, "pause").expect(200);
    let listed = |status: &str| {
        let list = fixture.get(&owner, &format!("/api-keys?status={status}")).expect(200);
        list.body["apiKeys"].as_array().unwrap().len()
    };
    assert_eq!((listed("PAUSED"), listed("EXPIRED"), listed("ACTIVE")), (1, 0, 0));
    fixture.later(5 * SECOND);
    // As the gate says, and as it counts.
    assert_eq!((listed("PAUSED"), listed("EXPIRED"), listed("ACTIVE")), (1, 0, 0));
    let path = format!("/api-keys/{id}");
    assert_eq!(fixture.get(&owner, &path).body["apiKey"]["status"], "PAUSED");
    assert!(fixture.published(&id).unwrap().paused);
    let used = fixture.get(&owner, "/quotas").body["quotas"].clone();
    assert_eq!((&used["keys"]["used"], &used["endedKeys"]["used"]), (&json!(1), &json!(0)));
    let refusal = send(&fixture, &owner, &id, "resume");
    refusal.refused(409, "CONFLICT");
    assert!(refusal.text.contains("Give it a later `expiresAt` first"), "{}", refusal.text);
    let resumed = |body: Value| fixture.post(&owner, "/api-keys/bulk", body).expect(200).body;
    let skipped = resumed(json!({"filter": {"status": "PAUSED"}, "action": "resume"}));
    assert_eq!((&skipped["count"], &skipped["skipped"][0]["id"]), (&json!(0), &json!(id)));
    assert_eq!(resumed(json!({"ids": [id], "action": "resume"}))["skipped"], skipped["skipped"]);
    assert_eq!(fixture.published(&id).unwrap().expires_at, Some(PAUSED));

    assert_eq!(resumed(json!({"filter": {"status": "PAUSED"}, "action": "tag", "tag": "t"}))["count"], 1);
    fixture.patch(&owner, &path, json!({"expiresAt": NOON.plus(DAY).to_rfc3339()})).expect(200);
    assert_eq!(send(&fixture, &owner, &id, "resume").expect(200).body["apiKey"]["status"], "ACTIVE");
    fixture.later(DAY);
    let owner = fixture.sign_in("owner@example.com");
    assert_eq!(fixture.get(&owner, &path).body["apiKey"]["status"], "EXPIRED");
    send(&fixture, &owner, &id, "pause").refused(409, "CONFLICT");
}

#[test]
fn a_pause_of_another_version_is_refused() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let with = |what: &str, if_match: &str| {
        let mut call = fixture.call("POST", &owner, &format!("/api-keys/{id}/{what}"), json!({}));
        call.if_match = Some(if_match.into());
        fixture.send(call)
    };
    with("pause", "\"2\"").refused(412, "VERSION_MISMATCH");
    with("pause", "\"1\"").expect(200);
    with("resume", "\"1\"").refused(412, "VERSION_MISMATCH");
    with("resume", "\"2\"").expect(200);
    assert_eq!(
        fixture.post(&owner, &format!("/api-keys/{id}/pause"), json!({"until": "x"})).fields(),
        ["until"]
    );
}

#[test]
fn a_paused_key_counts_as_a_key_and_does_not_give_way_to_newer_ones() {
    let (fixture, owner) =
        RegistryFixture::open_over(policy(|quotas| (quotas.keys, quotas.ended_keys) = (2, 0)));
    let id = fixture.key(&owner, json!({})).key_id();
    send(&fixture, &owner, &id, "pause").expect(200);
    let other = fixture.key(&owner, json!({})).key_id();
    let third = fixture.post(&owner, "/api-keys", json!({"name": "n", "scopes": ["orders:read"]}));
    third.refused(409, "QUOTA_EXCEEDED");
    for _ in 0..3 {
        let replaced = json!({"revokeOld": true});
        let list = fixture.get(&owner, "/api-keys?status=ACTIVE").body["apiKeys"].clone();
        let active = list[0]["id"].as_str().unwrap();
        fixture.post(&owner, &format!("/api-keys/{active}/rotate"), replaced).expect(201);
    }
    fixture.get(&owner, &format!("/api-keys/{other}")).refused(404, "NOT_FOUND");
    // What a build that knows no pauses removes are keys that expired long ago.
    fixture.db.run("DELETE FROM keys WHERE expires_at <= ?", &[NOON.into()]).unwrap();
    send(&fixture, &owner, &id, "resume").expect(200);
}
