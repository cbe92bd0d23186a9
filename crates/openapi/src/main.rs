//! Prints the description of the admin API; with `types`, the same as types of TypeScript.
#![allow(clippy::print_stdout, reason = "what it is for")]

use std::env;

fn main() {
    let wants_types = env::args().nth(1).is_some_and(|what| what == "types");
    print!("{}", if wants_types { keyward_openapi::types() } else { keyward_openapi::text() });
}
