//! Everything that the admin API refuses, in one enum with one map, and the only place where a
//! refusal becomes an answer (RFC 9457). `docs/errors.md` has a section for each code.

use std::ops::{Deref, DerefMut};

use keyward_core::{
    challenge::Challenge,
    jurisdiction::Misplaced,
    problem,
    secret::NoSecret,
    time::{self, Span, Timestamp},
};
use serde_json::Value;

use crate::{
    admin_call::AdminReply,
    text,
    to_json::{ToJson, object},
};

/// Why a call of the admin API was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// At least one field is wrong; `errors` names each.
    ValidationFailed,
    /// The body is not JSON.
    MalformedJson,
    /// The request contradicts itself, or is not HTTP as this API speaks it.
    InvalidRequest,
    /// No credential, or one that does not hold (any more).
    Unauthenticated,
    /// A wrong e-mail address, password or set-up token.
    InvalidCredentials,
    /// Signed in, but not allowed to do this.
    Forbidden,
    /// A password, a passkey or a token to sign in with, shown in the last five minutes, is asked for.
    StepUpRequired,
    /// The policy has no passwords.
    PasswordOff,
    /// A browser sent it from another site.
    CrossSite,
    /// There is no such thing, or it belongs to another tenant.
    NotFound,
    /// The path exists, with other methods.
    MethodNotAllowed,
    /// Set-up was done before.
    AlreadySetUp,
    /// The body did not come in time.
    RequestTimeout,
    /// It cannot be done in the present state.
    Conflict,
    /// `If-Match` names another version.
    VersionMismatch,
    /// The body is larger than 64 KiB.
    BodyTooLarge,
    /// The body is not declared as JSON.
    UnsupportedMediaType,
    /// The `Idempotency-Key` was used for another request.
    IdempotencyMismatch,
    /// What a request has used was settled before, or can no longer be.
    BudgetClosed,
    /// The tenant has as much as it may have.
    QuotaExceeded,
    /// The database has as much as it may hold.
    StorageFull,
    /// Too many calls of the admin API.
    RateLimited,
    /// Too many failed attempts to sign in.
    TooManyAttempts,
    /// A store cannot answer.
    StoreUnavailable,
    /// The deployment lacks a secret, or its policy names another jurisdiction than its data.
    NotConfigured,
    /// As many bodies as the gate may hold are being read already.
    Overloaded,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 26] = [
        Self::ValidationFailed,
        Self::MalformedJson,
        Self::InvalidRequest,
        Self::Unauthenticated,
        Self::InvalidCredentials,
        Self::Forbidden,
        Self::StepUpRequired,
        Self::PasswordOff,
        Self::CrossSite,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::AlreadySetUp,
        Self::Conflict,
        Self::VersionMismatch,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::IdempotencyMismatch,
        Self::BudgetClosed,
        Self::QuotaExceeded,
        Self::StorageFull,
        Self::RateLimited,
        Self::TooManyAttempts,
        Self::StoreUnavailable,
        Self::NotConfigured,
        Self::Overloaded,
    ];

    /// HTTP status and `code`.
    pub const fn facts(self) -> (u16, &'static str) {
        match self {
            Self::ValidationFailed => (400, "VALIDATION_FAILED"),
            Self::MalformedJson => (400, "MALFORMED_JSON"),
            Self::InvalidRequest => (400, "INVALID_REQUEST"),
            Self::Unauthenticated => (401, "UNAUTHENTICATED"),
            Self::InvalidCredentials => (401, "INVALID_CREDENTIALS"),
            Self::Forbidden => (403, "FORBIDDEN"),
            Self::StepUpRequired => (403, "STEP_UP_REQUIRED"),
            Self::PasswordOff => (403, "PASSWORD_OFF"),
            Self::CrossSite => (403, "CROSS_SITE"),
            Self::NotFound => (404, "NOT_FOUND"),
            Self::MethodNotAllowed => (405, "METHOD_NOT_ALLOWED"),
            Self::RequestTimeout => (408, "REQUEST_TIMEOUT"),
            Self::AlreadySetUp => (409, "ALREADY_SET_UP"),
            Self::Conflict => (409, "CONFLICT"),
            Self::VersionMismatch => (412, "VERSION_MISMATCH"),
            Self::BodyTooLarge => (413, "BODY_TOO_LARGE"),
            Self::UnsupportedMediaType => (415, "UNSUPPORTED_MEDIA_TYPE"),
            Self::IdempotencyMismatch => (422, "IDEMPOTENCY_MISMATCH"),
            Self::BudgetClosed => (409, "BUDGET_CLOSED"),
            Self::QuotaExceeded => (409, "QUOTA_EXCEEDED"),
            Self::StorageFull => (507, "STORAGE_FULL"),
            Self::RateLimited => (429, "RATE_LIMITED"),
            Self::TooManyAttempts => (429, "TOO_MANY_ATTEMPTS"),
            Self::StoreUnavailable => (503, "STORE_UNAVAILABLE"),
            Self::NotConfigured => (503, "NOT_CONFIGURED"),
            Self::Overloaded => (503, "OVERLOADED"),
        }
    }
}

/// Most wrong fields that one answer names.
pub const MOST_FIELDS: usize = 20;
/// Longest name and message of one, in characters.
const LONGEST_FIELD_CHARS: usize = 200;
const LONGEST_MESSAGE_CHARS: usize = 500;

