//! Everything that can be wrong with a policy is found, with its line, what is wrong and how to
//! mend it.
//!
//! The tables beside this file hold one mistake a paragraph: lines of `right.toml` taken out (`-`),
//! lines put in their place (`+`, or at the end where none is taken out), and what the build prints.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_policy::compile::{Mistake, Mistakes, ReadError, compile};

const RIGHT: &str = include_str!("right.toml");

fn mistakes(text: &str) -> Mistakes {
    let read = |file: &str| match file {
        "keyward.toml" => Ok(text.to_owned()),
        _ => Err(ReadError::Other("no such file".to_owned())),
    };
    match compile("keyward.toml", read) {
        Ok(_) => panic!("nothing was found wrong with:\n{text}"),
        Err(mistakes) => mistakes,
    }
}

/// The lines of a paragraph that begin with this sign, without it.
fn marked(paragraph: &str, sign: char) -> String {
    let lines = paragraph.lines().filter_map(|line| line.strip_prefix(sign));
    lines.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect()
}

fn check(table: &str) {
    for paragraph in table.split("\n\n") {
        let (taken, put) = (marked(paragraph, '-'), marked(paragraph, '+'));
        let wrong = if taken.is_empty() {
            format!("{RIGHT}\n{put}")
        } else {
            assert_eq!(RIGHT.matches(&taken).count(), 1, "right.toml has this other than once:\n{taken}");
            RIGHT.replace(&taken, &put)
        };
        let expected: Vec<&str> = paragraph.lines().filter(|line| !line.starts_with(['-', '+'])).collect();
        let found = mistakes(&wrong);
        assert_eq!(found.to_string(), expected.join("\n"), "for this change:\n{paragraph}");
        for Mistake { line, excerpt, .. } in &found.list {
            let own = wrong.lines().nth(line - 1).unwrap_or_default().trim_end();
            let mut rest = Some(own);
            for shown in excerpt.split('…') {
                rest = rest.and_then(|rest| rest.split_once(shown)).map(|(_, rest)| rest);
            }
            assert!(rest.is_some(), "{own}\nis shown as\n{excerpt}");
        }
    }
}

#[test]
fn the_policy_that_the_tables_change_is_right() {
    assert!(compile("keyward.toml", |_| Ok(RIGHT.to_owned())).is_ok());
}

#[test]
fn mistakes_of_the_document_are_found() {
    check(include_str!("document.txt"));
}

#[test]
fn mistakes_of_the_admin_section_are_found() {
    check(include_str!("admin.txt"));
}

#[test]
fn mistakes_of_the_log_section_are_found() {
    check(include_str!("log.txt"));
}

#[test]
fn mistakes_of_a_realm_are_found() {
    check(include_str!("realm.txt"));
}

#[test]
fn mistakes_of_the_key_format_are_found() {
    check(include_str!("key.txt"));
}

#[test]
fn mistakes_of_the_identity_that_origins_get_are_found() {
    check(include_str!("identity.txt"));
}

#[test]
fn mistakes_of_imported_keys_are_found() {
    check(include_str!("imported.txt"));
}

#[test]
fn mistakes_of_static_keys_are_found() {
    check(include_str!("static_key.txt"));
}

#[test]
fn mistakes_of_tokens_are_found() {
    check(include_str!("jwt.txt"));
}

#[test]
fn mistakes_of_links_are_found() {
    check(include_str!("link.txt"));
}

#[test]
fn mistakes_of_webhooks_are_found() {
    check(include_str!("webhook.txt"));
}

#[test]
fn mistakes_of_limits_are_found() {
    check(include_str!("limits.txt"));
}

#[test]
fn mistakes_of_cors_are_found() {
    check(include_str!("cors.txt"));
}

#[test]
fn mistakes_of_the_scope_catalogue_are_found() {
    check(include_str!("scopes.txt"));
}

#[test]
fn mistakes_of_refusals_are_found() {
    check(include_str!("refusals.txt"));
}

#[test]
fn mistakes_of_a_route_are_found() {
    check(include_str!("route.txt"));
}

#[test]
fn realms_paths_and_routes_that_no_request_reaches_are_found() {
    check(include_str!("reach.txt"));
}

