//! Passkeys: who signs in and steps up with one, and everything that is refused. Keys, signatures and what is signed are real ones.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    sql::Sql,
    time::{HOUR, MINUTE, Span},
};
use keyward_testing::{
    authenticator::{Algorithm, HAS_KEY, Said, SoftPasskey, VERIFIED, encode},
    registry_fixture::{Answer, PASSWORD, RegistryFixture},
};
use serde_json::{Value, json};

const ALGORITHMS: [Algorithm; 3] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];
const SIGN_IN: &str = "/session/passkey/options";
const STEP_UP: &str = "/session/step-up/options";

/// Adds one for whoever has this session; its id.
pub fn add(fixture: &RegistryFixture, token: &str, passkey: &mut SoftPasskey) -> String {
    let options = fixture.post(token, "/passkeys/options", json!({})).expect(200).body;
    let made = passkey.made(&options).to_json();
    let answer = fixture.post(token, "/passkeys", json!({"name": "laptop", "passkey": made})).expect(201);
    answer.body["passkey"]["id"].as_str().unwrap().to_owned()
}

pub fn used(fixture: &RegistryFixture, passkey: &mut SoftPasskey) -> Said {
    passkey.used(&fixture.post("", SIGN_IN, json!({})).expect(200).body)
}

fn sign_in_with(fixture: &RegistryFixture, said: &Said) -> Answer {
    fixture.post("", "/session", json!({"passkey": said.to_json()}))
}

fn step_up_with(fixture: &RegistryFixture, token: &str, said: &Said) -> Answer {
    fixture.post(token, "/session/step-up", json!({"passkey": said.to_json()}))
}

/// A Registry whose owner has this passkey.
fn with(algorithm: Algorithm) -> (RegistryFixture, String, SoftPasskey) {
    let (fixture, owner) = RegistryFixture::open();
    let mut passkey = SoftPasskey::new(algorithm, 1);
    add(&fixture, &owner, &mut passkey);
    (fixture, owner, passkey)
}

fn audited(fixture: &RegistryFixture, owner: &str, action: &str) -> Vec<Value> {
    let found = fixture.get(owner, &format!("/audit?action={action}")).expect(200);
    found.body["entries"].as_array().unwrap().clone()
}

#[test]
fn a_passkey_of_each_algorithm_signs_in_and_steps_up() {
    for algorithm in ALGORITHMS {
        let (fixture, owner, mut passkey) = with(algorithm);
        let me = fixture.get(&owner, "/session").body["member"].clone();
        let answer = sign_in_with(&fixture, &used(&fixture, &mut passkey)).expect(201);
        assert!(answer.header("Set-Cookie").unwrap().contains("HttpOnly"));
        assert_eq!(answer.body["member"], me, "{algorithm:?}");
        let token = answer.body["token"].as_str().unwrap();
        assert_eq!(fixture.get(token, "/session").expect(200).body["steppedUpUntil"], json!(null));
        let options = fixture.post(token, STEP_UP, json!({})).expect(200).body;
        assert_eq!(options["publicKey"]["allowCredentials"][0]["id"], encode(&passkey.id));
        step_up_with(&fixture, token, &passkey.used(&options)).expect(204);
        assert!(fixture.get(token, "/session").body["steppedUpUntil"].is_string());
        let id = fixture.get(token, "/passkeys").body["passkeys"][0]["id"].clone();
        let after = |action| audited(&fixture, &owner, action)[0]["after"]["passkey"].clone();
        assert_eq!([after("session.create"), after("session.stepUp")], [id.clone(), id]);
    }
}

#[test]
fn a_session_of_a_passkey_opens_what_asks_for_a_fresh_password_for_as_long_as_one_of_a_password() {
    let (fixture, _, mut passkey) = with(Algorithm::Es256);
    let answer = sign_in_with(&fixture, &used(&fixture, &mut passkey)).expect(201);
    let token = answer.body["token"].as_str().unwrap();
    fixture.post(token, "/passkeys/options", json!({})).expect(200);
    fixture.later(5 * MINUTE + Span::from_secs(1));
    fixture.post(token, "/passkeys/options", json!({})).refused(403, "STEP_UP_REQUIRED");
    let options = fixture.post(token, STEP_UP, json!({})).body;
    step_up_with(&fixture, token, &passkey.used(&options)).expect(204);
    fixture.post(token, "/passkeys/options", json!({})).expect(200);
}

