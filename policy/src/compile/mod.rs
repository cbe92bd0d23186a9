//! From `keyward.toml` to a policy, or to the list of everything that is wrong with it.
//!
//! [`compile`] reads the document without stopping at the first mistake: each part has a module that
//! knows its fields, defaults and rules, and `reach` compares the parts with each other. What it
//! returns lives as long as the program, since the policy is `'static`: for builds and tests.

mod address;
mod admin;
mod cors;
mod credential;
mod key;
mod limits;
mod mistake;
mod reach;
mod reader;
mod realm;
mod refusals;
mod route;
mod scopes;
mod secret;
mod sections;

pub use mistake::{Mistake, Mistakes};
pub use reader::Section;
pub use refusals::CODES;
pub use sections::SECTIONS;

use databake::Bake;
use toml::de::DeTable;

use crate::model::Policy;
use mistake::Report;
use reader::Table;

/// Reads and checks a policy. `file` is what mistakes call it.
///
/// # Errors
/// Everything that is wrong with it, each with its line and a hint. No secret that was found in
/// the text shows in them.
pub fn compile(file: &str, text: &str) -> Result<Policy, Mistakes> {
    let report = Report::new(text);
    let (document, syntax) = DeTable::parse_recoverable(text);
    for error in &syntax {
        report.add(
            &error.span().unwrap_or_default(),
            format!("this is not TOML: {}", error.message()),
            "https://toml.io describes the syntax; everything after such a mistake may be misread",
        );
    }
    // What cannot be parsed would only lead to mistakes that nobody made.
    let policy = if syntax.is_empty() {
        read(&document, &report)
    } else {
        Policy { admin: admin::DEFAULT, realms: &[] }
    };
    let secrets = secret::find(text, policy.realms);
    for place in &secrets {
        secret::refuse(place, &report);
    }
    let hidden: Vec<&str> = secrets.iter().filter_map(|place| text.get(place.clone())).collect();
    report.finish(file, &hidden)?;
    Ok(policy)
}

fn read<'a>(document: &'a toml::Spanned<DeTable<'a>>, report: &'a Report<'a>) -> Policy {
    let top = Table::new(&sections::TOP, document.get_ref(), 0..0, report);
    let admin = admin::read(top.get("admin"));
    let example = "[[realm]] with id, hosts, paths, origin and credentials";
    let realms = top.need("realm", example).and_then(|realms| realms.items("[[realm]]")).unwrap_or_default();
    let drafts: Vec<_> = realms.iter().filter_map(realm::read).collect();
    reach::check(&admin, &drafts, report);
    Policy { admin, realms: Vec::leak(drafts.into_iter().map(|draft| draft.realm).collect()) }
}

/// The policy as a Rust expression, for a crate that depends on `keyward_policy`.
pub fn to_rust(policy: &Policy) -> String {
    policy.bake(&databake::CrateEnv::default()).to_string()
}

/// Text that lives as long as the program.
fn leak(text: &str) -> &'static str {
    text.to_owned().leak()
}
