//! What a `WWW-Authenticate` challenge (RFC 9110, section 11.6.1) says beside its realm: why the credential was refused, and
//! which scopes are asked for (RFC 6750, section 3).

/// A challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Its `error` attribute; `None` while the client has shown nothing (RFC 6750, section 3.1).
    pub error: Option<&'static str>,
    /// Its `scope` attribute.
    pub scope: &'static [&'static str],
}

impl Challenge {
    /// Nothing was shown yet, or a scheme has no such attributes.
    pub const BARE: Self = Self { error: None, scope: &[] };
    /// The request is malformed, or shows too much.
    pub const INVALID_REQUEST: Self = Self { error: Some("invalid_request"), scope: &[] };
    /// What was shown does not hold (any more).
    pub const INVALID_TOKEN: Self = Self { error: Some("invalid_token"), scope: &[] };

    /// What was shown lacks one of these scopes.
    pub const fn insufficient_scope(scope: &'static [&'static str]) -> Self {
        Self { error: Some("insufficient_scope"), scope }
    }

    /// The attributes, each after a comma.
    pub fn attributes(&self) -> String {
        let error = self.error.map(|error| format!(", error=\"{error}\"")).unwrap_or_default();
        let scope = if self.scope.is_empty() {
            String::new()
        } else {
            format!(", scope=\"{}\"", self.scope.join(" "))
        };
        error + &scope
    }

    /// The challenge of the scheme `Bearer` for this realm.
    pub fn bearer(&self, realm: &str) -> String {
        format!("Bearer realm=\"{realm}\"{}", self.attributes())
    }
}
