//! The messages between isolates, relays, coordinators and the Registry: JSON over `fetch`, with the same types on both
//! sides. Only the Worker can reach the objects. During a deployment an old Worker talks to a new object, so golden vectors
//! pin every shape (`tests/it/golden.rs` of the workspace), and fields keep the names that they had first.
//!
//! Answers are read strictly: a field that every build writes must be there, even if it may be null. If one is missing,
//! the store has failed; it never means that there is no limit or no record.

use keyward_json::{by_tag, from_value, optional, required};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use crate::{
    counts::Counts,
    limit::{Window, WindowState},
    routes::OnRoutes,
    timing::{SECOND_ANSWER, SHORTEST_OF_RELAY},
};
use keyward_core::{
    order,
    record::{Cost, Record},
    registry_call::RegistryCall,
    strict,
    time::{Span, Timestamp},
};

/// In place of a key, its hash and its tenant: refusals that belong to no key. They are told through relays to one object of
/// this name, as a key's are, each as its realm (empty if there is none), a space and its code.
pub const UNATTRIBUTED: &str = "unattributed";

/// Counts by refusal code: `{"INSUFFICIENT_SCOPE": 3}`.
pub type RefusalCounts = Counts;

/// A call to a coordinator, or to a relay in its place: the body of a `POST /`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase", try_from = "Value")]
pub enum CoordinatorCall {
    /// The Registry stores the record that applies from now on. Answered with [`PutAck`].
    #[serde(rename = "tell")]
    Put {
        /// The whole record.
        record: Record,
    },
    /// An isolate asks to admit a request, or for a lease under which it admits requests itself. Answered with
    /// [`Acquired`].
    #[serde(rename = "take")]
    Acquire(Acquire),
    /// An isolate asks for the record, because KV does not have it (yet). Answered with [`GetReply`].
    #[serde(rename = "find")]
    Get,
    /// An isolate reports what it has counted, and needs nothing. Answered with [`ReportAck`].
    Report {
        /// Refusals of this key since the last call.
        refused: RefusalCounts,
        /// What was used of leases.
        leases: Vec<LeaseReport>,
        /// See [`Acquire::tally`].
        #[serde(skip_serializing_if = "Option::is_none")]
        tally: Option<Tally>,
    },
    /// An isolate says that a request is still in flight, or that it has ended. Answered with [`Found`].
    InFlight {
        /// The [call](Acquire::call) that admitted it.
        call: u64,
        /// For how long it counts as in flight from now on, unless it is said again; 0 if it has ended.
        #[serde(rename = "lifeMs")]
        length: Span,
    },
    /// Somebody says what a request under a budget has used. Answered with [`Found`].
    Settle {
        /// The [call](Acquire::call) that admitted it.
        call: u64,
        /// How many units.
        used: u32,
    },
}

impl TryFrom<Value> for CoordinatorCall {
    type Error = keyward_json::Error;

    fn try_from(sent: Value) -> Result<Self, Self::Error> {
        by_tag(&sent, "op", |op| {
            Ok(Some(match op {
                "tell" => Self::Put { record: required(&sent, "record")? },
                "take" => Self::Acquire(from_value(&sent)?),
                "find" => Self::Get,
                "report" => Self::Report {
                    refused: required(&sent, "refused")?,
                    leases: optional(&sent, "leases")?,
                    tally: optional(&sent, "tally")?,
                },
                "inFlight" => {
                    Self::InFlight { call: required(&sent, "call")?, length: required(&sent, "lifeMs")? }
                }
                "settle" => Self::Settle { call: required(&sent, "call")?, used: required(&sent, "used")? },
                _ => return Ok(None),
            }))
        })
    }
}

impl CoordinatorCall {
    /// Whether the call may be delivered twice. A request that is counted twice is merely wasted; but a cancellation, or
    /// what was counted elsewhere, must be delivered once.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Self::Put { .. } | Self::Get | Self::InFlight { .. } | Self::Settle { .. } => true,
            Self::Acquire(acquire) => {
                acquire.cancelled.is_none() && acquire.unreported == 0 && acquire.refused.is_empty()
            }
            Self::Report { refused, .. } => refused.is_empty(),
        }
    }
}

