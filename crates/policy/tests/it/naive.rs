//! What finds routes quickly decides exactly as what tries each of them: the rule as it is written, kept here, and the full
//! comparison of readings.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{cell::Cell, fs, path::Path};

use keyward_policy::{
    HostPattern, KeyRequirement, NetworkLimit, PathPattern, Policy, Realm, Requirement, Route, Routes,
    Segment, Tail, path::normalise,
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, RngSeed, TestRunner},
};

const METHODS: [&[&str]; 6] = [&[], &["GET"], &["POST"], &["GET", "HEAD"], &["HEAD"], &["PROPFIND", "GET"]];
const ASKED: [&str; 6] = ["GET", "HEAD", "POST", "OPTIONS", "PROPFIND", "get"];
/// Names that servers take for each other, and some that they do not.
const NAMES: [&str; 24] = [
    "a",
    "A",
    "a.",
    "b",
    "ab",
    "aB",
    "admin",
    "Admin",
    "ADMINI~1",
    "admin;x",
    "admin:x",
    "adm%69n",
    "+",
    "a+b",
    "a%20b",
    "caf%C3%A9",
    "cafe",
    "Caf%C3%A9",
    "x.y",
    "~x",
    "v1",
    "V1",
    "@me",
    "healthz",
];

/// The rule, segment by segment.
fn takes(pattern: &PathPattern, path: &str) -> bool {
    let Some(path) = path.strip_prefix('/') else { return false };
    let names: Vec<&str> = path.split('/').collect();
    let (segments, count) = (pattern.segments, pattern.segments.len());
    let fits = |(segment, name): (&Segment, &&str)| match segment {
        Segment::Literal(text) => text == name,
        Segment::Parameter(_) => !name.is_empty(),
        Segment::Affixed { before, after, .. } => {
            name.len() > before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
        }
    };
    if names.len() < count || !segments.iter().zip(&names).all(fits) {
        return false;
    }
    match pattern.tail {
        Tail::Exact => names.len() == count,
        Tail::Prefix(prefix) => names.len() > count && names[count..].join("/").starts_with(prefix),
    }
}

/// The route for a method and path, by trying each.
fn route_for<'r>(routes: &'r [Route], method: &str, path: &str) -> Option<&'r Route> {
    let find =
        |method| routes.iter().find(|route| route.methods().contains(&method) && takes(&route.path, path));
    let found = if method == "HEAD" { find("GET").or_else(|| find(method)) } else { find(method) }?;
    let for_all = |route: &Route| match route.requires {
        Requirement::Public => true,
        Requirement::Key(key) => key.optional,
        Requirement::Webhook(_) => false,
    };
    let guards = |route: &&Route| takes(&route.path, path) && !for_all(route);
    let is_opened = found.methods.is_empty()
        && for_all(found)
        && routes.iter().take_while(|route| !std::ptr::eq(*route, found)).any(|route| guards(&route));
    (found.methods().contains(&method) && !is_opened).then_some(found)
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![8 => select(&NAMES[..]).prop_map(str::to_owned), 1 => "[a-bA.~+:;@é%]{1,3}"]
}

fn path() -> impl Strategy<Value = String> {
    (vec(name(), 0..4), any::<bool>()).prop_map(|(names, slash)| {
        let slash = if slash || names.is_empty() { "/" } else { "" };
        names.iter().map(|name| format!("/{name}")).collect::<String>() + slash
    })
}

