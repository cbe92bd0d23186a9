//! What a call does to the database, which its [route](crate::router::ROUTES) says. From that follows what is refused when
//! the database is nearly full.

/// What a call does to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Reads,
    /// It ends something, which can be done only once: always possible.
    Ends,
    /// It lets people do what they must be able to: sign in, type the password again, change a tenant as the operator. It is
    /// possible however full the audit is.
    Admits,
    /// It adds little, and somebody who wants to end something may need it: possible for longer than what grows.
    Helps,
    /// It shows a key again, which an API key can do as often as it likes: it gets only a part of the space for
    /// [`Effect::Helps`].
    Repeats,
    /// It adds something. Its handler asks for the space itself, since a repetition adds nothing.
    Makes,
    /// It adds something.
    Grows,
}

impl Effect {
    /// Up to how many bytes of the database it is possible; `None`: always.
    pub fn storage(self, limit: u64) -> Option<u64> {
        match self {
            Self::Reads | Self::Ends => None,
            Self::Admits | Self::Helps | Self::Repeats => Some(limit.saturating_add(limit / 10)),
            Self::Makes | Self::Grows => Some(limit),
        }
    }

    /// Up to how many entries of a tenant's audit it is possible; `None`: always.
    ///
    /// What ends something needs no bound: beyond the quota nothing begins that could be ended, except sessions, of whose entries
    /// [only a few a day](crate::audit::daily) are then written.
    pub fn audit_entries(self, limit: u64) -> Option<u64> {
        match self {
            Self::Reads | Self::Ends | Self::Admits => None,
            Self::Helps => Some(limit.saturating_add(limit / 10)),
            Self::Repeats => Some(limit.saturating_add(limit / 20)),
            Self::Makes | Self::Grows => Some(limit),
        }
    }
}
