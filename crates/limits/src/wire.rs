//! What gates, relays, KeyGates and the Registry say to each other about a key's requests: JSON over `fetch`, the
//! same structs on both sides. Only the Worker can reach the objects. Golden vectors in `tests/golden.rs` pin the shapes,
//! since during a deployment an old Worker talks to a new object.
//!
//! An answer is read strictly: what every build writes must be there, also where it may be null. A field that is
//! missing is a store that fails, never the absence of what it says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{limit::WindowState, timing::PATIENT};
use keyward_core::{record::Record, strict, time::Timestamp};

/// Counts by refusal code: `{"INSUFFICIENT_SCOPE": 3}`.
pub type RefusalCounts = BTreeMap<String, u64>;

/// What a KeyGate is asked. `POST /` with this as the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum KeyGateCall {
    /// The Registry says what holds from now on. Answered with [`Told`].
    Tell {
        /// The whole record.
        record: Record,
    },
    /// A gate asks to let a request through, or for a lease to let some through by itself. Answered
    /// with [`Taken`].
    Take(Take),
    /// A gate asks for the record, because KV does not have it (yet). Answered with [`Found`].
    Find,
    /// A gate reports refusals when it has nothing to take. Answered with [`Noted`].
    Report {
        /// Refusals of this key since the last call.
        refused: RefusalCounts,
        /// What became of leases.
        #[serde(default)]
        leases: Vec<LeaseReport>,
        /// See [`Take::tally`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tally: Option<Tally>,
    },
}

impl KeyGateCall {
    /// Whether nothing is wrong when an object gets it twice. What passes and is counted twice is only wasted; but what
    /// is given back, and what was counted elsewhere, must be told once.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Self::Tell { .. } | Self::Find => true,
            Self::Take(take) => take.unused.is_none() && take.unasked == 0 && take.refused.is_empty(),
            Self::Report { refused, .. } => refused.is_empty(),
        }
    }
}

/// What [`KeyGateCall::Take`] asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Take {
    /// Version of the record that the decision was made on.
    pub version: u64,
    /// Whether a request is at hand; otherwise only a lease is asked for.
    pub at_hand: bool,
    /// It passes within so many milliseconds of now or not at all: a later answer is not used. Who does not say
    /// may take as long as anybody.
    #[serde(default = "longest")]
    pub within_ms: u32,
    /// Further requests that are likely within `life_ms`.
    pub expected: u32,
    /// Of `expected`, so many already wait: a lease of less than these is worth its call, too.
    pub waiting: u32,
    /// For so many milliseconds from before this call a lease may be used; 0 asks for none.
    pub life_ms: u32,
    /// Tells the isolates that ask apart, roughly: a random number.
    pub asker: u32,
    /// What became of leases that were granted here.
    pub leases: Vec<LeaseReport>,
    /// Requests let through since the last call without asking, because nobody could be asked.
    pub unasked: u32,
    /// [`Taken::Granted::place`] of an answer that came too late for the request at hand: not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unused: Option<Timestamp>,
    /// The call that it answered.
    #[serde(skip_serializing_if = "is_zero")]
    pub unused_call: u64,
    /// A relay asks for so many isolates; 0 for an isolate that asks for itself.
    pub isolates: u32,
    /// Refusals of this key since the last call: for objects of an older build, where there is a tally.
    pub refused: RefusalCounts,
    /// Names this call among all; 0 of older builds.
    #[serde(skip_serializing_if = "is_zero")]
    pub call: u64,
    /// What the asker has counted. `None` of older builds, for which this side counts refusals and leases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tally: Option<Tally>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What a gate or relay has counted of a key's requests since it was last heard. [`crate::tally`]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tally {
    /// Who tells: a random number.
    pub teller: u64,
    /// Grows with each tally of this teller. One that is repeated is the same; 0 tells nothing.
    pub number: u64,
    /// The teller's time.
    pub sent: Timestamp,
    /// What came in each hour.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<TallyHour>,
    /// Calls that asked for a request which was not let through after all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unused: Vec<Unused>,
}

