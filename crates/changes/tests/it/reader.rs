//! What an isolate knows, for how long, and when it must forget.

use keyward_changes::reader::{Reader, Remembered, Standing};
use keyward_core::{
    changes::{Change, KV_LAG, News},
    record::{Record, TenantStatus},
    time::{HOUR, MINUTE, SECOND, Span, Timestamp},
};
use keyward_testing::{NOON, change_log::ChangeLog, record};

use crate::common::{key, tenant};

const SPAN: Span = Span::from_ms(4_750);

/// A record of this version.
fn version(version: u64) -> Record {
    Record { version, ..record() }
}

/// Reads all that there is.
fn read(reader: &mut Reader, log: &ChangeLog, now: Timestamp) -> Remembered {
    let mut all = Remembered::Stays;
    loop {
        let call = reader.begin(SPAN, now);
        let news = log.read(&call);
        let more = news.more;
        if reader.take(&call, news, now) == Remembered::Forget {
            all = Remembered::Forget;
        }
        reader.end(now);
        if !more {
            return all;
        }
    }
}

#[test]
fn knowledge_counts_from_before_the_call_and_is_renewed_ahead_of_need() {
    let (mut reader, log) = (Reader::default(), ChangeLog::default());
    assert_eq!(reader.due(NOON), None, "nobody decides by it");
    reader.wants(SPAN * 2);
    reader.wants(SPAN);
    assert_eq!(reader.due(NOON), Some(SPAN));
    assert!(reader.due(NOON).is_none() && reader.is_reading(NOON), "one call at a time");
    let call = reader.begin(SPAN, NOON);
    assert_eq!(call.max_age, Span::from_ms(475));
    reader.wants(SPAN);
    let news = News { age: Span::from_ms(250), ..log.read(&call) };
    assert_eq!(reader.take(&call, news, NOON), Remembered::Stays);
    reader.end(NOON);
    let last = NOON + SPAN - Span::from_ms(251);
    assert!(reader.is_within(SPAN, last) && !reader.is_within(SPAN, last + Span::from_ms(1)));
    assert_eq!(reader.due(NOON + SECOND * 3), None);
    assert_eq!(reader.due(NOON + Span::from_ms(3_313)), Some(SPAN));
}

#[test]
fn a_read_that_never_ends_is_given_up_and_its_late_answer_changes_nothing() {
    let (mut reader, mut log) = (Reader::default(), ChangeLog::default());
    let call = reader.begin(SPAN, NOON);
    reader.wants(SPAN);
    assert_eq!(reader.due(NOON + Span::from_ms(1_499)), None);
    let later = NOON + Span::from_ms(1_500);
    assert_eq!(reader.due(later), Some(SPAN));
    log.write(key("h", 2));
    let _ = read(&mut reader, &log, later);
    let late = News { log: "log".into(), covers: KV_LAG, is_anew: true, ..News::default() };
    assert_eq!(reader.take(&call, late, NOON), Remembered::Stays);
    assert_eq!(reader.standing("h", &version(1)), Standing::Replaced, "what came meanwhile is still known");
    assert!(reader.is_within(SPAN, later));
}

#[test]
fn a_record_holds_until_a_newer_version_of_it_is_logged_and_never_again_once_it_is_revoked() {
    let (mut reader, mut log) = (Reader::default(), ChangeLog::default());
    log.write(key("h", 5));
    let _ = read(&mut reader, &log, NOON);
    assert_eq!(reader.standing("h", &version(4)), Standing::Replaced);
    assert_eq!(reader.standing("h", &version(5)), Standing::Holds);
    assert_eq!(reader.standing("another", &version(1)), Standing::Holds);
    log.write(Change::Key { hash: "h".into(), version: 6, revoked: true });
    let _ = read(&mut reader, &log, NOON + SECOND);
    assert_eq!(reader.standing("h", &version(5)), Standing::Revoked);
    let of = |tenant_change| Record { tenant_change, ..record() };
    assert_eq!(reader.tenant(&of(0)), None);
    log.write(tenant(3, &record().tenant.id, TenantStatus::Inactive));
    let _ = read(&mut reader, &log, NOON + SECOND);
    assert_eq!(reader.tenant(&of(2)).map(|known| known.status), Some(TenantStatus::Inactive));
    assert_eq!(reader.standing("another", &of(2)), Standing::Replaced, "the tenant's limits may be in it");
    assert_eq!(reader.tenant(&of(3)), None, "a record that is as new says so itself");
    assert_eq!(reader.standing("another", &of(3)), Standing::Holds);
}

