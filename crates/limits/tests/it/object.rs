//! The alarm of a coordinator's object: each report is sent, again until it is taken, and no alarm is set without need.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::{Jurisdiction, Limits, Record},
    time::{MINUTE, Span, Timestamp},
};
use keyward_limits::{
    coordinator::object::CoordinatorObject,
    lease::Grantor,
    tally::ledger::Ledger,
    timing::{MAX_DELAY, TRAVEL},
    wire::{Acquire, CoordinatorCall, LeaseReport, RefusalCounts, UNATTRIBUTED, UsageReport, UsageTaken},
};
use keyward_testing::{Database, NOON, record};

use crate::common::one;

const TAKEN: UsageTaken = UsageTaken { early: Vec::new() };

/// An object with its database, at a moment.
struct Stage {
    name: &'static str,
    db: Database,
    object: CoordinatorObject,
    travel: Span,
    now: Timestamp,
}

impl Stage {
    fn new() -> Self {
        let stage = Self::of("sha256:00");
        stage.call(CoordinatorCall::Put { record: record() });
        stage
    }

    /// An object of this name that was never told of a key.
    fn of(name: &'static str) -> Self {
        Self { name, db: Database::new(), object: CoordinatorObject::default(), travel: TRAVEL, now: NOON }
    }

    fn call(&self, call: CoordinatorCall) -> String {
        self.object.answer(&self.db, self.name, call, |_| self.travel, self.now).unwrap()
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
        self.object.ring(&self.db, self.now).unwrap().map(|due| due.report)
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

/// A lease's request, too: it is used 3 s after it was asked for, and reported 2 s later.
#[test]
fn a_request_counts_for_a_window_from_the_latest_moment_at_which_it_can_have_arrived() {
    for travel in [Span::ZERO, TRAVEL, Span::from_secs(4)] {
        for under_a_lease in [false, true] {
            let mut stage = Stage { travel, ..Stage::of("sha256:00") };
            let limits = Limits { per_minute: Some(1), ..Limits::default() };
            stage.call(CoordinatorCall::Put { record: Record { limits, ..record() } });
            let latest = if under_a_lease {
                let queued =
                    Acquire { queued: 1, immediate: false, lease_length: Span::from_secs(20), ..one(1) };
                assert!(stage.call(CoordinatorCall::Acquire(queued)).contains(r#""lease":{"id":1"#));
                stage.now = NOON + Span::from_secs(5);
                let leases = vec![LeaseReport { id: 1, used: 1, age: Span::from_secs(2), open: 0 }];
                stage.call(CoordinatorCall::Report { refused: RefusalCounts::new(), leases, tally: None });
                NOON + Span::from_secs(3) + travel
            } else {
                assert!(stage.call(CoordinatorCall::Acquire(one(1))).contains("granted"));
                NOON + one(1).within + travel
            };
            // What fits within this time is delayed.
            stage.now = latest + MINUTE - MAX_DELAY - Span::from_ms(1);
            assert!(stage.call(CoordinatorCall::Acquire(one(1))).contains("limited"), "{travel:?}");
            stage.now = stage.now + Span::from_ms(1);
            assert!(stage.call(CoordinatorCall::Acquire(one(1))).contains("granted"), "{travel:?}");
        }
    }
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
    assert!(CoordinatorObject::default().ring(&stage.db, stage.now).unwrap().is_none());
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
    let stage = Stage::of("sha256:00");
    let empty = stage.db.dump();
    assert_eq!(stage.request(), None);
    assert_eq!(stage.ring(), None);
    assert_eq!(stage.db.dump(), empty);
}

#[test]
fn refusals_that_belong_to_no_key_are_counted_by_the_object_of_their_name_and_by_no_other() {
    for (name, counts) in [(UNATTRIBUTED, true), ("sha256:00", false)] {
        let mut stage = Stage::of(name);
        let mut ledger = Ledger::of(7);
        for (realm, code) in [("shop", "INVALID_API_KEY"), ("shop", "INVALID_API_KEY"), ("", "NO_REALM")] {
            ledger.refuse_unattributed(realm, code, None, stage.now);
        }
        let tally = ledger.begin(UNATTRIBUTED, Grantor::Relay, stage.now);
        for _ in 0..2 {
            let tally = Some(tally.clone());
            stage.call(CoordinatorCall::Report { refused: [].into(), leases: Vec::new(), tally });
        }
        stage.object = CoordinatorObject::default();
        stage.now = stage.now + Span::from_secs(2);
        let report = stage.ring();
        assert_eq!(report.is_some(), counts);
        if let Some(report) = report {
            assert_eq!(report.key_id, UNATTRIBUTED);
            let refused = [("shop INVALID_API_KEY".to_owned(), 2), (" NO_REALM".to_owned(), 1)];
            assert_eq!(report.hours[0].refused, refused.into());
        }
    }
}

#[test]
fn the_latest_refusals_travel_with_the_report_until_it_is_taken_and_few_of_many_do() {
    let mut stage = Stage::new();
    let mut ledger = Ledger::of(7);
    let described = |n: u64| serde_json::json!({ "requestId": n });
    for n in 0..50 {
        ledger.refuse("sha256:00", "TEST_MODE", None, stage.now);
        ledger.describe("sha256:00", || described(n));
        if n % 2 == 0 {
            continue;
        }
        let tally = ledger.begin("sha256:00", Grantor::Coordinator, stage.now);
        assert!(tally.latest.len() <= 4);
        let report =
            CoordinatorCall::Report { refused: [].into(), leases: Vec::new(), tally: Some(tally.clone()) };
        stage.call(report);
        ledger.end("sha256:00", &tally, true, stage.now);
    }
    stage.now = stage.now + Span::from_secs(2);
    let report = stage.ring().unwrap();
    assert_eq!(report.latest, (40..50).map(described).collect::<Vec<_>>());
    assert_eq!(report.hours[0].refused["TEST_MODE"], 50);
    stage.reported(&report, None);
    assert_eq!(stage.ring().unwrap().latest, report.latest, "it was not taken");
    stage.reported(&report, Some(&TAKEN));
    assert_eq!(stage.ring(), None);
    for _ in 0..9 {
        ledger.refuse("sha256:00", "TEST_MODE", None, stage.now);
        ledger.describe("sha256:00", || described(99));
    }
    let tally = ledger.begin("sha256:00", Grantor::Coordinator, stage.now);
    assert_eq!((tally.hours[0].refused["TEST_MODE"], tally.latest.len()), (9, 4));
    stage.call(CoordinatorCall::Report { refused: [].into(), leases: Vec::new(), tally: Some(tally) });
    assert_eq!(stage.ring().unwrap().latest.len(), 4, "what was told before is not told again");
}

#[test]
fn another_round_begins_as_soon_as_one_is_over_also_if_its_task_began_late() {
    let mut ledger = Ledger::of(7);
    ledger.refuse("sha256:00", "TEST_MODE", None, NOON);
    assert!(ledger.begins_round(NOON));
    assert!(!ledger.begins_round(NOON));
    ledger.ends_round(NOON + Span::from_ms(3));
    assert!(ledger.begins_round(NOON + Span::from_ms(9)));
}

#[test]
fn a_report_of_another_jurisdiction_than_the_policys_is_kept_until_the_policy_is_that_of_the_key_again() {
    let eu = Some(Jurisdiction::Eu);
    for (of_key, of_policy) in [(None, eu), (eu, None), (eu, Some(Jurisdiction::Us))] {
        let mut stage = Stage { object: CoordinatorObject::within(of_key), ..Stage::of("sha256:00") };
        stage.call(CoordinatorCall::Put { record: record().within(of_key) });
        stage.request();
        stage.now = NOON + Span::from_hours(1);
        // A deployment with another policy.
        stage.object = CoordinatorObject::within(of_policy);
        let due = stage.object.ring(&stage.db, stage.now).unwrap().unwrap();
        assert!(due.may_be_sent.is_err(), "{of_key:?} {of_policy:?}");
        stage.object = CoordinatorObject::within(of_key);
        let due = stage.object.ring(&stage.db, stage.now).unwrap().unwrap();
        assert_eq!((accepted(&due.report), due.may_be_sent), (vec![1], Ok(())));
    }
}

#[test]
fn what_belongs_to_no_key_is_counted_under_the_policys_jurisdiction() {
    let eu = Some(Jurisdiction::Eu);
    let mut stage = Stage { object: CoordinatorObject::within(eu), ..Stage::of(UNATTRIBUTED) };
    let refused = RefusalCounts::from([("default UNKNOWN_API_KEY".to_owned(), 1)]);
    stage.call(CoordinatorCall::Report { refused, leases: Vec::new(), tally: None });
    stage.now = NOON + Span::from_hours(1);
    let due = stage.object.ring(&stage.db, stage.now).unwrap().unwrap();
    assert_eq!(due.may_be_sent, Ok(()));
}
