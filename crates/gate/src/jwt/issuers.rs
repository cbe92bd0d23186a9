//! The issuers of tokens: their keys, as the policy has them or as they publish them. The isolate's memory: only ever a
//! cache.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use keyward_policy::{JwkSet, Jwt, JwtKeys, PublicAlgorithm, Span};

use super::{
    cache::{JwksCache, Lookup},
    keys::Keys,
    token::Token,
};
use crate::{
    deadline::{Deadline, LOOK_AGAIN},
    platform::Platform,
};
use keyward_core::log::Event;

/// A fetch that could take less time than this is not begun: that it failed would say nothing of the issuer.
const LEAST_FETCH: Span = Span::from_ms(250);

/// Whose keys these are: the realm's id, or the name of the section that signs people in, and the issuer.
type Name = (&'static str, &'static str);

/// What verifies tokens. Nothing of it is borrowed while something is waited for.
#[derive(Default)]
pub struct Issuers {
    fixed: RefCell<BTreeMap<Name, Rc<Keys>>>,
    fetched: RefCell<BTreeMap<Name, JwksCache>>,
}

/// Where the keys of an issuer are published.
#[derive(Clone, Copy)]
pub struct Source {
    name: Name,
    url: &'static str,
    max_age: Span,
    algorithms: &'static [PublicAlgorithm],
    /// What makes of the text there one of a JWK Set, where it is none.
    as_set: Option<fn(&str) -> String>,
}

/// Why there are no keys for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoKeys {
    /// The issuer has none that it could be signed with.
    Unknown,
    /// They cannot be had now.
    Unavailable {
        /// Why, for the log.
        reason: String,
        /// The time until they are asked for again.
        retry_after: Span,
    },
    /// The deployment lacks the secret of this name.
    NotConfigured {
        /// The name.
        secret: &'static str,
    },
    /// The deployment's secret of this name cannot be used.
    UnfitSecret {
        /// The name.
        secret: &'static str,
        /// Why, for the log.
        reason: String,
    },
    /// The policy's own set cannot be used, although the build has tried it.
    UnfitSet,
}

impl Source {
    /// That of the issuer of this name, if it publishes them.
    pub fn of(realm: &'static str, policy: &Jwt) -> Option<Self> {
        match policy.keys {
            JwtKeys::Public { algorithms, set: JwkSet::Url { url, max_age } } => {
                Some(Self { name: (realm, policy.issuer), url, max_age, algorithms, as_set: None })
            }
            JwtKeys::Public { set: JwkSet::Inline(_), .. } | JwtKeys::Secret { .. } => None,
        }
    }

    /// That of somebody whose keys are published in another form, which this makes a JWK Set.
    pub(super) fn in_other_form(
        name: Name,
        url: &'static str,
        max_age: Span,
        algorithms: &'static [PublicAlgorithm],
        as_set: fn(&str) -> String,
    ) -> Self {
        Self { name, url, max_age, algorithms, as_set: Some(as_set) }
    }
}

impl Issuers {
    /// The keys of the issuer of this name.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn keys(
        &self,
        platform: &impl Platform,
        deadline: Deadline,
        realm: &'static str,
        policy: &Jwt,
        token: &Token<'_>,
    ) -> Result<Rc<Keys>, NoKeys> {
        let issuer = (realm, policy.issuer);
        match policy.keys {
            JwtKeys::Secret { name, form } => {
                let make = async || {
                    let secret = platform.secret(name).ok_or(NoKeys::NotConfigured { secret: name })?;
                    Keys::shared(&secret, form)
                        .map_err(|error| NoKeys::UnfitSecret { secret: name, reason: error.to_string() })
                };
                self.fixed(issuer, make).await
            }
            JwtKeys::Public { algorithms, set: JwkSet::Inline(text) } => {
                let make = async || {
                    let keys = Keys::of_set(text, algorithms, async |key| platform.verify(key).await).await;
                    keys.map_err(|_| NoKeys::UnfitSet)
                };
                self.fixed(issuer, make).await
            }
            JwtKeys::Public { algorithms, set: JwkSet::Url { url, max_age } } => {
                let source = Source { name: issuer, url, max_age, algorithms, as_set: None };
                self.fetched(platform, deadline, source, token.key_id(), None).await
            }
        }
    }

    /// Keys that do not change while the isolate lives.
    async fn fixed(
        &self,
        issuer: Name,
        make: impl AsyncFnOnce() -> Result<Keys, NoKeys>,
    ) -> Result<Rc<Keys>, NoKeys> {
        if let Some(keys) = self.fixed.borrow().get(&issuer) {
            return Ok(Rc::clone(keys));
        }
        let keys = Rc::new(make().await?);
        self.fixed.borrow_mut().insert(issuer, Rc::clone(&keys));
        Ok(keys)
    }

    /// The keys that the issuer publishes, which are others than those that were `tried`.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn fetched(
        &self,
        platform: &impl Platform,
        deadline: Deadline,
        source: Source,
        key_id: Option<&str>,
        tried: Option<&Rc<Keys>>,
    ) -> Result<Rc<Keys>, NoKeys> {
        loop {
            let now = platform.now();
            let left = deadline.left(now);
            match self.cache(source, |cache| cache.look_up(key_id, tried, now)) {
                Lookup::Use(keys) => return Ok(keys),
                Lookup::Unknown => return Err(NoKeys::Unknown),
                Lookup::Unavailable { reason, retry_after } => {
                    return Err(NoKeys::Unavailable { reason, retry_after });
                }
                Lookup::Wait if left > LOOK_AGAIN => platform.wait(LOOK_AGAIN).await,
                Lookup::Wait => return Err(NoKeys::too_late("a fetch that others began has not ended")),
                Lookup::Fetch { stale } => {
                    // Where older keys serve on, there is to be time for that.
                    let within = if stale.is_some() { left / 2 } else { left };
                    if within < LEAST_FETCH {
                        return stale.ok_or_else(|| NoKeys::too_late("no time was left to fetch it"));
                    }
                    self.fetch(platform, source, within).await;
                }
            }
        }
    }

    /// Fetches the keys; the cache then says what to do.
    async fn fetch(&self, platform: &impl Platform, source: Source, within: Span) {
        let now = platform.now();
        self.cache(source, |cache| cache.fetches_until(now + within));
        let fetched = match platform.fetch(source.url, within).await {
            Ok(text) => {
                let text = match source.as_set {
                    Some(as_set) => as_set(&text),
                    None => text,
                };
                let keys =
                    Keys::of_set(&text, source.algorithms, async |key| platform.verify(key).await).await;
                let now = platform.now();
                self.cache(source, |cache| cache.fetched(keys, now)).map_err(|error| error.to_string())
            }
            Err(error) => {
                let now = platform.now();
                self.cache(source, |cache| cache.failed(error.to_string(), now));
                Err(error.to_string())
            }
        };
        if let Err(error) = fetched {
            platform.log(&Event::StoreUnavailable { request_id: None, store: source.url, error: &error });
        }
    }

    fn cache<T>(&self, source: Source, use_it: impl FnOnce(&mut JwksCache) -> T) -> T {
        let mut fetched = self.fetched.borrow_mut();
        let new = || JwksCache::new(source.max_age);
        use_it(fetched.entry(source.name).or_insert_with(new))
    }
}

impl NoKeys {
    fn too_late(reason: &str) -> Self {
        Self::Unavailable { reason: reason.to_owned(), retry_after: Span::ZERO }
    }
}
