//! Hosts and paths: which realm and which route take a request.
//!
//! A path pattern is segments, each written out or `{name}` (any one segment that is not empty) or `v{name}.json` (any that
//! begins and ends so, with something between),
//! and at its very end perhaps one `*`: `/a/b*` matches where what follows `/a/` begins with `b`
//! (`/a/b`, `/a/bx`, `/a/b/c`), `/a/*` matches whatever begins with `/a/`. Comparison is case-sensitive.
//! The first match in the order of the file wins.
//!
//! Patterns are matched against the path as [`normalise`] gives it. A path that origin servers read
//! in different ways has no such form: it is refused, since a check made on one reading protects
//! nothing under another. What is one path to some servers and another to others, though a good one
//! either way (`/Admin`), passes where both are guarded alike: [`Policy::is_clear`].

mod ambiguous;
mod host;
mod index;
mod normal;
#[cfg(feature = "compile")]
mod parse;
mod pattern;
mod reading;
mod segment;

pub use ambiguous::Ambiguous;
pub(crate) use index::Index;
pub use index::RoutesAt;
pub use normal::normalise;
#[cfg(feature = "compile")]
pub use parse::BadPattern;

use crate::model::{HostPattern, Policy, Proof, Realm, Requirement, Route};

impl Policy {
    /// The realm that takes a request to this host (without port) and normalised path.
    pub fn realm_for(&self, host: &str, path: &str) -> Option<&'static Realm> {
        self.realms.iter().find(|realm| realm.takes(host, path))
    }
}

impl Realm {
    /// Whether it answers for this host (without port) and normalised path.
    fn takes(&self, host: &str, path: &str) -> bool {
        self.hosts.iter().any(|pattern| pattern.matches(host))
            && self.paths.iter().any(|pattern| pattern.matches(path))
    }

    /// The code of the tenant whose host this is, where hosts are tenants' own. A host that the realm names in full
    /// is nobody's. One that only a wildcard takes is that of a tenant without a code, of which there is none: or what
    /// belongs to a tenant would pass on any host but those of others.
    pub fn tenant_of<'h>(&self, host: &'h str) -> Option<&'h str> {
        let is_named =
            |pattern: &HostPattern| matches!(pattern, HostPattern::Exact(_)) && pattern.matches(host);
        let has_tenants = self.hosts.iter().any(|pattern| matches!(pattern, HostPattern::Tenant(_)));
        if !has_tenants || self.hosts.iter().any(is_named) {
            return None;
        }
        Some(self.hosts.iter().find_map(|pattern| pattern.tenant(host)).unwrap_or_default())
    }

    /// Whether some route asks for a scope: where none does, a key need not hold one.
    pub fn asks_for_scopes(&self) -> bool {
        let asks = |route: &Route| matches!(route.requires, Requirement::Key(key) if !key.scopes.is_empty());
        self.routes.iter().any(asks)
    }

    /// Whether some route takes this as a proof of who asks.
    pub fn accepts(&self, proof: Proof) -> bool {
        let accepts =
            |route: &Route| matches!(route.requires, Requirement::Key(key) if key.by.contains(&proof));
        self.routes.iter().any(accepts)
    }

    /// The routes that take requests with this normalised path, whatever their methods.
    pub fn routes_at(&self, path: &str) -> RoutesAt {
        self.routes.at(path)
    }

    /// The route that takes a request with this method and normalised path.
    pub fn route_for(&self, method: &str, path: &str) -> Option<&'static Route> {
        self.routes_at(path).for_method(method)
    }
}

impl Route {
    /// Whether it takes this method and normalised path.
    pub fn matches(&self, method: &str, path: &str) -> bool {
        self.methods().contains(&method) && self.path.matches(path)
    }

    /// Whether everybody has to show something.
    pub(crate) fn is_guarded(&self) -> bool {
        !self.requires.admits_anybody()
    }

    /// Whether nobody has to show anything, with methods that it does not name.
    pub(crate) fn is_open_to_usual(&self) -> bool {
        self.methods.is_empty() && !self.is_guarded()
    }

    /// Whether it has a say in what another route, with this method, lets through of a path that both take.
    fn has_a_say(&self, method: &str, other: &Self) -> bool {
        let methods = self.methods();
        methods.contains(&method)
            || method == "HEAD" && methods.contains(&"GET")
            || other.is_open_to_usual() && self.is_guarded()
    }
}
