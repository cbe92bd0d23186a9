//! What gates, relays, coordinators and the Registry say to each other about a key's requests: JSON over `fetch`, the
//! same structs on both sides. Only the Worker can reach the objects. Golden vectors in `tests/it/golden.rs` pin the shapes,
//! since during a deployment an old Worker talks to a new object.
//!
//! An answer is read strictly: what every build writes must be there, also where it may be null. A field that is
//! missing is a store that fails, never the absence of what it says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{limit::WindowState, timing::SECOND_ANSWER_MS};
use keyward_core::{record::Record, strict, time::Timestamp};

/// Counts by refusal code: `{"INSUFFICIENT_SCOPE": 3}`.
pub type RefusalCounts = BTreeMap<String, u64>;

/// What a coordinator is asked, or a relay for it. `POST /` with this as the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum CoordinatorCall {
    /// The Registry stores the record that holds from now on. Answered with [`PutAck`].
    #[serde(rename = "tell")]
    Put {
        /// The whole record.
        record: Record,
    },
    /// A gate asks to admit a request, or for a lease under which it admits requests itself. Answered
    /// with [`Acquired`].
    #[serde(rename = "take")]
    Acquire(Acquire),
    /// A gate asks for the record, because KV does not have it (yet). Answered with [`GetReply`].
    #[serde(rename = "find")]
    Get,
    /// A gate reports what it has counted when it has nothing to acquire. Answered with [`ReportAck`].
    Report {
        /// Refusals of this key since the last call.
        refused: RefusalCounts,
        /// What was used of leases.
        #[serde(default)]
        leases: Vec<LeaseReport>,
        /// See [`Acquire::tally`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tally: Option<Tally>,
    },
}

impl CoordinatorCall {
    /// Whether the call may be delivered twice. A request that is admitted and counted twice is merely wasted; but what
    /// is cancelled, and what was counted elsewhere, must be delivered once.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Self::Put { .. } | Self::Get => true,
            Self::Acquire(acquire) => {
                acquire.cancelled.is_none() && acquire.unreported == 0 && acquire.refused.is_empty()
            }
            Self::Report { refused, .. } => refused.is_empty(),
        }
    }
}

/// What [`CoordinatorCall::Acquire`] asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Acquire {
    /// Version of the record that the decision was made on.
    pub version: u64,
    /// Whether a request is to be admitted now; otherwise only a lease is asked for.
    #[serde(rename = "atHand")]
    pub immediate: bool,
    /// Milliseconds within which that request is admitted, or not at all: a later answer is not used. An older build
    /// that does not say may take as long as any.
    #[serde(default = "longest_answer")]
    pub within_ms: u32,
    /// Requests that the client expects to admit within `lease_length_ms`, beside the immediate one.
    #[serde(rename = "expected")]
    pub wants: u32,
    /// Requests of `wants` that already wait: a lease that is just large enough for them is worth its call, too.
    #[serde(rename = "waiting")]
    pub queued: u32,
    /// Milliseconds for which a lease may be used, from before this call was sent; 0 asks for no lease.
    #[serde(rename = "lifeMs")]
    pub lease_length_ms: u32,
    /// Tells isolates apart, roughly: a random number.
    #[serde(rename = "asker")]
    pub client_id: u32,
    /// What was used of leases that were granted here.
    pub leases: Vec<LeaseReport>,
    /// Requests admitted since the last call under the fallback limit, when nobody could be asked.
    #[serde(rename = "unasked")]
    pub unreported: u32,
    /// The reservation ([`Acquired::Granted`]) that an answer brought too late for its request: to be cancelled.
    #[serde(rename = "unused", skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<Timestamp>,
    /// The call that made that reservation.
    #[serde(rename = "unusedCall", skip_serializing_if = "is_zero")]
    pub cancelled_call: u64,
    /// Isolates on whose behalf a relay asks; 0 for an isolate that asks for itself.
    pub isolates: u32,
    /// Refusals of this key since the last call: for objects of an older build, beside `tally`.
    pub refused: RefusalCounts,
    /// Identifies this call among all; 0 of older builds.
    #[serde(skip_serializing_if = "is_zero")]
    pub call: u64,
    /// What the client has counted. `None` of older builds, for which the object counts refusals and leases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tally: Option<Tally>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn longest_answer() -> u32 {
    SECOND_ANSWER_MS
}

