//! API keys made through the admin API, by whom, and every wrong value.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    key,
    sql::Sql,
    time::{DAY, SECOND},
};
use keyward_policy::{Grant, Scope};
use keyward_testing::registry_fixture::{RegistryFixture, policy_with};
use serde_json::{Value, json};

#[test]
fn a_new_key_is_shown_once_and_stored_only_as_its_hash() {
    let (fixture, owner) = RegistryFixture::open();
    let made = fixture.key(&owner, json!({"name": "  Shop  ", "scopes": ["orders:write", "orders:write"]}));
    let plaintext = made.plaintext();
    let view = &made.body["apiKey"];
    assert!(plaintext.starts_with("kw_live_"));
    assert!(key::is_well_formed(&fixture.policy.realms[0].key, &fixture.secrets, &plaintext));
    assert_eq!(view["name"], "Shop");
    assert_eq!(view["scopes"], json!(["orders:write"]));
    assert_eq!(view["status"], "ACTIVE");
    assert_eq!(view["last4"], plaintext[plaintext.len() - 4..]);
    assert!(plaintext.starts_with(view["keyPrefix"].as_str().unwrap()));
    assert_eq!(view["createdBy"]["email"], "owner@example.com");
    let none = json!({"perSecond": null, "perMinute": null, "perHour": null, "perDay": null, "perMonth": null, "total": null, "inFlight": null});
    assert_eq!(view["rateLimit"], none);
    assert_eq!(
        view["effectiveRateLimit"],
        json!({"perSecond": null, "perMinute": 600, "perHour": null, "perDay": null, "perMonth": null, "total": null, "inFlight": null})
    );

    let hash = key::storage_hash(&fixture.policy.realms[0].key, &fixture.secrets, &plaintext);
    assert!(fixture.dump().contains(&hash));
    assert!(!fixture.dump().contains(&plaintext));
    let read = fixture.get(&owner, &format!("/api-keys/{}", made.key_id())).expect(200);
    assert_eq!(&read.body["apiKey"], view);
    assert_eq!(read.header("ETag"), Some("\"1\""));
    assert!(!read.text.contains(&plaintext));
    assert!(!fixture.get(&owner, "/api-keys").text.contains(&plaintext));
    assert!(!fixture.get(&owner, "/audit").text.contains(&plaintext));
}

#[test]
fn a_new_key_is_told_to_its_gate_and_published_under_its_hash() {
    let (fixture, owner) = RegistryFixture::open();
    let made = fixture.key(&owner, json!({"allowedIps": ["192.0.2.7"], "rateLimit": {"perMinute": 7}}));
    let hash = key::storage_hash(&fixture.policy.realms[0].key, &fixture.secrets, &made.plaintext());
    let told = fixture.gates.borrow()[&hash].record.clone().unwrap();
    let published = keyward_json::from_str(&fixture.kv.borrow()[&key::kv_key(&hash)]).unwrap();
    assert_eq!(told, published);
    assert_eq!(told.version, 1);
    assert_eq!(told.limits.per_minute, Some(7));
    assert_eq!(told.allowed_ips, ["192.0.2.7/32".parse().unwrap()]);
    assert_eq!(fixture.next_due(), None);
}

#[test]
fn every_wrong_field_is_named_at_once() {
    let (fixture, owner) = RegistryFixture::open();
    let answer = fixture.post(
        &owner,
        "/api-keys",
        json!({
            "name": "x".repeat(10_000), "scopes": ["orders:fly", "orders:read", 7], "realm": "moon", "kind": "magic",
            "rateLimit": {"perMinute": 0, "perDay": 1.5, "perYear": 1}, "allowedIps": ["not an address", "10.0.0.0/33"],
            "allowedOrigins": ["https://shop.example.com/x"], "tags": [""], "metadata": {"a": 1, "b c": "x"},
            "expiresAt": "yesterday", "testMode": "yes", "admin": true
        }),
    );
    answer.refused(400, "VALIDATION_FAILED");
    let mut fields = answer.fields();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "admin",
            "allowedIps[0]",
            "allowedIps[1]",
            "allowedOrigins[0]",
            "expiresAt",
            "kind",
            "metadata.a",
            "metadata.b c",
            "name",
            "rateLimit.perDay",
            "rateLimit.perMinute",
            "rateLimit.perYear",
            "realm",
            "scopes[0]",
            "scopes[2]",
            "tags[0]",
            "testMode",
        ]
    );
    assert!(answer.message("scopes[0]").contains("orders:read"), "says what there is");
    assert_eq!(fixture.get(&owner, "/api-keys").body["apiKeys"], json!([]));
}

