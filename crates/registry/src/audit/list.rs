//! Reading and checking a tenant's chain.

use keyward_core::sql::{self, Sql, SqlError};
use serde_json::{Map, Value};

use super::{
    canonical::hash,
    chain::{self, BEGINNING, Row, follows, rows_after},
    retention::Stored,
    search::{FILTERS, Found, Search},
};
use crate::{
    context::RequestContext,
    cursor::{PARAMETERS, encode},
    error::ApiError,
    handler::HandlerResult,
    input::{self, Input},
    outcome::Outcome,
    principal::Principal,
    tenants::tenant::Tenant,
    to_json::object,
};

/// Name of this list in its cursors.
const LIST: &str = "audit";
/// Most entries that one call checks: some tens of milliseconds.
const CHECKED_AT_ONCE: u32 = 1_000;

/// Most entries of one answer of an export, and bytes of them after which it ends.
const EXPORTED_AT_ONCE: u32 = 1_000;
const EXPORTED_BYTES: usize = 1_000_000;

/// `GET /audit`: newest first, unless it is asked for otherwise. Where filters leave few of the entries that were looked at,
/// a page is short.
pub fn list(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let tenant_id = principal.tenant_id();
    let mut query = Input::query(&context.call.query, &[&PARAMETERS[..], &FILTERS].concat());
    let page = context.page(LIST, tenant_id, &mut query);
    let search = Search::read(&mut query);
    query.finish()?;
    let Found { rows, next } = search.run(context.db, tenant_id, page.after_number(), page.limit)?;
    let entries: Vec<Value> = rows.iter().map(shown).collect();
    let next = next.map(|next| encode(context.secrets, LIST, tenant_id, &next.into()));
    let names = names(context.db, principal.tenant(), &entries)?;
    Ok(Outcome::ok(object!({ "entries": entries, "nextCursor": next, "names": names })))
}

/// What the keys, people and tenants of these entries are called now, by id. Ids of another tenant, but for the operator those of
/// tenants themselves, and of what is gone, are left out.
fn names(db: &dyn Sql, tenant: &Tenant, entries: &[Value]) -> Result<Value, SqlError> {
    let ids = entries.iter().flat_map(|entry| [entry.get("target"), entry.pointer("/actor/id")]);
    let ids = ids.flatten().filter(|id| id.is_string()).cloned();
    let names = sql::scalar::<String>(
        db,
        "SELECT json_group_object(id, called) FROM (
            SELECT value AS id, COALESCE(
                (SELECT name || ' …' || last4 FROM keys WHERE id = value AND tenant_id = ?1),
                (SELECT email FROM members WHERE id = value AND tenant_id = ?1),
                (SELECT name FROM tenants WHERE id = value AND (id = ?1 OR ?3))
            ) AS called FROM (SELECT DISTINCT value FROM json_each(?2))
        ) WHERE called IS NOT NULL",
        &[
            tenant.id.as_str().into(),
            Value::from_iter(ids).to_string().into(),
            i64::from(tenant.operator).into(),
        ],
    )?;
    Ok(names.and_then(|names| keyward_json::from_str(&names).ok()).unwrap_or_default())
}

/// `GET /audit/export`: the same, an entry a line.
pub fn export(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let tenant_id = principal.tenant_id();
    let mut query = Input::query(&context.call.query, &[&["cursor"], &FILTERS[..]].concat());
    let page = context.page(LIST, tenant_id, &mut query);
    let search = Search::read(&mut query);
    query.finish()?;
    let Found { rows, mut next } =
        search.run(context.db, tenant_id, page.after_number(), EXPORTED_AT_ONCE)?;
    let (mut lines, mut last) = (String::new(), None);
    for row in &rows {
        if lines.len() > EXPORTED_BYTES {
            next = last;
            break;
        }
        lines += &shown(row).to_string();
        lines.push('\n');
        last = Some(row.seq);
    }
    let outcome = Outcome::text("application/x-ndjson", lines);
    Ok(match next {
        Some(next) => outcome.header("Next-Cursor", encode(context.secrets, LIST, tenant_id, &next.into())),
        None => outcome,
    })
}

