//! Taking in what the coordinators report: whole totals, so that a report that comes twice or late counts once.

use keyward_core::{
    sql::{self, FromRow, Row, Sql, SqlError, Value as Bound},
    time::{HOUR, Span, Timestamp},
};
use keyward_limits::{
    limit::RATE_LIMITED,
    wire::{UNATTRIBUTED, UsageHour, UsageReport, UsageTaken},
};
use serde_json::json;

use super::{counts::Counts, refusals, retention, routes};
use crate::{
    events,
    metrics::counters::{self, What},
    rows,
};

/// An hour that begins later than this from now has not come: the coordinator's clock is wrong, or this one.
const EARLY: Span = Span::from_mins(1);
/// Most bytes of where a key was last used from. A network and a route have a hundred.
const MOST_FROM: usize = 500;

/// What is known of one hour.
#[derive(Clone, Default, PartialEq, Eq)]
struct Hour {
    counts: Counts,
    taken_back: u64,
}

impl FromRow for Hour {
    fn from_row(row: &Row) -> Result<Self, SqlError> {
        Ok(Self { counts: Counts::from_row(row)?, taken_back: row.get("taken_back")? })
    }
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

    /// Counts what this says beyond what was known: requests that were let through, those that were taken back later among
    /// them, and refused ones. `realm` is empty for those of no key.
    fn count(&self, db: &dyn Sql, known: &Self, realm: &str, now: Timestamp) -> Result<(), SqlError> {
        let passed = |hour: &Self| hour.counts.accepted.saturating_add(hour.taken_back);
        let more = passed(self).saturating_sub(passed(known));
        counters::add(db, (What::Accepted, realm, ""), more, now)?;
        let what = if realm.is_empty() { What::Unattributed } else { What::Refused };
        for (code, count) in &self.counts.refused {
            let before = known.counts.refused.get(code).copied().unwrap_or_default();
            counters::add(db, (what, realm, code), count.saturating_sub(before), now)?;
        }
        Ok(())
    }

    fn columns(&self) -> [(&'static str, Bound); 3] {
        let [accepted, refused] = self.counts.columns();
        [accepted, refused, ("taken_back", i64::try_from(self.taken_back).unwrap_or(i64::MAX).into())]
    }
}

/// Whose a report is.
struct Whose {
    tenant_id: String,
    realm: String,
}

keyward_core::from_row!(Whose { tenant_id, realm });

impl Whose {
    /// Of what belongs to no key.
    fn nobody() -> Self {
        Self { tenant_id: UNATTRIBUTED.to_owned(), realm: String::new() }
    }
}

fn whose(db: &dyn Sql, key_id: &str) -> Result<Option<Whose>, SqlError> {
    sql::query_one(db, "SELECT tenant_id, realm FROM keys WHERE id = ?", &[key_id.into()])
}

/// Takes a coordinator's report in, writing only what it changes. One of a key that does not exist
/// changes nothing, nor does what it says of hours that are no longer kept as such. Hours that have not come are not
/// taken, where the coordinator tells them again once its clock is right. Unless there is `room`, nothing is written of an
/// hour of which nothing is known yet.
///
/// # Errors
/// What SQLite says.
pub fn apply(db: &dyn Sql, report: &UsageReport, room: bool, now: Timestamp) -> Result<UsageTaken, SqlError> {
    sql::transaction(db, || apply_in_transaction(db, report, room, now))
}

fn apply_in_transaction(
    db: &dyn Sql,
    report: &UsageReport,
    room: bool,
    now: Timestamp,
) -> Result<UsageTaken, SqlError> {
    let id = report.key_id.as_str();
    let whose = if id == UNATTRIBUTED { Some(Whose::nobody()) } else { whose(db, id)? };
    let Some(Whose { tenant_id, realm }) = whose else { return Ok(UsageTaken::default()) };
    let tells_again = report.sent.is_some();
    let mut early = Vec::new();
    let mut near = report.near_limit_at;
    let first = retention::first_hour_of(db, &tenant_id, now)?;
    for told in report.hours.iter().filter(|told| told.hour >= first) {
        if tells_again && told.hour > now + EARLY {
            early.push(told.hour);
            continue;
        }
        let known = "SELECT accepted, refused, taken_back FROM usage WHERE key_id = ? AND hour = ?";
        let known = sql::query_one::<Hour>(db, known, &[id.into(), told.hour.into()])?;
        let mut hour = known.clone().unwrap_or_default();
        hour.grow(told);
        let columns = hour.columns();
        // Older coordinators say only this of limits.
        let limited = |hour: &Hour| hour.counts.refused.get(RATE_LIMITED).copied().unwrap_or_default();
        if limited(&hour) > known.as_ref().map_or(0, limited) {
            near = near.max(Some(told.hour + HOUR));
        }
        match &known {
            Some(known) if *known == hour => {}
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
                rows::insert(db, "usage", &[&of[..], &columns[..]].concat())?;
            }
            None => continue,
        }
        hour.count(db, &known.unwrap_or_default(), &realm, now)?;
        if room {
            routes::take(db, &tenant_id, id, told, now)?;
        }
    }
    if room {
        refusals::take(db, &tenant_id, report, now)?;
        events::limits::take(db, report, now)?;
        events::guesses::take(db, report, now)?;
    }
    if let Some(used) = report.last_used_at {
        let latest = if tells_again { now } else { used };
        let used = used.min(latest);
        let from = report.last_used_from.as_ref().filter(|_| room);
        let from = from.map(|from| json!([used.0, from]).to_string()).filter(|from| from.len() <= MOST_FROM);
        // One of the future was told by a clock that was wrong.
        let later = "UPDATE keys SET last_used_at = ?, last_used_from = ?
            WHERE id = ? AND (COALESCE(last_used_at, 0) < ? OR ? AND last_used_at > ?)";
        let values = [used.into(), from.into(), id.into(), used.into(), tells_again.into(), latest.into()];
        db.run(later, &values)?;
    }
    if let Some(near) = near {
        let near = near.min(now);
        let later = "UPDATE keys SET near_limit_at = ? WHERE id = ? AND COALESCE(near_limit_at, 0) < ?";
        db.run(later, &[near.into(), id.into(), near.into()])?;
    }
    Ok(UsageTaken { early })
}

/// Whose key this is.
///
/// # Errors
/// What SQLite says.
pub fn tenant_of(db: &dyn Sql, key_id: &str) -> Result<Option<String>, SqlError> {
    Ok(whose(db, key_id)?.map(|whose| whose.tenant_id))
}