/// What is changed of what was said.
type Change = fn(&mut Said);

/// Each thing that is checked of a passkey that is used.
const WRONG: [(&str, Change); 19] = [
    ("another type", |said| said.client["type"] = "webauthn.create".into()),
    ("another challenge", |said| said.client["challenge"] = encode([7; 40]).into()),
    ("no challenge", |said| said.client["challenge"] = json!(null)),
    ("another origin", |said| said.client["origin"] = "https://gate.example.net".into()),
    ("a subdomain's origin", |said| said.client["origin"] = "https://x.gate.example".into()),
    ("another port", |said| said.client["origin"] = "https://gate.example:8443".into()),
    ("without TLS", |said| said.client["origin"] = "http://gate.example".into()),
    ("a frame of another site", |said| said.client["crossOrigin"] = true.into()),
    ("a frame that names the site", |said| said.client["topOrigin"] = "https://gate.example".into()),
    ("another host", |said| said.data[0] ^= 1),
    ("nobody there", |said| said.data[32] = VERIFIED & !1),
    ("nobody verified", |said| said.data[32] = VERIFIED & !4),
    ("copied, but not to be", |said| said.data[32] = VERIFIED | 0x10),
    ("to be copied, where it was not", |said| said.data[32] = VERIFIED | 0x08),
    ("a key in it", |said| said.data[32] |= HAS_KEY),
    ("extensions that are not there", |said| said.data[32] |= 0x80),
    ("more than there should be", |said| said.data.push(0)),
    ("less than there should be", |said| said.data.truncate(36)),
    ("nothing", |said| said.data.clear()),
];

#[test]
fn whatever_is_wrong_with_a_passkey_that_is_used_it_is_refused_alike() {
    for algorithm in ALGORITHMS {
        let (fixture, owner, mut passkey) = with(algorithm);
        let wrong = sign_in_with(&fixture, &used(&fixture, &mut SoftPasskey::new(algorithm, 9)));
        wrong.refused(401, "INVALID_CREDENTIALS");
        for (what, change) in WRONG {
            let mut said = used(&fixture, &mut passkey);
            change(&mut said);
            let answer = sign_in_with(&fixture, &said);
            assert_eq!((answer.status, &answer.text), (401, &wrong.text), "{algorithm:?}: {what}");
            let options = fixture.post(&owner, STEP_UP, json!({})).body;
            let mut said = passkey.used(&options);
            change(&mut said);
            let answer = step_up_with(&fixture, &owner, &said);
            assert_eq!(
                (answer.status, &answer.text),
                (401, &wrong.text),
                "{algorithm:?}: {what}, to step up"
            );
            fixture.later(16 * MINUTE);
        }
    }
    let (fixture, _, mut passkey) = with(Algorithm::Es256);
    sign_in_with(&fixture, &used(&fixture, &mut passkey)).expect(201);
}

#[test]
fn a_signature_is_right_for_what_was_signed_with_this_key_only() {
    for algorithm in ALGORITHMS {
        let (fixture, _, mut passkey) = with(algorithm);
        let said = used(&fixture, &mut passkey).to_json();
        let try_with = |field: &str, value: Value| {
            let mut said = said.clone();
            said["response"][field] = value;
            fixture.post("", "/session", json!({ "passkey": said })).status
        };
        let signature = said["response"]["signature"].as_str().unwrap();
        let other = used(&fixture, &mut passkey).to_json();
        assert_eq!(try_with("signature", other["response"]["signature"].clone()), 401, "of something else");
        assert_eq!(try_with("signature", json!("")), 401);
        assert_eq!(try_with("signature", json!(null)), 401);
        assert_eq!(try_with("signature", encode([0; 64]).into()), 401);
        assert_eq!(try_with("signature", encode([0x30, 6, 2, 1, 0, 2, 1, 0]).into()), 401);
        assert_eq!(try_with("signature", signature[..signature.len() - 2].into()), 401);
        for other in ALGORITHMS.into_iter().filter(|other| *other != algorithm) {
            let mut said = used(&fixture, &mut passkey);
            said.passkey.algorithm = other;
            sign_in_with(&fixture, &said).refused(401, "INVALID_CREDENTIALS");
        }
        fixture.post("", "/session", json!({ "passkey": said })).expect(201);
    }
}

