//! Paths and hosts: the rule of `keyward_policy::path`, and that no spelling of a path slips past it.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_policy::{
    HostPattern, PathPattern,
    path::{Ambiguous, normalise},
};
use proptest::prelude::*;

fn pattern(source: &str) -> PathPattern {
    PathPattern::parse(source).unwrap_or_else(|wrong| panic!("{source}: {wrong}"))
}

#[test]
fn a_pattern_takes_exactly_the_paths_its_rule_names() {
    for (source, takes, leaves) in [
        ("/", &["/"][..], &["", "/a", "//", "a"][..]),
        ("/*", &["/", "/a", "/a/b"], &["", "a"]),
        ("/a", &["/a"], &["/", "/A", "/a/", "/ab", "/a/b"]),
        ("/a/", &["/a/"], &["/a", "/a/b"]),
        ("/a/*", &["/a/", "/a/b", "/a/b/c"], &["/a", "/ab", "/A/b"]),
        ("/a*", &["/a", "/ab", "/a/b"], &["/", "/b", "/ba"]),
        ("/a/b*", &["/a/b", "/a/bx", "/a/b/c"], &["/a", "/a/", "/a/c", "/b"]),
        ("/a/{id}", &["/a/1", "/a/%20"], &["/a", "/a/", "/a/1/", "/a/1/2"]),
        ("/a/{id}/b", &["/a/1/b"], &["/a//b", "/a/1", "/a/1/b/", "/a/1/c"]),
        ("/{x}/b/*", &["/a/b/", "/a/b/c/d"], &["//b/", "/a/b", "/a/c/b"]),
        (
            "/v1/{id}:cancel",
            &["/v1/7:cancel", "/v1/a:b:cancel", "/v1/%20x:cancel"],
            &["/v1/:cancel", "/v1/7", "/v1/7:CANCEL", "/v1/7:cancel/", "/v1/7/x:cancel", "/v1/7:cancel2"],
        ),
        ("/v1/{id}.json", &["/v1/7.json", "/v1/.json.json"], &["/v1/.json", "/v1/json", "/v1/7.jsonx"]),
        ("/v{n}/x", &["/v1/x", "/vv/x"], &["/v/x", "/1/x"]),
        (
            "/odata/Products({id})/Name",
            &["/odata/Products(7)/Name"],
            &["/odata/Products()/Name", "/odata/Products/Name"],
        ),
        ("/a-{x}-b", &["/a-1-b", "/a---b"], &["/a-b", "/a--b", "/a-1-"]),
        ("/v1/{id}.json/*", &["/v1/7.json/", "/v1/7.json/x"], &["/v1/7.json"]),
        ("/v1/things:batch", &["/v1/things:batch"], &["/v1/things"]),
        // What OData, FHIR and others have is not what other routers would read in it.
        ("/odata/$metadata", &["/odata/$metadata"], &["/odata/x"]),
        ("/odata/Products(1)/$value", &["/odata/Products(1)/$value"], &[]),
        ("/fhir/Patient/{id}/$everything", &["/fhir/Patient/1/$everything"], &[]),
        ("/@me/~a/+1/a.b/c;d=e", &["/@me/~a/+1/a.b/c;d=e"], &[]),
    ] {
        for path in takes {
            assert!(pattern(source).matches(path), "{source} should take {path}");
        }
        for path in leaves {
            assert!(!pattern(source).matches(path), "{source} should not take {path}");
        }
    }
}

#[test]
fn hosts_are_compared_without_case_and_without_the_root_dot() {
    let exact = HostPattern::Exact("api.example.com");
    let below = HostPattern::Below(".example.com");
    for (host, is_exact, is_below) in [
        ("api.example.com", true, true),
        ("API.Example.Com.", true, true),
        ("example.com", false, false),
        (".example.com", false, false),
        ("a.b.example.com", false, true),
        ("badexample.com", false, false),
        ("api.example.com.evil.net", false, false),
        ("", false, false),
        ("é.example.com", false, true),
        ("éexample.com", false, false),
    ] {
        assert_eq!(exact.matches(host), is_exact, "{host}");
        assert_eq!(below.matches(host), is_below, "{host}");
        assert!(HostPattern::Any.matches(host), "{host}");
    }
}

