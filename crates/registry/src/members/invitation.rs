//! A one-time link as stored: only the hash of its token is.

use keyward_core::{
    sql::{self, FromRow, Row, SqlError},
    time::Timestamp,
};
use serde_json::Value;

use crate::{
    audit::event::Actor, authorise::Authorised, context::RequestContext, enum_text::text_of, principal::Role,
    rows, sessions::token, to_json::object,
};

/// A link that may still be used.
pub struct Invitation {
    /// Id.
    pub id: String,
    /// Whose people.
    pub tenant_id: String,
    /// For whom.
    pub email: String,
    /// What that person becomes, or is.
    pub role: Role,
    /// The member who sets a new password; `None` for somebody who joins.
    pub member_id: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The first moment at which it no longer works.
    pub expires_at: Timestamp,
    /// The member who made it.
    pub created_by: String,
    /// The same, for the audit.
    pub inviter: Actor,
}

impl FromRow for Invitation {
    fn from_row(row: &Row) -> Result<Self, SqlError> {
        let (created_by, inviter): (String, String) = (row.get("created_by")?, row.get("inviter")?);
        Ok(Self {
            id: row.get("id")?,
            tenant_id: row.get("tenant_id")?,
            email: row.get("email")?,
            role: rows::enumerated(row, "role", &Role::ALL)?,
            member_id: row.get("member_id")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
            inviter: Actor::member(&created_by, &inviter),
            created_by,
        })
    }
}

/// Those that may still be used. One whose inviter is an owner no longer is ended by this build; an older one, which may
/// serve beside it, does not know of it.
pub const OPEN: &str =
    "SELECT number AS position, invitations.id, invitations.tenant_id, invitations.email, invitations.role,
    member_id, invitations.created_at, created_by, expires_at, inviter.email AS inviter
    FROM invitations JOIN members AS inviter ON inviter.id = created_by AND inviter.role = 'owner'
    WHERE expires_at > ?";

impl Invitation {
    /// As the API shows it: never its token.
    pub fn view(&self) -> Value {
        object!({
            "id": self.id,
            "email": self.email,
            "role": self.role,
            "memberId": self.member_id,
            "createdAt": self.created_at.to_rfc3339(),
            "createdBy": self.inviter.view(),
            "expiresAt": self.expires_at.to_rfc3339(),
        })
    }

    /// The one whose token this is.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn with_token(context: &RequestContext<'_>, token: &str) -> Result<Option<Self>, SqlError> {
        let hash = token::token_hash(token);
        sql::query_one(context.db, &format!("{OPEN} AND hash = ?"), &[context.now.into(), hash.into()])
    }
}

/// A link to be made.
pub struct NewInvitation<'a> {
    /// What it is for.
    pub invitation: &'a Invitation,
    /// How its token is stored.
    pub hash: &'a str,
}

impl Authorised<NewInvitation<'_>> {
    /// Stores it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn store(&self, context: &RequestContext<'_>) -> Result<(), SqlError> {
        let NewInvitation { invitation, hash } = **self;
        let columns = [
            ("id", invitation.id.as_str().into()),
            ("hash", hash.into()),
            ("tenant_id", invitation.tenant_id.as_str().into()),
            ("email", invitation.email.as_str().into()),
            ("role", text_of(invitation.role).into()),
            ("member_id", invitation.member_id.clone().into()),
            ("created_at", invitation.created_at.into()),
            ("created_by", invitation.created_by.as_str().into()),
            ("expires_at", invitation.expires_at.into()),
        ];
        rows::insert(context.db, "invitations", &columns)
    }
}

/// Ends links that no longer fit: of a member who has changed or is gone, of an inviter who may invite no longer, and of
/// whoever has joined.
///
/// # Errors
/// What SQLite says.
pub fn end_all(
    context: &RequestContext<'_>,
    member: Option<&str>,
    inviter: Option<&str>,
    joined: Option<&str>,
) -> Result<(), SqlError> {
    let end =
        "DELETE FROM invitations WHERE member_id = ? OR created_by = ? OR email = ? AND member_id IS NULL";
    context.db.run(end, &[member.into(), inviter.into(), joined.into()])?;
    Ok(())
}