#[test]
fn another_key_of_the_same_algorithm_signs_nobody_in() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let (fixture, _, mut passkey) = with(algorithm);
        let mut said = used(&fixture, &mut passkey);
        said.passkey.seed = 2;
        sign_in_with(&fixture, &said).refused(401, "INVALID_CREDENTIALS");
    }
}

#[test]
fn a_challenge_is_used_once_and_within_five_minutes() {
    let (fixture, owner, mut passkey) = with(Algorithm::Es256);
    let said = used(&fixture, &mut passkey);
    sign_in_with(&fixture, &said).expect(201);
    sign_in_with(&fixture, &said).refused(401, "INVALID_CREDENTIALS");
    let (in_time, late) = (used(&fixture, &mut passkey), used(&fixture, &mut passkey));
    fixture.later(5 * MINUTE - Span::from_ms(1));
    sign_in_with(&fixture, &in_time).expect(201);
    fixture.later(Span::from_ms(1));
    sign_in_with(&fixture, &late).refused(401, "INVALID_CREDENTIALS");
    sign_in_with(&fixture, &in_time).refused(401, "INVALID_CREDENTIALS");
    let options = fixture.post(&owner, STEP_UP, json!({})).body;
    let said = passkey.used(&options);
    step_up_with(&fixture, &owner, &said).expect(204);
    step_up_with(&fixture, &owner, &said).refused(401, "INVALID_CREDENTIALS");
}

#[test]
fn of_two_calls_at_once_with_one_challenge_one_signs_in() {
    let (fixture, _, mut passkey) = with(Algorithm::Es256);
    let body = json!({"passkey": used(&fixture, &mut passkey).to_json()});
    let calls = [0, 1].map(|_| fixture.call("POST", "", "/session", body.clone()));
    let mut statuses: Vec<u16> = fixture.send_at_once(&calls).iter().map(|answer| answer.status).collect();
    statuses.sort();
    assert_eq!(statuses, [201, 401]);
}

#[test]
fn a_challenge_is_for_one_purpose_and_one_session() {
    let (fixture, owner, mut passkey) = with(Algorithm::Es256);
    let other = fixture.sign_in("owner@example.com");
    let [to_sign_in, to_step_up, in_other] = [("", SIGN_IN), (&*owner, STEP_UP), (&*other, STEP_UP)]
        .map(|(token, path)| fixture.post(token, path, json!({})).body);
    sign_in_with(&fixture, &passkey.used(&to_step_up)).refused(401, "INVALID_CREDENTIALS");
    step_up_with(&fixture, &owner, &passkey.used(&to_sign_in)).refused(401, "INVALID_CREDENTIALS");
    step_up_with(&fixture, &owner, &passkey.used(&in_other)).refused(401, "INVALID_CREDENTIALS");
    let mut to_make = fixture.post(&owner, "/passkeys/options", json!({})).body;
    to_make["publicKey"]["rpId"] = "gate.example".into();
    sign_in_with(&fixture, &passkey.used(&to_make)).refused(401, "INVALID_CREDENTIALS");
    step_up_with(&fixture, &owner, &passkey.used(&to_step_up)).expect(204);
}

#[test]
fn a_counter_that_does_not_go_on_is_refused_and_audited() {
    let (fixture, owner) = RegistryFixture::open();
    let mut passkey = SoftPasskey { counter: 7, ..SoftPasskey::new(Algorithm::Es256, 1) };
    let id = add(&fixture, &owner, &mut passkey);
    sign_in_with(&fixture, &used(&fixture, &mut passkey)).expect(201);
    for counter in [8, 7, 1, 0_u32] {
        let mut said = used(&fixture, &mut passkey);
        said.data.splice(33..37, counter.to_be_bytes());
        sign_in_with(&fixture, &said).refused(401, "INVALID_CREDENTIALS");
        let refused = &audited(&fixture, &owner, "session.refused")[0];
        assert_eq!(refused["after"], json!({"passkey": id, "counter": counter, "lastCounter": 8}));
    }
    sign_in_with(&fixture, &used(&fixture, &mut passkey)).expect(201);
}

