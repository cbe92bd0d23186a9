//! A key as stored, as published and as shown. The key itself is never among it.

use keyward_core::{
    json::object_of,
    record::{KeyKind, Limits, Mode, PAUSED, Record, Status},
    sql::{self, FromRow, Row, Sql, SqlError, Value as Bound},
    time::Timestamp,
};
use keyward_policy::{Policy, Realm};
use serde::Serialize;
use serde_json::Value;

use crate::{
    context::RequestContext,
    enum_text::text_of,
    error::{ApiError, Code},
    freshness::Freshness,
    handler::HandlerError,
    keys::{limits, settings::Settings},
    principal::Principal,
    rows,
    tenants::tenant::Tenant,
    to_json::{enums, object},
};

/// Optional whitespace around what a header field lists (RFC 9110, 5.6.3).
const WHITESPACE: [char; 2] = [' ', '\t'];

/// A key as stored.
#[derive(Clone, Debug)]
pub struct Key {
    /// Grows with each key made: the order of the list.
    pub number: i64,
    /// Id.
    pub id: String,
    /// Whose.
    pub tenant_id: String,
    /// For which realm.
    pub realm: String,
    /// Secret or publishable.
    pub kind: KeyKind,
    /// What people may see of its beginning.
    pub prefix: String,
    /// What people may see of its end.
    pub last4: String,
    /// The storage hash.
    pub hash: String,
    /// Whether it was revoked.
    pub status: Status,
    /// Grows with every change that is published.
    pub version: u64,
    /// What an edit can change.
    pub settings: Settings,
    /// The end that a rotation's grace put on it.
    pub grace_ends_at: Option<Timestamp>,
    /// The expiry that its owner had set before that.
    pub own_expires_at: Option<Timestamp>,
    /// When it was made, or imported.
    pub created_at: Timestamp,
    /// Whether it was made elsewhere, and imported.
    pub is_imported: bool,
    /// When it was made, if that is known of one that was imported.
    pub made_at: Option<Timestamp>,
    /// By whom, as the API shows it.
    pub created_by: Value,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was last accepted by the gate, to within a minute or so.
    pub last_used_at: Option<Timestamp>,
    /// Where from, as the API shows it; null where it is not known.
    pub last_used_from: Value,
    /// When it was paused, if it is.
    pub paused_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// By whom, as the API shows it; null if a build revoked it that did not note that.
    pub revoked_by: Value,
    /// Why.
    pub revoke_reason: Option<String>,
    /// The key that this one replaces.
    pub rotated_from: Option<String>,
    /// The key that replaces this one.
    pub rotated_to: Option<String>,
    /// The version that the coordinator was last told.
    pub told_version: u64,
    /// When that was.
    pub told_at: Option<Timestamp>,
    /// Since when its coordinator has known it as strict.
    pub strict_since: Option<Timestamp>,
    /// Attempts to publish it whose end is not known.
    pub publish_attempts: u32,
    /// When it is cancelled if it was not shown until then; `None` once it was.
    pub deliver_by: Option<Timestamp>,
}