/// The contents of [`CoordinatorCall::Acquire`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Acquire {
    /// The version of the record that the isolate decided on.
    pub version: u64,
    /// Whether to admit a request now; otherwise only a lease is asked for.
    #[serde(rename = "atHand")]
    pub immediate: bool,
    /// What that request counts as. An older build counts 1, and does not say otherwise in [`Acquired::Granted`].
    #[serde(skip_serializing_if = "Cost::is_one")]
    pub cost: Cost,
    /// The isolate uses the answer only within this time after asking. Older builds do not say, and count as the longest.
    #[serde(rename = "withinMs", default = "longest_answer")]
    pub within: Span,
    /// Units that the client expects to need in the next seconds, beside the immediate request's.
    #[serde(rename = "expected")]
    pub wants: u32,
    /// The same for `lease_length`, if that is minutes. Older builds ask for none.
    #[serde(rename = "expectedForLong", skip_serializing_if = "strict::is_zero")]
    pub wants_for_long: u32,
    /// How many of `wants` wait already. For them even a small lease is worth its call.
    #[serde(rename = "waiting")]
    pub queued: u32,
    /// For how long a lease may be used at the longest, counted from before this call was sent; 0 asks for no lease.
    #[serde(rename = "lifeMs")]
    pub lease_length: Span,
    /// Whether the lease may be [deferred](Lease::opens). Older builds would use it at once.
    #[serde(rename = "defers", skip_serializing_if = "std::ops::Not::not")]
    pub may_defer: bool,
    /// A random number that tells isolates apart, roughly.
    #[serde(rename = "asker")]
    pub client_id: u32,
    /// Reports of leases that were granted here.
    pub leases: Vec<LeaseReport>,
    /// Units admitted under the fallback limit since the last call.
    #[serde(rename = "unasked")]
    pub unreported: u32,
    /// A reservation to cancel: its answer ([`Acquired::Granted`]) came too late for its request.
    #[serde(rename = "unused", skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<Timestamp>,
    /// The call that made that reservation.
    #[serde(rename = "unusedCall", skip_serializing_if = "strict::is_zero")]
    pub cancelled_call: u64,
    /// The number of isolates for which a relay asks; 0 from an isolate.
    pub isolates: u32,
    /// Refusals of this key since the last call, for objects of an older build. Newer ones read `tally`.
    pub refused: RefusalCounts,
    /// Identifies this call; 0 from older builds.
    #[serde(skip_serializing_if = "strict::is_zero")]
    pub call: u64,
    /// What the client has counted. `None` from older builds, for which the object counts refusals and leases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tally: Option<Tally>,
    /// Where the immediate request comes from, as [`UsedFrom`](crate::used_from::UsedFrom) describes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// The [name](crate::routes::RouteName) of the route that the immediate request takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// For how long the immediate request counts as in flight, unless that is [said](CoordinatorCall::InFlight) again; 0 if it need
    /// not be counted so.
    #[serde(rename = "inFlightMs", skip_serializing_if = "strict::is_zero")]
    pub in_flight: Span,
    /// For how long it is not known what the immediate request uses of its cost. What is not [settled](CoordinatorCall::Settle) by then
    /// counts as used. 0 if all of it is used at once.
    #[serde(rename = "budgetMs", skip_serializing_if = "strict::is_zero")]
    pub budget: Span,
}

impl Acquire {
    /// The units that are to be counted at once.
    pub fn immediate_units(&self) -> u32 {
        if self.immediate { self.cost.units() } else { 0 }
    }

    /// Whether an isolate asks that could ask a relay instead.
    pub fn could_go_to_relay(&self) -> bool {
        self.isolates == 0 && self.lease_length >= SHORTEST_OF_RELAY
    }
}

fn longest_answer() -> Span {
    SECOND_ANSWER
}

/// What an isolate or relay has counted of a key's requests since its last tally was acknowledged ([`crate::tally`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tally {
    /// Who sends it: a random number.
    pub teller: u64,
    /// Grows with each tally of this teller; a tally that is sent again keeps its number. 0 has no counts, only the time.
    pub number: u64,
    /// When it was sent, by the teller's clock.
    pub sent: Timestamp,
    /// What was counted in each hour.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<TallyHour>,
    /// Calls whose request was not admitted after all.
    #[serde(rename = "unused", skip_serializing_if = "Vec::is_empty")]
    pub cancelled: Vec<Cancelled>,
    /// Some of the requests that were refused, each as the gate describes it: only the Registry reads them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub latest: Vec<Value>,
    /// Where the last request that was admitted came from, if that is known: only the Registry reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_from: Option<Value>,
}

