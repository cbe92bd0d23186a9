//! Reading keys: the list, and one of them.

use keyward_core::sql::{self, FromRow, Row, Sql, SqlError};
use serde_json::Value;

use crate::{
    context::RequestContext,
    cursor::{self, Page, Position},
    handler::HandlerResult,
    input::{self, Input},
    keys::{
        filter::{FILTERS, Filter, Total},
        key::Key,
    },
    outcome::Outcome,
    principal::Principal,
    to_json::{ToJson, object},
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

impl Sort {
    fn order(&self) -> String {
        let direction = if self.falls { "DESC" } else { "ASC" };
        if self.bound.is_empty() {
            format!("ORDER BY number {direction}")
        } else {
            format!("ORDER BY {} {direction}, number {direction}", self.column)
        }
    }
}

/// A key, and its position in the list.
pub struct Listed {
    key: Key,
    value: String,
}

impl Listed {
    fn position(&self) -> Position {
        Position { number: self.key.number, value: self.value.clone() }
    }

    /// As the API shows it.
    pub fn view(&self, context: &RequestContext<'_>, principal: &Principal) -> Value {
        self.key.view(principal.tenant(), context.policy, context.now)
    }
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

/// What of the list a call asks for.
pub struct Listing<'a> {
    filter: Filter,
    sort: &'static Sort,
    page: Page<'a>,
}

impl<'a> Listing<'a> {
    /// Reads it from the query.
    pub fn read(context: &RequestContext<'_>, tenant_id: &'a str, query: &mut Input) -> Self {
        let filter = Filter::read(context, tenant_id, query);
        let sorts: Vec<(&str, &Sort)> = SORTS.iter().map(|sort| (sort.name, sort)).collect();
        let [usual, ..] = &SORTS;
        let sort = query.optional("sort", |value| input::one_of(value, &sorts)).unwrap_or(usual);
        let page = context.page(sort.list, tenant_id, query);
        Self { filter, sort, page }
    }

    /// Whether it is the list's first page.
    pub fn is_first(&self) -> bool {
        self.page.after.is_none()
    }

    /// How many keys there are on all pages, and the numbers of the first `most` of this one.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn count_and_find(&mut self, db: &dyn Sql, most: u32) -> Result<(Total, Vec<i64>), SqlError> {
        let total = self.filter.total(db)?;
        Ok((total, self.numbers(db, most)?))
    }

    /// The numbers of the first `most` keys of this page. Nothing is counted that need not be.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn find(&mut self, db: &dyn Sql, most: u32) -> Result<Vec<i64>, SqlError> {
        if self.filter.needs_look() {
            self.filter.total(db)?;
        }
        self.numbers(db, most)
    }

    fn numbers(&mut self, db: &dyn Sql, most: u32) -> Result<Vec<i64>, SqlError> {
        let Sort { column, index, bound, falls, .. } = *self.sort;
        let index = self.filter.index_for(index);
        if let Some(Position { number, value }) = self.page.after.clone() {
            let after = if falls { "<" } else { ">" };
            if bound.is_empty() {
                self.filter.add(&format!("number {after} ?"), [number.into()]);
            } else {
                let after = format!("({column}, number) {after} ({bound}, ?)");
                self.filter.add(&after, [value.into(), number.into()]);
            }
        }
        let (condition, mut values) = self.filter.condition();
        values.push(most.into());
        let order = self.sort.order();
        // Which keys they are, an index says; only their own rows are read.
        let found = format!("SELECT number FROM keys INDEXED BY {index} WHERE {condition} {order} LIMIT ?");
        sql::scalars(db, &found, &values)
    }

    /// The keys with these numbers.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn load(&self, db: &dyn Sql, numbers: &[i64]) -> Result<Vec<Listed>, SqlError> {
        let position = if self.sort.bound.is_empty() { "''" } else { self.sort.column };
        let statement = format!(
            "SELECT *, CAST({position} AS TEXT) AS position FROM keys
            WHERE number IN (SELECT value FROM json_each(?)) {}",
            self.sort.order()
        );
        sql::query(db, &statement, &[numbers.to_json().to_string().into()])
    }

    /// The cursor to what comes after this key.
    pub fn after(&self, context: &RequestContext<'_>, last: &Listed) -> String {
        self.page.cursor(context.secrets, &last.position())
    }
}

/// `GET /api-keys`
pub fn list(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let known = [&cursor::PARAMETERS[..], &FILTERS[..], &["sort"]].concat();
    let mut query = Input::query(&context.call.query, &known);
    let mut listing = Listing::read(context, principal.tenant_id(), &mut query);
    query.finish()?;
    let (total, numbers) = listing.count_and_find(context.db, listing.page.rows())?;
    let keys = listing.load(context.db, &numbers)?;
    let (keys, next) = listing.page.cut(context.secrets, keys, Listed::position);
    let shown: Vec<Value> = keys.iter().map(|listed| listed.view(context, principal)).collect();
    let body = object!({ "apiKeys": shown, "nextCursor": next, "total": total.keys });
    Ok(Outcome::ok(total.marked(body)))
}
