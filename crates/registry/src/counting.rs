//! Counting the calls of the admin API: of a principal and its tenant, or of a network ([`crate::rates`]).

use keyward_core::network;

use crate::{
    context::RequestContext,
    cost,
    effect::Effect,
    error::{ApiError, Code},
    principal::Principal,
    rates::{Caller, Counted, Kind, Weight},
};

impl RequestContext<'_> {
    /// Counts a call of somebody who is signed in. One that its principal has no right to is not the tenant's: a key that is
    /// for something else, and that many have, would keep its people out.
    ///
    /// # Errors
    /// RATE_LIMITED
    pub fn count_call(&self, principal: &Principal, effect: Effect, entitled: bool) -> Result<(), ApiError> {
        let rate = self.policy.admin.rate;
        let id = principal.id();
        let callers = [
            Caller { kind: Kind::Principal, id, rate: rate.principal },
            Caller { kind: Kind::Tenant, id: principal.tenant_id(), rate: rate.tenant },
        ];
        let [own, _] = callers;
        if entitled { self.count_callers(&callers, effect) } else { self.count_callers(&[own], effect) }
    }

    /// Counts a call of somebody of whom nothing is known but the network.
    ///
    /// # Errors
    /// RATE_LIMITED
    pub fn count_stranger(&self, effect: Effect) -> Result<(), ApiError> {
        let network = network::of(&self.call.address);
        let caller = Caller { kind: Kind::Network, id: &network, rate: self.policy.admin.rate.network };
        self.count_callers(&[caller], effect)
    }

    /// Counts a call of somebody in whose network there are too many, but who is known there.
    ///
    /// # Errors
    /// RATE_LIMITED
    pub fn count_known(&self, member_id: &str) -> Result<(), ApiError> {
        let id = format!("{} {member_id}", network::of(&self.call.address));
        let caller = Caller { kind: Kind::Network, id: &id, rate: self.policy.admin.rate.network };
        self.count_callers(&[caller], Effect::Helps)
    }

    /// What is malformed, or of something that is not there, is refused before it costs much: it counts as one call, so
    /// that a program with a mistake in it is told of the mistake.
    pub fn give_back_if_cheap(&self, refusal: &ApiError) {
        if matches!(refusal.code.facts().0, 400 | 404 | 405 | 409 | 412 | 415 | 422)
            && let Some(counted) = self.counted.take()
        {
            self.memory.rates.give_back(&counted);
        }
    }

    fn count_callers(&self, callers: &[Caller<'_>], effect: Effect) -> Result<(), ApiError> {
        if self.is_counted {
            return Ok(());
        }
        let cost = cost::of(&self.call.method, &self.call.path, &self.call.query);
        let weight = Weight { ends: effect == Effect::Ends, cost };
        let callers_of = |caller: &Caller<'_>| (caller.kind, caller.id.to_owned(), caller.rate);
        let counted = Counted { callers: callers.iter().map(callers_of).collect(), weight };
        self.counted.replace(Some(counted));
        self.memory.rates.count(callers, weight, self.now).map_err(|(caller, wait)| {
            self.counted.take();
            let whose = match caller.kind {
                Kind::Principal => "you",
                Kind::Tenant => "your tenant",
                Kind::Network => "your network",
            };
            let detail = format!(
                "The admin API takes {} calls a minute of {whose}, and there were more{}. Repeat this after the time in \
                 Retry-After. Whoever runs this deployment can change it (`rate` in the policy's [admin]).",
                caller.rate,
                if cost > 1 { format!("; this one counts as {cost}") } else { String::new() }
            );
            let wait = i64::try_from(wait).unwrap_or(i64::MAX);
            ApiError::until(Code::RateLimited, detail, self.now, self.now.plus(wait))
        })
    }
}
