//! What was told, so that it is told once.

use keyward_core::{
    sql::{Sql, SqlError, Value as Bound},
    time::Span,
};

/// What was told so much later than now was told by a clock that was ahead, and is told again.
const AHEAD: Span = Span::from_hours(1);

/// Notes that something is told: of whom, what, when, and until when it is not told again. Not if it was told already, or if nobody is
/// to be told.
///
/// # Errors
/// What SQLite says.
pub fn mark(db: &dyn Sql, [subject, what, at, until]: [Bound; 4]) -> Result<bool, SqlError> {
    let mark = "INSERT INTO event_marks (subject, what, at, until)
        SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM event_endpoints)
        ON CONFLICT (subject, what) DO UPDATE SET at = excluded.at, until = excluded.until
            WHERE until <= excluded.at OR at > excluded.at + ?5
        RETURNING 1";
    Ok(!db.run(mark, &[subject, what, at, until, AHEAD.ms().into()])?.is_empty())
}
