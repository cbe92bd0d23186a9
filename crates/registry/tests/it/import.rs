//! Keys that were made elsewhere are imported by their hash.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    key,
    record::Status,
    time::{DAY, MINUTE},
};
use keyward_policy::{ImportedFormat, KeyAction, Policy};
use keyward_testing::{
    IMPORTED, NOON,
    registry_fixture::{Answer, RegistryFixture, policy_with},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn policy() -> &'static Policy {
    policy_with(|realm| realm.imported = Some(IMPORTED))
}

fn hash(key: &str) -> String {
    key::hex(&Sha256::digest(key))
}

fn line(key: &str) -> Value {
    json!({"hash": hash(key), "name": key, "scopes": ["orders:read"]})
}

fn with(mut line: Value, fields: Value) -> Value {
    line.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    line
}

fn send(fixture: &RegistryFixture, token: &str, query: &str, body: String) -> Answer {
    let mut call = fixture.call("POST", token, &format!("/api-keys/import{query}"), Value::Null);
    call.body = body;
    fixture.send(call)
}

fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn import(fixture: &RegistryFixture, token: &str, lines: &[Value]) -> Value {
    send(fixture, token, "", text(lines)).expect(200).body
}

fn done(imported: u32, repeated: u32) -> Value {
    json!({"imported": imported, "repeated": repeated, "wrong": 0, "errors": []})
}

fn keys(fixture: &RegistryFixture, token: &str) -> Vec<Value> {
    fixture.get(token, "/api-keys?sort=name").expect(200).body["apiKeys"].as_array().unwrap().clone()
}

/// The record that the gate finds for this key.
fn found(fixture: &RegistryFixture, key: &str) -> Option<keyward_core::record::Record> {
    let gates = fixture.gates.borrow();
    key::names(&fixture.policy.realms[0], &fixture.secrets, key)
        .iter()
        .find_map(|name| gates.get(name)?.record.clone())
}

#[test]
fn the_gate_finds_every_imported_key_and_the_same_lines_again_change_nothing() {
    let (fixture, owner) = RegistryFixture::open_over(policy());
    let lines = [
        with(
            line("old_a"),
            json!({"last4": "ab-c", "createdAt": "2020-01-02T03:04:05Z", "tags": ["moved"], "testMode": true}),
        ),
        with(line("old_b"), json!({"prefix": "old_b", "expiresAt": NOON.plus(DAY).to_rfc3339()})),
    ];
    assert_eq!(import(&fixture, &owner, &lines), done(2, 0));
    let listed = keys(&fixture, &owner);
    let shown = |key: &Value| {
        [&key["keyPrefix"], &key["last4"], &key["createdAt"], &key["importedAt"]].map(Value::to_string)
    };
    let now = fixture.now.get().to_rfc3339();
    assert_eq!(
        shown(&listed[0]),
        [json!("old_"), json!("ab-c"), json!("2020-01-02T03:04:05.000Z"), json!(now)]
            .map(|it| it.to_string())
    );
    assert_eq!(
        shown(&listed[1]),
        [json!("old_b"), json!(""), json!(now), json!(now)].map(|it| it.to_string())
    );
    assert_eq!(found(&fixture, "old_a").map(|it| it.id), None, "too short to be one of these");
    let record = fixture.published(listed[0]["id"].as_str().unwrap()).unwrap();
    assert_eq!((record.status, record.scopes), (Status::Active, vec!["orders:read".to_owned()]));
    let audited = fixture.get(&owner, "/audit?action=key.import").expect(200).body["entries"].clone();
    assert_eq!((&audited[0]["target"], &audited[1]["target"]), (&listed[1]["id"], &listed[0]["id"]));
    // Two days later, when one of them has expired, in another order, and with the hash in base64.
    fixture.later(2 * DAY);
    let owner = fixture.sign_in("owner@example.com");
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, Sha256::digest("old_a"));
    let again = [lines[1].clone(), with(lines[0].clone(), json!({"hash": format!("sha256:{base64}")}))];
    assert_eq!(import(&fixture, &owner, &again), done(0, 2));
    assert_eq!(keys(&fixture, &owner).len(), 2);
    let idle = fixture.get(&owner, "/api-keys?unusedDays=30").expect(200).body["total"].clone();
    assert_eq!(idle, 0, "nobody can have used it here for longer");
}

