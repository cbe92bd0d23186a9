//! The alarm of a coordinator's object: each report is sent, again until it is taken, and no alarm is set without need.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::{Span, Timestamp};
use keyward_limits::{
    coordinator::object::CoordinatorObject,
    wire::{CoordinatorCall, UsageReport, UsageTaken},
};
use keyward_testing::{Database, NOON, record};

use crate::common::one;

const TAKEN: UsageTaken = UsageTaken { early: Vec::new() };

/// An object with its database, at a moment.
struct Stage {
    db: Database,
    object: CoordinatorObject,
    now: Timestamp,
}

impl Stage {
    fn new() -> Self {
        let stage = Self { db: Database::new(), object: CoordinatorObject::default(), now: NOON };
        stage.call(CoordinatorCall::Put { record: record() });
        stage
    }

    fn call(&self, call: CoordinatorCall) {
        self.object.answer(&self.db, call, self.now).unwrap();
    }

    /// A request, after which the alarm is set if it has to be: after which time.
    fn request(&self) -> Option<Span> {
        self.call(CoordinatorCall::Acquire(one(1)));
        self.set(self.object.alarm_in(&self.db, self.now).unwrap())
    }

    fn set(&self, due: Option<Span>) -> Option<Span> {
        if let Some(due) = due {
            self.object.alarm_is_set(self.now + due);
        }
        due
    }

    fn ring(&self) -> Option<UsageReport> {
        self.object.ring(&self.db, self.now).unwrap()
    }

    fn reported(&self, report: &UsageReport, taken: Option<&UsageTaken>) -> Option<Span> {
        self.set(self.object.reported(&self.db, report, taken, self.now).unwrap())
    }
}

fn accepted(report: &UsageReport) -> Vec<u64> {
    report.hours.iter().map(|hour| hour.accepted).collect()
}

const fn secs(seconds: i64) -> Option<Span> {
    Some(Span::from_secs(seconds))
}

#[test]
fn the_first_use_sets_an_alarm_and_later_ones_leave_it_unless_it_should_have_rung() {
    let mut stage = Stage::new();
    assert_eq!(stage.object.alarm_in(&stage.db, stage.now).unwrap(), None, "nothing is to be reported");
    assert_eq!(stage.request(), secs(2));
    stage.now = NOON + Span::from_secs(1);
    assert_eq!(stage.request(), None, "it rings in a second");
    stage.now = NOON + Span::from_secs(2);
    assert_eq!(stage.request(), secs(2), "it did not ring");
    stage.now = NOON - Span::from_hours(1);
    assert_eq!(stage.request(), secs(2), "the clock was set back: it rings in more than an hour");
}

#[test]
fn a_report_that_is_not_taken_is_sent_again_after_a_minute_and_one_that_is_taken_is_not() {
    let mut stage = Stage::new();
    stage.request();
    stage.now = NOON + Span::from_secs(2);
    let report = stage.ring().unwrap();
    assert_eq!(accepted(&report), [1]);
    assert_eq!(stage.reported(&report, None), secs(60));
    stage.now = stage.now + Span::from_secs(1);
    assert_eq!(stage.request(), None, "the alarm for the first try reports this one, too");
    stage.now = stage.now + Span::from_secs(59);
    let report = stage.ring().unwrap();
    assert_eq!(accepted(&report), [2]);
    assert_eq!(stage.reported(&report, Some(&TAKEN)), None);
    assert_eq!(stage.ring(), None);
    // It is known also after the object was evicted.
    assert_eq!(CoordinatorObject::default().ring(&stage.db, stage.now).unwrap(), None);
    assert_eq!(stage.request(), secs(300), "five minutes after the last report");
}

#[test]
fn what_was_counted_while_a_report_was_under_way_and_hours_that_came_too_early_are_reported_next() {
    let mut stage = Stage::new();
    stage.request();
    stage.now = NOON + Span::from_secs(2);
    let report = stage.ring().unwrap();
    stage.request();
    assert_eq!(
        stage.reported(&report, Some(&TAKEN)),
        None,
        "the alarm that the request has set rings in time"
    );
    let report = stage.ring().unwrap();
    assert_eq!(accepted(&report), [2]);
    let early = UsageTaken { early: vec![report.hours[0].hour] };
    assert_eq!(stage.reported(&report, Some(&early)), secs(300));
    assert_eq!(stage.ring().unwrap().hours, report.hours);
}

#[test]
fn an_object_without_a_record_reports_nothing_and_stores_nothing() {
    let stage = Stage { db: Database::new(), object: CoordinatorObject::default(), now: NOON };
    let empty = stage.db.dump();
    assert_eq!(stage.request(), None);
    assert_eq!(stage.ring(), None);
    assert_eq!(stage.db.dump(), empty);
}
