//! Usage: what was answered is what is told, once, in its hour, without a further request. The real pipeline,
//! coordinators and relays in virtual time, with a real Registry behind them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use keyward_core::{
    record::{Limits, Status, TenantStatus},
    sql::Sql,
    time::{DAY, HOUR, MINUTE, SECOND, Span, Timestamp},
};
use keyward_limits::{
    coordinator::Coordinator,
    lease::Grantor,
    tally::ledger::Ledger,
    wire::{Acquire, Cancelled, CoordinatorCall, RefusalCounts, Tally, TallyHour, UsageHour, UsageReport},
};
use keyward_registry::usage;
use keyward_simulation::{BEGIN, FakeCloud, Simulation, keys::TENANT, network::Network, realm};
use keyward_testing::registry_fixture::RegistryFixture;
use keyward_testing::{NOON, record};
use proptest::prelude::*;
use serde_json::json;

const FRESHNESS: Span = Span::from_secs(5);
/// From the beginning to the next full hour.
const FULL_HOUR: Span = Span::from_ms(HOUR.ms() - BEGIN.0 % HOUR.ms());

/// What was counted, by the hour and the code.
type Counts = BTreeMap<(Timestamp, String), u64>;

fn counts_of(hours: &[UsageHour]) -> Counts {
    let mut counts = Counts::new();
    for UsageHour { hour, accepted, refused, .. } in hours {
        for (code, count) in refused.iter().chain([(&"accepted".to_owned(), accepted)]) {
            if *count > 0 {
                counts.insert((*hour, code.clone()), *count);
            }
        }
    }
    counts
}

/// What the Registry has of a key.
fn stored(fixture: &RegistryFixture, id: &str) -> Counts {
    let rows =
        fixture.db.run("SELECT hour, accepted, refused FROM usage WHERE key_id = ?", &[id.into()]).unwrap();
    let hours: Vec<UsageHour> = rows
        .iter()
        .map(|row| UsageHour {
            hour: Timestamp(row["hour"].as_i64().unwrap()),
            accepted: row["accepted"].as_u64().unwrap(),
            refused: keyward_json::from_str(row["refused"].as_str().unwrap()).unwrap(),
            ..UsageHour::default()
        })
        .collect();
    counts_of(&hours)
}

/// What the Registry has of the routes of a tenant, by the day.
fn stored_routes(fixture: &RegistryFixture, tenant_id: &str) -> BTreeMap<(Timestamp, String, String), u64> {
    let rows = "SELECT day, route, accepted, refused FROM usage_routes WHERE tenant_id = ?";
    let mut stored = BTreeMap::new();
    for row in fixture.db.run(rows, &[tenant_id.into()]).unwrap() {
        for outcome in ["accepted", "refused"] {
            if let Some(count @ 1..) = row[outcome].as_u64() {
                let day = Timestamp(row["day"].as_i64().unwrap());
                stored.insert((day, row["route"].as_str().unwrap().to_owned(), outcome.to_owned()), count);
            }
        }
    }
    stored
}

