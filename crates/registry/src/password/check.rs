//! Setting a password, and checking one that is typed: as long as it takes whoever is right, and no faster for whoever
//! guesses.

use keyward_core::{entropy, secret::Secret, time::Timestamp};

use crate::{
    attempts::{MOST_LOOKS, MOST_LOOKS_THROTTLED},
    context::RequestContext,
    error::{ApiError, Code},
    handler::HandlerError,
    members::member::MemberRow,
    password::derivation::{Derived, ITERATIONS, PasswordJob, Purpose, SALT_BYTES, normalised, parameters},
    principal::Member,
    throttle::Counter,
};

/// What a typed password turned out to be.
pub enum Verdict {
    /// The member's.
    Right,
    /// Not the member's.
    Wrong,
    /// Not the member's, and to be answered as if nobody had looked.
    Throttled(ApiError),
}

impl RequestContext<'_> {
    /// The stored form of a new password.
    pub fn set_password(&mut self, password: &Secret) -> Result<String, HandlerError> {
        if let Some(derived) = self.derived(Purpose::Set) {
            return Ok(derived.stored());
        }
        let salt = entropy::bytes(self.entropy);
        Err(HandlerError::Derive(Box::new(PasswordJob {
            purpose: Purpose::Set,
            password: normalised(password),
            salt,
            iterations: ITERATIONS,
            refusal_if_wrong: None,
        })))
    }

    /// Checks a password that is typed to sign in. `person` is `None` for an address that nobody has: it takes as
    /// long and waits as long, so that nobody learns that.
    ///
    /// Failures are counted of the address from this network, of the address, of the network and of its site. Only the
    /// first counter holds back whoever comes from a network from which the person has signed in before: so strangers
    /// elsewhere cannot keep anybody out, nor can neighbours who try other addresses, or call too often (`rate_limited`).
    pub fn check_sign_in(
        &mut self,
        email: &str,
        password: &Secret,
        person: Option<&MemberRow>,
        rate_limited: Option<ApiError>,
    ) -> Result<Verdict, HandlerError> {
        let pair = Counter::of_pair(email, &self.call.address);
        let wide = Counter::wide(email, &self.call.address);
        let stored = person.map(|person| person.password.as_str());
        let (right, held) = self.verify(email, password, stored, &pair, |context| {
            let mut held_until = None;
            for counter in &wide {
                held_until = held_until.max(context.blocked_until(counter)?);
            }
            let held = || rate_limited.clone().or_else(|| held_until.map(|until| context.too_many(until)));
            let held = held();
            match &held {
                None => {
                    if let Some(until) = context.blocked_after_others(&pair, MOST_LOOKS, None)? {
                        return Err(context.too_many(until).into());
                    }
                    for counter in &wide {
                        context.count(counter)?;
                    }
                }
                Some(refusal) => {
                    let is_let_through = match person {
                        Some(person) => {
                            context.knows_network(&person.id)?
                                && context.count_known(&person.id).is_ok()
                                && context
                                    .blocked_after_others(&pair, MOST_LOOKS_THROTTLED, rate_limited)?
                                    .is_none()
                        }
                        None => false,
                    };
                    if !is_let_through {
                        // The same for every address: what holds back the pair would tell that it was let through to here.
                        return Err(refusal.clone().into());
                    }
                }
            }
            context.count(&pair)?;
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
            Some(refusal) => Verdict::Throttled(refusal),
            None => Verdict::Wrong,
        })
    }

    /// Counts a failure of whoever has signed in: of the session, since strangers have none.
    ///
    /// # Errors
    /// TOO_MANY_ATTEMPTS
    pub fn count_in_session(&self, member: &Member) -> Result<(), HandlerError> {
        let session = Counter::of_session(&member.session);
        if let Some(until) = self.blocked_until(&session)? {
            return Err(self.too_many(until).into());
        }
        Ok(self.count(&session)?)
    }

    /// Whether this is the password of whoever has signed in. Failures are counted of the session: strangers have none.
    pub fn check_in_session(
        &mut self,
        member: &Member,
        password: &Secret,
        person: &MemberRow,
    ) -> Result<bool, HandlerError> {
        let session = Counter::of_session(&member.session);
        let (right, _) =
            self.verify(&member.email, password, Some(&person.password), &session, |context| {
                if let Some(until) = context.blocked_after_others(&session, MOST_LOOKS, None)? {
                    return Err(context.too_many(until).into());
                }
                context.count(&session)?;
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
        count: impl FnOnce(&Self) -> Result<Option<ApiError>, HandlerError>,
    ) -> Result<(bool, Option<ApiError>), HandlerError> {
        let held = match self.derived(Purpose::Verify) {
            Some(derived) => derived.refusal_if_wrong,
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
                let job = PasswordJob { purpose, password, salt, iterations, refusal_if_wrong: held };
                return Err(HandlerError::Derive(Box::new(job)));
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

    /// The refusal of attempts that came after too many failures.
    fn too_many(&self, until: Timestamp) -> ApiError {
        let detail = "Too many failed attempts. One more is possible after Retry-After seconds. The right password is let in \
                      before that from where this person has signed in lately, unless the failures came from there.";
        ApiError::until(Code::TooManyAttempts, detail, self.now, until)
    }

    fn derived(&self, purpose: Purpose) -> Option<Derived> {
        self.state.derived.iter().find(|derived| derived.purpose == purpose).cloned()
    }

    /// Parameters for an e-mail address that nobody has: the same each time.
    fn nobodys(&self, email: &str) -> (u32, [u8; SALT_BYTES]) {
        let mac = self.secrets.mac("keyward nobody's salt 1", &[email.as_bytes()]);
        (ITERATIONS, mac.first_chunk().copied().unwrap_or_default())
    }
}
