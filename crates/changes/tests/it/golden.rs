//! What is sent, pinned: builds of different age work on one deployment.

use keyward_core::{
    changes::{Change, News, ReadChanges},
    time::Span,
};
use serde_json::{Value, json};

use crate::common::key;

#[test]
fn a_question_and_its_answer_are_written_so() {
    let call = ReadChanges { log: "abc".into(), after: 7, max_age: Span::from_ms(475) };
    assert_eq!(serde_json::to_value(&call).unwrap(), json!({"log": "abc", "after": 7, "maxAgeMs": 475}));
    let tenant = json!({"id": "t1", "code": "ACME", "status": "INACTIVE", "plan": null});
    let changes = vec![
        key("h1", 2),
        Change::Key { hash: "h2".into(), version: 3, revoked: true },
        Change::Tenant { number: 9, tenant: serde_json::from_value(tenant.clone()).unwrap() },
    ];
    let news = News {
        log: "abc".into(),
        position: 9,
        is_anew: false,
        begins: 1,
        more: false,
        covers: Span::from_days(1),
        age: Span::from_ms(20),
        changes,
    };
    let sent = json!({
        "log": "abc", "position": 9, "isAnew": false, "begins": 1, "more": false, "coversMs": 86_400_000, "ageMs": 20,
        "changes": [
            {"of": "key", "hash": "h1", "version": 2},
            {"of": "key", "hash": "h2", "version": 3, "revoked": true},
            {"of": "tenant", "number": 9, "tenant": tenant},
        ],
    });
    assert_eq!(serde_json::to_value(&news).unwrap(), sent);
    assert_eq!(keyward_json::from_value::<News>(&sent).unwrap(), news);
}

#[test]
fn what_a_newer_build_adds_is_read_and_a_change_of_a_kind_that_is_not_known_is_seen() {
    let sent: Value = json!({
        "log": "abc", "position": 9, "begins": 0, "coversMs": 0, "new": 1,
        "changes": [{"of": "key", "hash": "h1", "version": 2, "new": 1}, {"of": "realm", "id": "r"}],
    });
    let news = keyward_json::from_value::<News>(&sent).unwrap();
    assert_eq!(news.changes, [key("h1", 2), Change::Unknown]);
    // A relay passes it on as that.
    let passed_on = serde_json::to_value(&news).unwrap();
    assert_eq!(passed_on["changes"][1], json!({"of": "unknown"}));
    assert_eq!(keyward_json::from_value::<News>(&passed_on).unwrap(), news);
}
