//! API keys through the admin API: made, listed, edited, revoked, rotated.

#[path = "support/office.rs"]
mod office;
mod support;

use keyward::{
    key,
    policy::{Grant, Policy, Scope, StepUp},
    record::Status,
    time::{DAY, SECOND},
};
use office::{Office, PASSWORD, policy_with};
use serde_json::{Value, json};
use support::NOON;

#[test]
fn a_new_key_is_shown_once_and_stored_only_as_its_hash() {
    let (office, owner) = Office::open();
    let made = office.key(&owner, json!({"name": "  Shop  ", "scopes": ["orders:write", "orders:write"]}));
    let plaintext = made.plaintext();
    let view = &made.body["apiKey"];
    assert!(plaintext.starts_with("kw_live_"));
    assert!(key::is_well_formed(&office.policy.realms[0].key, &office.secrets, &plaintext));
    assert_eq!(view["name"], "Shop");
    assert_eq!(view["scopes"], json!(["orders:write"]));
    assert_eq!(view["status"], "ACTIVE");
    assert_eq!(view["last4"], plaintext[plaintext.len() - 4..]);
    assert!(plaintext.starts_with(view["keyPrefix"].as_str().unwrap()));
    assert_eq!(view["createdBy"]["email"], "owner@example.com");
    assert_eq!(view["rateLimit"], json!({"perMinute": null, "perDay": null}));
    assert_eq!(view["effectiveRateLimit"], json!({"perMinute": 600, "perDay": null}));

    let hash = key::storage_hash(&office.policy.realms[0].key, &office.secrets, &plaintext);
    assert!(office.dump().contains(&hash));
    assert!(!office.dump().contains(&plaintext));
    let read = office.get(&owner, &format!("/api-keys/{}", made.key_id())).expect(200);
    assert_eq!(&read.body["apiKey"], view);
    assert_eq!(read.header("ETag"), Some("\"1\""));
    assert!(!read.text.contains(&plaintext));
    assert!(!office.get(&owner, "/api-keys").text.contains(&plaintext));
    assert!(!office.get(&owner, "/audit").text.contains(&plaintext));
}

#[test]
fn a_new_key_is_told_to_its_gate_and_published_under_its_hash() {
    let (office, owner) = Office::open();
    let made = office.key(&owner, json!({"allowedIps": ["192.0.2.7"], "rateLimit": {"perMinute": 7}}));
    let hash = key::storage_hash(&office.policy.realms[0].key, &office.secrets, &made.plaintext());
    let told = office.gates.borrow()[&hash].clone();
    let published = serde_json::from_str(&office.kv.borrow()[&key::kv_key(&hash)]).unwrap();
    assert_eq!(told, published);
    assert_eq!(told.version, 1);
    assert_eq!(told.limits.per_minute, Some(7));
    assert_eq!(told.allowed_ips, ["192.0.2.7/32".parse().unwrap()]);
    assert_eq!(office.next_due(), None);
}