#[test]
fn a_host_pattern_covers_another_when_it_takes_all_its_hosts() {
    use HostPattern::{Any, Below, Exact};
    let patterns = [Any, Below(".b.c"), Below(".a.b.c"), Exact("a.b.c"), Exact("b.c")];
    let rows = ["yyyyy", "-yyy-", "--y--", "---y-", "----y"];
    for (one, row) in patterns.iter().zip(rows) {
        for (other, expected) in patterns.iter().zip(row.chars()) {
            assert_eq!(one.covers(other), expected == 'y', "{one:?} {other:?}");
        }
    }
}

#[test]
fn equal_spellings_of_a_path_have_one_form() {
    for (path, normal) in [
        ("/api/orders", "/api/orders"),
        ("/", "/"),
        ("", ""),
        ("/%61pi/%6Frders", "/api/orders"),
        ("/%7Euser/%2d%5F%2E", "/~user/-_."),
        ("/a%3ab", "/a:b"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/a%20b%5b", "/a%20b%5B"),
        ("/a b[é", "/a%20b%5B%C3%A9"),
        ("/100%25", "/100%25"),
        ("/a..b/a...", "/a..b/a..."),
        ("/a;v=1/b", "/a;v=1/b"),
    ] {
        assert_eq!(normalise(path).as_deref(), Ok(normal), "{path}");
    }
    assert!(
        matches!(normalise("/api/orders"), Ok(std::borrow::Cow::Borrowed(_))),
        "the usual path allocates"
    );
}

#[test]
fn paths_that_origins_read_differently_are_refused() {
    use Ambiguous::*;
    for (path, reason) in [
        ("/a%2Fb", EncodedSlash),
        ("/a%2fb", EncodedSlash),
        ("/a\\b", Backslash),
        ("/a%5cb", Backslash),
        ("/a%00", Control),
        ("/a%0d%0a", Control),
        ("/a%7f", Control),
        ("/a\u{1}", Control),
        ("/a\u{7f}", Control),
        ("/a%", Percent),
        ("/a%2", Percent),
        ("/a%zz", Percent),
        ("/a%+1", Percent),
        ("/a%u002e", Percent),
        ("/a%é", Percent),
        ("/a%C0%AF", NotUtf8),
        ("/a%ff", NotUtf8),
        ("/a%252zb", DoubleEncoding),
        ("/a%252Fb", DoubleEncoding),
        ("/a%252fb", DoubleEncoding),
        ("/a%255C", DoubleEncoding),
        ("/%252e%252E/", DoubleEncoding),
        ("/a%2500", DoubleEncoding),
        ("/a%25252F", DoubleEncoding),
        ("/a%25%32F", DoubleEncoding),
        ("/a%25%32%46", DoubleEncoding),
        ("/a/../b", DotSegment),
        ("/a/..", DotSegment),
        ("/./a", DotSegment),
        ("/a/%2e%2e/b", DotSegment),
        ("/a/%2E./b", DotSegment),
        ("/a/..;/b", DotSegment),
        ("/a/.;x=1/b", DotSegment),
        ("/a/..%3bx", DotSegment),
        ("//a", EmptySegment),
        ("/a//b", EmptySegment),
        ("/a//", EmptySegment),
    ] {
        assert_eq!(normalise(path), Err(reason), "{path}");
    }
}

/// A pattern matcher that knows no segments: characters against characters.
fn naive(pattern: &[char], path: &[char]) -> bool {
    match pattern {
        [] => path.is_empty(),
        ['*'] => true,
        ['{', rest @ ..] => {
            let after = rest.iter().position(|&c| c == '}').map(|end| &rest[end + 1..]).unwrap();
            let longest = path.iter().take_while(|&&c| c != '/').count();
            (1..=longest).any(|taken| naive(after, &path[taken..]))
        }
        [first, rest @ ..] => path.first() == Some(first) && naive(rest, &path[1..]),
    }
}

fn naively(pattern: &str, path: &str) -> bool {
    naive(&pattern.chars().collect::<Vec<_>>(), &path.chars().collect::<Vec<_>>())
}

/// What a server that decodes every octet once sees.
fn decode_once(path: &str) -> Vec<u8> {
    let bytes = path.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let octet = bytes.get(at + 1..at + 3).and_then(|digits| {
            (bytes[at] == b'%' && digits.iter().all(u8::is_ascii_hexdigit))
                .then(|| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap())
        });
        decoded.push(octet.unwrap_or(bytes[at]));
        at += if octet.is_some() { 3 } else { 1 };
    }
    decoded
}

