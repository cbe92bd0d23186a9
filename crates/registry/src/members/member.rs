//! A member as stored. E-mail addresses are unique over all tenants, since signing in comes before a tenant is known.

use keyward_core::{
    sql::{self, FromRow, Row, Sql, SqlError},
    time::Timestamp,
};
use keyward_unicode::nfd;
use serde_json::Value;

use crate::{
    context::RequestContext,
    error::{ApiError, Code},
    handler::HandlerError,
    ids,
    principal::Role,
    rows,
    to_json::{ToJson, object},
};

/// Columns of [`MemberRow`].
pub const COLUMNS: &str = "id, tenant_id, email, role, password, created_at, seen_at";

/// A member as stored.
#[derive(Clone)]
pub struct MemberRow {
    /// Id.
    pub id: String,
    /// Whose member.
    pub tenant_id: String,
    /// In lower case.
    pub email: String,
    /// Role.
    pub role: Role,
    /// The stored form of the password.
    pub password: String,
    /// Since when.
    pub created_at: Timestamp,
    /// When last seen, to five minutes.
    pub seen_at: Option<Timestamp>,
}

impl FromRow for MemberRow {
    fn from_row(row: &Row) -> Result<Self, SqlError> {
        Ok(Self {
            id: row.get("id")?,
            tenant_id: row.get("tenant_id")?,
            email: row.get("email")?,
            role: rows::enumerated(row, "role", &Role::ALL)?,
            password: row.get("password")?,
            created_at: row.get("created_at")?,
            seen_at: row.get("seen_at")?,
        })
    }
}

impl MemberRow {
    /// The member with this address, of whatever tenant: for signing in only.
    pub fn by_email(db: &dyn Sql, email: &str) -> Result<Option<Self>, SqlError> {
        // Before addresses were kept in one normal form, they were kept as typed.
        let decomposed = nfd(email).into_owned();
        let statement = format!("SELECT {COLUMNS} FROM members WHERE email IN (?, ?)");
        sql::query_one(db, &statement, &[email.into(), decomposed.into()])
    }

    /// The tenant's member with this id.
    pub fn load(db: &dyn Sql, tenant_id: &str, id: &str) -> Result<Option<Self>, SqlError> {
        let statement = format!("SELECT {COLUMNS} FROM members WHERE tenant_id = ? AND id = ?");
        sql::query_one(db, &statement, &[tenant_id.into(), id.into()])
    }

    /// As the API shows it.
    pub fn shown(&self) -> Value {
        let mut shown = self.view();
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("lastSeenAt".to_owned(), self.seen_at.map(Timestamp::to_rfc3339).to_json());
        }
        shown
    }

    /// The same for the audit: what an edit could change.
    pub fn view(&self) -> Value {
        object!({
            "id": self.id,
            "email": self.email,
            "role": self.role,
            "tenantId": self.tenant_id,
            "createdAt": self.created_at.to_rfc3339(),
        })
    }
}

/// Refuses an address that somebody has.
pub fn require_free(context: &RequestContext<'_>, email: &str) -> Result<(), HandlerError> {
    match MemberRow::by_email(context.db, email)? {
        Some(_) => {
            Err(ApiError::new(Code::Conflict, "This e-mail address cannot be added: it is in use.").into())
        }
        None => Ok(()),
    }
}

/// A new member, who is not stored yet.
pub fn new(
    context: &mut RequestContext<'_>,
    tenant_id: &str,
    email: &str,
    role: Role,
    password: &str,
) -> MemberRow {
    MemberRow {
        id: ids::id("mem_", context.entropy),
        tenant_id: tenant_id.to_owned(),
        email: email.to_owned(),
        role,
        password: password.to_owned(),
        created_at: context.now,
        seen_at: None,
    }
}

/// Whether anybody was ever made a member: the last owner cannot be removed.
pub fn exist(db: &dyn Sql) -> Result<bool, SqlError> {
    Ok(!db.run("SELECT 1 FROM members LIMIT 1", &[])?.is_empty())
}
