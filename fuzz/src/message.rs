//! What Worker and objects say to each other, and what is stored: read strictly, and kept as it was.
//!
//! Input: a byte that chooses the kind; then JSON. For a coordinator and a relay, a call a line, after milliseconds of the clock.

use keyward_core::{
    link::{LinkState, Redeem, Redeemed, Session},
    record::Record,
    time::Span,
};
use keyward_limits::{
    coordinator::{Coordinator, Counts},
    relay::Relay,
    usage::Usage,
    wire::{Acquire, Acquired, CoordinatorCall, Found, GetReply, PutAck, Tally, UsageReport, UsageTaken},
};
use keyward_registry::admin_call::{AdminCall, AdminReply};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::support::{NOW, choice, text};

pub fn run(data: &[u8]) {
    let (chosen, rest) = choice(data);
    let text = text(rest);
    match chosen % 20 {
        0 => kept::<Record>(
            &text,
            &["expiresAt", "tenant", "limits", "scopes", "allowedIps", "version", "status"],
        ),
        1 => kept::<CoordinatorCall>(&text, &["op"]),
        2 => kept::<Acquired>(&text, &["outcome"]),
        3 => kept::<PutAck>(&text, &["version"]),
        4 => kept::<GetReply>(&text, &["record"]),
        5 => kept::<UsageReport>(&text, &["keyId", "lastUsedAt", "hours"]),
        6 => kept::<UsageTaken>(&text, &[]),
        7 => kept::<AdminCall>(
            &text,
            &["credential", "body", "ifMatch", "idempotencyKey", "address", "requestId"],
        ),
        8 => kept::<AdminReply>(&text, &["status", "headers", "body"]),
        9 => kept::<Redeem>(&text, &["hash", "realm"]),
        10 => kept::<Redeemed>(&text, &["outcome"]),
        11 => kept::<Session>(&text, &["realm", "tenant", "subject", "sessionId", "expiresAt"]),
        12 => kept::<LinkState>(&text, &["expiresAt"]),
        13 => kept::<Counts>(&text, &[]),
        14 => kept::<Usage>(&text, &[]),
        15 => kept::<Tally>(&text, &[]),
        16 | 17 => coordinator(&text),
        _ => relay(&text),
    }
}

/// What was read is written as it was read; what every build writes has to be there. `keyward_json`, with which the Worker
/// reads, reads what `serde_json` reads, except lists for structs.
fn kept<T: Serialize + DeserializeOwned>(text: &str, needed: &[&str]) {
    let Ok(given) = keyward_json::parse(text) else { return };
    let second = serde_json::from_value::<T>(given.clone());
    let written_by_second =
        second.as_ref().map(|read| serde_json::to_string(read).expect("it can be written"));
    let Ok(read) = keyward_json::from_value::<T>(&given) else {
        if let Ok(written) = written_by_second {
            let read = keyward_json::from_str::<T>(&written);
            assert!(read.is_ok(), "{written}: {:?}", read.err());
        }
        return;
    };
    // A list may stand for a struct within a tagged enum, which serde itself reads.
    if let Some(object) = given.as_object() {
        let missing = needed.iter().find(|name| !object.contains_key(**name));
        assert!(missing.is_none(), "{missing:?} is missing, and {text} is read all the same");
    }
    let written = serde_json::to_string(&read).expect("it can be written");
    assert_eq!(written_by_second.ok().as_ref(), Some(&written), "as serde_json reads {text}");
    let again: T = keyward_json::from_str(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
    // No build stores fractions. What a later one may have is read to the nearest number but one, so that its last digit moves.
    if whole_numbers(&given) {
        assert_eq!(serde_json::to_string(&again).expect("it can be written"), written);
    }
    assert!(written.len() <= 20 * text.len() + 1_000, "{} bytes of {}", written.len(), text.len());
}

fn whole_numbers(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_f64(),
        Value::Array(items) => items.iter().all(whole_numbers),
        Value::Object(members) => members.values().all(whole_numbers),
        _ => true,
    }
}

/// A coordinator answers whatever its callers send, and what it keeps can be read.
fn coordinator(text: &str) {
    let mut gate = Coordinator::default();
    let mut now = NOW;
    for line in text.lines().take(20) {
        let (later, call) = line.split_once(' ').unwrap_or(("0", line));
        now = now + Span::from_ms(later.parse::<i32>().unwrap_or_default().into());
        let Ok(call) = keyward_json::from_str::<CoordinatorCall>(call) else { continue };
        let (answer, _) = gate.answer(call.clone(), now).expect("it can be written");
        let is_read = match call {
            CoordinatorCall::Put { .. } => keyward_json::from_str::<PutAck>(&answer).is_ok(),
            CoordinatorCall::Acquire(_) => {
                keyward_json::from_str::<Acquired>(&answer).map(|taken| is_within(&gate, &taken)).is_ok()
            }
            CoordinatorCall::Get => keyward_json::from_str::<GetReply>(&answer).is_ok(),
            CoordinatorCall::InFlight { .. } | CoordinatorCall::Settle { .. } => {
                keyward_json::from_str::<Found>(&answer).is_ok()
            }
            CoordinatorCall::Report { .. } => answer == "{}",
        };
        assert!(is_read, "{answer}");
        let counts = serde_json::to_string(&gate.counts).expect("it can be kept");
        assert_eq!(keyward_json::from_str::<Counts>(&counts).expect("it can be read"), gate.counts);
        gate.report_in(now);
        if let Some(report) = gate.report(now) {
            gate.reported(&report, &[], now);
        }
    }
}

/// Never more than the limit.
fn is_within(gate: &Coordinator, taken: &Acquired) {
    let (Acquired::Granted { windows, .. } | Acquired::Limited { windows, .. }) = taken else { return };
    let limits = gate.record.as_ref().map(|record| record.limits).unwrap_or_default();
    assert_eq!(windows.len(), limits.set().count());
    for window in windows {
        assert!(window.remaining <= window.limit, "{window:?}");
    }
}

fn relay(text: &str) {
    let mut relay = Relay::new(7);
    let mut now = NOW;
    for line in text.lines().take(20) {
        let (later, call) = line.split_once(' ').unwrap_or(("0", line));
        now = now + Span::from_ms(later.parse::<i32>().unwrap_or_default().into());
        relay.notice(now);
        if let Ok(take) = keyward_json::from_str::<Acquire>(call) {
            relay.ingest(&take, now);
            relay.answer(&take, now);
            relay.returns_in(now);
        } else if let Ok(taken) = keyward_json::from_str::<Acquired>(call) {
            let take = relay.ask(1, 1, now);
            relay.answered(&take, Some(&taken), now, now);
        }
        relay.delivery_due_in(now);
    }
}
