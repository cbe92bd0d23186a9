//! Usage as a caller asks for it: points in time.

use std::collections::BTreeMap;

use keyward_core::{
    sql::{self, Sql, SqlError},
    time::{DAY, HOUR, Timestamp},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{counts::Counts, retention};
use crate::{
    context::RequestContext,
    error::ApiError,
    handler::HandlerResult,
    input::{self, Input},
    outcome::Outcome,
    principal::Principal,
};

/// How much time a point can stand for.
const STEPS_MS: [(&str, i64); 2] = [("1h", HOUR), ("1d", DAY)];
/// How many points there are if the caller does not say from when.
const USUAL_POINTS: i64 = 24;
/// Most points of one answer: six weeks by the hour.
const MOST_POINTS: i64 = 1_000;

/// `GET /api-keys/{id}/usage`
pub fn show(context: &mut RequestContext<'_>, principal: &Principal, id: &str) -> HandlerResult {
    let key = context.key(principal, id)?;
    let first = retention::first_hour_of(context.db, &key.tenant_id, context.now)?;
    let span = Span::read(&context.call.query, first, context.now)?;
    Ok(Outcome::ok(json!({ "points": span.points(context.db, &key.id)? })))
}

/// The time that is asked about, in points of one step each.
struct Span {
    /// Begin of the first point.
    from: Timestamp,
    /// The first moment that is not asked about.
    to: Timestamp,
    step_ms: i64,
}

impl Span {
    /// `first`: the first hour that is kept as such.
    fn read(query: &str, first: Timestamp, now: Timestamp) -> Result<Self, ApiError> {
        let mut query = Input::query(query, &["from", "to", "step"]);
        let step_ms = query.optional("step", |value| input::one_of(value, &STEPS_MS)).unwrap_or(HOUR);
        let to = query.optional("to", input::time).unwrap_or(now);
        let named = query.optional("from", input::time);
        query.finish()?;
        let message = |what: &str| {
            format!(
                "{what} {}: of older days only totals are kept. Ask for them with `step=1d`",
                first.to_rfc3339()
            )
        };
        let from = match named {
            Some(from) => from,
            None if step_ms == HOUR && to <= first => {
                return Err(ApiError::field("to", message("is not after")));
            }
            None if step_ms == HOUR => to.plus(-USUAL_POINTS * step_ms).max(first),
            None => to.plus(-USUAL_POINTS * step_ms),
        };
        let span = Self { from: from.floor(step_ms), to, step_ms };
        if from >= to {
            return Err(ApiError::field(
                "from",
                format!("must be before `to`, which is {}", to.to_rfc3339()),
            ));
        }
        if span.to.0 - span.from.0 > MOST_POINTS * step_ms {
            let message =
                format!("is more than {MOST_POINTS} steps before `to`: ask for less, or in longer steps");
            return Err(ApiError::field("from", message));
        }
        if step_ms == HOUR && span.from < first {
            return Err(ApiError::field("from", message("is before")));
        }
        Ok(span)
    }

    /// Every point, in the order of time; those without a request too.
    fn points(&self, db: &dyn Sql, key_id: &str) -> Result<Vec<Value>, SqlError> {
        #[derive(Deserialize)]
        struct Row {
            time: Timestamp,
            #[serde(flatten)]
            counts: Counts,
        }
        let mut points = BTreeMap::<Timestamp, Counts>::new();
        let mut time = self.from;
        while time < self.to {
            points.insert(time, Counts::default());
            time = time.plus(self.step_ms);
        }
        // A day may stand in both: its hours are rolled up one by one.
        let hours =
            "SELECT hour AS time, accepted, refused FROM usage WHERE key_id = ? AND hour >= ? AND hour < ?";
        let days =
            "SELECT day AS time, accepted, refused FROM usage_days WHERE key_id = ? AND day >= ? AND day < ?";
        let tables: &[&str] = if self.step_ms == DAY { &[hours, days] } else { &[hours] };
        for table in tables {
            for Row { time, counts } in
                sql::query::<Row>(db, table, &[key_id.into(), self.from.into(), self.to.into()])?
            {
                points.entry(time.floor(self.step_ms)).or_default().add(&counts);
            }
        }
        let view = |(time, counts): (Timestamp, Counts)| json!({ "time": time.to_rfc3339(), "accepted": counts.accepted, "refused": counts.refused });
        Ok(points.into_iter().map(view).collect())
    }
}
