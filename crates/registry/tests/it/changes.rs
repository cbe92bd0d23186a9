//! API keys edited, revoked and rotated, and what else changes what a key may do.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::Status,
    time::{SECOND, Timestamp},
};
use keyward_policy::{KeyAction, Policy};
use keyward_registry::freshness::Telling;
use keyward_testing::NOON;
use keyward_testing::registry_fixture::{PASSWORD, RegistryFixture, policy_with};
use serde_json::{Value, json};

/// As every answer writes them.
fn limits(per_minute: u32) -> Value {
    json!({
        "perSecond": null, "perMinute": per_minute, "perHour": null, "perDay": null, "perMonth": null, "total": null,
        "inFlight": null
    })
}

#[test]
fn an_edit_changes_every_field_and_is_promised_everywhere() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let path = format!("/api-keys/{id}");
    fixture.later(SECOND);
    let change = json!({
        "name": "new", "scopes": ["orders:*"], "rateLimit": limits(5), "allowedIps": ["10.0.0.0/8"],
        "tags": ["a"], "metadata": {"k": "v"}, "expiresAt": "2040-01-01T00:00:00.000Z"
    });
    let answer = fixture.patch(&owner, &path, change.clone()).expect(200);
    for (name, value) in change.as_object().unwrap() {
        assert_eq!(&answer.body["apiKey"][name], value);
    }
    assert_eq!(answer.body["apiKey"]["version"], 2);
    assert_eq!(answer.header("ETag"), Some("\"2\""));
    assert_eq!(answer.body["effectiveEverywhereBy"], NOON.plus(6 * SECOND).to_rfc3339());
    assert_eq!(fixture.record(&id), fixture.published(&id).unwrap());
    assert_eq!(fixture.record(&id).scopes, ["orders:*"]);

    // Repeating it changes nothing: no version, no audit entry, the promise of the first time.
    fixture.later(SECOND);
    let entries = fixture.get(&owner, "/audit/verify").body["entries"].clone();
    let again = fixture.patch(&owner, &path, change).expect(200);
    assert_eq!(again.body, answer.body);
    assert_eq!(fixture.get(&owner, "/audit/verify").body["entries"], entries);
    let cleared = json!({"rateLimit": null, "expiresAt": null, "allowedIps": null});
    let cleared = fixture.patch(&owner, &path, cleared).expect(200);
    assert_eq!(cleared.body["apiKey"]["expiresAt"], Value::Null);
    assert_eq!(cleared.body["apiKey"]["effectiveRateLimit"]["perMinute"], 600);
}

#[test]
fn what_a_key_is_cannot_be_edited() {
    let (fixture, owner) = RegistryFixture::open();
    let path = format!("/api-keys/{}", fixture.key(&owner, json!({})).key_id());
    for field in ["kind", "realm", "id", "status", "version", "tenantId"] {
        assert_eq!(fixture.patch(&owner, &path, json!({field: "x"})).fields(), [field]);
    }
    assert_eq!(fixture.patch(&owner, &path, json!({"testMode": true})).fields(), ["testMode"]);
    fixture.patch(&owner, &path, json!({"testMode": false})).expect(200);
}

#[test]
fn a_mode_that_the_prefix_does_not_show_can_be_edited() {
    let (fixture, owner) = RegistryFixture::open_over(policy_with(|realm| realm.key.test_prefix = None));
    let made = fixture.key(&owner, json!({"testMode": true}));
    assert!(made.plaintext().starts_with("kw_live_"));
    let path = format!("/api-keys/{}", made.key_id());
    let live = fixture.patch(&owner, &path, json!({"testMode": false})).expect(200);
    assert_eq!(live.body["apiKey"]["testMode"], false);
}

#[test]
fn an_edit_of_another_version_is_refused() {
    let (fixture, owner) = RegistryFixture::open();
    let path = format!("/api-keys/{}", fixture.key(&owner, json!({})).key_id());
    let edit = |if_match: &str, name: &str| {
        let mut call = fixture.call("PATCH", &owner, &path, json!({"name": name}));
        call.if_match = Some(if_match.into());
        fixture.send(call)
    };
    edit("\"1\"", "b").expect(200);
    for stale in
        ["\"1\"", "W/\"1\"", "W/\"3\"", "w/\"2\"", "W/2", "2", "\"3\", \"4\"", "\"3\", *", "W/W/\"2\"", ""]
    {
        edit(stale, "c").refused(412, "VERSION_MISMATCH");
    }
    edit("\"1\", \"2\"", "d").expect(200);
    edit("*", "e").expect(200);
    // As whatever compresses answers on the way weakens it.
    edit("W/\"4\"", "f").expect(200);
    edit("W/\"4\",\tW/\"5\" ", "g").expect(200);
}

