//! What a refused client reads: a sentence of what was wrong, and one of how to mend it. For people, in the
//! default language; a realm may have words of its own. Nothing that the client sent stands in them, but
//! for the address that it came from.

use std::borrow::Cow;

use keyward_policy::{Proof, Realm, path::Ambiguous};

use super::field_name::field_name;
use crate::{
    denial::{Denial, PublishableFault},
    hint::{self, Slip, Stray},
    jwt,
};
use keyward_core::record::Cost;
use keyward_limits::limit::WindowState;

/// The text for this reason. `realm` is `None` where none was found, and at the admin API.
pub fn detail(denial: &Denial, realm: Option<&Realm>) -> Cow<'static, str> {
    let text = match denial {
        Denial::NoRealm => "No API is served at this host and path. Check the URL.",
        Denial::NoRoute => "This API has no such path. Check it against the API's documentation.",
        Denial::MethodNotAllowed { allow } => {
            return format!("This path is there, but not for this method. Use {}.", one_of(allow)).into();
        }
        Denial::AmbiguousPath(why) => return ambiguous(*why).into(),
        Denial::InvalidHost => "The Host header does not hold the name of a host. Send the one of this API.",
        Denial::MissingCredential { by, stray } => return missing(realm, by, *stray).into(),
        Denial::RepeatedCredential => {
            "More than one credential was sent, or one with a comma in it. Send exactly one, in one header."
        }
        Denial::KeyInUrl => {
            "A credential, or a parameter that is named like one, stands in the URL, which logs and histories keep. Send credentials in a header, and replace one that stood here."
        }
        Denial::MalformedKey { slip } => return malformed(realm, *slip),
        Denial::UnknownKey { slip } => unknown(*slip),
        Denial::RevokedKey { replaced: false } => "The API key was revoked. Use another one.",
        Denial::RevokedKey { replaced: true } => {
            "The API key was revoked, and another one has replaced it. Use that one."
        }
        Denial::PausedKey => {
            "The API key is paused. Ask whoever manages it to resume it, or use another one."
        }
        Denial::ExpiredKey { replaced: false } => "The API key has expired. Use another one.",
        Denial::ExpiredKey { replaced: true } => {
            "The API key has expired, and another one has replaced it. Use that one."
        }
        Denial::InactiveTenant => {
            "The organization that this credential belongs to is not active. Ask whoever runs this API to activate it."
        }
        Denial::PlanRequired { plans } => {
            return format!(
                "The organization's plan does not include this request. It takes the plan {}.",
                one_of(plans)
            )
            .into();
        }
        Denial::AddressRestricted { address } => {
            let from = address.map_or_else(|| "this address".to_owned(), |address| address.to_string());
            return format!(
                "The API key may not be used from {from}. Send from an address that it lists, or add this one to the list."
            )
            .into();
        }
        Denial::OriginRestricted(PublishableFault::Route) => {
            "The API key is a publishable one, and this request takes none. Use a secret key, from a server."
        }
        Denial::OriginRestricted(PublishableFault::NoOrigin) => {
            "The API key is a publishable one, which works from web pages only. Use a secret key from a server."
        }
        Denial::OriginRestricted(PublishableFault::OtherOrigin) => {
            "The API key is a publishable one and does not list the origin of this web page. Add the origin to the key's list."
        }
        Denial::SecretKeyFromPage => {
            "A secret key came from a web page, where others can read it. Use a publishable key there, and replace this one."
        }
        Denial::InvalidToken(error) => token(*error),
        Denial::KeyAsToken => {
            let keys = send(SEND_IT, realm, &[Proof::Key]);
            return format!("An API key stands where a token belongs. {keys}").into();
        }
        Denial::InvalidSignature { .. } => {
            "The request does not carry a valid signature of its sender. Check the secret that it is signed with, and the clock."
        }
        Denial::InvalidLink => "The link is not valid. Ask for a new one.",
        Denial::ExpiredLink => "The link has expired. Ask for a new one.",
        Denial::UsedLink => "The link was used before, and works once only. Ask for a new one.",
        Denial::InvalidSession => "The session has ended. Ask for a new link.",
        Denial::InvalidSessionId => {
            "The header with the session's id is missing, was sent twice, or is not 1 to 128 letters, digits and . _ ~ : - Send one that is."
        }
        Denial::CrossSite => {
            "A session, or a token in a cookie, can be used for changes from its own site only. Send the request from a page of the same origin."
        }
        Denial::InsecureTransport => {
            "This API takes HTTPS only, with a newer version of TLS than this. Use a current client, and replace a key that was sent so."
        }
        Denial::BodyTooLarge => "The body is larger than what is taken here. Send less.",
        Denial::TestMode { live_only: true } => {
            "The API key is a test key, and this request takes live keys only. Use a live key."
        }
        Denial::TestMode { live_only: false } => {
            "The API key is a test key, which can only read. Use a live key for this request."
        }
        Denial::InsufficientScope { of, required } => return scope(*of, required).into(),
        Denial::RateLimited { windows, cost, .. } => {
            return limited(windows, *cost, denial.retry_after()).into();
        }
        Denial::TooManyInFlight { limit, by_budgets: true, of_tenant, .. } => {
            let whose = if *of_tenant { "all keys of this organisation" } else { "the API key" };
            return format!(
                "What is left for {whose} is reserved by requests that have not said yet what they use ({limit}). Try again in a second."
            )
            .into();
        }
        Denial::TooManyInFlight { limit, of_tenant, .. } => {
            let who =
                if *of_tenant { "All keys of this organisation together have" } else { "The API key has" };
            let requests = if *limit == 1 { "request" } else { "requests" };
            return format!(
                "{who} {limit} {requests} in flight, and may have no more at the same time. Wait until one has been answered to its end."
            )
            .into();
        }
        Denial::TooManyFailures { .. } => {
            "Too many requests with unknown credentials came from this network. Come back after the time in Retry-After, with one that holds."
        }
        Denial::NetworkLimited { .. } => {
            "Too many requests came from this network. Come back after the time in Retry-After."
        }
        Denial::StoreUnavailable { store } => return unavailable(store).into(),
        Denial::IssuerUnavailable { .. } => {
            "The token cannot be checked at the moment, since its issuer does not answer as it should. Try again after the time in Retry-After."
        }
        Denial::NotConfigured { .. } | Denial::UnfitSecret { .. } => {
            "This gate lacks a setting. Its owner finds in the log which one."
        }
        Denial::BrokenBody => "The request's body broke off before its end. Send it again, whole.",
        Denial::LateBody => "The request's body did not come in time. Send it again, without a pause.",
        Denial::Overloaded => {
            "So many requests are being read here that there is no room for another one. Try again after the time in Retry-After."
        }
        Denial::LengthRequired => {
            "A GET or HEAD request came with a body in chunks. Send its Content-Length, or no body."
        }
        Denial::OriginInvalid => {
            "The API behind this gate gave an answer that is not valid HTTP. Whether it did what was asked is not known."
        }
        Denial::OriginUnreachable => {
            "The API behind this gate could not be reached, or broke off without an answer. Whether it did what was asked is not known."
        }
        Denial::OriginTimeout => {
            "The API behind this gate did not answer in time. Whether it did its work is not known."
        }
        Denial::Interrupted => {
            "The gate had to start over while it worked on this request. Whether it was done is not known: find out before you send it again, unless it may be done twice."
        }
        Denial::Internal => {
            "The gate could not handle this request. Report it with the request id, which finds it in the log."
        }
    };
    text.into()
}

