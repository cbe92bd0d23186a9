//! What is the same for all requests of a realm whose callers are known in the same way. The platform is told of it once, and
//! for each request only which profile it is.

use keyward_policy::{Origin, Realm, RequestId, Requirement};
use serde_json::{Value, json};

use super::{
    CORS, FRAMING, GATES_OWN, HOP_BY_HOP, IDENTITY, OVERRIDES, PROVENANCE, RATE_LIMITS, REQUEST_ID, TRACE,
};
use crate::{
    cors,
    gate::{Identity, Permit},
    refusal,
};
use keyward_core::{cookie::SESSION_COOKIE, order};

/// How much is known of who asks, as far as answers differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nothing was asked for.
    Anybody,
    /// Nobody by name, where others are: the sender of a webhook, or who shows none of the credentials that the route takes.
    Nameless,
    /// Somebody, by a credential.
    Known,
}

impl Caller {
    const ALL: [Self; 3] = [Self::Anybody, Self::Nameless, Self::Known];
}

/// A profile. How many there are depends on the policy alone, whatever clients send.
#[derive(Clone, Copy, Debug)]
pub struct Profile<'a> {
    /// The realm.
    pub realm: &'a Realm,
    /// Who asks.
    pub caller: Caller,
    /// Whether the gate says what is left of a key's limits.
    pub is_limited: bool,
}

impl<'a> Profile<'a> {
    /// The profile for whoever has this permit.
    pub fn of(realm: &'a Realm, permit: &Permit, is_limited: bool) -> Self {
        let caller = match permit.identity() {
            Identity::Anybody => Caller::Anybody,
            Identity::Anonymous | Identity::Sender => Caller::Nameless,
            Identity::Key(_) | Identity::Token(_) | Identity::Session(_) => Caller::Known,
        };
        Self { realm, caller, is_limited }
    }

    /// All that a policy has, in an order that only the policy decides.
    fn all(realms: &'a [Realm]) -> impl Iterator<Item = Self> {
        realms.iter().flat_map(|realm| {
            Caller::ALL
                .into_iter()
                .flat_map(move |caller| [false, true].map(|is_limited| Self { realm, caller, is_limited }))
        })
    }

