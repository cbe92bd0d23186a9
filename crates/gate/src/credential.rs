//! Taking the credential from a request: only from where the realm says, and only one.
//! `Authorization: Bearer` is RFC 6750, section 2.1.

mod url;

use keyward_policy::{CredentialSource, Realm, SourceKind};

pub use self::url::{is_in_url, is_link_in_url};
use crate::denial::Denial;
use keyward_core::{
    cookie::Repeated,
    link,
    request_target::RequestTarget,
    secret::{Secret, Secrets},
};

/// What a credential is meant to be, after where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An API key.
    Key,
    /// A token of the realm's issuer.
    Jwt,
    /// A session that began with a link.
    Session,
}

/// A credential as sent: nothing of it is verified.
#[derive(Clone, Debug)]
pub struct Credential {
    /// What it is meant to be.
    pub kind: Kind,
    /// The text.
    pub text: Secret,
}

/// The one credential of a request, if there is one. `header` reads a header by its lower-case name;
/// as the platform does, it joins what was sent more than once with a comma. What is in the URL is refused on
/// every route, public ones too: it ends in logs.
///
/// # Errors
/// [`Denial::KeyInUrl`], [`Denial::RepeatedCredential`].
pub fn take(
    realm: &Realm,
    target: RequestTarget<'_>,
    secrets: Option<&Secrets>,
    header: impl Fn(&str) -> Option<String>,
) -> Result<Option<Credential>, Denial> {
    if is_in_url(realm, target, secrets) {
        return Err(Denial::KeyInUrl);
    }
    let mut found = None;
    for source in realm.credentials {
        let Some(value) = header(source.header) else { continue };
        // No key and no token has a comma in it, so one is the mark of a header that was sent twice.
        // Other schemes may have commas of their own.
        let repeated = value.split(',').skip(1).any(|part| read(source, part).is_some());
        let credential = read(source, &value);
        if repeated || credential.is_some_and(|credential| credential.contains(',')) {
            return Err(Denial::RepeatedCredential);
        }
        let Some(credential) = credential else { continue };
        let kind = match source.kind {
            SourceKind::Key => Kind::Key,
            SourceKind::Jwt => Kind::Jwt,
        };
        if found.replace(Credential { kind, text: Secret::new(credential) }).is_some() {
            return Err(Denial::RepeatedCredential);
        }
    }
    if let Some(link) = &realm.link
        && let Some(cookies) = header("cookie")
        && let Some(text) = link::session(link, &cookies).map_err(|Repeated| Denial::RepeatedCredential)?
        && found.replace(Credential { kind: Kind::Session, text }).is_some()
    {
        return Err(Denial::RepeatedCredential);
    }
    Ok(found)
}

/// Whether a header's value is one of this source's scheme, whatever follows it.
pub fn has_scheme(source: &CredentialSource, value: &str) -> bool {
    let Some(scheme) = source.scheme else { return !value.is_empty() };
    value.split(',').any(|part| {
        let part = part.trim_start();
        let end = part.find(|character: char| {
            !(character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character))
        });
        part.split_at(end.unwrap_or(part.len())).0.eq_ignore_ascii_case(scheme)
    })
}

/// Whether a header's value is, or holds, a credential of one of these realms: what begins as a key does, and
/// what has a key's or token's form wherever it stands.
pub fn is_of_any(
    realms: &[Realm],
    source: &CredentialSource,
    value: &str,
    secrets: Option<&Secrets>,
) -> bool {
    let texts = || value.split(',').filter_map(|part| read(source, part));
    realms.iter().any(|realm| {
        texts().any(|text| {
            realm.key.after_prefix(text).is_some() || realm.imported.is_some_and(|format| format.is_one(text))
        }) || url::holds_credential(realm, value, secrets)
    })
}

/// The credential in one header's value; `None` when the header is for something else.
fn read<'a>(source: &CredentialSource, value: &'a str) -> Option<&'a str> {
    let value = value.trim_matches([' ', '\t']);
    let credential = match source.scheme {
        None => value,
        Some(scheme) => {
            let (given, rest) = value.split_once(' ').unwrap_or((value, ""));
            if !given.eq_ignore_ascii_case(scheme) {
                return None;
            }
            rest.trim_matches(' ')
        }
    };
    (!credential.is_empty()).then_some(credential)
}
