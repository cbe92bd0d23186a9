//! Which credential a request brings, whether the
//! route takes such a one, and who decides about it.

mod ask;

use std::rc::Rc;

use keyward_policy::{Jwt, KeyRequirement, Link, Proof, Realm, Route, Webhook};

pub(crate) use self::ask::{Asked, ask};
use crate::{
    breakers::Dependency,
    client_info::ClientInfo,
    credential::{Credential, Kind},
    denial::Denial,
    gate::{self, Permit},
    hint,
    in_flight::READ_WITHIN,
    jwt::{Error, Keys, NoKeys, Source, Token, Verified, claimed_issuer},
    penalty_box::Lookup,
    pipeline::{Accepted, Failures, Pipeline, Refused, unavailable},
    platform::Platform,
    request::RequestParts,
    request_body,
};
use keyward_core::{
    key,
    link::{self, Followed, Redeem, Redeemed, Session},
    record::TenantStatus,
    request_target::RequestTarget,
    secret::Secret,
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
        let from_own_site = || {
            caller.origin == Some(target.origin)
                || request.header("sec-fetch-site").as_deref() == Some("same-origin")
        };
        let check_site = |is_in_cookie: bool| {
            let context = caller.at(self.platform.now());
            if is_in_cookie { gate::check_site(context, from_own_site()) } else { Ok(()) }
        };
        let mut token = None;
        let (requirement, kind, text, cookie) = match asked {
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
            Asked::Credential(requirement, Credential { kind, text, cookie }) => {
                // What a session is decided by says it after what is wrong with the session.
                check_site(cookie.is_some() && kind != Kind::Session)?;
                (requirement, kind, text, cookie)
            }
            Asked::Both { requirement, key, token: Credential { text, cookie, .. } } => {
                check_site(cookie.is_some())?;
                let check = |verified: &Verified<'_>| {
                    gate::check_token(realm, requirement, verified, caller.at(self.platform.now()))
                };
                // First, since a key's limits count a request that passes so far.
                token = Some(self.token(realm, (&text, cookie), caller, check).await?);
                (requirement, Kind::Key, key, None)
            }
        };
        let caller = ClientInfo { token: token.as_ref(), ..caller };
        let permit = match kind {
            Kind::Key => {
                let freshness = realm.freshness_on(route.freshness);
                let mut accepted = self.check(realm, freshness, requirement, &text, caller).await?;
                accepted.permit = accepted.permit.in_session(session_id);
                return Ok(Admission::Pass(accepted));
            }
            Kind::Jwt => {
                let decide = |verified: &Verified<'_>| {
                    gate::decide_token(realm, requirement, verified, caller.at(self.platform.now()))
                };
                self.token(realm, (&text, cookie), caller, decide).await?
            }
            Kind::Session => {
                let secrets = self.secrets.clone()?;
                let context = caller.at(self.platform.now());
                gate::decide_session(realm, requirement, &text, &secrets, from_own_site(), context)?
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
        let usual = crate::webhook::MOST_BYTES;
        let most = webhook.max_body.map_or(usual, |bytes| usize::try_from(bytes).unwrap_or(usual));
        if request_body::declared_length(request).is_some_and(|length| length > most as u64) {
            return Err(Denial::BodyTooLarge);
        }
        let secrets = webhook_secrets(webhook, &|name| self.platform.secret(name))?;
        let mut check =
            gate::begin_webhook(webhook, &secrets, &|name| request.header(name), self.platform.now())?;
        let source = caller.source(Failures::Webhooks);
        let is_sender =
            self.memory.borrow_mut().penalty_box.has_delivered(&source.network, self.platform.now());
        let within = if is_sender { READ_WITHIN } else { self.may_deliver(&source)? };
        let read = request.body(most, within, is_sender, |piece| check.see(piece)).await;
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
    /// whatever the neighbours send. One that is its issuer's and has expired, say, comes from an honest client. `cookie`: the
    /// one that it stands in, if it does.
    async fn token<T>(
        &self,
        realm: &Realm,
        (text, cookie): (&Secret, Option<&str>),
        caller: ClientInfo<'_>,
        decide: impl Fn(&Verified<'_>) -> Result<T, Denial>,
    ) -> Result<T, Denial> {
        if hint::is_key(realm, text.expose()) {
            return Err(Denial::KeyAsToken);
        }
        let named = issuer_of(realm, text, cookie);
        let decided = match &named {
            Ok(policy) => self.verify(realm.id, policy, text, decide).await,
            Err(denial) => Err(denial.clone()),
        };
        // Whoever names none of the issuers has not been asked for a signature yet.
        let is_unsigned = named.is_err();
        if !is_unsigned && !matches!(decided, Err(Denial::InvalidToken(error)) if !error.is_after_signature())
        {
            return decided;
        }
        let source = caller.source(Failures::Keys);
        self.not_penalized(&source)?;
        self.count_failure(&source).await;
        decided
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
            let newer =
                self.issuers.fetched(self.platform, self.deadline, source, token.key_id(), Some(&keys));
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

/// By whose rules a token is tried: the realm's issuer, or the one that it names of several. In a cookie stand tokens of the
/// issuers only that name it.
fn issuer_of<'r>(realm: &'r Realm, text: &Secret, cookie: Option<&str>) -> Result<&'r Jwt, Denial> {
    let named = match realm.other_issuers {
        [] => None,
        _ => Some(claimed_issuer(text.expose()).map_err(Denial::InvalidToken)?),
    };
    let is_it = |issuer: &&Jwt| {
        named.as_deref().is_none_or(|named| issuer.issuer == named)
            && (cookie.is_none() || issuer.cookie == cookie)
    };
    realm.issuers().find(is_it).ok_or(Denial::InvalidToken(Error::WrongIssuer))
}

/// All secrets of a webhook's sender. One that is missing is not passed over: whoever signs with it would seem a forger.
pub(crate) fn webhook_secrets(
    webhook: &Webhook,
    secret: &dyn Fn(&str) -> Option<Secret>,
) -> Result<Vec<Secret>, Denial> {
    webhook.secrets().map(|name| secret(name).ok_or(Denial::NotConfigured { what: name })).collect()
}

fn pass(permit: Permit) -> Admission {
    Admission::Pass(Accepted { permit, windows: Vec::new(), background: None, pool: None, open: None })
}
