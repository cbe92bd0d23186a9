//! The policies under `examples/` are right, alone and together.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use keyward_policy::{
    Policy,
    compile::{ReadError, compile},
};

fn example(name: &str) -> Policy {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let read = |file: &str| fs::read_to_string(root.join(file)).map_err(ReadError::Io);
    compile(&format!("examples/{name}/keyward.toml"), read).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

const SYSTEMS: [&str; 5] = ["bd", "gw", "bs", "bp", "kb"];

#[test]
fn each_system_is_one_realm() {
    for name in SYSTEMS {
        let ids: Vec<&str> = example(name).realms.iter().map(|realm| realm.id).collect();
        assert_eq!(ids, [name]);
    }
}

#[test]
fn together_they_are_what_they_are_alone() {
    let all = example("all");
    assert_eq!(all.realms.len(), SYSTEMS.len());
    for (realm, name) in all.realms.iter().zip(SYSTEMS) {
        assert_eq!(*realm, example(name).realms[0]);
    }
    assert_eq!(all.admin, example("bd").admin);
}

#[test]
fn the_policies_of_the_end_to_end_tests_are_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let read = |file: &str| fs::read_to_string(root.join(file)).map_err(ReadError::Io);
    let files = fs::read_dir(root.join("tests/e2e")).unwrap().map(|file| file.unwrap().file_name());
    let files = files.filter_map(|name| name.to_str().map(str::to_owned));
    let policies: Vec<String> = files.filter(|name| name.ends_with(".toml")).collect();
    assert!(policies.len() >= 3, "{policies:?}");
    for name in policies {
        compile(&format!("tests/e2e/{name}"), read).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    }
}
