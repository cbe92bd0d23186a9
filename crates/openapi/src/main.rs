//! Prints the description of the admin API.
#![allow(clippy::print_stdout, reason = "what it is for")]

fn main() {
    print!("{}", keyward_openapi::text());
}
