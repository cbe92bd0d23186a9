//! A simulation of a whole deployment: 300 locations, 10,000 isolates, an honest network. The code that
//! decides is the real one (pipeline, coordinators, relays); what is simulated is all around it.
//!
//! ```text
//! cargo run --profile simulation -p keyward-simulation         # the usual seed
//! cargo run --profile simulation -p keyward-simulation -- 42   # another
//! ```
//!
//! Prints a table and ends with an error if a promise is broken. For the same seed, scenarios with one key give the same figures;
//! with several keys, an isolate reports on them in an order that differs from run to run.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "it fails by panicking")]

mod judge;
mod report;
mod scenario;

use std::{process::ExitCode, sync::Mutex, thread};

use report::Figures;
use scenario::SCENARIOS;

const SEED: u64 = 2_026;

fn main() -> ExitCode {
    let seed = match std::env::args().nth(1).map(|seed| seed.parse()) {
        None => SEED,
        Some(Ok(seed)) => seed,
        Some(Err(_)) => {
            eprintln!("The only argument is a seed: a whole number.");
            return ExitCode::from(2);
        }
    };
    let todo = Mutex::new(SCENARIOS.iter().enumerate());
    let done = Mutex::new(Vec::new());
    let work = || {
        while let Some((number, scenario)) = next(&todo) {
            let figures = Figures::of(scenario, seed);
            eprintln!("done: {}", scenario.name);
            done.lock().unwrap().push((number, figures));
        }
    };
    thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    let mut done = done.into_inner().unwrap();
    done.sort_unstable_by_key(|(number, _)| *number);
    let figures: Vec<_> = done.into_iter().map(|(_, figures)| figures).collect();
    println!("seed {seed}\n");
    if report::print(&figures) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn next<T>(todo: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    todo.lock().unwrap().next()
}
