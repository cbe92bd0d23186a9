//! The set-up token: with it the first owner is made. It must be one that nobody guesses, since nothing slows those who
//! try.

use keyward_core::secret::Secret;

use crate::{
    context::RequestContext,
    error::{ApiError, Code},
    password::guessable::is_guessable,
};

/// Characters of the shortest set-up token.
const SHORTEST_CHARS: usize = 20;

/// What is wrong with a set-up token that can be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "KEYWARD_SETUP_TOKEN can be guessed: it needs at least {SHORTEST_CHARS} random characters. `npm run secrets` \
     makes such a one"
)]
pub struct GuessableToken;

/// Whether this is the token that set-up asks for. That must be one that nobody guesses: nothing slows those who try.
/// What takes long to look at is looked at for whoever has it.
///
/// # Errors
/// NOT_CONFIGURED
pub fn is_setup_token(context: &RequestContext<'_>, token: &str) -> Result<bool, ApiError> {
    let own = context.setup_token.filter(|own| !own.expose().is_empty());
    let own =
        own.ok_or_else(|| ApiError::not_configured("KEYWARD_SETUP_TOKEN is not set", "KEYWARD_SETUP_TOKEN"))?;
    let is_right = own.equals(token);
    if is_too_short(own) || is_right && !is_fit_for_set_up(own) {
        return Err(ApiError::new(Code::NotConfigured, format!("The secret {GuessableToken}.")));
    }
    Ok(is_right)
}

/// Whether a secret can be the set-up token: nobody guesses it.
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
    let unfit = token.is_some_and(|token| !token.expose().is_empty() && !is_fit_for_set_up(token));
    if unfit && !has_owner { Err(GuessableToken) } else { Ok(()) }
}
