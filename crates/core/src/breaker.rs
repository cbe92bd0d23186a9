//! A circuit breaker: what keeps failing is left alone for a while, so that requests are answered at once instead
//! of each waiting for it in vain. The time is an argument; how breakers are used is in `docs/failures.md`.
//!
//! **Closed**: calls are made. After a number of failures in a row it **opens**: no call is made for a pause, which doubles
//! from one opening to the next. Then one call at a time may try (**half-open**): one that goes well closes it, one
//! that fails opens it again. So what is well again is shut out for the longest pause and one call that
//! tries, at most. Who made that call may hang up meanwhile: the edge sees each call to its end all the same.

use crate::time::{Span, Timestamp};

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Failures in a row that open it.
    pub failures: u32,
    /// The first pause.
    pub first: Span,
    /// The longest pause.
    pub longest: Span,
}

/// A store may come back in the 5 s that a 503 names.
pub const STORE: Rule = Rule { failures: 3, first: Span::from_secs(1), longest: Span::from_secs(5) };

/// One breaker.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    /// In a row, while it is closed.
    failures: u32,
    /// Since when it is open, and for how long.
    open: Option<Pause>,
    /// The call that tries.
    probe: Option<Pause>,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    began: Timestamp,
    length: Span,
}

impl Pause {
    fn has(self, now: Timestamp) -> bool {
        self.began.is_within(self.length, now)
    }
}

/// Leave to make a call. Whoever has it says how the call ended, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The breaker is closed.
    Closed,
    /// This call tries, since that moment.
    Probe(Timestamp),
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With an answer that can be read, whatever it says.
    Well,
    /// Without one.
    Badly,
    /// It was given too little time to tell.
    Unclear,
}

impl Breaker {
    /// Whether a call that ends within this time may be made now.
    pub fn leave(&mut self, now: Timestamp, within: Span) -> Option<Leave> {
        let Some(open) = self.open else { return Some(Leave::Closed) };
        // One that never said how it ended is over by then.
        if open.has(now) || self.probe.is_some_and(|probe| probe.has(now)) {
            return None;
        }
        self.probe = Some(Pause { began: now, length: within });
        Some(Leave::Probe(now))
    }

    /// A call is over. Whether that opens the breaker.
    pub fn ended(&mut self, rule: Rule, leave: Leave, end: End, now: Timestamp) -> bool {
        let is_probe = self.probe.is_some_and(|probe| leave == Leave::Probe(probe.began));
        if is_probe {
            self.probe = None;
        }
        match (end, self.open) {
            (End::Well, _) => {
                *self = Self::default();
                false
            }
            (End::Unclear, _) => false,
            (End::Badly, Some(open)) if is_probe => {
                let length = (open.length * 2).min(rule.longest);
                self.open = Some(Pause { began: now, length });
                true
            }
            // It was made before the breaker opened.
            (End::Badly, Some(_)) => false,
            (End::Badly, None) => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= rule.failures {
                    self.open = Some(Pause { began: now, length: rule.first });
                }
                self.open.is_some()
            }
        }
    }

    /// Whether it was in vain again and again, and has not gone well since.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether a call could be made now.
    pub fn is_closed(&self, now: Timestamp) -> bool {
        let is_busy = |pause: Option<Pause>| pause.is_some_and(|pause| pause.has(now));
        self.open.is_none() || !is_busy(self.open) && !is_busy(self.probe)
    }
}