impl FromRow for Key {
    fn from_row(row: &Row) -> Result<Self, SqlError> {
        let status = rows::enumerated(row, "status", &Status::ALL)?;
        let mut settings = Settings::from_row(row)?;
        let paused = settings.expires_at == Some(PAUSED);
        if paused {
            settings.expires_at = row.get("paused_expiry")?;
        }
        let last_used_at: Option<Timestamp> = row.get("last_used_at")?;
        Ok(Self {
            number: row.get("number")?,
            id: row.get("id")?,
            tenant_id: row.get("tenant_id")?,
            realm: row.get("realm")?,
            kind: rows::enumerated(row, "kind", &KeyKind::ALL)?,
            prefix: row.get("prefix")?,
            last4: row.get("last4")?,
            hash: row.get("hash")?,
            status,
            version: row.get("version")?,
            settings,
            grace_ends_at: row.get("grace_ends_at")?,
            own_expires_at: row.get("own_expires_at")?,
            created_at: row.get("created_at")?,
            is_imported: row.get::<Option<String>>("imported_as")?.is_some(),
            made_at: row.get("made_at")?,
            created_by: row.json("created_by")?,
            updated_at: row.get("updated_at")?,
            last_used_at,
            last_used_from: used_from(&row.json("last_used_from")?, last_used_at),
            paused_at: if paused && status == Status::Active { row.get("paused_at")? } else { None },
            revoked_at: row.get("revoked_at")?,
            revoked_by: row.json("revoked_by")?,
            revoke_reason: row.get("revoke_reason")?,
            rotated_from: row.get("rotated_from")?,
            rotated_to: row.get("rotated_to")?,
            told_version: row.get("told_version")?,
            told_at: row.get("told_at")?,
            strict_since: row.get("strict_since")?,
            publish_attempts: row.get("publish_attempts")?,
            deliver_by: row.get("deliver_by")?,
        })
    }
}

/// Where a key was last used from. What is stored says of which use: an older build stores only when there was a later one.
fn used_from(stored: &Value, last_used_at: Option<Timestamp>) -> Value {
    if last_used_at.is_none() || stored[0].as_i64() != last_used_at.map(|at| at.0) {
        return Value::Null;
    }
    let from = &stored[1];
    object!({ "network": from["network"], "country": from["country"], "route": from["route"] })
}

/// What a key is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// It passes.
    Active,
    /// It was revoked.
    Revoked,
    /// It has expired.
    Expired,
    /// It is paused.
    Paused,
}

enums!(State);

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Active, Self::Revoked, Self::Expired, Self::Paused];
}

/// The tenant's key with this id. One of another tenant does not exist.
pub fn load(db: &dyn Sql, tenant_id: &str, id: &str) -> Result<Option<Key>, SqlError> {
    sql::query_one(db, "SELECT * FROM keys WHERE id = ? AND tenant_id = ?", &[id.into(), tenant_id.into()])
}

/// The key with this id, of whatever tenant, if it is in the outbox and due `by` then, or at any
/// time: for publishing only.
pub fn load_due(db: &dyn Sql, id: &str, by: Option<Timestamp>) -> Result<Option<Key>, SqlError> {
    let due = "SELECT * FROM keys WHERE id = ? AND publish_due <= COALESCE(?, publish_due)";
    sql::query_one(db, due, &[id.into(), by.into()])
}