fn pattern() -> impl Strategy<Value = PathPattern> {
    let affixed = select(&["{id}:x", "{id}.y", "a{id}", "A{id}", "{id}~1", "v{id}.y", "{id}.Y", "~{id}"][..]);
    let segment =
        prop_oneof![6 => name(), 2 => Just("{id}".to_owned()), 1 => affixed.prop_map(str::to_owned)];
    let tail = select(&["", "", "/", "/*", "*"][..]);
    let source = (vec(segment, 0..4), tail).prop_map(|(segments, tail)| {
        let mut names = std::collections::BTreeSet::new();
        // A parameter's name stands once in a pattern.
        let segments = segments.iter().filter(|segment| !segment.contains('{') || names.insert("id"));
        let path: String = segments.map(|segment| format!("/{segment}")).collect();
        if path.is_empty() { format!("/{}", tail.trim_start_matches('/')) } else { path + tail }
    });
    source.prop_filter_map("no pattern", |source| {
        // What is decoded in a normal path stands so in a pattern.
        let normal = normalise(&source).ok()?.into_owned();
        PathPattern::parse(&source).or_else(|_| PathPattern::parse(&normal)).ok()
    })
}

fn routes() -> impl Strategy<Value = Routes> {
    let guarded = Requirement::Key(KeyRequirement::ANY_KEY);
    let scoped = Requirement::Key(KeyRequirement { scopes: &["a:b"], ..KeyRequirement::ANY_KEY });
    let optional = Requirement::Key(KeyRequirement { optional: true, ..KeyRequirement::ANY_KEY });
    let limits =
        [None, Some(NetworkLimit { binding: "ANYBODY", period: keyward_policy::Span::from_secs(60) })];
    let asked = select(vec![Requirement::Public, guarded, scoped, optional]);
    let route = (select(&METHODS[..]), pattern(), asked, select(limits.to_vec())).prop_map(
        |(methods, path, requires, limit_by_network)| {
            let limit_by_network = limit_by_network.filter(|_| requires.admits_anybody());
            Route { methods, path, requires, session_id: false, freshness: None, limit_by_network }
        },
    );
    vec(route, 0..12).prop_map(|routes| Routes::new(routes.leak()))
}

const BASE: &str = r#"
[[realm]]
id = "one"
hosts = ["h"]
paths = ["/*"]
origin = { binding = "ORIGIN" }
credentials = [{ header = "Authorization", scheme = "Bearer" }]
[[realm.route]]
path = "/*"
requires = "public"
"#;

fn base() -> Policy {
    keyward_policy::compile::compile("keyward.toml", |_| Ok(BASE.to_owned())).unwrap()
}

fn policy() -> impl Strategy<Value = Policy> {
    let hosts: &[&'static [HostPattern]] =
        &[&[HostPattern::Exact("h")], &[HostPattern::Any], &[HostPattern::Exact("other")]];
    let paths = prop_oneof![
        2 => Just(vec![PathPattern::parse("/*").unwrap()]),
        1 => vec(pattern(), 1..3),
    ];
    let realm = (select(hosts), paths, routes());
    let bases = select(&["", "/a", "/Admin", "/v1/admin", "/x.y"][..]);
    (vec(realm, 1..4), bases.clone(), bases).prop_map(|(realms, api, page)| {
        let mut policy = base();
        let one = policy.realms[0];
        (policy.admin.api, policy.admin.page) = (api, page);
        let ids = ["one", "two", "three"];
        let realm = |(id, (hosts, paths, routes)): (&&'static str, (_, Vec<PathPattern>, _))| Realm {
            id,
            hosts,
            paths: paths.leak(),
            routes,
            ..one
        };
        policy.realms = ids.iter().zip(realms).map(realm).collect::<Vec<_>>().leak();
        policy
    })
}

/// Compares them for one path, as it is and normalised.
fn compare_routes(routes: &Routes, realm: &Realm, path: &str) {
    let realm = Realm { routes: *routes, ..*realm };
    let same = |one: Option<&Route>, other: Option<&Route>| match (one, other) {
        (Some(one), Some(other)) => std::ptr::eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    };
    for route in routes.iter() {
        assert_eq!(route.path.matches(path), takes(&route.path, path), "{} and {path}", route.path.source);
    }
    let found: Vec<*const Route> = realm.routes_at(path).iter().map(std::ptr::from_ref).collect();
    let all = routes.iter().filter(|route| takes(&route.path, path));
    assert_eq!(found, all.map(std::ptr::from_ref).collect::<Vec<_>>(), "{path} of {routes:#?}");
    for method in ASKED {
        let (found, naive) = (realm.route_for(method, path), route_for(routes, method, path));
        assert!(same(found, naive), "{method} {path}: {found:?} instead of {naive:?} of {routes:#?}");
    }
}

/// Paths that the fuzzer has found, one in each first line.
fn corpus() -> Vec<String> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/path"));
    let text = |entry: fs::DirEntry| String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned();
    let texts = fs::read_dir(folder).unwrap().map(|entry| text(entry.unwrap()));
    texts.map(|text| text.lines().next().unwrap_or_default().to_owned()).collect()
}

