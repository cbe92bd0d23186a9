//! A tenant as stored, and what it was given.

use std::collections::BTreeMap;

use keyward_core::{
    record::TenantStatus,
    sql::{self, Sql, SqlError},
    time::Timestamp,
};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::rows::{from_integer, from_nullable_json_text};

/// Columns of [`Tenant`].
pub const COLUMNS: &str =
    "id, code, name, status, plan, per_minute, per_day, operator, quotas, created_at, updated_at";

/// Quotas that one tenant was given in place of the policy's, by name.
pub type OwnQuotas = BTreeMap<String, u32>;

/// A tenant as stored.
#[derive(Clone, Debug, Deserialize)]
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
    #[serde(flatten)]
    pub plan: TenantPlan,
    /// Whether it is the one that was set up first, whose owners manage tenants.
    #[serde(deserialize_with = "from_integer")]
    pub operator: bool,
    /// Quotas that it was given in place of the policy's.
    #[serde(default, deserialize_with = "own_quotas")]
    pub quotas: OwnQuotas,
    /// Since when.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What a tenant was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct TenantPlan {
    /// Its plan, which routes may ask for.
    #[serde(rename = "plan")]
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

fn own_quotas<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OwnQuotas, D::Error> {
    Ok(from_nullable_json_text(deserializer)?.unwrap_or_default())
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
        json!({
            "id": self.id,
            "code": self.code,
            "name": self.name,
            "status": self.status,
            "plan": self.plan.name,
            "rateLimit": { "perMinute": self.plan.per_minute, "perDay": self.plan.per_day },
            "quotas": self.quotas,
            "operator": self.operator,
            "createdAt": self.created_at.to_rfc3339(),
            "updatedAt": self.updated_at.to_rfc3339(),
        })
    }
}
