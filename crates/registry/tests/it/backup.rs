//! Backup and restore: what is in the pages comes back, no page is taken that was not made here in this order, and what happened after the
//! backup does not make a key pass that was revoked, or go on unseen.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{changes::ReadChanges, record::Status, secret::Secrets, sql::Sql, time::Span};
use keyward_limits::wire::UsageReport;
use keyward_policy::EventType;
use keyward_registry::{
    admin_call::AdminCall,
    backup::{
        TABLES,
        page::{Head, Page, Writer},
    },
    change_log,
};
use keyward_testing::{
    NOON, Seeded,
    registry_fixture::{Answer, PASSWORD, RegistryFixture, SETUP_TOKEN},
    secrets,
};
use serde_json::{Value, json};

/// All pages, as they are sent.
fn backup(fixture: &RegistryFixture, owner: &str) -> Vec<String> {
    let mut pages = Vec::new();
    let mut path = "/backup".to_owned();
    loop {
        let answer = fixture.get(owner, &path).expect(200);
        pages.push(answer.text.clone());
        match answer.header("Next-Cursor") {
            Some(cursor) => path = format!("/backup?cursor={cursor}"),
            None => return pages,
        }
    }
}

fn send(fixture: &RegistryFixture, page: &str) -> Answer {
    let call = fixture.call("POST", &format!("setup:{SETUP_TOKEN}"), "/restore", Value::Null);
    let answer = fixture.send(AdminCall { body: page.to_owned(), ..call });
    fixture.run_tasks();
    answer
}

/// A new deployment with what was in the pages, and the session of the owner.
fn restored(pages: &[String]) -> RegistryFixture {
    let fixture = RegistryFixture::empty();
    for page in pages {
        send(&fixture, page).expect(200);
    }
    fixture
}

/// The Registry is lost; objects and KV are still there.
fn lost(fixture: &RegistryFixture, pages: &[String]) -> RegistryFixture {
    let after = RegistryFixture::empty();
    after.now.set(fixture.now.get() + Span::from_hours(1));
    after.gates.replace(fixture.gates.take());
    after.kv.replace(fixture.kv.take());
    for page in pages {
        send(&after, page).expect(200);
    }
    after.pass_with_alarms(Span::from_mins(2));
    after
}

fn rows(fixture: &RegistryFixture, statement: &str) -> Vec<Value> {
    fixture.db.run(statement, &[]).unwrap()
}

fn status(fixture: &RegistryFixture, owner: &str, key: &str) -> Value {
    fixture.get(owner, &format!("/api-keys/{key}")).expect(200).body["apiKey"]["status"].clone()
}

/// Something in every table.
fn lived_in() -> (RegistryFixture, String, Vec<String>) {
    let (fixture, owner) = RegistryFixture::open();
    let (customer, _) = fixture.tenant(&owner, "acme");
    fixture.member(&owner, "admin@example.com", "admin");
    let of_customer =
        fixture.key(&customer, json!({"tags": ["nightly"], "metadata": {"team": "blue"}})).key_id();
    let of_owner = fixture.key(&owner, json!({"rateLimit": {"perMinute": 7}})).key_id();
    let paused = fixture.key(&owner, json!({"expiresAt": "2040-01-01T00:00:00Z"})).key_id();
    fixture.post(&owner, &format!("/api-keys/{paused}/pause"), json!({})).expect(200);
    let revoked = fixture.key(&owner, json!({})).key_id();
    fixture.post(&owner, &format!("/api-keys/{revoked}/revoke"), json!({"reason": "left"})).expect(200);
    for table in
        TABLES.iter().filter(|table| rows(&fixture, &format!("SELECT 1 FROM {}", table.name)).is_empty())
    {
        fixture.db.run(&fill(table.name), &[]).unwrap();
    }
    fixture.pass_with_alarms(Span::from_mins(2));
    (fixture, owner, vec![of_customer, of_owner, paused, revoked])
}

