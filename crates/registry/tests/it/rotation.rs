//! Keys rotated more than once: a grace ends the key that it was given to, and no other.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    sql::Sql,
    time::{SECOND, Span},
};
use keyward_registry::schema;
use keyward_testing::NOON;
use keyward_testing::registry_fixture::{Answer, RegistryFixture};
use serde_json::{Value, json};

struct Stage {
    fixture: RegistryFixture,
    owner: String,
}

impl Stage {
    fn open() -> Self {
        let (fixture, owner) = RegistryFixture::open();
        // Not a whole second, as hardly any moment is.
        fixture.later(Span::from_ms(123));
        Self { fixture, owner }
    }

    fn key(&self, expires_at: &Value) -> String {
        self.fixture.key(&self.owner, json!({ "expiresAt": expires_at })).key_id()
    }

    fn rotate(&self, id: &str, body: Value) -> Answer {
        self.fixture.later(SECOND);
        self.fixture.post(&self.owner, &format!("/api-keys/{id}/rotate"), body)
    }

    fn expiry(&self, id: &str) -> Value {
        self.fixture.get(&self.owner, &format!("/api-keys/{id}")).expect(200).body["apiKey"]["expiresAt"]
            .clone()
    }
}

fn fates() -> [Value; 4] {
    [json!({}), json!({"revokeOld": false}), json!({"revokeOld": true}), json!({"graceSeconds": 600})]
}

#[test]
fn a_key_rotated_again_in_its_grace_makes_one_that_lives_as_long_as_the_first_one_made() {
    for own in [Value::Null, json!(NOON.plus(3_600 * SECOND).to_rfc3339())] {
        for ending in fates() {
            let stage = Stage::open();
            let old = stage.key(&own);
            let first = stage.rotate(&old, json!({"graceSeconds": 60})).expect(201);
            let end = first.body["previous"]["expiresAt"].clone();
            assert_eq!(end, NOON.plus(Span::from_ms(123) + SECOND + 60 * SECOND).to_rfc3339());
            // The answer was lost; somebody asks again, and once more.
            for _ in 0..2 {
                let again = stage.rotate(&old, ending.clone());
                if again.status == 409 {
                    assert_eq!(ending, json!({"revokeOld": true}), "only of what is revoked");
                    break;
                }
                let again = again.expect(201);
                assert_eq!(again.body["apiKey"]["expiresAt"], own, "{ending}");
                assert_eq!(
                    stage.fixture.published(&again.key_id()).unwrap().expires_at.is_some(),
                    !own.is_null()
                );
                assert_eq!(again.body["previous"]["expiresAt"], end, "the old key's end does not move");
                let newest = stage.rotate(&again.key_id(), json!({})).expect(201);
                assert_eq!(newest.body["apiKey"]["expiresAt"], own, "nor does what is made from that one");
            }
            assert_eq!(stage.expiry(&first.key_id()), own, "the first one made lives on");
        }
    }
}

#[test]
fn each_key_of_a_chain_of_graces_ends_alone() {
    let stage = Stage::open();
    let mut ids = vec![stage.key(&Value::Null)];
    for grace in [600, 500, 400, 300] {
        ids.push(stage.rotate(ids.last().unwrap(), json!({ "graceSeconds": grace })).expect(201).key_id());
    }
    for id in ids.iter().take(4) {
        assert_ne!(stage.expiry(id), Value::Null);
    }
    stage.fixture.later(700 * SECOND);
    for id in ids.iter().take(4) {
        stage.rotate(id, json!({})).refused(409, "CONFLICT");
    }
    assert_eq!(stage.expiry(&ids[4]), Value::Null);
    stage.rotate(&ids[4], json!({})).expect(201);
}

#[test]
fn an_edit_in_a_grace_leaves_the_own_expiry_what_it_is_unless_it_sets_one() {
    let stage = Stage::open();
    let own = json!(NOON.plus(3_600 * SECOND).to_rfc3339());
    let in_grace = || {
        let id = stage.key(&own);
        stage.rotate(&id, json!({"graceSeconds": 60})).expect(201);
        id
    };
    let edit = |id: &str, change: Value| {
        stage.fixture.patch(&stage.owner, &format!("/api-keys/{id}"), change).expect(200).body["apiKey"]["expiresAt"].clone()
    };
    let made_from = |id: &str| stage.rotate(id, json!({})).expect(201).body["apiKey"]["expiresAt"].clone();

    let id = in_grace();
    let end = stage.expiry(&id);
    assert_eq!(edit(&id, json!({"name": "another"})), end);
    assert_eq!(edit(&id, json!({"name": "as shown", "expiresAt": end})), end, "sent back as it was shown");
    assert_eq!(made_from(&id), own);

    for set in [Value::Null, json!("2100-01-01T00:00:00.000Z")] {
        let id = in_grace();
        assert_eq!(edit(&id, json!({"expiresAt": set})), set);
        assert_eq!(made_from(&id), set, "it is the key's own from then on");
        let again = stage.rotate(&id, json!({"graceSeconds": 60})).expect(201);
        assert_eq!(again.body["apiKey"]["expiresAt"], set);
        assert_eq!(made_from(&id), set);
    }
}

#[test]
fn a_key_that_no_longer_holds_says_which_one_replaced_it() {
    let stage = Stage::open();
    for body in [json!({"revokeOld": true}), json!({"graceSeconds": 0})] {
        let id = stage.key(&Value::Null);
        let successor = stage.rotate(&id, body).expect(201).key_id();
        let again = stage.rotate(&id, json!({}));
        again.refused(409, "CONFLICT");
        assert!(again.body["detail"].as_str().unwrap().contains(&successor), "{}", again.text);
    }
}

#[test]
fn keys_that_were_in_a_grace_before_own_expiries_were_kept_have_theirs_from_what_replaced_them() {
    let stage = Stage::open();
    let own = json!(NOON.plus(3_600 * SECOND).to_rfc3339());
    let (bound, unbound, alone) = (stage.key(&own), stage.key(&Value::Null), stage.key(&own));
    for id in [&bound, &unbound] {
        stage.rotate(id, json!({"graceSeconds": 600})).expect(201);
    }
    stage.rotate(&alone, json!({})).expect(201);
    stage.fixture.db.run("UPDATE keys SET grace_ends_at = NULL, own_expires_at = NULL", &[]).unwrap();
    assert_eq!(
        stage.rotate(&bound, json!({})).expect(201).body["apiKey"]["expiresAt"],
        stage.expiry(&bound),
        "as it was"
    );
    let restored = |id: &str| {
        stage.fixture.db.run("UPDATE keys SET grace_ends_at = NULL, own_expires_at = NULL", &[]).unwrap();
        let update = schema::MIGRATIONS[5].split(';').next_back().unwrap();
        stage.fixture.db.run(update, &[]).unwrap();
        stage.rotate(id, json!({})).expect(201).body["apiKey"]["expiresAt"].clone()
    };
    assert_eq!(restored(&unbound), Value::Null);
    assert_eq!(restored(&alone), own);
    // What replaced this one last has its end from the grace too, and says nothing: no key outlives what is known.
    assert_eq!(restored(&bound), stage.expiry(&bound));
}
