//! `keyward check`: reads a policy as people write it, and prints the document that the Worker reads; or everything that
//! is wrong with it, each mistake with its line and a hint.
//!
//! Compiled to wasm it runs under Node, so that nobody who changes a policy needs Rust: `npm run check`, `npm start` and
//! `wrangler deploy` call it that way. The binary of this crate does the same where there is Rust. Both also print the JSON
//! Schema of a policy, by which editors complete and check a `keyward.toml`: it is made of the table of fields that the
//! reader goes by, and of what `docs/policy.md` says of each.
//!
//! ```
//! use keyward_check::check;
//!
//! const POLICY: &str = r#"
//! [[realm]]
//! id = "shop"
//! hosts = ["*"]
//! paths = ["/*"]
//! origin = { binding = "ORIGIN" }
//! credentials = [{ header = "X-Api-Key" }]
//! route = [{ path = "/*", requires = "key" }]
//! "#;
//!
//! let document = check("keyward.toml", |_| Ok(POLICY.to_owned())).expect("it is right");
//! assert!(document.starts_with(r#"{"format":2,"sha256":""#));
//!
//! let wrong = POLICY.replace("origin =", "orign =");
//! let error = check("keyward.toml", |_| Ok(wrong.clone())).unwrap_err();
//! assert!(error.to_string().starts_with("error: keyward.toml:6: [[realm]] has no field \"orign\""), "{error}");
//! ```

use std::cell::RefCell;

use keyward_core::{
    question::{Question, SupposedRequest},
    record::{Record, Tenant, TenantStatus},
    time::Timestamp,
};
use keyward_gate::explain;
use keyward_policy::{
    Policy, Realm,
    compile::{Field, Mistakes, ReadError, Section, compile, schema},
    document,
};
use serde::Deserialize;
use thiserror::Error;

