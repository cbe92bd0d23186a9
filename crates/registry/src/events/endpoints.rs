//! The endpoints of the policy, and how each is doing.

use keyward_core::{
    sql::{self, Sql, SqlError},
    time::Timestamp,
};
use keyward_policy::Policy;
use serde_json::Value;

use super::{notices, queue::Queue};
use crate::to_json::object;

/// How an endpoint is doing.
pub struct Endpoint {
    /// Its name in the policy.
    pub name: String,
    failures: i64,
    due: Timestamp,
    delivered: Option<String>,
    delivered_at: Option<Timestamp>,
    failing_since: Option<Timestamp>,
    error: Option<String>,
    gone_at: Option<Timestamp>,
    lost: i64,
    waiting: i64,
}

keyward_core::from_row!(Endpoint {
    name,
    failures,
    due,
    delivered,
    delivered_at,
    failing_since,
    error,
    gone_at,
    lost,
    waiting
});

/// Adopts the endpoints of a policy. A new one is sent what happens from now on; of one that is gone, nothing is left to send, nor what
/// waits for one that does not want its type any more.
///
/// # Errors
/// What SQLite says.
pub fn adopt(db: &dyn Sql, policy: &Policy, now: Timestamp) -> Result<(), SqlError> {
    let names: Vec<&str> = policy.admin.events.iter().map(|endpoint| endpoint.name).collect();
    let known: Vec<String> = sql::scalars(db, "SELECT name FROM event_endpoints", &[])?;
    if known.is_empty() && !names.is_empty() {
        // Whatever lies unused for long by now, or is close to its end, nobody asked.
        notices::skip(db, now)?;
    }
    for name in known.iter().filter(|known| !names.contains(&known.as_str())) {
        db.run("DELETE FROM event_deliveries WHERE endpoint = ?", &[name.as_str().into()])?;
        db.run("DELETE FROM event_endpoints WHERE name = ?", &[name.as_str().into()])?;
    }
    for name in names.iter().filter(|name| !known.iter().any(|known| known == *name)) {
        let last = "INSERT INTO event_endpoints (name, queued)
            VALUES (?, COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0))";
        db.run(last, &[(*name).into()])?;
    }
    for endpoint in policy.admin.events {
        Queue { db, endpoint }.drop_unwanted()?;
    }
    Ok(())
}

/// All of them.
///
/// # Errors
/// What SQLite says.
pub fn list(db: &dyn Sql) -> Result<Vec<Endpoint>, SqlError> {
    let all = "SELECT *, (SELECT COUNT(*) FROM event_deliveries WHERE endpoint = name) AS waiting
        FROM event_endpoints ORDER BY name";
    sql::query(db, all, &[])
}

impl Endpoint {
    /// As the API shows it.
    pub fn view(&self, policy: &Policy) -> Value {
        let types = policy.admin.events.iter().find(|endpoint| endpoint.name == self.name);
        let types = types.map(|endpoint| endpoint.types).unwrap_or_default();
        let types: Vec<Value> = types.iter().map(|kind| kind.name().into()).collect();
        let state = match (self.gone_at, self.failing_since) {
            (Some(_), _) => "gone",
            (None, Some(_)) => "failing",
            (None, None) => "ok",
        };
        object!({
            "name": self.name,
            "types": types,
            "state": state,
            "lastDelivered": self.delivered,
            "lastDeliveredAt": self.delivered_at.map(Timestamp::to_rfc3339),
            "waiting": self.waiting,
            "lost": self.lost,
            "failures": self.failures,
            "failingSince": self.failing_since.map(Timestamp::to_rfc3339),
            "nextAttemptAt": self.failing_since.map(|_| self.due.to_rfc3339()),
            "goneAt": self.gone_at.map(Timestamp::to_rfc3339),
            "error": self.error,
        })
    }
}