/// What came in one hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TallyHour {
    /// The last moment of these, by the teller's clock.
    pub at: Timestamp,
    /// When a request was last let through, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// Requests let through under leases and without asking. Single ones the key's object has counted.
    pub accepted: u64,
    /// Requests refused, by code.
    pub refused: RefusalCounts,
}

/// A call that asked for a request which was not let through: its answer came too late or never, or the key had
/// ended by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unused {
    /// [`Take::call`]
    pub call: u64,
    /// [`Taken::Granted::place`], if an answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Timestamp>,
}

fn longest() -> u32 {
    PATIENT
}

/// Requests that a gate may let through by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// Names it in reports.
    pub id: u64,
    /// How many.
    pub requests: u32,
    /// For so many milliseconds from before the call that it answers.
    pub life_ms: u32,
}

/// What became of a lease so far, as totals: one that is lost, late or repeated does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseReport {
    /// Which.
    pub id: u64,
    /// Requests let through under it.
    pub used: u32,
    /// Milliseconds since the last of them.
    pub age_ms: u32,
    /// Requests that may still come. What is neither used nor open was given back.
    pub open: u32,
}

/// Answer to [`KeyGateCall::Tell`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// The version that holds now: the told one or a later one.
    pub version: u64,
}

/// Answer to [`KeyGateCall::Report`] and to a [`UsageReport`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {}

/// Answer to [`KeyGateCall::Find`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// The record that holds now, if this object was ever told one.
    #[serde(deserialize_with = "strict::nullable")]
    pub record: Option<Record>,
}

/// Answer to [`KeyGateCall::Take`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Taken {
    /// The request may pass; it is counted in every window.
    Granted {
        /// What is left.
        windows: Vec<WindowState>,
        /// The request at hand must wait so many milliseconds before it goes on.
        wait_ms: u32,
        /// Where the request at hand is counted, by the KeyGate's clock, so that it can be given back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<Timestamp>,
        /// More to let through without asking.
        #[serde(deserialize_with = "strict::nullable")]
        lease: Option<Lease>,
        /// How the key's object can be reached from now on.
        via: Via,
    },
    /// At least one window is full; nothing was counted.
    Limited {
        /// What is left.
        windows: Vec<WindowState>,
        /// After so many milliseconds, and not before, one request fits into every window again.
        retry_after_ms: u64,
        /// How the key's object can be reached from now on.
        via: Via,
    },
    /// The decision was made on another version: decide again on this record. Nothing was counted.
    Changed {
        /// The record that holds now.
        record: Record,
    },
    /// This object was never told of the key.
    Unknown,
    /// A relay has taken in what the call tells, but cannot answer in time.
    Unreached {
        /// The key's object does not answer it. Otherwise there was too little time to ask.
        slow: bool,
    },
}

/// Whom a gate is to ask about a key, and how old the word is that it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Via {
    /// So many ask that the next call is to go to a relay.
    pub relay: bool,
    /// Milliseconds since the KeyGate itself gave this word; a relay passes it on.
    pub age_ms: u32,
}

/// What a KeyGate reports to the Registry, from an alarm: whole totals, so that a repeat is harmless.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageReport {
    /// Id of the key.
    pub key_id: String,
    /// When it was last accepted.
    #[serde(deserialize_with = "strict::nullable")]
    pub last_used_at: Option<Timestamp>,
    /// Totals of the hours that changed since the last report.
    pub hours: Vec<UsageHour>,
    /// The KeyGate's time. `None` of older builds, which tell no hour again that was early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Timestamp>,
}

/// The Registry's answer to a [`UsageReport`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UsageTaken {
    /// Hours that were not taken, since they have not come yet by the Registry's clock: to be told again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub early: Vec<Timestamp>,
}

/// Totals of one key in one hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageHour {
    /// The hour's first moment.
    pub hour: Timestamp,
    /// Requests accepted.
    pub accepted: u64,
    /// Requests refused, by code.
    pub refused: RefusalCounts,
    /// Requests that were told as accepted and taken back, all in all: `accepted` is without them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub taken_back: u64,
}