fn missing(realm: Option<&Realm>, by: &[Proof], stray: Option<Stray>) -> String {
    let wrong = match stray {
        None => "This request has no credential.".to_owned(),
        Some(Stray::Header(header)) => format!("The {} header is not read here.", field_name(header)),
        Some(Stray::Scheme { header, scheme }) => {
            format!("The {} header does not begin with {scheme} and a space.", field_name(header))
        }
        Some(Stray::Empty(header)) => format!("The {} header holds no credential.", field_name(header)),
        Some(Stray::Kind(kind)) => format!("This request does not take {}.", with_article(kind)),
        Some(Stray::Alone(kind)) => {
            format!("This request needs a credential beside the {}.", noun(kind))
        }
    };
    let it = match stray {
        Some(Stray::Kind(_)) => "Send",
        Some(Stray::Alone(_)) => "Send also",
        _ => SEND_IT,
    };
    format!("{wrong} {}", send(it, realm, by))
}

const SEND_IT: &str = "Send it as";

/// How to send what a route takes: `Send it as Authorization: Bearer <API key>.`
fn send(it: &str, realm: Option<&Realm>, by: &[Proof]) -> String {
    let Some(realm) = realm else { return format!("{it} Authorization: Bearer <API key>.") };
    let places = realm.credentials.iter().filter(|source| hint::is_for(source.kind, by)).map(|source| {
        let what =
            by.iter().find(|proof| hint::is_for(source.kind, &[**proof])).map_or("key", |it| noun(*it));
        let header = field_name(source.header);
        match source.scheme {
            None => format!("{header}: <{what}>"),
            Some(scheme) if source.is_subprotocol() => format!("{header}: {scheme}.<{what}>"),
            Some(scheme) if source.is_basic() => format!("{header}: {scheme} <base64 of \"{what}:\">"),
            Some(scheme) => format!("{header}: {scheme} <{what}>"),
        }
    });
    let mut places: Vec<String> = places.collect();
    if by.contains(&Proof::Jwt) {
        places.extend(realm.token_cookies().map(|name| format!("Cookie: {name}=<token>")));
    }
    if places.is_empty() {
        return "Open the link that you were given: it begins a session.".to_owned();
    }
    let or_link = if by.contains(&Proof::Session) { ", or open the link that you were given" } else { "" };
    format!("{it} {}{or_link}.", places.join(" or "))
}

