//! PBKDF2-HMAC-SHA-256 (RFC 8018), derived outside by the platform's own crypto, since that is asynchronous and this is
//! not. A handler that needs a derivation stops with a [`PasswordJob`] before it has written anything it would write
//! twice, and is called again with the result.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keyward_core::secret::Secret;
use keyward_unicode::nfkc;
use subtle::ConstantTimeEq;

use crate::error::ApiError;

/// Iterations of new passwords: the most that the platform derives.
pub const ITERATIONS: u32 = 100_000;
/// Bytes of a salt.
pub(super) const SALT_BYTES: usize = 16;
/// Name and version of the stored form.
const ALGORITHM: &str = "pbkdf2-sha256";

/// What a derivation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Compare with what is stored.
    Verify,
    /// The same with what was typed as it was typed: passwords were stored so before they were normalised.
    VerifyAsTyped,
    /// Store it.
    Set,
}

/// One PBKDF2-HMAC-SHA-256 derivation of 32 bytes.
#[derive(Clone, Debug)]
pub struct PasswordJob {
    /// What for.
    pub purpose: Purpose,
    /// What was typed.
    pub password: Secret,
    /// The salt.
    pub salt: [u8; SALT_BYTES],
    /// The number of iterations.
    pub iterations: u32,
    /// How the attempt is refused unless the password is right, if all others are held back.
    pub refusal_if_wrong: Option<ApiError>,
}

impl PasswordJob {
    /// The job, done.
    pub fn done(&self, key: [u8; 32]) -> Derived {
        let Self { purpose, salt, iterations, .. } = *self;
        Derived { purpose, salt, iterations, key, refusal_if_wrong: self.refusal_if_wrong.clone() }
    }
}

/// A derivation, done.
#[derive(Clone)]
pub struct Derived {
    pub(super) purpose: Purpose,
    salt: [u8; SALT_BYTES],
    iterations: u32,
    key: [u8; 32],
    pub(super) refusal_if_wrong: Option<ApiError>,
}

impl Derived {
    /// As stored: algorithm, iterations, salt, key.
    pub fn stored(&self) -> String {
        let (salt, key) = (URL_SAFE_NO_PAD.encode(self.salt), URL_SAFE_NO_PAD.encode(self.key));
        format!("{ALGORITHM}:{}:{salt}:{key}", self.iterations)
    }

    /// Whether it is the stored password. In time that depends on nothing of either.
    pub fn is(&self, stored: &str) -> bool {
        bool::from(self.stored().as_bytes().ct_eq(stored.as_bytes()))
    }
}

/// The form in which a password is derived, so that it is the same whatever keyboard typed it (NIST SP 800-63B,
/// 3.1.1.2).
pub fn normalised(password: &Secret) -> Secret {
    Secret::new(nfkc(password.expose()).into_owned())
}

/// Iterations and salt of a stored password.
pub fn parameters(stored: &str) -> Option<(u32, [u8; SALT_BYTES])> {
    let mut parts = stored.strip_prefix(ALGORITHM)?.strip_prefix(':')?.split(':');
    let iterations = parts.next()?.parse().ok()?;
    let salt = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
    Some((iterations, salt.try_into().ok()?))
}