/// The same cases each time: how many of them say something is asserted.
fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..Config::default()
    })
}

#[test]
fn the_tree_of_routes_finds_what_trying_each_route_finds() {
    let realm = base().realms[0];
    let corpus = corpus();
    assert!(corpus.len() >= 9);
    let found = Cell::new(0_u32);
    let one = |(routes, paths): (Routes, Vec<String>)| {
        for path in paths.iter().chain(&corpus) {
            compare_routes(&routes, &realm, path);
            if let Ok(normal) = normalise(path) {
                compare_routes(&routes, &realm, &normal);
                found.set(
                    found.get()
                        + u32::from(routes.iter().filter(|route| takes(&route.path, &normal)).count() > 1),
                );
            }
        }
        Ok(())
    };
    runner(1_000).run(&(routes(), vec(path(), 1..12)), one).unwrap();
    assert!(found.get() > 100, "only {} paths were taken by more than one route", found.get());
}

#[test]
fn a_path_that_is_its_own_reading_is_as_clear_as_all_its_readings_are() {
    let corpus: Vec<String> =
        corpus().iter().filter_map(|path| Some(normalise(path).ok()?.into_owned())).collect();
    let (clear, unclear) = (Cell::new(0_u32), Cell::new(0_u32));
    let one = |(policy, paths, method): (Policy, Vec<String>, Index)| {
        let method = method.get(&ASKED);
        let normal = paths.iter().filter_map(|path| Some(normalise(path).ok()?.into_owned()));
        for path in normal.chain(corpus.iter().cloned()) {
            let Some(realm) = policy.realm_for("h", &path) else { continue };
            let Some(route) = realm.route_for(method, &path) else { continue };
            let found = policy.is_clear("h", method, &path, realm, route);
            let as_read = policy.is_clear_as_read("h", method, &path, realm, route);
            assert_eq!(found, as_read, "{method} {path} of {policy:#?}");
            // Of paths that are not spelt in any special way.
            if path.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'/') && !path.ends_with('/') {
                let count = if found { &clear } else { &unclear };
                count.set(count.get() + 1);
            }
        }
        Ok(())
    };
    runner(4_000).run(&(policy(), vec(path(), 1..12), any::<Index>()), one).unwrap();
    let counts = (clear.get(), unclear.get());
    assert!(counts.0 > 100 && counts.1 > 100, "clear and unclear paths: {counts:?}");
}

#[test]
fn a_path_that_is_plain_has_the_form_that_looking_at_each_of_its_names_gives_it() {
    let plain = "/([ab./]{0,8}|[a-zA-Z0-9._~!$&'()*,=@/-]{0,10})";
    let one = |(path, which): (String, Index)| {
        let names = path.char_indices().filter(|(_, name)| name.is_ascii_alphanumeric()).collect::<Vec<_>>();
        if names.is_empty() {
            return Ok(());
        }
        // One character that is encoded makes it a path that has to be looked at name by name, and none other.
        let (at, encoded) = names[which.index(names.len())];
        let spelt = format!("{}%{:02X}{}", &path[..at], u32::from(encoded), &path[at + 1..]);
        assert_eq!(normalise(&path), normalise(&spelt), "{path} and {spelt}");
        Ok(())
    };
    runner(4_000).run(&(plain, any::<Index>()), one).unwrap();
}
