//! What a route asks for, and what a request shows for it: decided from the text of the request alone.

use keyward_policy::{KeyRequirement, Link, Proof, Realm, Requirement, Route, Webhook};

use crate::{
    credential::{self, Credential, Kind},
    denial::Denial,
    hint::{self, Stray},
};
use keyward_core::{
    cookie::Repeated,
    link::{self, Followed},
    request_target::RequestTarget,
    secret::{Secret, Secrets},
    session_id,
};

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
    /// This is asked of the key and the token that are shown.
    Both { requirement: &'r KeyRequirement, key: Secret, token: Credential },
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
    let requirement = match &route.requires {
        Requirement::Key(requirement) => Some(requirement),
        Requirement::Public | Requirement::Webhook(_) => None,
    };
    let mut shown = credential::take(realm, target, secrets, requirement, header)?;
    if let Some((link, followed)) = followed(realm, route, target, method, secrets)? {
        return Ok((Asked::Link(link, followed), None));
    }
    let asked = match &route.requires {
        Requirement::Public => Asked::Nothing,
        Requirement::Webhook(webhook) => Asked::Webhook(webhook),
        Requirement::Key(requirement) if requirement.all => both_of(realm, requirement, shown, header)?,
        Requirement::Key(requirement) => {
            let credential = shown.pop();
            let shown = credential.as_ref().map(|credential| credential.kind);
            match credential.filter(|it| credential::takes(requirement, it.kind)) {
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

/// The key and the token that a request shows, where both are needed.
fn both_of<'r>(
    realm: &Realm,
    requirement: &'r KeyRequirement,
    shown: Vec<Credential>,
    header: &dyn Fn(&str) -> Option<String>,
) -> Result<Asked<'r>, Denial> {
    let (mut key, mut token) = (None, None);
    for credential in shown {
        let kind = credential.kind;
        match kind {
            Kind::Key => key = Some(credential.text),
            Kind::Jwt => token = Some(credential),
            Kind::Session => return Err(missing(realm, requirement, Some(kind), header)),
        }
    }
    let keys: &'static [Proof] =
        if requirement.by.contains(&Proof::Publishable) { &[Proof::Publishable] } else { &[Proof::Key] };
    let (by, shown): (&'static [Proof], _) = match (key, token) {
        (Some(key), Some(token)) => return Ok(Asked::Both { requirement, key, token }),
        (Some(_), None) => (&[Proof::Jwt], Some(Proof::Key)),
        (None, Some(_)) => (keys, Some(Proof::Jwt)),
        (None, None) => (keys, None),
    };
    let stray = match (hint::stray(realm, by, header), shown) {
        (None, None) if requirement.optional => return Ok(Asked::Nothing),
        // Not the place of what was shown.
        (None | Some(Stray::Header(_)), Some(shown)) => Some(Stray::Alone(shown)),
        (stray, _) => stray,
    };
    Err(Denial::MissingCredential { by, stray })
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