/// A row of a table that nothing here has filled.
fn fill(table: &str) -> String {
    let values = match table {
        "ended_imports" => "VALUES ('hmac-sha256:00', 'a tenant')",
        "audit_checkpoints" => "VALUES ('a tenant', '{\"seq\":0}', '00')",
        "audit_refused" => "(tenant_id, day, of_day, total) VALUES ('a tenant', 1, 1, 1)",
        "usage" => {
            "(tenant_id, key_id, hour, accepted, refused) VALUES ('a tenant', 'key_1', 1899997200000, 5, '{\"EXPIRED_KEY\":2}')"
        }
        "usage_days" => "VALUES (1, 'a tenant', 'key_1', 1899936000000, 5, '{}')",
        "usage_routes" => "SELECT 'a tenant', 1899936000000, 'default GET /', 3, 0",
        "usage_bounds" => "SELECT 'a tenant', 0, 0",
        "recoveries" => "SELECT '00', 0",
        "known_networks" => "VALUES (1, 'a member', '192.0.2.1', 1899936000000)",
        "passkeys" => {
            "VALUES (1, 'pky_1', 'c', 'a tenant', 'a member', 'gate.example', 'mine', '{}', 0, 1, 0, 0, NULL)"
        }
        other => panic!("nothing fills {other}"),
    };
    format!("INSERT INTO {table} {values}")
}

#[test]
fn what_was_backed_up_is_there_again() {
    let (before, owner, _) = lived_in();
    let pages = backup(&before, &owner);
    let after = restored(&pages);
    let anew = |row: &mut Value| {
        // What a restore is meant to change.
        for column in
            ["version", "told_version", "told_at", "publish_due", "publish_attempts", "unsettled_until"]
        {
            row.as_object_mut().unwrap().remove(column);
        }
        for column in ["change", "pool_told", "pool_told_at", "pool_due"] {
            row.as_object_mut().unwrap().remove(column);
        }
    };
    for table in TABLES {
        let all = format!("SELECT * FROM {} ORDER BY 1, 2", table.name);
        let (mut expected, mut found) = (rows(&before, &all), rows(&after, &all));
        assert!(!expected.is_empty(), "{} has nothing to compare", table.name);
        expected.iter_mut().chain(&mut found).for_each(anew);
        if table.name == "audit" {
            found.retain(|row| row["action"] != "backup.restore");
        }
        assert_eq!(found, expected, "{}", table.name);
    }
    // What triggers count is as it was, too.
    for derived in ["tenant_counts", "state_counts"] {
        let all = format!(
            "SELECT * FROM {derived} WHERE {} ORDER BY 1, 2, 3",
            if derived == "state_counts" { "count > 0" } else { "1" }
        );
        let without_idempotency = |row: &Value| row["tenant_id"] != "a tenant";
        let (mut expected, mut found) = (rows(&before, &all), rows(&after, &all));
        expected.retain(without_idempotency);
        found.retain(without_idempotency);
        assert_eq!(found, expected, "{derived}");
    }
}

#[test]
fn people_sign_in_as_before_and_keys_pass_as_before() {
    let (before, owner, keys) = lived_in();
    let pages = backup(&before, &owner);
    let expected: Vec<_> = keys.iter().map(|key| before.record(key)).collect();
    let after = restored(&pages);
    after.pass_with_alarms(Span::from_mins(2));
    for expected in expected {
        let (told, published) = (after.record(&expected.id), after.published(&expected.id).unwrap());
        assert_eq!(told, published);
        assert_eq!(
            (told.status, &told.scopes, told.limits),
            (expected.status, &expected.scopes, expected.limits)
        );
        assert_eq!((told.expires_at, told.paused), (expected.expires_at, expected.paused));
    }
    let owner = after.sign_in("owner@example.com");
    let verified = after.get(&owner, "/audit/verify").expect(200).body;
    assert_eq!(verified["ok"], json!(true), "{verified}");
    let entry = after.get(&owner, "/audit?limit=1&action=backup.").expect(200).body["entries"][0].clone();
    assert_eq!(entry["action"], "backup.restore");
}

#[test]
fn no_key_password_or_token_is_in_a_backup() {
    let (fixture, owner) = RegistryFixture::open();
    let plaintext = fixture.key(&owner, json!({})).plaintext();
    let pages = backup(&fixture, &owner).concat();
    for secret in [plaintext.as_str(), owner.as_str(), PASSWORD, SETUP_TOKEN] {
        assert!(!pages.contains(secret), "{secret}");
    }
    assert!(!pages.contains("\"sessions\""));
}

