//! Passkeys: who signs in and steps up with one, and everything that is refused. Keys, signatures and what is signed are real ones.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod kept;
mod made;

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
