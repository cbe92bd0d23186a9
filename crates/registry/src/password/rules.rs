//! Which passwords may be chosen, and how long one that is typed may be.

use keyward_core::secret::Secret;
use keyward_unicode::nfkc;
use serde_json::Value as Json;

use crate::{
    error::ApiError,
    input::{self, FieldErrors, invalid},
    password::guessable::is_guessable,
};

/// Characters of the longest password.
const LONGEST_CHARS: usize = 200;

const GUESSABLE: &str = "is one that is tried first: apart from common words, names, years, rows of keys, repetitions and \
    what belongs to the account (e-mail address, tenant) there is almost nothing in it. Take several words that do not \
    belong together, or have a password manager make one";

/// A password that someone chooses: 12 to 200 characters of any kind (NIST SP 800-63B, 3.1.1.2), as normalised, and
/// none that is tried first. `account` is what belongs to the person: e-mail address, name of the tenant.
///
/// # Errors
/// What is wrong with it.
pub fn chosen(value: &Json, account: &[&str]) -> Result<Secret, FieldErrors> {
    let chosen = of_fit_length(value)?;
    if is_guessable(chosen.expose(), account) { invalid(GUESSABLE) } else { Ok(chosen) }
}

/// The same for whoever has not proved anything yet: without what takes long to look at, which
/// [`require_unguessable`] does after the proof.
///
/// # Errors
/// What is wrong with it.
pub fn of_fit_length(value: &Json) -> Result<Secret, FieldErrors> {
    let text = input::text(value)?;
    match nfkc(&text).chars().count() {
        12..=LONGEST_CHARS => Ok(Secret::new(text)),
        length => invalid(format!("must be 12 to {LONGEST_CHARS} characters long, not {length}")),
    }
}

/// Refuses a chosen password that is tried first.
///
/// # Errors
/// VALIDATION_FAILED
pub fn require_unguessable(chosen: &Secret, account: &[&str]) -> Result<(), ApiError> {
    if is_guessable(chosen.expose(), account) { Err(ApiError::field("password", GUESSABLE)) } else { Ok(()) }
}

/// A password that someone types to prove it. Bounded, so that deriving it costs what it costs.
///
/// # Errors
/// What is wrong with it.
pub fn typed(value: &Json) -> Result<Secret, FieldErrors> {
    let text = input::text(value)?;
    if text.chars().count().min(nfkc(&text).chars().count()) > LONGEST_CHARS {
        invalid(format!("can be at most {LONGEST_CHARS} characters long"))
    } else {
        Ok(Secret::new(text))
    }
}
