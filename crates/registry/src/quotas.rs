//! Quotas: how much one tenant may have of everything that stays, so that none can use up what all share. The policy
//! says how much, the operator says otherwise for one tenant.

use keyward_core::{
    sql::{self, Sql, SqlError},
    time::Timestamp,
};
use keyward_policy::{Policy, Quotas};
use serde_json::Value;

use crate::{
    audit::retention as audit,
    context::RequestContext,
    error::{ApiError, Code},
    handler::{HandlerError, HandlerResult},
    input::{self, FieldErrors, invalid},
    keys::idempotency,
    outcome::Outcome,
    principal::Principal,
    tenants::tenant::{OwnQuotas, Tenant},
    to_json::object,
};

/// Parts of a quota, in percent, at which a line of the log says how much is used.
const TOLD_AT: [u64; 2] = [95, 80];

/// What a tenant may have a limited number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// Keys that are neither revoked nor expired, and those that are paused.
    Keys,
    /// Keys that are.
    EndedKeys,
    /// Bytes of what is set on its keys.
    KeyBytes,
    /// Links that are neither used nor expired.
    Links,
    /// Members, and invitations that may still be used.
    Members,
    /// Requests with an `Idempotency-Key` that are remembered.
    IdempotencyKeys,
    /// Entries of the audit, without failed attempts to sign in.
    AuditEntries,
}

impl Quota {
    /// Every quota.
    pub const ALL: [Self; 7] = [
        Self::Keys,
        Self::EndedKeys,
        Self::KeyBytes,
        Self::Links,
        Self::Members,
        Self::IdempotencyKeys,
        Self::AuditEntries,
    ];

    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        self.facts().0
    }

    /// Its name in the API, what it counts, and what makes room.
    const fn facts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Keys => {
                ("keys", "keys that are neither revoked nor expired", "Revoke some that are not used")
            }
            Self::EndedKeys => ("endedKeys", "revoked and expired keys", "Wait until KV holds them"),
            Self::KeyBytes => (
                "keyBytes",
                "bytes of what is set on keys",
                "Set less on them; ended ones give way, some with each call",
            ),
            Self::Links => ("links", "links that are neither used nor expired", "Wait until some are"),
            Self::Members => ("members", "members and open invitations", "Remove some"),
            Self::IdempotencyKeys => (
                "idempotencyKeys",
                "requests with an Idempotency-Key within 24 hours",
                "Wait until some are older",
            ),
            Self::AuditEntries => {
                ("auditEntries", "entries of the audit", "Revoking, signing out and removing still work")
            }
        }
    }

    fn of_policy(self, quotas: &Quotas) -> u32 {
        match self {
            Self::Keys => quotas.keys,
            Self::EndedKeys => quotas.ended_keys,
            Self::KeyBytes => quotas.key_bytes,
            Self::Links => quotas.links,
            Self::Members => quotas.members,
            Self::IdempotencyKeys => quotas.idempotency_keys,
            Self::AuditEntries => quotas.audit_entries,
        }
    }

    /// How much this tenant may have.
    pub fn limit(self, tenant: &Tenant, policy: &Policy) -> u64 {
        let own = tenant.quotas.get(self.name());
        own.copied().unwrap_or_else(|| self.of_policy(&policy.admin.quotas).into())
    }
}

/// What a tenant has.
pub struct Used {
    /// Keys that are neither revoked nor expired.
    pub keys: u64,
    /// Keys that are.
    pub ended_keys: u64,
    /// Bytes of what is set on all of them, and of what was and is remembered for the repeat of a request.
    pub key_bytes: u64,
    /// Of them, bytes that are set on keys which have ended.
    pub ended_bytes: u64,
}

impl Used {
    /// Its keys, without looking at each: what the database [counts](crate::schema) as rows come and go, and of those that
    /// have expired and were not revoked, which only the time tells, their part of an index.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn of_keys(db: &dyn Sql, tenant_id: &str, now: Timestamp) -> Result<Self, SqlError> {
        struct Row {
            expired: u64,
            expired_bytes: u64,
            total: u64,
            revoked: u64,
            bytes: u64,
            revoked_bytes: u64,
            kept: u64,
        }
        keyward_core::from_row!(Row { expired, expired_bytes, total, revoked, bytes, revoked_bytes, kept });
        // A tenant has counts from its first key on.
        let row = sql::query_one::<Row>(db, COUNTS, &[tenant_id.into(), now.into(), tenant_id.into()])?;
        let Some(row) = row else { return Ok(Self { keys: 0, ended_keys: 0, key_bytes: 0, ended_bytes: 0 }) };
        let ended_keys = row.revoked.saturating_add(row.expired);
        Ok(Self {
            keys: row.total.saturating_sub(ended_keys),
            ended_keys,
            key_bytes: row.bytes.saturating_add(row.kept),
            ended_bytes: row.revoked_bytes.saturating_add(row.expired_bytes),
        })
    }
}

const COUNTS: &str = "SELECT expired, expired_bytes, keys AS total, revoked, bytes, revoked_bytes, kept
    FROM tenant_counts, (
        SELECT COUNT(*) AS expired, COALESCE(SUM(bytes), 0) AS expired_bytes FROM keys INDEXED BY keys_by_end
        WHERE tenant_id = ? AND status = 'ACTIVE' AND expires_at > 0 AND expires_at <= ?
    ) WHERE tenant_id = ?";

/// Remembered requests of a tenant, without those that are as old as this.
const REQUESTS: &str = "SELECT requests - (
        SELECT COUNT(*) FROM idempotency INDEXED BY idempotency_by_time
        WHERE created_at <= ? AND idempotency.tenant_id = tenant_counts.tenant_id
    ) FROM tenant_counts WHERE tenant_id = ?";