// Few letters, so that patterns and paths often meet.
const PATTERN: &str = r"(/(a|b|ab|\{[xy]\})){0,3}(/|/a\*|/b\*|/\*)?";
const PATH: &str = "(/(a|b|ab|ba|%61|%2562|%20|)){0,4}/?";
/// What of it passes differs from the path by one that is as good to some servers, and not to others.
const SPELLINGS: &[(&str, bool)] = &[
    ("/open/x", true),
    ("/open/x/", true),
    ("/open/Keyed", false),
    ("/open/keyed/", false),
    ("/open/keyed;x", false),
    ("/open/keyed.", false),
    ("/open/keyed+", false),
    ("/open/k%C3%A9yed", false),
    ("/open/%EF%BD%8Beyed", false),
    ("/open/keye%C4%91", false),
    ("/open/keyed.json", true),
    ("/open/keyedx", true),
    ("/Open/x", true),
    ("/API/x", false),
    ("/api;x/y", false),
    ("/apis", true),
    ("/Healthz", false),
    ("/healthz/", false),
    ("/Admin/x", false),
    ("/same/A", true),
    ("/same/A~1", true),
    // What Windows calls what has a longer name, or a stream of it.
    ("/open/ADMINI~1", false),
    ("/open/admini~1.ht", false),
    ("/open/adm~2", false),
    ("/open/AD3F2B~1", false),
    ("/open/%41dmin%7e1", false),
    ("/open/keyed:x", false),
    ("/open/keyed:", false),
    ("/open/KEYED.:x", false),
    ("/open/ADMINI~1:x", false),
    ("/AP~1/x", false),
    ("/open/HEAD~1", true),
    ("/open/keyed~", true),
    ("/open/keyed~x", true),
    ("/open/administration~1", true),
    ("/open/x:keyed", true),
    ("/open/keyed:own", true),
    ("/open/keyed:own:x", false),
    ("/open/keyed~1.js", true),
    // A name that reads as nothing to some servers is one to others.
    ("/SHOPS/+", false),
    ("/shops./%EF%BC%8B/", false),
    ("/SHOPS/+/\u{ff0b}", false),
    ("/other/+/a", true),
];

#[test]
fn another_spelling_of_a_path_with_other_rights_does_not_pass() {
    const POLICY: &str = r#"
[[realm]]
id = "api"
hosts = ["h"]
paths = ["/api/*"]
origin = { binding = "ORIGIN" }
credentials = [{ header = "Authorization", scheme = "Bearer" }]
[[realm.route]]
path = "/api/*"
requires = "key"
[[realm]]
id = "open"
hosts = ["h"]
paths = ["/*"]
origin = { binding = "ORIGIN" }
credentials = [{ header = "Authorization", scheme = "Bearer" }]
[[realm.route]]
path = "/open/keyed:own"
requires = "public"
[[realm.route]]
path = "/open/keyed~1.js"
requires = "public"
[[realm.route]]
path = "/open/keyed"
requires = "key"
[[realm.route]]
path = "/open/administration"
requires = "key"
[[realm.route]]
path = "/shops/{id}"
requires = "key"
[[realm.route]]
path = "/same/a"
requires = "public"
[[realm.route]]
path = "/*"
requires = "public"
"#;
    let policy = keyward_policy::compile::compile("keyward.toml", |_| Ok(POLICY.to_owned())).unwrap();
    for (path, passes) in SPELLINGS {
        let normal = normalise(path).unwrap();
        let realm = policy.realm_for("h", &normal).unwrap();
        let route = realm.route_for("GET", &normal).unwrap();
        assert_eq!(policy.is_clear("h", "GET", &normal, realm, route), *passes, "{path}");
    }
}