fn noun(proof: Proof) -> &'static str {
    match proof {
        Proof::Key => "API key",
        Proof::Publishable => "publishable API key",
        Proof::Jwt => "token",
        Proof::Session => "session",
    }
}

fn with_article(proof: Proof) -> &'static str {
    match proof {
        Proof::Key => "a secret API key",
        Proof::Publishable => "a publishable API key",
        Proof::Jwt => "a token",
        Proof::Session => "a session",
    }
}

/// Whether every key of the realm begins in one of a few ways.
fn has_prefixes(realm: &Realm) -> bool {
    realm.static_keys.is_empty() && realm.imported.is_none_or(|format| !format.prefixes.is_empty())
}

fn malformed(realm: Option<&Realm>, slip: Option<Slip>) -> Cow<'static, str> {
    match (slip, realm) {
        // Keys that stand in the policy may have any form.
        (None, Some(realm)) if has_prefixes(realm) => {
            let imported = realm.imported.map_or(&[][..], |format| format.prefixes);
            let prefixes: Vec<_> = realm.key.prefixes().chain(imported.iter().copied()).collect();
            format!(
                "This is not an API key of this API: those begin with {}. Copy the right key, whole.",
                prefixes.join(" or ")
            )
            .into()
        }
        _ => unknown(slip).into(),
    }
}

fn token(error: jwt::Error) -> &'static str {
    use jwt::Error as E;
    match error {
        E::TooLong | E::Malformed(_) | E::Critical => {
            "This is not a token (a signed JWT) that can be read here. Check that it was copied whole."
        }
        E::WrongAlgorithm | E::UnknownKey | E::BadSignature | E::RefusedCode => {
            "The token was not signed by the issuer that this API trusts, or was changed since. Sign in again to get another one."
        }
        E::WrongType | E::WrongIssuer | E::WrongAudience | E::WrongTenant => {
            "The token is not meant for this API: it is of another type, issuer, audience or tenant. Ask its issuer for an access token for this API."
        }
        E::MissingClaim(_) | E::InvalidClaim(_) => {
            "The token lacks a claim that this API needs, or has it in a form that is not taken. The owner of the API finds in the log which one."
        }
        E::Expired => "The token has expired. Sign in again to get another one.",
        E::NotYetValid => {
            "The token is not valid yet. Try again in a moment; if that does not help, the clock of its issuer is wrong."
        }
    }
}

