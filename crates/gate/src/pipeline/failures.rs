//! Failures of networks: the platform's limiter counts them, and where they are too many this isolate holds the network back
//! for a while. That guards stores against guessing and decides about no key: without the limiter keys still work.

use super::context::Pipeline;
use crate::{
    breakers::Dependency,
    client_info::ClientInfo,
    denial::Denial,
    in_flight::READ_WITHIN_MS,
    memory::{Lookup, TRIAL_MS},
    stores::Stores,
};
use keyward_core::network;

/// No request waits longer for the limiter.
const LIMITER_MS: u32 = 500;

/// What is counted together, apart from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failures {
    /// Of keys and tokens.
    Keys,
    /// Of links: whoever reloads a page whose link was used keeps nobody's key out, and whoever guesses keys keeps
    /// nobody from following a link.
    Links,
    /// Of webhooks: whoever forges one keeps nobody's key out.
    Webhooks,
}

/// Whom a failure slows.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The network that it came from.
    pub network: String,
    /// After many more, all of its site: whoever has one has some ten thousand networks.
    site: Option<String>,
}

impl ClientInfo<'_> {
    /// Whom this caller's failures slow.
    pub(crate) fn source(self, of: Failures) -> Source {
        let apart = match of {
            Failures::Keys => "",
            Failures::Links => "link ",
            Failures::Webhooks => "webhook ",
        };
        let address = self.address.unwrap_or_default();
        let name = |text: String| format!("{apart}{text}");
        Source { network: name(network::of(address)), site: network::site_of(address).map(name) }
    }
}

impl Source {
    fn all(&self) -> impl Iterator<Item = &str> {
        [Some(self.network.as_str()), self.site.as_deref()].into_iter().flatten()
    }
}

impl<S: Stores> Pipeline<'_, S> {
    /// # Errors
    /// [`Denial::TooManyFailures`] where this is held back.
    pub(crate) fn not_held_back(&self, source: &Source) -> Result<(), Denial> {
        let (mut memory, now) = (self.memory.borrow_mut(), self.stores.now());
        let held_back = source.all().filter_map(|subject| memory.held_back(subject, now)).max();
        held_back.map_or(Ok(()), |retry_after_ms| Err(Denial::TooManyFailures { retry_after_ms }))
    }

    /// For how many milliseconds a webhook's body may come. Of a network that is held back one at a time is read, now and
    /// then, and has little time.
    ///
    /// # Errors
    /// [`Denial::TooManyFailures`] where this is held back and one was tried a moment ago.
    pub(crate) fn may_deliver(&self, source: &Source) -> Result<i64, Denial> {
        self.not_held_back(source).map(|()| READ_WITHIN_MS).or_else(|denial| {
            let (mut memory, now) = (self.memory.borrow_mut(), self.stores.now());
            let may = source.all().all(|subject| memory.may_try(subject, now));
            if may { Ok(TRIAL_MS) } else { Err(denial) }
        })
    }

    /// # Errors
    /// [`Denial::TooManyFailures`] where this is held back and has had as much looked up as it may.
    pub(crate) fn may_look_up(&self, source: &Source, lookup: Lookup) -> Result<(), Denial> {
        self.not_held_back(source).or_else(|denial| {
            let (mut memory, now) = (self.memory.borrow_mut(), self.stores.now());
            let may = source.all().all(|subject| memory.may_look_up(subject, lookup, now));
            if may { Ok(()) } else { Err(denial) }
        })
    }

    /// Counts a failure, which holds back from then on if those are too many.
    pub(crate) async fn count_failure(&self, source: &Source) {
        self.count_failure_within(source, self.left()).await;
    }

    /// The same behind what a client took its time for, which does not count as the decision's.
    pub(crate) async fn count_failure_after_body(&self, source: &Source) {
        self.count_failure_within(source, LIMITER_MS).await;
    }

    async fn count_failure_within(&self, source: &Source, within_ms: u32) {
        let counts_site = self.memory.borrow_mut().counts_site();
        let site = source.site.as_deref().filter(|_| counts_site);
        for subject in [Some(source.network.as_str()), site].into_iter().flatten() {
            if self.fails_too_often_within(subject, within_ms).await {
                self.memory.borrow_mut().hold_back(subject, self.stores.now());
            }
        }
    }

    /// Counts a failure of this subject; whether it has now failed too often. The admin API has subjects of its own.
    pub async fn fails_too_often(&self, subject: &str) -> bool {
        self.fails_too_often_within(subject, self.left()).await
    }

    async fn fails_too_often_within(&self, subject: &str, within_ms: u32) -> bool {
        let count = async |within_ms| self.stores.fails_too_often(subject, within_ms).await;
        self.ask_of(Dependency::Limiter, within_ms.min(LIMITER_MS), count).await.unwrap_or(false)
    }
}
