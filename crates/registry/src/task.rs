//! What the Registry was doing when it had something to log: the words that `what` can be in the log (`docs/log.md`).

/// What the Registry was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// The object woke up: it brings its database forward.
    Opening,
    /// Nothing failed: a quota, or the database, is nearly used up.
    NearlyFull,
    /// A statement of a call.
    Database,
    /// Setting the alarm that publishes what a call has changed.
    Alarm,
    /// Telling keys' coordinators of a change.
    Telling,
    /// Reading or writing what is still to be published.
    Outbox,
    /// Telling a coordinator and writing KV, after a call.
    Publishing,
    /// Revoking keys that were not shown in time.
    Cancelling,
    /// Writing and sending events.
    Events,
    /// Looking for keys that a restored backup does not have, or has in an older version.
    Restore,
    /// Small jobs after a call.
    Upkeep,
    /// Deriving a password.
    PasswordDerivation,
}

impl Task {
    /// Every task.
    pub const ALL: [Self; 12] = [
        Self::Opening,
        Self::NearlyFull,
        Self::Database,
        Self::Alarm,
        Self::Telling,
        Self::Outbox,
        Self::Publishing,
        Self::Cancelling,
        Self::Events,
        Self::Restore,
        Self::Upkeep,
        Self::PasswordDerivation,
    ];

    /// Its word in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::NearlyFull => "nearly full",
            Self::Database => "database",
            Self::Alarm => "alarm",
            Self::Telling => "telling",
            Self::Outbox => "outbox",
            Self::Publishing => "publishing",
            Self::Cancelling => "cancelling",
            Self::Events => "events",
            Self::Restore => "restore",
            Self::Upkeep => "upkeep",
            Self::PasswordDerivation => "password derivation",
        }
    }
}
