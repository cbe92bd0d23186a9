//! Circuit breakers: what keeps failing is left alone for a while, so that requests are answered at once instead
//! of each waiting for it in vain. One isolate's, with the time as an argument; how they are used is in
//! `docs/failures.md`.
//!
//! **Closed**: calls are made. After so many failures in a row it **opens**: no call is made for a pause, which doubles
//! from one opening to the next. Then one call at a time may try (**half-open**): one that goes well closes it, one
//! that fails opens it again. So what is well again is shut out for the longest pause and one call that
//! tries, at most. Who made that call may hang up meanwhile: the edge sees each call to its end all the same.

use std::num::NonZeroUsize;

use lru::LruCache;

use crate::time::Timestamp;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Failures in a row that open it.
    pub failures: u32,
    /// The first pause, in milliseconds.
    pub first_ms: u32,
    /// The longest pause, in milliseconds.
    pub longest_ms: u32,
}

/// One breaker.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    /// In a row, while it is closed.
    failures: u32,
    /// Since when it is open, and for how long.
    open: Option<Span>,
    /// The call that tries.
    probe: Option<Span>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    began: Timestamp,
    length_ms: u32,
}

impl Span {
    /// A clock that goes back ends it.
    fn has(self, now: Timestamp) -> bool {
        (0..self.length_ms.into()).contains(&(now.0 - self.began.0))
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
    /// Whether a call that ends within so many milliseconds may be made now.
    pub fn leave(&mut self, now: Timestamp, within_ms: u32) -> Option<Leave> {
        let Some(open) = self.open else { return Some(Leave::Closed) };
        // One that never said how it ended is over by then.
        if open.has(now) || self.probe.is_some_and(|probe| probe.has(now)) {
            return None;
        }
        self.probe = Some(Span { began: now, length_ms: within_ms });
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
                let length_ms = open.length_ms.saturating_mul(2).min(rule.longest_ms);
                self.open = Some(Span { began: now, length_ms });
                true
            }
            // It was made before the breaker opened.
            (End::Badly, Some(_)) => false,
            (End::Badly, None) => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= rule.failures {
                    self.open = Some(Span { began: now, length_ms: rule.first_ms });
                }
                self.open.is_some()
            }
        }
    }

    /// Whether a call could be made now.
    pub fn is_closed(&self, now: Timestamp) -> bool {
        let is_busy = |span: Option<Span>| span.is_some_and(|span| span.has(now));
        self.open.is_none() || !is_busy(self.open) && !is_busy(self.probe)
    }
}

/// A store may come back in the 5 s that a 503 names.
pub const STORE: Rule = Rule { failures: 3, first_ms: 1_000, longest_ms: 5_000 };
/// Objects of so many different keys in a row mean that it is not for a single one of them; and those of so many
/// different tenants, that it is not for what one of them does.
const MANY: Rule = Rule { failures: 4, ..STORE };
/// A relay is never needed: the key's object answers, too.
const RELAY: Rule = Rule { failures: 1, first_ms: 5_000, longest_ms: 30_000 };
/// Nor is the limiter.
const LIMITER: Rule = Rule { failures: 2, first_ms: 5_000, longest_ms: 30_000 };

/// Of objects that fail, so many are remembered, and of those whose they are.
const OBJECTS: usize = 1_000;

/// On whose account an object is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner<'a> {
    /// The key's tenant.
    Tenant(&'a str),
    /// The network that sent a key of which nobody knows yet whose it is.
    Network(&'a str),
}

/// What a decision depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependency<'a> {
    /// KV.
    Kv,
    /// The object of the key with this hash.
    KeyGate {
        /// The hash.
        hash: &'a str,
        /// Whose it is.
        owner: Owner<'a>,
    },
    /// This isolate's relay to it.
    Relay(&'a str),
    /// The limiter of failing networks.
    Limiter,
    /// The Registry, at the admin API.
    Registry,
    /// The Registry there, for whoever has shown nothing yet that is no guess: who signs in, say.
    SignIn,
    /// The Registry, where strangers follow links.
    Links,
}

impl Dependency<'_> {
    /// The name of its binding.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kv => "KEYS",
            Self::KeyGate { .. } => "KEY_GATE",
            Self::Relay(_) => "RELAY",
            Self::Limiter => "FAILURES",
            Self::Registry | Self::SignIn | Self::Links => "REGISTRY",
        }
    }
}

