//! How long passkeys stay, how many there are, and what failures cost.

use super::*;

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