fn ambiguous(why: Ambiguous) -> String {
    let mend = match why {
        Ambiguous::OtherRoute => "Send it exactly as the API names it",
        Ambiguous::Percent | Ambiguous::NotUtf8 | Ambiguous::DoubleEncoding => {
            "Percent-encode the path once, as UTF-8"
        }
        _ => "Send it in its plain form, without it",
    };
    format!("The path {why}: servers read such paths in different ways. {mend}.")
}

fn unknown(slip: Option<Slip>) -> &'static str {
    match slip {
        None => "The API key is not valid. Check that it was copied whole, and that it is one of this API.",
        Some(Slip::Placeholder) => {
            "A placeholder or a shortened key was sent, not an API key. Put the whole key in its place."
        }
        Some(Slip::Quoted) => "The API key stands in quotation marks. Send it without them.",
        Some(Slip::Scheme) => {
            "Another word, like a scheme, stands before the API key. Send the key without it."
        }
        Some(Slip::Whitespace) => {
            "The API key has a space, a line break or an invisible character in it. Send it without."
        }
        Some(Slip::Token) => "A token stands where an API key belongs. Send an API key.",
        Some(Slip::Short) => "The API key is too short: its end is missing. Copy it whole.",
        Some(Slip::Long) => "The API key is too long: something follows it. Send the key alone.",
    }
}

fn scope(of: Proof, required: &[&str]) -> String {
    let (scopes, them) = match required {
        [one] => (format!("the scope {one}"), "it"),
        _ => (format!("the scopes {}", list(required, "and")), "all of them"),
    };
    let mend = match of {
        Proof::Key | Proof::Publishable => "Use a key that does, or edit this one",
        Proof::Jwt => "Sign in with more rights",
        Proof::Session => "Use another credential",
    };
    format!("This request needs {scopes}, and the {} does not hold {them}. {mend}.", noun(of))
}

/// Names every window that is full: `600 requests a minute`.
fn limited(windows: &[WindowState], cost: Cost, seconds: Option<u64>) -> String {
    let full = windows.iter().filter(|state| !state.has_room(cost)).map(|state| {
        let requests = if state.limit == 1 { "request" } else { "requests" };
        format!("{} {requests} {}", state.limit, state.window.phrase())
    });
    let full: Vec<_> = full.collect();
    let of_tenant = windows.iter().any(|state| state.of_tenant);
    let joint = if of_tenant { " and their " } else { " and its " };
    let limits = if full.is_empty() { "requests".to_owned() } else { full.join(joint) };
    let next = match seconds {
        None => format!(
            "Waiting {}: whoever {} can raise this limit",
            if cost.is_one() { "brings none back" } else { "does not help" },
            if of_tenant { "runs this API" } else { "manages the key" }
        ),
        Some(1) => "Try again in 1 second".to_owned(),
        Some(seconds) => format!("Try again in {seconds} seconds"),
    };
    match (cost.units(), of_tenant) {
        (1, false) => format!("The API key has used up its {limits}. {next}."),
        (1, true) => {
            format!("All keys of this organisation together have used up their {limits}. {next}.")
        }
        (units, _) => {
            let whose = if of_tenant { "this organisation" } else { "the API key" };
            format!(
                "The request counts as {units}, for which {whose}'s limit of {limits} has no room. {next}."
            )
        }
    }
}

fn unavailable(store: &str) -> String {
    let what = match store {
        "Registry" => "link",
        _ => "API key",
    };
    format!("The {what} cannot be checked at the moment. Try again after the time in Retry-After.")
}

/// What may be shown: `API key or token`.
pub(crate) fn kinds(by: &[Proof], last: &str) -> String {
    let nouns: Vec<_> = by.iter().map(|proof| noun(*proof)).collect();
    list(&nouns, last)
}

fn one_of(names: &[&str]) -> String {
    list(names, "or")
}

/// `a`, `a or b`, `a, b or c`.
fn list(names: &[&str], last: &str) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}
