//! Where a key was last used from: of the latest use, whoever tells of it, and looked up seldom.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::cell::Cell;

use keyward_core::time::{HOUR, SECOND, Span, Timestamp};
use keyward_limits::{
    coordinator::Coordinator,
    lease::Grantor,
    relay::Relay,
    routes::RouteName,
    tally::ledger::Ledger,
    used_from::UsedFrom,
    wire::{Acquire, Tally, TallyHour},
};
use keyward_testing::{NOON, record};
use serde_json::{Value, json};

const KEY: &str = "sha256:00";

fn tally(number: u64, at: Timestamp, from: Option<Value>) -> Tally {
    let hour = |at| TallyHour { at, last_used_at: Some(at), accepted: 1, ..TallyHour::default() };
    let hours = vec![hour(at), hour(at.plus(-HOUR))];
    Tally { teller: 7, number, sent: at, hours, last_used_from: from, ..Tally::default() }
}

fn from(route: &str) -> Option<Value> {
    Some(json!({ "route": route }))
}

#[test]
fn the_latest_use_counts_whether_the_object_admitted_it_or_was_told_of_it() {
    let mut object = Coordinator::default();
    object.put(record());
    let version = record().version;
    let take = |from| Acquire { version, immediate: true, from, ..Acquire::default() };
    let told = |object: &Coordinator| object.report(NOON).unwrap().last_used_from;
    object.acquire(&take(from("/a")), NOON);
    assert_eq!(told(&object), from("/a"));
    // A lease is asked for, and nothing is used.
    object.acquire(&Acquire { immediate: false, ..take(from("/b")) }, NOON.plus(SECOND));
    assert_eq!(told(&object), from("/a"));
    object.report_of(&[].into(), &[], Some(&tally(1, NOON.plus(-SECOND), from("/c"))), NOON.plus(2 * SECOND));
    assert_eq!(told(&object), from("/a"), "that was earlier");
    object.report_of(
        &[].into(),
        &[],
        Some(&tally(2, NOON.plus(3 * SECOND), from("/d"))),
        NOON.plus(4 * SECOND),
    );
    assert_eq!(told(&object), from("/d"));
    let stored = serde_json::to_string(&object.counts).unwrap();
    let mut object = Coordinator::kept(record(), keyward_json::from_str(&stored).unwrap());
    assert_eq!(told(&object), from("/d"), "stored and read again");
    // An older build does not say where from: then nobody knows.
    object.report_of(&[].into(), &[], Some(&tally(3, NOON.plus(5 * SECOND), None)), NOON.plus(6 * SECOND));
    assert_eq!(told(&object), None);
}

#[test]
fn a_relay_passes_on_the_latest_use_of_all_isolates() {
    for (first, second, latest) in [(1, 2, "/2"), (2, 1, "/1")] {
        let mut relay = Relay::new(1);
        for (teller, at) in [(1, first), (2, second)] {
            let told = Tally { teller, ..tally(1, NOON.plus(at * SECOND), from(&format!("/{teller}"))) };
            relay.note(&[].into(), &[], Some(&told), NOON.plus(3 * SECOND));
        }
        let (told, _) = relay.begin_delivery(NOON.plus(30 * SECOND)).unwrap();
        assert_eq!(told.last_used_from, from(latest));
    }
}

#[test]
fn the_country_is_looked_up_when_the_address_changes_and_once_a_second_at_most() {
    let mut ledger = Ledger::of(7);
    let lookups = Cell::new(0);
    let country = || {
        lookups.set(lookups.get() + 1);
        Some(format!("C{}", lookups.get()))
    };
    let use_it = |ledger: &mut Ledger, address, route, after: Span| {
        let route = RouteName { realm: "default", method: "GET", path: route };
        let from = UsedFrom { address: Some(address), route: Some(route), country: &country };
        ledger.accept(KEY, Some(&from), NOON + after);
    };
    for _ in 0..100 {
        use_it(&mut ledger, "192.0.2.1", "/a", Span::ZERO);
    }
    use_it(&mut ledger, "192.0.2.1", "/b", Span::ZERO);
    use_it(&mut ledger, "192.0.2.2", "/c", Span::from_ms(999));
    let told = |ledger: &mut Ledger, after: Span| {
        let tally = ledger.begin(KEY, Grantor::Coordinator, NOON + after);
        ledger.end(KEY, &tally, true, NOON + after);
        tally.last_used_from
    };
    let expected = json!({ "network": "192.0.2.1", "country": "C1", "route": "/b" });
    assert_eq!((told(&mut ledger, SECOND), lookups.get()), (Some(expected), 1));

    use_it(&mut ledger, "192.0.2.1", "/b", SECOND);
    use_it(&mut ledger, "2001:db8::1", "/d", 2 * SECOND);
    let expected = json!({ "network": "2001:db8::/64", "country": "C3", "route": "/d" });
    assert_eq!((told(&mut ledger, 2 * SECOND), lookups.get()), (Some(expected), 3));
    ledger.refuse(KEY, "TEST_MODE", None, NOON);
    assert_eq!(told(&mut ledger, 3 * SECOND), None, "it was not used");
}
