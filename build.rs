//! Reads `keyward.toml` (or the file that `KEYWARD_POLICY` names), refuses a wrong one, and embeds a
//! right one as a Rust constant: a Worker with a wrong policy cannot exist.

use std::{env, fs, path::PathBuf, process::exit};

fn main() {
    println!("cargo:rerun-if-env-changed=KEYWARD_POLICY");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let file = env::var("KEYWARD_POLICY").unwrap_or_else(|_| "keyward.toml".to_owned());

    let fail = |message: String| -> ! {
        eprintln!("{message}");
        exit(1)
    };
    let read = |file: &str| {
        println!("cargo:rerun-if-changed={file}");
        fs::read_to_string(root.join(file)).map_err(|error| error.to_string())
    };
    let policy =
        keyward_policy::compile::compile(&file, read).unwrap_or_else(|mistakes| fail(mistakes.to_string()));
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("policy.rs");
    if let Err(error) = fs::write(&out, keyward_policy::compile::to_rust(&policy)) {
        fail(format!("error: {} cannot be written: {error}", out.display()));
    }
}
