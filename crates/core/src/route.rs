//! Which realm and which route a request is for, or which of Keyward's own paths.

use keyward_policy::{
    Cors, Policy, Realm, Route, Tail,
    path::{self, Ambiguous, RoutesAt},
};

use crate::{order, request_target::RequestTarget};

/// Keyward's own paths, which no realm sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltinRoute<'a> {
    /// `GET /healthz`
    Health,
    /// `GET /readyz`
    Ready,
    /// The admin API; the path below its base, beginning with `/`.
    Admin {
        /// `/api-keys`
        path: &'a str,
    },
    /// The public keys of a realm's identity tokens.
    Jwks(&'static Realm),
    /// The admin page; the path below its base: empty for the base without a slash.
    Page {
        /// `/app.js`
        path: &'a str,
    },
}

/// The description of the admin API, below its base: a file beside the page's.
const API_DESCRIPTION: &str = "/openapi.json";

/// Whether a request is for one of Keyward's own paths. What names no valid host is for none.
pub fn builtin_route<'a>(policy: &Policy, target: RequestTarget<'a>) -> Option<BuiltinRoute<'a>> {
    let below =
        |base: &str| target.path.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    if !target.has_valid_host {
        return None;
    }
    match target.path {
        "/healthz" => return Some(BuiltinRoute::Health),
        "/readyz" => return Some(BuiltinRoute::Ready),
        _ => {}
    }
    below(policy.admin.api)
        .map(
            |path| {
                if path == API_DESCRIPTION {
                    BuiltinRoute::Page { path }
                } else {
                    BuiltinRoute::Admin { path }
                }
            },
        )
        .or_else(|| below(policy.admin.page).map(|path| BuiltinRoute::Page { path }))
        .or_else(|| {
            let is_path = |realm: &&Realm| realm.identity.is_some_and(|it| it.jwks_path == target.path);
            let realm = policy.realms.iter().filter(is_path);
            let is_host = |realm: &&Realm| realm.hosts.iter().any(|host| host.matches(target.host));
            realm.into_iter().find(is_host).map(BuiltinRoute::Jwks)
        })
}

/// What the policy says to do with a request.
#[derive(Clone, Copy, Debug)]
pub enum RouteMatch {
    /// Answer a preflight.
    Preflight(&'static Realm, &'static Cors),
    /// Give what the route asks for, and forward.
    Route(&'static Realm, &'static Route),
}

impl RouteMatch {
    /// The realm that answers.
    pub fn realm(&self) -> &'static Realm {
        match self {
            Self::Preflight(realm, _) | Self::Route(realm, _) => realm,
        }
    }
}

/// Why the policy has no route for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoMatch {
    /// The `Host` header holds no host's name.
    InvalidHost,
    /// The path can be read in more than one way.
    AmbiguousPath(Ambiguous),
    /// No realm answers for this host and path.
    NoRealm,
    /// No route of the realm has this path.
    NoRoute,
    /// Routes of the realm have this path, with other methods.
    MethodNotAllowed {
        /// Those.
        allow: Vec<&'static str>,
    },
}

/// Why there is no route, and the realm in whose style that is said, if one was found.
pub type Unmatched = (Option<&'static Realm>, NoMatch);

/// Chooses realm and route.
///
/// # Errors
/// No host, no realm, a path that can be read in more than one way, no route, or none for this method.
pub fn match_route(
    policy: &Policy,
    method: &str,
    target: RequestTarget<'_>,
    is_preflight: bool,
) -> Result<RouteMatch, Unmatched> {
    // The platform checks the host that it is asked for, but not every runtime does (RFC 9112, section 3.2).
    if !target.has_valid_host {
        return Err((None, NoMatch::InvalidHost));
    }
    // In the style of the realm that the path seems to be of, so that a page can read it.
    let ambiguous = |why| (policy.realm_for(target.host, target.path), NoMatch::AmbiguousPath(why));
    let path = path::normalise(target.path).map_err(ambiguous)?;
    let realm = policy.realm_for(target.host, &path).ok_or((None, NoMatch::NoRealm))?;
    // Where the policy has no CORS, a preflight is the origin's to answer, on a route that takes it.
    if is_preflight && let Some(cors) = &realm.cors {
        return Ok(RouteMatch::Preflight(realm, cors));
    }
    let routes = realm.routes_at(&path);
    let route = routes.for_method(method).ok_or_else(|| (Some(realm), no_route(&routes)))?;
    if !policy.is_clear(target.host, method, &path, realm, route) {
        return Err((Some(realm), NoMatch::AmbiguousPath(Ambiguous::OtherRoute)));
    }
    Ok(RouteMatch::Route(realm, route))
}

/// Why no route takes a request: its path, or only its method (RFC 9110, section 15.5.6). A pattern that ends
/// in `*` stands for a whole tree, of which only the origin knows what there is: that something can be written
/// somewhere below says nothing of a path that nobody can read.
fn no_route(routes: &RoutesAt) -> NoMatch {
    let is_there = |route: &Route| route.path.tail == Tail::Exact || route.methods().contains(&"GET");
    if !routes.iter().any(is_there) {
        return NoMatch::NoRoute;
    }
    let all = routes.iter().flat_map(Route::methods).copied();
    let mut allow = order::sorted(all.filter(|method| routes.for_method(method).is_some()));
    allow.dedup();
    NoMatch::MethodNotAllowed { allow }
}

/// Whether what a COPY or MOVE writes to (`Destination`, RFC 4918, section 10.3) is on the very route that was
/// chosen for what it reads: what the request shows was asked for by no other.
pub fn stays_on_route(
    policy: &Policy,
    realm: &Realm,
    route: &Route,
    method: &str,
    target: RequestTarget<'_>,
    destination: Option<&str>,
) -> bool {
    let Some(destination) = destination.filter(|_| matches!(method, "COPY" | "MOVE")) else { return true };
    let absolute = if destination.starts_with('/') && !destination.starts_with("//") {
        format!("{}{destination}", target.origin)
    } else {
        destination.to_owned()
    };
    let other = RequestTarget::of(&absolute);
    other.origin.eq_ignore_ascii_case(target.origin)
        && matches!(
            match_route(policy, method, other, false),
            Ok(RouteMatch::Route(its_realm, its_route)) if its_realm.id == realm.id && std::ptr::eq(its_route, route)
        )
}
