//! The audit: one chain a tenant, append-only, each entry holding the hash of the one before.
//!
//! An entry's `hash` is the SHA-256, in hex, of the entry as `GET /audit` shows it without `hash`,
//! written by the JSON Canonicalization Scheme (RFC 8785). Whoever can read the entries can check
//! them; whoever notes the last hash can also tell when entries were cut off the end.

pub mod daily;
pub mod retention;
mod short;

pub use short::difference;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use self::{daily::Kind, retention::Stored};
use crate::{
    key::hex,
    registry::{
        Handled, Outcome, Turn, cursor,
        effect::Effect,
        error::{Refusal, Stop},
        input::{self, Input},
        principal::Principal,
        quotas::Quota,
        room, schema,
        tenants::Tenant,
        text,
    },
    sql::{self, Sql, SqlError},
    time::Timestamp,
};

/// A failed attempt to sign in.
pub const REFUSED: &str = "session.refused";
/// How the names of all that happens to sessions begin.
const OF_SESSIONS: &str = "session.";
/// Name of this list in its cursors.
const LIST: &str = "audit";
/// What the first entry holds as the hash of the one before.
const BEGINNING: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Most entries that one call checks: some tens of milliseconds.
const CHECKED_AT_ONCE: u32 = 1_000;

/// Who did it.
#[derive(Clone, Debug)]
pub struct Actor {
    kind: &'static str,
    id: Option<String>,
    email: Option<String>,
}

impl Actor {
    /// A member.
    pub fn member(id: &str, email: &str) -> Self {
        Self { kind: "member", id: Some(id.to_owned()), email: Some(email.to_owned()) }
    }

    /// An API key.
    pub fn key(id: &str) -> Self {
        Self { kind: "apiKey", id: Some(id.to_owned()), email: None }
    }

    /// Whoever holds the set-up token, before there is an owner.
    pub fn set_up() -> Self {
        Self { kind: "setupToken", id: None, email: None }
    }

    /// The gate itself.
    pub fn system() -> Self {
        Self { kind: "system", id: None, email: None }
    }

    /// Somebody who showed nothing that holds, under the e-mail address that was typed.
    pub fn unknown(email: Option<&str>) -> Self {
        Self { kind: "unknown", id: None, email: email.map(text::masked) }
    }

    /// As the API shows it.
    pub fn view(&self) -> Value {
        json!({ "type": self.kind, "id": self.id, "email": self.email })
    }
}

/// What was done. Never holds a secret.
pub struct Deed<'a> {
    /// In whose chain it stands.
    pub tenant_id: &'a str,
    /// Who did it.
    pub actor: &'a Actor,
    /// `key.revoke`
    pub action: &'static str,
    /// Id of what it was done to.
    pub target: &'a str,
    /// What changed, as it was.
    pub before: Value,
    /// What changed, as it is.
    pub after: Value,
}

#[derive(Deserialize)]
struct Row {
    seq: i64,
    entry: String,
    hash: String,
}

/// When and in which call something was done.
pub struct Occasion<'a> {
    db: &'a dyn Sql,
    /// The time.
    pub now: Timestamp,
    address: &'a str,
    request_id: &'a str,
}

impl Turn<'_> {
    /// This call.
    pub fn occasion(&self) -> Occasion<'_> {
        let (address, request_id) = (&self.call.address, &self.call.request_id);
        Occasion { db: self.db, now: self.now, address, request_id }
    }

    /// Appends to the tenant's chain. Of failed attempts to sign in only so many a day, and while there is room; of
    /// sessions so many a day of each member, and of all members together while the chain is full.
    pub fn audit(&self, deed: &Deed<'_>) -> Result<(), SqlError> {
        let Deed { tenant_id, action, target, actor, .. } = *deed;
        let written = if action == REFUSED {
            let person = Some(target).filter(|id| !id.is_empty());
            if room::is_left(self.db, self.policy)? {
                daily::admit_refused(self.db, tenant_id, person, self.now)?
            } else {
                let kind = if person.is_some() { Kind::People } else { Kind::Strangers };
                daily::leave_out(self.db, tenant_id, kind, self.now)?;
                false
            }
        } else if action.starts_with(OF_SESSIONS) {
            let member = actor.id.as_deref().unwrap_or_default();
            daily::admit_session(self.db, tenant_id, member, self.now)?
                && self.is_admitted(tenant_id, Kind::Sessions)?
        } else {
            true
        };
        if written { self.occasion().audit(deed) } else { Ok(()) }
    }

    /// Whether an entry of what is never refused may be written: while the tenant's audit is not full, and then so
    /// many a day.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn is_admitted(&self, tenant_id: &str, kind: Kind) -> Result<bool, SqlError> {
        let Some(tenant) = Tenant::load(self.db, tenant_id)? else { return Ok(true) };
        let limit = Quota::AuditEntries.limit(&tenant, self.policy);
        let bound = Effect::Repeats.audit_entries(limit).unwrap_or(limit);
        Ok(entries(self.db, tenant_id)? < bound || daily::admit(self.db, tenant_id, kind, self.now)?)
    }

    /// Refuses what a tenant's chain has no room for.
    ///
    /// # Errors
    /// QUOTA_EXCEEDED
    pub fn require_audit(&self, tenant: &Tenant, effect: Effect) -> Result<(), Stop> {
        let quota = Quota::AuditEntries;
        let Some(bound) = effect.audit_entries(quota.limit(tenant, self.policy)) else { return Ok(()) };
        self.require_within(tenant, quota, entries(self.db, &tenant.id)?, 1, bound)
    }
}