#[test]
fn half_a_log_is_no_knowledge() {
    let (mut reader, mut log) = (Reader::default(), ChangeLog::default());
    for number in 0..3 {
        log.write(key(&format!("h{number}"), 2));
    }
    log.page = 2;
    let call = reader.begin(SPAN, NOON);
    let news = log.read(&call);
    assert!(news.more);
    assert_eq!(reader.take(&call, news, NOON), Remembered::Stays);
    assert!(!reader.is_within(SPAN, NOON));
    let call = reader.begin(SPAN, NOON);
    assert_eq!(reader.take(&call, log.read(&call), NOON), Remembered::Stays);
    assert!(reader.is_within(SPAN, NOON));
    assert_eq!(reader.standing("h2", &version(1)), Standing::Replaced);
}

#[test]
fn a_log_that_does_not_reach_as_far_back_as_kv_may_is_left_alone() {
    let (mut reader, mut log) = (Reader::default(), ChangeLog::default());
    log.covers = KV_LAG - SECOND;
    let _ = read(&mut reader, &log, NOON);
    reader.wants(SPAN);
    assert!(!reader.is_within(SPAN, NOON) && reader.due(NOON + MINUTE * 9).is_none());
    assert!(reader.is_left_alone(NOON + MINUTE * 9));
    assert_eq!(reader.due(NOON + MINUTE * 10), Some(SPAN));
}

#[test]
fn so_is_one_that_is_too_long_or_that_a_newer_build_writes() {
    let (mut reader, mut log) = (Reader::default(), ChangeLog::default());
    log.page = 1_000_000;
    for number in 1..=20_001 {
        log.changes.push((number, key(&format!("h{number}"), 2)));
    }
    log.last = 20_001;
    let _ = read(&mut reader, &log, NOON);
    assert!(!reader.is_within(SPAN, NOON) && reader.is_left_alone(NOON));
    assert_eq!(reader.standing("h1", &version(1)), Standing::Holds, "and it takes no room");
    let (mut reader, mut log) = (Reader::default(), ChangeLog::default());
    log.write(Change::Unknown);
    let _ = read(&mut reader, &log, NOON);
    assert!(!reader.is_within(SPAN, NOON) && reader.is_left_alone(NOON));
}

#[test]
fn whoever_may_have_missed_something_forgets_all_it_remembers() {
    let (mut reader, mut log) = (Reader::default(), ChangeLog::default());
    assert_eq!(read(&mut reader, &log, NOON), Remembered::Stays, "nothing is remembered");
    reader.remembers(NOON);
    log.write(key("h", 2));
    log.forget(1);
    assert_eq!(read(&mut reader, &log, NOON + SECOND), Remembered::Forget, "that change was not seen");
    log.name = "restored".to_owned();
    assert_eq!(read(&mut reader, &log, NOON + SECOND), Remembered::Forget, "another log");
    // It was not read for longer than it reaches back.
    for (later, remembered) in [(HOUR, Remembered::Stays), (HOUR + SECOND, Remembered::Forget)] {
        let mut reader = Reader::default();
        reader.remembers(NOON);
        log.covers = Span::ZERO;
        assert_eq!(read(&mut reader, &log, NOON), Remembered::Stays);
        log.covers = KV_LAG + HOUR;
        assert_eq!(read(&mut reader, &log, NOON + later), remembered, "{later:?}");
    }
}

#[test]
fn a_clock_that_is_set_back_makes_no_knowledge_younger() {
    let tolerated = Span::from_ms(250);
    let (mut reader, log) = (Reader::default(), ChangeLog::default());
    let _ = read(&mut reader, &log, NOON);
    reader.set_back(tolerated, tolerated);
    assert!(reader.is_within(SPAN, NOON + SPAN - Span::from_ms(251)));
    assert!(!reader.is_within(SPAN, NOON + SPAN - tolerated));
    reader.set_back(Span::from_ms(251), tolerated);
    assert!(!reader.is_within(SPAN, NOON));
}

#[test]
fn after_a_read_that_nobody_has_answered_another_relay_is_asked_and_then_that_one_again() {
    let mut reader = Reader::default();
    let first = reader.relay(31);
    reader.failed();
    let second = reader.relay(31);
    assert_eq!((first, second, reader.relay(31)), (31, 0, 0));
}
