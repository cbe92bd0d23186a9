//! The decision: pure and synchronous, in a fixed order, a [`Permit`] or a [`Denial`].

use std::{net::IpAddr, rc::Rc};

use keyward_policy::{KeyRequirement, PageKeys, Proof, Realm, Requirement, TestMode, Webhook, scope};

use crate::{
    denial::{Denial, PublishableFault},
    hint::Stray,
    jwt::{self, Verified},
    webhook,
};
use keyward_core::{
    link::Session,
    record::{KeyKind, Mode, Record, Status, TenantStatus},
    secret::{Secret, Secrets},
    time::Timestamp,
};

/// What a decision looks at beside the record.
#[derive(Clone, Copy, Debug)]
pub struct RequestContext<'a> {
    /// The request's method.
    pub method: &'a str,
    /// Whether it asks for another protocol (`Upgrade`): a WebSocket.
    pub upgrades: bool,
    /// The client's address, if the platform told it.
    pub address: Option<IpAddr>,
    /// The `Origin` header, if there is one.
    pub origin: Option<&'a str>,
    /// The code of the tenant whose host was asked, where hosts are tenants' own.
    pub tenant: Option<&'a str>,
    /// What the token beside a key says, where a route asks for both.
    pub token: Option<&'a jwt::Claims>,
    /// When.
    pub now: Timestamp,
}

/// Who was found to be asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Anybody: the route asks for nothing.
    Anybody,
    /// Nobody who is known: nothing is shown, where a credential is optional.
    Anonymous,
    /// A key that is in order.
    Key(Rc<Record>),
    /// Whoever the issuer of a token vouches for.
    Token(jwt::Claims),
    /// Whoever followed a link.
    Session(Session),
    /// The sender of a webhook.
    Sender,
}

/// Proof that a request may be forwarded. Only what decides makes one: [`decide`] about a key,
/// [`decide_token`], [`decide_session`], a [`WebhookCheck`], and [`pass_without_key`] where nothing has to be shown;
/// forwarding asks for one.
#[derive(Debug)]
pub struct Permit {
    identity: Identity,
    token: Option<jwt::Claims>,
    session_id: Option<String>,
}

impl Permit {
    fn of(identity: Identity) -> Self {
        Self { identity, token: None, session_id: None }
    }

    /// The same, for a request that says which session it belongs to.
    #[must_use]
    pub fn in_session(self, session_id: Option<String>) -> Self {
        Self { session_id, ..self }
    }

    /// Who asks.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The key that was found to be in order; `None` if none was asked for.
    pub fn record(&self) -> Option<&Rc<Record>> {
        match &self.identity {
            Identity::Key(record) => Some(record),
            _ => None,
        }
    }

    /// What the token says that came beside the key.
    pub fn token(&self) -> Option<&jwt::Claims> {
        self.token.as_ref()
    }

    /// The checked id of the session that the request belongs to.
    pub fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }
}

/// The permit of a request that shows nothing; `None` where it has to.
pub fn pass_without_key(requirement: &Requirement) -> Option<Permit> {
    let identity = if *requirement == Requirement::Public { Identity::Anybody } else { Identity::Anonymous };
    requirement.admits_anybody().then_some(Permit::of(identity))
}

