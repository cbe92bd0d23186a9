//! The set-up token, with which the first owner is made, and the recovery token, with which an owner of the operator's tenant
//! gets back in. Each must be one that nobody guesses, since nothing slows those who try.

use keyward_core::secret::Secret;

use crate::{
    context::RequestContext,
    error::{ApiError, Code},
    password::guessable::is_guessable,
};

const SET_UP: &str = "KEYWARD_SETUP_TOKEN";
const RECOVERY: &str = "KEYWARD_RECOVERY_TOKEN";
/// Characters of the shortest token.
const SHORTEST_CHARS: usize = 20;

/// What is wrong with a token that can be guessed: the secret of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name} can be guessed: it needs at least {SHORTEST_CHARS} random characters. `{made_by}` makes such a one"
)]
pub struct GuessableToken {
    name: &'static str,
    made_by: &'static str,
}

impl GuessableToken {
    fn of(name: &'static str) -> Self {
        let made_by = if name == SET_UP { "npm run secrets" } else { "openssl rand -base64 24" };
        Self { name, made_by }
    }
}

/// Whether this is the token that set-up asks for.
///
/// # Errors
/// NOT_CONFIGURED
pub fn is_setup_token(context: &RequestContext<'_>, token: &str) -> Result<bool, ApiError> {
    is_token(SET_UP, context.setup_token, token)
}

/// Whether this is the token that recovery asks for.
///
/// # Errors
/// NOT_CONFIGURED
pub fn is_recovery_token(context: &RequestContext<'_>, token: &str) -> Result<bool, ApiError> {
    is_token(RECOVERY, context.recovery_token, token)
}

/// Whether this is the secret of this name. That must be one that nobody guesses: nothing slows those who try. What takes
/// long to look at is looked at for whoever has it.
fn is_token(name: &'static str, own: Option<&Secret>, token: &str) -> Result<bool, ApiError> {
    let own = own.filter(|own| !own.expose().is_empty());
    let own = own.ok_or_else(|| ApiError::not_configured(&format!("{name} is not set"), name))?;
    let is_right = own.equals(token);
    if is_too_short(own) || is_right && !is_fit_for_set_up(own) {
        return Err(ApiError::new(Code::NotConfigured, format!("The secret {}.", GuessableToken::of(name))));
    }
    Ok(is_right)
}

/// Whether a secret can be the token of set-up or recovery: nobody guesses it.
pub fn is_fit_for_set_up(token: &Secret) -> bool {
    !is_too_short(token) && !is_guessable(token.expose(), &[])
}

fn is_too_short(token: &Secret) -> bool {
    token.expose().chars().count() < SHORTEST_CHARS
}

/// Looks at the token that makes the first owner, while there is none: later it opens nothing, and without it a gate may
/// still do all that its policy says.
///
/// # Errors
/// That it can be guessed. Nothing of it is in that.
pub fn set_up_fault(has_owner: bool, token: Option<&Secret>) -> Result<(), GuessableToken> {
    if has_owner { Ok(()) } else { fault(SET_UP, token) }
}

/// Looks at the token of recovery, which a gate can do without.
///
/// # Errors
/// That it can be guessed. Nothing of it is in that.
pub fn recovery_fault(token: Option<&Secret>) -> Result<(), GuessableToken> {
    fault(RECOVERY, token)
}

fn fault(name: &'static str, token: Option<&Secret>) -> Result<(), GuessableToken> {
    let unfit = token.is_some_and(|token| !token.expose().is_empty() && !is_fit_for_set_up(token));
    if unfit { Err(GuessableToken::of(name)) } else { Ok(()) }
}
