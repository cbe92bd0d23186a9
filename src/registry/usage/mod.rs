//! Usage by key and hour, as the KeyGates report it: whole totals, so that a report that comes
//! twice or late counts once. And what of it a caller asks for.

pub mod retention;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::{
    registry::{
        Handled, Outcome, Turn,
        error::Refusal,
        input::{self, Input},
        principal::Principal,
        schema,
    },
    sql::{self, Sql, SqlError, Value as Bound},
    time::{DAY, HOUR, MINUTE, Timestamp},
    wire::{RefusalCounts, UsageHour, UsageReport, UsageTaken},
};

/// How much time a point can stand for.
const STEPS: [(&str, i64); 2] = [("1h", HOUR), ("1d", DAY)];
/// How many points there are if the caller does not say from when.
const USUAL_POINTS: i64 = 24;
/// Most points of one answer: six weeks by the hour.
const MOST_POINTS: i64 = 1_000;

/// An hour that begins later than this from now has not come: the KeyGate's clock is wrong, or this one.
const EARLY: i64 = MINUTE;

/// Requests of one key in one hour or day, as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct Counts {
    accepted: u64,
    #[serde(deserialize_with = "refusals")]
    refused: RefusalCounts,
}

fn refusals<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RefusalCounts, D::Error> {
    Ok(serde_json::from_str(&String::deserialize(deserializer)?).unwrap_or_default())
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.accepted = self.accepted.saturating_add(other.accepted);
        for (code, count) in &other.refused {
            let total = self.refused.entry(code.clone()).or_default();
            *total = total.saturating_add(*count);
        }
    }

    fn columns(&self) -> [(&'static str, Bound); 2] {
        let accepted = i64::try_from(self.accepted).unwrap_or(i64::MAX);
        [("accepted", accepted.into()), ("refused", json!(self.refused).to_string().into())]
    }
}

/// What is known of one hour.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
struct Hour {
    #[serde(flatten)]
    counts: Counts,
    taken_back: u64,
}

impl Hour {
    /// Takes in another total. Totals only grow: of two the larger number is the later one.
    fn grow(&mut self, told: &UsageHour) {
        let before = self.counts.accepted.saturating_add(self.taken_back);
        let counted = before.max(told.accepted.saturating_add(told.taken_back));
        self.taken_back = self.taken_back.max(told.taken_back);
        self.counts.accepted = counted - self.taken_back;
        for (code, count) in &told.refused {
            let known = self.counts.refused.entry(code.clone()).or_default();
            *known = (*known).max(*count);
        }
    }