/// One isolate's breakers. The issuers' are [`JwksCache`](crate::jwt::JwksCache)s.
#[derive(Debug)]
pub struct Breakers {
    kv: Breaker,
    limiter: Breaker,
    registry: Breaker,
    sign_in: Breaker,
    links: Breaker,
    /// Of the objects that have failed since they last answered.
    key_gates: LruCache<String, Breaker>,
    /// Of all objects of a tenant of which one has failed since: a failure of one that has failed before says nothing
    /// of the others, so it neither counts here nor is it the call that tries.
    tenants: LruCache<String, Breaker>,
    /// The same of objects of unknown keys that a network has sent.
    networks: LruCache<String, Breaker>,
    /// Of all objects: a failure of a tenant's of which one has failed before says nothing of other tenants'.
    class: Breaker,
    relays: LruCache<String, Breaker>,
}

impl Default for Breakers {
    fn default() -> Self {
        let objects = || LruCache::new(NonZeroUsize::new(OBJECTS).unwrap_or(NonZeroUsize::MIN));
        let (kv, limiter, registry, sign_in, links, class) = Default::default();
        let (key_gates, tenants, networks, relays) = (objects(), objects(), objects(), objects());
        Self { kv, limiter, registry, sign_in, links, key_gates, tenants, networks, class, relays }
    }
}

impl Breakers {
    /// Whether a call that ends within so many milliseconds may be made now.
    pub fn leave(&mut self, of: Dependency<'_>, now: Timestamp, within_ms: u32) -> Option<Leave> {
        let breaker = match of {
            Dependency::Kv => &mut self.kv,
            Dependency::Limiter => &mut self.limiter,
            Dependency::Registry => &mut self.registry,
            Dependency::SignIn => &mut self.sign_in,
            Dependency::Links => &mut self.links,
            Dependency::Relay(hash) => match self.relays.get_mut(hash) {
                Some(relay) => relay,
                None => return Some(Leave::Closed),
            },
            Dependency::KeyGate { hash, owner } => {
                if self.key_gates.contains(hash) {
                    self.key_gates.get_mut(hash).unwrap_or(&mut self.class)
                } else {
                    let (owners, name) = match owner {
                        Owner::Tenant(id) => (&mut self.tenants, id),
                        Owner::Network(network) => (&mut self.networks, network),
                    };
                    owners.get_mut(name).unwrap_or(&mut self.class)
                }
            }
        };
        breaker.leave(now, within_ms)
    }

    /// A call is over. Whether that opens a breaker.
    pub fn ended(&mut self, of: Dependency<'_>, leave: Leave, end: End, now: Timestamp) -> bool {
        match of {
            Dependency::Kv => self.kv.ended(STORE, leave, end, now),
            Dependency::Limiter => self.limiter.ended(LIMITER, leave, end, now),
            Dependency::Registry => self.registry.ended(STORE, leave, end, now),
            Dependency::SignIn => self.sign_in.ended(STORE, leave, end, now),
            Dependency::Links => self.links.ended(STORE, leave, end, now),
            Dependency::Relay(hash) => one_of(&mut self.relays, hash, RELAY, leave, end, now),
            Dependency::KeyGate { hash, owner } => {
                let (owners, name, is_tenants) = match owner {
                    Owner::Tenant(id) => (&mut self.tenants, id, true),
                    Owner::Network(network) => (&mut self.networks, network, false),
                };
                // A failure counts once, at each step up. What a stranger's key meets never counts for all: anybody can
                // make up keys, and ask so much of one object that it fails.
                let of_others = |counts: bool| if end == End::Badly && !counts { End::Unclear } else { end };
                let of_owner = of_others(!self.key_gates.contains(hash));
                let of_all = if is_tenants && !owners.contains(name) { of_owner } else { of_others(false) };
                let object = one_of(&mut self.key_gates, hash, STORE, leave, end, now);
                let owner = one_of(owners, name, MANY, leave, of_owner, now);
                self.class.ended(MANY, leave, of_all, now) || owner || object
            }
        }
    }

    /// Whether a relay of this key could be asked now.
    pub fn relay_is_closed(&self, hash: &str, now: Timestamp) -> bool {
        self.relays.peek(hash).is_none_or(|relay| relay.is_closed(now))
    }
}

/// As [`Breaker::ended`]; only those that have failed are kept.
fn one_of(
    all: &mut LruCache<String, Breaker>,
    hash: &str,
    rule: Rule,
    leave: Leave,
    end: End,
    now: Timestamp,
) -> bool {
    match (all.get_mut(hash), end) {
        (Some(_), End::Well) => {
            all.pop(hash);
            false
        }
        (Some(breaker), _) => breaker.ended(rule, leave, end, now),
        (None, End::Badly) => {
            let mut breaker = Breaker::default();
            // A call that tried was the class's.
            let opens = breaker.ended(rule, Leave::Closed, end, now);
            all.put(hash.to_owned(), breaker);
            opens
        }
        (None, _) => false,
    }
}
