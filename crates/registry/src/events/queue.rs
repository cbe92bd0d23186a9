//! What is to be sent next to an endpoint, and when to try again. An attempt is counted before it is made: if the object dies in
//! between, the event is sent once more.
//!
//! Events that an endpoint is to get are put into its queue [`MOST_QUEUED`] at a time. Sent is the first of a key only, so those of
//! one key are delivered in order; among keys, what has failed least comes first, so one that cannot be delivered keeps nobody waiting.
//! It and what waits behind it take no place from others, until there are [`MOST_WAITING`].

use keyward_core::{
    sql::{self, Sql, SqlError},
    time::{Span, Timestamp},
};
use keyward_policy::EventEndpoint;
use serde_json::Value;

use super::body::{COLUMNS, Event};

/// Wait after the first failure; it doubles with each further one.
const FIRST_RETRY: Span = Span::from_secs(5);
/// Longest wait.
pub const LAST_RETRY: Span = Span::from_mins(10);
/// Events in the queue of one endpoint of whose keys none has failed.
const MOST_QUEUED: u32 = 500;
/// Events in the queue of one endpoint, with those that failed and those that wait behind them.
const MOST_WAITING: u32 = 5_000;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Delivered,
    /// The receiver wants nothing any more (410 Gone).
    Gone,
    /// It was not taken, and why.
    Failed(String),
}

impl Outcome {
    /// Of an answer's status.
    pub fn of(status: u16) -> Self {
        match status {
            200..300 => Self::Delivered,
            410 => Self::Gone,
            300..400 => Self::Failed(format!("answered {status}: redirects are not followed")),
            _ => Self::Failed(format!("answered {status}")),
        }
    }
}

/// The queue of one endpoint.
#[derive(Clone, Copy)]
pub struct Queue<'a> {
    /// The object's database.
    pub db: &'a dyn Sql,
    /// The endpoint.
    pub endpoint: &'a EventEndpoint,
}

struct Head {
    number: i64,
    attempts: u32,
}

keyward_core::from_row!(Head { number, attempts });