#[test]
fn a_key_that_was_revoked_stays_so_also_when_it_has_left_the_list() {
    let (fixture, owner) = RegistryFixture::open_over(policy());
    let key = "old_0123456789abcdefghijklmn";
    import(&fixture, &owner, &[line(key)]);
    assert_eq!(found(&fixture, key).unwrap().status, Status::Active);
    let id = keys(&fixture, &owner)[0]["id"].as_str().unwrap().to_owned();
    let other = import(&fixture, &owner, &[with(line(key), json!({"name": "other"}))]);
    assert_eq!(
        other["errors"][0]["message"],
        format!("is imported as {id}, with other settings: change that key instead")
    );
    fixture.patch(&owner, &format!("/api-keys/{id}"), json!({"name": "changed here"})).expect(200);
    fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    assert_eq!(import(&fixture, &owner, &[line(key)]), done(0, 1));
    fixture.pass_with_alarms(MINUTE);
    let gone = "DELETE FROM keys WHERE id = ?";
    keyward_core::sql::Sql::run(&fixture.db, gone, &[id.as_str().into()]).unwrap();
    assert_eq!(import(&fixture, &owner, &[line(key)]), done(0, 1));
    assert_eq!((keys(&fixture, &owner).len(), found(&fixture, key).unwrap().status), (0, Status::Revoked));
}

#[test]
fn nobody_learns_whose_keys_others_have_nor_takes_them() {
    let (fixture, operator) = RegistryFixture::open_over(policy());
    let (owner, tenant) = fixture.tenant(&operator, "shop");
    let (mine, unknown) = ("old_mine0123456789abcdefghij", "old_free0123456789abcdefghij");
    import(&fixture, &operator, &[line(mine)]);
    for query in ["?dryRun=true", "", ""] {
        let both = [mine, unknown].map(|key| {
            let answer = send(&fixture, &owner, query, text(&[line(key)])).expect(200);
            (answer.body, answer.headers)
        });
        assert_eq!(both[0], both[1], "{query}");
    }
    let listed = keys(&fixture, &owner);
    assert_eq!(listed.iter().map(|key| key["status"].clone()).collect::<Vec<_>>(), ["ACTIVE", "ACTIVE"]);
    let records = [mine, unknown].map(|key| found(&fixture, key).unwrap().tenant.id);
    assert!(records[0] != tenant && records[1] == tenant);
    let told =
        fixture.log.borrow().iter().filter(|line| line.contains("another tenant has imported")).count();
    assert_eq!(told, 1, "whoever runs the deployment is told, once");
    // Revoking what one claims ends nothing of another's.
    let claimed = listed.iter().find(|key| key["name"] == mine).unwrap()["id"].as_str().unwrap().to_owned();
    fixture.post(&owner, &format!("/api-keys/{claimed}/revoke"), json!({})).expect(200);
    assert_eq!(found(&fixture, mine).unwrap().status, Status::Active);
}

