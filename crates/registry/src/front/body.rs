//! The body of a call.

use keyward_core::{network, time::Span};

use crate::{
    call::ANSWERED_WITHIN,
    error::{ApiError, Code},
};

/// Most bytes of a body.
pub const MOST_BYTES: usize = 64 * 1024;

/// How long a body that was read stays in its room while the Registry is asked: twice as long as that may take.
pub const HELD_FOR: Span = ANSWERED_WITHIN.plus(ANSWERED_WITHIN);

/// The room that a body is read in, so that bodies of strangers keep out none of those who are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyRoom {
    /// Of somebody who has proved, under this name, to be known here.
    Known(String),
    /// Of strangers: this network's.
    Strangers(String),
}

impl BodyRoom {
    /// That of a call from this address. `proof`: as [`crate::front::proof`] says.
    pub fn of(proof: Option<String>, address: &str) -> Self {
        proof.map_or_else(|| Self::Strangers(network::of(address)), Self::Known)
    }
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It is larger than [`MOST_BYTES`].
    TooLarge,
    /// It did not come in time.
    Late,
    /// As many are being read as there is room for.
    Overloaded,
    /// It broke off before its end.
    Broken,
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => too_large(),
            BodyError::Late => Self::new(
                Code::RequestTimeout,
                "The body did not come in time. Send it again, without a pause.",
            ),
            BodyError::Overloaded => {
                let detail = "So many calls are being read that there is no room for another one. Try again.";
                Self::new(Code::Overloaded, detail)
            }
            BodyError::Broken => {
                Self::new(Code::MalformedJson, "The body broke off before its end. Send it again, whole.")
            }
        }
    }
}

/// The refusal of a body that turns out too large.
pub fn too_large() -> ApiError {
    ApiError::new(Code::BodyTooLarge, format!("The admin API takes bodies of at most {MOST_BYTES} bytes."))
}

/// The body as text, if it is declared as JSON. No body needs no declaration.
///
/// # Errors
/// UNSUPPORTED_MEDIA_TYPE; MALFORMED_JSON if it is not UTF-8.
pub fn body_text(content_type: Option<&str>, bytes: Vec<u8>) -> Result<String, ApiError> {
    if bytes.is_empty() {
        return Ok(String::new());
    }
    let declared = content_type.unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let detail = "Send the body with `Content-Type: application/json`.";
        return Err(ApiError::new(Code::UnsupportedMediaType, detail));
    }
    String::from_utf8(bytes).map_err(|_| ApiError::new(Code::MalformedJson, "The body is not UTF-8."))
}
