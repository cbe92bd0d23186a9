//! What an isolate knows, for how long, and when it must forget.

use keyward_changes::reader::{Reader, Remembered, Standing};
use keyward_core::{
    changes::{Change, KV_LAG, News},
    record::TenantStatus,
    time::{MINUTE, SECOND, Span, Timestamp},
};
use keyward_testing::NOON;

use crate::common::{Log, key, tenant};

const SPAN: Span = Span::from_ms(4_750);

/// Reads all that there is.
fn read(reader: &mut Reader, log: &Log, now: Timestamp) -> Remembered {
    let mut all = Remembered::Stays;
    loop {
        let call = reader.begin(SPAN, now);
        let news = log.answer(&call);
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
    let (mut reader, log) = (Reader::default(), Log::default());
    assert!(reader.is_due(SPAN, NOON) && !reader.is_within(SPAN, NOON));
    let call = reader.begin(SPAN, NOON);
    assert_eq!(call.max_age, Span::from_ms(475));
    assert!(!reader.is_due(SPAN, NOON) && reader.is_reading(NOON), "one call at a time");
    let news = News { age: Span::from_ms(250), ..log.answer(&call) };
    assert_eq!(reader.take(&call, news, NOON), Remembered::Stays);
    reader.end(NOON);
    let last = NOON + SPAN - Span::from_ms(251);
    assert!(reader.is_within(SPAN, last) && !reader.is_within(SPAN, last + Span::from_ms(1)));
    assert!(!reader.is_due(SPAN, NOON + SECOND * 3));
    assert!(reader.is_due(SPAN, NOON + Span::from_ms(3_313)));
}

#[test]
fn a_read_that_never_ends_is_given_up_and_its_late_answer_changes_nothing() {
    let (mut reader, log) = (Reader::default(), Log::default());
    let call = reader.begin(SPAN, NOON);
    assert!(!reader.is_due(SPAN, NOON + Span::from_ms(1_499)));
    let later = NOON + Span::from_ms(1_500);
    assert!(reader.is_due(SPAN, later));
    log.write(key("h", 2));
    let _ = read(&mut reader, &log, later);
    let late = News { log: "log".into(), covers: KV_LAG, is_anew: true, ..News::default() };
    assert_eq!(reader.take(&call, late, NOON), Remembered::Stays);
    assert_eq!(reader.standing("h", 1), Standing::Replaced, "what came meanwhile is still known");
    assert!(reader.is_within(SPAN, later));
}

#[test]
fn a_record_holds_until_a_newer_version_of_it_is_logged_and_never_again_once_it_is_revoked() {
    let (mut reader, log) = (Reader::default(), Log::default());
    log.write(key("h", 5));
    let _ = read(&mut reader, &log, NOON);
    assert_eq!(reader.standing("h", 4), Standing::Replaced);
    assert_eq!(reader.standing("h", 5), Standing::Holds);
    assert_eq!(reader.standing("another", 1), Standing::Holds);
    log.write(Change::Key { hash: "h".into(), version: 6, revoked: true });
    let _ = read(&mut reader, &log, NOON + SECOND);
    assert_eq!(reader.standing("h", 5), Standing::Revoked);
    assert_eq!(reader.tenant("t"), None);
    log.write(tenant("t", TenantStatus::Inactive));
    let _ = read(&mut reader, &log, NOON + SECOND);
    assert_eq!(reader.tenant("t").unwrap().status, TenantStatus::Inactive);
}

#[test]
fn half_a_log_is_no_knowledge() {
    let (mut reader, log) = (Reader::default(), Log::default());
    for number in 0..3 {
        log.write(key(&format!("h{number}"), 2));
    }
    log.page.set(2);
    let call = reader.begin(SPAN, NOON);
    let news = log.answer(&call);
    assert!(news.more);
    assert_eq!(reader.take(&call, news, NOON), Remembered::Stays);
    assert!(!reader.is_within(SPAN, NOON));
    let call = reader.begin(SPAN, NOON);
    assert_eq!(reader.take(&call, log.answer(&call), NOON), Remembered::Stays);
    assert!(reader.is_within(SPAN, NOON));
    assert_eq!(reader.standing("h2", 1), Standing::Replaced);
}

#[test]
fn a_log_that_does_not_reach_as_far_back_as_kv_may_is_left_alone() {
    let (mut reader, log) = (Reader::default(), Log::default());
    log.covers.set(KV_LAG - SECOND);
    let _ = read(&mut reader, &log, NOON);
    assert!(!reader.is_within(SPAN, NOON) && !reader.is_due(SPAN, NOON + MINUTE * 9));
    assert!(reader.is_left_alone(NOON + MINUTE * 9));
    assert!(reader.is_due(SPAN, NOON + MINUTE * 10));
}

#[test]
fn so_is_one_that_is_too_long_or_that_a_newer_build_writes() {
    let (mut reader, log) = (Reader::default(), Log::default());
    log.page.set(1_000_000);
    for number in 1..=20_001 {
        log.changes.borrow_mut().push((number, key(&format!("h{number}"), 2)));
    }
    log.last.set(20_001);
    let _ = read(&mut reader, &log, NOON);
    assert!(!reader.is_within(SPAN, NOON) && reader.is_left_alone(NOON));
    assert_eq!(reader.standing("h1", 1), Standing::Holds, "and it takes no room");
    let (mut reader, log) = (Reader::default(), Log::default());
    log.write(Change::Unknown);
    let _ = read(&mut reader, &log, NOON);
    assert!(!reader.is_within(SPAN, NOON) && reader.is_left_alone(NOON));
}

#[test]
fn whoever_may_have_missed_something_forgets_all_it_remembers() {
    let (mut reader, log) = (Reader::default(), Log::default());
    assert_eq!(read(&mut reader, &log, NOON), Remembered::Stays, "nothing is remembered");
    reader.remembers(NOON);
    log.write(key("h", 2));
    log.forget(1);
    assert_eq!(read(&mut reader, &log, NOON + SECOND), Remembered::Forget, "that change was not seen");
    log.name.replace("restored".into());
    assert_eq!(read(&mut reader, &log, NOON + SECOND), Remembered::Forget, "another log");
    // It was not read for longer than it reaches back.
    for (later, remembered) in [(KV_LAG, Remembered::Stays), (KV_LAG + SECOND, Remembered::Forget)] {
        let mut reader = Reader::default();
        reader.remembers(NOON);
        log.covers.set(Span::ZERO);
        assert_eq!(read(&mut reader, &log, NOON), Remembered::Stays);
        log.covers.set(KV_LAG);
        assert_eq!(read(&mut reader, &log, NOON + later), remembered, "{later:?}");
    }
}

#[test]
fn a_clock_that_is_set_back_makes_no_knowledge_younger() {
    let tolerated = Span::from_ms(250);
    let (mut reader, log) = (Reader::default(), Log::default());
    let _ = read(&mut reader, &log, NOON);
    reader.set_back(tolerated, tolerated);
    assert!(reader.is_within(SPAN, NOON + SPAN - Span::from_ms(251)));
    assert!(!reader.is_within(SPAN, NOON + SPAN - tolerated));
    reader.set_back(Span::from_ms(251), tolerated);
    assert!(!reader.is_within(SPAN, NOON));
}
