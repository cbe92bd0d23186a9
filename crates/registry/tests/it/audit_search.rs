//! Finding entries of the audit by who did what to what and when, in chains of any length, and taking them away.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    sql::{self, Schema, Sql},
    time::{HOUR, MINUTE, SECOND},
};
use keyward_registry::schema;
use keyward_testing::{
    Database,
    registry_fixture::{Answer, RegistryFixture},
};
use serde_json::{Value, json};

/// A tenant in which two people and a key do this and that, and what stands in its audit, oldest first.
struct Stage {
    fixture: RegistryFixture,
    owner: String,
    admin: String,
    key: String,
    entries: Vec<Value>,
}

fn of(answer: Answer) -> Vec<Value> {
    answer.expect(200).body["entries"].as_array().unwrap().clone()
}

impl Stage {
    fn new() -> Self {
        let (fixture, owner) = RegistryFixture::open();
        let (session, admin) = fixture.member(&owner, "admin@example.com", "admin");
        let key = fixture.key(&owner, json!({"scopes": ["admin:write"]})).key_id();
        for n in 0..6 {
            fixture.later(HOUR);
            let by = &[owner.clone(), session.clone(), format!("key:{key}")][n % 3];
            let made = fixture.key(by, json!({})).key_id();
            fixture.patch(by, &format!("/api-keys/{made}"), json!({"name": "another"})).expect(200);
            if n % 2 == 0 {
                fixture.post(by, &format!("/api-keys/{made}/revoke"), json!({})).expect(200);
            }
            let wrong = json!({"email": "Admin@example.com", "password": "not the right one"});
            fixture.post("", "/session", wrong).refused(401, "INVALID_CREDENTIALS");
        }
        let mut entries = of(fixture.get(&owner, "/audit?limit=100"));
        entries.reverse();
        Self { fixture, owner, admin, key, entries }
    }

    /// All pages of what is asked for.
    fn all(&self, query: &str) -> Vec<Value> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        for _ in 0..100 {
            let page = self.fixture.get(&self.owner, &format!("/audit?{query}{cursor}")).expect(200).body;
            found.extend(page["entries"].as_array().unwrap().iter().cloned());
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
            self.fixture.later(SECOND);
        }
        panic!("pages without an end");
    }

    #[track_caller]
    fn finds(&self, query: &str, is_asked_for: impl Fn(&Value) -> bool) {
        let expected: Vec<Value> = self.entries.iter().filter(|entry| is_asked_for(entry)).cloned().collect();
        assert!(!expected.is_empty(), "{query}");
        for limit in [1, 3, 100] {
            assert_eq!(self.all(&format!("{query}&order=asc&limit={limit}")), expected, "{query}");
            let newest_first: Vec<Value> = expected.iter().rev().cloned().collect();
            assert_eq!(self.all(&format!("{query}&limit={limit}")), newest_first, "{query}");
            assert_eq!(self.all(&format!("{query}&order=desc&limit={limit}")), newest_first, "{query}");
        }
    }
}

#[test]
fn entries_are_found_by_who_did_what_to_what_and_when() {
    let stage = Stage::new();
    let Stage { admin, key, .. } = &stage;
    let is = |path: &'static str, value: &str| {
        let value = value.to_owned();
        move |entry: &Value| entry.pointer(path).and_then(Value::as_str) == Some(value.as_str())
    };
    stage.finds(&format!("actor={admin}"), is("/actor/id", admin));
    stage.finds(&format!("actor={key}"), is("/actor/id", key));
    // Also those who failed to sign in with it.
    stage.finds("actor=ADMIN%40example.com", is("/actor/email", "admin@example.com"));
    stage.finds(&format!("object={key}"), is("/target", key));
    stage.finds("action=key.edit", is("/action", "key.edit"));
    let area = |area: &'static str| {
        move |entry: &Value| entry["action"].as_str().is_some_and(|action| action.starts_with(area))
    };
    stage.finds("action=key.", area("key."));
    stage.finds("action=session.", area("session."));

    let (from, to) = (stage.entries[8]["time"].clone(), stage.entries[20]["time"].clone());
    let between =
        |entry: &Value| entry["time"].as_str() >= from.as_str() && entry["time"].as_str() < to.as_str();
    let period = format!("from={}&to={}", from.as_str().unwrap(), to.as_str().unwrap());
    stage.finds(&period, between);
    stage.finds(&format!("{period}&action=key."), |entry| between(entry) && area("key.")(entry));
    let by_key = is("/actor/id", key);
    stage.finds(&format!("actor={key}&action=key.edit"), |entry| {
        by_key(entry) && entry["action"] == "key.edit"
    });
    let made = stage.entries.iter().find(|entry| by_key(entry)).unwrap()["target"].clone();
    let object = format!("object={}&actor={key}&action=key.&{period}", made.as_str().unwrap());
    stage.finds(&object, |entry| by_key(entry) && entry["target"] == made && between(entry));
    for nothing in ["actor=mem_other", "action=key", "action=keys.", "object=x", "to=2000-01-01T00:00:00Z"] {
        assert_eq!(stage.all(nothing), Vec::<Value>::new(), "{nothing}");
    }
    stage.finds("to=9999-12-31T23:59:59Z&from=0000-01-01T00:00:00Z", |_| true);
}

