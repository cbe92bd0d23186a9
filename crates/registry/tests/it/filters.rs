//! The list's filters, orders and totals.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    sql::Sql,
    time::{DAY, HOUR, SECOND},
};
use keyward_limits::wire::UsageReport;
use keyward_registry::usage;
use keyward_testing::{NOON, registry_fixture::RegistryFixture};
use serde_json::{Value, json};

fn ids(list: &Value) -> Vec<String> {
    let keys = list["apiKeys"].as_array().unwrap();
    keys.iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect()
}

/// What is found, which the total counts.
fn found(fixture: &RegistryFixture, owner: &str, query: &str) -> Vec<String> {
    let list = fixture.get(owner, &format!("/api-keys?{query}")).expect(200).body;
    assert_eq!(list["total"], list["apiKeys"].as_array().unwrap().len(), "{query}");
    ids(&list)
}

#[test]
fn each_filter_finds_what_it_names_and_nothing_else() {
    let (fixture, owner) = RegistryFixture::open();
    let (other, _) = fixture.tenant(&owner, "other");
    fixture.key(&other, json!({"tags": ["web"], "scopes": ["*"]}));
    let id = |fields: Value| fixture.key(&owner, fields).key_id();
    let plain = id(json!({"tags": ["web", "we\"b"], "name": "plain"}));
    let star = id(json!({"scopes": ["*"], "tags": ["webs"]}));
    let area = id(json!({"scopes": ["orders:*"], "testMode": true}));
    let writer = id(json!({"scopes": ["orders:write"], "expiresAt": NOON.plus(DAY).to_rfc3339()}));
    let public = id(json!({"kind": "publishable", "allowedOrigins": ["https://a.example"]}));
    let manager = id(json!({"scopes": ["admin:write"]}));
    let made = fixture.key(&format!("key:{manager}"), json!({"name": "made"})).key_id();
    let found = |query: &str| found(&fixture, &owner, query);

    assert_eq!(found("tag=web"), [&*plain]);
    assert_eq!(found("tag=we%22b"), [&*plain]);
    assert_eq!(found("tag=none"), [""; 0]);
    assert_eq!(found("scope=orders:write"), [&*writer, &area, &star]);
    // It includes reading.
    assert_eq!(found("scope=orders:read"), [&*made, &public, &writer, &area, &star, &plain]);
    assert_eq!(found("scope=admin:read"), [&*manager, &star]);
    assert_eq!(found("scope=admin:read,orders:write"), [&*star], "each of them");
    assert_eq!(found("scope=orders:read,orders:write&mode=live&status=ACTIVE"), [&*writer, &star]);
    assert_eq!(found(&format!("createdBy={manager}")), [&*made]);
    let me = fixture.get(&owner, "/session").body["member"]["id"].as_str().unwrap().to_owned();
    assert_eq!(found(&format!("createdBy={me}&scope=orders:write&mode=live")), [&*writer, &star]);
    assert_eq!(found("mode=test"), [&*area]);
    assert_eq!(found("kind=publishable"), [&*public]);
    assert_eq!(found("kind=secret").len(), 6);
    assert_eq!(found("prefix=kw_test_"), [&*area]);
    assert_eq!(found("prefix=w_test_"), [""; 0], "it is the beginning");
    assert_eq!(found(&format!("expiresBefore={}", NOON.plus(2 * DAY).to_rfc3339())), [&*writer]);
    assert_eq!(found(&format!("expiresBefore={}", NOON.plus(DAY).to_rfc3339())), [""; 0]);
    assert_eq!(found("q=plain&tag=web"), [&*plain]);

    fixture.later(HOUR);
    let late = id(json!({}));
    let hour = NOON.plus(HOUR).to_rfc3339();
    assert_eq!(found(&format!("createdFrom={hour}")), [&*late]);
    assert_eq!(found(&format!("createdTo={hour}")).len(), 7);

    // An edit and a removal take their labels along.
    fixture.patch(
        &owner,
        &format!("/api-keys/{plain}"),
        json!({"tags": ["new"], "scopes": ["orders:write"]}),
    );
    assert_eq!((found("tag=web"), found("tag=new")), (vec![], vec![plain.clone()]));
    assert_eq!(found("scope=orders:write"), [&*writer, &area, &star, &plain]);
    fixture.db.run("DELETE FROM keys", &[]).unwrap();
    assert_eq!(fixture.db.run("SELECT * FROM key_labels", &[]).unwrap(), Vec::<Value>::new());
}

