//! `traceparent` and `tracestate`, each a line: what goes on is in the standard's form and has its length, and nothing else is read.

use keyward_gate::trace::{Parent, Trace, state};
use keyward_policy::Traces;

const REQUEST: &str = "9f86d081884c7d659a2feaa0c55ad015";

pub fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let (traceparent, tracestate) = text.split_once('\n').unwrap_or((text, ""));
    assert_eq!(Parent::read(traceparent).is_some(), is_in_form(traceparent), "{traceparent:?}");
    for traces in [Traces::Continue, Traces::Restart] {
        let trace = Trace::of(REQUEST, traces, Some(traceparent));
        assert_eq!(trace.parent.is_some(), traces == Traces::Continue && is_in_form(traceparent));
        for is_span in [false, true] {
            let told = trace.to_origin(REQUEST, is_span);
            assert_eq!(told.is_some(), is_span || trace.parent.is_some());
            assert!(told.iter().all(|told| is_in_form(told) && told.len() == 55), "{told:?}");
        }
        assert!(trace.is_sampled(1));
    }
    if let Some(kept) = state(tracestate) {
        assert!(!kept.is_empty() && kept.len() <= 512, "{kept:?}");
        assert_eq!(state(&kept).as_ref(), Some(&kept), "it goes on unchanged where it comes next");
        let mut sent = tracestate.split(',').map(|entry| entry.trim_matches([' ', '\t']));
        assert!(kept.split(',').all(|entry| sent.any(|sent| sent == entry)), "{kept:?} in its order");
    }
}

/// A second reading, by position (W3C Trace Context, level 2, sections 3.2.2 and 4.3).
fn is_in_form(text: &str) -> bool {
    let bytes = text.as_bytes();
    let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let part = |from: usize, to: usize| bytes.get(from..to).filter(|part| part.iter().all(hex));
    let hyphen = |at: usize| bytes.get(at) == Some(&b'-');
    let is_id = |part: Option<&[u8]>| part.is_some_and(|part| part.iter().any(|byte| *byte != b'0'));
    let has_parts = is_id(part(3, 35)) && is_id(part(36, 52)) && part(53, 55).is_some();
    let has_end = match part(0, 2) {
        None | Some(b"ff") => false,
        Some(b"00") => bytes.len() == 55,
        Some(_) => bytes.len() == 55 || hyphen(55),
    };
    has_parts && has_end && [2, 35, 52].into_iter().all(hyphen)
}
