//! When the JWK Set behind a URL is fetched, and which one is used meanwhile. A state machine with
//! the time as an argument: the fetch itself is the edge's.

use std::rc::Rc;

use keyward_policy::Span;

use super::keys::{Keys, UnfitKeys};
use keyward_core::time::Timestamp;

/// How long a set that was fetched is the last word on which keys there are: made-up key ids and
/// forged signatures cause at most one fetch in this time.
const MIN_AGE: Span = Span::from_mins(1);

/// How long to wait after a fetch that failed.
const RETRY: Span = Span::from_secs(10);

/// How long beyond its age a set still serves while it cannot be fetched anew. A key that the issuer
/// has withdrawn passes no longer than this.
const MAX_STALE: Span = Span::from_hours(1);

/// One isolate's copy of one JWK Set.
pub struct JwksCache {
    max_age: Span,
    set: Option<(Rc<Keys>, Timestamp)>,
    /// When the fetch that is under way began, and when it is over: whoever began it may be gone.
    under_way: Option<(Timestamp, Timestamp)>,
    failed: Option<Failure>,
}

struct Failure {
    at: Timestamp,
    reason: String,
}

/// What to do for a token.
pub enum Lookup {
    /// Verify it with these.
    Use(Rc<Keys>),
    /// Fetch the set: say [`JwksCache::fetches_until`] before, [`JwksCache::fetched`] or [`JwksCache::failed`] after,
    /// and look again.
    Fetch {
        /// Older keys, which serve while that takes too long or fails.
        stale: Option<Rc<Keys>>,
    },
    /// Another request is fetching it: look again in a moment.
    Wait,
    /// Refuse it: [`Error::UnknownKey`](super::Error::UnknownKey).
    Unknown,
    /// The set cannot be had, so nothing can be said of the token: 503.
    Unavailable {
        /// Why, for the log.
        reason: String,
        /// The time until it is fetched again.
        retry_after: Span,
    },
}

impl JwksCache {
    /// Nothing yet; a set will be used for `max_age`.
    pub fn new(max_age: Span) -> Self {
        Self { max_age, set: None, under_way: None, failed: None }
    }

    /// What to do for a token with this key id, which could not be verified with those that were `tried`.
    /// Says [`Lookup::Fetch`] to one request at a time.
    pub fn look_up(&mut self, key_id: Option<&str>, tried: Option<&Rc<Keys>>, now: Timestamp) -> Lookup {
        let set = self.set.as_ref().filter(|(_, fetched)| fetched.is_within(self.max_age + MAX_STALE, now));
        let is_new = |keys: &Rc<Keys>| tried.is_none_or(|tried| !Rc::ptr_eq(keys, tried));
        let known = set.filter(|(keys, _)| keys.know(key_id) && is_new(keys));
        if let Some((keys, fetched)) = known
            && fetched.is_within(self.max_age, now)
        {
            return Lookup::Use(keys.clone());
        }
        if known.is_none() && set.is_some_and(|(_, fetched)| fetched.is_within(MIN_AGE, now)) {
            return Lookup::Unknown;
        }
        let under_way = self.under_way.is_some_and(|(began, ends)| (began..ends).contains(&now));
        let failed = self.failed.as_ref().filter(|failed| failed.at.is_within(RETRY, now));
        match (known, failed) {
            (Some((keys, _)), failed) if under_way || failed.is_some() => Lookup::Use(keys.clone()),
            (None, _) if under_way => Lookup::Wait,
            (None, Some(failure)) => Lookup::Unavailable {
                reason: failure.reason.clone(),
                // A clock that went back makes it no longer than a whole pause.
                retry_after: (failure.at + RETRY - now).clamp(Span::ZERO, RETRY),
            },
            _ => {
                self.under_way = Some((now, now));
                Lookup::Fetch { stale: known.map(|(keys, _)| Rc::clone(keys)) }
            }
        }
    }

    /// The fetch is over by then. After that another request may begin one.
    pub fn fetches_until(&mut self, ends: Timestamp) {
        if let Some(under_way) = &mut self.under_way {
            under_way.1 = ends;
        }
    }

    /// A fetch brought these. A set without a usable key is a fetch that failed: the old one serves on.
    ///
    /// # Errors
    /// What is wrong with it, for the log.
    pub fn fetched(&mut self, keys: Result<Keys, UnfitKeys>, now: Timestamp) -> Result<(), UnfitKeys> {
        let keys = keys.inspect_err(|error| self.failed(error.to_string(), now))?;
        *self = Self { set: Some((Rc::new(keys), now)), under_way: None, failed: None, ..*self };
        Ok(())
    }

    /// A fetch brought nothing, for this reason.
    pub fn failed(&mut self, reason: String, now: Timestamp) {
        self.under_way = None;
        self.failed = Some(Failure { at: now, reason });
    }
}
