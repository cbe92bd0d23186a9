//! A key between being made and being shown. It is stored, then its coordinator is told, and only then it is shown:
//! whoever has a key has one that works everywhere. Until then nothing is done to the key that it replaces. One
//! whose coordinator cannot be told in time is revoked, since nobody has it; under an `Idempotency-Key` it waits for
//! the repeat that gets it.

use keyward_core::{
    record::Status,
    secret::Secret,
    sql::{self, Sql, SqlError},
    time::{Span, Timestamp},
};
use serde_json::Value;

use crate::{
    audit::{
        chain::AuditLog,
        event::{Actor, AuditEvent},
    },
    call_state::Introduced,
    context::RequestContext,
    error::{ApiError, Code},
    handler::HandlerError,
    keys::key::{self, Key},
    principal::Principal,
    to_json::object,
};

/// A key that was made without an `Idempotency-Key` is shown within this time or never: more than a call takes.
pub const SHOWN_WITHIN: Span = Span::from_mins(1);
/// Why it was revoked.
const REASON: &str = "cancelled: it was never shown to anybody";

impl RequestContext<'_> {
    /// Whether this call has made its key already.
    pub fn has_created(&self) -> bool {
        self.state.introduced.is_some()
    }

    /// The key that this call made, now that it can be shown, and its plaintext.
    ///
    /// # Errors
    /// [`HandlerError::Untold`]; CONFLICT if it was revoked meanwhile.
    pub fn deliver(&self, principal: &Principal) -> Result<(Key, Secret), HandlerError> {
        let Some(Introduced { created, told: true }) = &self.state.introduced else {
            return Err(HandlerError::Untold);
        };
        let key = self.key(principal, &created.id)?;
        key.require_active(self.now, "shown")?;
        self.db.run("UPDATE keys SET deliver_by = NULL WHERE id = ?", &[key.id.as_str().into()])?;
        Ok((key, created.plaintext.clone()))
    }

    /// Revokes the key that this call made and cannot show.
    pub(crate) fn cancel(&self) -> Result<(), SqlError> {
        match &self.state.introduced {
            Some(Introduced { created, .. }) => {
                sql::transaction(self.db, || cancel(self.db, &self.audit_log(), &created.id))
            }
            None => Ok(()),
        }
    }
}

/// The answer when its coordinator could not be told.
pub fn untold(may_be_repeated: bool) -> ApiError {
    let detail = if may_be_repeated {
        "The key is made, but not every gate could be told of it yet. Repeat the call with the same Idempotency-Key: \
         that gets the key once it works everywhere. A key that it replaces goes on until then."
    } else {
        "No key was made: not every gate could be told of it. A key that it was to replace goes on as before. \
         Repeat the call."
    };
    ApiError::new(Code::StoreUnavailable, detail)
}

/// Cancels the keys that were not shown in time: the object died meanwhile, or nobody repeated the call.
///
/// # Errors
/// What SQLite says.
pub fn cancel_overdue(db: &dyn Sql, now: Timestamp, most: u32) -> Result<(), SqlError> {
    let overdue = "SELECT id FROM keys WHERE deliver_by <= ? ORDER BY deliver_by LIMIT ?";
    for id in sql::scalars::<String>(db, overdue, &[now.into(), most.into()])? {
        sql::transaction(db, || cancel(db, &AuditLog::of_alarm(db, now), &id))?;
    }
    Ok(())
}

/// Revokes a key that was not shown, and forgets the request that asked for it. One that was used was shown, by a
/// build that knows nothing of this.
fn cancel(db: &dyn Sql, log: &AuditLog<'_>, id: &str) -> Result<(), SqlError> {
    let undelivered = "SELECT * FROM keys WHERE id = ? AND deliver_by IS NOT NULL";
    let Some(key) = sql::query_one::<Key>(db, undelivered, &[id.into()])? else { return Ok(()) };
    db.run("UPDATE keys SET deliver_by = NULL WHERE id = ?", &[id.into()])?;
    if key.last_used_at.is_some() {
        return Ok(());
    }
    db.run("DELETE FROM idempotency WHERE key_id = ?", &[id.into()])?;
    if key.status == Status::Revoked {
        return Ok(());
    }
    let now = log.now;
    let changes = key::revocation(now, &Actor::system().view(), Some(REASON));
    key::store(db, &key, now, changes.into())?;
    log.append(&AuditEvent {
        tenant_id: &key.tenant_id,
        actor: &Actor::system(),
        action: "key.cancel",
        target: id,
        before: object!({ "status": Status::Active }),
        after: object!({ "status": Status::Revoked, "revokeReason": REASON }),
    })
}

/// Audits that a key was shown again.
pub fn note_replay(context: &RequestContext<'_>, principal: &Principal, key: &Key) -> Result<(), SqlError> {
    context.audit(&AuditEvent {
        tenant_id: principal.tenant_id(),
        actor: &principal.actor(),
        action: "key.replay",
        target: &key.id,
        before: Value::Null,
        after: Value::Null,
    })
}
