//! What a handler of the admin API comes to: an outcome, or why it stopped before its end.

use keyward_core::sql::SqlError;

use crate::{call_state::CreatedKey, error::ApiError, outcome::Outcome, password::derivation::PasswordJob};

/// What a handler comes to.
pub type HandlerResult = Result<Outcome, HandlerError>;

/// Why a handler stopped before its end.
pub enum HandlerError {
    /// The call is refused.
    Refused(ApiError),
    /// It goes on once this password has been derived: call again with the result.
    Derive(PasswordJob),
    /// It goes on once this key's KeyGate was told: call again with the result.
    Tell(CreatedKey),
    /// It goes on once what others have begun has come to its end: call again, with how others are refused meanwhile.
    Wait(Option<Box<ApiError>>),
    /// The KeyGate of the key that it made could not be told.
    Untold,
    /// The database failed: for the log, not for the caller.
    Failed(SqlError),
}

impl From<ApiError> for HandlerError {
    fn from(refusal: ApiError) -> Self {
        Self::Refused(refusal)
    }
}

impl From<SqlError> for HandlerError {
    fn from(error: SqlError) -> Self {
        Self::Failed(error)
    }
}