#[test]
fn each_wrong_line_is_named_and_then_none_is_imported() {
    let (fixture, owner) = RegistryFixture::open_over(policy());
    let good = line("old_good");
    let lines = [
        good.to_string(),
        String::new(),
        "not json".to_owned(),
        with(line("a"), json!({"hash": "kw_live_0123456789ABCDEFGHIJKLMNOPabcdfdzmSV"})).to_string(),
        with(line("b"), json!({"scopes": ["orders:fly"], "realm": "nowhere"})).to_string(),
        with(line("c"), json!({"prefix": "old_0123456789", "last4": "12345"})).to_string(),
        with(line("d"), json!({"createdAt": NOON.plus(DAY).to_rfc3339(), "secret": "x"})).to_string(),
        with(good.clone(), json!({"name": "another"})).to_string(),
        good.to_string(),
        json!({"hash": hash("e")}).to_string(),
        with(line("f"), json!({"kind": "publishable"})).to_string(),
    ];
    for query in ["?dryRun=true", ""] {
        let answer = send(&fixture, &owner, query, lines.join("\r\n")).expect(200).body;
        let errors = answer["errors"].as_array().unwrap();
        let named: Vec<String> =
            errors.iter().map(|it| format!("{} {}", it["line"], it["field"].as_str().unwrap())).collect();
        assert_eq!(
            named,
            [
                "3 ",
                "4 hash",
                "5 realm",
                "5 scopes[0]",
                "6 prefix",
                "6 last4",
                "7 secret",
                "7 createdAt",
                "8 hash",
                "10 name",
                "10 scopes",
                "11 allowedOrigins"
            ],
            "{answer}"
        );
        let imported = u32::from(!query.is_empty());
        assert_eq!(
            (&answer["imported"], &answer["repeated"], &answer["wrong"]),
            (&json!(imported), &json!(1), &json!(8))
        );
        assert!(!answer.to_string().contains("kw_live_0"), "it may be a key: {answer}");
        assert!(keys(&fixture, &owner).is_empty());
    }
    for body in [String::new(), "\n \n".to_owned(), text(&vec![good; 1_001])] {
        send(&fixture, &owner, "", body).refused(400, "VALIDATION_FAILED");
    }
    send(&fixture, &owner, "?dryRun=yes", String::new()).refused(400, "VALIDATION_FAILED");
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let (fixture, owner) = RegistryFixture::open_over(policy());
    import(&fixture, &owner, &[line("old_a")]);
    let before = fixture.dump();
    let dry = send(&fixture, &owner, "?dryRun=true", text(&[line("old_a"), line("old_b")])).expect(200).body;
    assert_eq!((dry, fixture.dump()), (done(1, 1), before));
}

#[test]
fn a_policy_that_takes_no_such_keys_says_so() {
    let (fixture, owner) = RegistryFixture::open();
    let refused = send(&fixture, &owner, "", text(&[line("old_a")]));
    refused.refused(409, "CONFLICT");
    assert!(refused.body["detail"].as_str().unwrap().contains("[realm.imported]"));
}

#[test]
fn a_viewer_imports_nothing_and_a_key_no_scopes_for_admins() {
    let (fixture, owner) = RegistryFixture::open_over(policy());
    let (viewer, _) = fixture.member(&owner, "viewer@example.com", "viewer");
    send(&fixture, &viewer, "", text(&[line("old_a")])).refused(403, "FORBIDDEN");
    let key = fixture.key(&owner, json!({"scopes": ["admin:write"]})).key_id();
    let admin = with(line("old_b"), json!({"scopes": ["admin:read"]}));
    let wrong = send(&fixture, &format!("key:{key}"), "", text(&[admin])).expect(200).body;
    assert_eq!((&wrong["imported"], &wrong["errors"][0]["field"]), (&json!(0), &json!("scopes[0]")));
    let answer = send(&fixture, &format!("key:{key}"), "", text(&[line("old_a")])).expect(200).body;
    assert_eq!(answer, done(1, 0));
}

#[test]
fn where_only_owners_make_keys_only_they_import_any() {
    let policy = policy_with(|realm| {
        realm.imported = Some(IMPORTED);
        realm.owner_only = &[KeyAction::Create];
    });
    let (fixture, owner) = RegistryFixture::open_over(policy);
    let (admin, _) = fixture.member(&owner, "admin@example.com", "admin");
    for query in ["?dryRun=true", ""] {
        send(&fixture, &admin, query, text(&[line("old_a")])).refused(403, "FORBIDDEN");
    }
    assert_eq!(import(&fixture, &owner, &[line("old_a")]), done(1, 0));
}

