//! Step 9: what becomes of a request's header fields on the way to the origin, and of an answer's on the way
//! back. `docs/origin.md` has both as tables, which tests compare with what an origin and a client really get.
//!
//! What is named nowhere here passes as it came. Lists of names are in lower case; one that ends in `-` stands
//! for every name that begins so.

use std::net::IpAddr;

use keyward_policy::{CredentialSource, Origin, Realm, SourceKind};

use crate::{
    cors, credential,
    gate::{Identity, Permit},
    identity,
    pipeline::Caller,
    refusal,
    registry::front::SESSION_COOKIE,
    route::Target,
    secret::Secrets,
    wire::WindowState,
};

/// Only Keyward says who somebody is.
const IDENTITY: &str = "keyward-";

/// Fields by which a client tells some origins to take the request for one with another method or path than the
/// gate has decided on.
const OVERRIDES: [&str; 5] =
    ["x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"];

/// Fields that say where a request came from. A client's own word is removed; the gate's takes its place.
const PROVENANCE: [&str; 12] = [
    "forwarded",
    "x-forwarded-",
    "x-original-host",
    "x-host",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "x-scheme",
    "x-url-scheme",
    "front-end-https",
    "x-proxyuser-ip",
];

/// Fields that are for the next server only (RFC 9110, sections 7.6.1 and 11.7). What `Connection` names goes
/// with them; the runtime does `Connection`, `Transfer-Encoding` and `Upgrade` itself. `Expect` is answered by the
/// time the body is here (section 10.1.1), and an origin that is told of it keeps the runtime waiting.
const HOP_BY_HOP: [&str; 8] = [
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
];

/// What the CORS protocol reads of an answer. Where the realm has CORS, the policy alone says it.
const CORS: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-allow-private-network",
    "access-control-max-age",
];

/// Header fields of a client that the origin does not get. `header` reads one by its lower-case name.
pub fn removed(
    realms: &[Realm],
    realm: &Realm,
    permit: &Permit,
    secrets: Option<&Secrets>,
    header: impl Fn(&str) -> Option<String>,
) -> Vec<&'static str> {
    let mut names = vec![IDENTITY];
    names.extend(OVERRIDES.iter().chain(&PROVENANCE).chain(&HOP_BY_HOP));
    let holds = |source: &&CredentialSource| {
        header(source.header).is_some_and(|value| match permit.identity() {
            // Nobody's credential was asked for: what is another server's may be meant for the origin.
            Identity::Anybody | Identity::Sender => credential::is_of_any(realms, source, &value, secrets),
            // A token that was found to be in order goes on where the policy says so.
            Identity::Token(_) if source.kind == SourceKind::Jwt && source.forward => false,
            _ => {
                credential::has_scheme(source, &value)
                    || credential::is_of_any(realms, source, &value, secrets)
            }
        })
    };
    let credentials = realm.credentials.iter().filter(holds).map(|source| source.header);
    names.extend(credentials);
    names
}

/// Cookies of the gate's own, which the origin does not get.
pub fn removed_cookies(realm: &Realm) -> Vec<&'static str> {
    realm.link.iter().map(|link| link.cookie).chain([SESSION_COOKIE]).collect()
}

/// Header fields that the origin gets from the gate: the verified identity, and where the request came from.
pub fn added(
    realm: &Realm,
    permit: &Permit,
    target: Target<'_>,
    caller: Caller<'_>,
    request_id: &str,
) -> Vec<(&'static str, String)> {
    let mut fields = identity::headers(permit, request_id);
    let authority = target.authority();
    fields.push(("X-Forwarded-Host", authority.to_owned()));
    fields.push(("X-Forwarded-Proto", target.scheme.to_owned()));
    let address = caller.address.and_then(|text| text.parse::<IpAddr>().ok());
    if let Some(address) = address {
        fields.push(("X-Forwarded-For", address.to_string()));
    }
    if realm.forwarded {
        fields.push(("Forwarded", forwarded(address, authority, target.scheme)));
    }
    fields
}

/// RFC 7239, section 4. An IPv6 address stands in brackets and quotes (section 6), and so does a host with a port.
fn forwarded(address: Option<IpAddr>, authority: &str, scheme: &str) -> String {
    let address = match address {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(v4)) => v4.to_string(),
        Some(IpAddr::V6(v6)) => format!("\"[{v6}]\""),
    };
    format!("for={address};host=\"{authority}\";proto={scheme}")
}

/// The answer's header fields as the client gets them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct AnswerFields {
    /// Names of those that are removed.
    pub removed: Vec<&'static str>,
    /// Those that are set, in place of the origin's.
    pub set: Vec<(&'static str, String)>,
    /// Lists that the origin may have begun, and what is added to them.
    pub merged: Vec<(&'static str, String)>,
}

/// What becomes of an answer's header fields.
pub fn answer(
    realm: &Realm,
    permit: &Permit,
    origin: Option<&str>,
    windows: &[WindowState],
    request_id: &str,
) -> AnswerFields {
    let mut removed: Vec<&'static str> = HOP_BY_HOP.to_vec();
    let mut set = vec![("X-Request-Id", request_id.to_owned())];
    let mut merged = Vec::new();
    set.extend(refusal::rate_limit_headers(windows));
    if let Some(cors) = &realm.cors {
        removed.extend(CORS);
        let fields = cors::fields(cors, origin);
        set.extend(fields.allowed.map(|origin| ("Access-Control-Allow-Origin", origin)));
        merged.extend(fields.exposed.map(|names| ("Access-Control-Expose-Headers", names.to_owned())));
        merged.extend(fields.vary.map(|name| ("Vary", name.to_owned())));
    }
    let vary = vary(realm, permit);
    if !vary.is_empty() {
        merged.push(("Vary", vary.join(", ")));
    }
    AnswerFields { removed, set, merged }
}

/// Header fields by whose value answers differ, so that caches tell apart who may see what.
pub fn vary(realm: &Realm, permit: &Permit) -> Vec<&'static str> {
    if *permit.identity() == Identity::Anybody {
        return Vec::new();
    }
    let cookie = realm.link.map(|_| "cookie");
    realm.credentials.iter().map(|source| source.header).chain(cookie).collect()
}

/// The address, scheme, host and port, by which an origin knows itself, where it is not the one that was asked.
pub fn own_address(realm: &Realm) -> Option<&'static str> {
    match realm.origin {
        Origin::Binding(_) => None,
        Origin::Url(url) => Some(url),
    }
}