/// `GET /audit/verify?from`: whether the tenant's chain is whole, from an entry on. One call checks [`CHECKED_AT_ONCE`] entries at
/// most, since no other call runs meanwhile; `next` then says where to go on. A chain that was cut begins after its checkpoint,
/// if that is signed.
pub fn verify(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let tenant_id = principal.tenant_id();
    let mut query = Input::query(&context.call.query, &["from"]);
    let from = query.optional("from", |value| input::whole_text(value, 1, u32::MAX)).unwrap_or(1);
    query.finish()?;
    let stored = Stored::load(context.db, tenant_id)?;
    let checkpoint = stored.as_ref().and_then(|stored| stored.verified(context.secrets, tenant_id));
    let cut = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.seq);
    let before = (i64::from(from) - 1).max(cut);
    let previous = match &checkpoint {
        Some(checkpoint) if before == cut => Some(checkpoint.hash.clone()),
        _ => hash_of(context.db, tenant_id, before)?,
    };
    let forged = stored.is_some() && checkpoint.is_none();
    let Some(previous) = previous.or_else(|| forged.then(|| BEGINNING.to_owned())) else {
        return Err(ApiError::field("from", "comes after the end of the chain").into());
    };

    let rows = rows_after(context.db, tenant_id, before, CHECKED_AT_ONCE + 1)?;
    let (mut last, mut last_hash) = (before, previous);
    // What was cut is gone, and at least one entry was left.
    let well_cut = before > cut || checkpoint.is_none() || is_well_cut(context.db, tenant_id, cut)?;
    let mut broken_at = (forged || !well_cut).then_some(before + 1);
    for row in rows.iter().take(CHECKED_AT_ONCE as usize) {
        let expected = last + 1;
        if broken_at.is_some() {
            break;
        }
        if row.seq != expected || row.hash != hash(&row.entry) || !follows(&row.entry, expected, &last_hash) {
            broken_at = Some(expected);
            break;
        }
        (last, last_hash) = (row.seq, row.hash.clone());
    }
    let more = broken_at.is_none() && rows.len() > CHECKED_AT_ONCE as usize;
    let total = chain::end(context.db, tenant_id)?.0;
    let mut body =
        object!({ "ok": broken_at.is_none(), "entries": last, "total": total, "lastHash": last_hash });
    let next = more.then_some(last + 1);
    let shown = stored.map(|stored| stored.view(checkpoint.is_some()));
    if let Some(body) = body.as_object_mut() {
        body.extend(broken_at.map(|seq| ("brokenAt".to_owned(), seq.into())));
        body.extend(next.map(|seq| ("next".to_owned(), seq.into())));
        body.extend(shown.map(|shown| ("checkpoint".to_owned(), shown)));
    }
    Ok(Outcome::ok(body))
}

/// Whether nothing is left of what was cut, and something of what was not.
fn is_well_cut(db: &dyn Sql, tenant_id: &str, cut: i64) -> Result<bool, SqlError> {
    let left = rows_after(db, tenant_id, 0, 1)?;
    Ok(left.first().is_some_and(|row| row.seq > cut))
}

/// The hash of an entry; what the first one holds for the one before it.
fn hash_of(db: &dyn Sql, tenant_id: &str, seq: i64) -> Result<Option<String>, SqlError> {
    if seq == 0 {
        return Ok(Some(BEGINNING.to_owned()));
    }
    Ok(rows_after(db, tenant_id, seq - 1, 1)?.into_iter().find(|row| row.seq == seq).map(|row| row.hash))
}

fn shown(row: &Row) -> Value {
    let mut entry: Map<String, Value> = keyward_json::from_str(&row.entry).unwrap_or_default();
    entry.insert("hash".to_owned(), row.hash.clone().into());
    Value::Object(entry)
}
