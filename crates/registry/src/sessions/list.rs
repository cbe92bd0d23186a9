//! The list of who is signed in, and ending sessions of it: one's own, and as an owner those of members.

use keyward_core::{
    sql::{self, SqlError},
    time::Timestamp,
};
use serde_json::Value;

use crate::{
    audit::event::AuditEvent,
    context::RequestContext,
    error::ApiError,
    handler::{HandlerError, HandlerResult},
    members::member::MemberRow,
    outcome::Outcome,
    principal::{Member, Role},
    sessions::{cookie::clear_cookie, store::end_all},
    to_json::object,
};

/// What ids begin with, and how much of the token's hash follows: enough to name one, and nothing to sign in with.
const ID_PREFIX: &str = "ses_";
const ID_LENGTH: usize = 24;

/// A session as listed.
struct Row {
    hash: String,
    member_id: String,
    created_at: Timestamp,
    expires_at: Timestamp,
    /// `None` of one that an older build has begun.
    seen_at: Option<Timestamp>,
    network: Option<String>,
    agent: Option<String>,
}

keyward_core::from_row!(Row { hash, member_id, created_at, expires_at, seen_at, network, agent });

const COLUMNS: &str = "hash, member_id, created_at, expires_at, seen_at, network, agent";

impl Row {
    /// As the API shows it. `present`: hash of the session that asks.
    fn view(&self, present: &str) -> Value {
        let seen_at = self.seen_at.unwrap_or(self.created_at);
        object!({
            "id": id(&self.hash),
            "memberId": self.member_id,
            "createdAt": self.created_at.to_rfc3339(),
            "lastSeenAt": seen_at.to_rfc3339(),
            "expiresAt": self.expires_at.to_rfc3339(),
            "network": self.network,
            "userAgent": self.agent,
            "current": self.hash == present,
        })
    }
}

fn id(hash: &str) -> String {
    format!("{ID_PREFIX}{}", hash.get(..ID_LENGTH).unwrap_or(hash))
}

/// `GET /sessions`: one's own, in the order they began.
pub fn list_own(context: &mut RequestContext<'_>, member: &Member, _: &str) -> HandlerResult {
    list(context, member, &member.id)
}

/// `GET /members/{id}/sessions`
pub fn list_of_member(context: &mut RequestContext<'_>, member: &Member, id: &str) -> HandlerResult {
    require_of_tenant(context, member, id)?;
    list(context, member, id)
}

fn list(context: &RequestContext<'_>, member: &Member, of: &str) -> HandlerResult {
    let statement = format!(
        "SELECT rowid AS position, {COLUMNS} FROM sessions
         WHERE member_id = ? AND tenant_id = ? AND expires_at > ? AND rowid > ? ORDER BY rowid LIMIT ?"
    );
    let tenant_id = member.tenant.id.as_str();
    let values = [of.into(), tenant_id.into(), context.now.into()];
    let (rows, next) = context.read_page::<Row>("sessions", tenant_id, &statement, &values, 0)?;
    let sessions: Vec<Value> = rows.iter().map(|row| row.view(&member.session)).collect();
    Ok(Outcome::ok(object!({ "sessions": sessions, "nextCursor": next })))
}

/// `DELETE /sessions/{id}`: one of one's own; as an owner, of anybody in the tenant.
pub fn end(context: &mut RequestContext<'_>, member: &Member, session: &str) -> HandlerResult {
    let of = (member.role != Role::Owner).then_some(member.id.as_str());
    // Of a tenant's many sessions those whose hashes begin so, which is at most one.
    let begin = session.strip_prefix(ID_PREFIX).unwrap_or_default();
    let statement = format!(
        "SELECT {COLUMNS} FROM sessions WHERE hash >= ? AND hash < ? AND tenant_id = ?
         AND member_id = COALESCE(?, member_id) AND expires_at > ? LIMIT 1"
    );
    let (end, tenant_id) = (format!("{begin}g"), member.tenant.id.as_str());
    let values = [begin.into(), end.into(), tenant_id.into(), of.into(), context.now.into()];
    let row = sql::query_one::<Row>(context.db, &statement, &values)?.filter(|row| id(&row.hash) == session);
    let row = row.ok_or_else(|| ApiError::not_found("session"))?;
    context.db.run("DELETE FROM sessions WHERE hash = ?", &[row.hash.as_str().into()])?;
    note(context, member, &row.member_id, object!({ "session": session }))?;
    let outcome = Outcome::no_content();
    let own = row.hash == member.session;
    Ok(if own { outcome.header("Set-Cookie", clear_cookie()) } else { outcome })
}

/// `DELETE /sessions`: all of one's own but this one.
pub fn end_others(context: &mut RequestContext<'_>, member: &Member, _: &str) -> HandlerResult {
    // What ends nothing leaves no trace either: it could be repeated without end.
    if end_all(context, &member.id, &member.session)? {
        note(context, member, &member.id, object!({ "session": "others" }))?;
    }
    Ok(Outcome::no_content())
}

/// `DELETE /members/{id}/sessions`: all of a member's; the one that asks stays.
pub fn end_of_member(context: &mut RequestContext<'_>, member: &Member, id: &str) -> HandlerResult {
    require_of_tenant(context, member, id)?;
    if end_all(context, id, &member.session)? {
        note(context, member, id, object!({ "session": "all" }))?;
    }
    Ok(Outcome::no_content())
}

fn require_of_tenant(context: &RequestContext<'_>, member: &Member, id: &str) -> Result<(), HandlerError> {
    let person = MemberRow::load(context.db, &member.tenant.id, id)?;
    person.map(|_| ()).ok_or_else(|| ApiError::not_found("member").into())
}

fn note(context: &RequestContext<'_>, member: &Member, target: &str, before: Value) -> Result<(), SqlError> {
    let actor = member.actor();
    let event = AuditEvent {
        tenant_id: &member.tenant.id,
        actor: &actor,
        action: "session.end",
        target,
        before,
        after: Value::Null,
    };
    context.audit(&event)
}
