//! Guessing: many requests of an hour with keys that nobody has, as the object reports it that counts what belongs to no key.

use std::collections::BTreeMap;

use keyward_core::{
    sql::{Sql, SqlError},
    time::{HOUR, Timestamp},
};
use keyward_limits::wire::{UNATTRIBUTED, UsageReport};

/// Requests of one hour with keys that nobody has, in one realm, from which on that is told.
pub const MANY: u64 = 100;
/// The refusal of such a key.
const INVALID: &str = "INVALID_API_KEY";

/// Makes events of what a report says of guesses: one an hour for each realm.
///
/// # Errors
/// What SQLite says.
pub fn take(db: &dyn Sql, report: &UsageReport, now: Timestamp) -> Result<(), SqlError> {
    if report.key_id != UNATTRIBUTED {
        return Ok(());
    }
    for told in report.hours.iter().filter(|told| told.hour + HOUR * 2 > now && told.hour <= now) {
        let mut guesses: BTreeMap<&str, u64> = BTreeMap::new();
        for (what, count) in &told.refused {
            if let Some((realm, INVALID)) = what.split_once(' ') {
                let sum = guesses.entry(realm).or_default();
                *sum = sum.saturating_add(*count);
            }
        }
        for (realm, count) in guesses.into_iter().filter(|(_, count)| *count >= MANY) {
            let subject = format!("guessing {realm}");
            // Until no report can tell of the hour.
            let until = told.hour + HOUR * 2;
            let values = [subject.as_str().into(), told.hour.0.to_string().into(), now.into(), until.into()];
            if !super::marks::mark(db, values)? {
                continue;
            }
            let tell = "INSERT INTO events (type, tenant_id, subject, at, data)
                SELECT 'guessing.detected', id, ?1, ?2, json_object('realm', ?3, 'refused', CAST(?4 AS INTEGER), 'since', CAST(?5 AS INTEGER))
                FROM tenants WHERE operator LIMIT 1";
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            db.run(tell, &[subject.into(), now.into(), realm.into(), count.into(), told.hour.into()])?;
        }
    }
    Ok(())
}
