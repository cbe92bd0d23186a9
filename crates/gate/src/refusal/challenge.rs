//! `WWW-Authenticate` (RFC 9110, section 11.6.1): a challenge for each way to send what is asked for.
//! `Bearer` is RFC 6750's, and stands only where a header is read that begins so. A header that holds a
//! credential and nothing else has no registered scheme: its challenge is `ApiKey`, and names the header.

use keyward_policy::{CredentialSource, Proof, Realm};

use super::field_name::field_name;
use crate::{denial::Denial, hint};
use keyward_core::{challenge::Challenge, order};

/// Every kind there is.
const ANY: &[Proof] = &[Proof::Key, Proof::Jwt, Proof::Session];

/// The field's value for a denial that has one.
pub fn text(challenge: Challenge, denial: &Denial, realm: Option<&Realm>) -> String {
    let Some(realm) = realm else { return challenge.bearer("keyward") };
    if let Denial::InvalidSignature { .. } = denial {
        return format!("Signature realm=\"{}\"", realm.id);
    }
    let attributes = challenge.attributes();
    let own = challenges(realm, asked(denial), &attributes);
    if own.is_empty() { challenges(realm, ANY, &attributes) } else { own }
}

/// The scheme that a header's value begins with. A subprotocol's is no scheme of HTTP's.
fn scheme(source: &CredentialSource) -> Option<&'static str> {
    source.scheme.filter(|_| !source.is_subprotocol())
}

/// How each challenge of this realm's begins, in lower case and without quotation marks: an origin makes none of them.
pub fn own(realm: &Realm) -> Vec<String> {
    let schemes = realm.credentials.iter().map(|source| scheme(source).unwrap_or("ApiKey"));
    let all = schemes.chain(["Cookie", "Signature"]);
    order::distinct(all.map(|scheme| format!("{} realm={}", scheme.to_ascii_lowercase(), realm.id)))
}

/// For each way in which the realm takes one of these kinds.
fn challenges(realm: &Realm, kinds: &[Proof], attributes: &str) -> String {
    let fit = || realm.credentials.iter().filter(|source| hint::is_for(source.kind, kinds));
    // Whoever opens no WebSocket can do nothing with a subprotocol: it is named where there is nothing else.
    let only_subprotocols = fit().all(CredentialSource::is_subprotocol);
    let sources = fit().filter(|source| only_subprotocols || !source.is_subprotocol());
    let mut challenges: Vec<String> = sources
        .map(|source| match scheme(source) {
            Some(scheme) => format!("{scheme} realm=\"{}\"{attributes}", realm.id),
            None => {
                let header = field_name(source.header);
                format!("ApiKey realm=\"{}\", header=\"{header}\"{attributes}", realm.id)
            }
        })
        .collect();
    if kinds.contains(&Proof::Jwt) {
        for name in realm.token_cookies() {
            challenges.push(format!("Cookie realm=\"{}\", cookie-name=\"{name}\"", realm.id));
        }
    }
    if let Some(link) = realm.link.filter(|_| kinds.contains(&Proof::Session)) {
        challenges.push(format!("Cookie realm=\"{}\", cookie-name=\"{}\"", realm.id, link.cookie));
    }
    challenges.join(", ")
}

/// The kinds of credentials that would do instead.
fn asked(denial: &Denial) -> &'static [Proof] {
    match denial {
        Denial::MissingCredential { by, .. } => by,
        Denial::InsufficientScope { of: Proof::Jwt, .. } | Denial::InvalidToken(_) | Denial::KeyAsToken => {
            &[Proof::Jwt]
        }
        Denial::InsufficientScope { of: Proof::Session, .. }
        | Denial::InvalidLink
        | Denial::ExpiredLink
        | Denial::UsedLink
        | Denial::InvalidSession => &[Proof::Session],
        Denial::RepeatedCredential | Denial::KeyInUrl => ANY,
        _ => &[Proof::Key],
    }
}
