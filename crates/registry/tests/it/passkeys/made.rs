//! Making a passkey.

use super::*;

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