/// A backup of some pages.
fn long(fixture: &RegistryFixture, owner: &str) -> Vec<String> {
    let metadata = json!({"a": "x".repeat(490), "b": "y".repeat(490), "c": "z".repeat(490), "d": "z".repeat(490), "e": "z".repeat(490)});
    for _ in 0..200 {
        fixture.key(owner, json!({"metadata": metadata}));
        fixture.later(Span::from_secs(2));
    }
    let owner = fixture.sign_in("owner@example.com");
    let pages = backup(fixture, &owner);
    assert!(pages.len() > 2, "{}", pages.len());
    pages
}

#[test]
fn pages_are_taken_as_they_were_made_and_in_their_order_or_not_at_all() {
    let (before, owner) = RegistryFixture::open();
    let pages = long(&before, &owner);
    let owner = before.sign_in("owner@example.com");
    let other = backup(&before, &owner);
    let after = RegistryFixture::empty();

    let changed = pages[0].replacen("a key", "A KEY", 1);
    assert!(send(&after, &changed).expect(400).message("body").contains("signature"));
    let cut = pages[0].rsplitn(3, '\n').last().unwrap().to_owned();
    assert_eq!(send(&after, &cut).status, 400);
    let ended = pages[0].replacen("\"end\":false", "\"end\":true", 1);
    assert!(send(&after, &ended).expect(400).message("body").contains("signature"));
    let newer = pages[0].replacen("\"v\":1", "\"v\":2", 1);
    assert!(send(&after, &newer).expect(400).message("body").contains("format"));

    send(&after, &pages[1]).refused(409, "CONFLICT");
    assert_eq!(rows(&after, "SELECT 1 FROM keys").len(), 0, "nothing of it was kept");
    send(&after, &pages[0]).expect(200);
    send(&after, &pages[2]).refused(409, "CONFLICT");
    send(&after, &other[1]).refused(409, "CONFLICT");
    // An answer was lost.
    send(&after, &pages[0]).expect(200);
    send(&after, &pages[1]).expect(200);
    // From the beginning, with another backup or the same.
    send(&after, &other[0]).expect(200);
    send(&after, &pages[1]).refused(409, "CONFLICT");
    for page in &pages {
        send(&after, page).expect(200);
    }
    assert_eq!(send(&after, pages.last().unwrap()).expect(200).body["done"], true);
    assert_eq!(rows(&after, "SELECT 1 FROM keys").len(), 200);
    // All of it again, since an answer was lost, changes nothing; another backup is refused.
    let before = rows(&after, "SELECT id, version FROM keys");
    for page in &pages {
        send(&after, page).expect(200);
    }
    assert_eq!(rows(&after, "SELECT id, version FROM keys"), before);
    send(&after, &other[0]).refused(409, "ALREADY_SET_UP");
}

#[test]
fn a_backup_needs_the_secret_that_it_was_made_under_be_it_a_previous_one() {
    let (before, owner) = RegistryFixture::open();
    let pages = backup(&before, &owner);
    let own = "a secret of this deployment 0123456789";
    let mut after = RegistryFixture::empty();
    after.secrets = Secrets::new("another secret of a deployment 012345", None);
    assert!(send(&after, &pages[0]).expect(400).message("body").contains("KEYWARD_SECRET"));
    let mut before = before;
    before.secrets = Secrets::new(own, None);
    let pages = backup(&before, &owner);
    after.secrets = Secrets::new("another secret of a deployment 012345", Some(own));
    send(&after, &pages[0]).expect(200);
}

#[test]
fn while_pages_are_missing_nothing_else_is_done() {
    let (before, owner) = RegistryFixture::open();
    let pages = long(&before, &owner);
    let after = RegistryFixture::empty();
    send(&after, &pages[0]).expect(200);
    after.alarm();
    after.pass_with_alarms(Span::from_mins(10));
    assert_eq!(after.kv_writes.get(), 0, "nothing is published");
    let sign_in = json!({"email": "owner@example.com", "password": PASSWORD});
    let set_up = json!({"token": SETUP_TOKEN, "email": "thief@example.com", "password": PASSWORD});
    for (path, body) in [("/session", sign_in), ("/setup", set_up)] {
        let answer = after.post("", path, body);
        answer.refused(503, "STORE_UNAVAILABLE");
        assert!(answer.text.contains("is being restored"), "{}", answer.text);
    }
    after.get(&format!("setup:{SETUP_TOKEN}"), "/api-keys").refused(503, "STORE_UNAVAILABLE");
    let report = UsageReport { key_id: "key_1".into(), ..UsageReport::default() };
    assert!(after.run(after.publisher.take_usage(&report, None)).is_err(), "it is told again later");
    for page in &pages[1..] {
        send(&after, page).expect(200);
    }
    after.sign_in("owner@example.com");
}

