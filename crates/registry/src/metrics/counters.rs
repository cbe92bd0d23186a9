//! Counts that only grow, for Prometheus: sums of usage shrink when days are removed and when requests are taken back, which it
//! would take for a count that began anew. They begin with the build that has them.

use keyward_core::{
    sql::{self, Sql, SqlError},
    time::{DAY, Span, Timestamp},
};

/// Most of them. Further ones of the same metric count together, under [`OTHER`].
pub const MOST: u32 = 2_000;
/// In place of a name.
pub const OTHER: &str = "other";
/// How long one stays that does not grow: a route or realm that has left the policy.
const KEPT: Span = Span::from_days(90);
const REMOVED_AT_ONCE: u32 = 100;
/// The largest whole number that a double holds, as Prometheus reads it.
const LARGEST: i64 = 9_007_199_254_740_991;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Requests of keys of a realm that were let through.
    Accepted,
    /// Requests of keys of a realm that were refused, by code.
    Refused,
    /// Refused requests that belong to no key, by code.
    Unattributed,
    /// Requests let through, by realm, method and path.
    AcceptedOnRoute,
    /// Requests refused, by realm, method and path.
    RefusedOnRoute,
    /// Failures to sign in.
    SignIn,
}

impl What {
    /// As stored.
    fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unattributed => "unattributed",
            Self::AcceptedOnRoute => "route accepted",
            Self::RefusedOnRoute => "route refused",
            Self::SignIn => "sign-in",
        }
    }
}

/// Counts this many more.
///
/// # Errors
/// What SQLite says.
pub fn add(
    db: &dyn Sql,
    (what, realm, name): (What, &str, &str),
    more: u64,
    now: Timestamp,
) -> Result<(), SqlError> {
    if more == 0 {
        return Ok(());
    }
    let more = i64::try_from(more).unwrap_or(LARGEST).min(LARGEST);
    let day = now.floor(DAY);
    let grow = "UPDATE counters SET count = MIN(count + ?, ?), day = ?
        WHERE what = ? AND realm = ? AND name = ? RETURNING 1";
    let of = |realm: &str, name: &str| [what.name().into(), realm.into(), name.into()];
    let grown = |realm: &str, name: &str| {
        let [what, realm, name] = of(realm, name);
        db.run(grow, &[more.into(), LARGEST.into(), day.into(), what, realm, name])
    };
    if !grown(realm, name)?.is_empty() {
        return Ok(());
    }
    let full = sql::scalar::<u32>(db, "SELECT COUNT(*) FROM counters", &[])? >= Some(MOST);
    let (realm, name) = if full { ("", OTHER) } else { (realm, name) };
    if full && !grown(realm, name)?.is_empty() {
        return Ok(());
    }
    let [what, realm, name] = of(realm, name);
    let begin = "INSERT INTO counters (what, realm, name, count, day) VALUES (?, ?, ?, ?, ?)";
    db.run(begin, &[what, realm, name, more.into(), day.into()]).map(drop)
}

/// One of them.
pub struct Counter {
    /// Empty where there is none.
    pub realm: String,
    /// A code, a method and a path, or nothing.
    pub name: String,
    /// How often.
    pub count: u64,
}

keyward_core::from_row!(Counter { realm, name, count });

/// All of a kind.
///
/// # Errors
/// What SQLite says.
pub fn read(db: &dyn Sql, what: What) -> Result<Vec<Counter>, SqlError> {
    let all = "SELECT realm, name, count FROM counters WHERE what = ? ORDER BY realm, name";
    sql::query(db, all, &[what.name().into()])
}

/// Removes those that have not grown for long, a few at a time.
///
/// # Errors
/// What SQLite says.
pub fn remove_old(db: &dyn Sql, now: Timestamp) -> Result<(), SqlError> {
    let old = "DELETE FROM counters WHERE rowid IN (SELECT rowid FROM counters WHERE day < ? LIMIT ?)";
    db.run(old, &[(now - KEPT).into(), REMOVED_AT_ONCE.into()]).map(drop)
}
