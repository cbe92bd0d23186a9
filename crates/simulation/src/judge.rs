//! What the exact log of one key says about the promises.

use keyward_core::{
    record::Limits,
    time::{MINUTE, SECOND},
};

use keyward_simulation::world::keys::Log;

/// An edit holds everywhere after this time.
const EDIT: i64 = 5 * SECOND;
/// A refusal is unjust if the key had asked for at most such a part of its limits.
const BELOW: f64 = 0.8;
/// A minute is looked at for utilisation if all the time so many times the limit was asked for …
const SATURATED: f64 = 1.2;
/// … and the limit is at least this one: of a smaller one, each request is more than one of a hundred.
const SOME: f64 = 100.0;
/// What is lost with a message or an isolate counts as used for a minute from its latest moment on.
const AFTERMATH: i64 = MINUTE + 10 * SECOND;

/// Minutes, or refusals, that nothing disturbed; and those in the aftermath of a lost message or a crash.
#[derive(Default)]
pub struct Split<T> {
    pub undisturbed: T,
    pub disturbed: T,
}

fn is_disturbed(log: &Log, from: i64, until: i64) -> bool {
    log.mishaps.iter().any(|at| *at > from - AFTERMATH && *at <= until)
}

/// The limits that held at some time of a span.
fn held(log: &Log, from: i64, until: i64) -> impl Iterator<Item = Limits> {
    let next = |number: usize| log.limits.get(number + 1).map_or(i64::MAX, |(since, _)| *since);
    let limits = log.limits.iter().enumerate();
    let held = limits.filter(move |(number, (since, _))| *since <= until && next(*number) > from);
    held.map(|(_, (_, limits))| *limits)
}

/// Arrivals at the origin that were too many, counted at each over the minute and the day that end with
/// it. A limit that was changed may still be used for as long as an edit may take.
pub fn over(log: &Log) -> usize {
    let mut first = 0;
    let is_over = |(last, at): (usize, &i64)| {
        while at - log.passed[first] >= MINUTE {
            first += 1;
        }
        let most = |limit: fn(Limits) -> Option<u32>| {
            held(log, at - EDIT, *at).map(|limits| limit(limits).unwrap_or(u32::MAX)).max().unwrap_or(0)
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
        let since = log.came.partition_point(|came| *came <= at - MINUTE - EDIT);
        let is_below = |came: usize, limit: Option<u32>| {
            limit.is_none_or(|limit| came as f64 <= f64::from(limit) * BELOW)
        };
        let below =
            |limits: Limits| is_below(until - since, limits.per_minute) && is_below(until, limits.per_day);
        if !held(log, at - EDIT, *at).all(below) {
            continue;
        }
        *if is_disturbed(log, *at, *at) { &mut unjust.disturbed } else { &mut unjust.undisturbed } += 1;
    }
    unjust
}

/// The part of its limit that a key got, for each minute from its first request, or from an edit, on in
/// which it asked for more all the time.
pub fn used(log: &Log) -> Split<Vec<f64>> {
    let mut used: Split<Vec<f64>> = Split::default();
    let (Some(first), Some(last)) = (log.came.first(), log.came.last()) else { return used };
    let within = |log: &[i64], from: i64, span: i64| {
        let within = log.partition_point(|at| *at < from + span) - log.partition_point(|at| *at < from);
        within as f64
    };
    for (number, (since, limits)) in log.limits.iter().enumerate() {
        let Limits { per_minute: Some(limit), per_day: None } = limits else { continue };
        let limit = f64::from(*limit);
        let until = log.limits.get(number + 1).map_or(*last, |(next, _)| *next);
        // Of a lowered limit, what passed before uses up to all of the first minute.
        let before = number.checked_sub(1).and_then(|before| log.limits[before].1.per_minute);
        let is_lowered = before.is_some_and(|before| f64::from(before) > limit);
        let from = *first.max(&(since + if is_lowered { MINUTE } else { 0 }));
        if log.revoked_at.is_some_and(|told| told <= *since) {
            break;
        }
        for begin in (0..(until - from) / MINUTE).map(|number| from + number * MINUTE) {
            let asks = |tenth: i64| {
                within(&log.came, begin + tenth * MINUTE / 10, MINUTE / 10) >= limit / 10.0 * SATURATED
            };
            if limit >= SOME && (0..10).all(asks) {
                let is_disturbed = is_disturbed(log, begin, begin + MINUTE);
                let list = if is_disturbed { &mut used.disturbed } else { &mut used.undisturbed };
                list.push(within(&log.passed, begin, MINUTE) / limit);
            }
        }
    }
    used
}
