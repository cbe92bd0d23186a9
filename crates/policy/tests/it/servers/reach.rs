//! Whether a server reaches through one route what another one guards.

use std::sync::LazyLock;

use keyward_policy::{
    PathPattern, Policy,
    compile::compile,
    path::{Ambiguous, normalise},
};

use super::models::{SERVERS, Step, decode, decode_leniently, decode_overlong, drop_marks, nfkc};

const POLICY: &str = r#"
[admin]
api = "/gate/api"
page = "/gate/page"
[[realm]]
id = "inner"
hosts = ["*"]
paths = ["/inner/*"]
origin = { binding = "ORIGIN" }
credentials = [{ header = "Authorization", scheme = "Bearer" }]
[realm.scopes]
"a:b" = "x"
[[realm.route]]
path = "/inner/*"
requires = { scopes = ["a:b"] }
[[realm]]
id = "outer"
hosts = ["*"]
paths = ["/*"]
origin = { binding = "ORIGIN" }
credentials = [{ header = "Authorization", scheme = "Bearer" }]
[realm.scopes]
"a:a" = "x"
"a:b" = "x"
"a:c" = "x"
"a:d" = "x"
"a:e" = "x"
"a:f" = "x"
[[realm.route]]
path = "/admin/*"
requires = { scopes = ["a:a"] }
[[realm.route]]
path = "/admin"
requires = { scopes = ["a:b"] }
[[realm.route]]
path = "/administration"
requires = { scopes = ["a:e"] }
[[realm.route]]
path = "/files/{name}/secret"
requires = { scopes = ["a:c"] }
[[realm.route]]
path = "/files/me"
requires = { scopes = ["a:d"] }
[[realm.route]]
path = "/Files.d/*"
requires = { scopes = ["a:e"] }
[[realm.route]]
path = "/v1/me:pause"
requires = { scopes = ["a:f"] }
[[realm.route]]
path = "/v1/me*"
requires = { scopes = ["a:a", "a:b"] }
[[realm.route]]
path = "/files/{name}"
requires = "key"
[[realm.route]]
path = "/*"
requires = "public"
"#;

static COMPILED: LazyLock<Policy> = LazyLock::new(|| {
    compile("keyward.toml", |_| Ok(POLICY.to_owned())).unwrap_or_else(|mistakes| panic!("{mistakes}"))
});

/// Routes that guard what lies close to each other.
pub fn policy() -> &'static Policy {
    &COMPILED
}

/// The segments, as a server that has them compares them; none for a slash at the end, or for one of `+`.
fn names(resource: &str) -> Vec<String> {
    let trim = |name: &str| name.trim_matches([' ', '+']).to_owned();
    let is_empty = |name: &String| drop_marks(name.clone()).is_none_or(|shown| trim(&shown).is_empty());
    resource.split('/').map(trim).filter(|name| !is_empty(name)).collect()
}

/// How many names there are, without those that are nothing but `+` or spaces to a server that leaves out marks and puts
/// compatible characters in each other's place.
fn count(names: &[String]) -> usize {
    let is_empty = |name: &String| {
        let plain = drop_marks(name.clone()).and_then(nfkc);
        plain.is_none_or(|plain| plain.trim_matches([' ', '+']).is_empty())
    };
    names.iter().filter(|name| !is_empty(name)).count()
}

/// Whether a path passes, which is then the same to all servers, one that takes these steps among them: or why not.
pub fn check(policy: &Policy, path: &str, mine: &[Step]) -> Result<bool, Ambiguous> {
    let normal = normalise(path)?;
    let realm = policy.realm_for("h", &normal).unwrap();
    let Some(route) = realm.route_for("GET", &normal) else { return Ok(false) };
    if !policy.is_clear("h", "GET", &normal, realm, route) {
        return Err(Ambiguous::OtherRoute);
    }
    let chosen: Vec<_> = names(&decode(normal.into_owned()).unwrap());
    for (server, steps) in SERVERS.iter().copied().chain([("a server of any kind", mine)]) {
        let decodes = steps.iter().any(|step| {
            [decode as Step, decode_leniently, decode_overlong]
                .iter()
                .any(|one| std::ptr::fn_addr_eq(*one, *step))
        });
        let seen = steps.iter().try_fold(path.to_owned(), |path, step| step(path));
        let Some(seen) = seen else { continue };
        let its = if decodes { names(&seen) } else { names(&decode_leniently(seen).unwrap()) };
        let shows = || format!("{path:?} is {its:?} to {server}, {chosen:?} to the gate");
        assert_eq!(count(&its), count(&chosen), "{}", shows());
        assert!(
            !its.iter().any(|name| name.starts_with('.') && name.trim_matches('.').is_empty()),
            "{}",
            shows()
        );
        let resource = format!("/{}", its.join("/"));
        // Whose it is: to a server that ignores case, also in another one.
        for ignores_case in [false, true] {
            let takes = |pattern: &PathPattern| self::takes(pattern.source, &resource, ignores_case);
            let guard = policy.realms.iter().find(|realm| realm.paths.iter().any(takes)).unwrap();
            let mut routes = guard.routes.iter().filter(|route| route.methods().contains(&"GET"));
            let Some(other) = routes.find(|route| takes(&route.path)) else { continue };
            assert!(
                other.asks_the_same(route)
                    || self::takes(other.path.source, &format!("/{}", chosen.join("/")), false),
                "{}: through {} to {}",
                shows(),
                route.path.source,
                other.path.source
            );
            let is_own =
                its.len() > 1 && its[0].eq_ignore_ascii_case("gate") && its[1].eq_ignore_ascii_case("api");
            assert!(!is_own, "{}", shows());
        }
    }
    Ok(true)
}

/// A matcher of the test's own.
fn takes(pattern: &str, resource: &str, ignores_case: bool) -> bool {
    let same = |one: &str, other: &str| {
        one == other || ignores_case && one.len() == other.len() && one.to_lowercase() == other.to_lowercase()
    };
    let (pattern, open) = pattern.strip_suffix('*').map_or((pattern, false), |pattern| (pattern, true));
    let (parts, names): (Vec<_>, Vec<_>) =
        (pattern[1..].split('/').collect(), resource[1..].split('/').collect());
    let fits = |(index, part): (usize, &&str)| match names.get(index) {
        None => false,
        Some(name) if open && index + 1 == parts.len() => {
            name.get(..part.len()).is_some_and(|name| same(name, part))
        }
        Some(name) => part.starts_with('{') && !name.is_empty() || same(name, part),
    };
    (open || parts.len() == names.len()) && parts.iter().enumerate().all(fits)
}
