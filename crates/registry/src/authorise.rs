//! What is done only by whoever may do it. It is first described: an [`Act`]. What writes it takes it [`Authorised`],
//! which only [`RequestContext`] makes. What each act asks for: [`crate::guard`].

use std::ops::Deref;

use keyward_policy::{KeyAction, Realm};

use crate::{context::RequestContext, error::ApiError, principal::Principal};

/// An act that its principal may do.
pub struct Authorised<T>(T);

impl<T> Deref for Authorised<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Something to be done that not everybody may do.
pub trait Act {
    /// # Errors
    /// FORBIDDEN, STEP_UP_REQUIRED
    fn require(&self, context: &RequestContext<'_>, principal: &Principal) -> Result<(), ApiError>;
}

/// What was made for one act, and shows by itself that it may be done.
pub trait Proof<T> {
    /// # Errors
    /// FORBIDDEN
    fn require_for(&self, act: &T) -> Result<(), ApiError>;
}

impl RequestContext<'_> {
    /// The act, if the principal may do it.
    ///
    /// # Errors
    /// FORBIDDEN, STEP_UP_REQUIRED
    pub fn authorise<T: Act>(&self, principal: &Principal, act: T) -> Result<Authorised<T>, ApiError> {
        act.require(self, principal)?;
        Ok(Authorised(act))
    }

    /// The act, if what was shown was made for it.
    ///
    /// # Errors
    /// FORBIDDEN
    pub fn authorise_by<T>(&self, proof: &impl Proof<T>, act: T) -> Result<Authorised<T>, ApiError> {
        proof.require_for(&act)?;
        Ok(Authorised(act))
    }

    /// Refuses an action that the realm keeps for owners, or wants the password again for.
    pub fn require_action(
        &self,
        realm: &Realm,
        action: KeyAction,
        principal: &Principal,
    ) -> Result<(), ApiError> {
        if realm.owner_only.contains(&action) {
            principal.require_owner("This, in this realm, is")?;
        }
        if realm.step_up.contains(&action) {
            principal.require_step_up(self.now)?;
        }
        Ok(())
    }
}
