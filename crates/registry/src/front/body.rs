//! The body of a call.

use crate::error::{ApiError, Code};

/// Most bytes of a body.
pub const MOST_BYTES: usize = 64 * 1024;

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
