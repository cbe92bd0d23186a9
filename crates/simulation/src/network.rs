//! What is between isolates and objects: how bad the network is, and how much each object has to answer.

use std::collections::{BTreeMap, VecDeque};

use keyward_core::time::{SECOND, Span, Timestamp};
use keyward_limits::wire::{Acquire, CoordinatorCall};

/// How bad the network is.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// The shortest and the longest round trip to an object.
    pub round_trip: (Span, Span),
    /// Of 1,000 messages, how many are lost.
    pub lost: u64,
    /// By how much KV may lag.
    pub kv_lag: Span,
    /// By how much an isolate's clock may be off.
    pub skew: Span,
}

/// An object. Keys and relays have numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// A key's coordinator.
    Coordinator(usize),
    /// One of a key's relays.
    Relay(usize, u32),
    /// One of the change log's relays.
    LogRelay(u32),
    /// The Registry.
    Registry,
}

impl Object {
    /// The key that it belongs to.
    pub fn key(self) -> Option<usize> {
        match self {
            Self::Coordinator(key) | Self::Relay(key, _) => Some(key),
            Self::LogRelay(_) | Self::Registry => None,
        }
    }

    pub fn is_relay(self) -> bool {
        matches!(self, Self::Relay(..) | Self::LogRelay(_))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Coordinator(_) => "a key's object",
            Self::Relay(..) => "a relay",
            Self::LogRelay(_) => "a relay of the change log",
            Self::Registry => "the Registry",
        }
    }
}

/// What an object is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// To admit a request, which waits for that; the answer may bring a lease.
    Check,
    /// For a lease, ahead of need.
    Lease,
    /// Only whether the record holds.
    Confirmation,
    /// For the record, which KV does not have.
    Record,
    /// To report what was counted or is given back.
    Report,
    /// A relay asks its coordinator for all of its isolates.
    ForRelay,
    /// The Registry tells of a change.
    Change,
    /// An isolate reads the change log.
    Log,
    /// A relay reads it for all of its isolates.
    LogForRelay,
    /// An alarm rings. Nobody calls, but it costs what a call costs.
    Alarm,
    /// A coordinator reports usage to the Registry.
    Usage,
}

impl Purpose {
    pub const ALL: [Self; 11] = [
        Self::Check,
        Self::Lease,
        Self::Confirmation,
        Self::Record,
        Self::Report,
        Self::ForRelay,
        Self::Change,
        Self::Log,
        Self::LogForRelay,
        Self::Alarm,
        Self::Usage,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Lease => "lease",
            Self::Confirmation => "confirmation",
            Self::Record => "record",
            Self::Report => "report",
            Self::ForRelay => "for a relay",
            Self::Change => "change",
            Self::Log => "change log",
            Self::LogForRelay => "change log, for a relay",
            Self::Alarm => "alarm",
            Self::Usage => "usage",
        }
    }

    pub(crate) fn of(call: &CoordinatorCall) -> Self {
        match call {
            CoordinatorCall::Acquire(Acquire { isolates: 1.., .. }) => Self::ForRelay,
            CoordinatorCall::Acquire(Acquire { immediate: true, .. }) => Self::Check,
            CoordinatorCall::Acquire(Acquire { wants: 0, queued: 0, .. }) => Self::Confirmation,
            CoordinatorCall::Acquire(_) => Self::Lease,
            CoordinatorCall::Get => Self::Record,
            CoordinatorCall::Report { .. }
            | CoordinatorCall::InFlight { .. }
            | CoordinatorCall::Settle { .. } => Self::Report,
            CoordinatorCall::Put { .. } => Self::Change,
        }
    }
}

/// Calls to one object.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Those within the last second.
    recent: VecDeque<(Timestamp, Purpose)>,
    /// The most within any second …
    pub peak: usize,
    /// … when that second ended …
    pub peak_at: Timestamp,
    /// … and what they were for.
    pub peak_for: BTreeMap<Purpose, usize>,
    /// All of them.
    pub total: u64,
    /// All of them, by what they were for.
    pub total_for: BTreeMap<Purpose, u64>,
}

impl Load {
    /// Counts a call.
    pub(crate) fn count(&mut self, purpose: Purpose, now: Timestamp) {
        while self.recent.front().is_some_and(|(call, _)| now - *call >= SECOND) {
            self.recent.pop_front();
        }
        self.recent.push_back((now, purpose));
        if self.recent.len() > self.peak {
            self.peak = self.recent.len();
            self.peak_at = now;
            self.peak_for.clear();
            for (_, purpose) in &self.recent {
                *self.peak_for.entry(*purpose).or_default() += 1;
            }
        }
        self.total += 1;
        *self.total_for.entry(purpose).or_default() += 1;
    }

    /// Forgets what was counted so far.
    pub(crate) fn restart(&mut self) {
        self.peak = 0;
        self.total = 0;
        self.total_for.clear();
    }
}
