//! `POST /restore`: takes the pages of a backup in, one after the other, into a Registry that has nothing yet.
//!
//! Whoever has the set-up token may do it, as only they could make the first owner. Until the last page is there, every other call is
//! refused ([`require_none`]), usage is not taken in, and nothing is published. The first page of any backup begins anew, and a page that
//! came before is taken as done, so that whatever was interrupted can be repeated.

use keyward_core::{
    sql::{self, Sql, SqlError},
    time::Timestamp,
};
use serde_json::Value;

use super::{
    page::{Head, Page},
    tables::TABLES,
};
use crate::{
    admin_call::AdminCredential,
    audit::event::{Actor, AuditEvent},
    change_log,
    context::RequestContext,
    error::{ApiError, Code},
    events::notices,
    handler::{HandlerError, HandlerResult},
    members,
    outcome::Outcome,
    setup_token::is_setup_token,
    tenants::tenant::Tenant,
    to_json::object,
};

/// What is known of the backup that is being restored, or was.
struct Restore {
    backup: String,
    page: u64,
    mac: String,
    done_at: Option<Timestamp>,
}
keyward_core::from_row!(Restore { backup, page, mac, done_at });

fn load(db: &dyn Sql) -> Result<Option<Restore>, SqlError> {
    sql::query_one(db, "SELECT backup, page, mac, done_at FROM restores", &[])
}

/// Whether pages of a backup are still missing.
///
/// # Errors
/// What SQLite says.
pub fn is_under_way(db: &dyn Sql) -> Result<bool, SqlError> {
    Ok(load(db)?.is_some_and(|restore| restore.done_at.is_none()))
}

/// When a backup was restored; `None` if none ever was, or pages of it are missing.
///
/// # Errors
/// What SQLite says.
pub fn done_at(db: &dyn Sql) -> Result<Option<Timestamp>, SqlError> {
    Ok(load(db)?.and_then(|restore| restore.done_at))
}

/// Refuses what would see half of a backup.
///
/// # Errors
/// STORE_UNAVAILABLE
pub fn require_none(context: &RequestContext<'_>) -> Result<(), HandlerError> {
    match load(context.db)?.filter(|restore| restore.done_at.is_none()) {
        None => Ok(()),
        Some(Restore { backup, page, .. }) => {
            let detail = format!(
                "The backup {backup} is being restored, and its page {page} came last: send the pages after that."
            );
            Err(ApiError::new(Code::StoreUnavailable, detail).into())
        }
    }
}

/// `POST /restore`
pub fn restore(context: &mut RequestContext<'_>) -> HandlerResult {
    let AdminCredential::SetUp { token } = &context.call.credential else {
        context.count_stranger()?;
        let detail = "Send `Authorization: Setup` with the set-up token of this deployment.";
        return Err(ApiError::new(Code::Unauthenticated, detail).into());
    };
    if !is_setup_token(context, token)? {
        context.count_stranger()?;
        return Err(ApiError::new(Code::InvalidCredentials, "The set-up token is wrong.").into());
    }
    let page = Page::read(&context.call.body, context.secrets)
        .map_err(|unfit| ApiError::field("body", unfit.to_string()))?;
    let Head { backup, page: number, previous, .. } = &page.head;
    match load(context.db)? {
        // The answer to its last page may have been lost: whoever sends all of it again is told that it is done.
        Some(before) if before.done_at.is_some() && before.backup == *backup => return Ok(answer(&page)),
        Some(Restore { done_at: Some(_), .. }) => return Err(in_use().into()),
        Some(before) if before.backup == *backup && before.mac == page.mac => return Ok(answer(&page)),
        Some(before) if before.backup == *backup && before.page + 1 == *number && before.mac == *previous => {
        }
        _ if *number == 0 => begin(context)?,
        Some(before) => {
            let Restore { backup, page, .. } = before;
            let detail = format!(
                "Page {page} of the backup {backup} came last: send its page {}, or begin with the first page of a backup.",
                page + 1
            );
            return Err(ApiError::new(Code::Conflict, detail).into());
        }
        None => {
            let detail = "Begin with the first page of the backup, which has the number 0.";
            return Err(ApiError::new(Code::Conflict, detail).into());
        }
    }
    for (name, row) in &page.rows {
        let Some(table) = TABLES.iter().find(|table| table.name == name) else {
            return Err(newer(name).into());
        };
        table.write(context.db, row).map_err(|error| match error {
            // A newer build has added to the table.
            SqlError(text) if text.contains("has no column named") => HandlerError::from(newer(name)),
            error => error.into(),
        })?;
    }
    let now = context.now;
    context.db.run("DELETE FROM restores", &[])?;
    let noted = "INSERT INTO restores (backup, made_at, page, mac, done_at, search_from, search_due) VALUES (?, ?, ?, ?, ?, ?, ?)";
    let number = i64::try_from(*number).unwrap_or(i64::MAX);
    let done_at = page.end.then_some(now);
    context.db.run(
        noted,
        &[
            backup.as_str().into(),
            page.head.time.into(),
            number.into(),
            page.mac.as_str().into(),
            done_at.into(),
            "".into(),
            done_at.into(),
        ],
    )?;
    if page.end {
        finish(context, &page.head)?;
    }
    Ok(answer(&page))
}

