//! The body of a call.

use keyward_core::{network, time::Span};

use crate::{
    call::ANSWERED_WITHIN,
    error::{ApiError, Code},
    input::{self, Input},
    router::{self, Open},
};

/// Most bytes of a body.
pub const MOST_BYTES: usize = 64 * 1024;
/// Most bytes of lines of JSON.
pub const MOST_BYTES_OF_LINES: usize = 1_000_000;

/// What a call takes as its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyForm {
    /// Its media type.
    pub essence: &'static str,
    /// Most bytes.
    pub most: usize,
}

impl BodyForm {
    /// JSON.
    pub const JSON: Self = Self { essence: "application/json", most: MOST_BYTES };
    /// The token of a request, and a number.
    pub const SETTLEMENT: Self = Self { most: 4 * 1024, ..Self::JSON };
    /// What a scanner has found, in as many bytes as a thousand matches may have.
    pub const REPORT: Self = Self { most: 512 * 1024, ..Self::JSON };
    /// JSON in lines.
    pub const LINES: Self = Self { essence: "application/x-ndjson", most: MOST_BYTES_OF_LINES };

    /// That of a call.
    pub fn of(method: &str, path: &str) -> Self {
        match router::open(method, path) {
            Some(Open::Settle) => Self::SETTLEMENT,
            Some(Open::Report) => Self::REPORT,
            Some(Open::Restore) => Self::LINES,
            None if router::takes_lines(method, path) => Self::LINES,
            _ => Self::JSON,
        }
    }
}

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
    /// It is larger than this.
    TooLarge(usize),
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
            BodyError::TooLarge(most) => too_large(most),
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
pub fn too_large(most: usize) -> ApiError {
    ApiError::new(Code::BodyTooLarge, format!("The admin API takes bodies of at most {most} bytes here."))
}

/// What the body of `POST /settlements` says: the token, and how much was used.
///
/// # Errors
/// MALFORMED_JSON, VALIDATION_FAILED
pub fn settlement(body: &str) -> Result<(String, u32), ApiError> {
    let mut body = Input::body(body, &["token", "used"])?;
    let token = body.required("token", input::text);
    let used = body.required("used", |value| input::whole(value, 0, u32::MAX));
    let (Some(token), Some(used)) = (token, used) else { return Err(body.refusal()) };
    body.finish().map(|()| (token, used))
}

/// The body as text, if it is declared as what the call takes. No body needs no declaration.
///
/// # Errors
/// UNSUPPORTED_MEDIA_TYPE; MALFORMED_JSON if it is not UTF-8.
pub fn body_text(form: BodyForm, content_type: Option<&str>, bytes: Vec<u8>) -> Result<String, ApiError> {
    if bytes.is_empty() {
        return Ok(String::new());
    }
    let declared = content_type.unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(form.essence) {
        let detail = format!("Send the body with `Content-Type: {}`.", form.essence);
        return Err(ApiError::new(Code::UnsupportedMediaType, detail));
    }
    String::from_utf8(bytes).map_err(|_| ApiError::new(Code::MalformedJson, "The body is not UTF-8."))
}
