//! Failures of networks: the platform's limiter counts them, and where they are too many the network is in this isolate's
//! penalty box for a while. That guards stores against guessing and decides about no key: without the limiter keys still work.

use super::context::Pipeline;
use crate::{
    breakers::Dependency,
    client_info::ClientInfo,
    deadline::Deadline,
    denial::Denial,
    in_flight::READ_WITHIN,
    penalty_box::{Lookup, TRIAL},
    platform::Platform,
};
use keyward_core::{network::Subjects, time::Span};

/// The binding of the limiter that counts them.
const FAILURES: &str = "FAILURES";
/// No request waits longer for a limiter.
pub(super) const LIMITER_WITHIN: Span = Span::from_ms(500);

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

impl ClientInfo<'_> {
    /// Whom this caller's failures slow.
    pub(crate) fn source(self, of: Failures) -> Subjects {
        let prefix = match of {
            Failures::Keys => "",
            Failures::Links => "link ",
            Failures::Webhooks => "webhook ",
        };
        Subjects::of(prefix, self.address.unwrap_or_default())
    }
}

impl<P: Platform> Pipeline<'_, P> {
    /// Passes those who are not in the penalty box.
    ///
    /// # Errors
    /// [`Denial::TooManyFailures`]
    pub(crate) fn not_penalized(&self, source: &Subjects) -> Result<(), Denial> {
        let (mut memory, now) = (self.memory.borrow_mut(), self.platform.now());
        let left = source.all().filter_map(|subject| memory.penalty_box.left(subject, now)).max();
        left.map_or(Ok(()), |retry_after| Err(Denial::TooManyFailures { retry_after }))
    }

    /// The time within which a webhook's body may come. Of a network in the penalty box one at a time is read, now and
    /// then, and has little time.
    ///
    /// # Errors
    /// [`Denial::TooManyFailures`] in the penalty box, if one was tried a moment ago.
    pub(crate) fn may_deliver(&self, source: &Subjects) -> Result<Span, Denial> {
        self.not_penalized(source).map(|()| READ_WITHIN).or_else(|denial| {
            let (mut memory, now) = (self.memory.borrow_mut(), self.platform.now());
            let may = source.all().all(|subject| memory.penalty_box.may_try(subject, now));
            if may { Ok(TRIAL) } else { Err(denial) }
        })
    }

    /// Passes those who may have something looked up.
    ///
    /// # Errors
    /// [`Denial::TooManyFailures`] in the penalty box, if as much was looked up as may be.
    pub(crate) fn may_look_up(&self, source: &Subjects, lookup: Lookup) -> Result<(), Denial> {
        self.not_penalized(source).or_else(|denial| {
            let (mut memory, now) = (self.memory.borrow_mut(), self.platform.now());
            let may = source.all().all(|subject| memory.penalty_box.may_look_up(subject, lookup, now));
            if may { Ok(()) } else { Err(denial) }
        })
    }

    /// Counts a failure; if those are too many, its source goes into the penalty box.
    pub(crate) async fn count_failure(&self, source: &Subjects) {
        self.count_failure_within(source, self.left()).await;
    }

    /// The same behind what a client took its time for, which does not count as the decision's.
    pub(crate) async fn count_failure_after_body(&self, source: &Subjects) {
        self.count_failure_within(source, LIMITER_WITHIN).await;
    }

    async fn count_failure_within(&self, source: &Subjects, within: Span) {
        let network = source.network.as_str();
        self.count_failure_of((network, network), source.site.as_deref(), within).await;
    }

    /// Counts a failure under a subject, and now and then under its site. If those are too many, `penalized` goes into the
    /// penalty box, or the site.
    pub(crate) async fn count_failure_of(
        &self,
        (counted, penalized): (&str, &str),
        site: Option<&str>,
        within: Span,
    ) {
        let counts_site = self.memory.borrow_mut().penalty_box.counts_site();
        let site = site.filter(|_| counts_site).map(|site| (site, site));
        // One end for both.
        let end = Deadline::within(within.min(LIMITER_WITHIN), self.platform.now());
        for (counted, penalized) in [Some((counted, penalized)), site].into_iter().flatten() {
            if self.exceeds(FAILURES, counted, end.left(self.platform.now())).await {
                self.memory.borrow_mut().penalty_box.put(penalized, self.platform.now());
            }
        }
    }

    /// Whether a limiter has counted too many under a key, this one counted. None if it cannot be asked.
    pub(super) async fn exceeds(&self, limiter: &'static str, key: &str, within: Span) -> bool {
        let count = async |within| self.platform.exceeds(limiter, key, within).await;
        self.ask_of(Dependency::Limiter(limiter), within, count).await.unwrap_or(false)
    }
}
