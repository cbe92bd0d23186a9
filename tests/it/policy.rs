//! The policy's codes are the gate's.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use keyward_policy::compile;

#[test]
fn a_realm_may_spell_every_documented_code_of_the_gate_that_is_answered_in_a_realm() {
    let (_, gate) = include_str!("../../docs/errors.md").split_once("\n## At the gate\n").unwrap();
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