/// How much a tenant uses of a quota.
///
/// # Errors
/// What SQLite says.
pub fn used(db: &dyn Sql, tenant_id: &str, quota: Quota, now: Timestamp) -> Result<u64, SqlError> {
    let tenant = || sql::Value::from(tenant_id);
    let count = |statement: &str, values: &[sql::Value]| {
        Ok(sql::scalar::<u64>(db, statement, values)?.unwrap_or_default())
    };
    match quota {
        Quota::Keys => Ok(Used::of_keys(db, tenant_id, now)?.keys),
        Quota::EndedKeys => Ok(Used::of_keys(db, tenant_id, now)?.ended_keys),
        Quota::KeyBytes => Ok(Used::of_keys(db, tenant_id, now)?.key_bytes),
        Quota::Links => {
            let open =
                "SELECT COUNT(*) FROM links WHERE tenant_id = ? AND used_at IS NULL AND expires_at > ?";
            count(open, &[tenant(), now.into()])
        }
        Quota::Members => {
            let invited = "SELECT (SELECT COUNT(*) FROM members WHERE tenant_id = ?) + COUNT(*)
                FROM invitations WHERE tenant_id = ? AND member_id IS NULL AND expires_at > ?";
            count(invited, &[tenant(), tenant(), now.into()])
        }
        Quota::IdempotencyKeys => count(REQUESTS, &[(now - idempotency::LIFE).into(), tenant()]),
        Quota::AuditEntries => audit::entries(db, tenant_id),
    }
}

impl RequestContext<'_> {
    /// Refuses to add more (`adding`) to what a tenant uses of a quota than it has left. Where that nearly uses it up, the
    /// log says so.
    ///
    /// # Errors
    /// QUOTA_EXCEEDED
    pub fn require_quota(
        &self,
        tenant: &Tenant,
        quota: Quota,
        used: u64,
        adding: u64,
    ) -> Result<(), HandlerError> {
        self.require_within(tenant, quota, used, adding, quota.limit(tenant, self.policy))
    }

    /// The same for a bound other than the quota itself.
    ///
    /// # Errors
    /// QUOTA_EXCEEDED
    pub fn require_within(
        &self,
        tenant: &Tenant,
        quota: Quota,
        used: u64,
        adding: u64,
        bound: u64,
    ) -> Result<(), HandlerError> {
        let limit = quota.limit(tenant, self.policy);
        let after = used.saturating_add(adding);
        let (name, what, mend) = quota.facts();
        if adding > 0 && after > bound {
            let detail = format!(
                "Tenant {} has {used} of the {limit} {what} that it may have (quota {name}). {mend}, or ask the \
                 operator of this deployment to raise the quota with `PATCH /tenants/{}`.",
                tenant.name, tenant.id
            );
            return Err(ApiError::new(Code::QuotaExceeded, detail).into());
        }
        if let Some(percent) = crossed(limit, used, after) {
            self.notice(format!(
                "tenant {} uses {after} of {limit} {what}: {percent} % of quota {name}",
                tenant.id
            ));
        }
        Ok(())
    }
}

/// The part at which the log says so, if it is reached with this step.
pub fn crossed(limit: u64, before: u64, after: u64) -> Option<u64> {
    TOLD_AT.into_iter().find(|percent| {
        let at = limit.saturating_mul(*percent).div_ceil(100);
        before < at && at <= after
    })
}

/// Every quota of a tenant: `{"keys": {"used": 3, "limit": 10000}, …}`.
///
/// # Errors
/// What SQLite says.
pub fn view(context: &RequestContext<'_>, tenant: &Tenant) -> Result<Value, SqlError> {
    let keys = Used::of_keys(context.db, &tenant.id, context.now)?;
    let mut all = serde_json::Map::new();
    for quota in Quota::ALL {
        let used = match quota {
            Quota::Keys => keys.keys,
            Quota::EndedKeys => keys.ended_keys,
            Quota::KeyBytes => keys.key_bytes,
            other => used(context.db, &tenant.id, other, context.now)?,
        };
        let limit = quota.limit(tenant, context.policy);
        all.insert(quota.name().to_owned(), object!({ "used": used, "limit": limit }));
    }
    Ok(Value::Object(all))
}

/// `GET /quotas`
pub fn show(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    Ok(Outcome::ok(object!({ "quotas": view(context, principal.tenant())? })))
}

/// Reads quotas of one tenant over those that it has: each a whole number, or `null` for the policy's.
///
/// # Errors
/// What is wrong with them.
pub fn read(value: &Value, known: &OwnQuotas) -> Result<OwnQuotas, FieldErrors> {
    let Some(object) = value.as_object() else { return invalid("must be an object of quotas") };
    let mut own = known.clone();
    let mut errors = FieldErrors::new();
    for (name, value) in object {
        if Quota::ALL.iter().all(|quota| quota.name() != name) {
            let names = Quota::ALL.map(Quota::name).join(", ");
            errors.push((format!(".{}", input::shown(name)), format!("is not a quota: there are {names}")));
        } else if value.is_null() {
            own.remove(name);
        } else {
            match input::whole(value, 0, u32::MAX) {
                Ok(limit) => {
                    own.insert(name.clone(), limit.into());
                }
                Err(wrong) => errors.extend(
                    wrong.into_iter().map(|(_, message)| (format!(".{name}"), message + ", or null")),
                ),
            }
        }
    }
    if errors.is_empty() { Ok(own) } else { Err(errors) }
}

/// A number of bytes as people read it.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    let unit = UNITS.into_iter().find(|(size, _)| bytes >= *size);
    unit.map_or_else(
        || format!("{bytes} bytes"),
        |(size, unit)| {
            let tenths = bytes / (size / 10);
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        },
    )
}