/// The columns of a key that is revoked. `by`: whoever did it, as the API shows it.
pub(crate) fn revocation(now: Timestamp, by: &Value, reason: Option<&str>) -> [(&'static str, Bound); 4] {
    [
        ("status", text_of(Status::Revoked).into()),
        ("revoked_at", now.into()),
        ("revoked_by", by.to_string().into()),
        ("revoke_reason", reason.map(Bound::from).into()),
    ]
}

pub(crate) fn store(
    db: &dyn Sql,
    key: &Key,
    now: Timestamp,
    changes: Vec<(&str, Bound)>,
) -> Result<(), SqlError> {
    let version = i64::try_from(key.version.saturating_add(1)).unwrap_or(i64::MAX);
    let mut columns = changes;
    columns.extend([("version", version.into()), ("updated_at", now.into()), ("publish_due", now.into())]);
    rows::update(db, "keys", &key.id, &columns)
}

impl Key {
    /// What it is now: what the gate says of it. While it is paused, the gate does not know its expiry.
    pub fn state(&self, now: Timestamp) -> State {
        match self.status {
            Status::Revoked => State::Revoked,
            Status::Active if self.paused_at.is_some() => State::Paused,
            Status::Active if self.has_expired(now) => State::Expired,
            Status::Active => State::Active,
        }
    }

    fn has_expired(&self, now: Timestamp) -> bool {
        self.settings.expires_at.is_some_and(|at| at <= now)
    }

    /// The expiry that its owner set, without the end that a grace put before it. A grace no longer counts
    /// once the expiry was edited after it.
    pub fn own_expiry(&self) -> Option<Timestamp> {
        let ends = self.settings.expires_at;
        if ends.is_some() && ends == self.grace_ends_at { self.own_expires_at } else { ends }
    }

    /// As published.
    pub fn record(&self, tenant: &Tenant, policy: &Policy) -> Record {
        let limits = self.limits(tenant, policy);
        let settings = self.settings.clone();
        let told = keyward_core::record::Tenant { pool: tenant.plan.of_all(policy), ..tenant.of_record() };
        let live = Record::live(self.id.clone(), self.realm.clone(), told, settings.scopes);
        Record {
            kind: self.kind,
            mode: settings.mode,
            status: self.status,
            version: self.version,
            expires_at: if self.paused_at.is_some() { Some(PAUSED) } else { settings.expires_at },
            allowed_ips: settings.allowed_ips,
            allowed_origins: settings.allowed_origins,
            limits,
            strict: settings.strict,
            replaced: self.rotated_to.is_some(),
            paused: self.paused_at.is_some(),
            tenant_change: tenant.change,
            metadata: self.told_metadata(policy.realm(&self.realm)),
            ..live.within(policy.jurisdiction)
        }
    }

    /// What of its metadata the origin is told, as the policy says.
    fn told_metadata(&self, realm: Option<&Realm>) -> Option<String> {
        let names = realm?.identity?.metadata;
        let value = |name: &&'static str| Some((*name, self.settings.metadata.get(*name)?.clone()));
        let mut told: Vec<_> = names.iter().filter_map(value).collect();
        (!told.is_empty()).then(|| object_of(&mut told).to_string())
    }

    /// The limits that it has, with what it inherits.
    fn limits(&self, tenant: &Tenant, policy: &Policy) -> Limits {
        let inherited = tenant.plan.of_keys(policy);
        limits::effective(&self.settings.rate_limit, &inherited, policy.realm(&self.realm))
    }

    /// As the API shows it.
    pub fn view(&self, tenant: &Tenant, policy: &Policy, now: Timestamp) -> Value {
        let time = |at: Option<Timestamp>| at.map(Timestamp::to_rfc3339);
        let settings = &self.settings;
        let effective = self.limits(tenant, policy);
        object!({
            "id": self.id,
            "realm": self.realm,
            "tenantId": self.tenant_id,
            "kind": self.kind,
            "name": settings.name,
            "keyPrefix": self.prefix,
            "last4": self.last4,
            "scopes": settings.scopes,
            "status": self.state(now),
            "testMode": settings.mode == Mode::Test,
            "strict": settings.strict,
            "rateLimit": settings.rate_limit,
            "effectiveRateLimit": effective,
            "allowedIps": settings.allowed_ips,
            "allowedOrigins": settings.allowed_origins,
            "tags": settings.tags,
            "metadata": settings.metadata,
            "createdAt": self.made_at.unwrap_or(self.created_at).to_rfc3339(),
            "createdBy": self.created_by,
            "importedAt": time(self.is_imported.then_some(self.created_at)),
            "updatedAt": self.updated_at.to_rfc3339(),
            "expiresAt": time(settings.expires_at),
            "lastUsedAt": time(self.last_used_at),
            "lastUsedFrom": self.last_used_from,
            "pausedAt": time(self.paused_at),
            "revokedAt": time(self.revoked_at),
            "revokedBy": self.revoked_by,
            "revokeReason": self.revoke_reason,
            "rotatedFrom": self.rotated_from,
            "rotatedTo": self.rotated_to,
            "version": self.version,
        })
    }

    /// As an answer shows it beside the key that replaces it.
    pub(super) fn summary(&self, now: Timestamp) -> Value {
        let expires_at = self.settings.expires_at.map(Timestamp::to_rfc3339);
        object!({ "id": self.id, "status": self.state(now), "expiresAt": expires_at })
    }

    /// From when on the present version holds everywhere; `None` before the coordinator was told of it.
    pub fn holds_everywhere_by(&self, freshness: Freshness, now: Timestamp) -> Option<Timestamp> {
        let told = self.told_at.filter(|_| self.told_version >= self.version)?;
        // Never later than now, though the clock may have been ahead then.
        Some(freshness.everywhere_by(told.min(now)))
    }

    /// Refuses what only an active key can be.
    ///
    /// # Errors
    /// CONFLICT
    pub fn require_active(&self, now: Timestamp, what: &str) -> Result<(), ApiError> {
        let state = match self.state(now) {
            State::Active => return Ok(()),
            State::Revoked => "revoked",
            State::Expired => "expired",
            State::Paused => {
                let detail = format!("The key is paused and cannot be {what} now. Resume it first.");
                return Err(ApiError::new(Code::Conflict, detail));
            }
        };
        let instead = match &self.rotated_to {
            Some(successor) => format!("{successor} replaced it: go on with that one, or make a new one."),
            None => "Make a new one.".to_owned(),
        };
        Err(ApiError::new(
            Code::Conflict,
            format!("The key is {state} and can no longer be {what}. {instead}"),
        ))
    }

    /// Refuses what only a key that has not ended can be.
    ///
    /// # Errors
    /// CONFLICT
    pub fn require_not_ended(&self, now: Timestamp, what: &str) -> Result<(), ApiError> {
        if self.state(now) == State::Paused { Ok(()) } else { self.require_active(now, what) }
    }

    /// Refuses to resume a key that has ended, or whose expiry passed while it was paused.
    ///
    /// # Errors
    /// CONFLICT
    pub fn require_resumable(&self, now: Timestamp) -> Result<(), ApiError> {
        self.require_not_ended(now, "resumed")?;
        if !self.has_expired(now) {
            return Ok(());
        }
        let detail =
            "The key's expiry passed while it was paused. Give it a later `expiresAt` first, or none.";
        Err(ApiError::new(Code::Conflict, detail))
    }

    /// The refusal for a key whose realm the policy no longer has.
    pub fn realm_is_gone(&self) -> ApiError {
        let detail = format!(
            "The policy has no realm {} any more: the key works nowhere. It can only be revoked.",
            self.realm
        );
        ApiError::new(Code::Conflict, detail)
    }

    /// How long a change of it may take to hold everywhere.
    pub fn freshness(&self, policy: &Policy) -> Freshness {
        let freshness = Freshness::of_realm(policy, &self.realm);
        if self.settings.strict { freshness.strict_since(self.strict_since) } else { freshness }
    }
}

impl RequestContext<'_> {
    /// The key that a path names, for the principal's tenant.
    pub(crate) fn key(&self, principal: &Principal, id: &str) -> Result<Key, HandlerError> {
        Ok(load(self.db, principal.tenant_id(), id)?.ok_or_else(|| ApiError::not_found("API key"))?)
    }

    /// Refuses unless `If-Match`, if there is one, names this version. To be asked only where something
    /// would change: a call that was carried out before may be repeated (RFC 9110, 13.1.1).
    ///
    /// A weak tag counts as the strong one. Ours names a version of the key, which no compression on the way
    /// can change; whoever weakens it (RFC 9110, 8.8.3.3) would otherwise make every change behind it fail.
    pub(super) fn require_match(&self, key: &Key) -> Result<(), ApiError> {
        let Some(wanted) = &self.call.if_match else { return Ok(()) };
        let present = format!("\"{}\"", key.version);
        let strong = |tag: &str| {
            let tag = tag.trim_matches(WHITESPACE);
            tag.strip_prefix("W/").unwrap_or(tag) == present
        };
        if wanted.trim_matches(WHITESPACE) == "*" || wanted.split(',').any(strong) {
            return Ok(());
        }
        let detail = format!(
            "The key's version is {present} now. Read it again, then repeat the change on what you see."
        );
        Err(ApiError::new(Code::VersionMismatch, detail))
    }
}