/// An older build refuses none of these: it does not know them.
#[test]
fn a_limit_of_every_window_is_kept_published_listed_exported_copied_and_logged() {
    let (fixture, operator) = RegistryFixture::open();
    let (owner, tenant) = fixture.tenant(&operator, "acme");
    let all = json!({"perSecond": 5, "perMinute": 60, "perHour": 600, "perDay": 6_000, "perMonth": 60_000, "total": 100, "inFlight": 9});
    let made = fixture.key(&owner, json!({"rateLimit": all}));
    let id = made.key_id();
    assert_eq!(made.body["apiKey"]["rateLimit"], all);
    assert_eq!(fixture.get(&owner, &format!("/api-keys/{id}")).body["apiKey"]["effectiveRateLimit"], all);
    let limits = |id: &str| serde_json::to_value(fixture.published(id).unwrap().limits).unwrap();
    assert_eq!(limits(&id), all);
    let file = fixture.get(&owner, "/api-keys/export?format=json").expect(200);
    assert!(file.text.contains(r#""total":100"#), "{}", file.text);
    let next = fixture.post(&owner, &format!("/api-keys/{id}/rotate"), json!({})).expect(201).key_id();
    assert_eq!(limits(&next), all);
    // The top-up of a total is an edit, and one of it alone is in the log.
    let changes = |table: &str| -> u64 {
        let statement = format!("SELECT COUNT(*) FROM changes WHERE {table} IS NOT NULL");
        keyward_core::sql::scalar(&fixture.db, &statement, &[]).unwrap().unwrap()
    };
    let before = changes("hash");
    fixture.patch(&owner, &format!("/api-keys/{next}"), json!({"rateLimit": {"total": 150}})).expect(200);
    let inherited = json!({"perMinute": 600, "perDay": null, "total": 150});
    assert_eq!((limits(&next), changes("hash")), (inherited, before + 1));
    // What a tenant is given holds for its keys that name none.
    let given = json!({"rateLimit": {"perSecond": 2, "perMonth": 9_000}});
    let answer = fixture.patch(&operator, &format!("/tenants/{tenant}"), given).expect(200);
    assert_eq!(answer.body["tenant"]["rateLimit"]["perMonth"], 9_000);
    assert_eq!(changes("tenant_id"), 1);
    assert_eq!(
        limits(&next),
        json!({"perSecond": 2, "perMinute": 600, "perDay": null, "perMonth": 9_000, "total": 150})
    );
}

#[test]
fn name_and_scopes_are_required() {
    let (fixture, owner) = RegistryFixture::open();
    for body in [Value::Null, json!({})] {
        let answer = fixture.post(&owner, "/api-keys", body);
        answer.refused(400, "VALIDATION_FAILED");
        assert_eq!(answer.fields(), ["name", "scopes"]);
    }
    assert_eq!(
        fixture.post(&owner, "/api-keys", json!({"name": null, "scopes": []})).fields(),
        ["name", "scopes"]
    );
}

#[test]
fn each_wrong_value_is_refused() {
    let (fixture, owner) = RegistryFixture::open();
    let wrong = [
        ("name", json!("")),
        ("name", json!("   ")),
        ("name", json!("a\nb")),
        ("name", json!("a\u{0}")),
        ("name", json!(7)),
        ("scopes", json!("orders:read")),
        ("scopes[0]", json!(["orders"])),
        ("scopes[0]", json!(["*:read"])),
        ("scopes[0]", json!(["users:*"])),
        ("scopes[0]", json!([""])),
        ("rateLimit", json!(5)),
        ("rateLimit.perMinute", json!({"perMinute": -1})),
        ("rateLimit.perMinute", json!({"perMinute": 1_000_000_000})),
        ("rateLimit.perMinute", json!({"perMinute": 100_001})),
        ("rateLimit.perMinute", json!({"perMinute": "5"})),
        ("rateLimit.perDay", json!({"perDay": 10_000_001})),
        ("rateLimit.total", json!({"total": 0})),
        ("rateLimit.perHour", json!({"perMinute": 60, "perHour": 59})),
        ("rateLimit.perMonth", json!({"perMinute": 60, "perDay": 9, "perMonth": 8})),
        ("expiresAt", json!("2020-01-01T00:00:00Z")),
        ("expiresAt", json!("2040-01-01")),
        ("expiresAt", json!("2040-01-01T00:00:00")),
        ("expiresAt", json!(1_900_000_000)),
        ("expiresAt", json!("")),
        ("allowedIps", json!("10.0.0.1")),
        ("allowedIps", json!(vec!["10.0.0.1"; 101])),
        ("allowedIps[0]", json!(["10.0.0"])),
        ("allowedIps[0]", json!(["::/129"])),
        // 8.0.0.0 to whoever takes it for an octal number.
        ("allowedIps[0]", json!(["010.0.0.0/8"])),
        ("allowedIps[0]", json!(["::ffff:010.0.0.0/104"])),
        ("allowedIps[0]", json!(["10.0.0.0/+8"])),
        ("allowedIps[0]", json!(["1.2.3.4/0"])),
        ("allowedIps[0]", json!(["10.0.0.1/8"])),
        ("allowedIps[0]", json!(["192.0.2.1/31"])),
        ("allowedIps[0]", json!(["::1/0"])),
        ("allowedIps[0]", json!(["2001:db8::1/32"])),
        ("allowedIps[0]", json!(["::ffff:192.0.2.1/0"])),
        ("allowedIps[0]", json!(["::ffff:192.0.2.1/120"])),
        ("allowedOrigins", json!(["https://a.example"])),
        ("tags", json!(vec!["t"; 21])),
        ("tags[0]", json!(["t".repeat(51)])),
        ("metadata", json!([])),
        ("metadata.a", json!({"a": "x".repeat(501)})),
        ("metadata.a", json!({"a": {}})),
        ("testMode", json!(1)),
        ("realm", json!("")),
        ("kind", json!("SECRET")),
    ];
    for (field, value) in wrong {
        let name = field.split(['.', '[']).next().unwrap();
        let mut body = json!({"name": "n", "scopes": ["orders:read"]});
        body[name] = value.clone();
        let answer = fixture.post(&owner, "/api-keys", body);
        answer.refused(400, "VALIDATION_FAILED");
        assert_eq!(answer.fields(), [field], "{value}");
    }
}

#[test]
fn a_body_that_is_not_json_is_refused_without_repeating_it() {
    let (fixture, owner) = RegistryFixture::open();
    for (text, status, code) in [
        ("{\"name\": secret-text", 400, "MALFORMED_JSON"),
        ("[]", 400, "VALIDATION_FAILED"),
        ("\"x\"", 400, "VALIDATION_FAILED"),
        (&"[".repeat(10_000), 400, "MALFORMED_JSON"),
    ] {
        let mut call = fixture.call("POST", &owner, "/api-keys", Value::Null);
        call.body = text.to_owned();
        let answer = fixture.send(call);
        answer.refused(status, code);
        assert!(!answer.text.contains("secret-text"));
    }
}

#[test]
fn addresses_are_kept_in_one_form() {
    let (fixture, owner) = RegistryFixture::open();
    let ips = json!([
        "10.0.0.0/8",
        "::ffff:192.0.2.1",
        "::ffff:198.51.100.0/120",
        "2001:DB8::/32",
        "10.0.0.0/8",
        "203.0.113.9"
    ]);
    let made = fixture.key(&owner, json!({"allowedIps": ips}));
    let kept = json!(["10.0.0.0/8", "192.0.2.1/32", "198.51.100.0/24", "2001:db8::/32", "203.0.113.9/32"]);
    assert_eq!(made.body["apiKey"]["allowedIps"], kept);
}

#[test]
fn expiry_is_kept_to_the_whole_second_in_utc() {
    let (fixture, owner) = RegistryFixture::open();
    let made = fixture.key(&owner, json!({"expiresAt": "2040-01-01T02:00:00.789+02:00"}));
    assert_eq!(made.body["apiKey"]["expiresAt"], "2040-01-01T00:00:00.000Z");
}

#[test]
fn a_publishable_key_needs_origins_and_a_secret_one_must_not_have_them() {
    let (fixture, owner) = RegistryFixture::open();
    let publishable = |origins: Value| {
        let body = json!({"name": "web", "scopes": ["orders:read"], "kind": "publishable", "allowedOrigins": origins});
        fixture.post(&owner, "/api-keys", body)
    };
    for good in
        ["https://shop.example.com", "http://localhost:3000", "https://[::1]:8443", "https://a-b.example:1"]
    {
        publishable(json!([good])).expect(201);
    }
    for (written, kept) in [
        ("HTTPS://App.example/", "https://app.example"),
        ("https://shop.example.com:443", "https://shop.example.com"),
        ("http://localhost:80/", "http://localhost"),
    ] {
        let made = publishable(json!([written])).expect(201);
        assert_eq!(made.body["apiKey"]["allowedOrigins"], json!([kept]));
        assert_eq!(keyward_policy::origin::normalise(written).as_deref(), Ok(kept), "as the policy's lists");
    }
    for bad in [
        "https://shop.example.com/x",
        "http://a.example",
        "shop.example.com",
        "*",
        "https://*.example.com",
        "null",
        "ftp://a.example",
        "https://a.example:0",
        "https://a.example:99999",
        "https://user@a.example",
        "https://",
    ] {
        assert_eq!(publishable(json!([bad])).fields(), ["allowedOrigins[0]"], "{bad}");
    }
    assert_eq!(publishable(json!([])).fields(), ["allowedOrigins"]);
    let id = publishable(json!(["https://a.example"])).key_id();
    let emptied = fixture.patch(&owner, &format!("/api-keys/{id}"), json!({"allowedOrigins": []}));
    assert_eq!(emptied.fields(), ["allowedOrigins"]);
}

#[test]
fn only_people_grant_what_only_admins_may_and_nobody_what_is_reserved() {
    const RESERVED: Scope =
        Scope { name: "quotes:write", description: "Later", includes: &[], grant: Grant::Reserved };
    let policy = policy_with(|realm| realm.scopes = Box::leak([realm.scopes, &[RESERVED]].concat().into()));
    let (fixture, owner) = RegistryFixture::open_over(policy);
    let scopes =
        |token: &str, scopes: Value| fixture.post(token, "/api-keys", json!({"name": "n", "scopes": scopes}));
    let machine = format!("key:{}", scopes(&owner, json!(["admin:write"])).expect(201).key_id());
    assert_eq!(scopes(&owner, json!(["quotes:write"])).fields(), ["scopes[0]"]);
    for held in ["admin:read", "admin:*", "*"] {
        scopes(&owner, json!([held])).expect(201);
        assert_eq!(scopes(&machine, json!([held])).fields(), ["scopes[0]"], "{held}");
    }
    let made = scopes(&machine, json!(["orders:*"])).expect(201);
    assert_eq!(made.body["apiKey"]["createdBy"]["type"], "apiKey");

    // Nor in a roundabout way: by editing a key, or by rotating one that holds such a scope.
    let path = format!("/api-keys/{}", made.key_id());
    assert_eq!(fixture.patch(&machine, &path, json!({"scopes": ["admin:read"]})).fields(), ["scopes[0]"]);
    let own = format!("/api-keys/{}/rotate", machine.trim_start_matches("key:"));
    fixture.post(&machine, &own, json!({})).refused(403, "FORBIDDEN");
}

#[test]
fn an_api_key_uses_the_admin_api_as_far_as_its_scopes_go() {
    let (fixture, owner) = RegistryFixture::open();
    let holder = |scope: &str| format!("key:{}", fixture.key(&owner, json!({"scopes": [scope]})).key_id());
    let (none, read, write) = (holder("orders:write"), holder("admin:read"), holder("admin:write"));
    let body = json!({"name": "n", "scopes": ["orders:read"]});
    let denied = fixture.get(&none, "/api-keys");
    denied.refused(403, "FORBIDDEN");
    assert!(denied.header("WWW-Authenticate").unwrap().contains("scope=\"admin:read\""));
    for path in ["/api-keys", "/realms", "/audit", "/audit/verify", "/members"] {
        fixture.get(&read, path).expect(200);
        fixture.get(&write, path).expect(200);
    }
    fixture.post(&read, "/api-keys", body.clone()).refused(403, "FORBIDDEN");
    fixture.post(&write, "/api-keys", body).expect(201);
    for (method, path) in [
        ("GET", "/session"),
        ("DELETE", "/session"),
        ("POST", "/session/step-up"),
        ("POST", "/members"),
        ("PATCH", "/members/mem_1"),
        ("DELETE", "/members/mem_1"),
        ("GET", "/tenants"),
        ("POST", "/tenants"),
        ("PATCH", "/tenants/x"),
    ] {
        fixture.send(fixture.call(method, &write, path, Value::Null)).refused(403, "FORBIDDEN");
    }
    // The gate let it through a moment ago; the Registry knows better.
    let call = fixture.call("GET", &write, "/api-keys", Value::Null);
    let id = write.trim_start_matches("key:");
    fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    fixture.send(call).refused(401, "UNAUTHENTICATED");
}

#[test]
fn a_key_that_may_change_keys_may_read_them_whatever_the_catalogue_says() {
    let policy = policy_with(|realm| {
        let apart = realm.scopes.iter().map(|scope| Scope { includes: &[], ..*scope }).collect::<Vec<_>>();
        realm.scopes = apart.leak();
    });
    let (fixture, owner) = RegistryFixture::open_over(policy);
    let write = format!("key:{}", fixture.key(&owner, json!({"scopes": ["admin:write"]})).key_id());
    fixture.get(&write, "/api-keys").expect(200);
}

#[test]
fn a_test_key_has_the_test_prefix() {
    let (fixture, owner) = RegistryFixture::open();
    let made = fixture.key(&owner, json!({"testMode": true}));
    assert!(made.plaintext().starts_with("kw_test_"));
    assert!(made.body["apiKey"]["keyPrefix"].as_str().unwrap().starts_with("kw_test_"));
}

#[test]
fn a_repeated_create_gets_the_same_answer_and_stores_no_plaintext() {
    let (fixture, owner) = RegistryFixture::open();
    let create = |token: &str, name: &str, idempotency_key: &str| {
        let body = json!({"name": name, "scopes": ["orders:read"]});
        let mut call = fixture.call("POST", token, "/api-keys", body);
        call.idempotency_key = Some(idempotency_key.into());
        fixture.send(call)
    };
    let first = create(&owner, "a", "order-1").expect(201);
    fixture.later(DAY - SECOND);
    let owner = fixture.sign_in("owner@example.com");
    let again = create(&owner, "a", "order-1").expect(201);
    assert_eq!(again.body, first.body);
    assert!(!fixture.dump().contains(&first.plaintext()));
    create(&owner, "b", "order-1").refused(422, "IDEMPOTENCY_MISMATCH");
    assert_ne!(create(&owner, "a", "order-2").expect(201).plaintext(), first.plaintext());
    let (other, _) = fixture.tenant(&owner, "other");
    assert_ne!(create(&other, "a", "order-1").expect(201).plaintext(), first.plaintext());
    for wrong in ["", "a b", "ü", &"x".repeat(256)] {
        create(&owner, "a", wrong).refused(400, "INVALID_REQUEST");
    }
    fixture.later(SECOND);
    assert_ne!(
        create(&owner, "a", "order-1").expect(201).plaintext(),
        first.plaintext(),
        "forgotten after a day"
    );
}

#[test]
fn a_repeat_after_the_secret_changed_is_refused_and_not_answered_wrongly() {
    let (mut fixture, owner) = RegistryFixture::open();
    let create = |fixture: &RegistryFixture| {
        let mut call =
            fixture.call("POST", &owner, "/api-keys", json!({"name": "a", "scopes": ["orders:read"]}));
        call.idempotency_key = Some("x".into());
        fixture.send(call)
    };
    create(&fixture).expect(201);
    fixture.secrets = keyward_core::secret::Secrets::new("another-secret-of-the-deployment-0987654321", None);
    create(&fixture).refused(409, "CONFLICT");
}

#[test]
fn a_revoked_key_says_by_whom_whichever_way_it_was_revoked() {
    let (fixture, owner) = RegistryFixture::open();
    let (admin, admin_id) = fixture.member(&owner, "admin@example.com", "admin");
    let manager = fixture.key(&owner, json!({"scopes": ["admin:write"]})).key_id();
    let person = json!({"type": "member", "id": admin_id, "email": "admin@example.com"});
    let machine = json!({"type": "apiKey", "id": manager, "email": null});
    let by_key = format!("key:{manager}");
    for (token, by) in [(&admin, &person), (&by_key, &machine)] {
        let made: Vec<String> = (0..4).map(|_| fixture.key(&owner, json!({})).key_id()).collect();
        let path = |n: usize| format!("/api-keys/{}", made[n]);
        fixture.post(token, &format!("{}/revoke", path(0)), json!({})).expect(200);
        fixture.post(token, &format!("{}/rotate", path(1)), json!({"revokeOld": true})).expect(201);
        fixture.post(token, "/api-keys/bulk", json!({"ids": [made[2]], "action": "revoke"})).expect(200);
        for n in 0..3 {
            let key = fixture.get(&owner, &path(n)).body["apiKey"].clone();
            assert_eq!((&key["status"], &key["revokedBy"]), (&json!("REVOKED"), by), "{n}");
        }
        assert_eq!(fixture.get(&owner, &path(3)).body["apiKey"]["revokedBy"], Value::Null);
        // As a build before this one has revoked it.
        let revoked = "UPDATE keys SET status = 'REVOKED', revoked_at = 1 WHERE id = ?";
        fixture.db.run(revoked, &[made[3].as_str().into()]).unwrap();
        let key = fixture.get(&owner, &path(3)).body["apiKey"].clone();
        assert_eq!((&key["status"], &key["revokedBy"]), (&json!("REVOKED"), &Value::Null));
        // Whoever revokes again changes nothing of it.
        let again = fixture.post(&owner, &format!("{}/revoke", path(0)), json!({})).expect(200);
        assert_eq!(&again.body["apiKey"]["revokedBy"], by);
    }
}

#[test]
fn a_refusal_says_by_itself_what_is_wrong_first_and_how_much_more_is() {
    let (fixture, owner) = RegistryFixture::open_over(policy_with(|realm| realm.scopes = &[]));
    let detail = |body: Value| {
        let answer = fixture.post(&owner, "/api-keys", body);
        answer.refused(400, "VALIDATION_FAILED");
        assert_eq!(answer.body["error"]["message"], answer.body["detail"], "what clients print");
        answer.body["detail"].as_str().unwrap().to_owned()
    };
    let unknown = "scopes[0]: 'a' is not a scope of the realm default: there are none";
    assert_eq!(detail(json!({"name": "x", "scopes": ["a"]})), format!("{unknown}."));
    assert_eq!(
        detail(json!({"name": "", "scopes": ["a"]})),
        "name: must be 1 to 100 characters long, not 0. 1 more is wrong: see `errors`."
    );
    let two = detail(json!({"name": "x", "scopes": ["a", "b", "c"]}));
    assert_eq!(two, format!("{unknown}. 2 more are wrong: see `errors`."));
    let many: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    let many = detail(json!({"name": "x", "scopes": many}));
    assert!(many.ends_with(". More is wrong: see `errors`."), "{many}");
}
