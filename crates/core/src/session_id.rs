//! The id of the session that a request belongs to: a client's own word, checked for its form, so that an
//! origin may use it in a name or a query as it is.

use keyward_policy::{Realm, Route};

/// An id is badly formed, was sent twice, or is missing where the route requires one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

const LONGEST: usize = 128;

/// The session's id, where the realm has a header for it. `header` reads a header by its lower-case name.
///
/// # Errors
/// [`Invalid`]
pub fn take(
    realm: &Realm,
    route: &Route,
    header: impl Fn(&str) -> Option<String>,
) -> Result<Option<String>, Invalid> {
    let id = realm.session_id_header.and_then(header);
    match &id {
        None if route.session_id => Err(Invalid),
        Some(id) if !is_fit(id) => Err(Invalid),
        _ => Ok(id),
    }
}

/// Whether it has the form of one.
pub fn is_fit(id: &str) -> bool {
    // A comma, by which the platform joins what was sent twice, is not among them.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~:-".contains(&byte);
    (1..=LONGEST).contains(&id.len()) && id.bytes().all(plain)
}
