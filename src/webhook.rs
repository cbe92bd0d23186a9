//! Webhooks: whether a request was signed by who shares a secret with us. The policy describes how
//! the sender signs; Stripe, Square and Standard Webhooks are such descriptions
//! ([`Webhook::stripe`] …), GitHub and Slack could be.
//!
//! Within the tolerance a request can be sent again: that an event is handled once is for the origin
//! to see to, by the event's id.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use keyward_policy::{SignatureEncoding, SignedPart, Webhook, WebhookTime};
use sha2::Sha256;

use crate::{
    key,
    secret::Secret,
    time::{SECOND, Timestamp},
};

/// Most bytes of a body: it has to be in memory whole before it is known who sent it.
pub const MOST_BYTES: usize = 1024 * 1024;

/// What the platform puts between the values of a header that was sent more than once (Fetch
/// standard). No scheme has it inside of a value.
const JOINED: &str = ", ";

/// Most digits of a time: enough for some 30,000 years.
const MOST_DIGITS: usize = 12;

/// Why a request is not taken for the sender's. Nothing of the request is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A body of more than [`MOST_BYTES`].
    BodyTooLarge,
    /// The secret is not written as the policy says, or empty. A fault of the deployment.
    UnfitSecret,
    /// This header is not there, or empty.
    MissingHeader(&'static str),
    /// This header was sent more than once.
    RepeatedHeader(&'static str),
    /// There is no one time of sending in this header.
    MalformedTime(&'static str),
    /// Sent too long ago.
    TooOld,
    /// Sent later than now.
    FromTheFuture,
    /// The signature header has no signature of the version that the policy names.
    NoSignature,
    /// No signature is of this request with this secret.
    BadSignature,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BodyTooLarge => write!(f, "the webhook's body has more than {MOST_BYTES} bytes"),
            Self::UnfitSecret => f.write_str("the webhook's secret is not in the form that the policy says"),
            Self::MissingHeader(name) => write!(f, "the webhook lacks the header {name}"),
            Self::RepeatedHeader(name) => write!(f, "the webhook's header {name} was sent more than once"),
            Self::MalformedTime(name) => write!(f, "the webhook's time in {name} is malformed"),
            Self::TooOld => f.write_str("the webhook was sent too long ago"),
            Self::FromTheFuture => f.write_str("the webhook was sent in the future"),
            Self::NoSignature => f.write_str("the webhook has no signature of the right version"),
            Self::BadSignature => f.write_str("the webhook's signature is wrong"),
        }
    }
}

impl std::error::Error for Error {}

/// Checks a request. `header` reads a header by its lower-case name; as the platform does, it joins
/// what was sent more than once.
///
/// # Errors
/// The first thing that is wrong. The signature comes last, so that only what might be right costs
/// the time to compute one.
pub fn verify(
    webhook: &Webhook,
    secret: &Secret,
    header: impl Fn(&str) -> Option<String>,
    body: &[u8],
    now: Timestamp,
) -> Result<(), Error> {
    if body.len() > MOST_BYTES {
        return Err(Error::BodyTooLarge);
    }
    let read = |name| match header(name).filter(|value| !value.is_empty()) {
        None => Err(Error::MissingHeader(name)),
        Some(value) if value.contains(JOINED) => Err(Error::RepeatedHeader(name)),
        Some(value) => Ok(value),
    };
    let signatures = read(webhook.header)?;
    let entries = || signatures.split(|character| Some(character) == webhook.separator);

    let time = match webhook.timestamp {
        None => String::new(),
        Some(WebhookTime::Header(name)) => in_time(webhook, name, read(name)?, now)?,
        Some(WebhookTime::Entry(tag)) => {
            let mut times = entries().filter_map(|entry| entry.strip_prefix(tag));
            match (times.next(), times.next()) {
                (Some(time), None) => in_time(webhook, webhook.header, time.to_owned(), now)?,
                _ => return Err(Error::MalformedTime(webhook.header)),
            }
        }
    };
    let mut signatures = entries().filter_map(|entry| entry.strip_prefix(webhook.tag)).peekable();
    signatures.peek().ok_or(Error::NoSignature)?;

    let key = secret.key(webhook.secret_form).filter(|key| !key.is_empty()).ok_or(Error::UnfitSecret)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| Error::UnfitSecret)?;
    for part in webhook.content {
        match part {
            SignedPart::Text(text) => mac.update(text.as_bytes()),
            SignedPart::Header(name) => mac.update(read(name)?.as_bytes()),
            SignedPart::Timestamp => mac.update(time.as_bytes()),
            SignedPart::Body => mac.update(body),
        }
    }
    let mac = mac.finalize().into_bytes();
    let right = match webhook.encoding {
        SignatureEncoding::Hex => {
            let expected = Secret::new(key::hex(&mac));
            signatures.any(|signature| expected.equals(&signature.to_ascii_lowercase()))
        }
        SignatureEncoding::Base64 => {
            let expected = Secret::new(STANDARD.encode(mac));
            signatures.any(|signature| expected.equals(signature))
        }
    };
    if right { Ok(()) } else { Err(Error::BadSignature) }
}

/// The time of sending as it was written, if it is near enough to now.
fn in_time(webhook: &Webhook, header: &'static str, time: String, now: Timestamp) -> Result<String, Error> {
    let digits = (1..=MOST_DIGITS).contains(&time.len()) && time.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = time.parse::<i64>().ok().filter(|_| digits).ok_or(Error::MalformedTime(header))?;
    let age = now.0 - seconds * SECOND;
    let tolerance = i64::from(webhook.tolerance_s) * SECOND;
    if age > tolerance {
        Err(Error::TooOld)
    } else if age < -tolerance {
        Err(Error::FromTheFuture)
    } else {
        Ok(time)
    }
}
