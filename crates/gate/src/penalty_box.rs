//! Networks that have failed too often are refused for a while, before anything is asked for them. What they have looked
//! up all the same has a bound, since honest neighbours share their network.

use lru::LruCache;

use crate::{
    bounded::{cache, left},
    budget::{Allowance, Budget},
};
use keyward_core::time::{Span, Timestamp};

/// How long a network is in the penalty box: the period of the platform's limiter (`FAILURES` in `wrangler.toml`).
pub const PENALTY: Span = Span::from_secs(10);
/// Most networks that are remembered.
const MAX_NETWORKS: usize = 10_000;
/// One failure in this many is counted for its site, too: a site may fail this many times as often as a network before it
/// is refused, since it may be a campus.
const FAILURES_OF_SITE: u32 = 16;
/// For this long after a webhook that was its sender's, a network is not refused for others.
const SENDER_LIFETIME: Span = Span::from_hours(1);
/// In the penalty box one webhook is tried each time this has passed, and has as long for its body.
pub const TRIAL: Span = Span::from_ms(500);
/// How often KV is read there for keys that the isolate does not know …
const READS: Allowance = Allowance { at_once: 100, every: Span::from_ms(50) };
/// … and, while KV fails, how often objects are asked.
const ASKS: Allowance = Allowance { at_once: 10, every: Span::from_secs(1) };
/// And how often links are followed.
const FOLLOWS: Allowance = Allowance { at_once: 10, every: Span::from_ms(500) };

/// The networks that have failed too often.
pub struct PenaltyBox {
    networks: LruCache<String, Penalty>,
    /// Counts failures.
    failures: u32,
    senders: LruCache<String, Timestamp>,
}

/// One of them.
#[derive(Default)]
struct Penalty {
    until: Timestamp,
    /// When a webhook of it was tried last.
    tried: Timestamp,
    reads: Budget,
    asks: Budget,
    links: Budget,
}

/// What is asked about a key or link that the isolate does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// KV.
    Kv,
    /// The key's object.
    Coordinator,
    /// The Registry, for a link.
    Link,
}

impl PenaltyBox {
    /// An empty one, of the isolate with this random number.
    pub fn of(random: u64) -> Self {
        Self { networks: cache(MAX_NETWORKS), failures: random as u32, senders: cache(MAX_NETWORKS) }
    }

    /// Puts a network in.
    pub fn put(&mut self, network: &str, now: Timestamp) {
        let until = now + PENALTY;
        match self.networks.get_mut(network) {
            Some(penalty) => (penalty.until, penalty.tried) = (until, now),
            None => {
                let penalty = Penalty { until, tried: now, ..Penalty::default() };
                self.networks.put(network.to_owned(), penalty);
            }
        }
    }

    /// For how long a network is still in; `None` if it is not.
    pub fn left(&mut self, network: &str, now: Timestamp) -> Option<Span> {
        left(self.networks.get(network)?.until, PENALTY, now)
    }

    /// Whether this is looked up for a network that is in.
    pub fn may_look_up(&mut self, network: &str, lookup: Lookup, now: Timestamp) -> bool {
        let Some(penalty) = self.networks.get_mut(network) else { return true };
        match lookup {
            Lookup::Kv => penalty.reads.spend(READS, now),
            Lookup::Coordinator => penalty.asks.spend(ASKS, now),
            Lookup::Link => penalty.links.spend(FOLLOWS, now),
        }
    }

    /// Whether a webhook of a network that is in is tried: it may be that of a sender, of which none came to this
    /// isolate yet. So one is now and then.
    pub fn may_try(&mut self, network: &str, now: Timestamp) -> bool {
        let Some(penalty) = self.networks.get_mut(network) else { return true };
        let is_early = penalty.tried.is_within(TRIAL, now);
        if !is_early {
            penalty.tried = now;
        }
        !is_early
    }

    /// A webhook that was its sender's came from this network.
    pub fn note_delivery(&mut self, network: &str, now: Timestamp) {
        self.senders.put(network.to_owned(), now + SENDER_LIFETIME);
    }

    /// Whether one came from this network lately.
    pub fn has_delivered(&mut self, network: &str, now: Timestamp) -> bool {
        self.senders.get(network).is_some_and(|until| left(*until, SENDER_LIFETIME, now).is_some())
    }

    /// Whether the next failure is counted of its site, too.
    pub fn counts_site(&mut self) -> bool {
        self.failures = self.failures.wrapping_add(1);
        self.failures.is_multiple_of(FAILURES_OF_SITE)
    }
}
