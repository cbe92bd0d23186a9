//! The admin page as it is served: its headers, its address, and what it is told.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_policy::Admin;
use keyward_registry::{
    admin_call::AdminReply,
    front::{self, Page},
};
use keyward_testing::policy::POLICY;

use crate::front::ISSUER;

#[test]
fn the_pages_headers_allow_nothing_but_the_page_itself() {
    let header = |name: &str| front::PAGE_HEADERS.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
    assert_eq!(
        header("Content-Security-Policy"),
        Some(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
             base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
    );
    assert_eq!(header("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(header("Referrer-Policy"), Some("no-referrer"));
    assert_eq!(header("Cross-Origin-Opener-Policy"), Some("same-origin"));
    assert_eq!(header("Cross-Origin-Resource-Policy"), Some("same-origin"));
    assert!(header("Permissions-Policy").is_some());
}

fn page(method: &str, path: &str) -> Page {
    front::page(method, path, "http", &POLICY.admin)
}

/// Status, this field and body of what is no file.
fn reply(method: &str, path: &str, field: &str) -> (u16, String, String) {
    let Page::Reply(AdminReply { status, headers, body }) = page(method, path) else {
        panic!("{method} {path}")
    };
    for (name, value) in front::PAGE_HEADERS {
        assert!(headers.contains(&(name.to_owned(), value.to_owned())), "{name}");
    }
    let value = headers.iter().find(|(name, _)| name == field).map(|(_, value)| value.clone());
    (status, value.unwrap(), body)
}

fn file(path: &str, headers: Vec<(&'static str, String)>) -> Page {
    Page::File(front::File { path: path.to_owned(), headers })
}

#[test]
fn a_file_of_the_page_has_the_pages_headers_and_over_https_one_more() {
    let own: Vec<_> = front::PAGE_HEADERS.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    assert_eq!(page("GET", "/"), file("/", own.clone()));
    assert_eq!(page("GET", "/signed-in"), file("/", own.clone()), "where issuers send browsers back to");
    assert_eq!(page("HEAD", "/app.js"), file("/app.js", own.clone()));
    let (name, value) = front::HSTS;
    let over_https = own.into_iter().chain([(name, value.to_owned())]).collect();
    assert_eq!(front::page("GET", "/", "https", &POLICY.admin), file("/", over_https));
}

#[test]
fn the_page_has_one_address() {
    let beginning = (308, "/admin/".to_owned(), String::new());
    assert_eq!(reply("GET", "", "Location"), beginning);
    assert_eq!(reply("GET", "/index.html", "Location"), beginning);
    assert_eq!(reply("POST", "/", "Allow"), (405, "GET, HEAD".to_owned(), String::new()));
    assert_eq!(POLICY.admin.page, "/admin");
}

#[test]
fn the_page_is_told_where_the_policy_has_the_admin_api() {
    let script = "export const api = \"/api/admin\";\nexport const signIn = null;\n".to_owned();
    let kind = "text/javascript; charset=utf-8".to_owned();
    assert_eq!(reply("GET", "/settings.js", "Content-Type"), (200, kind, script));
}

#[test]
fn the_page_is_told_how_people_sign_in_and_nothing_else_of_the_issuer() {
    let admin = Admin { sign_in: Some(ISSUER), ..POLICY.admin };
    let Page::Reply(AdminReply { body, .. }) = front::page("GET", "/settings.js", "https", &admin) else {
        panic!("no file")
    };
    let sign_in =
        r#"{"code":false,"header":"cf-access-jwt-assertion","name":"Acme \"Access\"","password":false}"#;
    assert_eq!(body.lines().nth(1).unwrap(), format!("export const signIn = {sign_in};"));
}
