//! Steps 1 to 3 of a request's life: which realm, whether it is a preflight, which route.

use std::net::Ipv6Addr;

use keyward_policy::{Policy, Realm, Route, path};

use crate::denial::Denial;

/// The parts of a URL that a policy looks at, borrowed from the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host without the port.
    pub host: &'a str,
    /// Scheme, host and port.
    pub origin: &'a str,
    /// Path as sent.
    pub path: &'a str,
    /// Query as sent, without `?`.
    pub query: &'a str,
}

impl<'a> Target<'a> {
    /// Takes an absolute URL apart, as the platform gives it. A fragment never reaches a server.
    pub fn of(url: &'a str) -> Self {
        let url = url.split_once('#').map_or(url, |(url, _)| url);
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (origin, _) = url.split_at(url.len() - target.len());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = if path.is_empty() { "/" } else { path };
        Self { scheme, host: host(authority), origin, path, query }
    }

    /// Path and query as sent.
    pub fn path_and_query(&self) -> String {
        if self.query.is_empty() { self.path.to_owned() } else { format!("{}?{}", self.path, self.query) }
    }
}

/// The host of an authority: without user information and port; an IPv6 address keeps its brackets.
fn host(authority: &str) -> &str {
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Whether this is a host's name or address (RFC 3986, 3.2.2) as DNS can hold it.
fn is_host(host: &str) -> bool {
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match literal {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        }
    }
}

/// Keyward's own paths, which no realm sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side<'a> {
    /// `GET /healthz`
    Health,
    /// The admin API; the path below its base, beginning with `/`.
    Admin {
        /// `/api-keys`
        path: &'a str,
    },
    /// The admin page; the path below its base: empty for the base without a slash.
    Page {
        /// `/app.js`
        path: &'a str,
    },
}

/// Whether a path is one of Keyward's own.
pub fn side<'a>(policy: &Policy, path: &'a str) -> Option<Side<'a>> {
    let below = |base: &str| path.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    if path == "/healthz" {
        return Some(Side::Health);
    }
    below(policy.admin.api)
        .map(|path| Side::Admin { path })
        .or_else(|| below(policy.admin.page).map(|path| Side::Page { path }))
}

/// What the policy says to do with a request.
#[derive(Clone, Copy, Debug)]
pub enum Plan {
    /// Answer a preflight.
    Preflight(&'static Realm),
    /// Give what the route asks for, and forward.
    Route(&'static Realm, &'static Route),
}

impl Plan {
    /// The realm that answers.
    pub fn realm(&self) -> &'static Realm {
        match self {
            Self::Preflight(realm) | Self::Route(realm, _) => realm,
        }
    }
}

/// A refusal and the realm in whose style it is made, if one was found.
pub type Unplanned = (Option<&'static Realm>, Denial);

/// Chooses realm and route.
///
/// # Errors
/// No host, no realm, a path that can be read in more than one way, or no route.
pub fn plan(
    policy: &Policy,
    method: &str,
    target: Target<'_>,
    is_preflight: bool,
) -> Result<Plan, Unplanned> {
    // The platform checks the host that it is asked for, but not every runtime does.
    if !is_host(target.host) {
        return Err((None, Denial::InvalidHost));
    }
    let path = path::normalise(target.path).map_err(|_| (None, Denial::AmbiguousPath))?;
    let realm = policy.realm_for(target.host, &path).ok_or((None, Denial::NoRealm))?;
    if is_preflight {
        return Ok(Plan::Preflight(realm));
    }
    let route = realm.route_for(method, &path).ok_or((Some(realm), Denial::NoRoute))?;
    Ok(Plan::Route(realm, route))
}