#[test]
fn a_search_of_the_audit_says_what_is_wrong_with_it() {
    let (fixture, owner) = RegistryFixture::open();
    for (query, field) in [
        ("actor=", "actor"),
        ("actor=a b@c", "actor"),
        ("action=key%25", "action"),
        ("object=", "object"),
        ("from=yesterday", "from"),
        ("to=1", "to"),
        ("order=up", "order"),
        ("cursor=x", "cursor"),
        ("who=me", "who"),
    ] {
        for path in ["/audit", "/audit/export"] {
            let answer = fixture.get(&owner, &format!("{path}?{}", query.replace(' ', "%20")));
            answer.refused(400, "VALIDATION_FAILED");
            assert_eq!(answer.fields(), [field], "{path}?{query}");
        }
    }
}

#[test]
fn nobody_finds_entries_of_another_tenant() {
    let (fixture, operator) = RegistryFixture::open();
    let (shop, id) = fixture.tenant(&operator, "shop");
    let key = fixture.key(&shop, json!({})).key_id();
    let me = fixture.get(&operator, "/session").body["member"]["id"].as_str().unwrap().to_owned();
    for query in [format!("object={key}"), "actor=owner@shop.example".into(), "action=key.".into()] {
        assert_eq!(of(fixture.get(&operator, &format!("/audit?{query}"))), Vec::<Value>::new(), "{query}");
        assert!(!of(fixture.get(&shop, &format!("/audit?{query}"))).is_empty(), "{query}");
    }
    // What the operator did to the tenant stands in both.
    let of_shop = of(fixture.get(&shop, &format!("/audit?actor={me}")));
    assert!(
        !of_shop.is_empty() && of_shop.iter().all(|entry| entry["tenantId"] == id.as_str()),
        "{of_shop:?}"
    );
}

#[test]
fn a_page_of_the_audit_says_what_its_keys_people_and_tenants_are_called_now_and_nothing_of_another_tenant() {
    let (fixture, operator) = RegistryFixture::open();
    let (shop, tenant) = fixture.tenant(&operator, "shop");
    let key = fixture.key(&shop, json!({"name": "before"})).body["apiKey"].clone();
    let id = key["id"].as_str().unwrap();
    fixture.patch(&shop, &format!("/api-keys/{id}"), json!({"name": "Billing"})).expect(200);
    let me = fixture.get(&shop, "/session").expect(200).body["member"]["id"].clone();
    let page = fixture.get(&shop, &format!("/audit?object={id}")).expect(200).body;
    let called = format!("Billing …{}", key["last4"].as_str().unwrap());
    assert_eq!(page["names"], json!({ id: called, (me.as_str().unwrap()): "owner@shop.example" }));
    let of_tenant = format!("/audit?object={tenant}");
    assert_eq!(fixture.get(&operator, &of_tenant).expect(200).body["names"][&tenant], "shop");
    // Entries that name another tenant, and its key.
    let other = fixture.get(&operator, "/session").expect(200).body["tenant"]["id"].clone();
    let forged = "UPDATE audit SET entry = json_set(entry, '$.target', ?) WHERE tenant_id = ?";
    fixture.db.run(forged, &[other.as_str().unwrap().into(), tenant.as_str().into()]).unwrap();
    assert!(fixture.get(&shop, "/audit").expect(200).body["names"].get(other.as_str().unwrap()).is_none());
    let forged = "UPDATE audit SET entry = json_set(entry, '$.target', ?) WHERE seq = 1";
    fixture.db.run(forged, &[id.into()]).unwrap();
    let names = fixture.get(&operator, "/audit?order=asc").expect(200).body["names"].clone();
    assert!(!names.as_object().unwrap().is_empty() && names.get(id).is_none(), "{names}");
}