#[test]
fn nobody_signs_in_or_steps_up_as_somebody_else() {
    let (fixture, owner, mut passkey) = with(Algorithm::Es256);
    let (viewer, viewer_id) = fixture.member(&owner, "viewer@example.com", "viewer");
    let (stranger, _) = fixture.tenant(&owner, "other");
    let mut foreign = SoftPasskey::new(Algorithm::EdDsa, 3);
    add(&fixture, &stranger, &mut foreign);
    let mut again = passkey.clone();
    for (token, passkey) in [(&viewer, &mut passkey), (&owner, &mut foreign), (&stranger, &mut again)] {
        let options = fixture.post(token, STEP_UP, json!({})).expect(200).body;
        step_up_with(&fixture, token, &passkey.used(&options)).refused(401, "INVALID_CREDENTIALS");
    }
    for user in [None, Some(encode(&viewer_id)), Some(String::new()), Some("a b".to_owned())] {
        let mut said = used(&fixture, &mut passkey);
        said.passkey.user = user;
        sign_in_with(&fixture, &said).refused(401, "INVALID_CREDENTIALS");
    }
    let answer = sign_in_with(&fixture, &used(&fixture, &mut foreign)).expect(201);
    assert_eq!(answer.body["member"]["email"], "owner@other.example");
    assert_eq!(fixture.get(&viewer, "/passkeys").body["passkeys"], json!([]));
}

#[test]
fn whoever_steps_up_need_not_be_named_but_not_be_another() {
    let (fixture, owner, mut passkey) = with(Algorithm::Es256);
    for (user, status) in [(None, 204), (Some(encode("mem_x")), 401)] {
        let options = fixture.post(&owner, STEP_UP, json!({})).body;
        let mut said = passkey.used(&options);
        said.passkey.user = user;
        assert_eq!(step_up_with(&fixture, &owner, &said).status, status);
    }
}

#[test]
fn a_passkey_works_at_the_host_it_was_made_for_only() {
    let (fixture, owner, mut passkey) = with(Algorithm::Es256);
    let at = |origin: &str, token: &str, path: &str, body: Value| {
        let mut call = fixture.call("POST", token, path, body);
        call.origin = Some(origin.into());
        fixture.send(call)
    };
    let elsewhere = "https://gate.example.net";
    let options = at(elsewhere, "", SIGN_IN, json!({})).expect(200).body;
    assert_eq!(options["publicKey"]["rpId"], "gate.example.net");
    let mut said = passkey.used(&options);
    said.client["origin"] = elsewhere.into();
    at(elsewhere, "", "/session", json!({"passkey": said.to_json()})).refused(401, "INVALID_CREDENTIALS");
    let own = at(elsewhere, &owner, STEP_UP, json!({})).body;
    assert_eq!(own["publicKey"]["allowCredentials"], json!([]));
    for (origin, host) in
        [("http://localhost:8787", "localhost"), ("https://a.b.example:8443", "a.b.example")]
    {
        assert_eq!(at(origin, "", SIGN_IN, json!({})).body["publicKey"]["rpId"], host);
    }
}

#[test]
fn an_ip_address_is_no_host_for_passkeys_and_the_refusal_says_which_is() {
    let (fixture, owner, mut passkey) = with(Algorithm::Es256);
    let said = json!({"passkey": used(&fixture, &mut passkey).to_json()});
    for origin in ["http://127.0.0.1:8787", "http://[::1]:8787", "https://192.0.2.1"] {
        for (token, path, body) in [
            ("", SIGN_IN, json!({})),
            (&*owner, STEP_UP, json!({})),
            (&owner, "/passkeys/options", json!({})),
            ("", "/session", said.clone()),
        ] {
            let mut call = fixture.call("POST", token, path, body);
            call.origin = Some(origin.into());
            let answer = fixture.send(call);
            answer.refused(409, "CONFLICT");
            assert!(answer.body["detail"].as_str().unwrap().contains("localhost"), "{}", answer.text);
        }
    }
}

