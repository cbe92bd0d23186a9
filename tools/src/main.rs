//! wasm-bindgen's command line, as far as worker-build uses it: the published one brings a web
//! server and a WebDriver client for its test runner, which take longer to compile than all of this.

use std::path::PathBuf;

use clap::Parser;
use wasm_bindgen_cli_support::Bindgen;

/// Writes the JavaScript side of a compiled crate.
#[derive(Parser)]
struct Options {
    /// The compiled crate.
    input: PathBuf,
    #[arg(long)]
    out_dir: PathBuf,
    #[arg(long)]
    out_name: String,
    /// Source phase imports; the only kind of output that is wanted here.
    #[arg(long, value_parser = ["module"])]
    target: String,
    #[arg(long)]
    no_typescript: bool,
    #[arg(long)]
    debug: bool,
    #[arg(long)]
    no_demangle: bool,
    #[arg(long)]
    keep_debug: bool,
    /// Lets the Worker start over with fresh memory after a panic.
    #[arg(long)]
    experimental_reset_state_function: bool,
    #[arg(long)]
    force_enable_abort_handler: bool,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    Bindgen::new()
        .module(true)?
        .input_path(&options.input)
        .out_name(&options.out_name)
        .typescript(!options.no_typescript)
        .debug(options.debug)
        .demangle(!options.no_demangle)
        .keep_debug(options.keep_debug)
        .reset_state_function(options.experimental_reset_state_function)
        .force_enable_abort_handler(options.force_enable_abort_handler)
        .generate(&options.out_dir)
}
