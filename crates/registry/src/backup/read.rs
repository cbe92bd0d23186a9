//! `GET /backup`: a page of a backup, and the cursor to the next.

use keyward_core::time::{Span, Timestamp};
use serde_json::Value;

use super::{
    page::{Head, Writer},
    tables::TABLES,
};
use crate::{
    audit::event::AuditEvent,
    context::RequestContext,
    error::{ApiError, Code},
    handler::HandlerResult,
    ids,
    input::{self, Input},
    outcome::Outcome,
    principal::{Member, Role},
    to_json::object,
};

/// Rows that are read at once.
const READ_AT_ONCE: u32 = 50;
const PURPOSE: &str = "keyward backup cursor 1";
/// How long a backup may take. A cursor stands in URLs, which are kept in logs, and asks for no password.
const LONGEST: Span = Span::from_days(1);

/// How far a backup has come.
struct Progress {
    head: Head,
    /// The number of the table that is being read, and after which row.
    table: usize,
    place: String,
}

/// `GET /backup`
pub fn read(context: &mut RequestContext<'_>, member: &Member, _: &str) -> HandlerResult {
    if member.role != Role::Owner || !member.tenant.operator {
        let detail = "A backup has all tenants in it: only an owner of the operator's tenant may read one.";
        return Err(ApiError::new(Code::Forbidden, detail).into());
    }
    let mut query = Input::query(&context.call.query, &["cursor"]);
    let progress = query.optional("cursor", |value| {
        let cursor = value.as_str().and_then(|cursor| Progress::unseal(context, cursor));
        let cursor = cursor.filter(|progress| context.now < progress.head.time + LONGEST);
        cursor.map_or_else(
            || input::invalid("is not a cursor of a backup that was begun in the last 24 hours: take `Next-Cursor` as it was given, or begin anew"),
            Ok,
        )
    });
    query.finish()?;
    let progress = match progress {
        // Whoever has it was let in for the first page.
        Some(progress) => progress,
        None => begin(context, member)?,
    };

    let mut writer = Writer::new(&progress.head);
    let (mut at, mut place) = (progress.table, progress.place);
    let mut is_full = false;
    while let Some(table) = TABLES.get(at).filter(|_| !is_full) {
        let rows = table.rows_after(context.db, &place, READ_AT_ONCE)?;
        if rows.is_empty() {
            (at, place) = (at + 1, String::new());
        }
        for row in rows {
            writer.row(table.name, row.columns);
            place = row.place;
            is_full = writer.is_full();
            if is_full {
                break;
            }
        }
    }
    let end = !is_full;
    let (text, mac) = writer.finish(context.secrets, end);
    let outcome = Outcome::text("application/x-ndjson", text);
    if end {
        return Ok(outcome);
    }
    let head = Head { page: progress.head.page + 1, previous: mac, ..progress.head };
    Ok(outcome.header("Next-Cursor", Progress { head, table: at, place }.seal(context)))
}

/// The first page is for whoever has just shown who they are: hashes of passwords are in a backup.
fn begin(
    context: &mut RequestContext<'_>,
    member: &Member,
) -> Result<Progress, crate::handler::HandlerError> {
    member.require_fresh_password(context.now)?;
    let head = Head {
        backup: ids::id("bak_", context.entropy),
        page: 0,
        time: context.now,
        previous: String::new(),
    };
    context.audit(&AuditEvent {
        tenant_id: &member.tenant.id,
        actor: &member.actor(),
        action: "backup.read",
        target: &head.backup,
        before: Value::Null,
        after: Value::Null,
    })?;
    Ok(Progress { head, table: 0, place: String::new() })
}

impl Progress {
    fn seal(&self, context: &RequestContext<'_>) -> String {
        let Head { backup, page, time, previous } = &self.head;
        let said = object!({
            "backup": backup.as_str(),
            "page": *page,
            "time": time.0,
            "previous": previous.as_str(),
            "table": self.table as u64,
            "place": self.place.as_str(),
        });
        context.secrets.seal(PURPOSE, "", &said.to_string())
    }

    fn unseal(context: &RequestContext<'_>, cursor: &str) -> Option<Self> {
        let said = keyward_json::parse(&context.secrets.unseal(PURPOSE, "", cursor)?).ok()?;
        let text = |name: &str| said.get(name)?.as_str().map(str::to_owned);
        let head = Head {
            backup: text("backup")?,
            page: said.get("page")?.as_u64()?,
            time: Timestamp(said.get("time")?.as_i64()?),
            previous: text("previous")?,
        };
        let table = usize::try_from(said.get("table")?.as_u64()?).ok()?;
        Some(Self { head, table, place: text("place")? })
    }
}