/// Decides about a key, in this order: realm and its tenant's host, status, pause, expiry, tenant, plan, address,
/// kind and origin, mode, scope, and the tenant of the token beside it. The first thing that is wrong is the answer.
///
/// # Errors
/// The first thing that is wrong.
pub fn decide(
    realm: &Realm,
    requirement: &KeyRequirement,
    record: &Rc<Record>,
    context: RequestContext<'_>,
) -> Result<Permit, Denial> {
    let RequestContext { address, origin, tenant, now, .. } = context;
    if record.realm != realm.id || !is_of(tenant, record.tenant.code.as_deref()) {
        return Err(Denial::UnknownKey { slip: None });
    }
    if record.status == Status::Revoked {
        return Err(Denial::RevokedKey { replaced: record.replaced });
    }
    if record.paused {
        return Err(Denial::PausedKey);
    }
    if record.expires_at.is_some_and(|end| end <= now) {
        return Err(Denial::ExpiredKey { replaced: record.replaced });
    }
    if record.tenant.status == TenantStatus::Inactive {
        return Err(Denial::InactiveTenant);
    }
    check_plan(requirement, record.tenant.plan.as_deref())?;
    if !allows_address(record, address) {
        return Err(Denial::AddressRestricted { address });
    }
    match record.kind {
        KeyKind::Secret if !requirement.by.contains(&Proof::Key) => {
            let stray = Some(Stray::Kind(Proof::Key));
            return Err(Denial::MissingCredential { by: requirement.by, stray });
        }
        KeyKind::Secret if origin.is_some() && realm.secret_keys_from_pages == PageKeys::Refuse => {
            return Err(Denial::SecretKeyFromPage);
        }
        KeyKind::Secret => {}
        KeyKind::Publishable => {
            if !requirement.by.contains(&Proof::Publishable) {
                return Err(Denial::OriginRestricted(PublishableFault::Route));
            }
            let Some(origin) = origin else {
                return Err(Denial::OriginRestricted(PublishableFault::NoOrigin));
            };
            if !record.allowed_origins.iter().any(|allowed| allowed == origin) {
                return Err(Denial::OriginRestricted(PublishableFault::OtherOrigin));
            }
        }
    }
    let live_only = requirement.live_only;
    let held_back = live_only || (realm.test_mode == TestMode::ReadOnly && !context.only_reads());
    if record.mode == Mode::Test && held_back {
        return Err(Denial::TestMode { live_only });
    }
    check_scopes(realm, requirement, Proof::Key, &record.scopes)?;
    let permit = Permit::of(Identity::Key(Rc::clone(record)));
    if !requirement.all {
        return Ok(permit);
    }
    // Where both are needed, whoever is here without the other is here by mistake.
    let token = context.token.ok_or(Denial::Internal)?;
    let is_of_tenant =
        |name: &String| *name == record.tenant.id || is_of(Some(name), record.tenant.code.as_deref());
    if !token.tenant.as_ref().is_none_or(is_of_tenant) {
        return Err(Denial::InvalidToken(jwt::Error::WrongTenant));
    }
    Ok(Permit { token: Some(token.clone()), ..permit })
}

/// Decides about a token whose signature is right: its claims, the tenant's host, scopes.
///
/// # Errors
/// The first thing that is wrong.
pub fn decide_token(
    realm: &Realm,
    requirement: &KeyRequirement,
    token: &Verified<'_>,
    context: RequestContext<'_>,
) -> Result<Permit, Denial> {
    if requirement.all {
        return Err(Denial::Internal);
    }
    // The policy has no such route, and tokens no plan.
    check_plan(requirement, None)?;
    check_token(realm, requirement, token, context).map(|claims| Permit::of(Identity::Token(claims)))
}

/// Checks a token by itself, also one that comes beside a key, about which [`decide`] decides.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_token(
    realm: &Realm,
    requirement: &KeyRequirement,
    token: &Verified<'_>,
    context: RequestContext<'_>,
) -> Result<jwt::Claims, Denial> {
    let claims = token.claims(context.now).map_err(Denial::InvalidToken)?;
    // Beside a key it may name the tenant by its id, too: the host's is the key's, with which `decide` compares it.
    let is_of_host = match &claims.tenant {
        Some(_) if requirement.all => true,
        tenant => is_of(context.tenant, tenant.as_deref()),
    };
    if !is_of_host {
        return Err(Denial::InvalidToken(jwt::Error::WrongTenant));
    }
    check_scopes(realm, requirement, Proof::Jwt, &claims.scopes)?;
    Ok(claims)
}

