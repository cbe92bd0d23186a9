//! The list of keys as a file: lines of JSON, or CSV. What is in it is what the list shows, so never a key or its hash.

use serde_json::Value;

use crate::{
    context::RequestContext,
    handler::HandlerResult,
    input::{self, Input},
    keys::{filter::FILTERS, list::Listing},
    outcome::Outcome,
    principal::Principal,
};

/// Most keys of one answer, and bytes of them after which it ends.
const MOST_KEYS: u32 = 1_000;
const MOST_BYTES: usize = 1_000_000;
/// How many are read at once: each may have some tens of kilobytes.
const READ_AT_ONCE: usize = 50;

/// How it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// <https://www.rfc-editor.org/rfc/rfc4180>
    Csv,
    /// A key a line.
    Json,
}

impl Format {
    fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/x-ndjson",
        }
    }
}

/// The formats, by their names in the API.
pub const FORMATS: [(&str, Format); 2] = [("csv", Format::Csv), ("json", Format::Json)];

/// The columns of the CSV, in their order: all fields of a key.
pub const COLUMNS: [&str; 31] = [
    "id",
    "name",
    "status",
    "realm",
    "kind",
    "keyPrefix",
    "last4",
    "scopes",
    "tags",
    "createdAt",
    "createdBy",
    "importedAt",
    "updatedAt",
    "lastUsedAt",
    "lastUsedFrom",
    "expiresAt",
    "pausedAt",
    "revokedAt",
    "revokedBy",
    "revokeReason",
    "testMode",
    "strict",
    "rateLimit",
    "effectiveRateLimit",
    "allowedIps",
    "allowedOrigins",
    "metadata",
    "rotatedFrom",
    "rotatedTo",
    "version",
    "tenantId",
];

/// `GET /api-keys/export`
pub fn export(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let known = [&["format", "cursor"], &FILTERS[..], &["sort"]].concat();
    let mut query = Input::query(&context.call.query, &known);
    let format = query.optional("format", |value| input::one_of(value, &FORMATS)).unwrap_or(Format::Csv);
    let mut listing = Listing::read(context, principal.tenant_id(), &mut query);
    query.finish()?;

    let mut text = String::new();
    if format == Format::Csv && listing.is_first() {
        text += &line(COLUMNS.iter().map(|column| (*column).to_owned()));
    }
    let numbers = listing.find(context.db, MOST_KEYS + 1)?;
    let (mut written, mut last, mut next) = (0, None, None);
    'file: for some in numbers.chunks(READ_AT_ONCE) {
        for listed in listing.load(context.db, some)? {
            if written == MOST_KEYS || text.len() > MOST_BYTES {
                next = last.map(|last| listing.after(context, &last));
                break 'file;
            }
            let key = listed.view(context, principal);
            text += &match format {
                Format::Csv => line(COLUMNS.iter().map(|column| cell(key.get(*column)))),
                Format::Json => format!("{key}\n"),
            };
            written += 1;
            last = Some(listed);
        }
    }
    let outcome = Outcome::text(format.media_type(), text);
    Ok(match next {
        Some(next) => outcome.header("Next-Cursor", next),
        None => outcome,
    })
}

/// What a field is in CSV: text as it is, anything else as JSON.
fn cell(field: Option<&Value>) -> String {
    match field {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => defused(text),
        Some(other) => other.to_string(),
    }
}

/// A text that programs for tables do not take for a formula (<https://owasp.org/www-community/attacks/CSV_Injection>).
fn defused(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if is_formula { format!("'{text}") } else { text.to_owned() }
}

/// A line of CSV (RFC 4180), in which every cell is quoted.
fn line(cells: impl Iterator<Item = String>) -> String {
    let quoted = cells.map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")));
    quoted.collect::<Vec<_>>().join(",") + "\r\n"
}