#[test]
fn what_is_made_is_checked_as_what_is_used() {
    let (fixture, owner) = RegistryFixture::open();
    let try_with = |change: &dyn Fn(&mut Said)| {
        let options = fixture.post(&owner, "/passkeys/options", json!({})).expect(200).body;
        let mut said = SoftPasskey::new(Algorithm::Es256, 1).made(&options);
        change(&mut said);
        fixture.post(&owner, "/passkeys", json!({"name": "n", "passkey": said.to_json()}))
    };
    let about_its_use = ["another type", "to be copied, where it was not", "a key in it", "nobody there"];
    for (what, change) in WRONG.iter().filter(|(what, _)| !about_its_use.contains(what)) {
        let answer = try_with(change);
        assert_eq!((answer.status, answer.fields()), (400, vec!["passkey"]), "{what}");
    }
    let wrong: [(&str, Change); 12] = [
        ("another type", |said| said.client["type"] = "webauthn.get".into()),
        ("nobody there", |said| said.data[32] = HAS_KEY | 4),
        ("nobody verified", |said| said.data[32] = HAS_KEY | 1),
        ("no key", |said| said.data[32] = VERIFIED),
        ("another id", |said| said.passkey.id = vec![8; 16]),
        ("an id that is longer than all", |said| said.data[54] = 2),
        ("an empty id", |said| {
            said.passkey.id.clear();
            said.data[54] = 0;
            said.data.drain(55..71);
        }),
        ("an algorithm that is another key's", |said| said.data[71 + 4] = 0x27),
        ("a curve that is not known", |said| said.data[71 + 6] = 2),
        ("a member twice", |said| {
            said.data[71] = 0xa6;
            said.data.extend([1, 2]);
        }),
        ("more members than there are", |said| said.data[71] = 0xa6),
        ("indefinite length", |said| said.data[71] = 0xbf),
    ];
    for (what, change) in wrong {
        let answer = try_with(&change);
        assert_eq!((answer.status, answer.fields()), (400, vec!["passkey"]), "{what}");
    }
    let extended = |said: &mut Said| {
        said.data[32] |= 0x80;
        said.data.extend([0xa0]);
    };
    try_with(&extended).expect(201);
}

#[test]
fn keys_that_anybody_can_sign_with_are_not_taken() {
    let (fixture, owner) = RegistryFixture::open();
    let options = fixture.post(&owner, "/passkeys/options", json!({})).body;
    let mut passkey = SoftPasskey::new(Algorithm::EdDsa, 1);
    let mut said = passkey.made(&options);
    let at = said.data.len() - 32;
    // The neutral element.
    said.data.splice(at.., [vec![1], vec![0; 31]].concat());
    let body = json!({"name": "n", "passkey": said.to_json()});
    assert_eq!(fixture.post(&owner, "/passkeys", body).fields(), ["passkey"]);
}

#[test]
fn a_passkey_is_made_once_and_belongs_to_one_person() {
    let (fixture, owner) = RegistryFixture::open();
    let options = fixture.post(&owner, "/passkeys/options", json!({})).body;
    let made =
        json!({"name": "n", "passkey": SoftPasskey::new(Algorithm::Es256, 1).made(&options).to_json()});
    let id = fixture.post(&owner, "/passkeys", made.clone()).expect(201).body["passkey"]["id"].clone();
    fixture.post(&owner, "/passkeys", made.clone()).refused(409, "CONFLICT");
    let (viewer, _) = fixture.member(&owner, "viewer@example.com", "viewer");
    let options = fixture.post(&viewer, "/passkeys/options", json!({})).body;
    let again = SoftPasskey::new(Algorithm::Es256, 1).made(&options).to_json();
    fixture.post(&viewer, "/passkeys", json!({"name": "n", "passkey": again})).refused(409, "CONFLICT");
    fixture.delete(&viewer, &format!("/passkeys/{}", id.as_str().unwrap())).refused(404, "NOT_FOUND");
    fixture.delete(&owner, &format!("/passkeys/{}", id.as_str().unwrap())).expect(204);
    assert_eq!(fixture.post(&owner, "/passkeys", made).fields(), ["passkey"], "its challenge was used");
}

