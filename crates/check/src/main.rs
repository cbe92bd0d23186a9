//! `keyward check` where there is Rust.

use std::{env, fs, process::ExitCode};

use keyward_policy::compile::ReadError;

const USAGE: &str = "\
usage: keyward check [FILE]    checks a policy (keyward.toml) and prints it as the document that the Worker reads
       keyward check --schema  prints the JSON Schema of a policy, for editors";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["--schema"] => {
            print!("{}", keyward_check::schema_with_docs());
            ExitCode::SUCCESS
        }
        ["--help" | "-h"] => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        [] => check("keyward.toml"),
        [file] if !file.starts_with('-') => check(file),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn check(file: &str) -> ExitCode {
    match keyward_check::check(file, |file| fs::read_to_string(file).map_err(ReadError::Io)) {
        Ok(document) => {
            println!("{document}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
