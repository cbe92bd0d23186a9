//! From `keyward.toml` to a policy, or to the list of everything that is wrong with it.
//!
//! [`compile`] reads each file without stopping at the first mistake: each part has a module that
//! knows its fields, defaults and rules, and `reach` compares the parts with each other. What it
//! returns lives as long as the program, since the policy is `'static`: for builds and tests.

mod address;
mod admin;
mod cors;
mod credential;
mod events;
mod field_names;
mod identity;
mod imported;
mod jwt;
mod key;
mod leaks;
mod limits;
mod link;
mod lists;
mod log;
mod mask;
mod mistake;
mod nearest;
mod origin;
mod plan;
mod quotas;
mod reach;
mod reader;
mod realm;
mod refusals;
mod report;
mod route;
mod schema;
mod scopes;
mod secret;
mod section;
mod sections;
mod sign_in;
mod static_key;
mod units;
mod webhook;

pub use mistake::{Mistake, Mistakes};
pub use refusals::{CAUSES, CODES};
pub use schema::schema;
pub use section::{Field, Kind, Section};
pub use sections::{SECTIONS, TOP};

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use thiserror::Error;
use toml::de::DeTable;

use crate::{
    leak::leak,
    model::{Admin, DocumentHash, Jurisdiction, Log, Policy},
};
use mistake::Place;
use plan::PlanDraft;
use reader::{Item, Table};
use realm::Draft;
use report::{Report, Source};
use secret::Forms;

/// Why the text of a file cannot be had.
#[derive(Debug, Error)]
pub enum ReadError {
    /// What the file system says.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There is something else than text.
    #[error("it is not text")]
    NotText,
    /// What somebody else says who was asked for it.
    #[error("{0}")]
    Other(String),
}

/// Reads and checks a policy and the files that it includes. `read` gives the text of a file.
///
/// # Errors
/// Everything that is wrong with it, each with its line and a hint. No secret that was found in
/// the text shows in them.
pub fn compile(
    file: &str,
    mut read: impl FnMut(&str) -> Result<String, ReadError>,
) -> Result<Policy, Mistakes> {
    let report = Report::default();
    let (mut drafts, mut plans) = (Vec::new(), Vec::new());
    let file = leak(file);
    report.begin(file);
    let Deployment { admin, log, jurisdiction } = match read(file) {
        Ok(text) => take(Source { file, text: &text, report: &report }, &mut read, &mut drafts, &mut plans),
        Err(error) => {
            let hint = "name a file that is there and is text in UTF-8, relative to the project's folder";
            report.add(&Place { file, line: 1 }, format!("the file cannot be read: {error}"), hint);
            Deployment { admin: admin::DEFAULT, log: Log::DEFAULT, jurisdiction: None }
        }
    };
    let texts = report.texts();
    let forms = Forms::new(drafts.iter().map(|draft| &draft.realm), texts.iter().map(String::as_str));
    report.refuse_keys(&forms);
    reach::check(&admin, &drafts, &report);
    plan::check(&plans, &drafts.iter().map(|draft| &draft.realm.limits).collect::<Vec<_>>(), &report);
    report.finish(&forms)?;
    let realms = Vec::leak(drafts.into_iter().map(|draft| draft.realm).collect());
    let plans = Vec::leak(plans.into_iter().map(|draft| draft.plan).collect());
    Ok(Policy { admin, realms, plans, log, jurisdiction, sha256: DocumentHash::default() })
}

/// What a deployment has once, whatever its policy includes.
struct Deployment {
    admin: Admin,
    log: Log,
    jurisdiction: Option<Jurisdiction>,
}

/// Reads the realms of one file, then those of the files that it includes. Returns what it says of the deployment.
fn take(
    source: Source<'_>,
    read: &mut impl FnMut(&str) -> Result<String, ReadError>,
    drafts: &mut Vec<Draft>,
    plans: &mut Vec<PlanDraft>,
) -> Deployment {
    // Some editors on Windows begin a file with a byte order mark, which says nothing in UTF-8.
    let source = Source { text: source.text.strip_prefix('\u{feff}').unwrap_or(source.text), ..source };
    source.report.has_read(source.file, source.text);
    let (document, syntax) = DeTable::parse_recoverable(source.text);
    for error in &syntax {
        source.refuse(
            &error.span().unwrap_or_default(),
            format!("this is not TOML: {}", error.message()),
            "https://toml.io describes the syntax; everything after such a mistake may be misread",
        );
    }
    // What cannot be parsed would only lead to mistakes that nobody made.
    let document = if syntax.is_empty() { document.into_inner() } else { DeTable::default() };
    if syntax.is_empty() {
        mask::document(&document, &source);
    } else {
        mask::lines(&source);
    }
    let top = Table::new(&sections::TOP, &document, source.place(&(0..0)), &source);
    let own = Deployment {
        admin: admin::read(top.get("admin")),
        log: log::read(top.get("log")),
        jurisdiction: top.get("jurisdiction").and_then(|item| item.choice(&Jurisdiction::NAMES)),
    };
    let include = top.get("include");
    let realms = match (&include, syntax.is_empty()) {
        (None, true) => top.need("realm", "[[realm]] with id, hosts, paths, origin and credentials"),
        _ => top.get("realm"),
    };
    let realms = realms.and_then(|realms| realms.items("[[realm]]")).unwrap_or_default();
    plans.extend(plan::read(&top));
    drafts.extend(realms.iter().filter_map(realm::read));
    const FILES: &str = "[\"other.toml\"]";
    // The same file may be named in more than one way: it is looked for when it is read.
    for item in include.and_then(|item| item.sequence(FILES)).unwrap_or_default() {
        let Some(path) = item.text(FILES) else { continue };
        self::include(&item, beside(source.file, path), source.report, read, drafts, plans);
    }
    own
}

/// Reads the realms of an included file. What it says of the deployment does not count.
fn include(
    item: &Item<'_>,
    file: &'static str,
    report: &Report,
    read: &mut impl FnMut(&str) -> Result<String, ReadError>,
    drafts: &mut Vec<Draft>,
    plans: &mut Vec<PlanDraft>,
) {
    if !report.begin(file) {
        item.refuse(format!("the file {file:?} is there twice"), "include each file once");
        return;
    }
    match read(file) {
        Ok(text) => {
            take(Source { file, text: &text, report }, read, drafts, plans);
        }
        Err(error) => item.refuse(
            format!("the file {file:?} cannot be read: {error}"),
            "name a file that is there and is text in UTF-8, relative to the one that names it",
        ),
    }
}

/// The path of a file that is named in another, without `.` and `..` where they can be resolved.
fn beside(file: &str, path: &str) -> &'static str {
    let mut whole = PathBuf::new();
    for part in Path::new(file).with_file_name(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if whole.file_name().is_some() => {
                whole.pop();
            }
            _ => whole.push(part),
        }
    }
    leak(&whole.to_string_lossy())
}
