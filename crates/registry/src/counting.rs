//! Counting calls of the admin API, per principal and tenant or per network ([`crate::rates`]).

use keyward_core::network;

use crate::{
    context::RequestContext,
    error::{ApiError, Code},
    principal::Principal,
    rates::{Counted, Kind, Subject},
};

impl RequestContext<'_> {
    /// Counts a call of somebody who is signed in. A call that its principal has no right to does not count for the tenant:
    /// otherwise a key that many have, and that is for something else, could keep the tenant's people out.
    ///
    /// # Errors
    /// RATE_LIMITED
    pub fn count_call(&self, principal: &Principal, entitled: bool) -> Result<(), ApiError> {
        let rate = self.policy.admin.rate;
        let id = principal.id();
        let subjects = [
            Subject { kind: Kind::Principal, id, rate: rate.principal },
            Subject { kind: Kind::Tenant, id: principal.tenant_id(), rate: rate.tenant },
        ];
        let [own, _] = subjects;
        if entitled { self.count_subjects(&subjects) } else { self.count_subjects(&[own]) }
    }

    /// Counts a call of somebody who is known only by the network.
    ///
    /// # Errors
    /// RATE_LIMITED
    pub fn count_stranger(&self) -> Result<(), ApiError> {
        let network = network::of(&self.call.address);
        let subject = Subject { kind: Kind::Network, id: &network, rate: self.policy.admin.rate.network };
        self.count_subjects(&[subject])
    }

    /// Counts a call from a network that calls too often, by somebody who is known there.
    ///
    /// # Errors
    /// RATE_LIMITED
    pub fn count_known(&self, member_id: &str) -> Result<(), ApiError> {
        let id = format!("{} {member_id}", network::of(&self.call.address));
        let subject = Subject { kind: Kind::Network, id: &id, rate: self.policy.admin.rate.network };
        self.count_subjects(&[subject])
    }

    /// A call that is malformed, or about something that does not exist, is refused before it costs much. It counts as one
    /// call, so that a program with a mistake in it hears of the mistake.
    pub fn give_back_if_cheap(&self, refusal: &ApiError) {
        if matches!(refusal.code.facts().0, 400 | 404 | 405 | 409 | 412 | 415 | 422)
            && let Some(counted) = self.counted.take()
        {
            self.memory.rates.give_back(&counted);
        }
    }

    fn count_subjects(&self, subjects: &[Subject<'_>]) -> Result<(), ApiError> {
        if self.is_counted {
            return Ok(());
        }
        let weight = self.weight;
        let subjects_of = |subject: &Subject<'_>| (subject.kind, subject.id.to_owned(), subject.rate);
        let counted = Counted { subjects: subjects.iter().map(subjects_of).collect(), weight };
        self.counted.replace(Some(counted));
        self.memory.rates.count(subjects, weight, self.now).map_err(|(subject, wait)| {
            self.counted.take();
            let whose = match subject.kind {
                Kind::Principal => "you",
                Kind::Tenant => "your tenant",
                Kind::Network => "your network",
            };
            let detail = format!(
                "The admin API takes {} calls a minute of {whose}, and there were more{}. Repeat this after the time in \
                 Retry-After. Whoever runs this deployment can change it (`rate` in the policy's [admin]).",
                subject.rate,
                if weight.cost > 1 { format!("; this one counts as {}", weight.cost) } else { String::new() }
            );
            ApiError::until(Code::RateLimited, detail, self.now, self.now + wait)
        })
    }
}
