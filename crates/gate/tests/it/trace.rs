//! W3C Trace Context: what of a client's word goes on.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_gate::trace::{Parent, Trace, span_id, state};
use keyward_policy::Traces;
use proptest::prelude::*;

const REQUEST: &str = "9f86d081884c7d659a2feaa0c55ad015";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn of(text: &str) -> Trace<'_> {
    Trace::of(REQUEST, Traces::Continue, Some(text))
}

#[test]
fn a_trace_goes_on_with_the_request_as_its_span_or_past_it() {
    let trace = of(PARENT);
    assert_eq!((trace.trace_id, trace.parent), (TRACE, Some("00f067aa0ba902b7")));
    assert_eq!(trace.to_origin(REQUEST, false).unwrap(), PARENT);
    assert_eq!(trace.to_origin(REQUEST, true).unwrap(), format!("00-{TRACE}-{}-01", span_id(REQUEST)));
}

#[test]
fn a_trace_begins_only_where_there_is_a_span() {
    for trace in [
        Trace::of(REQUEST, Traces::Continue, None),
        Trace::of(REQUEST, Traces::Restart, Some(PARENT)),
        of("00-x"),
    ] {
        assert_eq!((trace.trace_id, trace.parent), (REQUEST, None));
        assert_eq!(trace.to_origin(REQUEST, false), None);
        assert_eq!(trace.to_origin(REQUEST, true).unwrap(), format!("00-{REQUEST}-9f86d081884c7d65-03"));
    }
}

#[test]
fn one_in_so_many_traces_is_sampled_by_the_last_56_bits() {
    let with_last = |last: &str| format!("00-4bf92f3577b34da6a3{last}-00f067aa0ba902b7-00");
    for (last, one_in, is_sampled) in [
        ("00000000000000", 1, true),
        ("00000000000000", 2, false),
        ("7fffffffffffff", 2, false),
        ("80000000000000", 2, true),
        ("bfffffffffffff", 4, false),
        ("c0000000000000", 4, true),
        ("ffffffffffffff", 1_000_000, true),
    ] {
        assert_eq!(of(&with_last(last)).is_sampled(one_in), is_sampled, "{last} {one_in}");
    }
}

/// A second reader of a `traceparent`: the grammar of section 3.2.2, put together the other way.
fn is_in_form(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hex =
        |part: &str, digits| part.len() == digits && part.chars().all(|c| "0123456789abcdef".contains(c));
    let [version, trace, span, flags, more @ ..] = &parts[..] else { return false };
    hex(version, 2)
        && hex(trace, 32)
        && hex(span, 16)
        && hex(flags, 2)
        && *version != "ff"
        && (more.is_empty() || *version != "00")
        && trace.contains(|c| c != '0')
        && span.contains(|c| c != '0')
}

proptest! {
    #[test]
    fn nothing_but_the_standards_form_is_read(text in prop_oneof![
        "\\PC{0,80}",
        "[0-9a-fx]{2}-[0-9a-f]{31,33}-[0-9a-f]{15,17}-[0-9a-f]{2}(-[a-z]{0,3})?",
        "0[01]-[0-9a-fA-F][0-9a-f]{31}-[0-9a-f]{16}-[0-9a-fA-F]{2}",
        "(00|01|ff)-(0{32}|[0-9a-f]{32})-(0{16}|[0-9a-f]{16})-[0-9A-f]{2}(|-|x)",
    ]) {
        prop_assert_eq!(Parent::read(&text).is_some(), is_in_form(&text), "{}", text);
    }

    #[test]
    fn what_goes_to_the_origin_is_in_form_and_of_one_length_whatever_a_client_says(text in "\\PC{0,200}", is_span: bool) {
        if let Some(told) = of(&text).to_origin(REQUEST, is_span) {
            prop_assert!(is_in_form(&told) && told.len() == 55, "{}", told);
        }
    }

    #[test]
    fn a_tracestate_goes_on_within_its_bounds_and_in_its_order(entries in prop::collection::vec("[a-z][a-z0-9]{0,9}=[!-+.-<>-~]{1,300}", 0..40)) {
        let sent = entries.join(", ");
        if let Some(kept) = state(&sent) {
            prop_assert!(kept.len() <= 512 && entries.len() <= 32);
            let mut rest = entries.iter();
            for entry in kept.split(',') {
                prop_assert!(rest.any(|sent| sent == entry), "{}", entry);
            }
        }
        if entries.len() > 32 {
            prop_assert_eq!(state(&sent), None);
        }
    }

    #[test]
    fn no_tracestate_that_goes_on_has_what_a_header_may_not(text in "\\PC{0,100}|[a-z=,\u{0}-\u{20}]{0,60}") {
        if let Some(kept) = state(&text) {
            prop_assert!(kept.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !kept.is_empty());
        }
    }
}
