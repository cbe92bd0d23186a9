//! The policy as one JSON document: what `keyward check` writes and the Worker reads, once in an isolate's life.
//!
//! ```json
//! {"format":2,"sha256":"…","policy":{"admin":{…},"realms":[…]}}
//! ```
//!
//! The same policy always gives the same bytes, and they are those that `JSON.stringify` writes: members in order, no
//! white space, no escape that is not needed, whole numbers below 2^53, no names that are numbers. So a document may go
//! through a bundler. `sha256` is the hash of the text of `policy`, so that a document that was cut short or edited by
//! hand is not taken for a policy: the rules that a checked policy keeps are not checked again.

use std::fmt::Write;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::model::{DocumentHash, Policy};

/// The format that this version writes, and the only one that it reads. Any change of what a policy can say, or of how
/// it is written, is a new one: what a Worker does not understand it must not guess. What is left out where a policy does not
/// say it, and refused by a Worker that does not know it, is none.
pub const FORMAT: u32 = 2;

/// Before the format, the hash and the policy; and what ends a document.
const PARTS: [&str; 4] = ["{\"format\":", ",\"sha256\":\"", "\",\"policy\":", "}"];

/// Why text is not a policy for this version.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// Not such a document.
    #[error("the policy is not a document that `keyward check` writes")]
    Form,
    /// Another format.
    #[error(
        "the policy has format {0}, but this Worker reads format {FORMAT}: check it again with the Worker's own version"
    )]
    Format(u32),
    /// The text of the policy is not what was hashed.
    #[error("the policy is not as `keyward check` wrote it: its hash does not match")]
    Hash,
    /// It says what this version does not know.
    #[error("the policy is not one that this Worker reads: {0}")]
    Policy(keyward_json::Error),
}

/// Writes a policy.
///
/// # Errors
/// None for a policy that was checked: every part of it has a form in JSON.
pub fn write(policy: &Policy) -> Result<String, serde_json::Error> {
    let policy = serde_json::to_string(policy)?;
    let [before_format, before_hash, before_policy, end] = PARTS;
    Ok(format!("{before_format}{FORMAT}{before_hash}{}{before_policy}{policy}{end}", hash(&policy)))
}

/// Reads a policy. What it is made of stays in memory for good.
///
/// # Errors
/// [`Unreadable`]
pub fn read(text: &str) -> Result<Policy, Unreadable> {
    let [before_format, before_hash, before_policy, end] = PARTS;
    let begun = text.strip_prefix(before_format).and_then(|rest| rest.split_once(','));
    let (format, _) = begun.ok_or(Unreadable::Form)?;
    let format: u32 = format.parse().map_err(|_| Unreadable::Form)?;
    if format != FORMAT {
        return Err(Unreadable::Format(format));
    }
    let head = format!("{before_format}{FORMAT}{before_hash}");
    let rest = text.strip_prefix(&head).and_then(|rest| rest.strip_suffix(end)).ok_or(Unreadable::Form)?;
    let (sha256, policy) = rest.split_once(before_policy).ok_or(Unreadable::Form)?;
    if sha256 != hash(policy) {
        return Err(Unreadable::Hash);
    }
    let value = keyward_json::parse(policy).map_err(Unreadable::Policy)?;
    // Parts that are text point into it.
    let policy: Policy = keyward_json::from_value(Box::leak(Box::new(value))).map_err(Unreadable::Policy)?;
    Ok(Policy { sha256: DocumentHash(sha256.to_owned().leak()), ..policy })
}

/// In lower-case hexadecimal.
fn hash(policy: &str) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(policy) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
