//! How many keys a tenant may have, and which rows of ended ones are removed. A revoked or expired key stays in the list until
//! newer ones of its kind need the space. KV and its coordinator still know it, so it goes on being refused for what it is,
//! and a tenant can rotate for ever.

use keyward_core::{
    sql::{self, Sql, SqlError, Value as Bound},
    time::Timestamp,
};
use keyward_policy::Policy;

use crate::{
    context::RequestContext,
    effect::Effect,
    handler::HandlerError,
    keys::settings::{MEASURED, Settings},
    quotas::{Quota, Used},
    tenants::tenant::Tenant,
    to_json::ToJson,
};

/// Most rows of ended keys that one call removes, and most that one run of upkeep does.
const ROWS_AT_ONCE: u64 = 50;

/// How a new key changes the number of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// There are this many more.
    More(u64),
    /// There is one more until another one ends, in its grace now.
    MoreForNow,
    /// Another one ends at once.
    Same,
}

/// Bytes of settings, as the database will measure them.
pub fn bytes_of(settings: &Settings) -> u64 {
    // The id and the visible parts are searched, too, but they are as long for every key.
    let columns = settings.columns("", "", "");
    let measured = columns.iter().filter(|(name, _)| MEASURED.contains(name));
    measured.map(|(_, value)| if let Bound::Text(text) = value { text.len() as u64 } else { 0 }).sum()
}

/// Makes room for more keys, which add these bytes together.
///
/// # Errors
/// QUOTA_EXCEEDED, STORAGE_FULL
pub fn make_room(
    context: &RequestContext<'_>,
    tenant: &Tenant,
    adding: u64,
    growth: Growth,
) -> Result<(), HandlerError> {
    context.require_space(Effect::Grows)?;
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
        context.memory.note_surplus(&tenant.id, if too_large(&used) { adding } else { 0 });
    }
    // This refuses only while KV takes nothing, since a key that is not in KV yet cannot be removed. If some were removed, this
    // call does not add to them, however many there are.
    if !fewer {
        let twice = limit(Quota::EndedKeys).saturating_mul(2).saturating_add(ROWS_AT_ONCE);
        context.require_within(tenant, Quota::EndedKeys, used.ended_keys, 1, twice)?;
    }
    let keys = limit(Quota::Keys);
    match growth {
        Growth::More(count) => context.require_quota(tenant, Quota::Keys, used.keys, count)?,
        // Otherwise nobody whose quota is used up could rotate without an interruption.
        Growth::MoreForNow => {
            let bound = keys.saturating_add((keys / 10).max(1));
            context.require_within(tenant, Quota::Keys, used.keys, 1, bound)?;
        }
        Growth::Same => {}
    }
    context.require_quota(tenant, Quota::KeyBytes, used.key_bytes, adding)
}

/// Refuses a change that has added bytes (`adding`), if the tenant's keys are now larger than its quota.
///
/// # Errors
/// QUOTA_EXCEEDED
pub fn require_bytes(context: &RequestContext<'_>, tenant: &Tenant, adding: u64) -> Result<(), HandlerError> {
    // Most changes add nothing, and then the keys need not be counted.
    if adding == 0 {
        return Ok(());
    }
    let before = Used::of_keys(context.db, &tenant.id, context.now)?.key_bytes.saturating_sub(adding);
    let refused = context.require_quota(tenant, Quota::KeyBytes, before, adding);
    if refused.is_err() {
        context.memory.note_surplus(&tenant.id, adding);
    }
    refused
}

/// Removes some of the ended keys that are beyond the quota, or whose bytes another key needs, where that is enough. Returns
/// whether any were removed.
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

/// Removes the rows of the keys that ended first, except those that are not in KV yet. Returns how many.
fn remove_ended(db: &dyn Sql, tenant_id: &str, most: u64, now: Timestamp) -> Result<usize, SqlError> {
    // The inner ones read the index only, and of it only keys that have ended.
    let first =
        "SELECT number FROM keys WHERE publish_due IS NULL AND told_version >= version AND number IN (
            SELECT number FROM (
                SELECT number, revoked_at, expires_at FROM keys INDEXED BY keys_by_end
                    WHERE tenant_id = ? AND status = 'REVOKED'
                UNION ALL SELECT number, revoked_at, expires_at FROM keys INDEXED BY keys_by_end
                    WHERE tenant_id = ? AND status = 'ACTIVE' AND expires_at > 0 AND expires_at <= ?
            ) ORDER BY COALESCE(revoked_at, expires_at), number LIMIT ?
        )";
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let values = [tenant_id.into(), tenant_id.into(), now.into(), most.into()];
    let numbers = sql::scalars::<i64>(db, first, &values)?;
    let gone = "DELETE FROM keys WHERE number IN (SELECT value FROM json_each(?))";
    db.run(gone, &[numbers.to_json().to_string().into()])?;
    Ok(numbers.len())
}
