//! What a handler of the admin API returns: an outcome, or why it stopped before the end.

use keyward_core::sql::SqlError;

use crate::{
    call_state::CreatedKey, error::ApiError, outcome::Outcome, passkeys::signature::SignatureJob,
    password::derivation::PasswordJob,
};

/// What a handler returns.
pub type HandlerResult = Result<Outcome, HandlerError>;

/// Why a handler stopped before the end.
pub enum HandlerError {
    /// The call is refused.
    Refused(ApiError),
    /// A password has to be derived; then call again with the result.
    Derive(Box<PasswordJob>),
    /// A signature has to be verified; then call again with the result.
    Verify(Box<SignatureJob>),
    /// This key's coordinator has to be told; then call again with the result.
    Tell(CreatedKey),
    /// An attempt that another call has begun has to end first; then call again, with the refusal that others get meanwhile.
    Wait(Option<ApiError>),
    /// The coordinator of the key that it made could not be told.
    Untold,
    /// The database failed. What it said is for the log, not for the caller.
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