#[test]
fn only_an_owner_of_the_operator_who_has_just_shown_who_they_are_reads_a_backup() {
    let (fixture, owner) = RegistryFixture::open();
    let (admin, _) = fixture.member(&owner, "admin@example.com", "admin");
    let (customer, _) = fixture.tenant(&owner, "acme");
    let key = fixture.key(&owner, json!({"scopes": ["admin:write"]})).key_id();
    for who in [&admin, &customer, &format!("key:{key}")] {
        fixture.get(who, "/backup").refused(403, "FORBIDDEN");
    }
    fixture.get("", "/backup").refused(401, "UNAUTHENTICATED");
    let audited = fixture.get(&owner, "/backup").expect(200);
    assert!(audited.text.contains("backup.read"), "that it was read is in it");
    fixture.later(Span::from_mins(6));
    fixture.get(&owner, "/backup").refused(403, "STEP_UP_REQUIRED");
    assert_eq!(fixture.get(&owner, "/backup?cursor=AAAA").expect(400).fields(), ["cursor"]);
}

#[test]
fn a_cursor_that_is_found_in_a_log_opens_no_backup_later() {
    let (fixture, owner) = RegistryFixture::open();
    long(&fixture, &owner);
    let owner = fixture.sign_in("owner@example.com");
    let first = fixture.get(&owner, "/backup").expect(200);
    let path = format!("/backup?cursor={}", first.header("Next-Cursor").unwrap());
    fixture.get(&owner, &path).expect(200);
    fixture.later(Span::from_days(1));
    let owner = fixture.sign_in("owner@example.com");
    fixture.get(&owner, &path).refused(400, "VALIDATION_FAILED");
}

#[test]
fn only_the_set_up_token_restores_and_only_where_nothing_is() {
    let (before, owner) = RegistryFixture::open();
    let pages = backup(&before, &owner);
    let after = RegistryFixture::empty();
    for (who, status, code) in [
        (String::new(), 401, "UNAUTHENTICATED"),
        (owner, 401, "UNAUTHENTICATED"),
        ("setup:of-another-deployment-entirely".to_owned(), 401, "INVALID_CREDENTIALS"),
    ] {
        let call = after.call("POST", &who, "/restore", Value::Null);
        after.send(AdminCall { body: pages[0].clone(), ..call }).refused(status, code);
    }
    // Prepared by a script, before there is an owner.
    let prepared = RegistryFixture::empty();
    prepared.key(&format!("setup:{SETUP_TOKEN}"), json!({}));
    send(&prepared, &pages[0]).refused(409, "ALREADY_SET_UP");
    send(&before, &pages[0]).refused(409, "ALREADY_SET_UP");
}

#[test]
fn a_key_that_was_revoked_after_the_backup_stays_revoked_and_other_changes_are_undone() {
    let (before, owner) = RegistryFixture::open();
    let [revoked, edited, same] = [0; 3].map(|_| before.key(&owner, json!({})).key_id());
    before.pass_with_alarms(Span::from_mins(1));
    let pages = backup(&before, &before.sign_in("owner@example.com"));
    before.post(&owner, &format!("/api-keys/{revoked}/revoke"), json!({})).expect(200);
    for name in ["one", "two", "three"] {
        let path = format!("/api-keys/{edited}");
        before
            .patch(&owner, &path, json!({"name": name, "scopes": ["orders:read", "orders:write"]}))
            .expect(200);
    }
    let version = before.record(&edited).version;

    let after = lost(&before, &pages);
    let owner = after.sign_in("owner@example.com");
    assert_eq!(status(&after, &owner, &revoked), "REVOKED");
    assert_eq!(after.record(&revoked).status, Status::Revoked);
    assert_eq!(after.published(&revoked).unwrap().status, Status::Revoked);
    assert!(after.record(&edited).version > version);
    assert_eq!(after.record(&edited).scopes, ["orders:read"], "as in the backup");
    assert_eq!(after.record(&same).status, Status::Active);
    // What is done from now on counts.
    after.post(&owner, &format!("/api-keys/{edited}/revoke"), json!({})).expect(200);
    assert_eq!(after.record(&edited).status, Status::Revoked);
}

