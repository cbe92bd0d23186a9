//! wasm-bindgen for the project's two crates of wasm: `bindgen worker|node INPUT OUT_DIR NAME` writes the JavaScript side
//! of a compiled crate. The published command line brings a web server and a WebDriver client for its test runner, which
//! take longer to compile than all of this.

use std::{env, path::Path};

use anyhow::{Context, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [target, input, out_dir, name] = arguments.as_slice() else {
        bail!("usage: bindgen worker|node INPUT OUT_DIR NAME");
    };
    let mut bindgen = Bindgen::new();
    match target.as_str() {
        // The wasm as an import; and the gate can start over with fresh memory after a panic.
        "worker" => bindgen.module(true)?.reset_state_function(true).force_enable_abort_handler(true),
        "node" => bindgen.nodejs_module(true)?,
        other => bail!("{other} is neither worker nor node"),
    };
    bindgen
        .input_path(Path::new(input))
        .out_name(name)
        .typescript(false)
        .generate(out_dir)
        .with_context(|| format!("the JavaScript side of {input}"))
}
