//! A key and a token in one request, as it is supposed to be sent.

use super::*;

const KEY: &str = r#"{ header = "X-API-Key" }"#;
const TOKEN: &str = r#"{ header = "X-Token", kind = "jwt" }"#;
/// Both in one header, which one request cannot show both in.
const SHARED: &str = r#"{ header = "Authorization", scheme = "Basic" }, { header = "Authorization", scheme = "Bearer", kind = "jwt" }"#;
const COOKIE: &str = "cookie = \"token\"";

/// A realm with a route that needs both and one that needs a key alone.
fn policy_with(credentials: &str, jwt: &str) -> &'static Policy {
    let text = format!(
        r#"
[[realm]]
id = "shop"
hosts = ["shop.example"]
paths = ["/*"]
origin = {{ binding = "ORIGIN" }}
credentials = [{credentials}]

[realm.key]
live_prefix = "shop_"

[realm.jwt]
issuer = "https://issuer.example"
audience = "shop"
secret = "SHOP_SECRET"
{jwt}

[[realm.route]]
path = "/both"
requires = {{ all = ["key", "jwt"] }}

[[realm.route]]
path = "/key"
requires = "key"
"#
    );
    let policy =
        compile("keyward.toml", |_| Ok(text.clone())).unwrap_or_else(|mistakes| panic!("{mistakes:#}"));
    Box::leak(Box::new(policy))
}

#[test]
fn where_a_route_needs_both_a_token_is_supposed_beside_the_key_and_nowhere_else() {
    let platform = FakePlatform::new();
    for (credentials, jwt) in [
        (format!("{KEY}, {TOKEN}"), ""),
        (format!("{SHARED}, {KEY}"), ""),
        (KEY.to_owned(), COOKIE),
        (format!("{KEY}, {TOKEN}"), COOKIE),
    ] {
        let policy = policy_with(&credentials, jwt);
        for path in ["/both", "/key"] {
            let question = about(request("GET", path), None, Some(shop_record()));
            let answer = platform.gate(Some(policy)).answer(policy, &question, "admin.example");
            assert_eq!(answer["allowed"], true, "{credentials} {jwt} {path}: {answer}");
        }
    }
}
