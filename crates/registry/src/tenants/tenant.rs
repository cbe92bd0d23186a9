//! A tenant as stored, and what it was given.

use std::collections::BTreeMap;

use keyward_core::{
    record::{self, TenantStatus},
    sql::{self, FromRow, Row, Sql, SqlError},
    time::Timestamp,
};
use serde_json::Value;

use crate::{rows, to_json::object};

/// Columns of [`Tenant`].
pub const COLUMNS: &str =
    "id, code, name, status, plan, per_minute, per_day, operator, quotas, created_at, updated_at, change";

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
    /// Limit per minute of its keys that name none.
    pub per_minute: Option<u32>,
    /// Limit per day of its keys that name none.
    pub per_day: Option<u32>,
}

impl TenantPlan {
    /// Whether keys may be able to do less under this than under `other`. What a plan opens, routes say.
    pub fn takes_from(&self, other: &Self) -> bool {
        let less = |own: Option<u32>, other: Option<u32>| {
            own.is_some_and(|own| other.is_none_or(|other| own < other))
        };
        // One that is taken out leaves the realm's, which may be lower.
        let lower =
            |own: Option<u32>, other: Option<u32>| less(own, other) || own.is_none() && other.is_some();
        self.name != other.name
            || lower(self.per_minute, other.per_minute)
            || lower(self.per_day, other.per_day)
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
            plan: TenantPlan {
                name: row.get("plan")?,
                per_minute: row.get("per_minute")?,
                per_day: row.get("per_day")?,
            },
            operator: row.get("operator")?,
            quotas: own_quotas(row)?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            change: row.get("change")?,
        })
    }
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
            "rateLimit": object!({ "perMinute": self.plan.per_minute, "perDay": self.plan.per_day }),
            "quotas": self.quotas,
            "operator": self.operator,
            "createdAt": self.created_at.to_rfc3339(),
            "updatedAt": self.updated_at.to_rfc3339(),
        })
    }
}