    fn columns(&self) -> [(&'static str, Bound); 3] {
        let [accepted, refused] = self.counts.columns();
        [accepted, refused, ("taken_back", i64::try_from(self.taken_back).unwrap_or(i64::MAX).into())]
    }
}

/// Takes a KeyGate's report in, writing only what it changes. One of a key that does not exist
/// changes nothing, nor does what it says of hours that are no longer kept as such. Hours that have not come are not
/// taken, where the KeyGate tells them again once its clock is right. Unless there is `room`, nothing is written of an
/// hour of which nothing is known yet.
///
/// # Errors
/// What SQLite says.
pub fn apply(db: &dyn Sql, report: &UsageReport, room: bool, now: Timestamp) -> Result<UsageTaken, SqlError> {
    sql::transaction(db, || apply_in_turn(db, report, room, now))
}

fn apply_in_turn(
    db: &dyn Sql,
    report: &UsageReport,
    room: bool,
    now: Timestamp,
) -> Result<UsageTaken, SqlError> {
    let id = report.key_id.as_str();
    let Some(tenant_id) = tenant_of(db, id)? else { return Ok(UsageTaken::default()) };
    let tells_again = report.sent.is_some();
    let mut early = Vec::new();
    let first = retention::first_hour_of(db, &tenant_id, now)?;
    for told in report.hours.iter().filter(|told| told.hour >= first) {
        if tells_again && told.hour > now.plus(EARLY) {
            early.push(told.hour);
            continue;
        }
        let known = "SELECT accepted, refused, taken_back FROM usage WHERE key_id = ? AND hour = ?";
        let known = sql::query_one::<Hour>(db, known, &[id.into(), told.hour.into()])?;
        let mut hour = known.clone().unwrap_or_default();
        hour.grow(told);
        let columns = hour.columns();
        match known {
            Some(known) if known == hour => {}
            Some(_) => {
                let [(_, accepted), (_, refused), (_, taken_back)] = columns;
                let put = "UPDATE usage SET accepted = ?, refused = ?, taken_back = ? WHERE key_id = ? AND hour = ?";
                db.run(put, &[accepted, refused, taken_back, id.into(), told.hour.into()])?;
            }
            None if room => {
                let of = [
                    ("tenant_id", tenant_id.as_str().into()),
                    ("key_id", id.into()),
                    ("hour", told.hour.into()),
                ];
                schema::insert(db, "usage", &[&of[..], &columns[..]].concat())?;
            }
            None => {}
        }
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

/// Whose key this is.
///
/// # Errors
/// What SQLite says.
pub fn tenant_of(db: &dyn Sql, key_id: &str) -> Result<Option<String>, SqlError> {
    #[derive(Deserialize)]
    struct Key {
        tenant_id: String,
    }
    let key = sql::query_one::<Key>(db, "SELECT tenant_id FROM keys WHERE id = ?", &[key_id.into()])?;
    Ok(key.map(|key| key.tenant_id))
}

/// `GET /api-keys/{id}/usage`
pub fn show(turn: &mut Turn<'_>, principal: &Principal, id: &str) -> Handled {
    let key = turn.key(principal, id)?;
    let first = retention::first_hour_of(turn.db, &key.tenant_id, turn.now)?;
    let span = Span::read(&turn.call.query, first, turn.now)?;
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
    /// `first`: the first hour that is kept as such.
    fn read(query: &str, first: Timestamp, now: Timestamp) -> Result<Self, Refusal> {
        let mut query = Input::query(query, &["from", "to", "step"]);
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
            None if step == HOUR && to <= first => return Err(Refusal::field("to", message("is not after"))),
            None if step == HOUR => to.plus(-USUAL_POINTS * step).max(first),
            None => to.plus(-USUAL_POINTS * step),
        };
        let span = Self { from: from.floor(step), to, step };
        if from >= to {
            return Err(Refusal::field("from", format!("must be before `to`, which is {}", to.to_rfc3339())));
        }
        if span.to.0 - span.from.0 > MOST_POINTS * step {
            let message =
                format!("is more than {MOST_POINTS} steps before `to`: ask for less, or in longer steps");
            return Err(Refusal::field("from", message));
        }
        if step == HOUR && span.from < first {
            return Err(Refusal::field("from", message("is before")));
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
            time = time.plus(self.step);
        }
        // A day may stand in both: its hours are rolled up one by one.
        let hours =
            "SELECT hour AS time, accepted, refused FROM usage WHERE key_id = ? AND hour >= ? AND hour < ?";
        let days =
            "SELECT day AS time, accepted, refused FROM usage_days WHERE key_id = ? AND day >= ? AND day < ?";
        let tables: &[&str] = if self.step == DAY { &[hours, days] } else { &[hours] };
        for table in tables {
            for Row { time, counts } in
                sql::query::<Row>(db, table, &[key_id.into(), self.from.into(), self.to.into()])?
            {
                points.entry(time.floor(self.step)).or_default().add(&counts);
            }
        }
        let view = |(time, counts): (Timestamp, Counts)| json!({ "time": time.to_rfc3339(), "accepted": counts.accepted, "refused": counts.refused });
        Ok(points.into_iter().map(view).collect())
    }
}
