//! No server reaches through one route what another one guards: models of real servers, and of what servers do in any
//! order, against a million paths that an attacker may have made. The models of nginx, Apache httpd, Node and Python were
//! compared with the servers themselves, the others with what their documents and past faults say.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod models;

use std::collections::BTreeMap;

use keyward_policy::{
    PathPattern, Policy,
    compile::compile,
    path::{Ambiguous, normalise},
};
use models::{SERVERS, STEPS, Step, decode, decode_leniently, decode_overlong, drop_marks};

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

fn policy() -> Policy {
    compile("keyward.toml", |_| Ok(POLICY.to_owned())).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % most as u64) as usize
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

const NAMES: &[&str] = &[
    "admin",
    "files",
    "secret",
    "me",
    "Files.d",
    "v1",
    "me:pause",
    "inner",
    "x",
    "gate",
    "api",
    "ADMIN",
    "Secret",
    "ädmin",
    "ｍｅ",
    "adm\u{131}n",
    "a\u{301}dmin",
    "ＦILES.D",
    "administration",
    "ADMINI~1",
    "admini~1",
    "AD3F2B~1",
];
const SIGNS: &[&str] = &[
    ".",
    "..",
    "...",
    " ",
    "\u{a0}",
    "\u{1680}",
    "\u{3000}",
    "+",
    ";",
    ";x=1",
    ";a/b",
    "%",
    "%2",
    "%2e",
    "%u002e",
    "%00",
    "%c0%ae",
    "%c0%af",
    "/",
    "//",
    "\\",
    "?",
    "#",
    "&",
    "=",
    ":",
    "::$DATA",
    ":$I30:$INDEX_ALLOCATION",
    "\0",
    "\t",
    "\r\n",
    "\u{7f}",
    "\u{85}",
    "\"",
    "<",
    ">",
    "*",
    "|",
    "～",
    "．",
    "．．",
    "／",
    "＼",
    "；",
    "％",
    "？",
    "\u{2025}",
    "\u{2024}",
    "\u{2215}",
    "\u{2216}",
    "\u{a5}",
    "\u{2044}",
    "\u{200d}",
    "\u{200b}",
    "\u{ad}",
    "\u{fe0f}",
    "\u{301}",
    "é",
    "日本",
    "😀",
    "ß",
    "1",
    "2f",
    "e",
    "\u{3002}",
    "\u{201d}",
    "\u{2028}",
    "\u{e000}",
];

fn encode(text: &str, random: &mut Random, of_ten: usize) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c == '/' || random.below(10) >= of_ten {
            out.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("%{byte:02x}"));
            }
        }
    }
    out
}

fn path(random: &mut Random) -> String {
    let mut path = String::new();
    for _ in 0..=random.below(4) {
        path.push('/');
        let (first, kind) = (random.below(4), random.below(10));
        if first > 0 {
            path.push_str(random.one(NAMES));
        }
        if kind > 4 {
            for _ in 0..=random.below(3) {
                path.push_str(random.one(SIGNS));
            }
        }
        if kind == 9 {
            path.push_str(random.one(NAMES));
        }
    }
    if random.below(8) == 0 {
        path.push('/');
    }
    for _ in 0..random.below(4) {
        let share = random.one(&["1", "3", "10"]).parse().unwrap();
        path = encode(&path, random, share);
    }
    path
}

/// The segments, as a server that has them compares them; none for a slash at the end, or for one of `+`.
fn names(resource: &str) -> Vec<String> {
    let trim = |name: &str| name.trim_matches([' ', '+']).to_owned();
    let is_empty = |name: &String| drop_marks(name.clone()).is_none_or(|shown| trim(&shown).is_empty());
    resource.split('/').map(trim).filter(|name| !is_empty(name)).collect()
}

struct Tally {
    passed: u32,
    refused: BTreeMap<String, u32>,
}

fn check(policy: &Policy, path: &str, random: &mut Random, tally: &mut Tally) {
    let refused = |why: Ambiguous| {
        let text = why.to_string();
        text.split(" U+").next().unwrap().to_owned()
    };
    let normal = match normalise(path) {
        Err(why) => return *tally.refused.entry(refused(why)).or_default() += 1,
        Ok(normal) => normal,
    };
    let realm = policy.realm_for("h", &normal).unwrap();
    let Some(route) = realm.route_for("GET", &normal) else { return };
    if !policy.is_clear("h", "GET", &normal, realm, route) {
        return *tally.refused.entry(refused(Ambiguous::OtherRoute)).or_default() += 1;
    }
    tally.passed += 1;
    let chosen: Vec<_> = names(&decode(normal.into_owned()).unwrap());
    let mine: Vec<Step> = (0..1 + random.below(7)).map(|_| STEPS[random.below(STEPS.len())]).collect();
    for (server, steps) in SERVERS.iter().copied().chain([("a server of any kind", &*mine)]) {
        let decodes = steps.iter().any(|step| {
            [decode as Step, decode_leniently, decode_overlong]
                .iter()
                .any(|one| std::ptr::fn_addr_eq(*one, *step))
        });
        let seen = steps.iter().try_fold(path.to_owned(), |path, step| step(path));
        let Some(seen) = seen else { continue };
        let its = if decodes { names(&seen) } else { names(&decode_leniently(seen).unwrap()) };
        let shows = || format!("{path:?} is {its:?} to {server}, {chosen:?} to the gate");
        assert_eq!(its.len(), chosen.len(), "{}", shows());
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

#[test]
fn no_server_reaches_through_one_route_what_another_guards() {
    let policy = policy();
    let work = |seed| {
        let mut random = Random(seed);
        let mut tally = Tally { passed: 0, refused: BTreeMap::new() };
        for _ in 0..250_000 {
            let path = path(&mut random);
            check(&policy, &path, &mut random, &mut tally);
        }
        tally
    };
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let threads: Vec<_> = [11, 26, 2_026, 7].map(|seed| scope.spawn(move || work(seed))).into();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for tally in tallies {
        assert!(tally.passed > 30_000, "{} passed", tally.passed);
        assert_eq!(tally.refused.len(), 16, "each reason for which a path is refused: {:#?}", tally.refused);
    }
}
