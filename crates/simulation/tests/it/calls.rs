//! How many calls requests cost, and for how long they wait for them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::{MINUTE, SECOND};
use keyward_policy::{Realm, Span};
use keyward_simulation::{Simulation, network::Network, realm};

use crate::common::{FRESHNESS, GOOD, calls, ms, passed, per_minute, steadily};

#[test]
fn while_an_object_hangs_no_request_waits_longer_than_the_deadline_however_many_wait_for_each_other() {
    let network = Network { lost: 1_000, ..GOOD };
    let simulation = Simulation::new(3, 2, network, realm(FRESHNESS));
    simulation.cloud().make_key(per_minute(100_000));
    steadily(&simulation, 2, 7.0, 20 * SECOND);
    simulation.run();
    let keys = simulation.cloud().keys.borrow();
    assert_eq!((passed(&simulation).len(), keys[0].log.failed), (0, keys[0].log.came.len() as u64));
    assert!(keys[0].log.longest <= realm(FRESHNESS).decision_timeout, "{:?}", keys[0].log.longest);
    // Most of them are told at once that it is of no use.
    assert!(keys[0].log.counted.waited < keys[0].log.failed / 2, "{} waited", keys[0].log.counted.waited);
}

#[test]
fn requests_that_have_waited_for_a_call_in_vain_make_none_of_their_own_in_their_last_moment() {
    // Also where the deadline is later than the time for which one waits for others' calls.
    for (decision_timeout, most) in [(Span::from_secs(2), 10), (Span::from_secs(8), 40)] {
        let simulation = Simulation::new(3, 1, GOOD, Realm { decision_timeout, ..realm(FRESHNESS) });
        simulation.cloud().make_key(per_minute(2_000));
        simulation.cloud().hangs.set(true);
        for _ in 0..300 {
            simulation.at(Span::ZERO, |cloud| cloud.request(0, 0));
        }
        simulation.run();
        assert_eq!(simulation.cloud().keys.borrow()[0].log.failed, 300);
        assert!(calls(&simulation) <= most, "{} calls within {decision_timeout:?}", calls(&simulation));
    }
}

#[test]
fn a_hot_key_costs_one_call_for_twenty_requests_waits_for_none_and_reads_kv_once() {
    for isolates in [1, 4] {
        let simulation = Simulation::new(7, isolates, GOOD, realm(FRESHNESS));
        simulation.cloud().make_key(per_minute(100_000));
        for isolate in 0..isolates {
            for number in 0..MINUTE / ms(10) {
                simulation.at(number * ms(10), move |cloud| cloud.request(isolate, 0));
            }
        }
        simulation.run();
        let requests = passed(&simulation).len() as u64;
        assert_eq!(requests, 6_000 * isolates as u64);
        assert!(calls(&simulation) * 20 <= requests, "{} calls for {requests}", calls(&simulation));
        let waited = simulation.cloud().keys.borrow()[0].log.counted.waited;
        assert!(waited <= 110 * isolates as u64, "{waited} waited: more than those of the first second");
        assert!(simulation.cloud().kv_reads.get() <= 20 * isolates as u64);
    }
}

#[test]
fn a_key_at_a_few_requests_a_second_costs_one_call_for_ten_and_waits_only_at_first() {
    for between in [100, 125, 150, 175, 200, 225, 250].map(ms) {
        let simulation = Simulation::new(7, 1, GOOD, realm(FRESHNESS));
        simulation.cloud().make_key(per_minute(1_000));
        for number in 0..5 * MINUTE / between {
            simulation.at(number * between, |cloud| cloud.request(0, 0));
        }
        simulation.run();
        let requests = passed(&simulation).len() as u64;
        let waited = simulation.cloud().keys.borrow()[0].log.counted.waited;
        assert!(calls(&simulation) * 10 <= requests, "{} calls for {requests}", calls(&simulation));
        assert!(waited <= 12, "{waited} waited");
    }
}

#[test]
fn a_key_used_once_a_minute_costs_one_call_a_request() {
    let simulation = Simulation::new(7, 1, GOOD, realm(FRESHNESS));
    simulation.cloud().make_key(per_minute(600));
    for minute in 0..30 {
        simulation.at(minute * MINUTE, |cloud| cloud.request(0, 0));
    }
    simulation.run();
    assert_eq!((passed(&simulation).len(), calls(&simulation)), (30, 30));
}

#[test]
fn an_edit_costs_an_isolate_a_few_calls_however_many_requests_come_before_the_first_answer() {
    let simulation = Simulation::new(7, 1, GOOD, realm(FRESHNESS));
    simulation.cloud().make_key(per_minute(600));
    simulation.at(Span::ZERO, |cloud| cloud.request(0, 0));
    simulation.at(10 * SECOND, |cloud| cloud.change(0, |record| record.limits = per_minute(500)));
    for _ in 0..50 {
        simulation.at(20 * SECOND, |cloud| cloud.request(0, 0));
    }
    simulation.run();
    assert_eq!(passed(&simulation).len(), 51);
    // The first; four on the old version, as many on the new; a lease for those that wait, and its end.
    assert!(calls(&simulation) <= 14, "{} calls", calls(&simulation));
}
