//! Passwords: PBKDF2-HMAC-SHA-256 (RFC 8018), derived outside by the platform's own crypto, since
//! that is asynchronous and this is not. A handler that needs a derivation stops with a
//! [`PasswordJob`] before it has written anything it would write twice, and is called again with
//! the result.

mod guessable;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value as Json;
use subtle::ConstantTimeEq;
use unicode_normalization::UnicodeNormalization;

pub use self::guessable::is_guessable;
use crate::{
    entropy,
    registry::{
        Turn,
        attempts::{MOST_LOOKS, MOST_LOOKS_UNSEEN},
        error::{Code, Refusal, Stop},
        input::{self, Wrong, wrong},
        members::Person,
        principal::Member,
        throttle::Counter,
    },
    secret::Secret,
    time::Timestamp,
};

/// Iterations of new passwords: the most that the platform derives.
pub const ITERATIONS: u32 = 100_000;
/// Characters of the longest password.
const LONGEST: usize = 200;
/// Bytes of a salt.
const SALT: usize = 16;
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
    pub salt: [u8; SALT],
    /// The number of iterations.
    pub iterations: u32,
    /// How the attempt is refused unless the password is right, if all others are held back.
    pub held: Option<Box<Refusal>>,
}

impl PasswordJob {
    /// The job, done.
    pub fn done(&self, key: [u8; 32]) -> Derived {
        let Self { purpose, salt, iterations, .. } = *self;
        Derived { purpose, salt, iterations, key, held: self.held.clone() }
    }
}

/// A derivation, done.
#[derive(Clone)]
pub struct Derived {
    purpose: Purpose,
    salt: [u8; SALT],
    iterations: u32,
    key: [u8; 32],
    held: Option<Box<Refusal>>,
}

