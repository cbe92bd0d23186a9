//! Passwords: PBKDF2-HMAC-SHA-256 (RFC 8018), derived outside by the platform's own crypto, since
//! that is asynchronous and this is not. A handler that needs a derivation stops with a
//! [`PasswordJob`] before it has written anything it would write twice, and is called again with
//! the result. Also: how many attempts there may be.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value as Json;
use subtle::ConstantTimeEq;
use unicode_normalization::UnicodeNormalization;

use crate::{
    entropy, network,
    registry::{
        Turn,
        error::{Code, Refusal, Stop},
        input::{self, Wrong, wrong},
    },
    secret::Secret,
    sql::{self, SqlError},
    time::{MINUTE, Timestamp},
};

/// Iterations of new passwords: the most that the platform derives.
pub const ITERATIONS: u32 = 100_000;
/// Characters of the longest password.
const LONGEST: usize = 200;
/// Bytes of a salt.
const SALT: usize = 16;
/// Name and version of the stored form.
const ALGORITHM: &str = "pbkdf2-sha256";

/// Failures count for so long.
const ATTEMPTS_WINDOW: i64 = 15 * MINUTE;
/// Failures after which an e-mail address has to wait.
const ATTEMPTS_OF_EMAIL: u32 = 5;
/// Failures after which a network address has to wait.
const ATTEMPTS_OF_ADDRESS: u32 = 20;
/// Failures with e-mail addresses that nobody has which are written down within the window.
const NOTED_OF_STRANGERS: u32 = 20;
/// Attempts that are remembered at all: the oldest give way. To push one out takes thousands of
/// networks at once.
const MOST_ATTEMPTS: i64 = 100_000;
/// What they are counted under.
const STRANGERS: &str = "strangers";

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
    pub salt: [u8; SALT],
    /// The number of iterations.
    pub iterations: u32,
}

impl PasswordJob {
    /// The job, done.
    pub fn done(&self, key: [u8; 32]) -> Derived {
        Derived { purpose: self.purpose, salt: self.salt, iterations: self.iterations, key }
    }
}

/// A derivation, done.
#[derive(Clone)]
pub struct Derived {
    purpose: Purpose,
    salt: [u8; SALT],
    iterations: u32,
    key: [u8; 32],
}

impl Derived {
    /// As stored: algorithm, iterations, salt, key.
    pub fn stored(&self) -> String {
        let (salt, key) = (URL_SAFE_NO_PAD.encode(self.salt), URL_SAFE_NO_PAD.encode(self.key));
        format!("{ALGORITHM}:{}:{salt}:{key}", self.iterations)
    }

    /// Whether it is the stored password. In time that depends on nothing of either.
    fn is(&self, stored: &str) -> bool {
        bool::from(self.stored().as_bytes().ct_eq(stored.as_bytes()))
    }
}

/// The form in which a password is derived, so that it is the same whatever keyboard typed it (NIST SP 800-63B,
/// 3.1.1.2).
fn normalised(password: &Secret) -> Secret {
    Secret::new(password.expose().nfkc().collect::<String>())
}

/// A password that someone chooses: 12 to 200 characters of any kind (NIST SP 800-63B, 3.1.1.2), as normalised.
///
/// # Errors
/// What is wrong with it.
pub fn chosen(value: &Json) -> Result<Secret, Wrong> {
    let text = input::text(value)?;
    match text.nfkc().count() {
        12..=LONGEST => Ok(Secret::new(text)),
        length => wrong(format!("must be 12 to {LONGEST} characters long, not {length}")),
    }
}

/// A password that someone types to prove it. Bounded, so that deriving it costs what it costs.
///
/// # Errors
/// What is wrong with it.
pub fn typed(value: &Json) -> Result<Secret, Wrong> {
    let text = input::text(value)?;
    if text.chars().count().min(text.nfkc().count()) > LONGEST {
        wrong(format!("can be at most {LONGEST} characters long"))
    } else {
        Ok(Secret::new(text))
    }
}

