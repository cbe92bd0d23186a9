//! A report, as GitHub's contract has it, and the answer to it: for each match whether it is a key of this deployment
//! (<https://docs.github.com/code-security/secret-scanning/secret-scanning-partner-program>).

use keyward_core::{
    key::{self, Shape},
    secret::Secrets,
};
use keyward_policy::Policy;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::configured::Configured;
use crate::{
    error::{ApiError, Code},
    to_json::object,
};

/// Most matches of a report.
pub const MOST_MATCHES: usize = 1_000;
/// Most characters of what can be a key, and of what is kept of an address.
const LONGEST_KEY: usize = 512;
const LONGEST_URL: usize = 500;

/// A match. Not `Debug`: it holds what may be a key.
#[derive(Deserialize)]
pub struct Match {
    token: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    url: Option<String>,
}

/// What may be a key of this deployment, as the Registry is asked for it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Candidate {
    /// The names under which it may be stored.
    pub names: Vec<String>,
    /// The keys of the policy that it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub configured: Vec<Configured>,
    /// Where it was found; empty where that is not said.
    pub url: String,
}

/// Reads a report.
///
/// # Errors
/// MALFORMED_JSON, VALIDATION_FAILED
pub fn read(body: &str) -> Result<Vec<Match>, ApiError> {
    let matches = keyward_json::from_str::<Vec<Match>>(body).map_err(|_| {
        let detail = "The body is no JSON array of objects with `token`, `type` and `url`.";
        ApiError::new(Code::MalformedJson, detail)
    })?;
    if matches.len() > MOST_MATCHES {
        let detail = format!("A report can have at most {MOST_MATCHES} matches, not {}.", matches.len());
        return Err(ApiError::new(Code::ValidationFailed, detail));
    }
    Ok(matches)
}

impl Match {
    /// What the Registry is to be asked, and whether its checksum or the policy says already that it is a key of this deployment;
    /// `None` for what is no key. No store is asked for that.
    pub fn candidate(&self, policy: &Policy, secrets: &Secrets) -> Option<(Candidate, bool)> {
        let token = self.token.as_str();
        if token.len() > LONGEST_KEY {
            return None;
        }
        let (mut names, mut configured, mut is_keyed) = (Vec::new(), Vec::new(), false);
        for realm in policy.realms {
            if let Some(known) = key::configured(realm, token) {
                configured.push(Configured { realm: realm.id.to_owned(), id: known.id.to_owned() });
            }
            if key::shape_in(realm, secrets, token) == Shape::Possible {
                names.extend(key::names(realm, secrets, token));
                is_keyed |= realm.key.checksum > 0 && key::is_well_formed(&realm.key, secrets, token);
            }
        }
        let url = self.url.as_deref().unwrap_or_default();
        let url = url.chars().filter(char::is_ascii_graphic).take(LONGEST_URL).collect();
        let is_known = is_keyed || !configured.is_empty();
        let is_one = !names.is_empty() || !configured.is_empty();
        is_one.then_some((Candidate { names, configured, url }, is_known))
    }

    /// What is said of it. The scanner gets back what it has sent: in which form a hash would be written, its contract leaves
    /// open.
    pub fn label(&self, is_key: bool) -> Value {
        let label = if is_key { "true_positive" } else { "false_positive" };
        object!({ "token_raw": self.token, "token_type": self.kind, "label": label })
    }
}