#[test]
fn a_challenge_to_make_one_is_for_one_session() {
    let (fixture, owner) = RegistryFixture::open();
    let options = fixture.post(&owner, "/passkeys/options", json!({})).body;
    let made =
        json!({"name": "n", "passkey": SoftPasskey::new(Algorithm::Es256, 1).made(&options).to_json()});
    let other = fixture.sign_in("owner@example.com");
    assert_eq!(fixture.post(&other, "/passkeys", made.clone()).fields(), ["passkey"]);
    fixture.post(&owner, "/passkeys", made).expect(201);
}

#[test]
fn passkeys_are_listed_with_what_their_owner_knows_them_by_and_nothing_else() {
    let (fixture, owner) = RegistryFixture::open();
    let mut synced = SoftPasskey { flags: VERIFIED | 0x18, ..SoftPasskey::new(Algorithm::Es256, 1) };
    let id = add(&fixture, &owner, &mut synced);
    let listed = fixture.get(&owner, "/passkeys").expect(200).body;
    let created = listed["passkeys"][0]["createdAt"].clone();
    assert_eq!(
        listed,
        json!({"passkeys": [{
            "id": id, "name": "laptop", "host": "gate.example", "synced": true, "createdAt": created,
            "lastUsedAt": null,
        }], "nextCursor": null})
    );
    fixture.later(HOUR);
    sign_in_with(&fixture, &used(&fixture, &mut synced)).expect(201);
    let used_at = fixture.get(&owner, "/passkeys").body["passkeys"][0]["lastUsedAt"].clone();
    assert_eq!(used_at, fixture.now.get().to_rfc3339());
}

#[test]
fn a_removed_passkey_signs_in_no_longer() {
    let (fixture, owner) = RegistryFixture::open();
    let mut passkey = SoftPasskey::new(Algorithm::Es256, 1);
    let id = add(&fixture, &owner, &mut passkey);
    let said = used(&fixture, &mut passkey);
    fixture.delete(&owner, &format!("/passkeys/{id}")).expect(204);
    sign_in_with(&fixture, &said).refused(401, "INVALID_CREDENTIALS");
    let [made, removed] =
        ["passkey.create", "passkey.delete"].map(|action| audited(&fixture, &owner, action).remove(0));
    assert_eq!((&made["target"], &made["after"]), (&json!(id), &removed["before"]));
}

#[test]
fn ones_own_change_of_password_keeps_passkeys_and_everybody_elses_ends_them() {
    let (fixture, owner) = RegistryFixture::open();
    let (viewer, id) = fixture.member(&owner, "viewer@example.com", "viewer");
    let mut passkey = SoftPasskey::new(Algorithm::Es256, 1);
    add(&fixture, &viewer, &mut passkey);
    let member = format!("/members/{id}");
    let own = json!({"currentPassword": PASSWORD, "password": "another fine password"});
    fixture.patch(&viewer, &member, own).expect(200);
    fixture.patch(&owner, &member, json!({"role": "admin"})).expect(200);
    sign_in_with(&fixture, &used(&fixture, &mut passkey)).expect(201);
    fixture.patch(&owner, &member, json!({"password": PASSWORD})).expect(200);
    sign_in_with(&fixture, &used(&fixture, &mut passkey)).refused(401, "INVALID_CREDENTIALS");

    let viewer = fixture.sign_in("viewer@example.com");
    add(&fixture, &viewer, &mut passkey);
    let link = fixture.post(&owner, &format!("{member}/reset"), json!({})).expect(201).body["token"].clone();
    sign_in_with(&fixture, &used(&fixture, &mut passkey)).expect(201);
    let accept = json!({"token": link, "password": "another fine password"});
    fixture.post("", "/invitations/accept", accept).expect(200);
    sign_in_with(&fixture, &used(&fixture, &mut passkey)).refused(401, "INVALID_CREDENTIALS");
}

