//! The one place where "everywhere by" is computed: from when on what coordinators were told holds everywhere.

use keyward_core::time::{Span, Timestamp};
use keyward_policy::Policy;

/// How long what a coordinator was told may take to hold everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// How old a decision may be.
    bound: Span,
    /// Since when the key has been strict: what was decided after that, nobody remembers.
    strict_since: Option<Timestamp>,
}

impl Freshness {
    /// Of keys of this realm.
    pub fn of_realm(policy: &Policy, realm: &str) -> Self {
        let bound = policy.realm(realm).map_or(Span::ZERO, |realm| realm.freshness);
        Self { bound, strict_since: None }
    }

    /// Of keys of any realm: what a change of a tenant has to wait for.
    pub fn of_all(policy: &Policy) -> Self {
        let bound = policy.realms.iter().map(|realm| realm.freshness).max().unwrap_or_default();
        Self { bound, strict_since: None }
    }

    /// Of a key that its coordinator has known as strict since this moment.
    #[must_use]
    pub fn strict_since(self, strict_since: Option<Timestamp>) -> Self {
        Self { strict_since, ..self }
    }

    /// The moment from which on what the coordinator was told at `told_at` holds everywhere.
    pub fn everywhere_by(self, told_at: Timestamp) -> Timestamp {
        // By then, what was remembered before is forgotten.
        let since = self.strict_since.map_or(told_at, |since| since.min(told_at));
        let last = since + self.bound;
        last.max(told_at)
    }
}

/// How many coordinators have been told, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telling {
    /// When the last of them was told. That moment is stored, so that a repeated call promises the same.
    pub at: Timestamp,
    /// Keys whose coordinators have not been told yet.
    pub pending: usize,
}
