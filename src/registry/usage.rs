//! Usage by key and hour, as the KeyGates report it: whole totals, so that a report that comes
//! twice or late counts once.

use serde::Deserialize;

use crate::{
    sql::{self, Sql, SqlError},
    wire::{RefusalCounts, UsageReport},
};

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