#[test]
fn a_removed_member_and_one_whose_tenant_is_inactive_do_not_sign_in() {
    let (fixture, owner) = RegistryFixture::open();
    let (viewer, id) = fixture.member(&owner, "viewer@example.com", "viewer");
    let mut passkey = SoftPasskey::new(Algorithm::Es256, 1);
    add(&fixture, &viewer, &mut passkey);
    fixture.delete(&owner, &format!("/members/{id}")).expect(204);
    sign_in_with(&fixture, &used(&fixture, &mut passkey)).refused(401, "INVALID_CREDENTIALS");
    assert!(fixture.db.run("SELECT * FROM passkeys", &[]).unwrap().is_empty());

    let (stranger, tenant) = fixture.tenant(&owner, "other");
    add(&fixture, &stranger, &mut passkey);
    fixture.patch(&owner, &format!("/tenants/{tenant}"), json!({"status": "INACTIVE"})).expect(200);
    sign_in_with(&fixture, &used(&fixture, &mut passkey)).refused(403, "FORBIDDEN");
}

#[test]
fn an_older_build_that_resets_or_removes_somebody_ends_their_passkeys() {
    let (fixture, owner) = RegistryFixture::open();
    let (viewer, _) = fixture.member(&owner, "viewer@example.com", "viewer");
    let mut passkey = SoftPasskey::new(Algorithm::Es256, 1);
    for statement in [
        "UPDATE members SET password = 'x' WHERE role = 'viewer'",
        "DELETE FROM members WHERE role = 'viewer'",
    ] {
        add(&fixture, &viewer, &mut passkey);
        fixture.db.run("UPDATE members SET updated_at = 1", &[]).unwrap();
        assert_eq!(fixture.db.run("SELECT 1 FROM passkeys", &[]).unwrap().len(), 1);
        fixture.db.run(statement, &[]).unwrap();
        assert_eq!(fixture.db.run("SELECT 1 FROM passkeys", &[]).unwrap().len(), 0);
    }
}

#[test]
fn a_member_has_twenty_passkeys_at_the_most() {
    let (fixture, owner) = RegistryFixture::open();
    for seed in 1..=20 {
        add(&fixture, &owner, &mut SoftPasskey::new(Algorithm::EdDsa, seed));
    }
    let options = fixture.post(&owner, "/passkeys/options", json!({}));
    options.refused(409, "CONFLICT");
    fixture.post(&owner, "/passkeys", json!({"name": "n"})).refused(409, "CONFLICT");
    let (viewer, _) = fixture.member(&owner, "viewer@example.com", "viewer");
    add(&fixture, &viewer, &mut SoftPasskey::new(Algorithm::EdDsa, 21));
}

#[test]
fn challenges_that_were_used_are_bounded_and_forgotten() {
    let (fixture, _, mut passkey) = with(Algorithm::EdDsa);
    let sign_in = |passkey: &mut SoftPasskey| {
        *fixture.address.borrow_mut() = format!("192.0.{}.1", passkey.counter);
        passkey.counter += 1;
        sign_in_with(&fixture, &used(&fixture, passkey)).status
    };
    let statuses: Vec<u16> = (0..101).map(|_| sign_in(&mut passkey)).collect();
    // With the one that it was made with.
    assert_eq!(statuses, [vec![201; 99], vec![401; 2]].concat());
    fixture.later(5 * MINUTE);
    assert_eq!(sign_in(&mut passkey), 201);
    assert_eq!(fixture.db.run("SELECT 1 FROM passkey_challenges", &[]).unwrap().len(), 1);
}

#[test]
fn asking_for_options_writes_nothing_and_tells_nobody_who_has_a_passkey() {
    let (fixture, owner, _) = with(Algorithm::Es256);
    let before = fixture.dump();
    let answer = fixture.post("", SIGN_IN, json!({})).expect(200).body;
    assert_eq!(answer["publicKey"]["allowCredentials"], json!([]));
    fixture.post(&owner, "/passkeys/options", json!({})).expect(200);
    fixture.post(&owner, STEP_UP, json!({})).expect(200);
    assert_eq!(fixture.dump(), before);
}