#[test]
fn a_thousand_keys_come_with_one_call_and_no_more_than_a_tenant_may_have() {
    let mut policy = Policy { ..*policy() };
    policy.admin.quotas.keys = 1_001;
    let (fixture, owner) = RegistryFixture::open_over(Box::leak(Box::new(policy)));
    let lines: Vec<Value> = (0..1_000).map(|n| line(&format!("old_{n}"))).collect();
    let answer = import(&fixture, &owner, &lines);
    assert_eq!((&answer["imported"], &answer["pendingKeys"]), (&json!(1_000), &json!(600)));
    fixture.pass_with_alarms(MINUTE);
    let published = fixture.kv.borrow().keys().filter(|key| key.starts_with("key:")).count();
    assert_eq!((published, fixture.next_due()), (1_000, None));
    for query in ["?dryRun=true", ""] {
        let more = text(&[line("old_x"), line("old_y")]);
        send(&fixture, &owner, query, more).refused(409, "QUOTA_EXCEEDED");
    }
    assert_eq!(import(&fixture, &owner, &[line("old_x")])["imported"], 1);
}

#[test]
fn rotating_an_imported_key_makes_one_of_the_realms_own() {
    let (fixture, owner) = RegistryFixture::open_over(policy());
    let key = "old_0123456789abcdefghijklmn";
    import(&fixture, &owner, &[line(key)]);
    let id = keys(&fixture, &owner)[0]["id"].as_str().unwrap().to_owned();
    let rotated =
        fixture.post(&owner, &format!("/api-keys/{id}/rotate"), json!({"revokeOld": true})).expect(201);
    assert!(rotated.plaintext().starts_with("kw_live_") && rotated.body["apiKey"]["importedAt"].is_null());
    assert_eq!(found(&fixture, key).unwrap().status, Status::Revoked);
}

#[test]
fn a_key_that_was_imported_under_a_previous_secret_is_known() {
    let (mut fixture, owner) = RegistryFixture::open_over(policy());
    import(&fixture, &owner, &[line("old_a")]);
    let previous = "test-secret-of-the-deployment-1234567890";
    fixture.secrets =
        keyward_core::secret::Secrets::new("another-secret-of-the-deployment-123456", Some(previous));
    let owner = fixture.sign_in("owner@example.com");
    assert_eq!(import(&fixture, &owner, &[line("old_a")]), done(0, 1));
}

#[test]
fn without_prefixes_a_few_characters_of_the_beginning_are_kept() {
    let policy = policy_with(|realm| realm.imported = Some(ImportedFormat { prefixes: &[], ..IMPORTED }));
    let (fixture, owner) = RegistryFixture::open_over(policy);
    let wrong = import(&fixture, &owner, &[with(line("a"), json!({"prefix": "abcde"}))]);
    assert_eq!(wrong["errors"][0]["field"], "prefix");
    import(&fixture, &owner, &[with(line("a"), json!({"prefix": "abcd"}))]);
    assert_eq!(keys(&fixture, &owner)[0]["keyPrefix"], "abcd");
}

#[test]
fn an_imported_key_opens_no_admin_api_whatever_its_scopes() {
    let (fixture, owner) = RegistryFixture::open_over(policy());
    let made = fixture.key(&owner, json!({"scopes": ["admin:read"]})).key_id();
    fixture.get(&format!("key:{made}"), "/api-keys").expect(200);
    import(&fixture, &owner, &[with(line("old_a"), json!({"scopes": ["admin:read"]}))]);
    let keys = keys(&fixture, &owner);
    let imported = keys.iter().find(|key| !key["importedAt"].is_null()).unwrap()["id"].as_str().unwrap();
    fixture.get(&format!("key:{imported}"), "/api-keys").refused(403, "FORBIDDEN");
}

#[test]
fn an_import_that_is_refused_for_want_of_room_counts_as_what_it_costs() {
    let mut policy = *policy();
    policy.admin.rate.principal = 40;
    policy.admin.quotas.keys = 0;
    let (fixture, owner) = RegistryFixture::open_over(Box::leak(Box::new(policy)));
    fixture.later(MINUTE);
    let statuses: Vec<u16> =
        (0..5).map(|_| send(&fixture, &owner, "", text(&[line("old_a")])).status).collect();
    assert_eq!((statuses[0], statuses[4]), (409, 429), "{statuses:?}");
}