impl<'a> Occasion<'a> {
    /// No call: an alarm.
    pub fn by_itself(db: &'a dyn Sql, now: Timestamp) -> Self {
        Self { db, now, address: "", request_id: "" }
    }

    /// Appends to the tenant's chain.
    pub fn audit(&self, deed: &Deed<'_>) -> Result<(), SqlError> {
        let (last, previous) = end(self.db, deed.tenant_id)?;
        let seq = last + 1;
        let entry = canonical(&json!({
            "seq": seq,
            "tenantId": deed.tenant_id,
            "time": self.now.to_rfc3339(),
            "actor": deed.actor.view(),
            "action": deed.action,
            "target": deed.target,
            "before": short::shortened(&deed.before),
            "after": short::shortened(&deed.after),
            "address": self.address,
            "requestId": self.request_id,
            "previousHash": previous,
        }));
        let hash = hash(&entry);
        let columns = [
            ("tenant_id", deed.tenant_id.into()),
            ("seq", seq.into()),
            ("entry", entry.into()),
            ("hash", hash.into()),
        ];
        schema::insert(self.db, "audit", &columns)
    }
}

/// Place and hash of the last entry of a tenant's chain; of the one before the first, if there is none.
fn end(db: &dyn Sql, tenant_id: &str) -> Result<(i64, String), SqlError> {
    let last = "SELECT seq, '' AS entry, hash FROM audit WHERE tenant_id = ? ORDER BY seq DESC LIMIT 1";
    if let Some(row) = sql::query_one::<Row>(db, last, &[tenant_id.into()])? {
        return Ok((row.seq, row.hash));
    }
    // Of a chain that was cut at least one entry is left: one without any is broken, and shall not look whole.
    Ok((0, BEGINNING.to_owned()))
}

/// How many entries a tenant has itself caused and are kept.
///
/// # Errors
/// What SQLite says.
pub fn entries(db: &dyn Sql, tenant_id: &str) -> Result<u64, SqlError> {
    let cut =
        Stored::load(db, tenant_id)?.and_then(|stored| stored.read()).map_or(0, |checkpoint| checkpoint.seq);
    let own = end(db, tenant_id)?.0 - cut - daily::refused(db, tenant_id)?;
    Ok(u64::try_from(own).unwrap_or_default())
}

/// `GET /audit`: newest first.
pub fn list(turn: &mut Turn<'_>, principal: &Principal, _: &str) -> Handled {
    let tenant_id = principal.tenant_id();
    let mut query = Input::query(&turn.call.query, &cursor::PARAMETERS);
    let page = turn.page(LIST, tenant_id, &mut query);
    query.finish()?;

    let rows = sql::query::<Row>(
        turn.db,
        "SELECT seq, entry, hash FROM audit WHERE tenant_id = ? AND seq < ? ORDER BY seq DESC LIMIT ?",
        &[tenant_id.into(), page.after.unwrap_or(i64::MAX).into(), page.rows().into()],
    )?;
    let (rows, next) = page.cut(turn.secrets, rows, |row| row.seq);
    let entries: Vec<Value> = rows.iter().map(shown).collect();
    Ok(Outcome::ok(json!({ "entries": entries, "nextCursor": next })))
}

