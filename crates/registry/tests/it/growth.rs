//! What a call adds to the database: about what it is to keep, however large and in whatever form it was sent.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    key::hex,
    sql::Sql,
    time::{HOUR, SECOND},
};
use keyward_limits::{
    routes::OnRoutes,
    wire::{UsageHour, UsageReport},
};
use keyward_registry::usage;
use keyward_testing::registry_fixture::{Answer, RegistryFixture};
use keyward_testing::{
    authenticator::{Algorithm, SoftPasskey},
    policy::POLICY,
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Bytes of the database's pages, the empty ones included.
fn size(fixture: &RegistryFixture) -> u64 {
    let one =
        |pragma: &str| fixture.db.run(&format!("PRAGMA {pragma}"), &[]).unwrap()[0][pragma].as_u64().unwrap();
    one("page_count") * one("page_size")
}

/// As much metadata as a key can have: 40,000 bytes of text.
fn large() -> Value {
    let text = "\u{1f511}".repeat(500);
    Value::Object((0..20).map(|n| (format!("field_{n}"), text.as_str().into())).collect::<Map<_, _>>())
}

fn create(fixture: &RegistryFixture, owner: &str, idempotency_key: &str, fields: Value) -> Answer {
    let mut body = json!({"name": "a key", "scopes": ["orders:read"]});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let mut call = fixture.call("POST", owner, "/api-keys", body);
    call.idempotency_key = Some(idempotency_key.to_owned());
    fixture.send(call).expect(201)
}

fn last_entry(fixture: &RegistryFixture) -> Value {
    let text = fixture.db.run("SELECT entry FROM audit ORDER BY rowid DESC LIMIT 1", &[]).unwrap();
    serde_json::from_str(text[0]["entry"].as_str().unwrap()).unwrap()
}

#[test]
fn a_key_grows_the_database_by_little_more_than_what_is_set_on_it() {
    let (fixture, owner) = RegistryFixture::open();
    let before = size(&fixture);
    const KEYS: u64 = 10;
    for n in 0..KEYS {
        create(&fixture, &owner, &format!("n-{n}"), json!({"metadata": large()}));
    }
    let settings = large().to_string().len() as u64;
    let growth = (size(&fixture) - before) / KEYS;
    println!("a create with {settings} bytes of metadata grows the database by {growth} bytes");
    assert!(growth < settings + settings / 4, "{growth}");
    let before = size(&fixture);
    for n in 0..10 * KEYS {
        create(&fixture, &owner, &format!("m-{n}"), json!({}));
    }
    let growth = (size(&fixture) - before) / (10 * KEYS);
    println!("an ordinary create grows it by {growth} bytes");
    assert!(growth < 6_000, "{growth}");
}

#[test]
fn an_entry_says_of_what_is_long_its_length_and_hash_and_the_chain_stays_whole() {
    let (fixture, owner) = RegistryFixture::open();
    let id = create(&fixture, &owner, "n-1", json!({"metadata": large(), "tags": ["of people"]})).key_id();
    let made = last_entry(&fixture);
    // In the form of RFC 8785: names are sorted, and nothing in this text is escaped.
    let mut sorted: Vec<(String, Value)> = large().as_object().unwrap().clone().into_iter().collect();
    sorted.sort_by(|one, other| one.0.cmp(&other.0));
    let text: Vec<String> = sorted.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    let text = format!("{{{}}}", text.join(","));
    let digest = json!({"bytes": text.len(), "sha256": hex(&Sha256::digest(&text))});
    assert_eq!(made["after"]["metadata"], digest);
    assert_eq!(made["after"]["tags"], json!(["of people"]), "what is short stays");

    let path = format!("/api-keys/{id}");
    fixture.patch(&owner, &path, json!({"metadata": {"field": "x"}})).expect(200);
    let edited = last_entry(&fixture);
    assert_eq!(edited["before"]["metadata"], digest);
    assert_eq!(edited["after"]["metadata"], json!({"field": "x"}));
    assert_eq!(edited["after"].get("tags"), None, "what did not change is not in it");
    let long = fixture.db.run("SELECT MAX(length(entry)) AS longest FROM audit", &[]).unwrap();
    assert!(long[0]["longest"].as_u64().unwrap() < 4_096);
    assert_eq!(fixture.get(&owner, "/audit/verify").expect(200).body["ok"], true);
}

#[test]
fn every_side_of_every_entry_is_bounded_whichever_fields_are_long() {
    let (fixture, owner) = RegistryFixture::open();
    let addresses: Vec<String> =
        (0..100).map(|n| format!("2001:db8:{n:x}:ffff:ffff:ffff:ffff:ffff")).collect();
    let origins: Vec<String> =
        (0..100).map(|n| format!("https://{}.{n}.example.com", "a".repeat(60))).collect();
    let tags: Vec<String> = (0..20).map(|n| format!("{n} {}", "\u{1f511}".repeat(45))).collect();
    let fields = json!({
        "kind": "publishable", "name": "\u{1f511}".repeat(100), "metadata": large(), "allowedIps": addresses,
        "allowedOrigins": origins, "tags": tags
    });
    create(&fixture, &owner, "n-1", fields);
    let entry = last_entry(&fixture);
    assert!(entry.to_string().len() < 4_096, "{entry}");
    for field in ["metadata", "allowedIps", "allowedOrigins", "tags"] {
        assert_eq!(entry["after"][field]["sha256"].as_str().map(str::len), Some(64), "{field}");
    }
}

#[test]
fn a_repeat_is_the_first_answer_to_the_letter_whatever_became_of_the_key() {
    let (fixture, owner) = RegistryFixture::open();
    let fields = json!({"metadata": large(), "tags": ["t".repeat(50), "u".repeat(50)]});
    let first = create(&fixture, &owner, "n-1", fields.clone());
    let stored = fixture.db.run("SELECT answer FROM idempotency", &[]).unwrap();
    assert!(stored[0]["answer"].as_str().unwrap().len() < 2_048);
    let path = format!("/api-keys/{}", first.key_id());
    for change in [
        json!({"name": "b"}),
        json!({"metadata": {"a": "b"}}),
        json!({"metadata": large(), "tags": []}),
        json!({"metadata": null}),
    ] {
        fixture.patch(&owner, &path, change).expect(200);
        assert_eq!(create(&fixture, &owner, "n-1", fields.clone()).text, first.text);
    }
    fixture.post(&owner, &format!("{path}/revoke"), json!({})).expect(200);
    assert_eq!(create(&fixture, &owner, "n-1", fields).text, first.text);
}

#[test]
fn what_a_repeat_has_to_keep_of_settings_that_were_changed_counts_as_what_is_set_on_keys() {
    let mut policy = keyward_policy::Policy { ..*keyward_testing::registry_fixture::policy_with(|_| {}) };
    policy.admin.quotas.key_bytes = 100_000;
    let (fixture, owner) = RegistryFixture::open_over(Box::leak(Box::new(policy)));
    let mut made = 0;
    let refused = loop {
        let mut call = fixture.call(
            "POST",
            &owner,
            "/api-keys",
            json!({"name": "k", "scopes": ["orders:read"], "metadata": large()}),
        );
        call.idempotency_key = Some(format!("n-{made}"));
        let answer = fixture.send(call);
        if answer.status != 201 || made > 20 {
            break answer;
        }
        made += 1;
        let small = json!({"metadata": null});
        let edited = fixture.patch(&owner, &format!("/api-keys/{}", answer.key_id()), small);
        assert!([200, 409].contains(&edited.status), "{}", edited.text);
    };
    refused.refused(409, "QUOTA_EXCEEDED");
    assert_eq!(made, 2);
    let kept =
        fixture.db.run("SELECT SUM(length(CAST(answer AS BLOB))) AS bytes FROM idempotency", &[]).unwrap();
    assert!(kept[0]["bytes"].as_u64().unwrap() < 100_000 + 2 * 4_096);
    let used =
        |owner: &str| fixture.get(owner, "/quotas").body["quotas"]["keyBytes"]["used"].as_u64().unwrap();
    assert!(used(&owner) > 80_000);
    // A day later nothing has to be kept.
    fixture.later(25 * HOUR);
    let owner = fixture.sign_in("owner@example.com");
    create(&fixture, &owner, "another", json!({}));
    assert!(used(&owner) < 50_000, "{}", used(&owner));
}

/// Rows, bytes a row and megabytes that docs/storage.md says a tenant has of this at the most.
fn documented(what: &str) -> (u64, u64, u64) {
    let lines = include_str!("../../../../docs/storage.md").lines();
    let line = lines.filter_map(|line| line.strip_prefix("| ")).find(|line| line.starts_with(what)).unwrap();
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let number = |cell: &str| cell.replace([',', ' '], "").trim_end_matches("MB").parse::<u64>().unwrap_or(0);
    (number(cells[1]), number(cells[2]), number(cells[3]))
}

#[test]
fn no_row_is_larger_and_no_tenant_has_more_than_what_is_documented() {
    let (fixture, owner) = RegistryFixture::open();
    let stored = |table: &str| {
        let pages = "SELECT SUM(pgsize) AS n FROM dbstat WHERE name IN (SELECT name FROM sqlite_schema WHERE tbl_name = ?)";
        fixture.db.run(pages, &[table.into()]).unwrap()[0]["n"].as_u64().unwrap()
    };
    let rows = |table: &str| {
        fixture.db.run(&format!("SELECT COUNT(*) AS n FROM {table}"), &[]).unwrap()[0]["n"].as_u64().unwrap()
    };
    let too_large = |table: &str, what: &str| {
        let (bytes, (_, most, _)) = (stored(table) / rows(table), documented(what));
        assert!(rows(table) >= 100);
        if bytes > most { format!("a row of {table} has {bytes} bytes, not {most}; ") } else { String::new() }
    };
    let mut wrong = String::new();
    // Keys with next to nothing set on them, whose owner has a long address and gives a long reason.
    let email = format!("{}@{}.com", "a".repeat(64), vec!["b".repeat(61); 3].join("."));
    let (admin, _) = fixture.member(&owner, &email, "admin");
    *fixture.address.borrow_mut() = "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff".into();
    for _ in 0..150 {
        fixture.later(SECOND);
        let id =
            fixture.post(&admin, "/api-keys", json!({"name": "k", "scopes": ["*"]})).expect(201).key_id();
        let reason = json!({"reason": "\u{1f511}".repeat(500)});
        fixture.post(&admin, &format!("/api-keys/{id}/revoke"), reason).expect(200);
    }
    let used = format!("[{},{:?}]", fixture.now.get().0, "x".repeat(480));
    fixture.db.run("UPDATE keys SET last_used_at = 1, last_used_from = ?", &[used.into()]).unwrap();
    wrong += &too_large("keys", "keys, active and ended");
    // Requests whose answers leave nothing to the key's row.
    for n in 0..100 {
        fixture.later(SECOND);
        let fields = json!({"name": "\u{1f511}".repeat(60), "tags": ["t".repeat(50), "u".repeat(50), "v".repeat(50), "w".repeat(50)],
            "metadata": {"a": "x".repeat(240)}, "allowedIps": ["2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8:ffff:ffff:ffff:ffff:ffff:fff0"]});
        create(&fixture, &admin, &format!("{n:0>255}"), fields);
    }
    wrong += &too_large("idempotency", "remembered requests");
    // Passkeys with the largest keys and ids, and names of the largest characters.
    for n in 0..5 {
        let (member, _) = fixture.member(&owner, &format!("member{n}@example.com"), "viewer");
        for seed in 0..20 {
            let id = [vec![n, seed], vec![7; 1_021]].concat();
            let mut passkey = SoftPasskey { id, ..SoftPasskey::new(Algorithm::Rs256, 1) };
            let options = fixture.post(&member, "/passkeys/options", json!({})).expect(200).body;
            let made = passkey.made(&options).to_json();
            let body = json!({"name": "\u{1f511}".repeat(100), "passkey": made});
            fixture.post(&member, "/passkeys", body).expect(201);
        }
    }
    // A key of 8,192 bits is 1,024 bytes longer in base64url than one of 2,048.
    fixture.db.run("UPDATE passkeys SET key = key || ?", &["A".repeat(1_024).into()]).unwrap();
    wrong += &too_large("passkeys", "passkeys of members");
    wrong += &too_large("passkey_challenges", "challenges that they used");
    // Edits of which both sides are as long as they can be.
    let id = fixture.key(&admin, json!({})).key_id();
    fixture.db.run("DELETE FROM audit WHERE seq < (SELECT MAX(seq) FROM audit)", &[]).unwrap();
    fixture.db.run("VACUUM", &[]).unwrap();
    for n in 0..200 {
        fixture.later(SECOND);
        let side: Map<String, Value> =
            (0..19).map(|field| (format!("f{field}"), Value::from(format!("{n:0>92}")))).collect();
        fixture.patch(&admin, &format!("/api-keys/{id}"), json!({"metadata": side})).expect(200);
    }
    let longest = fixture.db.run("SELECT MAX(length(CAST(entry AS BLOB))) AS n FROM audit", &[]).unwrap();
    assert!((4_500..5_400).contains(&longest[0]["n"].as_u64().unwrap()), "{longest:?}");
    wrong += &too_large("audit", "entries of the audit");
    // Each hour refused for every reason.
    let codes = [
        "INVALID_REQUEST",
        "INVALID_API_KEY",
        "REVOKED_API_KEY",
        "EXPIRED_API_KEY",
        "INACTIVE_ORGANIZATION",
        "PLAN_REQUIRED",
        "IP_RESTRICTED",
        "ORIGIN_RESTRICTED",
        "TEST_MODE",
        "INSUFFICIENT_SCOPE",
        "RATE_LIMITED",
    ];
    let refused = codes.map(|code| (code.to_owned(), 1_000_000_000_u64));
    let now = fixture.now.get().floor(HOUR);
    let hours = (0..500).map(|n| UsageHour {
        hour: now.plus(-n * HOUR),
        accepted: 1_000_000_000,
        refused: refused.clone().into(),
        ..UsageHour::default()
    });
    let report = UsageReport { key_id: id, hours: hours.collect(), ..UsageReport::default() };
    usage::apply(&fixture.db, &report, true, fixture.now.get()).unwrap();
    fixture
        .db
        .run(
            "INSERT INTO usage_days (tenant_id, key_id, day, accepted, refused)
        SELECT tenant_id, key_id, hour, accepted, refused FROM usage",
            &[],
        )
        .unwrap();
    wrong += &too_large("usage", "usage by the hour");
    wrong += &too_large("usage_days", "usage by the hour");
    let names = (0..500).map(|n| (format!("api GET /{n:0>190}"), 1_000_000_000));
    for names in names.collect::<Vec<_>>().chunks(20) {
        let routes = OnRoutes { accepted: names.iter().cloned().collect(), ..OnRoutes::default() };
        let hours = vec![UsageHour { hour: now, accepted: 1, routes, ..UsageHour::default() }];
        let key_id = fixture.key(&owner, json!({})).key_id();
        let report = UsageReport { key_id, hours, ..UsageReport::default() };
        usage::apply(&fixture.db, &report, true, fixture.now.get()).unwrap();
    }
    wrong += &too_large("usage_routes", "usage of routes by the day");
    // Links, sessions and networks, as the API stores them at their longest.
    let text = |length: usize| "x".repeat(length);
    for n in 0..200_u32 {
        fixture.db.run(
            "INSERT INTO links (id, hash, tenant_id, realm, subject, session_id, expires_at, used_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            &[format!("link_{n:0>22}").into(), format!("hmac-sha256:{n:0>64}").into(), text(36).into(), text(32).into(),
              text(256).into(), text(128).into(), fixture.now.get().into(), fixture.now.get().into()],
        ).unwrap();
        fixture.db.run(
            "INSERT INTO sessions (hash, tenant_id, member_id, created_at, expires_at, stepped_up_at, seen_at, network, agent)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            &[format!("{n:0>64}").into(), text(36).into(), text(26).into(), now.into(), now.into(), now.into(), now.into(),
              text(45).into(), text(160).into()],
        ).unwrap();
    }
    wrong += &too_large("links", "links, and those");
    wrong += &too_large("sessions", "sessions and known networks");

    assert_eq!(wrong, "");
    // So many rows there can be with the quotas that a policy has which says nothing of them.
    let quotas = POLICY.admin.quotas;
    let [keys, ended, members] = [quotas.keys, quotas.ended_keys, quotas.members].map(u64::from);
    let all_keys = keys + keys / 10 + 2 * ended + 50;
    let audit = u64::from(quotas.audit_entries);
    for (what, most) in [
        ("keys, active and ended", all_keys),
        ("remembered requests", quotas.idempotency_keys.into()),
        ("links, and those", u64::from(quotas.links) + 20_000 + 100),
        ("sessions and known networks", members * 120),
        ("passkeys of members", members * 20),
        ("challenges that they used", members * 100),
        ("entries of the audit", audit + audit / 10 + all_keys + members),
        ("usage by the hour", 2 * u64::from(usage::retention::MOST_OF_TENANT)),
        ("usage of routes by the day", 31 * 501),
    ] {
        let (rows, bytes, megabytes) = documented(what);
        assert_eq!((rows, megabytes), (most, (rows * bytes).div_ceil(1_000_000)), "{what}");
    }
}

#[test]
fn what_is_searched_of_a_key_is_bounded_whatever_its_characters_become() {
    let (fixture, owner) = RegistryFixture::open();
    let tags: Vec<String> = (0..20).map(|n| format!("{n}{}", "\u{fdfa}".repeat(48))).collect();
    create(&fixture, &owner, "n-1", json!({"name": "\u{fdfa}".repeat(100), "tags": tags}));
    let searched = fixture.db.run("SELECT length(CAST(search AS BLOB)) AS bytes FROM keys", &[]).unwrap();
    assert!(searched[0]["bytes"].as_u64().unwrap() <= 8_192);
    let found = fixture.get(&owner, "/api-keys?q=%EF%B7%BA").expect(200);
    assert_eq!(found.body["apiKeys"].as_array().unwrap().len(), 1);
}
