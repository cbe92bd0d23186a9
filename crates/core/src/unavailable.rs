//! A call of something outside that came to nothing.

use thiserror::Error;

/// A store did not answer in time, or not in a form that this build reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

/// Why a call of something outside failed: words for the log and for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallFailed {
    /// It answered with an HTTP status other than 200.
    #[error("answered {0}")]
    Status(u16),
    /// Anything else: no answer in time, a binding that is missing, an answer that cannot be read.
    #[error("{0}")]
    Other(String),
}

impl CallFailed {
    /// With these words.
    pub fn because(why: impl ToString) -> Self {
        Self::Other(why.to_string())
    }
}