/// `GET /audit/verify?from`: whether the tenant's chain is whole, from an entry on. One call checks so
/// many entries at most, since no other call runs meanwhile; `next` is then where to go on. A chain that was
/// cut begins after its checkpoint, if that is signed.
pub fn verify(turn: &mut Turn<'_>, principal: &Principal, _: &str) -> Handled {
    let tenant_id = principal.tenant_id();
    let mut query = Input::query(&turn.call.query, &["from"]);
    let from = query.optional("from", |value| input::whole_text(value, 1, u32::MAX)).unwrap_or(1);
    query.finish()?;
    let stored = Stored::load(turn.db, tenant_id)?;
    let checkpoint = stored.as_ref().and_then(|stored| stored.verified(turn.secrets, tenant_id));
    let cut = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.seq);
    let before = (i64::from(from) - 1).max(cut);
    let previous = match &checkpoint {
        Some(checkpoint) if before == cut => Some(checkpoint.hash.clone()),
        _ => hash_of(turn.db, tenant_id, before)?,
    };
    let forged = stored.is_some() && checkpoint.is_none();
    let Some(previous) = previous.or_else(|| forged.then(|| BEGINNING.to_owned())) else {
        return Err(Refusal::field("from", "comes after the end of the chain").into());
    };

    let rows = rows_after(turn.db, tenant_id, before, CHECKED_AT_ONCE + 1)?;
    let (mut last, mut last_hash) = (before, previous);
    // What was cut is gone, and at least one entry was left.
    let well_cut = before > cut || checkpoint.is_none() || is_well_cut(turn.db, tenant_id, cut)?;
    let mut broken_at = (forged || !well_cut).then_some(before + 1);
    for row in rows.iter().take(CHECKED_AT_ONCE as usize) {
        let expected = last + 1;
        if broken_at.is_some() {
            break;
        }
        if row.seq != expected || row.hash != hash(&row.entry) || !follows(&row.entry, expected, &last_hash) {
            broken_at = Some(expected);
            break;
        }
        (last, last_hash) = (row.seq, row.hash.clone());
    }
    let more = broken_at.is_none() && rows.len() > CHECKED_AT_ONCE as usize;
    let mut body = json!({ "ok": broken_at.is_none(), "entries": last, "lastHash": last_hash });
    let next = more.then_some(last + 1);
    let shown = stored.map(|stored| stored.view(checkpoint.is_some()));
    if let Some(body) = body.as_object_mut() {
        body.extend(broken_at.map(|seq| ("brokenAt".to_owned(), seq.into())));
        body.extend(next.map(|seq| ("next".to_owned(), seq.into())));
        body.extend(shown.map(|shown| ("checkpoint".to_owned(), shown)));
    }
    Ok(Outcome::ok(body))
}

/// Whether nothing is left of what was cut, and something of what was not.
fn is_well_cut(db: &dyn Sql, tenant_id: &str, cut: i64) -> Result<bool, SqlError> {
    let left = rows_after(db, tenant_id, 0, 1)?;
    Ok(left.first().is_some_and(|row| row.seq > cut))
}

/// The hash of an entry; what the first one holds for the one before it.
fn hash_of(db: &dyn Sql, tenant_id: &str, seq: i64) -> Result<Option<String>, SqlError> {
    if seq == 0 {
        return Ok(Some(BEGINNING.to_owned()));
    }
    Ok(rows_after(db, tenant_id, seq - 1, 1)?.into_iter().find(|row| row.seq == seq).map(|row| row.hash))
}

fn rows_after(db: &dyn Sql, tenant_id: &str, seq: i64, most: u32) -> Result<Vec<Row>, SqlError> {
    let rows = "SELECT seq, entry, hash FROM audit WHERE tenant_id = ? AND seq > ? ORDER BY seq LIMIT ?";
    sql::query(db, rows, &[tenant_id.into(), seq.into(), most.into()])
}

/// Whether the entry itself says that it is this one, after that one.
fn follows(entry: &str, seq: i64, previous: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Links {
        seq: i64,
        previous_hash: String,
    }
    serde_json::from_str::<Links>(entry)
        .is_ok_and(|links| links.seq == seq && links.previous_hash == previous)
}

fn hash(entry: &str) -> String {
    hex(&Sha256::digest(entry))
}

fn shown(row: &Row) -> Value {
    let mut entry: Map<String, Value> = serde_json::from_str(&row.entry).unwrap_or_default();
    entry.insert("hash".to_owned(), row.hash.clone().into());
    Value::Object(entry)
}

/// RFC 8785. Numbers here are whole and below 2^53 and names are ASCII, for which sorting by bytes
/// and serde_json's strings and numbers are what it asks for.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            let fields: Vec<String> = fields
                .into_iter()
                .map(|(name, value)| format!("{}:{}", json!(name), canonical(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        plain => plain.to_string(),
    }
}
