//! Pages of lists: how long one is, and the cursor that leads to the next, if there is one. Cursors are opaque to
//! the caller, and only those that were handed out to the same tenant for the same list are taken back.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keyward_core::{
    secret::Secrets,
    sql::{self, FromRow, Row, SqlError, Value as Bound},
};
use subtle::ConstantTimeEq;

use crate::{
    context::RequestContext,
    handler::HandlerError,
    input::{self, Input},
};

const PURPOSE: &str = "keyward cursor 1";
const NUMBER_BYTES: usize = 8;
const MAC_BYTES: usize = 16;

/// A place in a list: what the row has there by which the list is sorted, if that is not its number, and its number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The row's number, which no two rows share.
    pub number: i64,
    /// The value, as text.
    pub value: String,
}

impl From<i64> for Position {
    fn from(number: i64) -> Self {
        Self { number, value: String::new() }
    }
}

/// The cursor for what comes after `position` in this list of this tenant.
pub fn encode(secrets: &Secrets, list: &str, tenant_id: &str, position: &Position) -> String {
    let mut bytes = position.number.to_be_bytes().to_vec();
    bytes.extend(position.value.as_bytes());
    let mac = secrets.mac(PURPOSE, &parts(list, tenant_id, &bytes));
    bytes.extend(mac.iter().take(MAC_BYTES));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The position of a cursor that was handed out by [`encode`]; `None` for any other text.
pub fn decode(secrets: &Secrets, list: &str, tenant_id: &str, cursor: &str) -> Option<Position> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (position, mac) = bytes.split_last_chunk::<MAC_BYTES>()?;
    let known = secrets
        .macs(PURPOSE, &parts(list, tenant_id, position))
        .any(|expected| expected.get(..MAC_BYTES).is_some_and(|expected| bool::from(expected.ct_eq(mac))));
    let (number, value) = position.split_first_chunk::<NUMBER_BYTES>().filter(|_| known)?;
    Some(Position { number: i64::from_be_bytes(*number), value: String::from_utf8(value.to_vec()).ok()? })
}

fn parts<'a>(list: &'a str, tenant_id: &'a str, position: &'a [u8]) -> [&'a [u8]; 5] {
    [list.as_bytes(), &[0], tenant_id.as_bytes(), &[0], position]
}

/// Names of the parameters that [`RequestContext::page`] reads.
pub const PARAMETERS: [&str; 2] = ["limit", "cursor"];
const MOST_ROWS: u32 = 100;
const USUAL_ROWS: u32 = 50;

/// A row, and its position in its list.
pub struct Positioned<T> {
    /// Its position.
    pub position: i64,
    /// The row.
    pub row: T,
}

impl<T: FromRow> FromRow for Positioned<T> {
    fn from_row(row: &Row) -> Result<Self, SqlError> {
        Ok(Self { position: row.get("position")?, row: T::from_row(row)? })
    }
}

/// The page that is asked for.
pub struct Page<'a> {
    list: &'static str,
    tenant_id: &'a str,
    /// Most rows of it.
    pub limit: u32,
    /// The position after which it begins; `None` for the list's first page.
    pub after: Option<Position>,
}

impl RequestContext<'_> {
    /// Reads which page of this list of this tenant is asked for.
    pub fn page<'a>(&self, list: &'static str, tenant_id: &'a str, query: &mut Input) -> Page<'a> {
        let limit =
            query.optional("limit", |value| input::whole_text(value, 1, MOST_ROWS)).unwrap_or(USUAL_ROWS);
        let after = query.optional("cursor", |value| {
            let cursor = value.as_str().unwrap_or_default();
            decode(self.secrets, list, tenant_id, cursor).map_or_else(
                || input::invalid("is not a cursor of this list: take `nextCursor` as it was given"),
                Ok,
            )
        });
        Page { list, tenant_id, limit, after }
    }

    /// The page that a call asks for of a list without filters, and the cursor to the next. The statement names a row's
    /// `position`; its last two parameters are the position after which the page begins, and the number of rows.
    /// `beginning` is the position before the first.
    ///
    /// # Errors
    /// VALIDATION_FAILED
    pub fn read_page<T: FromRow>(
        &self,
        list: &'static str,
        tenant_id: &str,
        statement: &str,
        values: &[Bound],
        beginning: i64,
    ) -> Result<(Vec<T>, Option<String>), HandlerError> {
        let mut query = Input::query(&self.call.query, &PARAMETERS);
        let page = self.page(list, tenant_id, &mut query);
        query.finish()?;
        let mut values = values.to_vec();
        values
            .extend([page.after.as_ref().map_or(beginning, |after| after.number).into(), page.rows().into()]);
        let rows = sql::query::<Positioned<T>>(self.db, statement, &values)?;
        let (rows, next) = page.cut(self.secrets, rows, |row| row.position.into());
        Ok((rows.into_iter().map(|row| row.row).collect(), next))
    }
}

impl Page<'_> {
    /// One of this many rows at most.
    pub fn of(self, limit: u32) -> Self {
        Self { limit, ..self }
    }

    /// The number after which it begins, in a list that is sorted by numbers.
    pub fn after_number(&self) -> Option<i64> {
        self.after.as_ref().map(|after| after.number)
    }

    /// How many rows to read: the one more than is shown only says whether there is a next page.
    pub fn rows(&self) -> u32 {
        self.limit + 1
    }

    /// The cursor to what comes after this position.
    pub fn cursor(&self, secrets: &Secrets, position: &Position) -> String {
        encode(secrets, self.list, self.tenant_id, position)
    }

    /// The rows to show, and the cursor to the next page; none if there is nothing on it.
    pub fn cut<T>(
        &self,
        secrets: &Secrets,
        mut rows: Vec<T>,
        position: impl Fn(&T) -> Position,
    ) -> (Vec<T>, Option<String>) {
        let more = rows.len() > self.limit as usize;
        rows.truncate(self.limit as usize);
        let last = rows.last().filter(|_| more);
        let next = last.map(|row| self.cursor(secrets, &position(row)));
        (rows, next)
    }
}
