//! What is measured of a run, and that a run can be repeated.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::process::Command;

use keyward_core::{
    record::Status,
    time::{MINUTE, SECOND, Span},
};
use keyward_simulation::{
    BEGIN, Simulation,
    keys::{ChangeKind, TENANT},
    network::{Network, Object, Purpose},
    realm,
};

use crate::common::{FRESHNESS, GOOD, per_minute, steadily};

fn calls_for(simulation: &Simulation, purpose: Purpose) -> u64 {
    let loads = simulation.cloud().loads.borrow();
    loads.values().filter_map(|load| load.total_for.get(&purpose)).sum()
}

#[test]
fn the_same_seed_gives_the_same_run_also_with_many_keys() {
    let run = || {
        let network = Network { lost: 20, kv_lag: MINUTE, ..GOOD };
        let simulation = Simulation::new(5, 3, network, realm(FRESHNESS));
        for _ in 0..200 {
            simulation.cloud().make_key(per_minute(20));
        }
        simulation.each_millisecond(30 * SECOND, |cloud| {
            cloud.request(cloud.below(3) as usize, cloud.below(200) as usize);
        });
        simulation.run();
        let keys = simulation.cloud().keys.borrow();
        keys.iter().map(|key| (key.log.passed.clone(), key.log.limited.clone())).collect::<Vec<_>>()
    };
    assert!(run() == run());
}

#[test]
fn each_call_is_counted_for_what_it_is_made_and_a_first_touch_for_one_that_waits() {
    let simulation = Simulation::new(7, 2, GOOD, realm(FRESHNESS));
    simulation.cloud().make_key(per_minute(600));
    // The second waits for nothing: the isolate has a lease, and has just read the log.
    for second in [0, 1, 20] {
        simulation.at(second * SECOND, |cloud| cloud.request(0, 0));
    }
    simulation.at(15 * SECOND, |cloud| cloud.request(1, 0));
    simulation.at(25 * SECOND, |cloud| cloud.crash_isolate(1));
    simulation.at(30 * SECOND, |cloud| cloud.request(1, 0));
    simulation.run();
    let counted = simulation.cloud().keys.borrow()[0].log.counted;
    assert_eq!((counted.requests, counted.waited, counted.first, counted.first_waited), (5, 4, 3, 3));
    assert_eq!(calls_for(&simulation, Purpose::Check), 3);
    // One for each that was granted, and for each report of what was used of a lease.
    assert_eq!((calls_for(&simulation, Purpose::Report), simulation.cloud().rows.get()), (2, 5));
}

#[test]
fn a_coordinator_reports_to_the_registry_by_an_alarm_at_most_once_in_five_minutes() {
    let simulation = Simulation::new(7, 1, GOOD, realm(FRESHNESS));
    simulation.cloud().reports_until.set(BEGIN + 20 * MINUTE);
    simulation.cloud().make_key(per_minute(600));
    for second in 0..20 * 60 {
        simulation.at(second * SECOND, |cloud| cloud.request(0, 0));
    }
    simulation.run();
    assert_eq!(calls_for(&simulation, Purpose::Usage), 4);
    assert_eq!(calls_for(&simulation, Purpose::Alarm), 4);
    assert_eq!(simulation.cloud().loads.borrow()[&Object::Registry].total_for[&Purpose::Usage], 4);
}

#[test]
fn what_passes_on_an_older_version_is_known_for_each_change() {
    let simulation = Simulation::new(7, 2, GOOD, realm(FRESHNESS));
    simulation.cloud().make_key_of("another", per_minute(100_000));
    for _ in 1..900 {
        simulation.cloud().make_key(per_minute(100_000));
    }
    steadily(&simulation, 2, 5.0, 30 * SECOND);
    // Its object is told some seconds later.
    simulation.at(12 * SECOND, |cloud| cloud.request(0, 899));
    simulation.at(10 * SECOND, |cloud| cloud.change(0, |record| record.limits = per_minute(90_000)));
    simulation.at(11 * SECOND, |cloud| cloud.deactivate(TENANT));
    simulation.at(20 * SECOND, |cloud| cloud.change(0, |record| record.status = Status::Revoked));
    simulation.run();
    let keys = simulation.cloud().keys.borrow();
    let delays = |key: usize| {
        let changes = keys[key].log.changes.iter();
        changes.map(|change| (change.kind, change.last_arrival - change.at)).collect::<Vec<_>>()
    };
    let [(ChangeKind::Edit, edit), (ChangeKind::Revocation, revocation)] = delays(0)[..] else { panic!() };
    assert!(Span::ZERO < edit && edit <= FRESHNESS, "{edit:?}");
    assert!(Span::ZERO < revocation && revocation <= FRESHNESS, "{revocation:?}");
    assert_eq!(delays(1), [(ChangeKind::Deactivation, Span::ZERO)]);
    let [(ChangeKind::Deactivation, last)] = delays(899)[..] else { panic!() };
    assert!(last > SECOND, "{last:?}");
}

#[test]
fn the_program_fails_for_a_missed_bound_only_if_it_is_told_to_hold_all() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_keyward-simulation")).args(arguments).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = run(&["3", "steady", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &json["seed"]), (0, &3.into()));
    let bounds = json["scenarios"][0]["bounds"].as_array().unwrap();
    let bound = bounds.iter().find(|bound| bound["measure"] == "callsOfKey").unwrap();
    let (measured, at_most) = (bound["measured"].as_f64().unwrap(), bound["atMost"].as_f64().unwrap());
    assert_eq!((bound["holds"].as_bool().unwrap(), at_most), (measured <= at_most, 0.25));
    let all_hold = bounds.iter().all(|bound| bound["holds"] == true);
    assert_eq!(json["holds"], all_hold);
    assert_eq!(run(&["3", "steady", "--hold"]).0, i32::from(!all_hold));
    // As well as those that are no scenario.
    assert_eq!(run(&["no-such"]).0, 2);
}