/// What a typed password turned out to be.
pub enum Verdict {
    /// The member's.
    Right,
    /// Not the member's.
    Wrong,
    /// Not the member's, and to be answered as if nobody had looked.
    Unseen(Refusal),
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

const GUESSABLE: &str = "is one that is tried first: apart from common words, names, years, rows of keys, repetitions and \
    what belongs to the account (e-mail address, tenant) there is almost nothing in it. Take several words that do not \
    belong together, or have a password manager make one";

/// A password that someone chooses: 12 to 200 characters of any kind (NIST SP 800-63B, 3.1.1.2), as normalised, and
/// none that is tried first. `context` is what belongs to the person: e-mail address, name of the tenant.
///
/// # Errors
/// What is wrong with it.
pub fn chosen(value: &Json, context: &[&str]) -> Result<Secret, Wrong> {
    let chosen = of_fit_length(value)?;
    if is_guessable(chosen.expose(), context) { wrong(GUESSABLE) } else { Ok(chosen) }
}

/// The same for whoever has not proved anything yet: without what takes long to look at, which
/// [`require_unguessable`] does after the proof.
///
/// # Errors
/// What is wrong with it.
pub fn of_fit_length(value: &Json) -> Result<Secret, Wrong> {
    let text = input::text(value)?;
    match text.nfkc().count() {
        12..=LONGEST => Ok(Secret::new(text)),
        length => wrong(format!("must be 12 to {LONGEST} characters long, not {length}")),
    }
}

/// Refuses a chosen password that is tried first.
///
/// # Errors
/// VALIDATION_FAILED
pub fn require_unguessable(chosen: &Secret, context: &[&str]) -> Result<(), Refusal> {
    if is_guessable(chosen.expose(), context) { Err(Refusal::field("password", GUESSABLE)) } else { Ok(()) }
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
            held: None,
        }))
    }

    /// Checks a password that is typed to sign in. `person` is `None` for an address that nobody has: it takes as
    /// long and waits as long, so that nobody learns that.
    ///
    /// Failures are counted of the address from this network, of the address, of the network and of its site. Only the
    /// first counter holds back whoever comes from a network from which the person has signed in before: so strangers
    /// elsewhere cannot keep anybody out, nor can neighbours who try other addresses, or call too often (`crowded`).
    pub fn check_sign_in(
        &mut self,
        email: &str,
        password: &Secret,
        person: Option<&Person>,
        crowded: Option<Refusal>,
    ) -> Result<Verdict, Stop> {
        let pair = Counter::of_pair(email, &self.call.address);
        let wide = Counter::wide(email, &self.call.address);
        let stored = person.map(|person| person.password.as_str());
        let (right, held) = self.verify(email, password, stored, &pair, |turn| {
            let mut held_until = None;
            for counter in &wide {
                held_until = held_until.max(turn.blocked_until(counter)?);
            }
            let held = || crowded.clone().or_else(|| held_until.map(|until| turn.too_many(until)));
            let held = held().map(Box::new);
            match &held {
                None => {
                    if let Some(until) = turn.blocked_after_others(&pair, MOST_LOOKS, None)? {
                        return Err(turn.too_many(until).into());
                    }
                    for counter in &wide {
                        turn.count(counter)?;
                    }
                }
                Some(_)
                    if let Some(person) = person
                        && turn.knows_network(&person.id)?
                        && turn.count_known(&person.id).is_ok()
                        && turn.blocked_after_others(&pair, MOST_LOOKS_UNSEEN, crowded)?.is_none() => {}
                // The same for every address: what holds back the pair would tell that it was let through to here.
                Some(refusal) => return Err(Refusal::clone(refusal).into()),
            }
            turn.count(&pair)?;
            Ok(held)
        })?;
        if right {
            self.forgive(&pair)?;
            for counter in wide.iter().filter(|_| held.is_none()) {
                self.forgive(counter)?;
            }
        }
        Ok(match held {
            _ if right => Verdict::Right,
            Some(refusal) => Verdict::Unseen(*refusal),
            None => Verdict::Wrong,
        })
    }

    /// Whether this is the password of whoever has signed in. Failures are counted of the session: strangers have none.
    pub fn check_in_session(
        &mut self,
        member: &Member,
        password: &Secret,
        person: &Person,
    ) -> Result<bool, Stop> {
        let session = Counter::of_session(&member.session);
        let (right, _) = self.verify(&member.email, password, Some(&person.password), &session, |turn| {
            if let Some(until) = turn.blocked_after_others(&session, MOST_LOOKS, None)? {
                return Err(turn.too_many(until).into());
            }
            turn.count(&session)?;
            Ok(None)
        })?;
        // Once: the handler runs again if it also sets a password.
        if right && self.derived(Purpose::Set).is_none() {
            self.forgive(&session)?;
        }
        Ok(right)
    }

    /// Whether the password is the stored one. `count` is run once, before the derivation, so that no number of calls at
    /// once gets more attempts. Until the answer is known, others whom `own` holds back wait for it.
    fn verify(
        &mut self,
        email: &str,
        password: &Secret,
        stored: Option<&str>,
        own: &Counter,
        count: impl FnOnce(&Self) -> Result<Option<Box<Refusal>>, Stop>,
    ) -> Result<(bool, Option<Box<Refusal>>), Stop> {
        let held = match self.derived(Purpose::Verify) {
            Some(derived) => derived.held,
            None => {
                let held = count(self)?;
                self.begin(own);
                held
            }
        };
        let normalised = normalised(password);
        let forms = [(Purpose::Verify, &normalised), (Purpose::VerifyAsTyped, password)];
        // Most passwords have one form only.
        let forms = forms.into_iter().take(if normalised.expose() == password.expose() { 1 } else { 2 });
        for (purpose, password) in forms {
            let Some(derived) = self.derived(purpose) else {
                let (iterations, salt) = stored.and_then(parameters).unwrap_or_else(|| self.nobodys(email));
                let password = password.clone();
                return Err(Stop::Derive(PasswordJob { purpose, password, salt, iterations, held }));
            };
            self.keep_if_refused();
            if stored.is_some_and(|stored| derived.is(stored)) {
                self.end_once(own);
                return Ok((true, held));
            }
        }
        self.end_once(own);
        Ok((false, held))
    }

    /// The handler runs again if it also sets a password.
    fn end_once(&self, own: &Counter) {
        if self.derived(Purpose::Set).is_none() {
            self.end(own);
        }
    }

    fn too_many(&self, until: Timestamp) -> Refusal {
        let detail = "Too many failed attempts. One more is possible after Retry-After seconds. The right password is let in \
                      before that from where this person has signed in lately, unless the failures came from there.";
        Refusal::until(Code::TooManyAttempts, detail, self.now, until)
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

/// Iterations and salt of a stored password.
fn parameters(stored: &str) -> Option<(u32, [u8; SALT])> {
    let mut parts = stored.strip_prefix(ALGORITHM)?.strip_prefix(':')?.split(':');
    let iterations = parts.next()?.parse().ok()?;
    let salt = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
    Some((iterations, salt.try_into().ok()?))
}
