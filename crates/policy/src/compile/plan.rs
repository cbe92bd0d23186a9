//! `[plan.NAME]`: limits of tenants on a plan.

use super::{
    limits::{refuse_contradiction, windows},
    mistake::Place,
    reader::{Entry, Table},
    report::Report,
};
use crate::{
    leak::leak,
    model::{Limits, Plan, Window, Windows},
};

/// A plan, and where its limits stand.
pub(super) struct PlanDraft {
    pub(super) plan: Plan,
    place: Place,
    limits_place: Place,
}

/// Whether tenants can be on such a plan: origins get it in a header field.
pub(super) fn is_name(plan: &str) -> bool {
    !plan.trim().is_empty() && plan.trim() == plan && plan.is_ascii() && plan.len() <= 50
}

/// Reads the sections of one file.
pub(super) fn read(top: &Table<'_>) -> Vec<PlanDraft> {
    let entries = top.get("plan").and_then(|item| item.entries("[plan.pro]"));
    entries.unwrap_or_default().iter().filter_map(one).collect()
}

fn one(entry: &Entry<'_>) -> Option<PlanDraft> {
    if !is_name(entry.key) {
        entry.refuse(format!("{:?} is not a plan's name", entry.key), "write it like [plan.pro]");
    }
    let table = entry.item.table("[plan.pro]")?;
    let read = |field| {
        let item = table.get(field);
        let limits = item.as_ref().map_or(Some(Windows::default()), windows);
        if let (Some(item), Some(limits)) = (&item, limits) {
            refuse_contradiction(item, limits);
        }
        (limits.unwrap_or_default(), item.map_or_else(|| entry.item.place(), |item| item.place()))
    };
    let ((limits, limits_place), (pool, _)) = (read("limits"), read("pool"));
    let plan = Plan { name: leak(entry.key), limits, pool };
    Some(PlanDraft { plan, place: entry.item.place(), limits_place })
}

/// Notes plans that are there twice, and limits that no realm lets a key have.
pub(super) fn check(plans: &[PlanDraft], realms: &[&Limits], report: &Report) {
    for (index, PlanDraft { plan, place, limits_place }) in plans.iter().enumerate() {
        if plans.iter().take(index).any(|other| other.plan.name == plan.name) {
            report.add(
                place,
                format!("the plan {:?} is there twice", plan.name),
                "keep one: a plan is the same in all realms",
            );
        }
        for (window, limit) in
            Window::LIMITS.into_iter().filter_map(|window| Some((window, plan.limits.get(window)?)))
        {
            let maxima: Option<Vec<u32>> = realms.iter().map(|limits| limits.maximum.get(window)).collect();
            if let Some(most) =
                maxima.and_then(|maxima| maxima.into_iter().max()).filter(|most| limit > *most)
            {
                report.add(
                    limits_place,
                    format!(
                        "the limit {} = {limit} of the plan {:?} is above the maximum {most}",
                        window.setting(),
                        plan.name
                    ),
                    "lower the limit or raise the maximum",
                );
            }
        }
    }
}
