//! How many keys a tenant may have, and which rows of ended ones go. A key that is revoked or expired stays in the list
//! until newer ones of its kind need the room; KV and its object go on knowing it, so it is refused as what it is for
//! good. So a tenant can rotate for ever.

use keyward_core::{
    sql::{self, Sql, SqlError, Value as Bound},
    time::Timestamp,
};
use keyward_policy::Policy;
use serde_json::json;

use crate::{
    context::RequestContext,
    effect::Effect,
    handler::HandlerError,
    keys::settings::{MEASURED, Settings},
    quotas::{Quota, Used},
    tenants::tenant::Tenant,
};

/// Most rows of ended keys that go with one call, and most with one turn of upkeep.
const ROWS_AT_ONCE: u64 = 50;

/// How a new key changes the number of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// There is one more.
    More,
    /// There is one more until another one ends, whose grace has begun.
    MoreForNow,
    /// Another one ends at once.
    Same,
}

/// Bytes of settings, as the database will measure them.
pub fn bytes_of(settings: &Settings) -> u64 {
    // Id and visible parts are searched, too: of every key as long.
    let columns = settings.columns("", "", "");
    let measured = columns.iter().filter(|(name, _)| MEASURED.contains(name));
    measured.map(|(_, value)| if let Bound::Text(text) = value { text.len() as u64 } else { 0 }).sum()
}

/// Makes room for one more key with such settings.
///
/// # Errors
/// QUOTA_EXCEEDED, STORAGE_FULL
pub fn make(
    context: &RequestContext<'_>,
    tenant: &Tenant,
    adding: u64,
    growth: Growth,
) -> Result<(), HandlerError> {
    context.require_room(Effect::Grows)?;
    context.require_audit(tenant, Effect::Grows)?;
    let mut used = Used::of_keys(context.db, &tenant.id, context.now)?;
    let mut fewer = false;
    let limit = |quota: Quota| quota.limit(tenant, context.policy);
    let too_many = |used: &Used| used.ended_keys > limit(Quota::EndedKeys);
    let too_large = |used: &Used| used.key_bytes.saturating_add(adding) > limit(Quota::KeyBytes);
    if too_many(&used) || too_large(&used) {
        // A few more than must go, so that not every call has to look for them.
        let spare = (limit(Quota::EndedKeys) / 50).min(ROWS_AT_ONCE / 2);
        let surplus = used.ended_keys.saturating_sub(limit(Quota::EndedKeys));
        let most =
            if too_large(&used) { ROWS_AT_ONCE } else { surplus.saturating_add(spare).min(ROWS_AT_ONCE) };
        fewer = remove_ended(context.db, &tenant.id, most, context.now)? > 0;
        used = Used::of_keys(context.db, &tenant.id, context.now)?;
        context.memory.make_room(&tenant.id, if too_large(&used) { adding } else { 0 });
    }
    // Only where KV does not take what is published: what is not in it yet cannot go. Where some went, however many
    // there are, there are no more of them with this call.
    if !fewer {
        let twice = limit(Quota::EndedKeys).saturating_mul(2).saturating_add(ROWS_AT_ONCE);
        context.require_within(tenant, Quota::EndedKeys, used.ended_keys, 1, twice)?;
    }
    let keys = limit(Quota::Keys);
    match growth {
        Growth::More => context.require_quota(tenant, Quota::Keys, used.keys, 1)?,
        // Or nobody whose quota is used up could rotate without an interruption.
        Growth::MoreForNow => {
            let bound = keys.saturating_add((keys / 10).max(1));
            context.require_within(tenant, Quota::Keys, used.keys, 1, bound)?;
        }
        Growth::Same => {}
    }
    context.require_quota(tenant, Quota::KeyBytes, used.key_bytes, adding)
}

/// Refuses a change that was made and has added bytes (`adding`), if more is set on keys now than there is room for.
///
/// # Errors
/// QUOTA_EXCEEDED
pub fn require_since(context: &RequestContext<'_>, tenant: &Tenant, adding: u64) -> Result<(), HandlerError> {
    // Most changes add nothing, and then the keys need not be counted.
    if adding == 0 {
        return Ok(());
    }
    let before = Used::of_keys(context.db, &tenant.id, context.now)?.key_bytes.saturating_sub(adding);
    let refused = context.require_quota(tenant, Quota::KeyBytes, before, adding);
    if refused.is_err() {
        context.memory.make_room(&tenant.id, adding);
    }
    refused
}

/// Removes some of the ended keys that are beyond the quota, or whose bytes are wanted where that is enough. Whether any
/// went.
///
/// # Errors
/// What SQLite says.
pub fn remove_surplus(
    db: &dyn Sql,
    policy: &Policy,
    tenant: &Tenant,
    wanted: u64,
    now: Timestamp,
) -> Result<bool, SqlError> {
    let used = Used::of_keys(db, &tenant.id, now)?;
    let surplus = used.ended_keys.saturating_sub(Quota::EndedKeys.limit(tenant, policy));
    let bytes = Quota::KeyBytes.limit(tenant, policy);
    let with = used.key_bytes.saturating_add(wanted);
    let gives_way = with > bytes && with.saturating_sub(used.ended_bytes) <= bytes;
    let most = if gives_way { ROWS_AT_ONCE } else { surplus.min(ROWS_AT_ONCE) };
    Ok(most > 0 && remove_ended(db, &tenant.id, most, now)? > 0)
}

/// Removes the rows of those keys that ended first. What is not in KV yet stays. How many went.
fn remove_ended(db: &dyn Sql, tenant_id: &str, most: u64, now: Timestamp) -> Result<usize, SqlError> {
    // The inner one reads the index only.
    let first =
        "SELECT number FROM keys WHERE publish_due IS NULL AND told_version >= version AND number IN (
            SELECT number FROM keys INDEXED BY keys_by_end
            WHERE tenant_id = ? AND (status = 'REVOKED' OR expires_at <= ?)
            ORDER BY COALESCE(revoked_at, expires_at), number LIMIT ?
        )";
    let values = [tenant_id.into(), now.into(), i64::try_from(most).unwrap_or(i64::MAX).into()];
    let numbers = sql::scalars::<i64>(db, first, &values)?;
    let gone = "DELETE FROM keys WHERE number IN (SELECT value FROM json_each(?))";
    db.run(gone, &[json!(numbers).to_string().into()])?;
    Ok(numbers.len())
}
