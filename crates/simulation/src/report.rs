//! The result: tables that compare the figures with what must hold, and the same as JSON.

use keyward_simulation::network::Purpose;
use serde_json::{Map, Value, json};

use crate::{
    figures::Figures,
    measure::{Bound, MEASURES},
};

/// Scenarios beside each other.
const COLUMNS: usize = 7;

/// Whether everything holds that must.
pub fn all_hold(all: &[Figures]) -> bool {
    all.iter().all(|figures| figures.scenario.bounds().all(|bound| bound.holds(figures)))
}

/// Prints the figures, and then each bound beside what was measured.
pub fn print(all: &[Figures]) {
    for some in all.chunks(COLUMNS) {
        print_figures(some);
    }
    for figures in all {
        println!("{:14}{}", figures.scenario.name, figures.scenario.about);
    }
    println!("\n{:14}busiest second of an object; worst minute of a key", "");
    for figures in all {
        for line in [figures.busiest_second(), figures.worst_minute()].iter().filter(|line| !line.is_empty())
        {
            println!("{:14}{line}", figures.scenario.name);
        }
    }
    println!("\n{:14}{:40}{:>12}{:>14}", "", "what must hold", "measured", "bound");
    for figures in all {
        for bound in figures.scenario.bounds() {
            if let Some(line) = line_of(bound, figures) {
                println!("{:14}{line}", figures.scenario.name);
            }
        }
    }
}

fn print_figures(all: &[Figures]) {
    let line = |name: &str, cells: Vec<String>| {
        let cells: String = cells.into_iter().map(|cell| format!("{cell:>14}")).collect();
        println!("{}", format!("{name:40}{cells}").trim_end());
    };
    let or_none = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
    line("", all.iter().map(|figures| figures.scenario.name.to_owned()).collect());
    for measure in MEASURES {
        let cell = |figures: &Figures| or_none((measure.of)(figures).map(|value| measure.unit.show(value)));
        line(measure.title, all.iter().map(cell).collect());
        if measure.name == "calls" {
            for purpose in Purpose::ALL {
                let cell = |figures: &Figures| {
                    let calls = figures.calls.get(&purpose)?;
                    Some(format!("{:.4}", *calls as f64 / figures.counted.accepted as f64))
                };
                let cells = all.iter().map(|figures| or_none(cell(figures))).collect();
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
pub fn to_json(all: &[Figures], seed: u64) -> Value {
    let of = |figures: &Figures| {
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
            "scenario": figures.scenario.name,
            "about": figures.scenario.about,
            "measures": measures,
            "calls": calls,
            "busiestSecond": figures.busiest_second(),
            "worstMinute": figures.worst_minute(),
            "bounds": figures.scenario.bounds().map(bound).collect::<Vec<_>>(),
        })
    };
    json!({ "seed": seed, "holds": all_hold(all), "scenarios": all.iter().map(of).collect::<Vec<_>>() })
}