/// Adds this many entries, of which one in a hundred is by `rare`, and which are as long as usual.
fn fill(fixture: &RegistryFixture, entries: u32) {
    let fill = "WITH RECURSIVE more(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < ?),
        last AS (SELECT MAX(seq) AS seq, tenant_id, entry FROM audit)
        INSERT INTO audit (tenant_id, seq, entry, hash)
        SELECT tenant_id, last.seq + n, json_set(entry, '$.seq', last.seq + n,
            '$.target', 'key_' || (n % 1000), '$.actor.id', iif(n % 1000 = 1, 'mem_rare', 'mem_often'),
            '$.action', iif(n % 1000 = 2, 'key.revoke', 'key.edit')), 'hash' FROM last, more";
    fixture.db.run(fill, &[entries.into()]).unwrap();
}

#[test]
fn no_search_costs_more_because_the_chain_is_long() {
    let (fixture, owner) = RegistryFixture::open();
    fixture.key(&owner, json!({}));
    let now = fixture.now.get().to_rfc3339();
    let queries = [
        "order=asc".to_owned(),
        "actor=mem_rare".into(),
        "actor=owner@example.com".into(),
        "action=key.revoke".into(),
        "action=key.".into(),
        "action=key.&order=asc".into(),
        "object=key_7".into(),
        "object=key_7&action=key.".into(),
        "actor=mem_often&action=key.revoke".into(),
        format!("from={now}&action=key."),
        "to=2000-01-01T00:00:00Z".into(),
    ];
    let costs = || {
        queries.clone().map(|query| {
            let before = fixture.db.work();
            fixture.get(&owner, &format!("/audit?limit=2&{query}")).expect(200);
            fixture.later(MINUTE);
            fixture.db.work() - before
        })
    };
    fill(&fixture, 3_000);
    costs();
    let few = costs();
    fill(&fixture, 30_000);
    costs();
    let many = costs();
    for ((query, few), many) in queries.iter().zip(few).zip(many) {
        println!("{query}: {few} and {many} steps of SQLite");
        assert!(many < few + 3_000, "{query}: {few} steps of SQLite, and with 30,000 entries more {many}");
    }
}

#[test]
fn where_no_index_leads_a_page_looks_at_a_thousand_entries_and_says_where_to_go_on() {
    let (fixture, owner) = RegistryFixture::open();
    fixture.key(&owner, json!({}));
    fill(&fixture, 10_000);
    let stage = Stage { fixture, owner, admin: String::new(), key: String::new(), entries: Vec::new() };
    let query = "actor=mem_often&action=key.revoke";
    let first = stage.fixture.get(&stage.owner, &format!("/audit?{query}&limit=100")).expect(200).body;
    assert_eq!(first["entries"].as_array().unwrap().len(), 1, "of a thousand");
    assert!(first["nextCursor"].is_string());
    assert_eq!(stage.all(query).len(), 10);
    assert_eq!(stage.all(&format!("{query}&order=asc")).len(), 10);
}

