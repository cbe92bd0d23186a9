//! The result: tables that compare the figures with what must hold, and the same as JSON.

use keyward_simulation::network::Purpose;
use serde_json::{Map, Value, json};

use crate::{
    figures::Figures,
    measure::{Bound, MEASURES},
    scenario::Scenario,
};

/// A scenario that was run.
pub struct Run {
    pub scenario: &'static Scenario,
    pub figures: Figures,
}

/// Scenarios beside each other.
const COLUMNS: usize = 7;

/// Whether everything holds that must.
pub fn all_hold(all: &[Run]) -> bool {
    all.iter().all(|run| run.scenario.bounds().all(|bound| bound.holds(&run.figures)))
}

/// Prints the figures, and then each bound beside what was measured.
pub fn print(all: &[Run]) {
    for some in all.chunks(COLUMNS) {
        print_figures(some);
    }
    for Run { scenario, .. } in all {
        println!("{:14}{}", scenario.name, scenario.about);
    }
    println!("\n{:14}busiest second of an object; worst minute of a key", "");
    for Run { scenario, figures } in all {
        for line in [figures.busiest_second(), figures.worst_minute()].iter().filter(|line| !line.is_empty())
        {
            println!("{:14}{line}", scenario.name);
        }
    }
    println!("\n{:14}{:40}{:>12}{:>14}", "", "what must hold", "measured", "bound");
    for Run { scenario, figures } in all {
        for bound in scenario.bounds() {
            if let Some(line) = line_of(bound, figures) {
                println!("{:14}{line}", scenario.name);
            }
        }
    }
}

fn print_figures(all: &[Run]) {
    let line = |name: &str, cells: Vec<String>| {
        let cells: String = cells.into_iter().map(|cell| format!("{cell:>14}")).collect();
        println!("{}", format!("{name:40}{cells}").trim_end());
    };
    let or_none = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
    line("", all.iter().map(|run| run.scenario.name.to_owned()).collect());
    for measure in MEASURES {
        let cell = |figures: &Figures| or_none((measure.of)(figures).map(|value| measure.unit.show(value)));
        line(measure.title, all.iter().map(|run| cell(&run.figures)).collect());
        if measure.name == "calls" {
            for purpose in Purpose::ALL {
                let cell = |figures: &Figures| {
                    let calls = figures.calls.get(&purpose)?;
                    Some(format!("{:.4}", *calls as f64 / figures.counted.accepted as f64))
                };
                let cells = all.iter().map(|run| or_none(cell(&run.figures))).collect();
                line(&format!("  {}", purpose.name()), cells);
            }
        }
    }
    println!();
}

/// `None` where there is nothing to measure.
fn line_of(bound: &Bound, figures: &Figures) -> Option<String> {
    let Bound { measure, over, is_least, .. } = bound;
    let measured = measure.unit.show((measure.of)(figures)?);
    let allowed = measure.unit.show(bound.allowed(figures));
    let sign = if *is_least { '≥' } else { '≤' };
    let verdict = if bound.holds(figures) { "" } else { "  MISSED" };
    let note = over.map_or_else(String::new, |over| format!("  ({} + 1 %)", over.title.trim()));
    Some(format!(
        "{:40}{measured:>12}{:>14}{verdict}{note}",
        measure.title.trim(),
        format!("{sign} {allowed}")
    ))
}

/// All of it, for programs.
pub fn to_json(all: &[Run], seed: u64) -> Value {
    let of = |Run { scenario, figures }: &Run| {
        let measures: Map<_, _> =
            MEASURES.iter().map(|measure| (measure.name.to_owned(), json!((measure.of)(figures)))).collect();
        let calls: Map<_, _> =
            figures.calls.iter().map(|(purpose, calls)| (purpose.name().to_owned(), json!(calls))).collect();
        let bound = |bound: &Bound| {
            json!({
                "measure": bound.measure.name,
                "measured": (bound.measure.of)(figures),
                if bound.is_least { "atLeast" } else { "atMost" }: bound.allowed(figures),
                "holds": bound.holds(figures),
            })
        };
        json!({
            "scenario": scenario.name,
            "about": scenario.about,
            "measures": measures,
            "calls": calls,
            "busiestSecond": figures.busiest_second(),
            "worstMinute": figures.worst_minute(),
            "bounds": scenario.bounds().map(bound).collect::<Vec<_>>(),
        })
    };
    json!({ "seed": seed, "holds": all_hold(all), "scenarios": all.iter().map(of).collect::<Vec<_>>() })
}