#[test]
fn a_rotated_pair_is_found_while_both_pass() {
    let (fixture, owner) = RegistryFixture::open();
    let key = || fixture.key(&owner, json!({})).key_id();
    let rotate = |id: &str, how: Value| {
        fixture.post(&owner, &format!("/api-keys/{id}/rotate"), how).expect(201).key_id()
    };
    let (kept, grace, revoked, paused) = (key(), key(), key(), key());
    key();
    let mut pairs = vec![kept.clone(), rotate(&kept, json!({"revokeOld": false}))];
    let ending = [grace.clone(), rotate(&grace, json!({"graceSeconds": 60}))];
    rotate(&revoked, json!({"revokeOld": true}));
    rotate(&paused, json!({"revokeOld": false}));
    fixture.post(&owner, &format!("/api-keys/{paused}/pause"), json!({})).expect(200);
    for what in ["pause", "revoke"] {
        let new = rotate(&key(), json!({"revokeOld": false}));
        fixture.post(&owner, &format!("/api-keys/{new}/{what}"), json!({})).expect(200);
    }
    let rotating = || {
        let mut found = found(&fixture, &owner, "rotating=true");
        found.sort();
        found
    };
    pairs.sort();
    let mut all = [&pairs[..], &ending].concat();
    all.sort();
    assert_eq!(rotating(), all);
    fixture.later(60 * SECOND);
    assert_eq!(rotating(), pairs);
}

#[test]
fn a_value_that_is_none_is_refused_with_the_choices() {
    let (fixture, owner) = RegistryFixture::open();
    for (query, choices) in [
        ("status=paused", "must be one of ACTIVE, REVOKED, EXPIRED, PAUSED"),
        ("scope=orders", "must be one of orders:read, orders:write"),
        ("scope=orders:read,orders", "must be one of orders:read, orders:write"),
        (&*format!("scope={}", vec!["orders:read"; 21].join(",")), "must be at most 20 scopes"),
        ("scope=*", "must be one of orders:read, orders:write"),
        ("mode=any", "must be one of live, test"),
        ("kind=public", "must be one of secret, publishable"),
        ("sort=age", "must be one of created, -created, lastUsed, -lastUsed, expires, -expires, name, -name"),
        ("rotating=false", "must be one of true"),
        ("createdFrom=yesterday", "must be a time as in RFC 3339"),
        ("tag=", "must be 1 to 50 characters long"),
    ] {
        let answer = fixture.get(&owner, &format!("/api-keys?{query}"));
        answer.refused(400, "VALIDATION_FAILED");
        let field = query.split('=').next().unwrap();
        assert!(answer.message(field).starts_with(choices), "{query}: {}", answer.text);
    }
}

