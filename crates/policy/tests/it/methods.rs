//! Which route takes a method: what HEAD and unnamed methods open, and what an open route may not.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_policy::{
    PathPattern, Requirement, Route,
    method::{NAMED, USUAL},
};

#[test]
fn get_does_not_imply_head_and_no_methods_are_the_usual_ones() {
    let route = |methods| Route {
        methods,
        path: PathPattern::parse("/a").unwrap(),
        requires: Requirement::Public,
        session_id: false,
        freshness: None,
        limit_by_network: None,
    };
    assert!(route(&["GET"]).matches("GET", "/a"));
    assert!(!route(&["GET"]).matches("HEAD", "/a"));
    assert!(!route(&["GET"]).matches("get", "/a"));
    for method in USUAL {
        assert!(route(&[]).matches(method, "/a"), "{method}");
    }
    for method in NAMED.iter().chain(&["TRACE", "CONNECT", "BREW", "", "GET "]) {
        assert!(!route(&[]).matches(method, "/a"), "{method}");
    }
    assert!(route(&["PROPFIND"]).matches("PROPFIND", "/a"));
    assert!(!NAMED.contains(&"TRACE") && !NAMED.contains(&"CONNECT"), "they never pass");
    assert!(!route(&[]).matches("GET", "/b"));
}

fn with_routes(routes: &str) -> Result<keyward_policy::Policy, String> {
    let text = format!(
        "[[realm]]\nid = \"a\"\nhosts = [\"*\"]\npaths = [\"/*\"]\norigin = {{ binding = \"ORIGIN\" }}\n\
         credentials = [{{ header = \"Authorization\", scheme = \"Bearer\" }}]\n{routes}"
    );
    let compiled = keyward_policy::compile::compile("keyward.toml", |_| Ok(text.clone()));
    compiled.map_err(|mistakes| mistakes.to_string())
}

fn route(methods: &str, path: &str, requires: &str) -> String {
    let methods = if methods.is_empty() { String::new() } else { format!("methods = {methods}\n") };
    format!("[[realm.route]]\n{methods}path = \"{path}\"\nrequires = \"{requires}\"\n")
}

#[test]
fn no_method_reads_what_get_is_asked_a_key_for() {
    let broad = [r#"["GET", "HEAD"]"#, r#"["HEAD", "POST"]"#, r#"["HEAD"]"#, ""];
    for open in broad {
        for narrow in [r#"["GET"]"#, r#"["GET", "POST"]"#, r#"["PUT", "GET"]"#] {
            let routes = [route(narrow, "/files/secret", "key"), route(open, "/files/*", "public")].concat();
            let policy = with_routes(&routes).unwrap();
            let realm = &policy.realms[0];
            let guards = |path: &str, method: &str| match realm.route_for(method, path) {
                None => true,
                Some(route) => {
                    route.requires != Requirement::Public || !policy.is_clear("h", method, path, realm, route)
                }
            };
            // In each spelling that some origin takes for it.
            for path in ["/files/secret", "/files/SECRET", "/files/secret/", "/files/secret;x"] {
                for method in ["GET", "HEAD"] {
                    assert!(guards(path, method), "{open} {narrow} {path} {method}");
                }
                for method in USUAL.iter().filter(|_| open.is_empty()) {
                    assert!(guards(path, method), "{open} {narrow} {path} {method}");
                }
            }
            let takes = if open.is_empty() { "DELETE" } else { "HEAD" };
            assert!(!guards("/files/other", takes), "{open} {narrow}: what is not guarded is open");
        }
    }
    // What is named is meant: reading is open, writing is not, and the other way round.
    for (guarded, open) in
        [(r#"["POST", "PUT"]"#, r#"["GET", "HEAD"]"#), (r#"["GET", "HEAD"]"#, r#"["POST"]"#)]
    {
        let policy =
            with_routes(&[route(guarded, "/x", "key"), route(open, "/*", "public")].concat()).unwrap();
        let method = if open.contains("HEAD") { "HEAD" } else { "POST" };
        assert_eq!(policy.realms[0].route_for(method, "/x").unwrap().requires, Requirement::Public);
    }
}

const OPTIONAL: &str = "[[realm.route]]\npath = \"/*\"\nrequires = { optional = true }\n";

#[test]
fn a_route_with_an_optional_credential_opens_as_little_as_a_public_one_and_guards_nothing() {
    let policy = with_routes(&[route(r#"["GET"]"#, "/x", "key"), OPTIONAL.into()].concat()).unwrap();
    let realm = &policy.realms[0];
    for method in USUAL.iter().filter(|method| !["GET", "HEAD"].contains(method)) {
        assert!(realm.route_for(method, "/x").is_none(), "{method}");
        assert!(realm.route_for(method, "/y").is_some(), "{method}");
    }
    let wrong = with_routes(&[route(r#"["GET"]"#, "/*", "key"), OPTIONAL.replace("/*", "/x")].concat());
    assert!(wrong.unwrap_err().contains("guards its paths"));
    let optional_get = OPTIONAL.replace("path", "methods = [\"GET\"]\npath").replace("/*", "/x");
    let policy = with_routes(&[optional_get, route("", "/*", "public")].concat()).unwrap();
    assert_eq!(policy.realms[0].route_for("POST", "/x").unwrap().requires, Requirement::Public);
}

#[test]
fn no_spelling_of_a_path_leads_past_a_limit_by_network_or_past_an_optional_credential() {
    let limit = "limit_by_network = { binding = \"ANYBODY\" }\n";
    for (narrow, broad) in [
        (route("", "/login", "public") + limit, route("", "/*", "public")),
        (OPTIONAL.replace("/*", "/login"), route("", "/*", "public")),
        (OPTIONAL.replace("/*", "/login") + limit, OPTIONAL.to_owned()),
    ] {
        let policy = with_routes(&[narrow, broad].concat()).unwrap();
        let realm = &policy.realms[0];
        let is_clear = |path| policy.is_clear("h", "GET", path, realm, realm.route_for("GET", path).unwrap());
        assert!(is_clear("/login") && is_clear("/other"));
        assert!(!is_clear("/Login") && !is_clear("/login/"));
    }
}

#[test]
fn a_route_for_head_where_another_takes_get_does_not_build_nor_does_one_that_opens_nothing() {
    for routes in [
        [route(r#"["HEAD"]"#, "/x", "public"), route(r#"["GET"]"#, "/*", "key")],
        [route(r#"["GET"]"#, "/*", "key"), route(r#"["HEAD"]"#, "/x", "public")],
        [route(r#"["GET"]"#, "/*", "key"), route("", "/x", "public")],
    ] {
        let wrong = with_routes(&routes.concat()).unwrap_err();
        assert!(wrong.contains("is never reached"), "{wrong}");
    }
    let routes = [route(r#"["HEAD"]"#, "/x", "public"), route(r#"["GET", "HEAD"]"#, "/y", "key")];
    assert!(with_routes(&routes.concat()).is_ok());
}
