//! A tenant as stored, and what it was given.

use std::collections::BTreeMap;

use keyward_core::{
    record::{self, Limits, TenantStatus, Window},
    sql::{self, FromRow, Row, Sql, SqlError},
    time::Timestamp,
};
use keyward_policy::Policy;
use serde_json::Value;

use crate::{
    keys::limits,
    rows,
    to_json::{ToJson, object},
};

/// Columns of [`Tenant`].
pub const COLUMNS: &str = "id, code, name, status, plan, per_second, per_minute, per_hour, per_day, per_month, total, \
    in_flight, operator, quotas, created_at, updated_at, change, pool";

/// Quotas that one tenant was given in place of the policy's, by name.
pub type OwnQuotas = BTreeMap<String, u64>;

/// A tenant as stored.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// A UUID.
    pub id: String,
    /// A short name of its own, for keys and hosts that carry one; never changed. Tenants that were made
    /// before there were codes have none.
    pub code: Option<String>,
    /// For people.
    pub name: String,
    /// Whether its keys pass and its members may act.
    pub status: TenantStatus,
    /// What it may do.
    pub plan: TenantPlan,
    /// Whether it is the one that was set up first, whose owners manage tenants.
    pub operator: bool,
    /// Quotas that it was given in place of the policy's.
    pub quotas: OwnQuotas,
    /// Since when.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// The number of its last change in the [log](crate::change_log); 0 if it has not changed since there is one.
    pub change: u64,
}

/// What a tenant was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantPlan {
    /// Its plan, which routes may ask for.
    pub name: Option<String>,
    /// Limits of its keys that name none.
    pub rate_limit: Limits,
    /// Limits over all of its keys together.
    pub pool: Limits,
}

impl TenantPlan {
    /// Whether keys may be able to do less under this than under `other`. What a plan opens, routes say.
    pub fn takes_from(&self, other: &Self) -> bool {
        // One that is taken out leaves the realm's, which may be lower.
        let is_lower = |(own, other): (Option<u32>, Option<u32>)| {
            limits::is_below(own, other) || own.is_none() && other.is_some()
        };
        let both = |window| {
            let of_keys = (self.rate_limit.get(window), other.rate_limit.get(window));
            [of_keys, (self.pool.get(window), other.pool.get(window))]
        };
        self.name != other.name || Window::LIMITS.into_iter().flat_map(both).any(is_lower)
    }

    /// Limits of its keys that name none: its own, each window else as its plan has it in the policy.
    pub fn of_keys(&self, policy: &Policy) -> Limits {
        limits::or(&self.rate_limit, policy.plan(self.name.as_deref()).map(|plan| plan.limits))
    }

    /// Limits over all of its keys together, in the same way; `None` if there is none.
    pub fn of_all(&self, policy: &Policy) -> Option<Limits> {
        let pool = limits::or(&self.pool, policy.plan(self.name.as_deref()).map(|plan| plan.pool));
        (pool != Limits::default()).then_some(pool)
    }
}

impl Tenant {
    /// As records have it.
    pub fn of_record(&self) -> record::Tenant {
        record::Tenant {
            id: self.id.clone(),
            code: self.code.clone(),
            status: self.status,
            plan: self.plan.name.clone(),
            pool: None,
        }
    }
}

impl FromRow for Tenant {
    fn from_row(row: &Row) -> Result<Self, SqlError> {
        Ok(Self {
            id: row.get("id")?,
            code: row.get("code")?,
            name: row.get("name")?,
            status: rows::enumerated(row, "status", &TenantStatus::ALL)?,
            plan: TenantPlan { name: row.get("plan")?, rate_limit: rows::limits(row)?, pool: pool(row)? },
            operator: row.get("operator")?,
            quotas: own_quotas(row)?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            change: row.get("change")?,
        })
    }
}

/// The column of a pool.
///
/// # Errors
/// That it holds something else.
pub fn pool(row: &Row) -> Result<Limits, SqlError> {
    let stored = rows::object(row, "pool")?;
    let limit = |window: Window| stored.get(window.field()).and_then(Value::as_u64);
    Ok(Limits::each(|window| limit(window).and_then(|limit| u32::try_from(limit).ok())))
}

/// A pool as a column.
pub fn pool_column(pool: Limits) -> sql::Value {
    (pool != Limits::default()).then(|| pool.to_json().to_string()).into()
}

fn own_quotas(row: &Row) -> Result<OwnQuotas, SqlError> {
    let mut own = OwnQuotas::new();
    for (name, limit) in rows::object(row, "quotas")? {
        own.insert(name, limit.as_u64().ok_or_else(|| sql::unreadable("quotas"))?);
    }
    Ok(own)
}

impl Tenant {
    /// The tenant with this id.
    pub fn load(db: &dyn Sql, id: &str) -> Result<Option<Self>, SqlError> {
        sql::query_one(db, &format!("SELECT {COLUMNS} FROM tenants WHERE id = ?"), &[id.into()])
    }

    /// The operator's, once set-up is done.
    pub fn operator(db: &dyn Sql) -> Result<Option<Self>, SqlError> {
        sql::query_one(db, &format!("SELECT {COLUMNS} FROM tenants WHERE operator = 1"), &[])
    }

    /// As the API shows it.
    pub fn view(&self) -> Value {
        object!({
            "id": self.id,
            "code": self.code,
            "name": self.name,
            "status": self.status,
            "plan": self.plan.name,
            "rateLimit": self.plan.rate_limit,
            "pool": self.plan.pool,
            "quotas": self.quotas,
            "operator": self.operator,
            "createdAt": self.created_at.to_rfc3339(),
            "updatedAt": self.updated_at.to_rfc3339(),
        })
    }
}