/// Reports of a key's object reach the Registry, or only their answers are lost, which is the object's loss.
fn report(cloud: &FakeCloud, fixture: &RegistryFixture, id: &str, key: usize, is_heard: bool) {
    let now = BEGIN + cloud.elapsed();
    let key = &mut cloud.keys.borrow_mut()[key];
    let report = UsageReport { key_id: id.to_owned(), ..key.usage(now) };
    usage::apply(&fixture.db, &report, true, now).unwrap();
    if is_heard {
        key.reported(&report, now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn what_was_answered_is_what_is_told_whatever_is_lost_late_or_repeated(
        seed: u64,
        isolates in prop_oneof![9 => 1_usize..9, 1 => Just(150_usize)],
        lost in 0_u64..150,
        slowest_ms in 5_i64..2_500,
        pace_ms in 5_i64..200,
        limit in 5_u32..400,
    ) {
        let round_trip = (Span::from_ms(5), Span::from_ms(slowest_ms));
        let network = Network { round_trip, lost, kv_lag: MINUTE, skew: 5 * SECOND };
        let simulation = Simulation::new(seed, isolates, network, realm(FRESHNESS));
        let cloud = simulation.cloud();
        for (tenant, limit) in [(TENANT, limit), ("another", 100_000), (TENANT, 100_000)] {
            cloud.make_key_of(tenant, Limits { per_minute: Some(limit), ..Limits::default() });
        }
        cloud.change(2, |record| record.expires_at = Some(BEGIN + FULL_HOUR + 40 * SECOND));
        simulation.at(20 * SECOND, |cloud| cloud.change(1, |record| record.tenant.status = TenantStatus::Inactive));
        simulation.at(FULL_HOUR + 15 * SECOND, |cloud| cloud.change(1, |record| record.status = Status::Revoked));
        // Not where clocks that are off would see another hour.
        for begin in [Span::ZERO, FULL_HOUR + 10 * SECOND] {
            let mut now = begin;
            while now < begin + 60 * SECOND {
                let (isolate, key) = (cloud.below(isolates as u64) as usize, cloud.below(3) as usize);
                simulation.at(now, move |cloud| cloud.request(isolate, key));
                now += match cloud.below(40) {
                    0 => cloud.span_below(8 * SECOND),
                    1..20 if isolates < 9 => Span::ZERO,
                    _ => cloud.span_below(Span::from_ms(if isolates < 9 { pace_ms } else { 8 })),
                };
            }
        }
        let fixture = std::rc::Rc::new(RegistryFixture::open());
        let ids: Vec<String> = (0..3).map(|_| fixture.0.key(&fixture.1, json!({})).key_id()).collect();
        for _ in 0..20 {
            let at = cloud.span_below(FULL_HOUR + 90 * SECOND);
            let (fixture, ids) = (std::rc::Rc::clone(&fixture), ids.clone());
            simulation.at(at, move |cloud| {
                let key = cloud.below(3) as usize;
                report(cloud, &fixture.0, &ids[key], key, cloud.below(2) == 0);
            });
        }
        // Where calls failed again and again, the next request of the isolate sees to it, whatever its key, if there is
        // one within a quarter of an hour.
        let other = cloud.make_key(Limits::default());
        let minutes = |begin| (2..12).map(move |minute| begin + minute * MINUTE);
        if lost > 0 {
            for at in minutes(Span::ZERO).chain(minutes(FULL_HOUR)) {
                for isolate in 0..isolates {
                    simulation.at(at, move |cloud| cloud.request(isolate, other));
                }
            }
        }
        simulation.run();
        for (key, id) in ids.iter().enumerate() {
            report(cloud, &fixture.0, id, key, true);
            let answered = &cloud.keys.borrow()[key].log.answered;
            prop_assert_eq!(&stored(&fixture.0, id), answered, "key {}", key);
        }
        let mut on_routes = BTreeMap::new();
        for key in &cloud.keys.borrow()[..3] {
            for ((hour, route, outcome), count) in &key.log.on_routes {
                *on_routes.entry((hour.floor(DAY), route.clone(), outcome.clone())).or_default() += count;
            }
        }
        let tenant_id = usage::tenant_of(&fixture.0.db, &ids[0]).unwrap().unwrap();
        prop_assert_eq!(stored_routes(&fixture.0, &tenant_id), on_routes.clone());
        prop_assert_eq!(stored_routes(&fixture.0, ""), on_routes);
    }
}

#[test]
fn refusals_of_many_keys_are_told_within_three_seconds_without_a_further_request() {
    const KEYS: usize = 200;
    let good = Network {
        round_trip: (Span::from_ms(5), Span::from_ms(60)),
        lost: 0,
        kv_lag: Span::ZERO,
        skew: Span::ZERO,
    };
    let simulation = Simulation::new(7, 2, good, realm(FRESHNESS));
    for _ in 0..KEYS {
        let key = simulation.cloud().make_key(Limits::default());
        simulation.cloud().change(key, |record| record.status = Status::Revoked);
    }
    for number in 0..KEYS * 5 {
        simulation.at(Span::from_ms(number as i64), move |cloud| cloud.request(number % 2, number % KEYS));
    }
    simulation.at(Span::from_ms(KEYS as i64 * 5) + 3 * SECOND, |cloud| {
        for key in cloud.keys.borrow().iter() {
            let told = counts_of(&key.usage(BEGIN).hours);
            assert_eq!(told.values().sum::<u64>(), 5);
            assert_eq!(told, key.log.answered);
        }
    });
    simulation.run();
}

#[test]
fn a_request_that_is_refused_after_its_object_let_it_pass_is_told_as_refused() {
    let good = Network {
        round_trip: (Span::from_ms(200), Span::from_ms(200)),
        lost: 0,
        kv_lag: Span::ZERO,
        skew: Span::ZERO,
    };
    let simulation = Simulation::new(7, 1, good, realm(FRESHNESS));
    simulation.cloud().make_key(Limits::default());
    simulation.cloud().change(0, |record| record.expires_at = Some(BEGIN + Span::from_ms(120)));
    // Decided before the end, answered after it.
    simulation.at(Span::ZERO, |cloud| cloud.request(0, 0));
    simulation.run();
    let key = &simulation.cloud().keys.borrow()[0];
    let told = counts_of(&key.usage(BEGIN).hours);
    assert_eq!(
        told.into_iter().map(|((_, code), count)| (code, count)).collect::<Vec<_>>(),
        [("EXPIRED_API_KEY".to_owned(), 1)]
    );
}

fn tally(number: u64, sent: Timestamp, at: Timestamp, accepted: u64, refused: u64) -> Tally {
    let refused: RefusalCounts =
        if refused > 0 { [("TEST_MODE".to_owned(), refused)].into() } else { [].into() };
    let hours = vec![TallyHour {
        at,
        last_used_at: (accepted > 0).then_some(at),
        accepted,
        refused,
        ..TallyHour::default()
    }];
    Tally { teller: 9, number, sent, hours, cancelled: Vec::new(), latest: Vec::new(), last_used_from: None }
}

fn gate() -> Coordinator {
    let mut gate = Coordinator::default();
    gate.put(record());
    gate
}

fn hear(gate: &mut Coordinator, tally: Tally, now: Timestamp) {
    let call = CoordinatorCall::Report { refused: tally.refused(), leases: Vec::new(), tally: Some(tally) };
    gate.answer(call, now).unwrap();
}

#[test]
fn a_tally_that_comes_twice_counts_once_also_after_the_object_was_away() {
    let mut gate = gate();
    for _ in 0..2 {
        hear(&mut gate, tally(3, NOON, NOON, 5, 2), NOON);
        let kept = serde_json::to_string(&gate.counts).unwrap();
        gate = Coordinator::kept(record(), keyward_json::from_str(&kept).unwrap());
    }
    hear(&mut gate, tally(4, NOON, NOON, 1, 0), NOON);
    let hour = gate.report(NOON).unwrap().hours.remove(0);
    assert_eq!((hour.accepted, hour.refused["TEST_MODE"]), (6, 2));
}

#[test]
fn what_was_counted_before_the_hour_ended_is_that_hours_however_late_it_is_told() {
    let mut gate = gate();
    let full = (NOON + HOUR).floor(HOUR);
    hear(
        &mut gate,
        tally(1, full.plus(Span::from_ms(-5)), full.plus(Span::from_ms(-9)), 1, 0),
        full.plus(Span::from_ms(40)),
    );
    let report = gate.report(full).unwrap();
    gate.reported(&report, &[], full.plus(Span::from_ms(50)));
    hear(
        &mut gate,
        tally(2, full.plus(10 * MINUTE), full.plus(Span::from_ms(-3)), 1, 0),
        full.plus(10 * MINUTE),
    );
    let hours = gate.report(full).unwrap().hours;
    assert_eq!((hours.len(), hours[0].hour, hours[0].accepted), (1, full.plus(-HOUR), 2));
    // A clock that is a day off says nothing of the hour; how long ago it was counted does.
    hear(
        &mut gate,
        Tally { teller: 8, ..tally(1, full.plus(DAY), full.plus(DAY - 2 * MINUTE), 1, 0) },
        full.plus(MINUTE),
    );
    assert_eq!(gate.report(full).unwrap().hours[0].accepted, 3);
}

#[test]
fn nor_does_it_because_the_clock_of_another_teller_was_set() {
    for by in [2 * HOUR, DAY, -2 * HOUR, -DAY] {
        let mut gate = gate();
        let other = |number, sent| Tally { teller: 8, ..tally(number, sent, sent, 1, 0) };
        hear(&mut gate, tally(1, NOON, NOON, 2, 0), NOON);
        hear(&mut gate, other(1, NOON), NOON);
        let later = NOON.plus(2 * SECOND);
        hear(&mut gate, other(2, later.plus(by)), later);
        hear(&mut gate, tally(1, later, NOON, 2, 0), later);
        let told: u64 = gate.report(later).unwrap().hours.iter().map(|hour| hour.accepted).sum();
        assert_eq!(told, 4, "{by:?}");
    }
}

#[test]
fn usage_under_a_lease_is_told_once_also_after_the_lease_was_ended() {
    let mut gate = gate();
    let none = Tally { teller: 9, sent: NOON, ..Tally::default() };
    let take = Acquire {
        version: 1,
        queued: 3,
        lease_length: Span::from_ms(4_750),
        tally: Some(none.clone()),
        ..Acquire::default()
    };
    gate.acquire(&take, NOON);
    // Its end has passed, and it was counted as used.
    let late = NOON.plus(MINUTE / 2);
    gate.acquire(&Acquire { queued: 0, tally: Some(Tally { sent: late, ..none }), ..take }, late);
    hear(&mut gate, tally(1, late, NOON.plus(SECOND), 3, 0), late);
    assert_eq!(gate.report(late).unwrap().hours[0].accepted, 3);
}

#[test]
fn a_call_whose_answer_was_lost_is_taken_back_whichever_comes_first_and_only_once() {
    let none = Tally { teller: 9, sent: NOON, ..Tally::default() };
    let single = |call| Acquire {
        version: 1,
        immediate: true,
        within: Span::from_ms(500),
        call,
        tally: Some(none.clone()),
        ..Acquire::default()
    };
    let cancelled = |number, calls: &[u64]| {
        let cancelled = calls.iter().map(|call| Cancelled { call: *call, reservation: None }).collect();
        Tally { number, cancelled, ..none.clone() }
    };
    let accepted =
        |gate: &Coordinator| gate.report(NOON).unwrap().hours.iter().map(|hour| hour.accepted).sum::<u64>();
    let mut gate = gate();
    gate.acquire(&single(1), NOON);
    gate.acquire(&single(2), NOON);
    hear(&mut gate, cancelled(1, &[1]), NOON.plus(Span::from_ms(9)));
    assert_eq!(accepted(&gate), 1);
    // Told before it comes.
    hear(&mut gate, cancelled(2, &[3]), NOON.plus(Span::from_ms(9)));
    gate.acquire(&single(3), NOON.plus(Span::from_ms(10)));
    assert_eq!(accepted(&gate), 1);
    // Its place is given back with the second call, and not once more with the tally.
    gate.acquire(&Acquire { cancelled_call: 2, ..single(4) }, NOON.plus(Span::from_ms(600)));
    hear(&mut gate, cancelled(3, &[2]), NOON.plus(Span::from_ms(700)));
    hear(&mut gate, cancelled(3, &[2]), NOON.plus(Span::from_ms(700)));
    assert_eq!(accepted(&gate), 1);
    let left = (5..20).filter(|call| {
        matches!(
            gate.acquire(&single(*call), NOON.plus(Span::from_ms(800))),
            keyward_limits::wire::Acquired::Granted { .. }
        )
    });
    assert_eq!(left.count(), 4, "of five places one is taken");
}

#[test]
fn the_registry_takes_back_what_it_was_told_too_much() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let told = |accepted, taken_back| {
        let hours = vec![UsageHour { hour: NOON.floor(HOUR), accepted, taken_back, ..UsageHour::default() }];
        let report = UsageReport { key_id: id.clone(), hours, sent: Some(NOON), ..UsageReport::default() };
        usage::apply(&fixture.db, &report, true, NOON).unwrap();
        stored(&fixture, &id).into_values().sum::<u64>()
    };
    // The last but one comes late.
    assert_eq!([told(5, 0), told(4, 1), told(5, 0), told(6, 1)], [5, 4, 4, 6]);
}

#[test]
fn an_isolate_keeps_what_it_has_to_tell_of_ten_thousand_keys_at_most_and_begins_rounds_enough_for_them() {
    let mut ledger = Ledger::of(1);
    let mut rounds = 0;
    for key in 0..100_000 {
        ledger.refuse(&format!("sha256:{key:064}"), "REVOKED_API_KEY", None, NOON);
        rounds += usize::from(ledger.begins_round(NOON));
    }
    assert_eq!(rounds, 400);
    let mut told = 0;
    let later = NOON.plus(2 * SECOND);
    loop {
        let due = ledger.due(later);
        if due.is_empty() {
            break;
        }
        for hash in due {
            let tally = ledger.begin(&hash, Grantor::Coordinator, later);
            assert_eq!(tally.refused()["REVOKED_API_KEY"], 1);
            ledger.end(&hash, &tally, true, later);
            told += 1;
        }
    }
    assert_eq!((told, ledger.is_empty()), (10_000, true));
}

#[test]
fn what_nobody_can_be_told_for_a_quarter_of_an_hour_is_given_up_whether_or_not_it_was_tried() {
    for tries in [false, true] {
        let mut ledger = Ledger::of(1);
        ledger.refuse("sha256:1", "REVOKED_API_KEY", None, NOON);
        // A breaker may give no leave for a call: nothing is begun then.
        for minute in 0..15 {
            let now = NOON.plus(minute * MINUTE + 2 * SECOND);
            assert_eq!(ledger.due(now), ["sha256:1"], "in minute {minute}");
            if tries {
                let tally = ledger.begin("sha256:1", Grantor::Coordinator, now);
                ledger.end("sha256:1", &tally, false, now);
            }
        }
        let at = NOON.plus(15 * MINUTE + 2 * SECOND);
        assert!(ledger.due(at).is_empty() && ledger.is_empty(), "tries: {tries}");
    }
    // What waited for another tally to be given up is tried for as long itself.
    let mut ledger = Ledger::of(1);
    ledger.refuse("sha256:1", "REVOKED_API_KEY", None, NOON);
    let tally = ledger.begin("sha256:1", Grantor::Coordinator, NOON.plus(2 * SECOND));
    ledger.refuse("sha256:1", "TEST_MODE", None, NOON.plus(3 * SECOND));
    ledger.end("sha256:1", &tally, false, NOON.plus(4 * SECOND));
    let later = NOON.plus(16 * MINUTE);
    assert_eq!(ledger.due(later), ["sha256:1"]);
    assert_eq!(ledger.begin("sha256:1", Grantor::Coordinator, later).refused().len(), 1);
    // A clock that was set back keeps nothing for longer.
    let mut ledger = Ledger::of(1);
    ledger.refuse("sha256:1", "REVOKED_API_KEY", None, NOON.plus(DAY));
    ledger.due(NOON);
    ledger.due(NOON.plus(16 * MINUTE));
    assert!(ledger.is_empty());
}
