//! What the audit says of where a key was found.

use keyward_core::sql;

use crate::{context::RequestContext, handler::HandlerError};

/// The action of its entries.
pub const LEAKED: &str = "key.leaked";
/// Most entries of one key: it may have been found in very many places.
const MOST_ENTRIES: u32 = 20;

/// Whether a tenant's audit does not say yet that this key was found there, and has room to.
///
/// # Errors
/// What SQLite says.
pub fn is_new(
    context: &RequestContext<'_>,
    [tenant_id, key]: [&str; 2],
    url: &str,
) -> Result<bool, HandlerError> {
    struct Noted {
        entries: u32,
        here: u32,
    }
    keyward_core::from_row!(Noted { entries, here });
    let noted = "SELECT COUNT(*) AS entries, COUNT(*) FILTER (WHERE entry ->> '$.after.url' = ?) AS here
        FROM audit WHERE tenant_id = ? AND target = ? AND action = ?";
    let values = [url.into(), tenant_id.into(), key.into(), LEAKED.into()];
    let noted = sql::query_one::<Noted>(context.db, noted, &values)?;
    Ok(noted.is_none_or(|noted| noted.here == 0 && noted.entries < MOST_ENTRIES))
}
