//! Why something could not be told, published or stored: for the log, never for a caller.

use keyward_core::{jurisdiction::Misplaced, sql::SqlError};

/// What the platform said when it could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlatformError(pub String);

/// Why something could not be told, published or stored.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The database failed.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// The platform failed.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// A record could not be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The data belong to objects of another jurisdiction.
    #[error(transparent)]
    Misplaced(#[from] Misplaced),
    /// A coordinator did not answer.
    #[error("no answer in time")]
    Late,
    /// KV did not answer. It may still write.
    #[error("KV did not answer in time")]
    KvLate,
    /// A coordinator knows nothing of its key.
    #[error("the KeyGate of {id} was not told")]
    Untold {
        /// Id of the key.
        id: String,
    },
    /// A coordinator goes on with an older version than it was told.
    #[error("the KeyGate of {id} holds version {holds}, not {version}")]
    OlderVersion {
        /// Id of the key.
        id: String,
        /// The version that it holds.
        holds: u64,
        /// The version that it was told.
        version: u64,
    },
    /// Half of a backup is there.
    #[error("a backup is being restored")]
    Restoring,
}
