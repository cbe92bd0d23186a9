//! Limits of which most is used, as coordinators report it. Each share is told once, until the limit is another or its window has passed;
//! of a second or minute once in [`BRIEF`], since those fill and empty all day.

use keyward_core::{
    record::Window,
    sql::{Sql, SqlError, Value as Bound},
    time::{Span, Timestamp},
};
use keyward_limits::wire::{Reached, UsageReport};

/// Shares of a limit that are told, in per cent.
const TOLD: [u64; 3] = [80, 95, 100];
/// When what is told once is forgotten: never.
const NEVER: Timestamp = Timestamp(9_007_199_254_740_991);

/// For how long a share of a second's or a minute's limit is not told again.
const BRIEF: Span = Span::from_days(1);

/// Makes events of what a report says of limits.
///
/// # Errors
/// What SQLite says.
pub fn take(db: &dyn Sql, report: &UsageReport, now: Timestamp) -> Result<(), SqlError> {
    for Reached { window, percent, limit } in &report.reached {
        let Some(of) = Window::LIMITS.into_iter().find(|of| of.field() == window) else { continue };
        for share in TOLD.into_iter().filter(|share| share <= percent) {
            let values: [Bound; 4] = [
                report.key_id.as_str().into(),
                format!("{window} {limit} {share}").into(),
                now.into(),
                until(of, now).into(),
            ];
            if !super::marks::mark(db, values)? {
                continue;
            }
            // Of another limit of this window nothing is remembered, or edits would leave ever more, and one that is set anew were not told.
            let others = "DELETE FROM event_marks WHERE subject = ?1 AND substr(what, 1, length(?2)) = ?2
                AND substr(what, 1, length(?3)) <> ?3";
            let (of_window, of_limit) = (format!("{window} "), format!("{window} {limit} "));
            db.run(others, &[report.key_id.as_str().into(), of_window.into(), of_limit.into()])?;
            let tell = "INSERT INTO events (type, tenant_id, subject, at, data)
                SELECT 'key.limit_reached', tenant_id, id, ?, json_object(
                    'keyId', id, 'tenantId', tenant_id, 'realm', realm, 'name', name,
                    'limit', ?, 'of', CAST(? AS INTEGER), 'percent', CAST(? AS INTEGER)) FROM keys WHERE id = ?";
            let share = i64::try_from(share).unwrap_or_default();
            let values = [
                now.into(),
                window.as_str().into(),
                (*limit).into(),
                share.into(),
                report.key_id.as_str().into(),
            ];
            db.run(tell, &values)?;
        }
    }
    Ok(())
}

/// Until when a share is not told again.
fn until(window: Window, now: Timestamp) -> Timestamp {
    match window {
        Window::Month => now.next_month(),
        Window::Second | Window::Minute => now + BRIEF,
        _ => window.length().map_or(NEVER, |length| now + length),
    }
}
