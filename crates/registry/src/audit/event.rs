//! What the audit tells: who did what to what. Never a secret.

use serde_json::Value;

use crate::{text, to_json::object};

/// A failed attempt to sign in.
pub const REFUSED: &str = "session.refused";

/// Who did it.
#[derive(Clone, Debug)]
pub struct Actor {
    kind: &'static str,
    pub(super) id: Option<String>,
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

    /// Whoever holds the recovery token.
    pub fn recovery() -> Self {
        Self { kind: "recoveryToken", id: None, email: None }
    }

    /// A scanner that found keys in public.
    pub fn scanner() -> Self {
        Self { kind: "scanner", id: None, email: None }
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
        object!({ "type": self.kind, "id": self.id, "email": self.email })
    }
}

/// What was done. Never holds a secret.
pub struct AuditEvent<'a> {
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