#[test]
fn a_revoked_key_stays_revoked_and_repeating_it_is_harmless() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let path = format!("/api-keys/{id}");
    let revoke = || fixture.post(&owner, &format!("{path}/revoke"), json!({"reason": "leaked"})).expect(200);
    let first = revoke();
    assert_eq!(first.body["apiKey"]["status"], "REVOKED");
    assert_eq!(first.body["apiKey"]["revokeReason"], "leaked");
    assert_eq!(first.body["refusedEverywhereBy"], NOON.plus(5 * SECOND).to_rfc3339());
    assert_eq!(fixture.published(&id).unwrap().status, Status::Revoked);
    fixture.later(60 * SECOND);
    assert_eq!(revoke().body, first.body);
    fixture.patch(&owner, &path, json!({"name": "x"})).refused(409, "CONFLICT");
    fixture.post(&owner, &format!("{path}/rotate"), json!({})).refused(409, "CONFLICT");
}

#[test]
fn an_expired_key_can_be_revoked_and_nothing_else() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({"expiresAt": NOON.plus(5 * SECOND).to_rfc3339()})).key_id();
    let path = format!("/api-keys/{id}");
    fixture.later(5 * SECOND);
    assert_eq!(fixture.get(&owner, &path).body["apiKey"]["status"], "EXPIRED");
    fixture.patch(&owner, &path, json!({"expiresAt": null})).refused(409, "CONFLICT");
    fixture.post(&owner, &format!("{path}/rotate"), json!({})).refused(409, "CONFLICT");
    fixture.post(&owner, &format!("{path}/revoke"), json!({})).expect(200);
}

#[test]
fn rotation_keeps_the_old_key_unless_told_otherwise() {
    let (fixture, owner) = RegistryFixture::open();
    let settings = json!({"scopes": ["orders:*"], "tags": ["t"], "rateLimit": limits(9)});
    let old = fixture.key(&owner, settings.clone());
    let rotated =
        fixture.post(&owner, &format!("/api-keys/{}/rotate", old.key_id()), Value::Null).expect(201);
    assert_ne!(rotated.plaintext(), old.plaintext());
    for (name, value) in settings.as_object().unwrap() {
        assert_eq!(&rotated.body["apiKey"][name], value);
    }
    assert_eq!(rotated.body["apiKey"]["rotatedFrom"], *old.key_id());
    assert_eq!(rotated.body["previous"], json!({"id": old.key_id(), "status": "ACTIVE", "expiresAt": null}));
    let read = fixture.get(&owner, &format!("/api-keys/{}", old.key_id()));
    assert_eq!(read.body["apiKey"]["rotatedTo"], *rotated.key_id());
    assert_eq!(fixture.record(&old.key_id()).version, 1);
}

#[test]
fn rotation_can_revoke_the_old_key_at_once() {
    let (fixture, owner) = RegistryFixture::open();
    let old = fixture.key(&owner, json!({})).key_id();
    let rotated =
        fixture.post(&owner, &format!("/api-keys/{old}/rotate"), json!({"revokeOld": true})).expect(201);
    assert_eq!(rotated.body["previous"]["status"], "REVOKED");
    assert_eq!(rotated.body["previous"]["refusedEverywhereBy"], NOON.plus(5 * SECOND).to_rfc3339());
    assert_eq!(fixture.published(&old).unwrap().status, Status::Revoked);
    assert_eq!(fixture.published(&rotated.key_id()).unwrap().status, Status::Active);
}

