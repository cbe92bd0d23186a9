//! A password that is chosen with a call, where the policy has passwords.

use keyward_core::secret::Secret;
use serde_json::Value;

use crate::{
    context::RequestContext,
    error::{ApiError, Code},
    handler::HandlerError,
    input::{FieldErrors, Input},
};

impl RequestContext<'_> {
    /// Refuses what needs a password where the policy has none.
    ///
    /// # Errors
    /// PASSWORD_OFF
    pub fn require_passwords(&self) -> Result<(), ApiError> {
        match self.policy.admin.sign_in {
            Some(sign_in) if !sign_in.password => {
                let detail = format!(
                    "This deployment has no passwords: people sign in with a token of {} ({}).",
                    sign_in.name, sign_in.jwt.issuer
                );
                Err(ApiError::new(Code::PasswordOff, detail))
            }
            _ => Ok(()),
        }
    }

    /// Reads the password for a person, which has to be there unless there are none. `None` if it is wrong, which is noted.
    ///
    /// # Errors
    /// PASSWORD_OFF
    pub fn read_password(
        &self,
        body: &mut Input,
        parse: impl FnOnce(&Value) -> Result<Secret, FieldErrors>,
    ) -> Result<Option<Option<Secret>>, ApiError> {
        if self.policy.admin.has_passwords() {
            return Ok(body.required("password", parse).map(Some));
        }
        if body.has("password") { self.require_passwords().map(|()| None) } else { Ok(Some(None)) }
    }

    /// The stored form of a person's password; of none, one that no password has.
    pub fn set_password_if_any(&mut self, chosen: Option<&Secret>) -> Result<String, HandlerError> {
        chosen.map_or_else(|| Ok(String::new()), |chosen| self.set_password(chosen))
    }
}
