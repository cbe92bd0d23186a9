//! A simulation of whole deployments: hundreds of locations, thousands of isolates, an honest network. The code that
//! decides is the real one (pipeline, coordinators, relays); what is simulated is all around it.
//!
//! ```text
//! cargo run --profile simulation -p keyward-simulation                  # all scenarios, the usual seed
//! cargo run --profile simulation -p keyward-simulation -- 42 mixed hot  # another seed, some scenarios
//! ```
//!
//! Prints tables of what was measured and what must hold, or JSON (`--json`). With `--hold` it ends with an error if a bound
//! is missed. The same seed gives the same figures.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "it fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "it runs natively only, and says how long that takes")]

mod figures;
mod judge;
mod measure;
mod price;
mod report;
mod scenario;

use std::{process::ExitCode, sync::Mutex, thread, time::Instant};

use figures::Figures;
use report::Run;
use scenario::{SCENARIOS, Scenario};

const SEED: u64 = 2_026;

struct Arguments {
    seed: u64,
    scenarios: Vec<&'static Scenario>,
    json: bool,
    hold: bool,
}

fn main() -> ExitCode {
    let arguments = match read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(wrong) => {
            let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            eprintln!(
                "`{wrong}` is neither a seed (a whole number), nor --json, nor --hold, nor a scenario: {}.",
                names.join(", ")
            );
            return ExitCode::from(2);
        }
    };
    let todo = Mutex::new(arguments.scenarios.iter().enumerate());
    let done = Mutex::new(Vec::new());
    let work = || {
        while let Some((number, &scenario)) = next(&todo) {
            let began = Instant::now();
            let figures = Figures::of(&scenario.run(arguments.seed), scenario.watched);
            eprintln!("{}: {:.0} s", scenario.name, began.elapsed().as_secs_f64());
            done.lock().unwrap().push((number, Run { scenario, figures }));
        }
    };
    thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    let mut done = done.into_inner().unwrap();
    done.sort_unstable_by_key(|(number, _)| *number);
    let all: Vec<_> = done.into_iter().map(|(_, run)| run).collect();
    if arguments.json {
        println!("{:#}", report::to_json(&all, arguments.seed));
    } else {
        println!("seed {}\n", arguments.seed);
        report::print(&all);
    }
    if arguments.hold && !report::all_hold(&all) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Or the one that cannot be read.
fn read(arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut read = Arguments { seed: SEED, scenarios: Vec::new(), json: false, hold: false };
    for argument in arguments {
        match argument.as_str() {
            "--json" => read.json = true,
            "--hold" => read.hold = true,
            name => match SCENARIOS.iter().find(|scenario| scenario.name == name) {
                Some(scenario) => read.scenarios.push(scenario),
                None => read.seed = name.parse().map_err(|_| argument)?,
            },
        }
    }
    if read.scenarios.is_empty() {
        read.scenarios = SCENARIOS.iter().collect();
    }
    Ok(read)
}

fn next<T>(todo: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    todo.lock().unwrap().next()
}
