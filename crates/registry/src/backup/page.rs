//! A page of a backup: lines of JSON. The first says which page of which backup it is, and how the one before it was signed; the last
//! says whether it is the backup's last, and has its own signature. Between them stands a row a line.
//!
//! ```text
//! {"backup":"bak_…","keyward":"backup","page":1,"previous":"…","time":"2026-11-28T12:00:00.000Z","v":1}
//! {"row":{…},"table":"keys"}
//! {"end":false,"mac":"…"}
//! ```
//!
//! `mac` is HMAC-SHA-256 of `keyward backup 1`, a zero byte, the lines before it (each with its line feed), a zero byte, and `1` if the
//! page is the last, `0` otherwise; under `KEYWARD_SECRET`, in hex. `previous` is empty in the first page. So a page cannot be changed, left out,
//! moved or put into another backup. A stored format: `docs/storage.md` has it, and a golden vector.

use keyward_core::{key::hex, secret::Secrets, time::Timestamp};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use crate::to_json::object;

/// Bytes of rows after which a page ends. A row has a hundred kilobytes at most, so a page fits into the body of a call.
pub const MOST_BYTES: usize = 500_000;
const PURPOSE: &str = "keyward backup 1";
/// Version of the format.
const VERSION: u64 = 1;

/// Which page it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Id of the backup.
    pub backup: String,
    /// Its number, from 0.
    pub page: u64,
    /// When the backup was begun.
    pub time: Timestamp,
    /// The signature of the page before.
    pub previous: String,
}

/// A page that is being written.
pub struct Writer(String);

impl Writer {
    /// With nothing in it yet.
    pub fn new(head: &Head) -> Self {
        let Head { backup, page, time, previous } = head;
        let head = object!({
            "keyward": "backup",
            "v": VERSION,
            "backup": backup.as_str(),
            "page": *page,
            "time": time.to_rfc3339(),
            "previous": previous.as_str(),
        });
        Self(format!("{head}\n"))
    }

    /// Adds a row.
    pub fn row(&mut self, table: &str, row: Map<String, Value>) {
        self.0 += &format!("{}\n", object!({ "table": table, "row": Value::Object(row) }));
    }

    /// Whether it has as much as it may.
    pub fn is_full(&self) -> bool {
        self.0.len() > MOST_BYTES
    }

    /// The page, and its signature.
    pub fn finish(self, secrets: &Secrets, end: bool) -> (String, String) {
        let mac = hex(&secrets.mac(PURPOSE, &signed(&self.0, end)));
        let tail = object!({ "end": end, "mac": mac.as_str() });
        (format!("{}{tail}\n", self.0), mac)
    }
}

/// A page that was read.
pub struct Page {
    /// Which it is.
    pub head: Head,
    /// The rows, by table.
    pub rows: Vec<(String, Map<String, Value>)>,
    /// Whether it is the backup's last.
    pub end: bool,
    /// Its signature.
    pub mac: String,
}

/// Why text is no page that this deployment has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Not a page.
    #[error(
        "This is not a page of a backup: it has a line that says which page it is, then rows, then a line with its signature."
    )]
    Form,
    /// Of a newer build.
    #[error(
        "This backup has a format that this version does not know: restore it with the version that made it, or a later one."
    )]
    Version,
    /// Changed, or of another deployment.
    #[error(
        "The page's signature is not of this deployment: the page was changed, or it was made under another KEYWARD_SECRET. \
         Deploy with the secret of then, as KEYWARD_SECRET or as KEYWARD_SECRET_PREVIOUS."
    )]
    Signature,
}

impl Page {
    /// Reads a page, and looks at its signature.
    ///
    /// # Errors
    /// [`Unfit`]
    pub fn read(text: &str, secrets: &Secrets) -> Result<Self, Unfit> {
        let parse = |line: &str| keyward_json::parse(line).map_err(|_| Unfit::Form);
        let (lines, tail) = text
            .trim_end_matches('\n')
            .rfind('\n')
            .and_then(|at| text.split_at_checked(at + 1))
            .ok_or(Unfit::Form)?;
        let (first, rows) = lines.split_once('\n').ok_or(Unfit::Form)?;
        let (first, tail) = (parse(first)?, parse(tail)?);
        if first.get("keyward").and_then(Value::as_str) != Some("backup") {
            return Err(Unfit::Form);
        }
        if first.get("v").and_then(Value::as_u64) != Some(VERSION) {
            return Err(Unfit::Version);
        }
        let end = tail.get("end").and_then(Value::as_bool).ok_or(Unfit::Form)?;
        let mac = tail.get("mac").and_then(Value::as_str).ok_or(Unfit::Form)?;
        let parts = signed(lines, end);
        let mut macs = secrets.macs(PURPOSE, &parts).map(|mac| hex(&mac));
        if !macs.any(|own| bool::from(own.as_bytes().ct_eq(mac.as_bytes()))) {
            return Err(Unfit::Signature);
        }
        let text = |name: &str| first.get(name).and_then(Value::as_str).ok_or(Unfit::Form);
        let head = Head {
            backup: text("backup")?.to_owned(),
            page: first.get("page").and_then(Value::as_u64).ok_or(Unfit::Form)?,
            time: Timestamp::parse_rfc3339(text("time")?).ok_or(Unfit::Form)?,
            previous: text("previous")?.to_owned(),
        };
        let mut read = Vec::new();
        for line in rows.lines() {
            let line = parse(line)?;
            let table = line.get("table").and_then(Value::as_str).ok_or(Unfit::Form)?;
            let row = line.get("row").and_then(Value::as_object).ok_or(Unfit::Form)?;
            read.push((table.to_owned(), row.clone()));
        }
        Ok(Self { head, rows: read, end, mac: mac.to_owned() })
    }
}

/// What the signature is of.
fn signed(lines: &str, end: bool) -> [&[u8]; 3] {
    [lines.as_bytes(), &[0], if end { b"1" } else { b"0" }]
}