#[test]
fn paths_of_real_apis_pass_and_tricks_do_not() {
    let rows = include_str!("api_paths.txt").lines().filter(|line| !line.starts_with("# "));
    let rows: Vec<_> = rows.map(|row| row.rsplit_once(" | ").unwrap()).collect();
    assert!(rows.len() > 100);
    for (path, expected) in rows {
        let told = normalise(path).map_or_else(|why| why.to_string(), |_| "passes".to_owned());
        assert_eq!(told, expected, "{path}");
    }
}

#[test]
fn a_pattern_that_no_good_path_matches_is_none() {
    for bad in ["/a/.../b", "/..;x/b", "/;x/b", "/a;/.;", "/a/b:$c", "/a/;*", "/a/.;*", "/a/b:$*", "/+./a"] {
        let wrong = PathPattern::parse(bad).map(|_| bad).unwrap_err();
        assert!(wrong.to_string().contains("no request has"), "{bad}: {wrong}");
    }
    for good in ["/a/.w*", "/a/..w*", "/a/b:*", "/a/+/b", "/a.", "/a;x*", "/a/+*"] {
        assert!(PathPattern::parse(good).is_ok(), "{good}");
    }
}

const WILD_PATH: &str = "/([ab./;:\\\\%]|%2[efEF]|%5[cC]|%25|%6[12]|%3[abAB]|%00){0,12}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn matching_agrees_with_a_naive_matcher(source in PATTERN, path in PATH) {
        let Ok(pattern) = PathPattern::parse(&source) else { return Ok(()) };
        prop_assert_eq!(pattern.matches(&path), naively(&source, &path));
    }

    #[test]
    fn a_pattern_that_covers_another_takes_all_its_paths(one in PATTERN, other in PATTERN, path in PATH) {
        let (Ok(one), Ok(other)) = (PathPattern::parse(&one), PathPattern::parse(&other)) else { return Ok(()) };
        if one.covers(&other) {
            prop_assert!(one.overlaps(&other) && other.overlaps(&one));
            prop_assert!(one.matches(&path) || !other.matches(&path));
        }
        if one.matches(&path) && other.matches(&path) {
            prop_assert!(one.overlaps(&other) && other.overlaps(&one));
        }
    }

    #[test]
    fn normalising_twice_changes_nothing(path in WILD_PATH) {
        if let Ok(normal) = normalise(&path) {
            prop_assert_eq!(normalise(&normal), Ok(normal.clone()));
        }
    }

    /// The heart of it: a gate that matches the normal form and an origin that decodes in its own
    /// way agree about which pattern takes the path.
    #[test]
    fn the_gate_and_a_decoding_origin_agree(source in PATTERN, path in WILD_PATH) {
        let Ok(pattern) = PathPattern::parse(&source) else { return Ok(()) };
        let Ok(normal) = normalise(&path) else { return Ok(()) };
        let decoded = String::from_utf8(decode_once(&path));
        prop_assert!(decoded.is_ok(), "not UTF-8");
        let decoded = decoded.unwrap();
        prop_assert_eq!(pattern.matches(&normal), pattern.matches(&decoded));
        // Nor does an origin find a way up, or another slash, however often it decodes.
        let twice = String::from_utf8_lossy(&decode_once(&decoded)).into_owned();
        for seen in [&decoded, &twice] {
            prop_assert_eq!(seen.matches('/').count(), path.matches('/').count());
            prop_assert!(!seen.contains('\\') && !seen.contains('\0'));
            prop_assert!(seen.split('/').all(|segment| !matches!(segment.split(';').next(), Some("." | ".."))));
        }
    }
}