#[test]
fn a_key_that_was_made_after_the_backup_is_found_and_can_be_revoked() {
    let (before, owner) = RegistryFixture::open();
    let known = before.key(&owner, json!({})).key_id();
    let pages = backup(&before, &before.sign_in("owner@example.com"));
    let fields =
        json!({"scopes": ["orders:write"], "rateLimit": {"perMinute": 9}, "allowedIps": ["192.0.2.0/24"]});
    let made = before.key(&owner, fields).key_id();
    let ended = before.key(&owner, json!({})).key_id();
    before.post(&owner, &format!("/api-keys/{ended}/revoke"), json!({})).expect(200);
    let (customer, _) = before.tenant(&owner, "acme");
    let of_customer = before.key(&customer, json!({})).key_id();
    before.pass_with_alarms(Span::from_mins(2));
    // Its object was told, and KV not any more.
    let revoked = before.key(&owner, json!({})).key_id();
    before.kv_is_down.set(true);
    for name in ["one", "two", "three"] {
        before
            .patch(&customer, &format!("/api-keys/{of_customer}"), json!({"name": name, "strict": true}))
            .expect(200);
        before
            .patch(&customer, &format!("/api-keys/{of_customer}"), json!({"name": name, "strict": false}))
            .expect(200);
    }
    before.post(&owner, &format!("/api-keys/{revoked}/revoke"), json!({})).expect(200);
    assert_eq!(before.published(&revoked).unwrap().status, Status::Active);
    let record = before.record(&made);

    let after = lost(&before, &pages);
    let owner = after.sign_in("owner@example.com");
    let found = after.get(&owner, &format!("/api-keys/{made}")).expect(200).body["apiKey"].clone();
    assert_eq!((&found["name"], &found["status"]), (&json!("Found after a restore"), &json!("ACTIVE")));
    let now = after.record(&made);
    assert_eq!((now.scopes, now.limits, now.allowed_ips), (record.scopes, record.limits, record.allowed_ips));
    after.post(&owner, &format!("/api-keys/{made}/revoke"), json!({})).expect(200);
    assert_eq!(after.record(&made).status, Status::Revoked);
    // Nobody here knows its tenant.
    assert_eq!(after.record(&of_customer).status, Status::Revoked);
    assert_eq!(after.published(&of_customer).unwrap().status, Status::Revoked);
    after.get(&owner, &format!("/api-keys/{ended}")).refused(404, "NOT_FOUND");
    assert_eq!(status(&after, &owner, &known), "ACTIVE");
    assert_eq!(status(&after, &owner, &revoked), "REVOKED");
    assert_eq!(after.published(&revoked).unwrap().status, Status::Revoked);
    assert_eq!(rows(&after, "SELECT 1 FROM restores WHERE search_due IS NOT NULL").len(), 0, "it is done");
}

#[test]
fn gates_take_nothing_for_unchanged_that_was_changed_before_a_restore() {
    let (before, owner) = RegistryFixture::open();
    let (_, tenant) = before.tenant(&owner, "acme");
    let path = format!("/tenants/{tenant}");
    before.patch(&owner, &path, json!({"status": "INACTIVE"})).expect(200);
    let pages = backup(&before, &before.sign_in("owner@example.com"));
    before.patch(&owner, &path, json!({"status": "ACTIVE"})).expect(200);
    let read = |fixture: &RegistryFixture, log: &str, after: u64| {
        let call = ReadChanges { log: log.into(), after, max_age: Span::ZERO };
        change_log::read(&fixture.db, &call, fixture.now.get(), &mut Seeded::new(3), fixture.policy).unwrap()
    };
    let then = read(&before, "", 0);
    let after = lost(&before, &pages);
    let now = read(&after, &then.log, then.position);
    assert!(now.is_anew, "another log");
    assert!(now.covers < Span::from_mins(3), "{:?}", now.covers);
    assert!(now.position > then.position + 1_000_000, "numbers of tenants go on above all that were given");
    let change = rows(&after, "SELECT MIN(change) AS least FROM tenants");
    assert!(change[0]["least"].as_u64().unwrap() > then.position);
}