/// The counts of one hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TallyHour {
    /// The last moment at which one of these happened, by the teller's clock.
    pub at: Timestamp,
    /// When a request was last admitted, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// Requests admitted under leases and under the fallback limit. Requests that the coordinator admitted it has counted
    /// itself.
    pub accepted: u64,
    /// Requests refused, by code.
    pub refused: RefusalCounts,
    /// The same by route, where one was found.
    #[serde(skip_serializing_if = "OnRoutes::is_empty")]
    pub routes: OnRoutes,
}

/// A call whose request was not admitted: the answer came too late or never, or the key had expired by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cancelled {
    /// [`Acquire::call`]
    pub call: u64,
    /// The reservation, if an answer brought one.
    #[serde(rename = "place", default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<Timestamp>,
}

/// A number of units that an isolate may admit by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// Identifies it in reports.
    pub id: u64,
    /// How many.
    pub requests: u32,
    /// For how long it lasts, counted from before the call was sent.
    #[serde(rename = "lifeMs")]
    pub length: Span,
    /// A deferred lease gives slots that are still taken: for each of its last units how long after the answer has arrived it may
    /// be used, in that order. The others may be used at once.
    #[serde(rename = "opensMs", default, skip_serializing_if = "Vec::is_empty")]
    pub opens: Vec<Span>,
}

/// The usage of a lease so far, in totals: a report that is lost, late or repeated does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseReport {
    /// Which.
    pub id: u64,
    /// Units admitted under it.
    pub used: u32,
    /// The time since the last of them.
    #[serde(rename = "ageMs")]
    pub age: Span,
    /// Units that may still be admitted. What is neither used nor open was given back.
    pub open: u32,
}

/// Answer to [`CoordinatorCall::Put`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutAck {
    /// The version that applies now: that of the call, or a later one.
    pub version: u64,
}

/// Answer to [`CoordinatorCall::Report`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportAck {}

/// Answer to [`CoordinatorCall::InFlight`] and [`CoordinatorCall::Settle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Whether the request was open.
    pub found: bool,
}

/// Answer to [`CoordinatorCall::Get`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetReply {
    /// The record that applies now, if this object was ever given one.
    #[serde(deserialize_with = "strict::nullable")]
    pub record: Option<Record>,
}

/// Answer to [`CoordinatorCall::Acquire`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "camelCase", rename_all_fields = "camelCase", try_from = "Value")]
pub enum Acquired {
    /// What was asked for is granted, and counted in every window.
    Granted {
        /// What is left.
        #[serde(flatten, serialize_with = "states")]
        windows: Vec<WindowState>,
        /// For how long to delay the immediate request.
        #[serde(rename = "waitMs")]
        delay: Span,
        /// The moment at which the immediate request counts, by the coordinator's clock, so that it can be cancelled.
        #[serde(rename = "place", skip_serializing_if = "Option::is_none")]
        reservation: Option<Timestamp>,
        /// What the immediate request was counted as.
        #[serde(skip_serializing_if = "Cost::is_one")]
        cost: Cost,
        /// Further requests, which the isolate admits without asking.
        lease: Option<Lease>,
        /// Whom to ask next.
        via: RouteHint,
        /// Whether the immediate request is open from now on, as was asked: in flight, under a budget, or both. Older builds do not
        /// say so of any.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        open: bool,
    },
    /// As many requests are in flight as the key may have, or only what open budgets reserve leaves no room; nothing was counted.
    Busy {
        /// What is left.
        #[serde(flatten, serialize_with = "states")]
        windows: Vec<WindowState>,
        /// How many requests it may have in flight, or has budgets open.
        limit: u32,
        /// Whether it is budgets.
        #[serde(rename = "byBudgets", skip_serializing_if = "std::ops::Not::not")]
        by_budgets: bool,
    },
    /// At least one window is full; nothing was counted.
    Limited {
        /// What is left.
        #[serde(flatten, serialize_with = "states")]
        windows: Vec<WindowState>,
        /// The time after which, and not before, a request fits into every window again.
        #[serde(rename = "retryAfterMs")]
        retry_after: Span,
        /// The next slots that become free, for the isolate that asked.
        #[serde(skip_serializing_if = "Option::is_none")]
        lease: Option<Lease>,
        /// Whom to ask next.
        via: RouteHint,
    },
    /// The isolate decided on another version and must decide again on this record. Nothing was counted.
    Changed {
        /// The record that applies now.
        record: Record,
    },
    /// This object was never given the key's record.
    Unknown,
    /// From a relay: it has taken in what the call reports, but cannot answer in time.
    Unreached {
        /// Whether the coordinator does not answer the relay; otherwise there was too little time to ask it.
        slow: bool,
    },
}