#[test]
fn every_wrong_field_is_named_at_once() {
    let (office, owner) = Office::open();
    let answer = office.post(
        &owner,
        "/api-keys",
        json!({
            "name": "x".repeat(10_000), "scopes": ["orders:fly", "orders:read", 7], "realm": "moon", "kind": "magic",
            "rateLimit": {"perMinute": 0, "perDay": 1.5, "perYear": 1}, "allowedIps": ["not an address", "10.0.0.0/33"],
            "allowedOrigins": ["https://shop.example.com/"], "tags": [""], "metadata": {"a": 1, "b c": "x"},
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
    assert_eq!(office.get(&owner, "/api-keys").body["apiKeys"], json!([]));
}

#[test]
fn name_and_scopes_are_required() {
    let (office, owner) = Office::open();
    for body in [Value::Null, json!({})] {
        let answer = office.post(&owner, "/api-keys", body);
        answer.refused(400, "VALIDATION_FAILED");
        assert_eq!(answer.fields(), ["name", "scopes"]);
    }
    assert_eq!(
        office.post(&owner, "/api-keys", json!({"name": null, "scopes": []})).fields(),
        ["name", "scopes"]
    );
}

#[test]
fn each_wrong_value_is_refused() {
    let (office, owner) = Office::open();
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
        ("expiresAt", json!("2020-01-01T00:00:00Z")),
        ("expiresAt", json!("2040-01-01")),
        ("expiresAt", json!("2040-01-01T00:00:00")),
        ("expiresAt", json!(1_900_000_000)),
        ("expiresAt", json!("")),
        ("allowedIps", json!("10.0.0.1")),
        ("allowedIps", json!(vec!["10.0.0.1"; 101])),
        ("allowedIps[0]", json!(["10.0.0"])),
        ("allowedIps[0]", json!(["::/129"])),
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
        let answer = office.post(&owner, "/api-keys", body);
        answer.refused(400, "VALIDATION_FAILED");
        assert_eq!(answer.fields(), [field], "{value}");
    }
}

#[test]
fn a_body_that_is_not_json_is_refused_without_repeating_it() {
    let (office, owner) = Office::open();
    for (text, status, code) in [
        ("{\"name\": secret-text", 400, "MALFORMED_JSON"),
        ("[]", 400, "VALIDATION_FAILED"),
        ("\"x\"", 400, "VALIDATION_FAILED"),
        (&"[".repeat(10_000), 400, "MALFORMED_JSON"),
    ] {
        let mut call = office.call("POST", &owner, "/api-keys", Value::Null);
        call.body = text.to_owned();
        let answer = office.send(call);
        answer.refused(status, code);
        assert!(!answer.text.contains("secret-text"));
    }
}

#[test]
fn addresses_are_kept_in_one_form() {
    let (office, owner) = Office::open();
    let ips = json!([
        "10.1.2.3/8",
        "::ffff:192.0.2.1",
        "::ffff:198.51.100.0/120",
        "2001:DB8::1/32",
        "10.0.0.0/8",
        "203.0.113.9"
    ]);
    let made = office.key(&owner, json!({"allowedIps": ips}));
    let kept = json!(["10.0.0.0/8", "192.0.2.1/32", "198.51.100.0/24", "2001:db8::/32", "203.0.113.9/32"]);
    assert_eq!(made.body["apiKey"]["allowedIps"], kept);
}

#[test]
fn expiry_is_kept_to_the_whole_second_in_utc() {
    let (office, owner) = Office::open();
    let made = office.key(&owner, json!({"expiresAt": "2040-01-01T02:00:00.789+02:00"}));
    assert_eq!(made.body["apiKey"]["expiresAt"], "2040-01-01T00:00:00.000Z");
}

#[test]
fn a_publishable_key_needs_origins_and_a_secret_one_must_not_have_them() {
    let (office, owner) = Office::open();
    let publishable = |origins: Value| {
        let body = json!({"name": "web", "scopes": ["orders:read"], "kind": "publishable", "allowedOrigins": origins});
        office.post(&owner, "/api-keys", body)
    };
    for good in
        ["https://shop.example.com", "http://localhost:3000", "https://[::1]:8443", "https://a-b.example:1"]
    {
        publishable(json!([good])).expect(201);
    }
    for bad in [
        "https://shop.example.com/",
        "https://Shop.example.com",
        "https://shop.example.com:443",
        "http://a.example:80",
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
        assert_eq!(publishable(json!([bad])).fields()[0], "allowedOrigins[0]", "{bad}");
    }
    assert_eq!(publishable(json!([])).fields(), ["allowedOrigins"]);
    let id = publishable(json!(["https://a.example"])).key_id();
    let emptied = office.patch(&owner, &format!("/api-keys/{id}"), json!({"allowedOrigins": []}));
    assert_eq!(emptied.fields(), ["allowedOrigins"]);
}

#[test]
fn only_people_grant_what_only_admins_may_and_nobody_what_is_reserved() {
    const RESERVED: Scope =
        Scope { name: "quotes:write", description: "Later", includes: &[], grant: Grant::Reserved };
    let policy = policy_with(|realm| realm.scopes = Box::leak([realm.scopes, &[RESERVED]].concat().into()));
    let (office, owner) = Office::open_over(policy);
    let scopes =
        |token: &str, scopes: Value| office.post(token, "/api-keys", json!({"name": "n", "scopes": scopes}));
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
    assert_eq!(office.patch(&machine, &path, json!({"scopes": ["admin:read"]})).fields(), ["scopes[0]"]);
    let own = format!("/api-keys/{}/rotate", machine.trim_start_matches("key:"));
    office.post(&machine, &own, json!({})).refused(403, "FORBIDDEN");
}

#[test]
fn an_api_key_uses_the_admin_api_as_far_as_its_scopes_go() {
    let (office, owner) = Office::open();
    let holder = |scope: &str| format!("key:{}", office.key(&owner, json!({"scopes": [scope]})).key_id());
    let (none, read, write) = (holder("orders:write"), holder("admin:read"), holder("admin:write"));
    let body = json!({"name": "n", "scopes": ["orders:read"]});
    let denied = office.get(&none, "/api-keys");
    denied.refused(403, "FORBIDDEN");
    assert!(denied.header("WWW-Authenticate").unwrap().contains("scope=\"admin:read\""));
    for path in ["/api-keys", "/realms", "/audit", "/audit/verify", "/members"] {
        office.get(&read, path).expect(200);
        office.get(&write, path).expect(200);
    }
    office.post(&read, "/api-keys", body.clone()).refused(403, "FORBIDDEN");
    office.post(&write, "/api-keys", body).expect(201);
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
        office.send(office.call(method, &write, path, Value::Null)).refused(403, "FORBIDDEN");
    }
    // The gate let it through a moment ago; the Registry knows better.
    let call = office.call("GET", &write, "/api-keys", Value::Null);
    let id = write.trim_start_matches("key:");
    office.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    office.send(call).refused(401, "UNAUTHENTICATED");
}

#[test]
fn the_list_is_newest_first_and_whole_over_pages() {
    let (office, owner) = Office::open();
    let made: Vec<String> = (0..7).map(|_| office.key(&owner, json!({})).key_id()).collect();
    let (mut seen, mut path) = (Vec::new(), "/api-keys?limit=3".to_owned());
    loop {
        let page = office.get(&owner, &path).expect(200);
        seen.extend(
            page.body["apiKeys"].as_array().unwrap().iter().map(|k| k["id"].as_str().unwrap().to_owned()),
        );
        // A key that is made meanwhile neither shifts nor repeats anything.
        office.key(&owner, json!({}));
        match page.body["nextCursor"].as_str() {
            Some(cursor) => path = format!("/api-keys?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, made.into_iter().rev().collect::<Vec<_>>());
}

#[test]
fn the_last_page_says_that_it_is_the_last() {
    let (office, owner) = Office::open();
    for _ in 0..3 {
        office.key(&owner, json!({}));
    }
    assert_eq!(office.get(&owner, "/api-keys?limit=3").body["nextCursor"], Value::Null);
    assert!(office.get(&owner, "/api-keys?limit=2").body["nextCursor"].is_string());
}

#[test]
fn forged_cursors_and_wrong_parameters_are_refused() {
    let (office, owner) = Office::open();
    let (other, _) = office.tenant(&owner, "other");
    for _ in 0..2 {
        office.key(&owner, json!({}));
        office.key(&other, json!({}));
    }
    let cursor = office.get(&owner, "/api-keys?limit=1").body["nextCursor"].as_str().unwrap().to_owned();
    let audit = office.get(&owner, "/audit?limit=1").body["nextCursor"].as_str().unwrap().to_owned();
    let foreign = office.get(&other, "/api-keys?limit=1").body["nextCursor"].as_str().unwrap().to_owned();
    let mut changed = cursor.clone();
    changed.replace_range(5..6, if &cursor[5..6] == "A" { "B" } else { "A" });
    for forged in
        [changed.as_str(), &audit, &foreign, "", "1", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &cursor[..20]]
    {
        assert_eq!(
            office.get(&owner, &format!("/api-keys?cursor={forged}")).fields(),
            ["cursor"],
            "{forged}"
        );
    }
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.5", "limit"),
        ("limit=%31%zz", "limit"),
        ("status=active", "status"),
        ("realm=moon", "realm"),
        ("unusedDays=0", "unusedDays"),
        ("page=2", "page"),
        ("limit=1&limit=2", "limit"),
        ("q=%00", "q"),
    ] {
        let answer = office.get(&owner, &format!("/api-keys?{query}"));
        answer.refused(400, "VALIDATION_FAILED");
        assert_eq!(answer.fields(), [field], "{query}");
    }
}

#[test]
fn the_list_is_searched_without_wildcards_and_without_case() {
    let (office, owner) = Office::open();
    let names = ["Größe_100%", "größe 1000", "Lager"];
    let ids: Vec<String> = names
        .iter()
        .map(|name| office.key(&owner, json!({"name": name, "tags": ["Team-X"]})).key_id())
        .collect();
    let found = |query: &str| -> Vec<String> {
        let answer = office.get(&owner, &format!("/api-keys?{query}")).expect(200);
        answer.body["apiKeys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(found("q=GR%C3%96SSE"), [""; 0]);
    assert_eq!(found("q=gR%C3%96%C3%9Fe"), [&*ids[1], &ids[0]]);
    assert_eq!(found("q=_100%25"), [&*ids[0]]);
    assert_eq!(found("q=team-x"), [&*ids[2], &ids[1], &ids[0]]);
    assert_eq!(found(&format!("q={}", ids[2].to_uppercase())), [&*ids[2]]);
    assert_eq!(found("q=").len(), 3);
}

#[test]
fn the_list_is_filtered_by_status_realm_and_use() {
    let (office, owner) = Office::open();
    let id = |fields| office.key(&owner, fields).key_id();
    let active = id(json!({}));
    let expired = id(json!({"expiresAt": NOON.plus(10 * SECOND).to_rfc3339()}));
    let revoked = id(json!({}));
    office.post(&owner, &format!("/api-keys/{revoked}/revoke"), json!({})).expect(200);
    office.later(10 * SECOND);
    let found = |query: &str| -> Vec<String> {
        let answer = office.get(&owner, &format!("/api-keys?{query}")).expect(200);
        answer.body["apiKeys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(found("status=ACTIVE"), [&*active]);
    assert_eq!(found("status=EXPIRED"), [&*expired]);
    assert_eq!(found("status=REVOKED"), [&*revoked]);
    assert_eq!(found("realm=default").len(), 3);
    assert_eq!(found("unusedDays=1"), [""; 0]);
    office.later(DAY);
    let used = keyward::wire::UsageReport {
        key_id: active.clone(),
        last_used_at: Some(office.now.get().plus(-SECOND)),
        hours: Vec::new(),
    };
    office.registry().apply_usage(&used).unwrap();
    let owner = office.sign_in("owner@example.com");
    let unused = office.get(&owner, "/api-keys?unusedDays=1").body["apiKeys"].clone();
    let unused: Vec<&str> =
        unused.as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap()).collect();
    assert_eq!(unused, [&*revoked, &expired]);
}

#[test]
fn an_edit_changes_every_field_and_is_promised_everywhere() {
    let (office, owner) = Office::open();
    let id = office.key(&owner, json!({})).key_id();
    let path = format!("/api-keys/{id}");
    office.later(SECOND);
    let change = json!({
        "name": "new", "scopes": ["orders:*"], "rateLimit": {"perMinute": 5, "perDay": null}, "allowedIps": ["10.0.0.0/8"],
        "tags": ["a"], "metadata": {"k": "v"}, "expiresAt": "2040-01-01T00:00:00.000Z"
    });
    let answer = office.patch(&owner, &path, change.clone()).expect(200);
    for (name, value) in change.as_object().unwrap() {
        assert_eq!(&answer.body["apiKey"][name], value);
    }
    assert_eq!(answer.body["apiKey"]["version"], 2);
    assert_eq!(answer.header("ETag"), Some("\"2\""));
    assert_eq!(answer.body["effectiveEverywhereBy"], NOON.plus(6 * SECOND).to_rfc3339());
    assert_eq!(office.record(&id), office.published(&id).unwrap());
    assert_eq!(office.record(&id).scopes, ["orders:*"]);

    // Repeating it changes nothing: no version, no audit entry, the promise of the first time.
    office.later(SECOND);
    let entries = office.get(&owner, "/audit/verify").body["entries"].clone();
    let again = office.patch(&owner, &path, change).expect(200);
    assert_eq!(again.body, answer.body);
    assert_eq!(office.get(&owner, "/audit/verify").body["entries"], entries);
    let cleared = json!({"rateLimit": null, "expiresAt": null, "allowedIps": null});
    let cleared = office.patch(&owner, &path, cleared).expect(200);
    assert_eq!(cleared.body["apiKey"]["expiresAt"], Value::Null);
    assert_eq!(cleared.body["apiKey"]["effectiveRateLimit"]["perMinute"], 600);
}

#[test]
fn what_a_key_is_cannot_be_edited() {
    let (office, owner) = Office::open();
    let path = format!("/api-keys/{}", office.key(&owner, json!({})).key_id());
    for field in ["kind", "realm", "id", "status", "version", "tenantId"] {
        assert_eq!(office.patch(&owner, &path, json!({field: "x"})).fields(), [field]);
    }
    assert_eq!(office.patch(&owner, &path, json!({"testMode": true})).fields(), ["testMode"]);
    office.patch(&owner, &path, json!({"testMode": false})).expect(200);
}

#[test]
fn a_mode_that_the_prefix_does_not_show_can_be_edited() {
    let (office, owner) = Office::open_over(policy_with(|realm| realm.key.test_prefix = None));
    let made = office.key(&owner, json!({"testMode": true}));
    assert!(made.plaintext().starts_with("kw_live_"));
    let path = format!("/api-keys/{}", made.key_id());
    let live = office.patch(&owner, &path, json!({"testMode": false})).expect(200);
    assert_eq!(live.body["apiKey"]["testMode"], false);
}

#[test]
fn a_test_key_has_the_test_prefix() {
    let (office, owner) = Office::open();
    let made = office.key(&owner, json!({"testMode": true}));
    assert!(made.plaintext().starts_with("kw_test_"));
    assert!(made.body["apiKey"]["keyPrefix"].as_str().unwrap().starts_with("kw_test_"));
}

#[test]
fn an_edit_of_another_version_is_refused() {
    let (office, owner) = Office::open();
    let path = format!("/api-keys/{}", office.key(&owner, json!({})).key_id());
    let edit = |if_match: &str, name: &str| {
        let mut call = office.call("PATCH", &owner, &path, json!({"name": name}));
        call.if_match = Some(if_match.into());
        office.send(call)
    };
    edit("\"1\"", "b").expect(200);
    for stale in ["\"1\"", "W/\"2\"", "2", "\"3\", \"4\"", ""] {
        edit(stale, "c").refused(412, "VERSION_MISMATCH");
    }
    edit("\"1\", \"2\"", "d").expect(200);
    edit("*", "e").expect(200);
}

#[test]
fn a_revoked_key_stays_revoked_and_repeating_it_is_harmless() {
    let (office, owner) = Office::open();
    let id = office.key(&owner, json!({})).key_id();
    let path = format!("/api-keys/{id}");
    let revoke = || office.post(&owner, &format!("{path}/revoke"), json!({"reason": "leaked"})).expect(200);
    let first = revoke();
    assert_eq!(first.body["apiKey"]["status"], "REVOKED");
    assert_eq!(first.body["apiKey"]["revokeReason"], "leaked");
    assert_eq!(first.body["refusedEverywhereBy"], NOON.plus(5 * SECOND).to_rfc3339());
    assert_eq!(office.published(&id).unwrap().status, Status::Revoked);
    office.later(60 * SECOND);
    assert_eq!(revoke().body, first.body);
    office.patch(&owner, &path, json!({"name": "x"})).refused(409, "CONFLICT");
    office.post(&owner, &format!("{path}/rotate"), json!({})).refused(409, "CONFLICT");
}

#[test]
fn an_expired_key_can_be_revoked_and_nothing_else() {
    let (office, owner) = Office::open();
    let id = office.key(&owner, json!({"expiresAt": NOON.plus(5 * SECOND).to_rfc3339()})).key_id();
    let path = format!("/api-keys/{id}");
    office.later(5 * SECOND);
    assert_eq!(office.get(&owner, &path).body["apiKey"]["status"], "EXPIRED");
    office.patch(&owner, &path, json!({"expiresAt": null})).refused(409, "CONFLICT");
    office.post(&owner, &format!("{path}/rotate"), json!({})).refused(409, "CONFLICT");
    office.post(&owner, &format!("{path}/revoke"), json!({})).expect(200);
}

#[test]
fn rotation_keeps_the_old_key_unless_told_otherwise() {
    let (office, owner) = Office::open();
    let settings =
        json!({"scopes": ["orders:*"], "tags": ["t"], "rateLimit": {"perMinute": 9, "perDay": null}});
    let old = office.key(&owner, settings.clone());
    let rotated = office.post(&owner, &format!("/api-keys/{}/rotate", old.key_id()), Value::Null).expect(201);
    assert_ne!(rotated.plaintext(), old.plaintext());
    for (name, value) in settings.as_object().unwrap() {
        assert_eq!(&rotated.body["apiKey"][name], value);
    }
    assert_eq!(rotated.body["apiKey"]["rotatedFrom"], *old.key_id());
    assert_eq!(rotated.body["previous"], json!({"id": old.key_id(), "status": "ACTIVE", "expiresAt": null}));
    let read = office.get(&owner, &format!("/api-keys/{}", old.key_id()));
    assert_eq!(read.body["apiKey"]["rotatedTo"], *rotated.key_id());
    assert_eq!(office.record(&old.key_id()).version, 1);
}

#[test]
fn rotation_can_revoke_the_old_key_at_once() {
    let (office, owner) = Office::open();
    let old = office.key(&owner, json!({})).key_id();
    let rotated =
        office.post(&owner, &format!("/api-keys/{old}/rotate"), json!({"revokeOld": true})).expect(201);
    assert_eq!(rotated.body["previous"]["status"], "REVOKED");
    assert_eq!(rotated.body["previous"]["refusedEverywhereBy"], NOON.plus(5 * SECOND).to_rfc3339());
    assert_eq!(office.published(&old).unwrap().status, Status::Revoked);
    assert_eq!(office.published(&rotated.key_id()).unwrap().status, Status::Active);
}

#[test]
fn a_grace_never_outlives_the_old_keys_own_expiry() {
    let (office, owner) = Office::open();
    let rotate = |fields: Value, grace: Value| {
        let id = office.key(&owner, fields).key_id();
        (id.clone(), office.post(&owner, &format!("/api-keys/{id}/rotate"), json!({"graceSeconds": grace})))
    };
    let (id, answer) = rotate(json!({}), json!(60));
    let answer = answer.expect(201);
    assert_eq!(answer.body["previous"]["status"], "ACTIVE");
    assert_eq!(answer.body["previous"]["expiresAt"], NOON.plus(60 * SECOND).to_rfc3339());
    assert_eq!(answer.body["previous"]["refusedEverywhereBy"], NOON.plus(60 * SECOND).to_rfc3339());
    assert_eq!(office.published(&id).unwrap().expires_at, Some(NOON.plus(60 * SECOND)));
    let own = NOON.plus(30 * SECOND).to_rfc3339();
    let (_, answer) = rotate(json!({"expiresAt": own}), json!(60));
    assert_eq!(answer.body["previous"]["expiresAt"], own);
    let (_, answer) = rotate(json!({}), json!(0));
    assert_eq!(answer.body["previous"]["status"], "EXPIRED");
    assert_eq!(answer.body["previous"]["refusedEverywhereBy"], NOON.plus(5 * SECOND).to_rfc3339());
    for wrong in [json!(-1), json!(1.5), json!("60"), json!(1e12)] {
        assert_eq!(rotate(json!({}), wrong).1.fields(), ["graceSeconds"]);
    }
    let id = office.key(&owner, json!({})).key_id();
    let both =
        office.post(&owner, &format!("/api-keys/{id}/rotate"), json!({"revokeOld": true, "graceSeconds": 5}));
    assert_eq!(both.fields(), ["graceSeconds"]);
}

#[test]
fn a_repeated_create_gets_the_same_answer_and_stores_no_plaintext() {
    let (office, owner) = Office::open();
    let create = |token: &str, name: &str, idempotency_key: &str| {
        let body = json!({"name": name, "scopes": ["orders:read"]});
        let mut call = office.call("POST", token, "/api-keys", body);
        call.idempotency_key = Some(idempotency_key.into());
        office.send(call)
    };
    let first = create(&owner, "a", "order-1").expect(201);
    office.later(DAY - SECOND);
    let owner = office.sign_in("owner@example.com");
    let again = create(&owner, "a", "order-1").expect(201);
    assert_eq!(again.body, first.body);
    assert!(!office.dump().contains(&first.plaintext()));
    create(&owner, "b", "order-1").refused(422, "IDEMPOTENCY_MISMATCH");
    assert_ne!(create(&owner, "a", "order-2").expect(201).plaintext(), first.plaintext());
    let (other, _) = office.tenant(&owner, "other");
    assert_ne!(create(&other, "a", "order-1").expect(201).plaintext(), first.plaintext());
    for wrong in ["", "a b", "ü", &"x".repeat(256)] {
        create(&owner, "a", wrong).refused(400, "INVALID_REQUEST");
    }
    office.later(SECOND);
    assert_ne!(
        create(&owner, "a", "order-1").expect(201).plaintext(),
        first.plaintext(),
        "forgotten after a day"
    );
}

#[test]
fn a_repeated_rotation_gets_the_same_answer() {
    let (office, owner) = Office::open();
    let id = office.key(&owner, json!({})).key_id();
    let rotate = || {
        let mut call =
            office.call("POST", &owner, &format!("/api-keys/{id}/rotate"), json!({"revokeOld": true}));
        call.idempotency_key = Some("r".into());
        office.send(call).expect(201)
    };
    let first = rotate();
    assert_eq!(rotate().body, first.body);
    assert_eq!(office.get(&owner, "/api-keys").body["apiKeys"].as_array().unwrap().len(), 2);
}

#[test]
fn a_repeat_after_the_secret_changed_is_refused_and_not_answered_wrongly() {
    let (mut office, owner) = Office::open();
    let create = |office: &Office| {
        let mut call =
            office.call("POST", &owner, "/api-keys", json!({"name": "a", "scopes": ["orders:read"]}));
        call.idempotency_key = Some("x".into());
        office.send(call)
    };
    create(&office).expect(201);
    office.secrets = keyward::secret::Secrets::new("another-secret-of-the-deployment-0987654321", None);
    create(&office).refused(409, "CONFLICT");
}

#[test]
fn what_the_realm_asks_a_fresh_password_for_is_refused_without_one() {
    let policy = policy_with(|realm| realm.step_up = &[StepUp::Create, StepUp::Rotate, StepUp::Revoke]);
    let (office, owner) = Office::open_over(policy);
    let body = json!({"name": "n", "scopes": ["*"]});
    office.post(&owner, "/api-keys", body.clone()).refused(403, "STEP_UP_REQUIRED");
    office.post(&owner, "/session/step-up", json!({"password": PASSWORD})).expect(204);
    let id = office.post(&owner, "/api-keys", body.clone()).expect(201).key_id();
    office.later(5 * 60 * SECOND);
    for action in ["rotate", "revoke"] {
        office.post(&owner, &format!("/api-keys/{id}/{action}"), json!({})).refused(403, "STEP_UP_REQUIRED");
    }
    office.patch(&owner, &format!("/api-keys/{id}"), json!({"name": "m"})).expect(200);
    office
        .post(&format!("key:{id}"), "/api-keys", json!({"name": "n", "scopes": ["orders:read"]}))
        .refused(403, "FORBIDDEN");
    office.post(&owner, "/session/step-up", json!({"password": PASSWORD})).expect(204);
    office.post(&owner, &format!("/api-keys/{id}/rotate"), json!({})).expect(201);
    // Another session of the same member is not opened by it.
    let second = office.sign_in("owner@example.com");
    office.post(&second, &format!("/api-keys/{id}/revoke"), json!({})).refused(403, "STEP_UP_REQUIRED");
}

#[test]
fn limits_come_from_the_key_else_its_tenant_else_the_realm() {
    let (office, operator) = Office::open();
    let (owner, tenant) = office.tenant(&operator, "shop");
    let (inheriting, own) = (
        office.key(&owner, json!({})).key_id(),
        office.key(&owner, json!({"rateLimit": {"perMinute": 5}})).key_id(),
    );
    let limits = |id: &str| office.published(id).unwrap().limits;
    assert_eq!((limits(&inheriting).per_minute, limits(&inheriting).per_day), (Some(600), None));
    let change = json!({"rateLimit": {"perMinute": 60, "perDay": 1000}, "plan": "pro"});
    let answer = office.patch(&operator, &format!("/tenants/{tenant}"), change).expect(200);
    assert_eq!(answer.body["effectiveEverywhereBy"], NOON.plus(5 * SECOND).to_rfc3339());
    assert_eq!((limits(&inheriting).per_minute, limits(&inheriting).per_day), (Some(60), Some(1000)));
    assert_eq!((limits(&own).per_minute, limits(&own).per_day), (Some(5), Some(1000)));
    assert_eq!(office.published(&own).unwrap().tenant.plan.as_deref(), Some("pro"));
    assert_eq!(office.published(&own).unwrap().version, 2);
}

#[test]
fn a_policy_with_other_limits_publishes_the_realms_keys_again() {
    let (mut office, owner) = Office::open();
    let id = office.key(&owner, json!({"rateLimit": {"perMinute": 500}})).key_id();
    let smaller: &'static Policy = policy_with(|realm| realm.limits.maximum.per_minute = Some(100));
    office.policy = smaller;
    keyward::registry::adopt(&office.db, smaller, office.now.get()).unwrap();
    office.alarm();
    assert_eq!(office.published(&id).unwrap().limits.per_minute, Some(100));
    assert_eq!(office.published(&id).unwrap().version, 2);
    keyward::registry::adopt(&office.db, smaller, office.now.get()).unwrap();
    assert_eq!(office.next_due(), None, "the same policy changes nothing");
}

#[test]
fn lists_of_a_hundred_thousand_keys_are_read_from_an_index() {
    let (office, _) = Office::open();
    use keyward::sql::Sql;
    for condition in ["tenant_id = 't'", "tenant_id = 't' AND number < 5", "tenant_id = 't' AND realm = 'r'"]
    {
        let plan =
            format!("EXPLAIN QUERY PLAN SELECT * FROM keys WHERE {condition} ORDER BY number DESC LIMIT 51");
        let plan = office.db.run(&plan, &[]).unwrap();
        let plan = plan.iter().map(|row| row["detail"].as_str().unwrap()).collect::<Vec<_>>().join("; ");
        assert!(plan.contains("USING INDEX keys_of_") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}