#[test]
fn a_grace_never_outlives_the_old_keys_own_expiry() {
    let (fixture, owner) = RegistryFixture::open();
    let rotate = |fields: Value, grace: Value| {
        let id = fixture.key(&owner, fields).key_id();
        (id.clone(), fixture.post(&owner, &format!("/api-keys/{id}/rotate"), json!({"graceSeconds": grace})))
    };
    let (id, answer) = rotate(json!({}), json!(60));
    let answer = answer.expect(201);
    assert_eq!(answer.body["previous"]["status"], "ACTIVE");
    assert_eq!(answer.body["previous"]["expiresAt"], NOON.plus(60 * SECOND).to_rfc3339());
    assert_eq!(answer.body["previous"]["refusedEverywhereBy"], NOON.plus(60 * SECOND).to_rfc3339());
    assert_eq!(fixture.published(&id).unwrap().expires_at, Some(NOON.plus(60 * SECOND)));
    let own = NOON.plus(30 * SECOND).to_rfc3339();
    let (_, answer) = rotate(json!({"expiresAt": own}), json!(60));
    assert_eq!(answer.body["previous"]["expiresAt"], own);
    let (_, answer) = rotate(json!({}), json!(0));
    assert_eq!(answer.body["previous"]["status"], "EXPIRED");
    assert_eq!(answer.body["previous"]["refusedEverywhereBy"], NOON.plus(5 * SECOND).to_rfc3339());
    for wrong in [json!(-1), json!(1.5), json!("60"), json!(1e12)] {
        assert_eq!(rotate(json!({}), wrong).1.fields(), ["graceSeconds"]);
    }
    let id = fixture.key(&owner, json!({})).key_id();
    let both = fixture.post(
        &owner,
        &format!("/api-keys/{id}/rotate"),
        json!({"revokeOld": true, "graceSeconds": 5}),
    );
    assert_eq!(both.fields(), ["graceSeconds"]);
}

#[test]
fn a_repeated_rotation_gets_the_same_answer() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let rotate = || {
        let mut call =
            fixture.call("POST", &owner, &format!("/api-keys/{id}/rotate"), json!({"revokeOld": true}));
        call.idempotency_key = Some("r".into());
        fixture.send(call).expect(201)
    };
    let first = rotate();
    assert_eq!(rotate().body, first.body);
    assert_eq!(fixture.get(&owner, "/api-keys").body["apiKeys"].as_array().unwrap().len(), 2);
}

#[test]
fn what_the_realm_asks_a_fresh_password_for_is_refused_without_one() {
    let policy =
        policy_with(|realm| realm.step_up = &[KeyAction::Create, KeyAction::Rotate, KeyAction::Revoke]);
    let (fixture, owner) = RegistryFixture::open_over(policy);
    let body = json!({"name": "n", "scopes": ["*"]});
    fixture.post(&owner, "/api-keys", body.clone()).refused(403, "STEP_UP_REQUIRED");
    fixture.post(&owner, "/session/step-up", json!({"password": PASSWORD})).expect(204);
    let id = fixture.post(&owner, "/api-keys", body.clone()).expect(201).key_id();
    fixture.later(5 * 60 * SECOND);
    for action in ["rotate", "revoke"] {
        fixture.post(&owner, &format!("/api-keys/{id}/{action}"), json!({})).refused(403, "STEP_UP_REQUIRED");
    }
    fixture.patch(&owner, &format!("/api-keys/{id}"), json!({"name": "m"})).expect(200);
    for change in [json!({"scopes": ["orders:read"]}), json!({"expiresAt": "2100-01-01T00:00:00Z"})] {
        fixture.patch(&owner, &format!("/api-keys/{id}"), change).refused(403, "STEP_UP_REQUIRED");
    }
    fixture
        .post(&format!("key:{id}"), "/api-keys", json!({"name": "n", "scopes": ["orders:read"]}))
        .refused(403, "FORBIDDEN");
    fixture.post(&owner, "/session/step-up", json!({"password": PASSWORD})).expect(204);
    fixture.post(&owner, &format!("/api-keys/{id}/rotate"), json!({})).expect(201);
    // Another session of the same member is not opened by it.
    let second = fixture.sign_in("owner@example.com");
    fixture.post(&second, &format!("/api-keys/{id}/revoke"), json!({})).refused(403, "STEP_UP_REQUIRED");
}