/// What a gate or relay has counted of a key's requests since its last tally was taken in. [`crate::tally`]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tally {
    /// Who tells: a random number.
    pub teller: u64,
    /// Grows with each tally of this teller. One that is repeated has the same; 0 tells nothing but the time.
    pub number: u64,
    /// When it was sent, by the teller's clock.
    pub sent: Timestamp,
    /// What was counted in each hour.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<TallyHour>,
    /// Calls that asked for a request which was not admitted after all.
    #[serde(rename = "unused", skip_serializing_if = "Vec::is_empty")]
    pub cancelled: Vec<Cancelled>,
}

/// What was counted in one hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TallyHour {
    /// The last moment of these, by the teller's clock.
    pub at: Timestamp,
    /// When a request was last admitted, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// Requests admitted under leases and under the fallback limit. Those that it was asked for the coordinator has
    /// counted itself.
    pub accepted: u64,
    /// Requests refused, by code.
    pub refused: RefusalCounts,
}

/// A call that asked for a request which was not admitted: its answer came too late or never, or the key had
/// ended by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cancelled {
    /// [`Acquire::call`]
    pub call: u64,
    /// The reservation that it made, if an answer came.
    #[serde(rename = "place", default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<Timestamp>,
}

/// Requests that a gate may admit by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// Identifies it in reports.
    pub id: u64,
    /// How many.
    pub requests: u32,
    /// Milliseconds for which it lasts, from before the call that it answers was sent.
    #[serde(rename = "lifeMs")]
    pub lease_length_ms: u32,
}

/// What was used of a lease so far, as totals: one that is lost, late or repeated does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseReport {
    /// Which.
    pub id: u64,
    /// Requests admitted under it.
    pub used: u32,
    /// Milliseconds since the last of them.
    pub age_ms: u32,
    /// Requests that may still be admitted. Those neither used nor open were given back.
    pub open: u32,
}

/// Answer to [`CoordinatorCall::Put`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutAck {
    /// The version that holds now: that of the call or a later one.
    pub version: u64,
}

/// Answer to [`CoordinatorCall::Report`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportAck {}

/// Answer to [`CoordinatorCall::Get`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetReply {
    /// The record that holds now, if this object was ever given one.
    #[serde(deserialize_with = "strict::nullable")]
    pub record: Option<Record>,
}

/// Answer to [`CoordinatorCall::Acquire`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Acquired {
    /// The request may pass; it is counted in every window.
    Granted {
        /// What is left.
        windows: Vec<WindowState>,
        /// Milliseconds by which the immediate request is to be delayed before it goes on.
        #[serde(rename = "waitMs")]
        delay_ms: u32,
        /// When the immediate request is counted, by the coordinator's clock, so that it can be cancelled.
        #[serde(rename = "place", default, skip_serializing_if = "Option::is_none")]
        reservation: Option<Timestamp>,
        /// Further requests, to admit without asking.
        #[serde(deserialize_with = "strict::nullable")]
        lease: Option<Lease>,
        /// Whom to ask next.
        via: RouteHint,
    },
    /// At least one window is full; nothing was counted.
    Limited {
        /// What is left.
        windows: Vec<WindowState>,
        /// Milliseconds after which, and not before, a request fits into every window again.
        retry_after_ms: u64,
        /// Whom to ask next.
        via: RouteHint,
    },
    /// The decision was made on another version: decide again on this record. Nothing was counted.
    Changed {
        /// The record that holds now.
        record: Record,
    },
    /// This object was never given the key's record.
    Unknown,
    /// A relay has taken in what the call reports, but cannot answer in time.
    Unreached {
        /// The coordinator does not answer the relay. Otherwise there was too little time to ask it.
        slow: bool,
    },
}

/// Whom a gate is to ask about a key next, and how old the answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteHint {
    /// Crowd mode: ask a relay next.
    pub relay: bool,
    /// Milliseconds since the coordinator itself confirmed the record; a relay passes this on.
    pub age_ms: u32,
}

/// What a coordinator reports to the Registry, from an alarm: whole totals, so that a repeat is harmless.
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
    /// The coordinator's time. `None` of older builds, which tell no hour again that was early.
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
