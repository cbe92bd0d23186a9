//! Whatever KV, an object or the Registry answers is read strictly: what every build writes must be there. An answer
//! that is cut short, of something else, or empty is a store that fails, and never says that there is no such key, no
//! limit or no end.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    link::{Redeem, Redeemed, Session},
    record::{Cost, Record},
    registry_call::{GetHealth, RegistryCall as _},
    time::Span,
};
use keyward_limits::{
    limit::{Window, WindowState},
    wire::{
        Acquire, Acquired, CoordinatorCall, GetReply, Lease, LeaseReport, PutAck, ReportAck, RouteHint,
        UsageHour, UsageReport,
    },
};
use keyward_registry::admin_call::AdminReply;
use keyward_testing::{NOON, record, registry_fixture::RegistryFixture};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// What an older build leaves out where there is nothing to say, and what a relay does.
const MAY_BE_MISSING: [&str; 6] = ["/strict", "/replaced", "/tenant/code", "/place", "/cost", "/via/holdMs"];

/// The paths of all fields of a value.
fn paths(value: &Value, at: &str, all: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                all.push(format!("{at}/{name}"));
                paths(field, &format!("{at}/{name}"), all);
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| paths(item, &format!("{at}/{index}"), all));
        }
        _ => {}
    }
}

/// Every field is needed, and nothing else than the value is read as one.
fn is_strict<T: Serialize + DeserializeOwned>(value: &T) {
    let whole = serde_json::to_value(value).unwrap();
    assert!(keyward_json::from_value::<T>(&whole).is_ok());
    let mut all = Vec::new();
    paths(&whole, "", &mut all);
    for path in all {
        let (parent, name) = path.rsplit_once('/').unwrap();
        let mut cut = whole.clone();
        cut.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
        let is_read = keyward_json::from_value::<T>(&cut).is_ok();
        let may_be_missing = MAY_BE_MISSING.iter().any(|field| path.ends_with(field));
        assert_eq!(is_read, may_be_missing, "{path} of {whole}");
    }
    for garbage in ["{}", "[]", "null", "true", "7", "\"\"", "", "<html></html>", "{\"error\":\"x\"}"] {
        assert!(keyward_json::from_str::<T>(garbage).is_err(), "{garbage:?} as {whole}");
    }
}

#[test]
fn every_answer_needs_every_field() {
    let full = Record {
        strict: true,
        replaced: true,
        paused: false,
        tenant_change: 0,
        allowed_ips: vec!["192.0.2.0/24".parse().unwrap()],
        ..record()
    };
    is_strict(&full);
    is_strict(&record());
    is_strict(&GetReply { record: Some(full.clone()) });
    is_strict(&GetReply { record: None });
    is_strict(&PutAck { version: 1 });
    let windows = vec![WindowState {
        window: Window::Minute,
        limit: 1,
        remaining: 0,
        reset: Span::from_ms(1),
        of_tenant: false,
    }];
    let via = RouteHint { relay: true, age: Span::from_ms(3), hold: Span::from_ms(12) };
    for (reservation, lease) in
        [(None, None), (Some(NOON), Some(Lease { id: 1, requests: 1, ..Lease::default() }))]
    {
        is_strict(&Acquired::Granted {
            windows: windows.clone(),
            delay: Span::ZERO,
            reservation,
            cost: Cost::new(5),
            lease,
            via,
            open: false,
        });
    }
    is_strict(&Acquired::Busy { windows: windows.clone(), limit: 1, by_budgets: false });
    is_strict(&Acquired::Limited { windows, retry_after: Span::from_ms(1), lease: None, via });
    is_strict(&Acquired::Changed { record: full });
    is_strict(&Acquired::Unknown);
    is_strict(&Acquired::Unreached { slow: true });
    let session = Session {
        realm: "shop".into(),
        tenant: record().tenant,
        subject: None,
        session_id: None,
        expires_at: NOON,
    };
    is_strict(&session);
    is_strict(&Redeemed::Granted(session));
    is_strict(&Redeemed::Used);
    let hour = UsageHour { hour: NOON, accepted: 1, refused: [].into(), ..UsageHour::default() };
    is_strict(&UsageReport { key_id: "key_1".into(), hours: vec![hour], ..UsageReport::default() });
    is_strict(&LeaseReport { id: 1, used: 1, age: Span::from_ms(1), open: 1 });
    is_strict(&AdminReply { status: 200, headers: Vec::new(), body: String::new() });
}

#[test]
fn a_report_is_answered_with_an_object() {
    assert!(keyward_json::from_str::<ReportAck>("{}").is_ok());
    for garbage in ["null", "7", "\"\"", "", "<html>"] {
        assert!(keyward_json::from_str::<ReportAck>(garbage).is_err(), "{garbage:?}");
    }
}

#[test]
fn a_call_that_does_not_say_by_when_it_passes_is_counted_as_late_as_any() {
    let call = keyward_json::from_value(&json!({ "op": "take", "version": 1, "atHand": true })).unwrap();
    let CoordinatorCall::Acquire(take) = call else { panic!() };
    assert_eq!(take.within, Span::from_ms(3_500));
}

#[test]
fn a_call_is_made_twice_only_where_an_object_may_get_it_twice() {
    let take = |take: Acquire| CoordinatorCall::Acquire(take).is_repeatable();
    assert!(
        CoordinatorCall::Get.is_repeatable() && CoordinatorCall::Put { record: record() }.is_repeatable()
    );
    assert!(take(Acquire { immediate: true, wants: 10, ..Acquire::default() }));
    // A place that is given back twice would free another's; what was counted elsewhere would count twice.
    assert!(!take(Acquire { cancelled: Some(NOON), ..Acquire::default() }));
    assert!(!take(Acquire { unreported: 1, ..Acquire::default() }));
    let refused = || [("TEST_MODE".to_owned(), 1)].into();
    assert!(!take(Acquire { refused: refused(), ..Acquire::default() }));
    assert!(!CoordinatorCall::Report { refused: refused(), leases: Vec::new(), tally: None }.is_repeatable());
    assert!(CoordinatorCall::Report { refused: [].into(), leases: Vec::new(), tally: None }.is_repeatable());

    assert!(GetHealth {}.is_repeatable());
    // Totals replace what was reported before.
    let hours = Vec::new();
    assert!(UsageReport { key_id: "key_1".into(), hours, ..UsageReport::default() }.is_repeatable());
    // The second would find the link used.
    assert!(!Redeem { hash: "sha256:00".into(), realm: "shop".into() }.is_repeatable());
    let admin = |method| RegistryFixture::open().0.call(method, "", "/api-keys", json!({})).is_repeatable();
    assert!(admin("GET") && admin("HEAD"));
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        assert!(!admin(method), "{method}");
    }
}
