//! Counts by route: exact where routes are few, bounded where they are many, and moved and taken back with the rest.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::{HOUR, MINUTE, SECOND, Span};
use keyward_limits::{
    coordinator::Coordinator,
    lease::Grantor,
    relay::Relay,
    routes::{LONGEST, MOST_ROUTES, OTHER, OnRoutes, RouteCounts, RouteName},
    tally::ledger::Ledger,
    usage::Usage,
    used_from::UsedFrom,
    wire::{Acquire, Cancelled, Tally, TallyHour, UNATTRIBUTED},
};
use keyward_testing::{NOON, record};

const KEY: &str = "sha256:00";
const ORDERS: RouteName<'_> = RouteName { realm: "api", method: "GET", path: "/orders/{id}" };

fn counts(of: &[(&str, u64)]) -> RouteCounts {
    of.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn accept(ledger: &mut Ledger, route: RouteName<'_>) {
    let from = UsedFrom { address: None, route: Some(route), country: &|| None };
    ledger.accept(KEY, Some(&from), NOON);
}

/// What an isolate tells of a key's routes.
fn told(ledger: &mut Ledger, hash: &str) -> OnRoutes {
    ledger.begin(hash, Grantor::Coordinator, NOON).hours.remove(0).routes
}

#[test]
fn each_request_counts_on_its_route_by_its_method_whether_accepted_or_refused() {
    let mut ledger = Ledger::of(7);
    let posted = RouteName { method: "POST", ..ORDERS };
    for _ in 0..3 {
        accept(&mut ledger, ORDERS);
    }
    accept(&mut ledger, posted);
    ledger.refuse(KEY, "TEST_MODE", Some(posted), NOON);
    ledger.refuse(KEY, "INSUFFICIENT_SCOPE", Some(posted), NOON);
    // A call of the admin API takes none.
    ledger.refuse(KEY, "INSUFFICIENT_SCOPE", None, NOON);
    let accepted = counts(&[("api GET /orders/{id}", 3), ("api POST /orders/{id}", 1)]);
    let refused = counts(&[("api POST /orders/{id}", 2)]);
    assert_eq!(told(&mut ledger, KEY), OnRoutes { accepted, refused, ..OnRoutes::default() });
    ledger.refuse_unattributed("api", "NO_ROUTE", None, NOON);
    ledger.refuse_unattributed("api", "MISSING_AUTHORIZATION", Some(ORDERS), NOON);
    assert_eq!(told(&mut ledger, UNATTRIBUTED).refused, counts(&[("api GET /orders/{id}", 1)]));
}

#[test]
fn a_name_is_read_as_it_was_written_with_spaces_in_the_path() {
    let spaced = RouteName { path: "/a b/c d", ..ORDERS };
    assert_eq!(RouteName::read(&spaced.name()), Some(spaced));
    assert_eq!((RouteName::read(OTHER), RouteName::read("api GET")), (None, None));
}

#[test]
fn of_many_routes_few_are_named_and_the_rest_counts_together_in_every_place() {
    let mut ledger = Ledger::of(7);
    let paths: Vec<String> = (0..MOST_ROUTES + 8).map(|n| format!("/{n}")).collect();
    for path in paths.iter().chain(&paths) {
        accept(&mut ledger, RouteName { path, ..ORDERS });
    }
    let long = "x".repeat(LONGEST);
    accept(&mut ledger, RouteName { path: &long, ..ORDERS });
    let tally = ledger.begin(KEY, Grantor::Coordinator, NOON);
    let of_isolate = &tally.hours[0].routes.accepted;
    assert_eq!((of_isolate.len(), of_isolate[OTHER]), (MOST_ROUTES + 1, 17));

    // Other isolates have other routes; the relay and the object have no more than one of them.
    let mut relay = Relay::new(1);
    for teller in 1..4 {
        let named = (0..MOST_ROUTES).map(|n| (format!("api GET /{teller}/{n}"), 1));
        let named = named.chain([(format!("api GET /{long}"), 1)]).collect();
        let routes = OnRoutes { accepted: named, ..OnRoutes::default() };
        let hour = TallyHour { at: NOON, accepted: 33, routes, ..TallyHour::default() };
        let tally = Tally { teller, number: 1, sent: NOON, hours: vec![hour], ..Tally::default() };
        relay.note(&[].into(), &[], Some(&tally), NOON);
    }
    let (of_relay, _) = relay.begin_delivery(NOON.plus(30 * SECOND)).unwrap();
    let mut object = Coordinator::default();
    object.put(record());
    object.report_of(&[].into(), &[], Some(&of_relay), NOON);
    object.report_of(&[].into(), &[], Some(&tally), NOON);
    for (of, all) in [
        (&of_relay.hours[0].routes.accepted, 99),
        (&object.report(NOON).unwrap().hours[0].routes.accepted, 99 + 81),
    ] {
        assert!(of.len() <= MOST_ROUTES + 1);
        assert_eq!(of.values().sum::<u64>(), all);
    }
}

#[test]
fn what_the_object_admits_counts_on_the_route_of_its_call_and_is_taken_back_with_it() {
    let mut object = Coordinator::default();
    object.put(record());
    let name = ORDERS.name();
    let none = Tally { teller: 9, sent: NOON, ..Tally::default() };
    let single = |call, route| Acquire {
        version: record().version,
        immediate: true,
        call,
        tally: Some(none.clone()),
        route,
        ..Acquire::default()
    };
    for call in 1..3 {
        object.acquire(&single(call, Some(name.clone())), NOON);
    }
    // An older build does not say which.
    object.acquire(&single(3, None), NOON);
    let cancelled = vec![Cancelled { call: 1, reservation: None }];
    let tally = Tally { number: 1, cancelled, ..none.clone() };
    for _ in 0..2 {
        object.report_of(&[].into(), &[], Some(&tally), NOON);
    }
    let hour = object.report(NOON).unwrap().hours.remove(0);
    assert_eq!((hour.accepted, hour.taken_back), (2, 1));
    let expected = OnRoutes {
        accepted: counts(&[(&name, 2)]),
        taken_back: counts(&[(&name, 1)]),
        ..OnRoutes::default()
    };
    assert_eq!(hour.routes, expected);
    // Stored, and read again.
    let stored = serde_json::to_string(&object.counts).unwrap();
    let again = Coordinator::kept(record(), keyward_json::from_str(&stored).unwrap());
    assert_eq!(again.report(NOON).unwrap().hours[0].routes, expected);
}

#[test]
fn an_hour_of_which_only_what_was_taken_back_has_changed_is_told_again() {
    let mut usage = Usage::default();
    let name = ORDERS.name();
    usage.accept_on(1, &counts(&[(&name, 1)]), NOON);
    let report = usage.report("key_1", NOON);
    // While the report is on its way: as many accepted in the end, but not the same ones.
    usage.accept_on(1, &counts(&[("api GET /other", 1)]), NOON);
    usage.take_back(NOON, Some(&name));
    usage.reported(&report, &[], NOON);
    assert_eq!(usage.report("key_1", NOON).hours[0].routes.taken_back, counts(&[(&name, 1)]));
}

#[test]
fn counts_by_route_go_with_the_others_to_another_hour_when_the_clock_is_set_back() {
    let name = ORDERS.name();
    for is_told in [false, true] {
        let mut usage = Usage::default();
        let count = |usage: &mut Usage, requests| {
            usage.accept_on(requests, &counts(&[(&name, requests)]), NOON);
            usage.refuse_on(&[("TEST_MODE".to_owned(), 1)].into(), &counts(&[(&name, 1)]), NOON);
        };
        count(&mut usage, 3);
        if is_told {
            let report = usage.report("key_1", NOON);
            usage.reported(&report, &[], NOON);
        }
        count(&mut usage, 2);
        usage.take_back(NOON, Some(&name));
        let earlier = NOON.plus(-2 * HOUR);
        usage.set_back(earlier);
        let left = if is_told { (1, 1) } else { (4, 2) };
        let moved = usage.report("key_1", earlier).hours.remove(0);
        assert_eq!(moved.hour, earlier.floor(HOUR));
        assert_eq!((moved.accepted, moved.refused["TEST_MODE"]), left);
        assert_eq!((moved.routes.accepted[&name], moved.routes.refused[&name]), left);
        assert!(moved.routes.taken_back.is_empty());
        // What the Registry knows stays where it was.
        usage.accept_on(1, &counts(&[(&name, 1)]), NOON.plus(MINUTE));
        let again = usage.report("key_1", NOON + Span::from_mins(1)).hours.pop().unwrap();
        assert_eq!(again.routes.accepted[&name], if is_told { 4 } else { 1 });
    }
}
