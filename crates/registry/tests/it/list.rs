//! The list of API keys: pages, cursors, search, filters.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    sql::Sql,
    time::{DAY, SECOND},
};
use keyward_limits::wire::UsageReport;
use keyward_testing::NOON;
use keyward_testing::registry_fixture::RegistryFixture;
use serde_json::{Value, json};

#[test]
fn the_list_is_newest_first_and_whole_over_pages() {
    let (fixture, owner) = RegistryFixture::open();
    let made: Vec<String> = (0..7).map(|_| fixture.key(&owner, json!({})).key_id()).collect();
    let (mut seen, mut path) = (Vec::new(), "/api-keys?limit=3".to_owned());
    loop {
        let page = fixture.get(&owner, &path).expect(200);
        seen.extend(
            page.body["apiKeys"].as_array().unwrap().iter().map(|k| k["id"].as_str().unwrap().to_owned()),
        );
        // A key that is made meanwhile neither shifts nor repeats anything.
        fixture.key(&owner, json!({}));
        match page.body["nextCursor"].as_str() {
            Some(cursor) => path = format!("/api-keys?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, made.into_iter().rev().collect::<Vec<_>>());
}

#[test]
fn the_last_page_says_that_it_is_the_last() {
    let (fixture, owner) = RegistryFixture::open();
    for _ in 0..3 {
        fixture.key(&owner, json!({}));
    }
    assert_eq!(fixture.get(&owner, "/api-keys?limit=3").body["nextCursor"], Value::Null);
    assert!(fixture.get(&owner, "/api-keys?limit=2").body["nextCursor"].is_string());
}

#[test]
fn forged_cursors_and_wrong_parameters_are_refused() {
    let (fixture, owner) = RegistryFixture::open();
    let (other, _) = fixture.tenant(&owner, "other");
    for _ in 0..2 {
        fixture.key(&owner, json!({}));
        fixture.key(&other, json!({}));
    }
    let cursor = fixture.get(&owner, "/api-keys?limit=1").body["nextCursor"].as_str().unwrap().to_owned();
    let audit = fixture.get(&owner, "/audit?limit=1").body["nextCursor"].as_str().unwrap().to_owned();
    let foreign = fixture.get(&other, "/api-keys?limit=1").body["nextCursor"].as_str().unwrap().to_owned();
    let mut changed = cursor.clone();
    changed.replace_range(5..6, if &cursor[5..6] == "A" { "B" } else { "A" });
    for forged in
        [changed.as_str(), &audit, &foreign, "", "1", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &cursor[..20]]
    {
        assert_eq!(
            fixture.get(&owner, &format!("/api-keys?cursor={forged}")).fields(),
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
        let answer = fixture.get(&owner, &format!("/api-keys?{query}"));
        answer.refused(400, "VALIDATION_FAILED");
        assert_eq!(answer.fields(), [field], "{query}");
    }
}

#[test]
fn the_list_is_searched_without_wildcards_and_without_case() {
    let (fixture, owner) = RegistryFixture::open();
    let names = ["Größe_100%", "größe 1000", "Lager"];
    let ids: Vec<String> = names
        .iter()
        .map(|name| fixture.key(&owner, json!({"name": name, "tags": ["Team-X"]})).key_id())
        .collect();
    let found = |query: &str| -> Vec<String> {
        let answer = fixture.get(&owner, &format!("/api-keys?{query}")).expect(200);
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
    let (fixture, owner) = RegistryFixture::open();
    let id = |fields| fixture.key(&owner, fields).key_id();
    let active = id(json!({}));
    let expired = id(json!({"expiresAt": NOON.plus(10 * SECOND).to_rfc3339()}));
    let revoked = id(json!({}));
    fixture.post(&owner, &format!("/api-keys/{revoked}/revoke"), json!({})).expect(200);
    fixture.later(10 * SECOND);
    let found = |query: &str| -> Vec<String> {
        let answer = fixture.get(&owner, &format!("/api-keys?{query}")).expect(200);
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
    fixture.later(DAY);
    let used = UsageReport {
        key_id: active.clone(),
        last_used_at: Some(fixture.now.get().plus(-SECOND)),
        hours: Vec::new(),
        ..UsageReport::default()
    };
    keyward_registry::usage::apply(&fixture.db, &used, true, fixture.now.get()).unwrap();
    let owner = fixture.sign_in("owner@example.com");
    let unused = fixture.get(&owner, "/api-keys?unusedDays=1").body["apiKeys"].clone();
    let unused: Vec<&str> =
        unused.as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap()).collect();
    assert_eq!(unused, [&*revoked, &expired]);
}

#[test]
fn lists_of_a_hundred_thousand_keys_are_read_from_an_index() {
    let (fixture, _) = RegistryFixture::open();
    for condition in ["tenant_id = 't'", "tenant_id = 't' AND number < 5", "tenant_id = 't' AND realm = 'r'"]
    {
        let plan =
            format!("EXPLAIN QUERY PLAN SELECT * FROM keys WHERE {condition} ORDER BY number DESC LIMIT 51");
        let plan = fixture.db.run(&plan, &[]).unwrap();
        let plan = plan.iter().map(|row| row["detail"].as_str().unwrap()).collect::<Vec<_>>().join("; ");
        assert!(plan.contains("USING INDEX keys_of_") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[test]
fn no_list_has_a_cursor_to_an_empty_page_and_each_is_whole_over_its_pages() {
    let (fixture, owner) = RegistryFixture::open();
    for i in 0..3 {
        fixture.key(&owner, json!({}));
        fixture.member(&owner, &format!("m{i}@example.com"), "viewer");
        fixture.tenant(&owner, &format!("t{i}"));
    }
    let lists =
        [("/api-keys", "apiKeys"), ("/audit", "entries"), ("/members", "members"), ("/tenants", "tenants")];
    for (path, name) in lists {
        let whole = fixture.get(&owner, path).expect(200).body;
        assert_eq!(whole["nextCursor"], Value::Null, "{path}");
        let whole = whole[name].as_array().unwrap().clone();
        for limit in 1..=whole.len() {
            let (mut seen, mut next) = (Vec::new(), format!("{path}?limit={limit}"));
            loop {
                let page = fixture.get(&owner, &next).expect(200).body;
                let entries = page[name].as_array().unwrap();
                assert!((1..=limit).contains(&entries.len()), "{next}");
                seen.extend(entries.clone());
                let Some(cursor) = page["nextCursor"].as_str() else { break };
                next = format!("{path}?limit={limit}&cursor={cursor}");
            }
            assert_eq!(seen, whole, "{path}, {limit} at once");
        }
        for wrong in ["limit=0", "limit=101", "cursor=x", "page=1"] {
            fixture.get(&owner, &format!("{path}?{wrong}")).refused(400, "VALIDATION_FAILED");
        }
    }
}

#[test]
fn a_name_is_found_in_whatever_normal_form_it_was_made_or_is_looked_for() {
    let (fixture, owner) = RegistryFixture::open();
    let made = |name: &str| fixture.key(&owner, json!({ "name": name })).key_id();
    let (composed, decomposed) = (made("Café"), made("Cafe\u{301}"));
    let (marked, wide) = (made("\u{feff}Acme\u{feff} "), made("ＡＣＭＥ"));
    let found = |q: &str| -> Vec<String> {
        let query: String = q.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer = fixture.get(&owner, &format!("/api-keys?q={query}")).expect(200);
        answer.body["apiKeys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["id"].as_str().unwrap().into())
            .collect()
    };
    for q in ["Café", "Cafe\u{301}", "CAFÉ", "CAFE\u{301}", "\u{feff}café", "fé", "ca\u{200b}fé"] {
        assert_eq!(found(q), [&*decomposed, &*composed], "{q:?}");
    }
    for q in ["acme", "\u{feff}Acme", "Ａｃｍｅ"] {
        assert_eq!(found(q), [&*wide, &*marked], "{q:?}");
    }
    for q in ["", " ", "\u{feff}", "\u{200b}"] {
        assert_eq!(found(q).len(), 4, "nothing is looked for");
    }

    // As stored before: in lower case, in the form in which it was typed.
    for (id, search) in [(&composed, "café"), (&decomposed, "cafe\u{301}"), (&marked, "\u{feff}acme")] {
        fixture
            .db
            .run("UPDATE keys SET search = ? WHERE id = ?", &[search.into(), id.as_str().into()])
            .unwrap();
    }
    for q in ["Café", "CAFE\u{301}"] {
        assert_eq!(found(q), [&*decomposed, &*composed], "{q:?}");
    }
    assert_eq!(found("acme"), [&*wide, &*marked]);
}
