//! Webhooks: whether a request was signed by who shares a secret with us. The policy describes how
//! the sender signs; Stripe, Square, GitHub, Standard Webhooks and Svix are such descriptions
//! ([`Webhook::stripe`] …), Slack could be. While a sender changes its secret, either of two is right.
//!
//! Within the tolerance a request can be sent again: that an event is handled once is for the origin
//! to see to, by the event's id.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use keyward_policy::{SignatureEncoding, SignedPart, Webhook, WebhookTime};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use thiserror::Error as ThisError;

use keyward_core::{
    key,
    secret::Secret,
    time::{Span, Timestamp},
};

/// Most bytes of a body, if the policy does not say another number: it has to be in memory whole before it is known who
/// sent it.
pub const MOST_BYTES: usize = 1024 * 1024;

/// Bytes of an HMAC-SHA-256.
const SIGNATURE_BYTES: usize = 32;

/// What the platform puts between the values of a header that was sent more than once (Fetch
/// standard). No scheme has it inside of a value.
const JOINED: &str = ", ";

/// Most digits of a time: enough for some 30,000 years.
const MOST_DIGITS: usize = 12;

/// Why a request is not taken for the sender's. Nothing of the request is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
pub enum Error {
    /// The secret is not written as the policy says, or empty. A fault of the deployment.
    #[error("the webhook's secret is not in the form that the policy says")]
    UnfitSecret,
    /// This header is not there, or empty.
    #[error("the webhook lacks the header {0}")]
    MissingHeader(&'static str),
    /// This header was sent more than once.
    #[error("the webhook's header {0} was sent more than once")]
    RepeatedHeader(&'static str),
    /// There is no one time of sending in this header.
    #[error("the webhook's time in {0} is malformed")]
    MalformedTime(&'static str),
    /// Sent too long ago.
    #[error("the webhook was sent too long ago")]
    TooOld,
    /// Sent later than now.
    #[error("the webhook was sent in the future")]
    FromTheFuture,
    /// The signature header has no signature of the version that the policy names.
    #[error("the webhook has no signature of the right version")]
    NoSignature,
    /// None of them is written as the policy says: it cannot be one, whatever the body.
    #[error("the webhook's signature is malformed")]
    MalformedSignature,
    /// No signature is of this request with this secret.
    #[error("the webhook's signature is wrong")]
    BadSignature,
}

/// A request whose headers are in order. Only its body can still show that it is not its sender's.
pub struct Check {
    /// One for each secret.
    macs: Vec<Hmac<Sha256>>,
    /// What is signed after the body.
    rest: String,
    signatures: Vec<[u8; SIGNATURE_BYTES]>,
}

impl Check {
    /// Begins with all but the body. `header` reads a header by its lower-case name; as the platform does, it
    /// joins what was sent more than once.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn begin(
        webhook: &Webhook,
        secrets: &[Secret],
        header: impl Fn(&str) -> Option<String>,
        now: Timestamp,
    ) -> Result<Self, Error> {
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
        let mut tagged = entries().filter_map(|entry| entry.strip_prefix(webhook.tag)).peekable();
        tagged.peek().ok_or(Error::NoSignature)?;
        let signatures: Vec<_> = tagged.filter_map(|text| signature(webhook.encoding, text)).collect();
        if signatures.is_empty() {
            return Err(Error::MalformedSignature);
        }

        let macs = secrets.iter().map(|secret| {
            let key = secret.key(webhook.secret_form).filter(|key| !key.is_empty())?;
            Hmac::<Sha256>::new_from_slice(&key).ok()
        });
        let macs: Option<Vec<_>> = macs.collect();
        let mut check = Self { macs: macs.ok_or(Error::UnfitSecret)?, rest: String::new(), signatures };
        let (mut rest, mut after) = (String::new(), false);
        for part in webhook.content {
            let text = match part {
                SignedPart::Text(text) => (*text).to_owned(),
                SignedPart::Header(name) => read(name)?,
                SignedPart::Timestamp => time.clone(),
                SignedPart::Body => {
                    after = true;
                    continue;
                }
            };
            if after { rest.push_str(&text) } else { check.see(text.as_bytes()) }
        }
        Ok(Self { rest, ..check })
    }

    /// Sees the next piece of the body.
    pub fn see(&mut self, piece: &[u8]) {
        self.macs.iter_mut().for_each(|mac| mac.update(piece));
    }

    /// Ends with the body's end.
    ///
    /// # Errors
    /// [`Error::BadSignature`]
    pub fn finish(mut self) -> Result<(), Error> {
        let rest = std::mem::take(&mut self.rest);
        self.see(rest.as_bytes());
        let expected = self.macs.into_iter().map(|mac| mac.finalize().into_bytes().into());
        // All of them, each in constant time.
        let right = expected.fold(Choice::from(0), |right, expected: [u8; SIGNATURE_BYTES]| {
            self.signatures.iter().fold(right, |right, it| right | expected.ct_eq(it))
        });
        if bool::from(right) { Ok(()) } else { Err(Error::BadSignature) }
    }
}

/// A signature's bytes, if that is one as the policy says that they are written.
fn signature(encoding: SignatureEncoding, text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    let bytes = match encoding {
        SignatureEncoding::Hex => key::unhex(text)?,
        SignatureEncoding::Base64 => STANDARD.decode(text).ok()?,
    };
    bytes.try_into().ok()
}

/// The time of sending as it was written, if it is near enough to now.
fn in_time(webhook: &Webhook, header: &'static str, time: String, now: Timestamp) -> Result<String, Error> {
    let digits = (1..=MOST_DIGITS).contains(&time.len()) && time.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = time.parse::<i64>().ok().filter(|_| digits).ok_or(Error::MalformedTime(header))?;
    let age = now - Timestamp::default().plus(Span::from_secs(seconds));
    if age > webhook.tolerance {
        Err(Error::TooOld)
    } else if age < -webhook.tolerance {
        Err(Error::FromTheFuture)
    } else {
        Ok(time)
    }
}
