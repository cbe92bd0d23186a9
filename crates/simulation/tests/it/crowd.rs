//! Keys that more isolates use than one object could answer: relays.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{cell::RefCell, rc::Rc};

use keyward_core::{
    record::Status,
    time::{MINUTE, SECOND, Span, Timestamp},
};
use keyward_simulation::{
    BEGIN, FakeCloud, Simulation,
    keys::{by_minute, most_in_a_minute},
    network::{Network, Object},
    realm,
};

use crate::common::{FRESHNESS, GOOD, ms, passed, per_minute, steadily};

/// Calls to the coordinators so far.
fn calls_of_objects(cloud: &FakeCloud) -> u64 {
    let loads = cloud.loads.borrow();
    loads
        .iter()
        .filter(|(object, _)| matches!(object, Object::Coordinator(_)))
        .map(|(_, load)| load.total)
        .sum()
}

fn is_relay(object: &Object) -> bool {
    matches!(object, Object::Relay(..))
}

#[test]
fn a_crowd_asks_an_object_that_hangs_through_its_relays_only() {
    const ISOLATES: usize = 600;
    let simulation =
        Simulation::new(11, ISOLATES, Network { round_trip: (ms(5), ms(100)), ..GOOD }, realm(FRESHNESS));
    simulation.cloud().make_key(per_minute(1_000_000));
    steadily(&simulation, ISOLATES, 2.0, 60 * SECOND);
    let calls = Rc::new(RefCell::new(Vec::new()));
    for (at, hangs) in [(20 * SECOND, true), (40 * SECOND, false)] {
        let calls = Rc::clone(&calls);
        simulation.at(at, move |cloud| {
            cloud.hangs.set(hangs);
            calls.borrow_mut().push(calls_of_objects(cloud));
        });
    }
    simulation.run();
    let calls = calls.borrow()[1] - calls.borrow()[0];
    // Of each of the 64 relays three in a row, then one in five seconds, beside a tally now and then.
    assert!(calls <= 64 * 12, "{calls} calls in 20 s");
    let passed = passed(&simulation);
    let came = simulation.cloud().keys.borrow()[0].log.came.clone();
    let within = |moments: &[Timestamp], from: Span, to: Span| {
        moments.iter().filter(|at| (BEGIN + from..BEGIN + to).contains(at)).count()
    };
    // Requests that come at the end of a span pass after it.
    let all_but = |few: usize, from, to| within(&passed, from, to) + few > within(&came, from, to);
    assert!(all_but(50, 10 * SECOND, 20 * SECOND), "before");
    assert_eq!(within(&passed, 26 * SECOND, 40 * SECOND), 0);
    assert!(all_but(50, 50 * SECOND, 60 * SECOND), "after");
}

#[test]
fn a_crowd_whose_freshness_is_too_short_for_relays_asks_the_object_itself() {
    let simulation = Simulation::new(3, 100, GOOD, realm(ms(1_500)));
    simulation.cloud().make_key(per_minute(100_000));
    steadily(&simulation, 100, 2.0, 10 * SECOND);
    // Later relays are told what was used.
    simulation.at(10 * SECOND, |cloud| {
        assert!(cloud.loads.borrow().keys().all(|object| !is_relay(object)));
    });
    simulation.run();
    assert_eq!(passed(&simulation).len(), 5_000);
}

#[test]
fn a_crowd_is_spread_over_relays_and_every_promise_holds_through_them() {
    const ISOLATES: usize = 1_500;
    let network = Network { round_trip: (ms(5), ms(250)), lost: 10, kv_lag: MINUTE, skew: 2 * SECOND };
    for limit in [3_000, 600_000] {
        let simulation = Simulation::new(11, ISOLATES, network, realm(FRESHNESS));
        simulation.cloud().make_key(per_minute(limit));
        for number in 0..150_000_i64 {
            // It gathers over ten seconds.
            simulation.at(90 * SECOND * number / 150_000, move |cloud| {
                let isolate = cloud.below(ISOLATES as u64);
                if 10 * SECOND * isolate as i64 <= cloud.elapsed() * ISOLATES as i64 {
                    cloud.request(isolate as usize, 0);
                }
            });
        }
        simulation.at(80 * SECOND, |cloud| cloud.change(0, |record| record.status = Status::Revoked));
        simulation.run();
        let loads = simulation.cloud().loads.borrow();
        assert!(loads.keys().any(is_relay));
        let (object, busiest) = loads.iter().max_by_key(|(_, load)| load.peak).unwrap();
        assert!(busiest.peak <= 500, "{object:?}: {}", busiest.peak);
        let mut passed = passed(&simulation);
        assert!(most_in_a_minute(&mut passed) <= limit as usize);
        assert!(*passed.last().unwrap() <= BEGIN + 80 * SECOND + FRESHNESS);
        if limit == 3_000 {
            assert!(by_minute(&passed, 1)[0] >= 2_850);
        } else {
            assert_eq!(simulation.cloud().keys.borrow()[0].log.limited.len(), 0);
        }
    }
}

#[test]
fn a_crowd_leaves_its_object_to_the_relays_also_where_messages_are_lost_and_its_limit_is_used_up() {
    const ISOLATES: usize = 2_000;
    let network = Network { round_trip: (ms(5), ms(250)), lost: 2, ..GOOD };
    for limit in [12_000, 10_000_000] {
        let simulation = Simulation::new(11, ISOLATES, network, realm(FRESHNESS));
        simulation.cloud().make_key(per_minute(limit));
        steadily(&simulation, ISOLATES, 0.25, 80 * SECOND);
        let calls = Rc::new(RefCell::new(Vec::new()));
        for at in 10..80 {
            let calls = Rc::clone(&calls);
            simulation.at(at * SECOND, move |cloud| calls.borrow_mut().push(calls_of_objects(cloud)));
        }
        simulation.run();
        let most = calls.borrow().windows(2).map(|calls| calls[1] - calls[0]).max().unwrap();
        assert!(most <= 250, "{most} calls in a second under a limit of {limit}");
    }
}