    /// Its number among the policy's.
    pub fn number(&self, realms: &[Realm]) -> Option<usize> {
        let is_this = |profile: Profile<'_>| {
            std::ptr::eq(profile.realm, self.realm)
                && (profile.caller, profile.is_limited) == (self.caller, self.is_limited)
        };
        Profile::all(realms).position(is_this)
    }

    /// The one of this number.
    pub fn numbered(realms: &'a [Realm], number: usize) -> Option<Self> {
        Self::all(realms).nth(number)
    }

    /// Header fields of a client that the origin does not get, beside its credentials and what is misspelt. The same for
    /// all profiles.
    pub fn request_removed() -> impl Iterator<Item = &'static str> {
        IDENTITY.into_iter().chain(OVERRIDES).chain(PROVENANCE).chain(TRACE).chain(HOP_BY_HOP)
    }

    /// Header fields of the origin that the client does not get.
    pub fn answer_removed(&self) -> Vec<&'static str> {
        let mut removed: Vec<&'static str> = HOP_BY_HOP.to_vec();
        removed.extend(GATES_OWN);
        if self.realm.request_id == RequestId::Gate {
            removed.push(REQUEST_ID);
        }
        if self.is_limited {
            removed.extend(RATE_LIMITS);
        }
        if self.realm.cors.is_some() {
            removed.extend(CORS);
        }
        removed
    }

    /// Lists in an answer that the origin may have begun, and what is added to them.
    pub fn answer_merged(&self) -> Vec<(&'static str, String)> {
        let cors = self.realm.cors.as_ref().and_then(|cors| cors::fields(cors, None).vary);
        let vary: Vec<_> = cors.into_iter().chain(self.vary()).collect();
        let mut merged = Vec::new();
        if !vary.is_empty() {
            merged.push(("Vary", vary.join(", ")));
        }
        if self.caller == Caller::Known {
            // What shared caches do with `Authorization` (RFC 9111, section 3.5) they are to do with each credential.
            merged.push(("Cache-Control", "private".to_owned()));
        }
        merged
    }

    /// Header fields by whose value answers differ, so that caches tell apart who may see what. The origin is told the session
    /// that anybody names.
    pub fn vary(&self) -> Vec<&'static str> {
        let named = self.realm.session_id_header;
        if self.caller == Caller::Anybody {
            return named.into_iter().collect();
        }
        let by_cookie = self.realm.link.is_some() || self.realm.token_cookies().next().is_some();
        let cookie = by_cookie.then_some("cookie");
        let of_requests = self.realm.credentials.iter().filter(|source| !source.is_subprotocol());
        order::distinct(of_requests.map(|source| source.header).chain(cookie).chain(named))
    }

    /// The address, scheme, host and port, by which an origin knows itself, where it is not the one that was asked. In an
    /// answer it becomes the one that was asked.
    pub fn own_address(&self) -> Option<&'static str> {
        match self.realm.origin {
            Origin::Binding(_) | Origin::Handler(_) => None,
            Origin::Url(url) => Some(url),
        }
    }

    /// All of it, for `src/verdict.js`.
    pub fn document(&self, realms: &[Realm]) -> Value {
        let (kind, name) = match self.realm.origin {
            Origin::Binding(name) => ("binding", name),
            Origin::Handler(name) => ("handler", name),
            Origin::Url(url) => ("url", url),
        };
        let misspelt = removed_if_misspelt(realms).into_iter().map(|name| format!("~{name}"));
        let removed = Self::request_removed().map(str::to_owned).chain(misspelt);
        json!({
            "origin": { "kind": kind, "name": name },
            "originTimeoutMs": self.realm.origin_timeout.timer_ms(),
            "clientTimeoutMs": self.realm.client_timeout.timer_ms(),
            "ownAddress": self.own_address(),
            "cookies": removed_cookies(realms),
            "ownCookies": own_cookies(realms),
            "removed": removed.collect::<Vec<_>>(),
            "answer": {
                "removed": self.answer_removed(),
                "merged": self.answer_merged(),
                "challenges": refusal::challenge::own(self.realm),
            },
        })
    }
}

/// Headers that the gate decides by: those in which a credential, a session's id or a signature may stand in any realm,
/// and what frames a message. In another spelling (`X_Api_Key`) no realm reads them, and many origins would: so spelled
/// they do not go on.
fn removed_if_misspelt(realms: &[Realm]) -> Vec<&'static str> {
    let mut names = FRAMING.to_vec();
    for realm in realms {
        names.extend(realm.credentials.iter().map(|source| source.header));
        names.extend(realm.session_id_header);
        for route in realm.routes {
            if let Requirement::Webhook(webhook) = route.requires {
                names.extend(webhook.headers());
            }
        }
    }
    let mut names = order::sorted(names);
    names.dedup();
    names
}

/// In which Cloudflare Access keeps the token that it also puts into its header: with it somebody could sign in here.
const ACCESS_COOKIE: &str = "CF_Authorization";

/// Cookies that say who somebody is to the gate, of whichever realm: the origin does not get them.
pub fn removed_cookies(realms: &[Realm]) -> Vec<&'static str> {
    let tokens = realms.iter().flat_map(Realm::token_cookies);
    own_cookies(realms).into_iter().chain(tokens).collect()
}

/// Those that only the gate, or what stands before it, sets: the origin sets none of them. A token's cookie it may set: where an app
/// signs people in, it is behind the gate.
pub fn own_cookies(realms: &[Realm]) -> Vec<&'static str> {
    let links = realms.iter().filter_map(|realm| realm.link.map(|link| link.cookie));
    links.chain([SESSION_COOKIE, ACCESS_COOKIE]).collect()
}
