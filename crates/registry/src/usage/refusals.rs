//! The latest refusals, each with its request. They come with reports of usage, a few with each, and are kept for a day: of
//! a key some, of a tenant many.

use keyward_core::{
    sql::{self, FromRow, Row, Sql, SqlError},
    time::{Span, Timestamp},
};
use keyward_limits::wire::{UNATTRIBUTED, UsageReport};
use serde_json::Value;

use super::retention::ROWS_AT_ONCE;
use crate::{
    context::RequestContext,
    handler::HandlerResult,
    input::{self, Input},
    outcome::Outcome,
    principal::{Principal, Right},
    rows,
    to_json::object,
};

const LIST: &str = "refusals";
const KEPT: Span = Span::from_days(1);
/// Most of one key, and most of one tenant or of none.
const MOST_OF_KEY: u32 = 20;
const MOST_OF_TENANT: u32 = 1_000;
/// Most bytes of one. The gate's have a few hundred.
const MOST_BYTES: usize = 2_000;

/// Takes in those of a report. One that is known is left out: reports are repeated.
///
/// # Errors
/// What SQLite says.
pub fn take(db: &dyn Sql, tenant_id: &str, report: &UsageReport, now: Timestamp) -> Result<(), SqlError> {
    let key_id = report.key_id.as_str();
    for refusal in &report.latest {
        let (id, text) = (refusal["requestId"].as_str().unwrap_or_default(), refusal.to_string());
        let at = refusal["time"].as_i64().map_or(now, Timestamp).min(now);
        let known = "SELECT 1 FROM refusals WHERE request_id = ? AND key_id = ?";
        let is_known = !db.run(known, &[id.into(), key_id.into()])?.is_empty();
        if is_known || text.len() > MOST_BYTES || at < now - KEPT {
            continue;
        }
        let columns = [
            ("request_id", id.into()),
            ("tenant_id", tenant_id.into()),
            ("key_id", key_id.into()),
            ("at", at.into()),
            ("refusal", text.into()),
        ];
        rows::insert(db, LIST, &columns)?;
    }
    if report.latest.is_empty() {
        return Ok(());
    }
    let of_key = if key_id == UNATTRIBUTED { MOST_OF_TENANT } else { MOST_OF_KEY };
    for (column, id, most) in [("key_id", key_id, of_key), ("tenant_id", tenant_id, MOST_OF_TENANT)] {
        let surplus = format!(
            "DELETE FROM refusals WHERE number IN
                (SELECT number FROM refusals WHERE {column} = ? ORDER BY number DESC LIMIT -1 OFFSET ?)"
        );
        db.run(&surplus, &[id.into(), most.into()])?;
    }
    Ok(())
}

/// Removes those that are too old, a few at a time.
///
/// # Errors
/// What SQLite says.
pub fn remove_old(db: &dyn Sql, now: Timestamp) -> Result<(), SqlError> {
    let over = "DELETE FROM refusals WHERE number IN (SELECT number FROM refusals WHERE at < ? LIMIT ?)";
    db.run(over, &[(now - KEPT).into(), ROWS_AT_ONCE.into()])?;
    Ok(())
}

struct Refusal {
    number: i64,
    key_id: String,
    refusal: Value,
}

impl FromRow for Refusal {
    fn from_row(row: &Row) -> Result<Self, SqlError> {
        Ok(Self { number: row.get("number")?, key_id: row.get("key_id")?, refusal: row.json("refusal")? })
    }
}

impl Refusal {
    fn view(mut self) -> Value {
        let mut field = |name: &str| self.refusal.get_mut(name).map(Value::take).unwrap_or_default();
        let time = field("time").as_i64().map(|time| Timestamp(time).to_rfc3339());
        object!({
            "time": time,
            "requestId": field("requestId"),
            "keyId": Some(self.key_id).filter(|id| id != UNATTRIBUTED),
            "realm": field("realm"),
            "method": field("method"),
            "route": field("route"),
            "code": field("code"),
            "status": field("status"),
            "network": field("network"),
            "country": field("country"),
        })
    }
}

/// `GET /refusals`
pub fn list(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let names = ["limit", "cursor", "keyId", "requestId", "code", "scope"];
    let mut query = Input::query(&context.call.query, &names);
    let scope = query.optional("scope", |value| {
        input::one_of(value, &[("tenant", principal.tenant_id()), ("deployment", UNATTRIBUTED)])
    });
    let tenant_id = scope.unwrap_or(principal.tenant_id());
    let page = context.page(LIST, tenant_id, &mut query);
    let mut filter = |name| query.optional(name, input::text);
    let (key_id, request_id, code) = (filter("keyId"), filter("requestId"), filter("code"));
    query.finish()?;
    if tenant_id == UNATTRIBUTED {
        principal.require(Right::Tenants)?;
    }
    let statement = "SELECT number, key_id, refusal FROM refusals WHERE tenant_id = ? AND number < ?
        AND key_id = COALESCE(?, key_id) AND request_id = COALESCE(?, request_id)
        AND (? IS NULL OR refusal ->> 'code' = ?) ORDER BY number DESC LIMIT ?";
    let values = [
        tenant_id.into(),
        page.after_number().unwrap_or(i64::MAX).into(),
        key_id.into(),
        request_id.into(),
        code.clone().into(),
        code.into(),
        page.rows().into(),
    ];
    let found = sql::query::<Refusal>(context.db, statement, &values)?;
    let (found, next) = page.cut(context.secrets, found, |refusal| refusal.number.into());
    let refusals: Vec<Value> = found.into_iter().map(Refusal::view).collect();
    Ok(Outcome::ok(object!({ "refusals": refusals, "nextCursor": next })))
}
