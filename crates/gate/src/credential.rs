//! Taking the credential from a request: only from where the realm says, and only one.
//! `Authorization: Bearer` is RFC 6750, section 2.1.

mod url;

use std::borrow::Cow;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use keyward_policy::{CredentialSource, KeyRequirement, Proof, Realm, SourceKind};

pub use self::url::{is_in_url, is_link_in_url};
use crate::{denial::Denial, static_keys};
use keyward_core::{
    cookie::{self, Repeated},
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
    /// The cookie that it stands in, if it stands in one: browsers send these along unasked.
    pub cookie: Option<&'static str>,
}

/// The credentials of a request: one, or a key and a token where the route needs both; `None` asks for none. `header` reads a header
/// by its lower-case name; as the platform does, it joins what was sent more than once with a comma. What is in the URL is refused on
/// every route, public ones too: it ends in logs.
///
/// Whoever sets a header means it, but browsers send cookies along unasked. So a cookie counts only where the route takes what
/// is in it, and nothing else that it takes instead is there: a header goes before cookies, and a token before a session. Where
/// there is nothing else, what the route does not take is there for the refusal to name.
///
/// # Errors
/// [`Denial::KeyInUrl`], [`Denial::RepeatedCredential`].
pub fn take(
    realm: &Realm,
    target: RequestTarget<'_>,
    secrets: Option<&Secrets>,
    asked: Option<&KeyRequirement>,
    header: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Credential>, Denial> {
    let both = asked.is_some_and(|requirement| requirement.all);
    if is_in_url(realm, target, secrets) {
        return Err(Denial::KeyInUrl);
    }
    let mut found: Vec<Credential> = Vec::new();
    for source in realm.credentials {
        let Some(value) = header(source.header) else { continue };
        if source.is_subprotocol() {
            for text in subprotocols(&value).filter_map(|entry| of_subprotocol(source, entry)) {
                add(&mut found, both, source.kind, text)?;
            }
            continue;
        }
        // No key and no token has a comma in it, so one is the mark of a header that was sent twice.
        // Other schemes may have commas of their own.
        let repeated = value.split(',').skip(1).any(|part| read(source, part).is_some());
        let credential = read(source, &value);
        if repeated || credential.as_ref().is_some_and(|credential| credential.contains(',')) {
            return Err(Denial::RepeatedCredential);
        }
        if let Some(credential) = credential {
            add(&mut found, both, source.kind, &credential)?;
        }
    }
    let has_cookies = realm.link.is_some() || realm.token_cookies().next().is_some();
    let Some((requirement, cookies)) = asked.filter(|_| has_cookies).zip(header("cookie")) else {
        return Ok(found);
    };
    for takes in [true, false] {
        for kind in [Kind::Jwt, Kind::Session] {
            let has_enough = found.iter().any(|other| !both || other.kind == kind);
            if self::takes(requirement, kind) != takes || has_enough {
                continue;
            }
            match in_cookies(realm, kind, &cookies) {
                Err(denial) if takes => return Err(denial),
                shown => found.extend(shown.unwrap_or_default()),
            }
        }
        if !found.is_empty() {
            break;
        }
    }
    Ok(found)
}

/// The credential of this kind that stands in a cookie.
fn in_cookies(realm: &Realm, kind: Kind, cookies: &str) -> Result<Option<Credential>, Denial> {
    let names = match kind {
        Kind::Key => Vec::new(),
        Kind::Jwt => realm.token_cookies().collect(),
        Kind::Session => realm.link.iter().map(|link| link.cookie).collect(),
    };
    let mut found = None;
    for name in names {
        let value = cookie::value(cookies, name).map_err(|Repeated| Denial::RepeatedCredential)?;
        if value.is_some() && found.is_some() {
            return Err(Denial::RepeatedCredential);
        }
        found = value.map(|text| (text, name)).or(found);
    }
    Ok(found.map(|(text, name)| Credential { kind, text: Secret::new(text), cookie: Some(name) }))
}

/// Whether a route takes such a credential at all. Which keys it takes, their records say.
pub fn takes(requirement: &KeyRequirement, kind: Kind) -> bool {
    let by = |proof: &Proof| requirement.by.contains(proof);
    match kind {
        Kind::Key => by(&Proof::Key) || by(&Proof::Publishable),
        Kind::Jwt => by(&Proof::Jwt),
        Kind::Session => by(&Proof::Session),
    }
}

/// Adds a credential, if it may be there beside the others.
fn add(found: &mut Vec<Credential>, both: bool, kind: SourceKind, text: &str) -> Result<(), Denial> {
    let kind = match kind {
        SourceKind::Key => Kind::Key,
        SourceKind::Jwt => Kind::Jwt,
    };
    if found.iter().any(|other| !both || other.kind == kind) {
        return Err(Denial::RepeatedCredential);
    }
    found.push(Credential { kind, text: Secret::new(text), cookie: None });
    Ok(())
}

/// How a client sends this credential, for a request that nobody sent.
pub fn written(source: &CredentialSource, text: &str) -> String {
    match source.scheme {
        None => text.to_owned(),
        Some(scheme) if source.is_subprotocol() => format!("{scheme}.{text}"),
        Some(scheme) if source.is_basic() => format!("{scheme} {}", BASIC.encode(format!("{text}:"))),
        Some(scheme) => format!("{scheme} {text}"),
    }
}

/// The entries of a list of subprotocols (RFC 6455, section 11.3.4).
fn subprotocols(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(|entry| entry.trim_matches([' ', '\t'])).filter(|entry| !entry.is_empty())
}

/// The credential that a subprotocol is, if it is one.
fn of_subprotocol<'a>(source: &CredentialSource, entry: &'a str) -> Option<&'a str> {
    entry.strip_prefix(source.scheme?)?.strip_prefix('.').filter(|text| !text.is_empty())
}