#[test]
fn a_backup_of_a_newer_version_is_refused_with_what_is_not_known_here() {
    let (before, owner) = RegistryFixture::open();
    before.db.run("ALTER TABLE members ADD COLUMN of_a_newer_build TEXT", &[]).unwrap();
    let pages = backup(&before, &owner);
    let answer = send(&RegistryFixture::empty(), &pages[0]);
    answer.refused(409, "CONFLICT");
    assert!(answer.text.contains("newer version") && answer.text.contains("members"), "{}", answer.text);
}

#[test]
fn what_a_restore_brings_is_no_event() {
    let (before, owner) = RegistryFixture::open();
    let day = Span::from_days(1);
    let expires = (before.now.get() + day * 40).to_rfc3339();
    for revoked in [json!({"expiresAt": expires}), json!({})] {
        let revoked = before.key(&owner, revoked).key_id();
        before.post(&owner, &format!("/api-keys/{revoked}/revoke"), json!({})).expect(200);
    }
    let active = before.key(&owner, json!({"expiresAt": expires})).key_id();
    before.later(day * 20);
    let owner = before.sign_in("owner@example.com");
    let pages = backup(&before, &owner);
    let after = RegistryFixture::over(crate::events::policy_of(&[crate::events::endpoint(&EventType::ALL)]));
    after.now.set(before.now.get());
    after.pass_with_alarms(Span::from_secs(10));
    for page in &pages {
        send(&after, page).expect(200);
    }
    after.pass_with_alarms(Span::from_mins(2));
    assert_eq!(after.received.borrow().len(), 0);
    let owner = after.sign_in("owner@example.com");
    let made = after.key(&owner, json!({})).key_id();
    // Until what was revoked would have expired, and lain unused.
    after.pass_with_alarms(Span::from_days(100));
    let received = after.received.borrow();
    let of = |key: &str| received.iter().filter(|received| received.body.contains(key)).count();
    assert_eq!((of(&made), of(&active), received.len()), (2, 2, 4), "made, unused; 7 days and 1 day before");
}

#[test]
fn a_key_that_was_found_opens_nothing_at_the_admin_api() {
    let (before, owner) = RegistryFixture::open();
    let pages = backup(&before, &owner);
    let made = before.key(&owner, json!({"scopes": ["admin:write"]})).key_id();
    before.pass_with_alarms(Span::from_mins(1));
    before.get(&format!("key:{made}"), "/api-keys").expect(200);
    let after = lost(&before, &pages);
    after.get(&format!("key:{made}"), "/api-keys").refused(403, "FORBIDDEN");
}

#[test]
fn a_page_is_written_and_signed_like_this() {
    let head = Head { backup: "bak_1".into(), page: 1, time: NOON, previous: "ab".into() };
    let mut writer = Writer::new(&head);
    let row = json!({"id": "key_1", "hash": "sha256:00", "expires_at": null, "version": 3});
    writer.row("keys", row.as_object().unwrap().clone());
    let (text, mac) = writer.finish(&secrets(), false);
    let lines: Vec<&str> = text.lines().collect();
    let expected = [
        r#"{"backup":"bak_1","keyward":"backup","page":1,"previous":"ab","time":"2030-03-17T17:46:40.000Z","v":1}"#,
        r#"{"row":{"expires_at":null,"hash":"sha256:00","id":"key_1","version":3},"table":"keys"}"#,
        r#"{"end":false,"mac":"add2a93d78a3d51587300c5eabe1f7866fd20e28438c40f06fcd141daf24b775"}"#,
    ];
    assert_eq!(lines, expected);
    let page = Page::read(&text, &secrets()).unwrap_or_else(|unfit| panic!("{unfit}"));
    assert_eq!((page.head, page.end, page.mac), (head, false, mac));
    assert_eq!(page.rows, [("keys".to_owned(), row.as_object().unwrap().clone())]);
}
