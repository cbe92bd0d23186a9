//! The decision: pure and synchronous, in a fixed order, a [`Permit`] or a [`Denial`].

use std::{net::IpAddr, rc::Rc};

use keyward_policy::{KeyRequirement, Realm, Requirement, TestMode, scope};

use crate::{
    denial::Denial,
    record::{KeyKind, Mode, Record, Status, TenantStatus},
    time::Timestamp,
};

/// What a decision looks at beside the record.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The client's address, if the platform told it.
    pub address: Option<IpAddr>,
    /// The `Origin` header, if there is one.
    pub origin: Option<&'a str>,
    /// When.
    pub now: Timestamp,
}

/// Proof that a request may be forwarded. Only [`decide`], for a key that was found to be in order, and
/// [`pass_without_key`], for a route that asks for none, make one; forwarding asks for one.
#[derive(Debug)]
pub struct Permit {
    record: Option<Rc<Record>>,
}

impl Permit {
    /// The key that was found to be in order; `None` on a route that asks for none.
    pub fn record(&self) -> Option<&Rc<Record>> {
        self.record.as_ref()
    }
}

/// The permit of a route that asks for no key; `None` if it asks for one.
pub fn pass_without_key(requirement: &Requirement) -> Option<Permit> {
    matches!(requirement, Requirement::Public).then_some(Permit { record: None })
}

/// Decides about a key, in this order: realm, status, expiry, tenant, plan, address, origin, mode,
/// scope. The first thing that is wrong is the answer.
///
/// # Errors
/// The first thing that is wrong.
pub fn decide(
    realm: &Realm,
    requirement: &KeyRequirement,
    record: &Rc<Record>,
    circumstances: Circumstances<'_>,
) -> Result<Permit, Denial> {
    let Circumstances { method, address, origin, now } = circumstances;
    if record.realm != realm.id {
        return Err(Denial::UnknownKey);
    }
    if record.status == Status::Revoked {
        return Err(Denial::RevokedKey);
    }
    if record.expires_at.is_some_and(|end| end <= now) {
        return Err(Denial::ExpiredKey);
    }
    if record.tenant.status == TenantStatus::Inactive {
        return Err(Denial::InactiveTenant);
    }
    let plans = requirement.plans;
    if !plans.is_empty() && !record.tenant.plan.as_deref().is_some_and(|plan| plans.contains(&plan)) {
        return Err(Denial::PlanRequired { plans });
    }
    if !allows_address(record, address) {
        return Err(Denial::AddressRestricted);
    }
    if record.kind == KeyKind::Publishable {
        let listed =
            origin.is_some_and(|origin| record.allowed_origins.iter().any(|allowed| allowed == origin));
        if !requirement.publishable || !listed {
            return Err(Denial::OriginRestricted);
        }
    }
    let reads = matches!(method, "GET" | "HEAD" | "OPTIONS");
    if record.mode == Mode::Test && realm.test_mode == TestMode::ReadOnly && !reads {
        return Err(Denial::TestMode);
    }
    if !requirement.scopes.iter().all(|required| scope::holds(realm.scopes, &record.scopes, required)) {
        return Err(Denial::InsufficientScope { required: requirement.scopes });
    }
    Ok(Permit { record: Some(Rc::clone(record)) })
}

/// Whether the record's ranges hold the address. An IPv4 address that came in IPv6 clothes
/// (`::ffff:192.0.2.1`) is the IPv4 address. An unknown address is in no range.
fn allows_address(record: &Record, address: Option<IpAddr>) -> bool {
    record.allowed_ips.is_empty()
        || address
            .map(|address| address.to_canonical())
            .is_some_and(|address| record.allowed_ips.iter().any(|range| range.contains(&address)))
}
