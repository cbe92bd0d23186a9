//! The one place where "everywhere by" is computed: from when on what KeyGates were told holds everywhere.

use keyward_core::time::Timestamp;
use keyward_policy::Policy;

/// How long what a KeyGate was told may take to hold everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// How old a decision may be, in milliseconds.
    longest_ms: u32,
    /// Since then nothing is remembered that was decided later.
    strict_since: Option<Timestamp>,
}

impl Freshness {
    /// Of keys of this realm.
    pub fn of_realm(policy: &Policy, realm: &str) -> Self {
        let longest_ms = policy.realm(realm).map_or(0, |realm| realm.freshness_ms);
        Self { longest_ms, strict_since: None }
    }

    /// Of keys of any realm: what a change of a tenant has to wait for.
    pub fn of_all(policy: &Policy) -> Self {
        let longest_ms = policy.realms.iter().map(|realm| realm.freshness_ms).max().unwrap_or_default();
        Self { longest_ms, strict_since: None }
    }

    /// Of a key that its KeyGate has known as strict since this moment.
    #[must_use]
    pub fn strict_since(self, strict_since: Option<Timestamp>) -> Self {
        Self { strict_since, ..self }
    }

    /// The moment from which on what the KeyGate was told at `told_at` holds everywhere.
    pub fn everywhere_by(self, told_at: Timestamp) -> Timestamp {
        // What was remembered before is forgotten by then.
        let since = self.strict_since.map_or(told_at, |since| since.min(told_at));
        let last = since.plus(self.longest_ms.into());
        last.max(told_at)
    }
}

/// How far telling KeyGates has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telling {
    /// When the last of those that know was told: the moment that is stored, so that a repeated call
    /// promises the same.
    pub at: Timestamp,
    /// Keys whose KeyGates do not know yet.
    pub pending: usize,
}