#[test]
fn a_policy_without_a_realm_is_refused() {
    let expected = "error: keyward.toml:1: the policy lacks the field \"realm\"\n  \
                    hint: add it, for example: [[realm]] with id, hosts, paths, origin and credentials";
    for text in ["", "[admin]\npage = \"/admin\"\n"] {
        assert_eq!(mistakes(text).to_string(), expected);
    }
    assert!(mistakes("realm = []").to_string().contains("is an empty list"));
}

#[test]
fn a_mistake_in_an_included_file_names_that_file() {
    let read = |file: &str| match file {
        "policies/all.toml" => Ok("include = [\"../shop.toml\", \"./b/shop.toml\"]".to_owned()),
        "shop.toml" => Ok(RIGHT.to_owned()),
        "policies/b/shop.toml" => Ok(RIGHT.replace("random = 30", "random = 3")),
        _ => Err(ReadError::Other("no such file".to_owned())),
    };
    let found = compile("policies/all.toml", read).unwrap_err();
    let lines: Vec<String> =
        found.list.iter().map(|found| format!("{}:{}", found.file, found.line)).collect();
    assert_eq!(lines, [5, 6, 18].map(|line| format!("policies/b/shop.toml:{line}")));
    assert!(found.list[1].message.ends_with("first on line 6 of shop.toml"), "{found}");
}

#[test]
fn all_mistakes_are_reported_at_once_in_the_order_of_their_lines() {
    let wrong = RIGHT
        .replace("\"/api/orders*\"", "\"orders\"")
        .replace("id = \"shop\"", "id = \"The Shop\"\ncolour = 1")
        .replace("random = 30", "random = 3")
        .replace("per_minute = 600", "per_minute = 0")
        .replace("https://app.example.com", "app");
    let lines: Vec<usize> = mistakes(&wrong).list.iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [6, 7, 19, 22, 26, 39]);
}

#[test]
fn a_mistake_does_not_make_others_up() {
    let later = "\n[[realm.route]]\npath = \"/api/orders/{id}\"\nrequires = \"key\"\n";
    for (right, wrong) in [
        ("methods = [\"GET\"]", "methods = [\"get\"]"),
        ("methods = [\"GET\"]", "methods = []"),
        ("paths = [\"/api/*\"]", "paths = [\"api/*\"]"),
        ("paths = [\"/api/*\"]", "paths = []"),
        ("path = \"/api/orders*\"", "path = \"/v1/orders?\""),
        ("hosts = [\"api.example.com\"]", "hosts = [\"a b\"]"),
        ("id = \"shop\"", "id = shop"),
    ] {
        assert!(RIGHT.contains(right), "{right}");
        let found = mistakes(&format!("{}{later}", RIGHT.replace(right, wrong)));
        assert_eq!(found.list.len(), 1, "{found}");
    }
}

#[test]
fn the_line_is_that_of_the_value_in_a_list_over_several_lines() {
    let wrong = RIGHT.replace("[\"api.example.com\"]", "[\n  \"api.example.com\",\n  \"a b\",\n]");
    assert_eq!(mistakes(&wrong).list[0].line, 9);
}

#[test]
fn a_mistake_is_shown_with_its_line() {
    let wrong = RIGHT.replace("freshness = \"5s\"", "freshness = \"5 s\"  # soon");
    let expected = "error: keyward.toml:11: [[realm]] freshness is \"5 s\", which is not a length of time\n    \
                    11 | freshness = \"5 s\"  # soon\n  \
                    hint: write a whole number and a unit (ms, s, m or h) with nothing between them, like \"5s\"";
    assert_eq!(format!("{:#}", mistakes(&wrong)), expected);
    let long = RIGHT.replace("freshness = \"5s\"", &format!("freshness = \"{}\"", "5".repeat(500)));
    assert!(format!("{:#}", mistakes(&long)).lines().all(|line| line.chars().count() < 700));
    assert_eq!(mistakes(&long).list[0].excerpt.chars().count(), 121);
    // Also one that is no TOML.
    for wrong in ["freshness = 5s", "[realm.key", "origin = { binding = \"ORIGIN\", plain_http = yes }"] {
        let wrong = format!("{RIGHT}\n[[realm]]\n{wrong}\n");
        let line = wrong.lines().last().unwrap();
        let found = mistakes(&wrong);
        assert!(found.list.iter().any(|mistake| mistake.excerpt == line), "{found:#}");
    }
}
