//! The project's own policy, `keyward.toml`.

use std::{fs, path::Path, sync::LazyLock};

use keyward_policy::{
    Policy,
    compile::{ReadError, compile},
};

pub static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let read = |file: &str| fs::read_to_string(root.join(file)).map_err(ReadError::Io);
    compile("keyward.toml", read).unwrap_or_else(|mistakes| panic!("{mistakes:#}"))
});
