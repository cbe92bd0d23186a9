//! One target under libFuzzer: `npm run fuzz -- TARGET` builds this with coverage and runs it.
#![no_main]

use std::sync::LazyLock;

/// The target that the environment names.
static RUN: LazyLock<keyward_fuzz::Run> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let target = keyward_fuzz::TARGETS.iter().find(|(known, _)| *known == name);
    target.unwrap_or_else(|| panic!("FUZZ_TARGET names none of the targets: {name:?}")).1
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| RUN(data));
