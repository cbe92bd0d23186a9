//! Usage by key and hour, as the KeyGates report it: whole totals, so that a report that comes
//! twice or late counts once. And what of it a caller asks for.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    registry::{
        Handled, Outcome, Turn,
        error::Refusal,
        input::{self, Input},
        principal::Principal,
    },
    sql::{self, Sql, SqlError},
    time::{DAY, HOUR, Timestamp},
    wire::{RefusalCounts, UsageReport},
};

/// How much time a point can stand for.
const STEPS: [(&str, i64); 2] = [("1h", HOUR), ("1d", DAY)];
/// How many points there are if the caller does not say from when.
const USUAL_POINTS: i64 = 24;
/// Most points of one answer: six weeks by the hour.
const MOST_POINTS: i64 = 1_000;

#[derive(PartialEq, Eq, Deserialize)]
struct Row {
    accepted: u64,
    refused: String,
}

/// Takes a KeyGate's report in, writing only what it changes. One of a key that does not exist
/// changes nothing.
///
/// # Errors
/// What SQLite says.
pub fn apply(db: &dyn Sql, report: &UsageReport) -> Result<(), SqlError> {
    sql::transaction(db, || apply_in_turn(db, report))
}

fn apply_in_turn(db: &dyn Sql, report: &UsageReport) -> Result<(), SqlError> {
    #[derive(Deserialize)]
    struct Key {
        tenant_id: String,
    }
    let id = report.key_id.as_str();
    let Some(key) = sql::query_one::<Key>(db, "SELECT tenant_id FROM keys WHERE id = ?", &[id.into()])?
    else {
        return Ok(());
    };
    for hour in &report.hours {
        let known = sql::query_one::<Row>(
            db,
            "SELECT accepted, refused FROM usage WHERE key_id = ? AND hour = ?",
            &[id.into(), hour.hour.into()],
        )?;
        // Totals only grow: of two reports of one hour the larger number is the later one.
        let accepted = known.as_ref().map_or(0, |row| row.accepted).max(hour.accepted);
        let mut refused: RefusalCounts =
            known.as_ref().and_then(|row| serde_json::from_str(&row.refused).ok()).unwrap_or_default();
        for (code, count) in &hour.refused {
            let known = refused.entry(code.clone()).or_default();
            *known = (*known).max(*count);
        }
        let new = Row { accepted, refused: serde_json::to_string(&refused).unwrap_or_default() };
        if known.as_ref() == Some(&new) {
            continue;
        }
        let values = [
            key.tenant_id.as_str().into(),
            id.into(),
            hour.hour.into(),
            i64::try_from(new.accepted).unwrap_or(i64::MAX).into(),
            new.refused.into(),
        ];
        let put = "INSERT OR REPLACE INTO usage (tenant_id, key_id, hour, accepted, refused) VALUES (?, ?, ?, ?, ?)";
        db.run(put, &values)?;
    }
    if let Some(used) = report.last_used_at {
        let later = "UPDATE keys SET last_used_at = ? WHERE id = ? AND COALESCE(last_used_at, 0) < ?";
        db.run(later, &[used.into(), id.into(), used.into()])?;
    }
    Ok(())
}

/// `GET /api-keys/{id}/usage`
pub fn show(turn: &mut Turn<'_>, principal: &Principal, id: &str) -> Handled {
    let key = turn.key(principal, id)?;
    let span = Span::read(&turn.call.query, turn.now)?;
    Ok(Outcome::ok(json!({ "points": span.points(turn.db, &key.id)? })))
}

/// The time that is asked about, in points of one step each.
struct Span {
    /// Begin of the first point.
    from: Timestamp,
    /// The first moment that is not asked about.
    to: Timestamp,
    step: i64,
}

impl Span {
    fn read(query: &str, now: Timestamp) -> Result<Self, Refusal> {
        let mut query = Input::query(query, &["from", "to", "step"]);
        let step = query.optional("step", |value| input::one_of(value, &STEPS)).unwrap_or(HOUR);
        let to = query.optional("to", input::time).unwrap_or(now);
        let from = query.optional("from", input::time).unwrap_or(to.plus(-USUAL_POINTS * step));
        query.finish()?;
        let span = Self { from: from.floor(step), to, step };
        if from >= to {
            return Err(Refusal::field("from", format!("must be before `to`, which is {}", to.to_rfc3339())));
        }
        if span.to.0 - span.from.0 > MOST_POINTS * step {
            let message =
                format!("is more than {MOST_POINTS} steps before `to`: ask for less, or in longer steps");
            return Err(Refusal::field("from", message));
        }
        Ok(span)
    }

    /// Every point, in the order of time; those without a request too.
    fn points(&self, db: &dyn Sql, key_id: &str) -> Result<Vec<Value>, SqlError> {
        #[derive(Deserialize)]
        struct Hour {
            hour: Timestamp,
            #[serde(flatten)]
            row: Row,
        }
        let mut points = BTreeMap::<Timestamp, (u64, RefusalCounts)>::new();
        let mut time = self.from;
        while time < self.to {
            points.insert(time, Default::default());
            time = time.plus(self.step);
        }
        let hours = sql::query::<Hour>(
            db,
            "SELECT hour, accepted, refused FROM usage WHERE key_id = ? AND hour >= ? AND hour < ?",
            &[key_id.into(), self.from.into(), self.to.into()],
        )?;
        for Hour { hour, row } in hours {
            let (accepted, refused) = points.entry(hour.floor(self.step)).or_default();
            *accepted = accepted.saturating_add(row.accepted);
            for (code, count) in serde_json::from_str::<RefusalCounts>(&row.refused).unwrap_or_default() {
                let total = refused.entry(code).or_default();
                *total = total.saturating_add(count);
            }
        }
        let view = |(time, (accepted, refused)): (Timestamp, (u64, RefusalCounts))| json!({ "time": time.to_rfc3339(), "accepted": accepted, "refused": refused });
        Ok(points.into_iter().map(view).collect())
    }
}
