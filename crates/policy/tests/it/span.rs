//! Spans of time: units, rounding, and what JSON holds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use keyward_policy::Span;

#[test]
fn a_span_is_the_same_in_every_unit() {
    assert_eq!(Span::from_days(2), Span::from_hours(48));
    assert_eq!(Span::from_hours(1), Span::from_mins(60));
    assert_eq!(Span::from_mins(1), Span::from_secs(60));
    assert_eq!(Span::from_secs(1), Span::from_ms(1_000));
    assert_eq!(Span::from_ms(1_500).ms(), 1_500);
}

#[test]
fn seconds_to_wait_are_enough_and_timers_never_negative() {
    for (ms, to_wait, whole, timer) in [
        (-1, 0, -1, 0),
        (0, 0, 0, 0),
        (1, 1, 0, 1),
        (999, 1, 0, 999),
        (1_000, 1, 1, 1_000),
        (1_001, 2, 1, 1_001),
    ] {
        let span = Span::from_ms(ms);
        assert_eq!(
            (span.secs_to_wait(), span.whole_secs(), span.timer_ms()),
            (to_wait, whole, timer),
            "{ms}"
        );
    }
    assert_eq!(Span::from_days(365).timer_ms(), u32::MAX);
}

#[test]
fn arithmetic_stops_at_the_greatest_and_least_span() {
    let least = -Span::MAX - Span::from_ms(1);
    assert_eq!(Span::MAX + Span::from_ms(1), Span::MAX);
    assert_eq!(Span::from_days(i64::MAX), Span::MAX);
    assert_eq!(Span::MAX * 2, Span::MAX);
    assert_eq!(least - Span::from_ms(1), least);
    assert_eq!(-least, Span::MAX);
    assert_eq!(Span::from_ms(7) / 2, Span::from_ms(3));
    assert_eq!(Span::from_ms(7) / 0, Span::from_ms(7));
    assert_eq!(Span::from_ms(3).less(Span::from_ms(7)), Span::ZERO);
}

#[test]
fn json_holds_milliseconds_and_never_negative_ones() {
    assert_eq!(serde_json::to_string(&Span::from_secs(5)).unwrap(), "5000");
    assert_eq!(serde_json::from_str::<Span>("5000").unwrap(), Span::from_secs(5));
    for wrong in ["-1", "1.5", "\"5000\"", "null", "18446744073709551615"] {
        assert!(serde_json::from_str::<Span>(wrong).is_err(), "{wrong}");
    }
}