/// What is left of a list of subprotocols without those that are credentials, as the origin gets it and chooses from it: so no answer
/// echoes one. `None` where all of it is left.
pub fn other_subprotocols(realms: &[Realm], value: &str, secrets: Option<&Secrets>) -> Option<String> {
    let sources =
        || realms.iter().flat_map(|realm| realm.credentials).filter(|source| source.is_subprotocol());
    let is_credential = |entry: &&str| {
        sources().any(|source| of_subprotocol(source, entry).is_some())
            || realms.iter().any(|realm| url::holds_credential(realm, entry, secrets))
    };
    let (shown, others): (Vec<&str>, Vec<&str>) = subprotocols(value).partition(is_credential);
    (!shown.is_empty()).then(|| others.join(", "))
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
    let texts = || value.split(',').filter_map(|part| read(source, part).map(Cow::into_owned));
    realms.iter().any(|realm| {
        texts().any(|text| {
            realm.key.after_prefix(&text).is_some()
                || realm.imported.is_some_and(|format| format.is_one(&text))
                // In Basic it stands in another form than the header's own.
                || static_keys::find(realm, &Secret::new(&*text)).is_some()
        }) || url::holds_credential(realm, value, secrets)
    })
}

/// The credential in one header's value; `None` when the header is for something else.
fn read<'a>(source: &CredentialSource, value: &'a str) -> Option<Cow<'a, str>> {
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
    if credential.is_empty() {
        return None;
    }
    if !source.is_basic() {
        return Some(Cow::Borrowed(credential));
    }
    // What is no pair is no key either: no user name has a colon (RFC 7617, section 2).
    Some(Cow::Owned(user_of(credential).unwrap_or_else(|| format!(":{credential}"))))
}

/// The user name of Basic authentication, whatever the password is, and in whichever charset (RFC 7617, section 2).
fn user_of(credentials: &str) -> Option<String> {
    let mut pair = BASIC.decode(credentials).ok()?;
    pair.truncate(pair.iter().position(|byte| *byte == b':')?);
    String::from_utf8(pair).ok().filter(|user| !user.is_empty())
}

/// With padding or without: clients of both kinds are about.
const BASIC: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