/// Decides about the value of a session's cookie: its seal, its end, the tenant's host, plan, and whether what
/// changes something comes from the session's own site, since browsers send cookies along unasked.
///
/// # Errors
/// The first thing that is wrong.
pub fn decide_session(
    realm: &Realm,
    requirement: &KeyRequirement,
    cookie: &Secret,
    secrets: &Secrets,
    from_own_site: bool,
    context: RequestContext<'_>,
) -> Result<Permit, Denial> {
    let session = Session::open(cookie, realm.id, secrets, context.now).ok_or(Denial::InvalidSession)?;
    if !is_of(context.tenant, session.tenant.code.as_deref()) {
        return Err(Denial::InvalidSession);
    }
    check_plan(requirement, session.tenant.plan.as_deref())?;
    check_site(context, from_own_site)?;
    // The policy has no such route: sessions hold none.
    check_scopes(realm, requirement, Proof::Session, &[])?;
    Ok(Permit::of(Identity::Session(session)))
}

/// A webhook whose headers are in order, while its body is read.
pub struct WebhookCheck(webhook::Check);

/// Begins to decide about a webhook, by all but its body.
///
/// # Errors
/// [`Denial::InvalidSignature`], and [`Denial::UnfitSecret`] for a secret that is not in the form that the policy
/// says.
pub fn begin_webhook(
    webhook: &Webhook,
    secrets: &[Secret],
    header: &dyn Fn(&str) -> Option<String>,
    now: Timestamp,
) -> Result<WebhookCheck, Denial> {
    match webhook::Check::begin(webhook, secrets, header, now) {
        Ok(check) => Ok(WebhookCheck(check)),
        Err(error @ webhook::Error::UnfitSecret) => {
            Err(Denial::UnfitSecret { secret: webhook.secret, reason: error.to_string() })
        }
        Err(error) => Err(Denial::InvalidSignature { reason: error.to_string() }),
    }
}

impl WebhookCheck {
    /// Sees the next piece of the body.
    pub fn see(&mut self, piece: &[u8]) {
        self.0.see(piece);
    }

    /// Decides, at the body's end.
    ///
    /// # Errors
    /// [`Denial::InvalidSignature`]
    pub fn finish(self) -> Result<Permit, Denial> {
        match self.0.finish() {
            Ok(()) => Ok(Permit::of(Identity::Sender)),
            Err(error) => Err(Denial::InvalidSignature { reason: error.to_string() }),
        }
    }
}

/// Refuses what changes something by a cookie and does not come from its own site: browsers send cookies along unasked.
///
/// # Errors
/// [`Denial::CrossSite`]
pub fn check_site(context: RequestContext<'_>, from_own_site: bool) -> Result<(), Denial> {
    if context.only_reads() || from_own_site { Ok(()) } else { Err(Denial::CrossSite) }
}

/// Passes a tenant on one of the plans that the route is for, if it is for some only.
fn check_plan(requirement: &KeyRequirement, plan: Option<&str>) -> Result<(), Denial> {
    let plans = requirement.plans;
    if plans.is_empty() || plan.is_some_and(|plan| plans.contains(&plan)) {
        return Ok(());
    }
    Err(Denial::PlanRequired { plans })
}

/// Passes what holds every scope that the route asks for.
fn check_scopes(
    realm: &Realm,
    requirement: &KeyRequirement,
    of: Proof,
    held: &[String],
) -> Result<(), Denial> {
    let required = requirement.scopes;
    if required.iter().all(|scope| scope::holds(realm.scopes, held, scope)) {
        return Ok(());
    }
    Err(Denial::InsufficientScope { of, required })
}

/// Whether this is the tenant whose host was asked; true if hosts carry no tenant.
fn is_of(host: Option<&str>, tenant: Option<&str>) -> bool {
    host.is_none_or(|host| tenant.is_some_and(|code| code.eq_ignore_ascii_case(host)))
}

impl RequestContext<'_> {
    /// Whether the request can change nothing. A WebSocket, opened by GET, carries whatever follows.
    fn only_reads(&self) -> bool {
        matches!(self.method, "GET" | "HEAD" | "OPTIONS") && !self.upgrades
    }
}

/// Whether the record's ranges hold the address. An IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2) counts as IPv4. An
/// unknown address is in no range.
fn allows_address(record: &Record, address: Option<IpAddr>) -> bool {
    record.allowed_ips.is_empty()
        || address
            .map(|address| address.to_canonical())
            .is_some_and(|address| record.allowed_ips.iter().any(|range| range.contains(&address)))
}