impl Turn<'_> {
    /// The stored form of a new password.
    pub fn set_password(&mut self, password: &Secret) -> Result<String, Stop> {
        if let Some(derived) = self.derived(Purpose::Set) {
            return Ok(derived.stored());
        }
        let salt = entropy::bytes(self.entropy);
        Err(Stop::Derive(PasswordJob {
            purpose: Purpose::Set,
            password: normalised(password),
            salt,
            iterations: ITERATIONS,
        }))
    }

    /// Whether this is the member's password. `stored` is `None` for a member that does not exist:
    /// it takes as long, so that nobody learns that. Attempts of the address and of the e-mail
    /// address are counted before the derivation, so that no number of calls at once gets more.
    pub fn check_password(
        &mut self,
        email: &str,
        password: &Secret,
        stored: Option<&str>,
    ) -> Result<bool, Stop> {
        let normalised = normalised(password);
        let forms = [(Purpose::Verify, &normalised), (Purpose::VerifyAsTyped, password)];
        // Most passwords have one form only.
        let forms = forms.into_iter().take(if normalised.expose() == password.expose() { 1 } else { 2 });
        let mut right = false;
        for (purpose, password) in forms {
            let Some(derived) = self.derived(purpose) else {
                if purpose == Purpose::Verify {
                    self.count_attempt(Some(email))?;
                }
                let (iterations, salt) = stored.and_then(parameters).unwrap_or_else(|| self.nobodys(email));
                return Err(Stop::Derive(PasswordJob {
                    purpose,
                    password: password.clone(),
                    salt,
                    iterations,
                }));
            };
            self.keep_if_refused();
            right = stored.is_some_and(|stored| derived.is(stored));
            if right {
                break;
            }
        }
        // Once: the handler runs again if it also sets a password.
        if right && self.derived(Purpose::Set).is_none() {
            self.forgive_attempts(email)?;
        }
        Ok(right)
    }

    /// Counts one attempt of the caller's address, and of an e-mail address if there is one.
    ///
    /// # Errors
    /// TOO_MANY_ATTEMPTS, without counting.
    pub fn count_attempt(&self, email: Option<&str>) -> Result<(), Stop> {
        self.keep_if_refused();
        let email = email.map(|email| (email_subject(email), ATTEMPTS_OF_EMAIL));
        let subjects = email.into_iter().chain([(address_subject(&self.call.address), ATTEMPTS_OF_ADDRESS)]);
        let subjects: Vec<(String, u32)> = subjects.collect();
        self.bring_attempts_back()?;
        for (subject, most) in &subjects {
            if let Some(until) = self.blocked_until(subject, *most)? {
                let detail = "Too many failed attempts. Wait until they are forgotten; after Retry-After seconds one more is possible.";
                return Err(Refusal::until(Code::TooManyAttempts, detail, self.now, until).into());
            }
        }
        self.db.run("DELETE FROM attempts WHERE at <= ?", &[self.now.plus(-ATTEMPTS_WINDOW).into()])?;
        let oldest = "DELETE FROM attempts WHERE number <= (SELECT MAX(number) FROM attempts) - ?";
        self.db.run(oldest, &[MOST_ATTEMPTS.into()])?;
        for (subject, _) in subjects {
            self.db.run(
                "INSERT INTO attempts (subject, at) VALUES (?, ?)",
                &[subject.into(), self.now.into()],
            )?;
        }
        Ok(())
    }

    /// Whether a failed attempt that was aimed at nobody may still be written down: the audit is kept
    /// for good, and strangers could fill it.
    pub fn may_note_stranger(&self) -> Result<bool, SqlError> {
        self.bring_attempts_back()?;
        if self.blocked_until(STRANGERS, NOTED_OF_STRANGERS)?.is_some() {
            return Ok(false);
        }
        self.db
            .run("INSERT INTO attempts (subject, at) VALUES (?, ?)", &[STRANGERS.into(), self.now.into()])?;
        Ok(true)
    }

    /// Takes back what [`Turn::count_attempt`] counted for an attempt that turned out right: all
    /// of the e-mail address, one of the network address.
    pub fn forgive_attempts(&self, email: &str) -> Result<(), SqlError> {
        self.db.run("DELETE FROM attempts WHERE subject = ?", &[email_subject(email).into()])?;
        self.forgive_address()
    }

    /// Takes back one attempt of the network address.
    pub fn forgive_address(&self) -> Result<(), SqlError> {
        let newest =
            "DELETE FROM attempts WHERE number = (SELECT MAX(number) FROM attempts WHERE subject = ?)";
        self.db.run(newest, &[address_subject(&self.call.address).into()])?;
        Ok(())
    }

    /// Attempts of the future were counted before the clock was set back: they lock out no longer than any
    /// that is made now.
    fn bring_attempts_back(&self) -> Result<(), SqlError> {
        let back = "UPDATE attempts SET at = ? WHERE at > ?";
        self.db.run(back, &[self.now.into(), self.now.into()]).map(drop)
    }

    /// When the subject may try again, if it has to wait: when the oldest of its last `most`
    /// attempts leaves the window.
    fn blocked_until(&self, subject: &str, most: u32) -> Result<Option<Timestamp>, SqlError> {
        #[derive(Deserialize)]
        struct Attempt {
            at: Timestamp,
        }
        let last = "SELECT at FROM attempts WHERE subject = ? AND at > ? ORDER BY at DESC LIMIT 1 OFFSET ?";
        let values = [subject.into(), self.now.plus(-ATTEMPTS_WINDOW).into(), (most - 1).into()];
        Ok(sql::query_one::<Attempt>(self.db, last, &values)?.map(|attempt| attempt.at.plus(ATTEMPTS_WINDOW)))
    }

    fn derived(&self, purpose: Purpose) -> Option<Derived> {
        self.progress.derived.iter().find(|derived| derived.purpose == purpose).cloned()
    }

    /// Parameters for an e-mail address that nobody has: the same each time.
    fn nobodys(&self, email: &str) -> (u32, [u8; SALT]) {
        let mac = self.secrets.mac("keyward nobody's salt 1", &[email.as_bytes()]);
        (ITERATIONS, mac.first_chunk().copied().unwrap_or_default())
    }
}

fn email_subject(email: &str) -> String {
    format!("email:{email}")
}

fn address_subject(address: &str) -> String {
    format!("address:{}", network::of(address))
}

/// Iterations and salt of a stored password.
fn parameters(stored: &str) -> Option<(u32, [u8; SALT])> {
    let mut parts = stored.strip_prefix(ALGORITHM)?.strip_prefix(':')?.split(':');
    let iterations = parts.next()?.parse().ok()?;
    let salt = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
    Some((iterations, salt.try_into().ok()?))
}