#[test]
fn a_clock_that_was_set_back_hides_no_entry() {
    let (fixture, owner) = RegistryFixture::open();
    let rename = |name: &str, key: &str| {
        fixture.patch(&owner, &format!("/api-keys/{key}"), json!({ "name": name })).expect(200);
    };
    let key = fixture.key(&owner, json!({})).key_id();
    for n in 0..8 {
        fixture.later(MINUTE);
        rename(&format!("before {n}"), &key);
    }
    let from = fixture.now.get().to_rfc3339();
    fixture.now.set(fixture.now.get() - 5 * MINUTE);
    for n in 0..8 {
        fixture.later(MINUTE);
        rename(&format!("after {n}"), &key);
    }
    let found = of(fixture.get(&owner, &format!("/audit?from={from}&order=asc")));
    let names: Vec<&str> = found.iter().map(|entry| entry["after"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["before 7", "after 4", "after 5", "after 6", "after 7"]);
}

#[test]
fn an_export_has_every_entry_that_is_asked_for_a_line_in_answers_that_are_bounded() {
    let stage = Stage::new();
    let Stage { fixture, owner, .. } = &stage;
    let exported = |query: &str| {
        let (mut lines, mut answers, mut cursor) = (Vec::new(), 0, String::new());
        loop {
            let answer = fixture.get(owner, &format!("/audit/export?{query}{cursor}")).expect(200);
            assert_eq!(answer.header("Content-Type"), Some("application/x-ndjson"));
            assert!(answer.text.len() < 1_010_000);
            lines.extend(answer.text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
            answers += 1;
            fixture.later(MINUTE);
            match answer.header("Next-Cursor") {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return (lines, answers),
            }
        }
    };
    assert_eq!(exported("order=asc"), (stage.entries.clone(), 1));
    assert_eq!(exported("action=key.").0, stage.all("action=key."));
    assert_eq!(exported("actor=mem_nobody"), (Vec::new(), 1));
    fill(fixture, 2_500);
    let (lines, answers) = exported("");
    assert_eq!(lines.len(), stage.entries.len() + 2_500);
    assert!(answers > 2, "{answers}");
    assert!(lines.windows(2).all(|two| two[0]["seq"].as_u64() > two[1]["seq"].as_u64()));
}

#[test]
fn a_verdict_on_the_chain_says_how_many_entries_there_are_in_all() {
    let (fixture, owner) = RegistryFixture::open();
    fixture.key(&owner, json!({}));
    let verdict = fixture.get(&owner, "/audit/verify").expect(200).body;
    assert_eq!((&verdict["entries"], &verdict["total"]), (&json!(3), &json!(3)));
    fill(&fixture, 2_000);
    let verdict = fixture.get(&owner, "/audit/verify").expect(200).body;
    assert_eq!((&verdict["ok"], &verdict["total"]), (&json!(false), &json!(2_003)));
}

#[test]
fn entries_that_an_older_build_has_stored_are_found_and_one_that_is_broken_stops_nothing() {
    let at = schema::ADDITIONS.iter().position(|addition| addition.name == "audit by actor").unwrap();
    let before = Schema { migrations: schema::MIGRATIONS, additions: &schema::ADDITIONS[..at] };
    let db = Database::new();
    sql::migrate(&db, &before).unwrap();
    let add = |seq: i64, entry: &str| {
        let insert = "INSERT INTO audit (tenant_id, seq, entry, hash) VALUES ('one', ?, ?, 'h')";
        db.run(insert, &[seq.into(), entry.into()]).unwrap();
    };
    let whole =
        r#"{"action":"key.edit","actor":{"email":null,"id":"key_1","type":"apiKey"},"target":"key_2"}"#;
    let broken = ["{\"action", "", r#"{"action":1,"actor":{"id":{"a":[]}},"target":2.5,"time":true}"#, "[]"];
    let all = || {
        add(count(&db) + 1, whole);
        for entry in broken {
            add(count(&db) + 1, entry);
        }
    };
    all();
    keyward_registry::migrate(&db).unwrap();
    all();
    for condition in ["actor_id = 'key_1'", "action = 'key.edit'", "target = 'key_2'"] {
        let found = format!("SELECT COUNT(*) FROM audit WHERE tenant_id = 'one' AND {condition}");
        assert_eq!(sql::scalar::<i64>(&db, &found, &[]).unwrap(), Some(2), "{condition}");
    }
}

fn count(db: &dyn Sql) -> i64 {
    sql::scalar(db, "SELECT COUNT(*) FROM audit", &[]).unwrap().unwrap()
}

#[test]
fn whoever_may_read_the_audit_may_search_and_export_it() {
    let (fixture, owner) = RegistryFixture::open();
    let (viewer, _) = fixture.member(&owner, "viewer@example.com", "viewer");
    let reader = format!("key:{}", fixture.key(&owner, json!({"scopes": ["admin:read"]})).key_id());
    let other = format!("key:{}", fixture.key(&owner, json!({})).key_id());
    for path in ["/audit?action=key.", "/audit/export?action=key."] {
        fixture.get(&viewer, path).expect(200);
        fixture.get(&reader, path).expect(200);
        fixture.get(&other, path).refused(403, "FORBIDDEN");
        fixture.get("", path).refused(401, "UNAUTHENTICATED");
    }
}
