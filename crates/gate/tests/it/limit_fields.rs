//! What a client is told of its limits never contradicts itself: `RateLimit-Policy`, `RateLimit` and
//! `Retry-After`, whatever happened to the key before.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::{Cost, Limits, Record},
    time::{self, Span},
};
use keyward_gate::{
    denial::Denial,
    refusal::{rate_limit_headers, refuse, x_rate_limit_headers},
};
use keyward_limits::{
    coordinator::Coordinator,
    limit::{Window, WindowState, agree},
    timing::FIRST_ANSWER,
    wire::{Acquire, Acquired},
};
use keyward_policy::{Realm, ResetForm};
use keyward_testing::{NOON, policy::POLICY, record};
use proptest::prelude::*;

/// The longest life of a lease here, in seconds, rounded up.
const LEASE_S: u64 = 6;

/// One window as both fields have it: its name, `q`, `r` and `t`.
type Told = (String, u64, u64, Option<u64>);

fn window(name: &str) -> Window {
    Window::ALL.into_iter().find(|window| window.name() == name).unwrap()
}

/// Both fields, taken apart; fails where they do not name the same windows in the same order.
fn told(windows: &[WindowState]) -> Vec<Told> {
    let fields = rate_limit_headers(windows);
    if fields.is_empty() {
        return Vec::new();
    }
    // The name, the first parameter, and the second one, if there is one.
    let items = |value: &str, second: &str| -> Vec<(String, u64, Option<u64>)> {
        let item = |item: &str| {
            let mut parts = item.split(';');
            let name = parts.next().unwrap().trim_matches('"').to_owned();
            let number = parts.next().unwrap()[2..].parse().unwrap();
            let more = parts.next().map(|part| part.strip_prefix(second).unwrap().parse().unwrap());
            assert_eq!(parts.next(), None);
            (name, number, more)
        };
        value.split(", ").map(item).collect()
    };
    let (policy, left) = (items(&fields[0].1, "w="), items(&fields[1].1, "t="));
    assert_eq!(policy.len(), left.len());
    let both = policy.into_iter().zip(left);
    both.map(|((name, quota, length), (same, remaining, reset))| {
        assert_eq!(name, same);
        assert!(remaining <= quota, "{fields:?}");
        let window = window(&name);
        assert_eq!(length, window.length().map(Span::secs_to_wait), "{fields:?}");
        assert_eq!(reset.is_none(), window == Window::Total, "{fields:?}");
        if let Some(reset) = reset {
            // What a lease may still let through leaves the window one lease's life later.
            assert!(reset <= length.unwrap_or(31 * 86_400) + LEASE_S, "{fields:?}");
            assert!(reset > 0 || remaining == quota, "{fields:?}");
        }
        (name, quota, remaining, reset)
    })
    .collect()
}

fn are_refused_consistently(windows: &[WindowState], retry_after: Span) {
    let full: Vec<_> = told(windows).into_iter().filter(|(_, _, remaining, _)| *remaining == 0).collect();
    let denial = Denial::RateLimited { windows: windows.to_vec(), cost: Cost::ONE, retry_after };
    let answer = refuse(&denial, Some(&POLICY.realms[0]), "req-1");
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let has = |name: &str| answer.headers.iter().find(|header| header.0 == name).map(|header| &*header.1);
    if full.iter().any(|(name, ..)| name == "total") {
        // Waiting does not help.
        assert_eq!((has("Retry-After"), has("X-Should-Retry")), (None, Some("false")));
    } else {
        let longest = full.iter().filter_map(|(_, _, _, reset)| *reset).max();
        assert_eq!(longest, Some(time::retry_after(retry_after)), "{windows:?} {retry_after:?}");
        assert_eq!(has("Retry-After"), Some(&*time::retry_after(retry_after).to_string()));
    }
    let named: Vec<_> = full.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(body["violatedPolicies"], serde_json::json!(named));
    for (name, quota, ..) in &full {
        let of = format!("{quota} request{} {}", if *quota == 1 { "" } else { "s" }, window(name).phrase());
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
    proptest::array::uniform7(prop_oneof![1 => Just(None), 1 => limit(12)])
        .prop_map(|limits| Limits::each(|window| limits[window as usize]))
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
                    agree(&mut corrected, Cost::ONE, retry_after);
                    prop_assert_eq!(&corrected, &windows);
                    windows
                }
                other => panic!("{other:?}"),
            };
            let named: Vec<_> = windows.iter().map(|state| (state.window, state.limit)).collect();
            prop_assert_eq!(named, limits.set().collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_an_isolate_or_relay_passes_on_is_made_to_agree(
        states in states(),
        retry_after_ms in 1..6_000_i64,
    ) {
        let mut windows = states;
        // Of a total that is not spent, nobody but its coordinator says when it is.
        prop_assume!(windows.iter().any(|state| state.window != Window::Total || state.is_spent(Cost::ONE)));
        agree(&mut windows, Cost::ONE, Span::from_ms(retry_after_ms));
        are_refused_consistently(&windows, Span::from_ms(retry_after_ms));
    }

    #[test]
    fn what_is_told_of_a_request_that_passes_never_exceeds_the_limit(states in states()) {
        told(&states);
    }
}

/// As old as can be, and with more left than there can be.
fn state(window: Window) -> impl Strategy<Value = WindowState> {
    let length = window.length().map_or(28 * 86_400_000, Span::ms);
    let remaining = prop_oneof![1 => Just(0), 4 => 0..1_200_u32];
    (1..1_000_u32, remaining, 0..length).prop_map(move |(limit, remaining, reset_ms)| WindowState {
        window,
        limit,
        remaining,
        reset: if window == Window::Total { Span::ZERO } else { Span::from_ms(reset_ms) },
        of_tenant: false,
    })
}

/// Some windows, in their order.
fn states() -> impl Strategy<Value = Vec<WindowState>> {
    let all: Vec<_> = Window::ALL.into_iter().map(state).collect();
    all.prop_flat_map(|states| proptest::sample::subsequence(states, 1..=6))
}

#[test]
fn clients_that_read_x_ratelimit_are_told_of_the_window_that_is_nearest_to_being_full() {
    let state = |window, limit, remaining, reset| WindowState {
        window,
        limit,
        remaining,
        reset: Span::from_secs(reset),
        of_tenant: false,
    };
    let windows = [
        state(Window::Minute, 100, 10, 30),
        state(Window::Day, 1_000, 5, 3_600),
        state(Window::Total, 10, 0, 0),
        state(Window::InFlight, 2, 0, 0),
    ];
    let told = |form| {
        let realm = POLICY.realms[0];
        let limits = keyward_policy::Limits { x_ratelimit: form, ..realm.limits };
        let headers = x_rate_limit_headers(&Realm { limits, ..realm }, &windows, NOON);
        headers.into_iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>()
    };
    assert_eq!(told(None), [] as [&str; 0]);
    let common = ["X-RateLimit-Limit: 1000", "X-RateLimit-Remaining: 5"];
    assert_eq!(told(Some(ResetForm::Seconds)), [common[0], common[1], "X-RateLimit-Reset: 3600"]);
    let epoch = format!("X-RateLimit-Reset: {}", NOON.0 / 1_000 + 3_601);
    assert_eq!(told(Some(ResetForm::Epoch)), [common[0], common[1], &epoch]);
}