#[test]
fn pages_in_every_order_neither_lose_nor_repeat_keys_that_did_not_change() {
    let (fixture, owner) = RegistryFixture::open();
    let names = ["b", "a", "c", "a", "ä", "B"];
    let mut made = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let expires_at = (n % 2 == 0).then(|| NOON.plus((10 - n as i64) * DAY).to_rfc3339());
        made.push(
            fixture.key(&owner, json!({"name": name, "expiresAt": expires_at, "tags": ["all"]})).key_id(),
        );
    }
    let used = |id: &str, at: i64| {
        let last_used_at = Some(NOON.plus(at * SECOND));
        let report =
            UsageReport { key_id: id.to_owned(), last_used_at, hours: Vec::new(), ..UsageReport::default() };
        usage::apply(&fixture.db, &report, true, fixture.now.get()).unwrap();
    };
    fixture.later(HOUR);
    used(&made[2], 5);
    used(&made[4], 9);
    let [b, a, c, a2, umlaut, upper] = &made[..] else { panic!() };
    let orders = [
        ("created", [upper, umlaut, a2, c, a, b]),
        ("lastUsed", [umlaut, c, upper, a2, a, b]),
        ("expires", [umlaut, c, b, a, a2, upper]),
        ("name", [a, a2, b, upper, c, umlaut]),
    ];
    for (sort, expected) in orders {
        let expected: Vec<&str> = expected.iter().map(|id| id.as_str()).collect();
        let backwards: Vec<&str> = expected.iter().rev().copied().collect();
        for (sort, expected) in [(sort.to_owned(), expected), (format!("-{sort}"), backwards)] {
            for filter in ["", "&tag=all"] {
                let (mut seen, mut next) = (Vec::new(), String::new());
                loop {
                    let page = fixture
                        .get(&owner, &format!("/api-keys?limit=2&sort={sort}{filter}{next}"))
                        .expect(200);
                    assert_eq!(page.body["total"], 6);
                    seen.extend(ids(&page.body));
                    // What stands where the page ended changes its place meanwhile, and comes back.
                    let name = page.body["apiKeys"].as_array().unwrap().last().unwrap()["name"].clone();
                    let path = format!("/api-keys/{}", seen.last().unwrap());
                    fixture.patch(&owner, &path, json!({"name": "zz"})).expect(200);
                    let Some(cursor) = page.body["nextCursor"].as_str() else {
                        fixture.patch(&owner, &path, json!({"name": name})).expect(200);
                        break;
                    };
                    next = format!("&cursor={cursor}");
                    let after = fixture.get(&owner, &format!("/api-keys?limit=1&sort={sort}{filter}{next}"));
                    let after = ids(&after.body);
                    fixture.patch(&owner, &path, json!({"name": name})).expect(200);
                    assert_eq!(after[0], expected[seen.len()], "{sort}{filter}");
                }
                assert_eq!(seen, expected, "{sort}{filter}");
            }
        }
    }
    let cursor = fixture.get(&owner, "/api-keys?limit=1&sort=name").body["nextCursor"].clone();
    let other = format!("/api-keys?sort=lastUsed&cursor={}", cursor.as_str().unwrap());
    assert_eq!(fixture.get(&owner, &other).fields(), ["cursor"]);
}

#[test]
fn a_label_that_more_than_twenty_thousand_keys_have_finds_the_same_as_a_rare_one() {
    let (fixture, owner) = RegistryFixture::open_over(crate::quotas::policy(|quotas| quotas.keys = 30_000));
    let id = |fields: Value| fixture.key(&owner, fields).key_id();
    let first =
        id(json!({"name": "zebra", "tags": ["all", "few"], "expiresAt": NOON.plus(DAY).to_rfc3339()}));
    let copied = id(json!({"name": "m", "tags": ["all"]}));
    let bare = id(json!({"name": "aa"}));
    let revoked = id(json!({"name": "mm", "tags": ["all", "few"]}));
    fixture.post(&owner, &format!("/api-keys/{revoked}/revoke"), json!({})).expect(200);
    crate::many_keys::fill(&fixture, &copied, 20_000);
    let last = id(json!({"name": "a", "tags": ["all", "few"], "scopes": ["orders:write"]}));
    let page = |query: &str| fixture.get(&owner, &format!("/api-keys?{query}")).expect(200).body;
    let all = page("tag=all&limit=1&sort=name");
    assert_eq!((&all["total"], &all["totalIsAtLeast"]), (&json!(20_004), &Value::Null));
    assert_eq!(ids(&all), [&*last]);
    for (sort, expected) in [("-created", &first), ("-name", &first), ("expires", &first), ("created", &last)]
    {
        assert_eq!(ids(&page(&format!("tag=all&limit=1&sort={sort}"))), [&**expected], "{sort}");
    }
    // Beside what few have, it is counted whole.
    for (query, expected) in [
        ("tag=all&status=REVOKED", vec![&revoked]),
        ("tag=all&status=REVOKED&sort=name", vec![&revoked]),
        ("tag=all&scope=orders:write", vec![&last]),
        ("tag=all&q=zebra", vec![&first]),
        ("scope=orders:read&tag=few&sort=name", vec![&last, &revoked, &first]),
        ("tag=all&q=aa", vec![]),
        ("q=aa&mode=live", vec![&bare]),
    ] {
        assert_eq!(
            found(&fixture, &owner, query),
            expected.iter().map(|id| &***id).collect::<Vec<_>>(),
            "{query}"
        );
    }
    let (mut seen, mut next) = (Vec::new(), String::new());
    for _ in 0..3 {
        let body = page(&format!("tag=all&mode=live&sort=name&limit=2{next}"));
        assert_eq!((&body["total"], &body["totalIsAtLeast"]), (&json!(10_000), &json!(true)));
        seen.extend(ids(&body));
        next = format!("&cursor={}", body["nextCursor"].as_str().unwrap());
    }
    assert_eq!(seen[..2], [&*last, &*copied]);
    assert_eq!(seen.iter().collect::<std::collections::BTreeSet<_>>().len(), 6);
    let steps = |query: &str| {
        let before = fixture.db.work();
        page(query);
        fixture.db.work() - before
    };
    for sort in ["created", "lastUsed", "expires", "name"] {
        let most = 20 * 20_000;
        let taken = steps(&format!("tag=all&sort={sort}"));
        assert!(taken < most, "{sort}: {taken} steps of SQLite");
    }
}

