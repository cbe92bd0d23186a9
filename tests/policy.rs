//! The embedded policy is the file's, and the policy's codes are the gate's.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward::policy::{POLICY, compile};

#[test]
fn the_embedded_policy_says_what_the_file_says() {
    let file = option_env!("KEYWARD_POLICY").unwrap_or("keyward.toml");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| std::fs::read_to_string(root.join(file)).map_err(|error| error.to_string());
    let policy = compile::compile(file, read).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(POLICY, policy);
}

#[test]
fn a_realm_may_spell_every_documented_code_of_the_gate_but_no_realm() {
    let (_, gate) = include_str!("../docs/errors.md").split_once("\n## At the gate\n").unwrap();
    let gate = gate.split("\n## ").next().unwrap();
    let mut documented: Vec<&str> = gate
        .lines()
        .filter_map(|line| line.strip_prefix("### ")?.split_once(' '))
        .map(|(code, _)| code)
        .filter(|code| *code != "NO_REALM")
        .collect();
    let mut spelt = compile::CODES.to_vec();
    documented.sort_unstable();
    spelt.sort_unstable();
    assert_eq!(documented, spelt);
}