fn answer(page: &Page) -> Outcome {
    let Head { backup, page: number, time, .. } = &page.head;
    Outcome::ok(object!({
        "backup": backup.as_str(),
        "madeAt": time.to_rfc3339(),
        "page": *number,
        "rows": page.rows.len() as u64,
        "done": page.end,
    }))
}

fn in_use() -> ApiError {
    let detail = "This deployment is in use. A backup is restored into one that was just deployed, with a KV namespace and objects of \
                  its own or with those whose Registry was lost, before its first owner is made.";
    ApiError::new(Code::AlreadySetUp, detail)
}

fn newer(table: &str) -> ApiError {
    let detail = format!(
        "The backup was made by a newer version: this one does not know all of its table {table}. Restore it with that version, or a later one."
    );
    ApiError::new(Code::Conflict, detail)
}

/// Removes what an earlier attempt has brought, and the operator's tenant if the set-up token has made it.
fn begin(context: &RequestContext<'_>) -> Result<(), HandlerError> {
    let db = context.db;
    if load(db)?.is_none() {
        let keys = sql::scalar::<u64>(db, "SELECT COUNT(*) FROM (SELECT 1 FROM keys LIMIT 1)", &[])?;
        if members::exist(db)? || keys != Some(0) {
            return Err(in_use().into());
        }
    }
    // A trigger keeps keys that are paused.
    db.run("UPDATE keys SET expires_at = NULL", &[])?;
    for table in TABLES.iter().rev() {
        table.empty(db)?;
    }
    for derived in ["ended_imports", "tenant_counts", "state_counts", "idempotency"] {
        db.run(&format!("DELETE FROM {derived}"), &[])?;
    }
    Ok(())
}

/// Everything is there: from now on it counts, and is published.
fn finish(context: &RequestContext<'_>, head: &Head) -> Result<(), HandlerError> {
    let (db, now) = (context.db, context.now);
    // What was cut off while the backup was read.
    let cut =
        "DELETE FROM audit WHERE seq <= (SELECT json_extract(checkpoint, '$.seq') FROM audit_checkpoints
        WHERE audit_checkpoints.tenant_id = audit.tenant_id)";
    db.run(cut, &[])?;
    // Nothing of this is news to those who are told of events.
    for events in ["event_deliveries", "event_revocations", "events"] {
        db.run(&format!("DELETE FROM {events}"), &[])?;
    }
    notices::skip(db, head.time)?;
    change_log::begin_after_restore(db, now)?;
    // Versions that their objects and KV take, even if what the policy says has changed since.
    let keys = "UPDATE keys SET version = version + 1, told_version = 0, told_at = NULL, strict_since = NULL,
        publish_due = ?, publish_attempts = 0, unsettled_until = NULL";
    db.run(keys, &[now.into()])?;
    let Some(operator) = Tenant::operator(db)? else {
        return Err(ApiError::field("body", "The backup has no operator's tenant.".to_owned()).into());
    };
    context.audit(&AuditEvent {
        tenant_id: &operator.id,
        actor: &Actor::set_up(),
        action: "backup.restore",
        target: &head.backup,
        before: Value::Null,
        after: object!({ "madeAt": head.time.to_rfc3339() }),
    })?;
    Ok(())
}
