//! One isolate's circuit breakers: of everything that a decision depends on, one that says whether it is asked at
//! all.

use std::num::NonZeroUsize;

use lru::LruCache;

use keyward_core::{
    breaker::{Breaker, End, Leave, Rule, STORE},
    time::{Span, Timestamp},
};

/// When objects of this many different keys fail in a row, it is not the fault of one of them; and with this many
/// different tenants, not of what one of them does.
const MANY: Rule = Rule { failures: 4, ..STORE };
/// A relay is never needed: the key's object answers, too. Not at the first failure: a lost message would send the isolate there for
/// the whole pause, and of a crowd many lose one.
const RELAY: Rule = Rule { failures: 2, first: Span::from_secs(5), longest: Span::from_secs(30) };
/// Nor is a limiter.
const LIMITER: Rule = Rule { failures: 2, first: Span::from_secs(5), longest: Span::from_secs(30) };

/// Most failing objects, and most of their owners, that are remembered.
const MAX_OBJECTS: usize = 1_000;

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
    Coordinator {
        /// The hash.
        hash: &'a str,
        /// Whose it is.
        owner: Owner<'a>,
    },
    /// This isolate's relay to it.
    Relay(&'a str),
    /// This isolate's relay to the change log.
    Changes,
    /// The platform's limiter of this binding.
    Limiter(&'static str),
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
            Self::Coordinator { .. } => "KEY_GATE",
            Self::Relay(_) | Self::Changes => "RELAY",
            Self::Limiter(binding) => binding,
            Self::Registry | Self::SignIn | Self::Links => "REGISTRY",
        }
    }
}

/// One isolate's breakers. The issuers' are [`JwksCache`](crate::jwt::JwksCache)s.
#[derive(Debug)]
pub struct Breakers {
    kv: Breaker,
    changes: Breaker,
    registry: Breaker,
    sign_in: Breaker,
    links: Breaker,
    /// Of the objects that have failed since they last answered.
    coordinators: LruCache<String, Breaker>,
    /// One breaker per tenant. Only the first failure of each key's object counts here: an object that has failed before
    /// has a breaker of its own.
    tenants: LruCache<String, Breaker>,
    /// The same of objects of unknown keys that a network has sent.
    networks: LruCache<String, Breaker>,
    /// Of all objects: a failure of a tenant's of which one has failed before says nothing of other tenants'.
    class: Breaker,
    relays: LruCache<String, Breaker>,
    limiters: LruCache<String, Breaker>,
}

impl Default for Breakers {
    fn default() -> Self {
        let objects = || LruCache::new(NonZeroUsize::new(MAX_OBJECTS).unwrap_or(NonZeroUsize::MIN));
        let (kv, changes, registry, sign_in, links, class) = Default::default();
        let (coordinators, tenants, networks, relays) = (objects(), objects(), objects(), objects());
        Self {
            kv,
            changes,
            registry,
            sign_in,
            links,
            coordinators,
            tenants,
            networks,
            class,
            relays,
            limiters: objects(),
        }
    }
}

impl Breakers {
    /// Whether a call that ends within this time may be made now.
    pub fn leave(&mut self, of: Dependency<'_>, now: Timestamp, within: Span) -> Option<Leave> {
        let breaker = match of {
            Dependency::Kv => &mut self.kv,
            Dependency::Changes => &mut self.changes,
            Dependency::Registry => &mut self.registry,
            Dependency::SignIn => &mut self.sign_in,
            Dependency::Links => &mut self.links,
            Dependency::Relay(name) | Dependency::Limiter(name) => {
                let all = if let Dependency::Relay(_) = of { &mut self.relays } else { &mut self.limiters };
                match all.get_mut(name) {
                    Some(breaker) => breaker,
                    None => return Some(Leave::Closed),
                }
            }
            Dependency::Coordinator { hash, owner } => {
                if self.coordinators.contains(hash) {
                    self.coordinators.get_mut(hash).unwrap_or(&mut self.class)
                } else {
                    let (owners, name) = match owner {
                        Owner::Tenant(id) => (&mut self.tenants, id),
                        Owner::Network(network) => (&mut self.networks, network),
                    };
                    owners.get_mut(name).unwrap_or(&mut self.class)
                }
            }
        };
        breaker.leave(now, within)
    }

    /// A call is over. Whether that opens a breaker.
    pub fn ended(&mut self, of: Dependency<'_>, leave: Leave, end: End, now: Timestamp) -> bool {
        match of {
            Dependency::Kv => self.kv.ended(STORE, leave, end, now),
            Dependency::Changes => self.changes.ended(STORE, leave, end, now),
            Dependency::Limiter(binding) => one_of(&mut self.limiters, binding, LIMITER, leave, end, now),
            Dependency::Registry => self.registry.ended(STORE, leave, end, now),
            Dependency::SignIn => self.sign_in.ended(STORE, leave, end, now),
            Dependency::Links => self.links.ended(STORE, leave, end, now),
            Dependency::Relay(hash) => one_of(&mut self.relays, hash, RELAY, leave, end, now),
            Dependency::Coordinator { hash, owner } => {
                let (owners, name, is_tenants) = match owner {
                    Owner::Tenant(id) => (&mut self.tenants, id, true),
                    Owner::Network(network) => (&mut self.networks, network, false),
                };
                // A failure counts at the next level up only if it is new there. Unknown keys never count for all: anyone
                // can invent them.
                let of_others = |counts: bool| if end == End::Badly && !counts { End::Unclear } else { end };
                let of_owner = of_others(!self.coordinators.contains(hash));
                let of_all = if is_tenants && !owners.contains(name) { of_owner } else { of_others(false) };
                let object = one_of(&mut self.coordinators, hash, STORE, leave, end, now);
                let owner = one_of(owners, name, MANY, leave, of_owner, now);
                self.class.ended(MANY, leave, of_all, now) || owner || object
            }
        }
    }

    /// Whether the change log could not be read again and again, and not since.
    pub fn log_fails(&self) -> bool {
        self.changes.is_open()
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