impl Queue<'_> {
    /// Begins an attempt to send the next event; `None` if there is none, or its time has not come.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn begin(&self, now: Timestamp) -> Result<Option<Event>, SqlError> {
        sql::transaction(self.db, || {
            if !self.is_open(now)? {
                return Ok(None);
            }
            self.fill()?;
            let next =
                "SELECT number, attempts FROM event_deliveries AS one WHERE endpoint = ?1 AND due <= ?2
                AND NOT EXISTS (SELECT 1 FROM event_deliveries
                    WHERE endpoint = ?1 AND subject = one.subject AND number < one.number)
                ORDER BY attempts, number LIMIT 1";
            let Some(head) = sql::query_one::<Head>(self.db, next, &[self.name(), now.into()])? else {
                return Ok(None);
            };
            let begun = "UPDATE event_deliveries SET attempts = attempts + 1, due = ? WHERE endpoint = ? AND number = ?";
            let due = now + wait(head.attempts);
            self.db.run(begun, &[due.into(), self.name(), head.number.into()])?;
            let event = format!("SELECT {COLUMNS} FROM events WHERE number = ?");
            sql::query_one::<Event>(self.db, &event, &[head.number.into()])
        })
    }

    /// Notes how an attempt ended.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn end(&self, event: &Event, outcome: &Outcome, now: Timestamp) -> Result<(), SqlError> {
        sql::transaction(self.db, || match outcome {
            Outcome::Delivered => {
                let done = "DELETE FROM event_deliveries WHERE endpoint = ? AND number = ?";
                self.db.run(done, &[self.name(), event.number.into()])?;
                let well =
                    "UPDATE event_endpoints SET failures = 0, due = 0, failing_since = NULL, error = NULL,
                        delivered = ?, delivered_at = ? WHERE name = ?";
                self.db.run(well, &[event.id.as_str().into(), now.into(), self.name()])
            }
            Outcome::Gone => {
                let gone = "UPDATE event_endpoints SET gone_at = ?, error = 'answered 410' WHERE name = ?";
                self.db.run(gone, &[now.into(), self.name()])
            }
            Outcome::Failed(why) => {
                let failures = "SELECT failures FROM event_endpoints WHERE name = ?";
                let failures = sql::scalar::<u32>(self.db, failures, &[self.name()])?.unwrap_or_default();
                let failed = "UPDATE event_endpoints SET failures = failures + 1, due = ?,
                        failing_since = COALESCE(failing_since, ?), error = ? WHERE name = ?";
                let due = now + wait(failures);
                self.db.run(failed, &[due.into(), now.into(), why.as_str().into(), self.name()])
            }
        })
        .map(drop)
    }

    /// When the next attempt is due; `None` if nothing waits.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, SqlError> {
        struct State {
            due: Timestamp,
            queued: i64,
        }
        keyward_core::from_row!(State { due, queued });
        let state = "SELECT due, queued FROM event_endpoints WHERE name = ? AND gone_at IS NULL";
        let Some(state) = sql::query_one::<State>(self.db, state, &[self.name()])? else { return Ok(None) };
        // What waits for an earlier event of its key is not due.
        let head = "SELECT MIN(due) AS next FROM event_deliveries AS one WHERE endpoint = ?1
            AND NOT EXISTS (SELECT 1 FROM event_deliveries
                WHERE endpoint = ?1 AND subject = one.subject AND number < one.number)";
        let head = sql::scalar::<Option<Timestamp>>(self.db, head, &[self.name()])?.flatten();
        let more = "SELECT 1 FROM events WHERE number > ? LIMIT 1";
        let more = self.room()? > 0 && !self.db.run(more, &[state.queued.into()])?.is_empty();
        let next = if more { Some(Timestamp(0)) } else { head };
        let next = next.map(|next| next.max(state.due));
        // As in `is_open`.
        Ok(next.map(|next| if next > now + LAST_RETRY { now } else { next }))
    }

    /// Sends everything once more that came after this number, and what waits, also if the receiver was gone.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn replay(&self, after: i64) -> Result<(), SqlError> {
        self.db.run(
            "DELETE FROM event_deliveries WHERE endpoint = ? AND number > ?",
            &[self.name(), after.into()],
        )?;
        let again =
            "UPDATE event_endpoints SET queued = MIN(queued, ?), gone_at = NULL, failures = 0, due = 0,
            failing_since = NULL, error = NULL WHERE name = ?";
        self.db.run(again, &[after.into(), self.name()])?;
        let again = "UPDATE event_deliveries SET attempts = 0, due = 0 WHERE endpoint = ?";
        self.db.run(again, &[self.name()]).map(drop)
    }

    /// Removes what waits of types that the endpoint does not want any more.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn drop_unwanted(&self) -> Result<(), SqlError> {
        let unwanted = "DELETE FROM event_deliveries WHERE endpoint = ?
            AND (SELECT type FROM events WHERE events.number = event_deliveries.number) NOT IN (SELECT value FROM json_each(?))";
        self.db.run(unwanted, &[self.name(), self.types()]).map(drop)
    }

    fn is_open(&self, now: Timestamp) -> Result<bool, SqlError> {
        // One that would wait for longer than any does was set by a clock that was ahead.
        let open =
            "SELECT 1 FROM event_endpoints WHERE name = ? AND gone_at IS NULL AND (due <= ? OR due > ?)";
        let latest = now + LAST_RETRY;
        let back = "UPDATE event_deliveries SET due = ? WHERE endpoint = ? AND due > ?";
        self.db.run(back, &[now.into(), self.name(), latest.into()])?;
        Ok(!self.db.run(open, &[self.name(), now.into(), latest.into()])?.is_empty())
    }

    /// Puts the next events into the queue.
    fn fill(&self) -> Result<(), SqlError> {
        let last = "SELECT MAX(number) FROM (SELECT number FROM events
            WHERE number > (SELECT queued FROM event_endpoints WHERE name = ?) ORDER BY number LIMIT ?)";
        let last = sql::scalar::<Option<i64>>(self.db, last, &[self.name(), self.room()?.into()])?.flatten();
        let Some(last) = last else { return Ok(()) };
        let fill = "INSERT OR IGNORE INTO event_deliveries (endpoint, number, subject)
            SELECT ?1, number, subject FROM events
            WHERE number > (SELECT queued FROM event_endpoints WHERE name = ?1) AND number <= ?2
                AND type IN (SELECT value FROM json_each(?3))";
        self.db.run(fill, &[self.name(), last.into(), self.types()])?;
        let filled = "UPDATE event_endpoints SET queued = ? WHERE name = ?";
        self.db.run(filled, &[last.into(), self.name()]).map(drop)
    }

    /// How many events may be put into the queue.
    fn room(&self) -> Result<u32, SqlError> {
        struct Queued {
            in_all: u32,
            unfailed: u32,
        }
        keyward_core::from_row!(Queued { in_all, unfailed });
        let queued = "SELECT COUNT(*) AS in_all, COUNT(*) FILTER (WHERE subject NOT IN
                (SELECT subject FROM event_deliveries WHERE endpoint = ?1 AND attempts > 0)) AS unfailed
            FROM event_deliveries WHERE endpoint = ?1";
        let queued = sql::query_one::<Queued>(self.db, queued, &[self.name()])?;
        let queued = queued.unwrap_or(Queued { in_all: 0, unfailed: 0 });
        let of_all = MOST_WAITING.saturating_sub(queued.in_all);
        Ok(MOST_QUEUED.saturating_sub(queued.unfailed).min(of_all))
    }

    fn name(&self) -> sql::Value {
        self.endpoint.name.into()
    }

    /// The types that the endpoint wants, as a list in JSON.
    fn types(&self) -> sql::Value {
        self.endpoint.types.iter().map(|kind| kind.name()).collect::<Value>().to_string().into()
    }
}

/// How long to wait after this many failures in a row.
fn wait(failures: u32) -> Span {
    (FIRST_RETRY * (1 << failures.min(20))).min(LAST_RETRY)
}
