//! What a client is told of its limits never contradicts itself: `RateLimit-Policy`, `RateLimit` and
//! `Retry-After`, whatever happened to the key before.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::{Limits, Record},
    time::{self, Span},
};
use keyward_gate::{
    denial::Denial,
    refusal::{rate_limit_headers, refuse},
};
use keyward_limits::{
    coordinator::Coordinator,
    limit::{Window, WindowState, agree},
    timing::FIRST_ANSWER,
    wire::{Acquire, Acquired},
};
use keyward_testing::{NOON, policy::POLICY, record};
use proptest::prelude::*;

/// The longest life of a lease here, in seconds, rounded up.
const LEASE_S: u64 = 6;

/// One window as both fields have it: its name, `q`, `r` and `t`.
type Told = (String, u64, u64, u64);

/// Both fields, taken apart; fails where they do not name the same windows in the same order.
fn told(windows: &[WindowState]) -> Vec<Told> {
    let fields = rate_limit_headers(windows);
    if fields.is_empty() {
        return Vec::new();
    }
    let items = |value: &str| -> Vec<(String, u64, u64)> {
        let item = |item: &str| {
            let parts: Vec<_> = item.split(';').collect();
            let number = |part: &str| part[2..].parse().unwrap();
            (parts[0].to_owned(), number(parts[1]), number(parts[2]))
        };
        value.split(", ").map(item).collect()
    };
    let (policy, left) = (items(&fields[0].1), items(&fields[1].1));
    assert_eq!(policy.len(), left.len());
    let both = policy.into_iter().zip(left);
    both.map(|((name, quota, window), (same, remaining, reset))| {
        assert_eq!(name, same);
        assert!(remaining <= quota, "{fields:?}");
        // What a lease may still let through leaves the window one lease's life later.
        assert!(reset <= window + LEASE_S, "{fields:?}");
        assert!(reset > 0 || remaining == quota, "{fields:?}");
        (name, quota, remaining, reset)
    })
    .collect()
}

fn are_refused_consistently(windows: &[WindowState], retry_after: Span) {
    let full: Vec<_> = told(windows).into_iter().filter(|(_, _, remaining, _)| *remaining == 0).collect();
    let longest = full.iter().map(|(_, _, _, reset)| *reset).max();
    assert_eq!(longest, Some(time::retry_after(retry_after)), "{windows:?} {retry_after:?}");
    let denial = Denial::RateLimited { windows: windows.to_vec(), retry_after };
    let answer = refuse(&denial, Some(&POLICY.realms[0]), "req-1");
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let named: Vec<_> = full.iter().map(|(name, ..)| name.trim_matches('"')).collect();
    assert_eq!(body["violatedPolicies"], serde_json::json!(named));
    for (name, quota, ..) in &full {
        let of =
            format!("{quota} request{} a {}", if *quota == 1 { "" } else { "s" }, name.trim_matches('"'));
        assert!(body["detail"].as_str().unwrap().contains(&of), "{of}: {body}");
    }
}

/// What happens to a key.
#[derive(Clone, Debug)]
enum Event {
    Request,
    Lease(u32),
    Edit(Limits),
    Wait(i64),
}

fn limits() -> impl Strategy<Value = Limits> {
    let limit = |most: u32| prop_oneof![1 => Just(None), 4 => (1..most).prop_map(Some)];
    (limit(8), limit(12)).prop_map(|(per_minute, per_day)| Limits { per_minute, per_day })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => Just(Event::Request),
        1 => (1..6_u32).prop_map(Event::Lease),
        1 => limits().prop_map(Event::Edit),
        2 => (1..50_000_i64).prop_map(Event::Wait),
        1 => (80_000_000..86_400_000_i64).prop_map(Event::Wait),
    ]
}

proptest! {
    #[test]
    fn a_keys_object_never_contradicts_itself(first in limits(), events in prop::collection::vec(event(), 1..60)) {
        let mut gate = Coordinator::default();
        let mut version = 1;
        gate.put(Record { limits: first, version, ..record() });
        let (mut now, mut limits) = (NOON, first);
        for event in events {
            let take = match event {
                Event::Edit(edited) => {
                    version += 1;
                    limits = edited;
                    gate.put(Record { limits, version, ..record() });
                    continue;
                }
                Event::Wait(span) => {
                    now = now + Span::from_ms(span);
                    continue;
                }
                Event::Request => Acquire { version, immediate: true, within: FIRST_ANSWER, ..Acquire::default() },
                Event::Lease(queued) => Acquire { version, immediate: true, within: FIRST_ANSWER, queued, wants: queued, lease_length: Span::from_ms(4_750), ..Acquire::default() },
            };
            let windows = match gate.acquire(&take, now) {
                Acquired::Granted { windows, .. } => {
                    told(&windows);
                    windows
                }
                Acquired::Limited { windows, retry_after, .. } => {
                    are_refused_consistently(&windows, retry_after);
                    // They need no correction here.
                    let mut corrected = windows.clone();
                    agree(&mut corrected, retry_after);
                    prop_assert_eq!(&corrected, &windows);
                    windows
                }
                other => panic!("{other:?}"),
            };
            let named: Vec<_> = windows.iter().map(|state| (state.window, state.limit)).collect();
            let minute = limits.per_minute.map(|limit| (Window::Minute, limit));
            let day = limits.per_day.map(|limit| (Window::Day, limit));
            prop_assert_eq!(named, minute.into_iter().chain(day).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_an_isolate_or_relay_passes_on_is_made_to_agree(
        minute in state(Window::Minute),
        day in state(Window::Day),
        which in 0..3_u8,
        retry_after_ms in 1..60_000_i64,
    ) {
        let mut windows = match which {
            0 => vec![minute],
            1 => vec![day],
            _ => vec![minute, day],
        };
        agree(&mut windows, Span::from_ms(retry_after_ms));
        are_refused_consistently(&windows, Span::from_ms(retry_after_ms));
    }

    #[test]
    fn what_is_told_of_a_request_that_passes_never_exceeds_the_limit(minute in state(Window::Minute), day in state(Window::Day)) {
        told(&[minute, day]);
    }
}

/// As old as can be, and with more left than there can be.
fn state(window: Window) -> impl Strategy<Value = WindowState> {
    let length = window.length().ms();
    (1..1_000_u32, 0..1_200_u32, 0..length).prop_map(move |(limit, remaining, reset_ms)| WindowState {
        window,
        limit,
        remaining,
        reset: Span::from_ms(reset_ms),
    })
}
