//! `docs/policy.md` describes every field that the compiler knows, `docs/policy-mistakes.md` every kind of mistake. Examples in the
//! documentation are policies, and the mistake that the README shows is what a build prints.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_policy::compile::{SECTIONS, compile};

const DOCS: &str = include_str!("../../../../docs/policy.md");

const KINDS: &str = include_str!("../../../../docs/policy-mistakes.md");

const README: &str = include_str!("../../../../README.md");

const MISTAKES: [&str; 17] = [
    include_str!("mistakes/admin.txt"),
    include_str!("mistakes/identity.txt"),
    include_str!("mistakes/imported.txt"),
    include_str!("mistakes/static_key.txt"),
    include_str!("mistakes/cors.txt"),
    include_str!("mistakes/document.txt"),
    include_str!("mistakes/jwt.txt"),
    include_str!("mistakes/key.txt"),
    include_str!("mistakes/limits.txt"),
    include_str!("mistakes/link.txt"),
    include_str!("mistakes/log.txt"),
    include_str!("mistakes/reach.txt"),
    include_str!("mistakes/realm.txt"),
    include_str!("mistakes/refusals.txt"),
    include_str!("mistakes/route.txt"),
    include_str!("mistakes/scopes.txt"),
    include_str!("mistakes/webhook.txt"),
];

/// Headings and what stands below each, up to the next.
fn chapters() -> Vec<(&'static str, &'static str)> {
    DOCS.split("\n#").filter_map(|chapter| chapter.split_once('\n')).collect()
}

/// The first cells of a table, which are in backticks.
fn first_cells(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once("` |"))
        .map(|(cell, _)| cell)
        .collect()
}

#[test]
fn every_table_and_field_of_a_policy_is_described_and_no_other() {
    for section in SECTIONS {
        let described: Vec<&str> = chapters()
            .iter()
            .filter(|(heading, _)| {
                let heading = heading.trim_start_matches(['#', ' ']);
                heading.split(" and ").any(|name| name == section.name)
                    || heading.ends_with(&format!("of {}", section.name))
            })
            .flat_map(|(_, text)| first_cells(text))
            .collect();
        assert_eq!(
            described,
            section.names().collect::<Vec<_>>(),
            "docs/policy.md, the fields of {}",
            section.name
        );
    }
}

#[test]
fn every_kind_of_mistake_is_described_and_no_other() {
    let kinds = first_cells(KINDS);
    let messages: Vec<&str> =
        MISTAKES.iter().flat_map(|table| table.lines()).filter(|line| line.starts_with("error: ")).collect();
    for message in &messages {
        assert!(kinds.iter().any(|kind| message.contains(kind)), "docs/policy-mistakes.md lacks: {message}");
    }
    for kind in &kinds {
        assert!(messages.iter().any(|message| message.contains(kind)), "nothing says: {kind}");
    }
    assert!(kinds.len() >= 30);
}

/// The first code block that begins so, without what it begins with.
fn block(text: &'static str, beginning: &str) -> &'static str {
    text.split(beginning).nth(1).unwrap().split("\n```").next().unwrap()
}

#[test]
fn the_examples_are_right_and_the_mistake_is_what_a_build_prints() {
    for text in [README, DOCS] {
        let example = block(text, "```toml\n");
        assert!(compile("keyward.toml", |_| Ok(example.to_owned())).is_ok(), "{example}");
    }
    let right = r#"requires = { scopes = ["orders:read"]"#;
    let example = block(README, "```toml\n");
    assert_eq!(example.matches(right).count(), 1);
    let wrong = example.replace(right, r#"requires = { scopes = ["order:read"]"#);
    let mistakes = compile("keyward.toml", |_| Ok(wrong.clone())).unwrap_err();
    assert_eq!(format!("{mistakes:#}"), format!("error: {}", block(README, "```\nerror: ")));
}