#[test]
fn wrong_passkeys_count_of_their_network_and_a_right_one_does_not_wait() {
    let (fixture, _, mut passkey) = with(Algorithm::EdDsa);
    let mut wrong = SoftPasskey::new(Algorithm::EdDsa, 9);
    let statuses: Vec<u16> =
        (0..101).map(|_| sign_in_with(&fixture, &used(&fixture, &mut wrong)).status).collect();
    assert_eq!(statuses, [vec![401; 100], vec![429]].concat());
    sign_in_with(&fixture, &used(&fixture, &mut passkey)).expect(201);
    let typed = json!({"email": "nobody@example.com", "password": PASSWORD});
    fixture.post("", "/session", typed).refused(429, "TOO_MANY_ATTEMPTS");
}

#[test]
fn wrong_passkeys_in_a_session_count_of_it_and_a_right_one_does_not_wait() {
    let (fixture, owner, mut passkey) = with(Algorithm::EdDsa);
    let step_up = |passkey: &mut SoftPasskey| {
        let options = fixture.post(&owner, STEP_UP, json!({})).body;
        step_up_with(&fixture, &owner, &passkey.used(&options)).status
    };
    let mut wrong = SoftPasskey::new(Algorithm::EdDsa, 9);
    assert_eq!([(); 6].map(|()| step_up(&mut wrong)), [401, 401, 401, 401, 401, 429]);
    let typed = json!({"password": PASSWORD});
    fixture.post(&owner, "/session/step-up", typed).refused(429, "TOO_MANY_ATTEMPTS");
    assert_eq!(step_up(&mut passkey), 204);
}

#[test]
fn where_a_network_calls_too_often_a_passkey_signs_in_who_is_known_there() {
    let (fixture, _, mut passkey) = with(Algorithm::EdDsa);
    let said = [(); 2].map(|()| used(&fixture, &mut passkey));
    let stranger = used(&fixture, &mut SoftPasskey::new(Algorithm::EdDsa, 9));
    let flood = |address: &str| {
        *fixture.address.borrow_mut() = address.to_owned();
        while fixture.post("", SIGN_IN, json!({})).status == 200 {}
    };
    flood("198.51.100.7");
    sign_in_with(&fixture, &said[0]).refused(429, "RATE_LIMITED");
    flood("192.0.2.1");
    sign_in_with(&fixture, &stranger).refused(429, "RATE_LIMITED");
    sign_in_with(&fixture, &said[1]).expect(201);
}

#[test]
fn what_is_no_passkey_is_named_and_nothing_stands_beside_one() {
    let (fixture, owner, mut passkey) = with(Algorithm::Es256);
    for wrong in [json!(1), json!({}), json!({"id": "a", "response": {}}), json!(null)] {
        for (token, path) in [("", "/session"), (&*owner, "/session/step-up")] {
            let answer = fixture.post(token, path, json!({ "passkey": wrong }));
            assert_eq!((answer.status, answer.fields()), (400, vec!["passkey"]), "{wrong}");
        }
        let answer = fixture.post(&owner, "/passkeys", json!({"name": "n", "passkey": wrong}));
        assert_eq!((answer.status, answer.fields()), (400, vec!["passkey"]), "{wrong}");
    }
    let said = used(&fixture, &mut passkey).to_json();
    let both = json!({"email": "owner@example.com", "password": PASSWORD, "passkey": said});
    assert_eq!(fixture.post("", "/session", both).fields(), ["email", "password"]);
    let both = json!({"password": PASSWORD, "passkey": said});
    assert_eq!(fixture.post(&owner, "/session/step-up", both).fields(), ["password"]);
    fixture.post("", "/session", json!({ "passkey": said })).expect(201);
}

#[test]
fn a_key_and_the_set_up_token_have_no_passkeys() {
    let (fixture, owner) = RegistryFixture::open();
    let key = format!("key:{}", fixture.key(&owner, json!({"scopes": ["admin:*"]})).key_id());
    for (method, path) in [
        ("GET", "/passkeys"),
        ("POST", "/passkeys"),
        ("POST", "/passkeys/options"),
        ("DELETE", "/passkeys/pky_1"),
    ] {
        fixture.send(fixture.call(method, &key, path, json!({}))).refused(403, "FORBIDDEN");
    }
}