#[test]
fn a_text_that_few_keys_hold_is_looked_for_once_and_in_an_index() {
    let (fixture, owner) = RegistryFixture::open();
    let key = fixture.key(&owner, json!({"name": "needle"})).key_id();
    let copied = fixture.key(&owner, json!({"name": "hay"})).key_id();
    crate::many_keys::fill(&fixture, &copied, 1_000);
    fixture.db.watch();
    for query in ["q=needle", "q=NEEDLE&sort=name", "q=needle&status=ACTIVE"] {
        assert_eq!(found(&fixture, &owner, query), [&*key]);
    }
    let looked = fixture.db.watched().into_iter().filter(|statement| statement.contains("instr(search"));
    let plans: Vec<String> = looked.collect();
    assert_eq!(plans.len(), 3, "{plans:?}");
    assert!(plans.iter().all(|statement| statement.contains("keys_to_search")));
    let before = fixture.db.work();
    found(&fixture, &owner, "q=nothing");
    let steps = fixture.db.work() - before;
    assert!(steps < 20_000, "{steps} steps of SQLite for 1,000 keys");
    // What an edit changes is found at once.
    fixture.patch(&owner, &format!("/api-keys/{key}"), json!({"name": "thread"})).expect(200);
    assert_eq!(
        (found(&fixture, &owner, "q=needle").len(), found(&fixture, &owner, "q=thread").len()),
        (0, 1)
    );
}

#[test]
fn what_a_text_is_found_in_is_counted_to_a_thousand() {
    let (fixture, owner) = RegistryFixture::open();
    let key = fixture.key(&owner, json!({"name": "the one"})).key_id();
    let total = || {
        let body = fixture.get(&owner, "/api-keys?q=one&limit=1").expect(200).body;
        (body["total"].as_u64().unwrap(), body["totalIsAtLeast"] == true)
    };
    crate::many_keys::fill(&fixture, &key, 999);
    assert_eq!(total(), (1_000, false));
    fixture.key(&owner, json!({"name": "one"}));
    assert_eq!(total(), (1_000, true));
}

#[test]
fn keys_that_an_older_build_has_stored_are_found_by_all_of_it() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({"tags": ["old"]})).key_id();
    let all = "SELECT * FROM key_labels ORDER BY label";
    let before = fixture.db.run(all, &[]).unwrap();
    assert_eq!(before.len(), 3);
    fixture.db.run("DELETE FROM key_labels", &[]).unwrap();
    let statements =
        keyward_registry::schema::ADDITIONS.iter().find(|it| it.name.ends_with("and sorted")).unwrap();
    let mut again = statements.statements.split(";\n").filter(|text| text.trim().starts_with("INSERT"));
    fixture.db.run(again.next().unwrap(), &[]).unwrap();
    assert_eq!(fixture.db.run(all, &[]).unwrap(), before);
    assert_eq!(found(&fixture, &owner, "tag=old"), [&*id]);
}
