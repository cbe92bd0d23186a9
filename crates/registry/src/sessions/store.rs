//! Sessions as they are stored: how many there are, when they were last used, and their ends.

use keyward_core::{
    network,
    sql::{self, SqlError},
    time::Span,
};

use crate::{context::RequestContext, rows};

/// Sessions that a member has at once: the oldest give way.
const MOST_SESSIONS: u32 = 100;
/// How exactly is kept when a session was last used, so that not every call writes.
const SEEN_EVERY: Span = Span::from_mins(5);

/// Ends all sessions of a member but this one; the hash may be empty. Whether there were any.
///
/// # Errors
/// What SQLite says.
pub fn end_all(context: &RequestContext<'_>, member_id: &str, but: &str) -> Result<bool, SqlError> {
    let end = "DELETE FROM sessions WHERE member_id = ? AND hash <> ? RETURNING hash";
    Ok(!context.db.run(end, &[member_id.into(), but.into()])?.is_empty())
}

/// Makes room for one more session of a member.
///
/// # Errors
/// What SQLite says.
pub fn bound(context: &RequestContext<'_>, member_id: &str) -> Result<(), SqlError> {
    let oldest = "DELETE FROM sessions WHERE member_id = ? AND rowid NOT IN
        (SELECT rowid FROM sessions WHERE member_id = ? ORDER BY rowid DESC LIMIT ?)";
    context.db.run(oldest, &[member_id.into(), member_id.into(), (MOST_SESSIONS - 1).into()])?;
    Ok(())
}

/// Keeps when a session was last used, and from where.
///
/// # Errors
/// What SQLite says.
pub fn see(context: &RequestContext<'_>, hash: &str) -> Result<(), SqlError> {
    let network = network::of(&context.call.address);
    let see = "UPDATE sessions SET seen_at = ?, network = ?, agent = ?
        WHERE hash = ? AND (COALESCE(seen_at, 0) <= ? OR seen_at > ?) RETURNING member_id";
    let (now, long_ago) = (context.now, context.now - SEEN_EVERY);
    let agent = context.call.agent.clone();
    // In the future it was not: the clock was set back.
    let values = [now.into(), network.into(), agent.into(), hash.into(), long_ago.into(), now.into()];
    match sql::scalar::<String>(context.db, see, &values)? {
        Some(member_id) => see_member(context, &member_id),
        None => Ok(()),
    }
}

/// Keeps when a member was last seen, which outlives the session.
///
/// # Errors
/// What SQLite says.
pub fn see_member(context: &RequestContext<'_>, member_id: &str) -> Result<(), SqlError> {
    rows::update(context.db, "members", member_id, &[("seen_at", context.now.into())])
}