#[test]
fn limits_come_from_the_key_else_its_tenant_else_the_realm() {
    let (fixture, operator) = RegistryFixture::open();
    let (owner, tenant) = fixture.tenant(&operator, "shop");
    let (inheriting, own) = (
        fixture.key(&owner, json!({})).key_id(),
        fixture.key(&owner, json!({"rateLimit": {"perMinute": 5}})).key_id(),
    );
    let limits = |id: &str| fixture.published(id).unwrap().limits;
    assert_eq!((limits(&inheriting).per_minute, limits(&inheriting).per_day), (Some(600), None));
    let change = json!({"rateLimit": {"perMinute": 60, "perDay": 1000}, "plan": "pro"});
    let answer = fixture.patch(&operator, &format!("/tenants/{tenant}"), change).expect(200);
    assert_eq!(answer.body["effectiveEverywhereBy"], NOON.plus(5 * SECOND).to_rfc3339());
    assert_eq!((limits(&inheriting).per_minute, limits(&inheriting).per_day), (Some(60), Some(1000)));
    assert_eq!((limits(&own).per_minute, limits(&own).per_day), (Some(5), Some(1000)));
    assert_eq!(fixture.published(&own).unwrap().tenant.plan.as_deref(), Some("pro"));
    assert_eq!(fixture.published(&own).unwrap().version, 2);
}

#[test]
fn a_strict_key_is_refused_everywhere_when_its_object_knows_but_not_before_older_leases_have_ended() {
    let (fixture, owner) = RegistryFixture::open();
    let refused_by = |id: &str| {
        let answer = fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
        Timestamp::parse_rfc3339(answer.body["refusedEverywhereBy"].as_str().unwrap()).unwrap()
    };
    let wait = |milliseconds| fixture.later(milliseconds);

    let strict = fixture.key(&owner, json!({"strict": true})).key_id();
    assert!(fixture.published(&strict).unwrap().strict);
    wait(5 * SECOND);
    assert_eq!(refused_by(&strict), fixture.now.get());

    let (late, again) = (fixture.key(&owner, json!({})).key_id(), fixture.key(&owner, json!({})).key_id());
    for id in [&late, &again] {
        fixture.patch(&owner, &format!("/api-keys/{id}"), json!({"strict": true})).expect(200);
    }
    let made_strict = fixture.now.get();
    wait(2 * SECOND);
    assert_eq!(refused_by(&late), made_strict.plus(5 * SECOND), "leases of before live so long");
    fixture.patch(&owner, &format!("/api-keys/{again}"), json!({"strict": false})).expect(200);
    fixture.patch(&owner, &format!("/api-keys/{again}"), json!({"strict": true})).expect(200);
    wait(4 * SECOND);
    assert_eq!(refused_by(&again), fixture.now.get().plus(SECOND), "it was not strict in between");
}

#[test]
fn a_strict_key_whose_object_could_not_be_told_promises_as_if_it_were_not_strict() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    fixture.gates_are_down.set(true);
    fixture.patch(&owner, &format!("/api-keys/{id}"), json!({"strict": true})).expect(503);
    fixture.now.set(fixture.now.get().plus(60 * SECOND));
    fixture.gates_are_down.set(false);
    let answer = fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    let by = fixture.now.get().plus(5 * SECOND).to_rfc3339();
    assert_eq!(answer.body["refusedEverywhereBy"], by);
}

#[test]
fn a_policy_with_other_limits_publishes_the_realms_keys_again() {
    let (mut fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({"rateLimit": {"perMinute": 500}})).key_id();
    let smaller: &'static Policy = policy_with(|realm| realm.limits.maximum.per_minute = Some(100));
    fixture.restart(smaller);
    fixture.alarm();
    assert_eq!(fixture.published(&id).unwrap().limits.per_minute, Some(100));
    assert_eq!(fixture.published(&id).unwrap().version, 2);
    keyward_registry::adopt(&fixture.db, smaller, fixture.now.get()).unwrap();
    assert_eq!(fixture.next_due(), None, "the same policy changes nothing");
}

#[test]
fn what_the_database_says_is_for_the_log_and_not_for_the_caller() {
    let (fixture, owner) = RegistryFixture::open();
    keyward_core::sql::Sql::run(&fixture.db, "DROP TABLE keys", &[]).unwrap();
    let outcome = fixture.step(&fixture.call("GET", &owner, "/api-keys", Value::Null));
    assert!(outcome.fault.as_ref().unwrap().to_string().contains("no such table"));
    let telling = Telling { at: fixture.now.get(), pending: 0 };
    let reply = outcome.reply(telling, "req-1");
    assert_eq!(reply.status, 503);
    assert!(reply.body.contains("STORE_UNAVAILABLE") && !reply.body.contains("table"), "{}", reply.body);
}