/// Why there is no document.
#[derive(Debug, Error)]
pub enum Error {
    /// The policy is wrong.
    #[error("{0:#}")]
    Mistakes(#[from] Mistakes),
    /// It cannot be written, a fault of Keyward's own.
    #[error("the policy cannot be written as JSON: {0}")]
    Write(#[from] serde_json::Error),
    /// The document of a policy cannot be read.
    #[error("{0}")]
    Unreadable(#[from] document::Unreadable),
    /// It is asked of a realm that the policy does not have.
    #[error("the policy has no realm {id:?}; it has {known}")]
    NoRealm {
        /// The one that was named.
        id: String,
        /// Those that there are.
        known: String,
    },
    /// It is asked nothing that can be answered.
    #[error("this is not a question: {0}")]
    Question(serde_json::Error),
}

/// Checks a policy and the files that it includes, and writes it as a document. `read` gives the text of a file, or
/// says why it cannot.
///
/// # Errors
/// [`enum@Error`], which is what to print.
pub fn check(file: &str, read: impl FnMut(&str) -> Result<String, ReadError>) -> Result<String, Error> {
    Ok(document::write(&compile(file, read)?)?)
}

/// What one asks of a policy: about a request, or without one about its routes.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Asked {
    /// On one of whose hosts, or whose routes; all of them without it.
    realm: Option<String>,
    method: String,
    /// Path and query; without one it is about routes.
    path: Option<String>,
    host: Option<String>,
    address: Option<String>,
    origin: Option<String>,
    session_id: Option<String>,
    /// Scopes of the live secret key that the request shows; without them it shows none.
    scopes: Option<Vec<String>>,
    /// The plan of that key's tenant.
    plan: Option<String>,
}

thread_local! {
    /// The policy that was asked last, by its document: a comparison asks about each operation of an API.
    static LAST: RefCell<Option<(String, &'static Policy)>> = const { RefCell::new(None) };
}

fn policy_of(document: &str) -> Result<&'static Policy, Error> {
    let known = LAST
        .with_borrow(|last| last.as_ref().filter(|(text, _)| text == document).map(|(_, policy)| *policy));
    if let Some(policy) = known {
        return Ok(policy);
    }
    let policy: &'static Policy = Box::leak(Box::new(document::read(document)?));
    LAST.set(Some((document.to_owned(), policy)));
    Ok(policy)
}

/// What the gate would decide by this policy, as the admin API's `POST /explain` and `GET /routes` say it: in JSON. `asked` is [`Asked`] in
/// JSON, `now` milliseconds since 1970. The policy stays in memory for good, once for all questions about it in a row.
///
/// # Errors
/// The document or the question cannot be read.
pub fn answer(document: &str, asked: &str, now: i64) -> Result<String, Error> {
    let policy = policy_of(document)?;
    let Asked { realm, method, path, host, address, origin, session_id, scopes, plan } =
        serde_json::from_str(asked).map_err(Error::Question)?;
    if let Some(unknown) = realm.iter().find(|id| policy.realm(id).is_none()) {
        let known: Vec<_> = policy.realms.iter().map(|realm| realm.id).collect();
        return Err(Error::NoRealm { id: unknown.clone(), known: known.join(", ") });
    }
    // Where nothing else is said, a host of the first realm that has the path.
    let takes = |realm: &&Realm| {
        let path = path.as_deref().map(|path| path.split('?').next().unwrap_or(path));
        path.is_some_and(|path| realm.paths.iter().any(|pattern| pattern.matches(path)))
    };
    let of_path = || policy.realms.iter().find(takes).map(|realm| realm.id.to_owned());
    let realm = if host.is_some() { realm } else { realm.or_else(of_path) };
    // One that a tenant's host can have in its name.
    let code = Some("any".to_owned());
    let tenant = Tenant { id: "nobody".to_owned(), code, status: TenantStatus::Active, plan, pool: None };
    let record = scopes.map(|scopes| Record::live(String::new(), String::new(), tenant.clone(), scopes));
    let request = path.map(|path| SupposedRequest { method, path, host, address, origin, session_id });
    let question = Question { tenant, realm, request, key: None, record };
    Ok(explain::answer_without_deployment(policy, &question, Timestamp(now)).to_string())
}

/// The policy's JSON Schema, with what `docs/policy.md` says of each field.
pub fn schema_with_docs() -> String {
    let schema = schema(describe);
    format!("{schema:#}\n")
}

const DOCS: &str = include_str!("../../../docs/policy.md");

/// The row of a field in the table of its section: its default, and what it means.
fn describe(section: &Section, field: &Field) -> Option<String> {
    let chapters = DOCS.split("\n#").filter_map(|chapter| chapter.split_once('\n'));
    let of_section = |heading: &str| {
        let heading = heading.trim_start_matches(['#', ' ']);
        heading.split(" and ").any(|name| name == section.name)
            || heading.ends_with(&format!("of {}", section.name))
    };
    let beginning = format!("| `{}` |", field.name);
    let row = chapters
        .filter(|(heading, _)| of_section(heading))
        .flat_map(|(_, text)| text.lines())
        .find_map(|line| line.strip_prefix(&beginning))?;
    let cells: Vec<&str> = row.trim_end_matches('|').split(" | ").map(str::trim).collect();
    let [kind, default, meaning] = cells.as_slice() else { return None };
    Some(without_links(&format!("{meaning}. {kind}; default: {default}")))
}

/// Markdown without links and emphasis.
fn without_links(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('[') {
        plain.push_str(before);
        let Some((name, (_, behind))) =
            after.split_once("](").and_then(|(name, url)| Some((name, url.split_once(')')?)))
        else {
            plain.push('[');
            rest = after;
            continue;
        };
        plain.push_str(name);
        rest = behind;
    }
    plain.push_str(rest);
    plain.replace("**", "")
}

#[cfg(target_arch = "wasm32")]
mod node {
    //! What Node calls.

    use js_sys::Function;
    use keyward_policy::compile::ReadError;
    use wasm_bindgen::{JsCast, JsError, JsValue, prelude::wasm_bindgen};

    /// As [`super::check`]. `read` returns the text of a file, or throws.
    ///
    /// # Errors
    /// What to print.
    #[wasm_bindgen]
    pub fn check(file: &str, read: &Function) -> Result<String, JsError> {
        let read = |file: &str| match read.call1(&JsValue::NULL, &file.into()) {
            Ok(text) => text.as_string().ok_or(ReadError::NotText),
            Err(error) => Err(ReadError::Other(
                error
                    .dyn_ref::<js_sys::Error>()
                    .map_or_else(|| "it cannot be read".to_owned(), |error| String::from(error.message())),
            )),
        };
        super::check(file, read).map_err(|error| JsError::new(&error.to_string()))
    }

    /// As [`super::answer`].
    ///
    /// # Errors
    /// What to print.
    #[wasm_bindgen]
    pub fn answer(document: &str, asked: &str, now: f64) -> Result<String, JsError> {
        super::answer(document, asked, now as i64).map_err(|error| JsError::new(&error.to_string()))
    }

    /// The policy's JSON Schema.
    #[wasm_bindgen]
    pub fn schema() -> String {
        super::schema_with_docs()
    }
}
