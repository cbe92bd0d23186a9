//! Which header fields a request loses and gains on its way to the origin, and an answer on its way back. `docs/origin.md` has both as tables, which tests compare with what an origin and a client really get.
//!
//! What is named nowhere here passes as it came. Lists of names are in lower case; one that ends in `-` stands
//! for every name that begins so, one between two `-` for every name that has these words in it (`-client-ip-` for
//! `True-Client-IP`), and one after a `~` is removed where it is spelled otherwise (`X_Api_Key`).

pub mod profile;

use std::net::IpAddr;

use keyward_policy::{CredentialSource, Realm, RequestId, SourceKind};

use crate::{
    client_info::ClientInfo,
    cors, credential,
    gate::{Identity, Permit},
    identity, refusal,
    trace::{TRACEPARENT, TRACESTATE},
};
use keyward_core::{order, request_target::RequestTarget, secret::Secrets};
use keyward_limits::limit::WindowState;

/// Only Keyward says who somebody is, and Cloudflare what it knows of the client: a spelling of its fields that
/// is not its own (`CF_Connecting_IP`) is a client's. The others are those of proxies, gateways, meshes and hosts that let
/// origins know who asks; none of them is between Keyward and its origin unless it sets its own.
const IDENTITY: [&str; 57] = [
    "keyward-",
    "~cf-",
    "$wsat",
    "$wscc",
    "$wscs",
    "$wsis",
    "$wspr",
    "$wsra",
    "$wsrh",
    "$wsru",
    "$wssn",
    "$wssp",
    "-authenticated-",
    "-client-cert-",
    "-client-principal-",
    "-jwt-assertion-",
    "-ssl-client-",
    "-userinfo-",
    "auth-groups",
    "auth-mail",
    "auth-user",
    "cf-access-",
    "gap-",
    "iv-",
    "l5d-",
    "mellon-",
    "ngrok-auth-",
    "oam-",
    "oidc-",
    "remote-",
    "shib-",
    "sm-",
    "tailscale-app-capabilities",
    "tailscale-headers-info",
    "tailscale-user-",
    "x-amzn-lambda-",
    "x-amzn-lattice-",
    "x-amzn-mtls-",
    "x-amzn-oidc-",
    "x-amzn-request-context",
    "x-anonymous-consumer",
    "x-apigateway-",
    "x-appengine-",
    "x-arr-",
    "x-auth-couchdb-",
    "x-auth-request-",
    "x-authentik-",
    "x-consumer-",
    "x-credential-",
    "x-goog-iap-",
    "x-id-token",
    "x-ms-token-",
    "x-pomerium-",
    "x-proxy-",
    "x-remote-",
    "x-vouch-",
    "x-webauth-",
];

/// Fields by which a client tells some origins to take the request for another one than the gate has decided on: with
/// another method, for another path, by another way (`Proxy` is `HTTP_PROXY` to a CGI program) or past a part of it.
const OVERRIDES: [&str; 18] = [
    "-method-override-",
    "path-info",
    "proxy",
    "script-name",
    "x-accel-",
    "x-astro-",
    "x-envoy-",
    "x-http-method",
    "x-invoke-",
    "x-matched-path",
    "x-middleware-",
    "x-now-route-matches",
    "x-override-",
    "x-rewrite-",
    "x-script-name",
    "x-sendfile-type",
    "x-unencoded-url",
    "x-waws-unencoded-url",
];

