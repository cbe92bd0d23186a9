//! Reading keys: the list, and one of them.

use keyward_core::sql::{self, FromRow, Row, SqlError};
use serde_json::Value;

use crate::{
    context::RequestContext,
    cursor::{self, Position},
    handler::HandlerResult,
    input::{self, Input},
    keys::{
        filter::{FILTERS, Filter},
        key::Key,
    },
    outcome::Outcome,
    principal::Principal,
    to_json::object,
};

/// An order of the list.
pub struct Sort {
    /// Its name in the API.
    pub name: &'static str,
    /// The list's name in cursors.
    list: &'static str,
    /// Its column and, where nothing is looked for, its index.
    column: &'static str,
    index: &'static str,
    /// How the value of a position is bound.
    bound: &'static str,
    /// From the largest value to the smallest.
    falls: bool,
}

const fn sort(
    name: &'static str,
    list: &'static str,
    (column, index, bound): (&'static str, &'static str, &'static str),
    falls: bool,
) -> Sort {
    Sort { name, list, column, index, bound, falls }
}

const CREATED: (&str, &str, &str) = ("number", "keys_of_tenant", "");
const USED: (&str, &str, &str) = ("used_at", "keys_by_use", "CAST(? AS INTEGER)");
const ENDS: (&str, &str, &str) = ("ends_at", "keys_by_expiry", "CAST(? AS INTEGER)");
const NAME: (&str, &str, &str) = ("sort_name", "keys_by_name", "?");

/// Every order.
pub const SORTS: [Sort; 8] = [
    sort("created", "keys", CREATED, true),
    sort("-created", "keys -created", CREATED, false),
    sort("lastUsed", "keys lastUsed", USED, true),
    sort("-lastUsed", "keys -lastUsed", USED, false),
    sort("expires", "keys expires", ENDS, false),
    sort("-expires", "keys -expires", ENDS, true),
    sort("name", "keys name", NAME, false),
    sort("-name", "keys -name", NAME, true),
];

/// A key, and its position in the list.
struct Listed {
    key: Key,
    value: String,
}

impl FromRow for Listed {
    fn from_row(row: &Row) -> Result<Self, SqlError> {
        Ok(Self { key: Key::from_row(row)?, value: row.get("position")? })
    }
}

/// Whether a query of the list looks for something: it may then go through all of a tenant's keys for one page.
pub fn looks_for_something(query: &str) -> bool {
    let query = Input::query(query, &FILTERS);
    FILTERS.iter().any(|filter| query.has(filter))
}

/// `GET /api-keys/{id}`
pub fn show(context: &mut RequestContext<'_>, principal: &Principal, id: &str) -> HandlerResult {
    let key = context.key(principal, id)?;
    let view = key.view(principal.tenant(), context.policy, context.now);
    Ok(Outcome::ok(object!({ "apiKey": view })).version(key.version))
}

/// `GET /api-keys`
pub fn list(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let tenant_id = principal.tenant_id();
    let known = [&cursor::PARAMETERS[..], &FILTERS[..], &["sort"]].concat();
    let mut query = Input::query(&context.call.query, &known);
    let mut filter = Filter::read(context, tenant_id, &mut query);
    let sorts: Vec<(&str, &Sort)> = SORTS.iter().map(|sort| (sort.name, sort)).collect();
    let [usual, ..] = &SORTS;
    let sort = query.optional("sort", |value| input::one_of(value, &sorts)).unwrap_or(usual);
    let page = context.page(sort.list, tenant_id, &mut query);
    query.finish()?;

    let total = filter.total(context.db)?;
    let Sort { column, index, bound, falls, .. } = *sort;
    let index = if filter.is_narrow() { "keys_to_filter" } else { index };
    let (after, direction) = if falls { ("<", "DESC") } else { (">", "ASC") };
    if let Some(Position { number, value }) = page.after.clone() {
        if bound.is_empty() {
            filter.add(&format!("number {after} ?"), [number.into()]);
        } else {
            filter.add(&format!("({column}, number) {after} ({bound}, ?)"), [value.into(), number.into()]);
        }
    }
    let (condition, mut values) = filter.condition();
    values.push(page.rows().into());
    let order = if bound.is_empty() {
        format!("ORDER BY number {direction}")
    } else {
        format!("ORDER BY {column} {direction}, number {direction}")
    };
    let position = if bound.is_empty() { "''" } else { column };
    // Which keys they are, an index says; only their own rows are read.
    let statement = format!(
        "SELECT *, CAST({position} AS TEXT) AS position FROM keys WHERE number IN (
            SELECT number FROM keys INDEXED BY {index} WHERE {condition} {order} LIMIT ?
        ) {order}"
    );
    let keys = sql::query::<Listed>(context.db, &statement, &values)?;

    let position = |listed: &Listed| Position { number: listed.key.number, value: listed.value.clone() };
    let (keys, next) = page.cut(context.secrets, keys, position);
    let view = |listed: &Listed| listed.key.view(principal.tenant(), context.policy, context.now);
    let shown: Vec<Value> = keys.iter().map(view).collect();
    let mut body = object!({ "apiKeys": shown, "nextCursor": next, "total": total.keys });
    if total.at_least
        && let Some(body) = body.as_object_mut()
    {
        body.insert("totalIsAtLeast".to_owned(), true.into());
    }
    Ok(Outcome::ok(body))
}
