//! A passkey as stored, and as the API shows it.

use keyward_core::{
    sql::{self, SqlError},
    time::Timestamp,
};
use keyward_policy::jwk::PublicKey;
use serde_json::Value;

use super::cose::ALGORITHMS;
use crate::{authorise::Authorised, context::RequestContext, principal::Member, rows, to_json::object};

/// A member's passkey.
pub struct Passkey {
    /// Id.
    pub id: String,
    /// The credential's own id, in base64url.
    pub credential: String,
    /// Whose people.
    pub tenant_id: String,
    /// Whose it is.
    pub member_id: String,
    /// The host that it works at: its RP ID.
    pub host: String,
    /// What its owner calls it.
    pub name: String,
    /// The public key, a JWK.
    pub key: String,
    /// How often it was used; 0 where that is not counted.
    pub counter: u32,
    /// Whether it may be on several devices.
    pub synced: bool,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last used.
    pub used_at: Option<Timestamp>,
}

keyward_core::from_row!(Passkey {
    id,
    credential,
    tenant_id,
    member_id,
    host,
    name,
    key,
    counter,
    synced,
    created_at,
    used_at
});

/// Its columns.
pub const COLUMNS: &str =
    "id, credential, tenant_id, member_id, host, name, key, counter, synced, created_at, used_at";

impl Passkey {
    /// The one with this credential, at this host, of whatever tenant: only its use says whose it is.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn with_credential(
        context: &RequestContext<'_>,
        credential: &str,
        host: &str,
    ) -> Result<Option<Self>, SqlError> {
        let statement = format!("SELECT {COLUMNS} FROM passkeys WHERE credential = ? AND host = ?");
        sql::query_one(context.db, &statement, &[credential.into(), host.into()])
    }

    /// The member's own with this id.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn load(context: &RequestContext<'_>, member: &Member, id: &str) -> Result<Option<Self>, SqlError> {
        let statement =
            format!("SELECT {COLUMNS} FROM passkeys WHERE id = ? AND member_id = ? AND tenant_id = ?");
        let values = [id.into(), member.id.as_str().into(), member.tenant.id.as_str().into()];
        sql::query_one(context.db, &statement, &values)
    }

    /// Its key; `None` if that is none, which nobody stores.
    pub fn public_key(&self) -> Option<PublicKey> {
        PublicKey::parse(&keyward_json::parse(&self.key).ok()?, &ALGORITHMS).ok()
    }

    /// As the API shows it, and the audit.
    pub fn view(&self) -> Value {
        object!({
            "id": self.id,
            "name": self.name,
            "host": self.host,
            "synced": self.synced,
            "createdAt": self.created_at.to_rfc3339(),
            "lastUsedAt": self.used_at.map(Timestamp::to_rfc3339),
        })
    }

    /// It was used, as this counter says.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn use_once(&self, context: &RequestContext<'_>, counter: u32) -> Result<(), SqlError> {
        let columns = [("counter", counter.into()), ("used_at", context.now.into())];
        rows::update(context.db, "passkeys", &self.id, &columns)
    }
}

/// Somebody gets one more passkey.
pub struct NewPasskey<'a> {
    /// Whose it will be.
    pub member_id: &'a str,
}

impl Authorised<NewPasskey<'_>> {
    /// Stores it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn store(&self, context: &RequestContext<'_>, passkey: &Passkey) -> Result<(), SqlError> {
        let columns = [
            ("id", passkey.id.as_str().into()),
            ("credential", passkey.credential.as_str().into()),
            ("tenant_id", passkey.tenant_id.as_str().into()),
            ("member_id", self.member_id.into()),
            ("host", passkey.host.as_str().into()),
            ("name", passkey.name.as_str().into()),
            ("key", passkey.key.as_str().into()),
            ("counter", passkey.counter.into()),
            ("synced", passkey.synced.into()),
            ("created_at", passkey.created_at.into()),
        ];
        rows::insert(context.db, "passkeys", &columns)
    }
}

/// Keeps a member's passkeys when the password changes, which [ends](crate::schema) them otherwise.
///
/// # Errors
/// What SQLite says.
pub fn keep(context: &RequestContext<'_>, member_id: &str) -> Result<(), SqlError> {
    context.db.run("UPDATE passkeys SET kept = 1 WHERE member_id = ?", &[member_id.into()])?;
    Ok(())
}