/// Fields that say where a request came from, or what it was. A client's own word is removed; the gate's takes its place.
const PROVENANCE: [&str; 19] = [
    "-client-ip-",
    "-forwarded-for-",
    "-real-ip-",
    "cloudfront-",
    "fly-forwarded-",
    "forwarded",
    "front-end-https",
    "wl-proxy-",
    "x-azure-",
    "x-forwarded",
    "x-forwarded-",
    "x-host",
    "x-nf-",
    "x-original-",
    "x-originating-",
    "x-proxyuser-ip",
    "x-scheme",
    "x-url-scheme",
    "x-vercel-ip-",
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

/// The trace: what is in order of it goes on as the gate's own field ([`crate::trace`]).
const TRACE: [&str; 2] = [TRACEPARENT, TRACESTATE];

/// Fields by which a server frames a message and says what is in it: in another spelling they are a client's attempt
/// to have it read otherwise.
const FRAMING: [&str; 3] = ["content-length", "content-type", "transfer-encoding"];

/// What the CORS protocol reads of an answer. Where the realm has CORS, the policy alone says it.
const CORS: [&str; 2] = ["access-control-allow-", "access-control-max-age"];

/// Fields of an answer that are the gate's to say, or hold for the whole host, which the gate's own page and other
/// origins share: another way in, past the gate (RFC 7838); the end of everybody's sessions there; a script before
/// every page of it; reports on every request to it, with their URLs.
const GATES_OWN: [&str; 6] =
    ["keyward-", "alt-svc", "clear-site-data", "service-worker-allowed", "nel", "report-to"];

/// Whose it is, the policy says.
const REQUEST_ID: &str = "x-request-id";

/// Where the gate says what is left of a key's limits, nobody else does.
const RATE_LIMITS: [&str; 5] = ["ratelimit", "ratelimit-", "x-ratelimit", "x-ratelimit-", "x-rate-limit-"];

/// Headers of a request that hold a credential which the origin does not get. `header` reads one by its lower-case name.
pub fn credentials(
    realms: &[Realm],
    realm: &Realm,
    permit: &Permit,
    secrets: Option<&Secrets>,
    header: impl Fn(&str) -> Option<String>,
) -> Vec<&'static str> {
    let is_token_in_order = permit.token().is_some() || matches!(permit.identity(), Identity::Token(_));
    let holds = |source: &&CredentialSource| {
        header(source.header).is_some_and(|value| match permit.identity() {
            // Nobody's credential was asked for: what is another server's may be meant for the origin.
            Identity::Anybody | Identity::Sender => credential::is_of_any(realms, source, &value, secrets),
            // It goes on where the policy says so.
            _ if source.kind == SourceKind::Jwt && source.forward && is_token_in_order => false,
            _ => {
                credential::has_scheme(source, &value)
                    || credential::is_of_any(realms, source, &value, secrets)
            }
        })
    };
    // Of a list of subprotocols, only those go that are credentials.
    let of_requests = || realm.credentials.iter().filter(|source| !source.is_subprotocol());
    let own = of_requests().filter(holds).map(|source| source.header);
    let mut names: Vec<&'static str> = own.collect();
    // In the header of another realm a credential of this deployment is somebody's all the same.
    let others = realms.iter().flat_map(|realm| realm.credentials).filter(|source| !source.is_subprotocol());
    for source in others.filter(|other| realm.credentials.iter().all(|own| own.header != other.header)) {
        if header(source.header).is_some_and(|value| credential::is_of_any(realms, source, &value, secrets)) {
            names.push(source.header);
        }
    }
    order::distinct(names)
}

/// Header fields that the origin gets from the gate: the verified identity, and where the request came from.
pub fn added(
    realm: &Realm,
    permit: &Permit,
    target: RequestTarget<'_>,
    caller: ClientInfo<'_>,
    request_id: &str,
) -> Vec<(&'static str, String)> {
    let mut fields = identity::headers(realm, permit, request_id);
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

/// What an answer's header gains beside what its [`Profile`](profile::Profile) says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct AnswerFields {
    /// Those that are set, in place of the origin's.
    pub set: Vec<(&'static str, String)>,
    /// Lists that the origin may have begun, and what is added to them.
    pub merged: Vec<(&'static str, &'static str)>,
}

/// Which header fields an answer gains that not every answer of its profile does.
pub fn answer(
    realm: &Realm,
    origin: Option<&str>,
    windows: &[WindowState],
    request_id: &str,
) -> AnswerFields {
    let name = match realm.request_id {
        RequestId::Gate => "X-Request-Id",
        RequestId::Origin => "Keyward-Request-Id",
    };
    let mut set = vec![(name, request_id.to_owned())];
    set.extend(refusal::rate_limit_headers(windows));
    let cors = realm.cors.as_ref().map(|cors| cors::fields(cors, origin));
    let (allowed, exposed) = cors.map(|fields| (fields.allowed, fields.exposed)).unwrap_or_default();
    set.extend(allowed.map(|origin| ("Access-Control-Allow-Origin", origin)));
    AnswerFields {
        set,
        merged: exposed.map(|names| ("Access-Control-Expose-Headers", names)).into_iter().collect(),
    }
}
