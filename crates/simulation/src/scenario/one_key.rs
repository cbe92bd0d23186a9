//! One key, or each isolate its own.

use keyward_core::{
    record::{Limits, Status},
    time::{MINUTE, SECOND, Span},
};
use keyward_simulation::Simulation;

use super::Scenario;

fn per_minute(limit: u32) -> Limits {
    Limits { per_minute: Some(limit), ..Limits::default() }
}

/// All isolates use one key, twice a second each, and join within a span of `gathering`. At the end the key is revoked.
pub fn crowd(simulation: &Simulation, place: &Scenario, limit: u32, gathering: Span) {
    let isolates = place.isolates;
    simulation.cloud().make_key(per_minute(limit));
    simulation
        .at(place.lasts - 10 * SECOND, |cloud| cloud.change(0, |record| record.status = Status::Revoked));
    simulation.each_millisecond(place.lasts, move |cloud| {
        for _ in 0..isolates as i64 * 2 / SECOND.ms() {
            let isolate = cloud.below(isolates as u64);
            if gathering * isolate as i64 <= cloud.elapsed() * isolates as i64 {
                cloud.request(isolate as usize, 0);
            }
        }
    });
    // Each joins with a request.
    for isolate in 0..isolates {
        simulation.at(isolate as i64 * gathering / isolates as i64, move |cloud| cloud.request(isolate, 0));
    }
}

/// All isolates get to know two keys within a minute: one that all have, and one of a thousand. After a minute without any
/// request all wake up with the second, and after another one with the first.
pub fn wake_up(simulation: &Simulation, place: &Scenario) {
    const KEYS: usize = 1_000;
    let isolates = place.isolates;
    for _ in 0..=KEYS {
        simulation.cloud().make_key(per_minute(1_000_000));
    }
    let keys = |isolate| [0, 1 + isolate % KEYS];
    for isolate in 0..isolates {
        for number in 0..5 {
            let joins = isolate as i64 * MINUTE / isolates as i64 + number * SECOND;
            simulation.at(joins, move |cloud| {
                for key in keys(isolate) {
                    cloud.request(isolate, key);
                }
            });
        }
        for (wakes, which) in [(130 * SECOND, 1), (210 * SECOND, 0)] {
            for number in 0..20 {
                let wakes = wakes + isolate as i64 * SECOND / isolates as i64 + number * SECOND / 2;
                simulation.at(wakes, move |cloud| cloud.request(isolate, keys(isolate)[which]));
            }
        }
    }
}

/// One hot key: each isolate has 100 requests a second.
pub fn hot(simulation: &Simulation, place: &Scenario) {
    simulation.cloud().make_key(per_minute(100_000));
    steadily(simulation, place, Span::from_ms(10));
}

/// One key at its limit: each isolate has 4 requests a second.
pub fn saturated(simulation: &Simulation, place: &Scenario) {
    simulation.cloud().make_key(per_minute(1_200));
    steadily(simulation, place, Span::from_ms(250));
}

/// A request each `step` in each isolate, give or take.
fn steadily(simulation: &Simulation, place: &Scenario, step: Span) {
    for isolate in 0..place.isolates {
        for number in 0..place.lasts / step {
            let at = number * step + simulation.cloud().span_below(step);
            simulation.at(at, move |cloud| cloud.request(isolate, 0));
        }
    }
}

/// One key at a request a second, give or take, beside others that make 20 together.
pub fn steady(simulation: &Simulation, place: &Scenario) {
    const OTHERS: u64 = 20;
    for _ in 0..=OTHERS {
        simulation.cloud().make_key(per_minute(600));
    }
    steadily(simulation, place, SECOND);
    for _ in 0..place.lasts / SECOND * OTHERS as i64 {
        let at = simulation.cloud().span_below(place.lasts);
        let key = 1 + simulation.cloud().below(OTHERS) as usize;
        simulation.at(at, move |cloud| cloud.request(0, key));
    }
    simulation.at(MINUTE, |cloud| cloud.measure_from_now());
}
