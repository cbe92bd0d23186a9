//! Which credential a request brings, whether the
//! route takes such a one, and who decides about it.

use std::rc::Rc;

use keyward_policy::{Jwt, KeyRequirement, Link, Proof, Realm, Requirement, Route, Webhook};

use crate::{
    breakers::Dependency,
    client_info::ClientInfo,
    credential::{self, Credential, Kind},
    denial::Denial,
    gate::{self, Permit},
    hint::{self, Stray},
    in_flight::READ_WITHIN,
    jwt::{Error, Keys, NoKeys, Source, Token, Verified},
    penalty_box::Lookup,
    pipeline::{Accepted, Failures, Pipeline, Refused, unavailable},
    platform::Platform,
    request::RequestParts,
    request_body,
};
use keyward_core::{
    cookie::Repeated,
    key,
    link::{self, Followed, Redeem, Redeemed, Session},
    record::TenantStatus,
    request_target::RequestTarget,
    secret::{Secret, Secrets},
    session_id,
};

/// The outcome for a request that is not refused.
#[derive(Debug)]
pub enum Admission {
    /// It goes on.
    Pass(Accepted),
    /// It is answered with 303 and these headers: a link was used.
    Redirect([(&'static str, String); 4]),
}

impl<P: Platform> Pipeline<'_, P> {
    /// Gives a route what it asks for.
    ///
    /// # Errors
    /// Why the request may not pass.
    pub async fn authenticate(
        &self,
        realm: &Realm,
        route: &Route,
        target: RequestTarget<'_>,
        caller: ClientInfo<'_>,
        request: &impl RequestParts,
    ) -> Result<Admission, Refused> {
        let caller = ClientInfo { tenant: realm.tenant_of(target.host), ..caller };
        let secrets = self.secrets.as_deref().ok();
        let header = |name: &str| request.header(name);
        let (asked, session_id) = ask(realm, route, target, caller.method, secrets, &header)?;
        let (requirement, kind, text) = match asked {
            Asked::Link(link, followed) => {
                return Ok(Admission::Redirect(self.redeem(realm, link, followed, caller).await?));
            }
            Asked::Nothing => {
                let permit = gate::pass_without_key(&route.requires).ok_or(Denial::Internal)?;
                self.limit_network(realm, route, caller).await?;
                return Ok(pass(permit.in_session(session_id)));
            }
            Asked::Webhook(webhook) => {
                return Ok(pass(self.webhook(webhook, request, caller).await?.in_session(session_id)));
            }
            Asked::Credential(requirement, Credential { kind, text }) => (requirement, kind, text),
        };
        let permit = match kind {
            Kind::Key => {
                let freshness = realm.freshness_on(route.freshness);
                let mut accepted = self.check(realm, freshness, requirement, &text, caller).await?;
                accepted.permit = accepted.permit.in_session(session_id);
                return Ok(Admission::Pass(accepted));
            }
            Kind::Jwt => self.token(realm, requirement, &text, caller).await?,
            Kind::Session => {
                let from_own_site = caller.origin == Some(target.origin)
                    || request.header("sec-fetch-site").as_deref() == Some("same-origin");
                let secrets = self.secrets.clone()?;
                let context = caller.at(self.platform.now());
                gate::decide_session(realm, requirement, &text, &secrets, from_own_site, context)?
            }
        };
        Ok(pass(permit.in_session(session_id)))
    }

    /// Checks a webhook: first what its headers show, so that only the body of one that may be its sender's is
    /// read. Networks that keep sending others are slowed: only one at a time of theirs is read, now and then. But not
    /// those from which a sender has delivered lately, since many share their network, and the signature is known only
    /// after the body.
    async fn webhook(
        &self,
        webhook: &Webhook,
        request: &impl RequestParts,
        caller: ClientInfo<'_>,
    ) -> Result<Permit, Denial> {
        let most = crate::webhook::MOST_BYTES;
        if request_body::declared_length(request).is_some_and(|length| length > most as u64) {
            return Err(Denial::BodyTooLarge);
        }
        let secret =
            self.platform.secret(webhook.secret).ok_or(Denial::NotConfigured { what: webhook.secret })?;
        let mut check =
            gate::begin_webhook(webhook, &secret, &|name| request.header(name), self.platform.now())?;
        let source = caller.source(Failures::Webhooks);
        let is_sender =
            self.memory.borrow_mut().penalty_box.has_delivered(&source.network, self.platform.now());
        let within = if is_sender { READ_WITHIN } else { self.may_deliver(&source)? };
        let read = request.body(most, within, |piece| check.see(piece)).await;
        let decided = read.and_then(|()| check.finish());
        match &decided {
            Ok(_) => self.memory.borrow_mut().penalty_box.note_delivery(&source.network, self.platform.now()),
            // What cost the reading of a body, in vain.
            Err(Denial::Overloaded | Denial::Internal) => {}
            Err(_) => self.count_failure_after_body(&source).await,
        }
        decided
    }

    /// Checks a token. Networks that keep sending forged ones are told to wait; whoever has one of the issuer's passes,
    /// whatever the neighbours send. One that is its issuer's and has expired, say, comes from an honest client.
    async fn token(
        &self,
        realm: &Realm,
        requirement: &KeyRequirement,
        text: &Secret,
        caller: ClientInfo<'_>,
    ) -> Result<Permit, Denial> {
        if hint::is_key(realm, text.expose()) {
            return Err(Denial::KeyAsToken);
        }
        let decided = self.decide_token(realm, requirement, text, caller).await;
        if !matches!(decided, Err(Denial::InvalidToken(error)) if !error.is_after_signature()) {
            return decided;
        }
        let source = caller.source(Failures::Keys);
        self.not_penalized(&source)?;
        self.count_failure(&source).await;
        decided
    }

    async fn decide_token(
        &self,
        realm: &Realm,
        requirement: &KeyRequirement,
        text: &Secret,
        caller: ClientInfo<'_>,
    ) -> Result<Permit, Denial> {
        let policy = realm.jwt.as_ref().ok_or(Denial::Internal)?;
        self.verify(realm.id, policy, text, |verified| {
            gate::decide_token(realm, requirement, verified, caller.at(self.platform.now()))
        })
        .await
    }

    /// Verifies a token with the keys of its issuer, which are kept under this name, and decides by what it says.
    pub(crate) async fn verify<T>(
        &self,
        name: &'static str,
        policy: &Jwt,
        text: &Secret,
        decide: impl Fn(&Verified<'_>) -> Result<T, Denial>,
    ) -> Result<T, Denial> {
        let token = Token::read(text.expose(), policy).map_err(Denial::InvalidToken)?;
        let decide = async |keys: &Rc<Keys>| {
            let verified = token.verify(keys, async |signed| self.platform.verify(signed).await).await;
            decide(&verified.map_err(Denial::InvalidToken)?)
        };
        let keys = self.issuers.keys(self.platform, self.deadline, name, policy, &token).await?;
        let decided = decide(&keys).await;
        // An issuer may change its keys and not their ids, or give them none.
        if let Err(Denial::InvalidToken(Error::UnknownKey | Error::WrongAlgorithm | Error::BadSignature)) =
            decided
            && let Some(source) = Source::of(name, policy)
        {
            let newer = self.issuers.fetched(self.platform, self.deadline, source, &token, Some(&keys));
            return match newer.await {
                Ok(newer) => decide(&newer).await,
                // There are no newer ones.
                Err(NoKeys::Unknown) => decided,
                // There may be: a token is not called forged that could be signed with one of them.
                Err(unavailable) => Err(unavailable.into()),
            };
        }
        decided
    }

    /// Exchanges a link's token for a session. Networks that keep following links which are used up are told to wait
    /// before the Registry is asked, of which there is one.
    async fn redeem(
        &self,
        realm: &Realm,
        link: &Link,
        followed: Followed,
        caller: ClientInfo<'_>,
    ) -> Result<[(&'static str, String); 4], Denial> {
        let secrets = self.secrets.clone()?;
        let (format, token) = (link.token(), followed.token.expose());
        if !key::is_well_formed(&format, &secrets, token) {
            return Err(Denial::InvalidLink);
        }
        let hash = key::storage_hash(&format, &secrets, token);
        let over = self.memory.borrow_mut().why_over(&hash, self.platform.now());
        if let Some(denial) = over {
            return Err(denial);
        }
        let source = caller.source(Failures::Links);
        self.may_look_up(&source, Lookup::Link)?;
        let call = Redeem { hash: hash.clone(), realm: realm.id.to_owned() };
        let redeem = async |within| self.platform.redeem(&call, within).await;
        let redeemed = self.ask_of(Dependency::Links, self.left(), redeem).await;
        let denial = match redeemed.map_err(|_| unavailable("Registry"))? {
            Redeemed::Granted(session) => return self.begin_session(realm, link, session, followed, caller),
            Redeemed::Used => Denial::UsedLink,
            Redeemed::Expired => Denial::ExpiredLink,
            Redeemed::Unknown => Denial::InvalidLink,
        };
        // What is unknown may be a link of a tenant that is active again the next moment.
        if denial != Denial::InvalidLink {
            self.memory.borrow_mut().is_over(&hash, denial.clone(), self.platform.now());
        }
        self.count_failure(&source).await;
        Err(denial)
    }

    /// The answer to a link that began this session.
    fn begin_session(
        &self,
        realm: &Realm,
        link: &Link,
        session: Session,
        followed: Followed,
        caller: ClientInfo<'_>,
    ) -> Result<[(&'static str, String); 4], Denial> {
        let secrets = self.secrets.clone()?;
        if session.tenant.status == TenantStatus::Inactive {
            return Err(Denial::InactiveTenant);
        }
        let sealed = session.seal(&secrets);
        // What is sealed is looked at as it will be when it comes back: on another tenant's host it is none.
        let any = KeyRequirement { by: &[Proof::Session], ..KeyRequirement::ANY_KEY };
        gate::decide_session(realm, &any, &sealed, &secrets, true, caller.at(self.platform.now()))?;
        Ok(link::redirect(link, &sealed, followed.url))
    }
}

/// What is to be decided about a request, as its own form says: what the route asks for, and what is shown for it.
pub(crate) enum Asked<'r> {
    /// It follows a link.
    Link(&'r Link, Followed),
    /// Nothing is asked for, or nothing is shown where it need not be.
    Nothing,
    /// A signature is asked for.
    Webhook(&'static Webhook),
    /// This is asked of the credential that is shown.
    Credential(&'r KeyRequirement, Credential),
}

/// Reads what a request shows, and the id of its session.
///
/// # Errors
/// What can be refused without looking anything up.
pub(crate) fn ask<'r>(
    realm: &'r Realm,
    route: &'r Route,
    target: RequestTarget<'_>,
    method: &str,
    secrets: Option<&Secrets>,
    header: &dyn Fn(&str) -> Option<String>,
) -> Result<(Asked<'r>, Option<String>), Denial> {
    let credential = credential::take(realm, target, secrets, header)?;
    if let Some((link, followed)) = followed(realm, route, target, method, secrets)? {
        return Ok((Asked::Link(link, followed), None));
    }
    let asked = match &route.requires {
        Requirement::Public => Asked::Nothing,
        Requirement::Webhook(webhook) => Asked::Webhook(webhook),
        Requirement::Key(requirement) => {
            let shown = credential.as_ref().map(|credential| credential.kind);
            match credential.filter(|it| takes(requirement, it.kind)) {
                Some(credential) => Asked::Credential(requirement, credential),
                None => match missing(realm, requirement, shown, header) {
                    // Whoever shows anything means to be known.
                    Denial::MissingCredential { stray: None, .. } if requirement.optional => Asked::Nothing,
                    denial => return Err(denial),
                },
            }
        }
    };
    // Before a request is counted that will not be forwarded.
    Ok((asked, session_id::take(realm, route, header)?))
}

fn pass(permit: Permit) -> Admission {
    Admission::Pass(Accepted { permit, windows: Vec::new(), background: None, pool: None, open: None })
}

/// The refusal of a request that shows nothing, or a credential of a kind that the route does not take.
fn missing(
    realm: &Realm,
    requirement: &KeyRequirement,
    shown: Option<Kind>,
    header: impl Fn(&str) -> Option<String>,
) -> Denial {
    let by = requirement.by;
    let kind = shown.map(|kind| match kind {
        Kind::Key => Proof::Key,
        Kind::Jwt => Proof::Jwt,
        Kind::Session => Proof::Session,
    });
    let stray = kind.map_or_else(|| hint::stray(realm, by, header), |kind| Some(Stray::Kind(kind)));
    Denial::MissingCredential { by, stray }
}

/// Whether a route takes such a credential at all. Which keys it takes, their records say.
fn takes(requirement: &KeyRequirement, kind: Kind) -> bool {
    let by = |proof: &Proof| requirement.by.contains(proof);
    match kind {
        Kind::Key => by(&Proof::Key) || by(&Proof::Publishable),
        Kind::Jwt => by(&Proof::Jwt),
        Kind::Session => by(&Proof::Session),
    }
}

/// The link that a request follows. A token is exchanged only where a person goes with a browser: where a
/// session is taken, and by GET. Anywhere else it is a credential in the wrong place.
fn followed<'r>(
    realm: &'r Realm,
    route: &Route,
    target: RequestTarget<'_>,
    method: &str,
    secrets: Option<&Secrets>,
) -> Result<Option<(&'r Link, Followed)>, Denial> {
    let Some(link) = &realm.link else { return Ok(None) };
    let by_session =
        matches!(&route.requires, Requirement::Key(requirement) if requirement.by.contains(&Proof::Session));
    if by_session && method == "GET" {
        let followed = link::follow(link, target).map_err(|Repeated| Denial::RepeatedCredential)?;
        return Ok(followed.map(|followed| (link, followed)));
    }
    if credential::is_link_in_url(link, target, secrets) {
        return Err(Denial::KeyInUrl);
    }
    Ok(None)
}