impl Acquired {
    /// The lease that it brings.
    pub fn lease(&self) -> Option<&Lease> {
        match self {
            Self::Granted { lease, .. } | Self::Limited { lease, .. } => lease.as_ref(),
            _ => None,
        }
    }
}

/// Older builds know the minute and the day, and refuse to read another window among these.
fn states<S: Serializer>(windows: &[WindowState], serializer: S) -> Result<S::Ok, S::Error> {
    let is_old = |state: &WindowState| matches!(state.window, Window::Minute | Window::Day);
    let (old, new): (Vec<WindowState>, Vec<_>) = windows.iter().partition(|state| is_old(state));
    let mut members = serializer.serialize_map(None)?;
    members.serialize_entry("windows", &old)?;
    if !new.is_empty() {
        members.serialize_entry("moreWindows", &new)?;
    }
    members.end()
}

fn read_states(sent: &Value) -> Result<Vec<WindowState>, keyward_json::Error> {
    let old: Vec<WindowState> = required(sent, "windows")?;
    let new: Vec<WindowState> = optional(sent, "moreWindows")?;
    Ok(order::sorted_by(old.into_iter().chain(new), |one, other| one.window <= other.window))
}

impl TryFrom<Value> for Acquired {
    type Error = keyward_json::Error;

    fn try_from(sent: Value) -> Result<Self, Self::Error> {
        by_tag(&sent, "outcome", |outcome| {
            Ok(Some(match outcome {
                "granted" => Self::Granted {
                    windows: read_states(&sent)?,
                    delay: required(&sent, "waitMs")?,
                    reservation: optional(&sent, "place")?,
                    cost: optional(&sent, "cost")?,
                    lease: required(&sent, "lease")?,
                    via: required(&sent, "via")?,
                    open: optional(&sent, "open")?,
                },
                "busy" => Self::Busy {
                    windows: read_states(&sent)?,
                    limit: required(&sent, "limit")?,
                    by_budgets: optional(&sent, "byBudgets")?,
                },
                "limited" => Self::Limited {
                    windows: read_states(&sent)?,
                    retry_after: required(&sent, "retryAfterMs")?,
                    lease: optional(&sent, "lease")?,
                    via: required(&sent, "via")?,
                },
                "changed" => Self::Changed { record: required(&sent, "record")? },
                "unknown" => Self::Unknown,
                "unreached" => Self::Unreached { slow: required(&sent, "slow")? },
                _ => return Ok(None),
            }))
        })
    }
}

/// Whom to ask next and when, and how old the answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteHint {
    /// Crowd mode: ask a relay next.
    pub relay: bool,
    /// The time since the coordinator itself confirmed the record; more than 0 from a relay.
    #[serde(rename = "ageMs")]
    pub age: Span,
    /// For how long, from when it was asked, it is no use to ask again once all is used that the answer grants: a window is
    /// full, and hardly more is free before.
    #[serde(rename = "holdMs", default, skip_serializing_if = "strict::is_zero")]
    pub hold: Span,
}

/// A coordinator's report to the Registry, sent by an alarm: totals, so that a repeat is harmless.
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
    /// The coordinator's time. `None` from older builds, which do not send an hour again that was early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Timestamp>,
    /// The latest refusals that are known in detail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latest: Vec<Value>,
    /// When a window of it was last nearly full, by the coordinator's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near_limit_at: Option<Timestamp>,
    /// Where it was last accepted from, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_from: Option<Value>,
    /// How much of its limits was reached since the last report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reached: Vec<Reached>,
}

/// So much of a limit was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reached {
    /// The limit, as the API names it: `perDay`.
    pub window: String,
    /// In per cent: 80, 95 or 100.
    pub percent: u64,
    /// The limit itself.
    pub limit: u32,
}

impl RegistryCall for UsageReport {
    const PATH: &'static str = "/usage";
    type Answer = UsageTaken;

    /// It has totals, which replace those of an earlier report.
    fn is_repeatable(&self) -> bool {
        true
    }
}

/// The Registry's answer to a [`UsageReport`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UsageTaken {
    /// Hours that were not taken, since by the Registry's clock they lie in the future. They must be sent again.
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
    /// Requests that were reported as accepted and did not pass after all; `accepted` is without them.
    #[serde(default, skip_serializing_if = "strict::is_zero")]
    pub taken_back: u64,
    /// The same by route, where one was found and no older build has counted.
    #[serde(default, skip_serializing_if = "OnRoutes::is_empty")]
    pub routes: OnRoutes,
}