/// One wrong field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Its name, with a path into it: `rateLimit.perMinute`, `scopes[2]`.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl ToJson for FieldError {
    fn to_json(&self) -> Value {
        object!({ "field": self.field, "message": self.message })
    }
}

impl FieldError {
    /// One wrong field. Bounded, whatever name and message were made of.
    pub fn new(field: &str, message: &str) -> Self {
        Self {
            field: text::cut(field, LONGEST_FIELD_CHARS),
            message: text::cut(message, LONGEST_MESSAGE_CHARS),
        }
    }
}

/// A refusal: what was wrong and how to mend it. Never holds a secret. One pointer, since most of what is called here may
/// return one and `?` hands it on.
#[derive(Clone, Debug)]
pub struct ApiError(Box<Refusal>);

/// What an [`ApiError`] says.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Which one.
    pub code: Code,
    /// For a person.
    pub detail: String,
    /// The wrong fields.
    pub fields: Vec<FieldError>,
    /// Headers that belong to it.
    pub headers: Vec<(String, String)>,
}

impl Deref for ApiError {
    type Target = Refusal;

    fn deref(&self) -> &Refusal {
        &self.0
    }
}

impl DerefMut for ApiError {
    fn deref_mut(&mut self) -> &mut Refusal {
        &mut self.0
    }
}

impl ApiError {
    /// A refusal with the headers that its status asks for.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let headers = match code {
            // RFC 9110, 11.6.1: every 401 carries a challenge; RFC 6750, 3: the error only if something was shown.
            Code::Unauthenticated | Code::InvalidCredentials => vec![challenge(Challenge::BARE)],
            Code::StoreUnavailable | Code::Overloaded | Code::NotConfigured => {
                vec![retry_after(Span::from_secs(1))]
            }
            _ => Vec::new(),
        };
        Self(Box::new(Refusal { code, detail: detail.into(), fields: Vec::new(), headers }))
    }

    /// The same with this challenge.
    #[must_use]
    pub fn challenge(mut self, with: Challenge) -> Self {
        self.headers.retain(|(name, _)| name != CHALLENGE);
        self.headers.push(challenge(with));
        self
    }

    /// A refusal of wrong fields. Names the first [`MOST_FIELDS`], so that a small body of nonsense
    /// has no large answer.
    pub fn fields(mut fields: Vec<FieldError>) -> Self {
        let more = match fields.len().saturating_sub(1) {
            0 => String::new(),
            more if more >= MOST_FIELDS => ". More is wrong: see `errors`".to_owned(),
            more => format!(". {more} more {} wrong: see `errors`", if more == 1 { "is" } else { "are" }),
        };
        fields.truncate(MOST_FIELDS);
        let first = fields.first().map(|FieldError { field, message }| format!("{field}: {message}"));
        let detail = first.unwrap_or_default() + &more + ".";
        let mut refusal = Self::new(Code::ValidationFailed, detail);
        refusal.fields = fields;
        refusal
    }

    /// A refusal of one wrong field.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::fields(vec![FieldError::new(field, &message.into())])
    }

    /// A refusal until a moment.
    pub fn until(code: Code, detail: impl Into<String>, now: Timestamp, until: Timestamp) -> Self {
        let mut refusal = Self::new(code, detail);
        refusal.headers = vec![retry_after(until - now)];
        refusal
    }

    /// There is no such thing here.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("There is no such {what}."))
    }

    /// The deployment lacks the secret of this name; `fault` says so.
    pub fn not_configured(fault: &str, name: &str) -> Self {
        let detail =
            format!("The secret {fault}. Set it with `wrangler secret put {name}`, or in .dev.vars.");
        Self::new(Code::NotConfigured, detail)
    }

    /// The policy names objects of another jurisdiction than the data belong to.
    pub fn misplaced(why: Misplaced) -> Self {
        let why = why.to_string();
        let mut chars = why.chars();
        let first = chars.next().map(|first| first.to_ascii_uppercase());
        let detail: String = first.into_iter().chain(chars).chain(['.']).collect();
        Self::new(Code::NotConfigured, detail)
    }

    /// The Registry itself cannot be reached.
    pub fn registry_unavailable() -> Self {
        Self::new(Code::StoreUnavailable, "The registry did not answer. Try again.")
    }

    /// As the answer.
    pub fn reply(self, request_id: &str) -> AdminReply {
        let Refusal { code, detail, fields, headers: own } = *self.0;
        let (status, code) = code.facts();
        let mut body = problem::problem(status, code, code, &detail, request_id);
        if let (false, Some(body)) = (fields.is_empty(), body.as_object_mut()) {
            body.insert("errors".to_owned(), fields.to_json());
        }
        let mut headers = vec![("Content-Type".to_owned(), problem::CONTENT_TYPE.to_owned())];
        headers.extend(own);
        AdminReply { status, headers, body: body.to_string() }
    }
}

impl From<NoSecret> for ApiError {
    fn from(missing: NoSecret) -> Self {
        Self::not_configured(&missing.to_string(), NoSecret::NAME)
    }
}

/// The field that holds a challenge (RFC 9110, 11.6.1).
const CHALLENGE: &str = "WWW-Authenticate";

fn challenge(challenge: Challenge) -> (String, String) {
    (CHALLENGE.to_owned(), challenge.bearer("keyward-admin"))
}

fn retry_after(wait: Span) -> (String, String) {
    ("Retry-After".to_owned(), time::retry_after(wait).to_string())
}
