//! Usage as a caller asks for it: points in time.

use std::collections::BTreeMap;

use keyward_core::{
    sql::{self, FromRow, Row, Sql, SqlError},
    time::{DAY, HOUR, Span, Timestamp},
};
use keyward_limits::wire::{RefusalCounts, UNATTRIBUTED};
use serde_json::Value;

use super::{
    counts::Counts,
    retention,
    totals::{self, DEPLOYMENT},
};
use crate::{
    context::RequestContext,
    error::ApiError,
    handler::HandlerResult,
    input::{self, Input},
    outcome::Outcome,
    principal::{Principal, Right},
    to_json::{ToJson, object},
};

/// How much time a point can stand for.
const STEPS: [(&str, Span); 2] = [("1h", HOUR), ("1d", DAY)];
/// How many points there are if the caller does not say from when.
const USUAL_POINTS: i64 = 24;
/// Of how many keys one call shows the usage.
pub const MOST_AT_ONCE: usize = 100;
/// Most points of one answer: six weeks by the hour.
const MOST_POINTS: i64 = 1_000;

/// `GET /api-keys/{id}/usage`
pub fn show(context: &mut RequestContext<'_>, principal: &Principal, id: &str) -> HandlerResult {
    let key = context.key(principal, id)?;
    let first = retention::first_hour_of(context.db, &key.tenant_id, context.now)?;
    let query = Input::query(&context.call.query, &["from", "to", "step"]);
    let period = Period::read(query, first, context.now)?;
    Ok(Outcome::ok(object!({ "points": views(period.points(context.db, &key.id)?) })))
}

/// `GET /api-keys/usage?ids`: of several keys the last day, for lists. An id of no key of the tenant is left out.
pub fn show_many(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let mut query = Input::query(&context.call.query, &["ids"]);
    let ids = query.required("ids", |value| {
        let ids: Vec<Value> = value.as_str().unwrap_or_default().split(',').map(Value::from).collect();
        input::list(&ids.into(), MOST_AT_ONCE, input::text)
    });
    query.finish()?;
    let from = context.now.floor(HOUR) - HOUR * (USUAL_POINTS - 1);
    let whose = "SELECT id FROM keys WHERE id IN (SELECT value FROM json_each(?)) AND tenant_id = ?";
    let of = [ids.to_json().to_string().into(), principal.tenant_id().into()];
    let known = sql::scalars::<String>(context.db, whose, &of)?;
    let mut keys = Vec::new();
    for id in ids.iter().flatten().filter(|id| known.contains(id)) {
        let hours = Period { from, to: from + HOUR * USUAL_POINTS, step: HOUR }.points(context.db, id)?;
        let accepted: Vec<u64> = hours.values().map(|hour| hour.accepted).collect();
        let refused: Vec<u64> = hours
            .values()
            .map(|hour| hour.refused.values().fold(0, |sum: u64, count| sum.saturating_add(*count)))
            .collect();
        keys.push(object!({ "id": id, "accepted": accepted, "refused": refused }));
    }
    Ok(Outcome::ok(object!({ "from": from.to_rfc3339(), "step": "1h", "keys": keys })))
}

/// `GET /usage`
pub fn show_all(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let mut query = Input::query(&context.call.query, &["from", "to", "step", "scope"]);
    let scope = query.optional("scope", |value| {
        input::one_of(value, &[("tenant", principal.tenant_id()), ("deployment", DEPLOYMENT)])
    });
    let period = Period::read(query, retention::first_hour(context.now), context.now)?;
    let of = scope.unwrap_or(principal.tenant_id());
    if of == DEPLOYMENT {
        principal.require(Right::Tenants)?;
    }
    let mut points = views(period.totals(context.db, of)?);
    if of == DEPLOYMENT {
        for (point, counts) in points.iter_mut().zip(period.totals(context.db, UNATTRIBUTED)?.values()) {
            let mut codes = RefusalCounts::new();
            for (refused, count) in &counts.refused {
                let (_, code) = refused.rsplit_once(' ').unwrap_or(("", refused));
                *codes.entry(code.to_owned()).or_default() += count;
            }
            if let Some(point) = point.as_object_mut() {
                point.insert("unattributed".to_owned(), codes.to_json());
            }
        }
    }
    Ok(Outcome::ok(object!({ "points": points })))
}

/// The requests of one hour or day.
struct Point {
    time: Timestamp,
    counts: Counts,
}

impl FromRow for Point {
    fn from_row(row: &Row) -> Result<Self, SqlError> {
        Ok(Self { time: row.get("time")?, counts: Counts::from_row(row)? })
    }
}

type Points = BTreeMap<Timestamp, Counts>;

/// The time that is asked about, in points of one step each.
struct Period {
    /// Begin of the first point.
    from: Timestamp,
    /// The first moment that is not asked about.
    to: Timestamp,
    step: Span,
}

impl Period {
    /// `first`: the first hour that is kept as such.
    fn read(mut query: Input, first: Timestamp, now: Timestamp) -> Result<Self, ApiError> {
        let step = query.optional("step", |value| input::one_of(value, &STEPS)).unwrap_or(HOUR);
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
            None if step == HOUR && to <= first => {
                return Err(ApiError::field("to", message("is not after")));
            }
            None if step == HOUR => (to - step * USUAL_POINTS).max(first),
            None => to - step * USUAL_POINTS,
        };
        let period = Self { from: from.floor(step), to, step };
        if from >= to {
            return Err(ApiError::field(
                "from",
                format!("must be before `to`, which is {}", to.to_rfc3339()),
            ));
        }
        if period.to - period.from > step * MOST_POINTS {
            let message =
                format!("is more than {MOST_POINTS} steps before `to`: ask for less, or in longer steps");
            return Err(ApiError::field("from", message));
        }
        if step == HOUR && period.from < first {
            return Err(ApiError::field("from", message("is before")));
        }
        Ok(period)
    }

    /// Every point, in the order of time, without a request.
    fn empty(&self) -> Points {
        let mut points = Points::new();
        let mut time = self.from;
        while time < self.to {
            points.insert(time, Counts::default());
            time = time + self.step;
        }
        points
    }

    /// Those of a tenant, or of all.
    fn totals(&self, db: &dyn Sql, tenant_id: &str) -> Result<Points, SqlError> {
        let mut points = self.empty();
        for total in totals::read(db, tenant_id, self.step, self.from, self.to)? {
            points.entry(total.time).or_default().count(total.code, total.count);
        }
        Ok(points)
    }

    /// Those of a key.
    fn points(&self, db: &dyn Sql, key_id: &str) -> Result<Points, SqlError> {
        let mut points = self.empty();
        // A day may stand in both: its hours are rolled up one by one.
        let hours =
            "SELECT hour AS time, accepted, refused FROM usage WHERE key_id = ? AND hour >= ? AND hour < ?";
        let days =
            "SELECT day AS time, accepted, refused FROM usage_days WHERE key_id = ? AND day >= ? AND day < ?";
        let tables: &[&str] = if self.step == DAY { &[hours, days] } else { &[hours] };
        for table in tables {
            for Point { time, counts } in
                sql::query::<Point>(db, table, &[key_id.into(), self.from.into(), self.to.into()])?
            {
                points.entry(time.floor(self.step)).or_default().add(&counts);
            }
        }
        Ok(points)
    }
}

fn views(points: Points) -> Vec<Value> {
    let view = |(time, counts): (Timestamp, Counts)| object!({ "time": time.to_rfc3339(), "accepted": counts.accepted, "refused": counts.refused });
    points.into_iter().map(view).collect()
}
