//! Judges the exact log of one key by what is promised.

use keyward_core::{
    record::Limits,
    time::{MINUTE, Span, Timestamp},
};
use keyward_simulation::keys::Log;

/// The time after which an edit applies everywhere.
const EDIT: Span = Span::from_secs(5);
/// A refusal is unjust if the key had used at most this share of its limits.
const BELOW: f64 = 0.8;
/// Utilisation is measured in minutes throughout which demand was at least this many times the limit …
const SATURATED: f64 = 1.2;
/// … for limits of at least this: of a smaller one a single request is more than 1 %.
const LEAST_LIMIT: f64 = 100.0;
/// The time for which a lost message or a crash may matter: what is lost with it counts as used for a minute after it could
/// last have been used.
const AFTERMATH: Span = Span::from_secs(70);

/// Apart: minutes or refusals in the aftermath of a lost message or a crash, and all others.
#[derive(Default)]
pub struct Split<T> {
    pub undisturbed: T,
    pub disturbed: T,
}

fn is_disturbed(log: &Log, from: Timestamp, until: Timestamp) -> bool {
    log.faults.iter().any(|at| *at > from - AFTERMATH && *at <= until)
}

/// The limits that applied at some time of a span.
fn held(log: &Log, from: Timestamp, until: Timestamp) -> impl Iterator<Item = Limits> {
    let is_over = move |number: usize| log.limits.get(number + 1).is_some_and(|(next, _)| *next <= from);
    let limits = log.limits.iter().enumerate();
    let held = limits.filter(move |(number, (since, _))| *since <= until && !is_over(*number));
    held.map(|(_, (_, limits))| *limits)
}

/// Arrivals at the origin that exceeded a limit, each judged over the minute and the day that end with it. A limit that
/// was changed may still be used for as long as an edit may take.
pub fn over(log: &Log) -> usize {
    let mut first = 0;
    let is_over = |(last, at): (usize, &Timestamp)| {
        while *at - log.passed[first] >= MINUTE {
            first += 1;
        }
        let most = |limit: fn(Limits) -> Option<u32>| {
            held(log, *at - EDIT, *at).map(|limits| limit(limits).unwrap_or(u32::MAX)).max().unwrap_or(0)
        };
        last + 1 - first > most(|limits| limits.per_minute) as usize
            || last + 1 > most(|limits| limits.per_day) as usize
    };
    log.passed.iter().enumerate().map(is_over).filter(|is_over| *is_over).count()
}

/// Refusals although the key was below its limits.
pub fn unjust(log: &Log) -> Split<usize> {
    let mut unjust = Split::default();
    for at in &log.limited {
        let until = log.came.partition_point(|came| came <= at);
        let since = log.came.partition_point(|came| *came <= *at - MINUTE - EDIT);
        let is_below = |came: usize, limit: Option<u32>| {
            limit.is_none_or(|limit| came as f64 <= f64::from(limit) * BELOW)
        };
        let below =
            |limits: Limits| is_below(until - since, limits.per_minute) && is_below(until, limits.per_day);
        if !held(log, *at - EDIT, *at).all(below) {
            continue;
        }
        *if is_disturbed(log, *at, *at) { &mut unjust.disturbed } else { &mut unjust.undisturbed } += 1;
    }
    unjust
}

/// A minute throughout which a key was saturated.
#[derive(Clone, Copy)]
pub struct Minute {
    /// The share of the limit that was used.
    pub share: f64,
    pub limit: u32,
    pub begin: Timestamp,
}

/// The saturated minutes of a key, counted from its first request or from an edit.
pub fn used(log: &Log) -> Split<Vec<Minute>> {
    let mut used: Split<Vec<Minute>> = Split::default();
    let (Some(first), Some(last)) = (log.came.first(), log.came.last()) else { return used };
    let within = |log: &[Timestamp], from: Timestamp, span: Span| {
        let within = log.partition_point(|at| *at < from + span) - log.partition_point(|at| *at < from);
        within as f64
    };
    for (number, (since, limits)) in log.limits.iter().enumerate() {
        let Limits { per_minute: Some(per_minute), per_day: None, .. } = *limits else { continue };
        let limit = f64::from(per_minute);
        let until = log.limits.get(number + 1).map_or(*last, |(next, _)| *next);
        // Of a lowered limit, what passed before uses up to all of the first minute.
        let before = number.checked_sub(1).and_then(|before| log.limits[before].1.per_minute);
        let is_lowered = before.is_some_and(|before| f64::from(before) > limit);
        let from = *first.max(&(*since + if is_lowered { MINUTE } else { Span::ZERO }));
        if log.revoked_at.is_some_and(|told| told <= *since) {
            break;
        }
        for begin in (0..(until - from) / MINUTE).map(|number| from + number * MINUTE) {
            let asks = |tenth: i64| {
                within(&log.came, begin + tenth * (MINUTE / 10), MINUTE / 10) >= limit / 10.0 * SATURATED
            };
            if limit >= LEAST_LIMIT && (0..10).all(asks) {
                let is_disturbed = is_disturbed(log, begin, begin + MINUTE);
                let list = if is_disturbed { &mut used.disturbed } else { &mut used.undisturbed };
                list.push(Minute {
                    share: within(&log.passed, begin, MINUTE) / limit,
                    limit: per_minute,
                    begin,
                });
            }
        }
    }
    used
}
