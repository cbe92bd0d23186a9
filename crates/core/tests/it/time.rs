//! Moments and the spans between them.

use keyward_core::time::{Span, Timestamp, retry_after};

#[test]
fn a_moment_and_the_span_to_another_give_that_other() {
    let (earlier, later) = (Timestamp(1_000), Timestamp(4_500));
    assert_eq!(later - earlier, Span::from_ms(3_500));
    assert_eq!(earlier - later, Span::from_ms(-3_500));
    assert_eq!(earlier + (later - earlier), later);
    assert_eq!(later - (later - earlier), earlier);
}

#[test]
fn a_span_from_a_moment_holds_its_beginning_not_its_end_and_nothing_before_it() {
    let (began, span) = (Timestamp(1_000), Span::from_ms(500));
    for (now, is_within) in
        [(i64::MIN, false), (999, false), (1_000, true), (1_499, true), (1_500, false), (i64::MAX, false)]
    {
        assert_eq!(began.is_within(span, Timestamp(now)), is_within, "{now}");
    }
    for none in [Span::ZERO, Span::from_ms(-1)] {
        assert!(!began.is_within(none, began));
    }
}

#[test]
fn retry_after_is_in_seconds_that_are_enough_and_at_least_one() {
    for (ms, seconds) in [(-1, 1), (0, 1), (1, 1), (1_000, 1), (1_001, 2), (60_000, 60)] {
        assert_eq!(retry_after(Span::from_ms(ms)), seconds, "{ms}");
    }
}

#[test]
fn moments_stop_at_the_ends_of_time() {
    let (first, last) = (Timestamp(i64::MIN), Timestamp(i64::MAX));
    assert_eq!(last + Span::from_ms(1), last);
    assert_eq!(first - Span::from_ms(1), first);
    assert_eq!(last - first, Span::MAX);
}
