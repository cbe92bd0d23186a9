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
    time::{DAY, HOUR, MINUTE, Timestamp},
    wire::{RefusalCounts, UsageReport, UsageTaken},
};

/// How much time a point can stand for.
const STEPS: [(&str, i64); 2] = [("1h", HOUR), ("1d", DAY)];
/// How many points there are if the caller does not say from when.
const USUAL_POINTS: i64 = 24;
/// Most points of one answer: six weeks by the hour.
const MOST_POINTS: i64 = 1_000;

/// An hour that begins later than this from now has not come: the KeyGate's clock is wrong, or this one.
const EARLY: i64 = MINUTE;

#[derive(PartialEq, Eq, Deserialize)]
struct Row {
    accepted: u64,
    refused: String,
    taken_back: u64,
}

/// Takes a KeyGate's report in, writing only what it changes. One of a key that does not exist
/// changes nothing. Hours that have not come are not taken, where the KeyGate tells them again once its clock is
/// right.
///
/// # Errors
/// What SQLite says.
pub fn apply(db: &dyn Sql, report: &UsageReport, now: Timestamp) -> Result<UsageTaken, SqlError> {
    sql::transaction(db, || apply_in_turn(db, report, now))
}

fn apply_in_turn(db: &dyn Sql, report: &UsageReport, now: Timestamp) -> Result<UsageTaken, SqlError> {
    #[derive(Deserialize)]
    struct Key {
        tenant_id: String,
    }
    let id = report.key_id.as_str();
    let Some(key) = sql::query_one::<Key>(db, "SELECT tenant_id FROM keys WHERE id = ?", &[id.into()])?
    else {
        return Ok(UsageTaken::default());
    };
    let tells_again = report.sent.is_some();
    let mut early = Vec::new();
    for hour in &report.hours {
        if tells_again && hour.hour > now.plus(EARLY) {
            early.push(hour.hour);
            continue;
        }
        let known = sql::query_one::<Row>(
            db,
            "SELECT accepted, refused, taken_back FROM usage WHERE key_id = ? AND hour = ?",
            &[id.into(), hour.hour.into()],
        )?;
        // Totals only grow: of two reports of one hour the larger number is the later one.
        let (before, back) = known.as_ref().map_or((0, 0), |row| (row.accepted, row.taken_back));
        let counted = before.saturating_add(back).max(hour.accepted.saturating_add(hour.taken_back));
        let taken_back = back.max(hour.taken_back);
        let mut refused: RefusalCounts =
            known.as_ref().and_then(|row| serde_json::from_str(&row.refused).ok()).unwrap_or_default();
        for (code, count) in &hour.refused {
            let known = refused.entry(code.clone()).or_default();
            *known = (*known).max(*count);
        }
        let accepted = counted - taken_back;
        let new = Row { accepted, refused: serde_json::to_string(&refused).unwrap_or_default(), taken_back };
        if known.as_ref() == Some(&new) {
            continue;
        }
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX).into();
        let values = [
            key.tenant_id.as_str().into(),
            id.into(),
            hour.hour.into(),
            number(new.accepted),
            new.refused.into(),
            number(new.taken_back),
        ];
        let put = "INSERT OR REPLACE INTO usage (tenant_id, key_id, hour, accepted, refused, taken_back)
            VALUES (?, ?, ?, ?, ?, ?)";
        db.run(put, &values)?;
    }
    if let Some(used) = report.last_used_at {
        let latest = if tells_again { now } else { used };
        let used = used.min(latest);
        // One of the future was told by a clock that was wrong.
        let later = "UPDATE keys SET last_used_at = ?
            WHERE id = ? AND (COALESCE(last_used_at, 0) < ? OR ? AND last_used_at > ?)";
        db.run(later, &[used.into(), id.into(), used.into(), tells_again.into(), latest.into()])?;
    }
    Ok(UsageTaken { early })
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
            "SELECT hour, accepted, refused, taken_back FROM usage WHERE key_id = ? AND hour >= ? AND hour < ?",
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
