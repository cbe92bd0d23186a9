//! Who calls: from the credential that is shown to a [`Principal`]. Everything is looked up in the database at each
//! call: a role taken away, a member removed, a tenant made inactive or a key revoked counts at once.

use keyward_core::{
    challenge::Challenge,
    record::{KeyKind, Record, TenantStatus},
    sql::{self, FromRow, Row, SqlError},
    time::Timestamp,
};

use crate::{
    admin_call::AdminCredential,
    context::RequestContext,
    error::{ApiError, Code},
    handler::HandlerError,
    keys::key::{self, State},
    members::member as members,
    principal::{KeyPrincipal, Member, Principal, Role, inactive, unauthenticated},
    rows,
    sessions::{store, token},
    setup_token,
    tenants::{store as tenants, tenant::Tenant},
};

struct SessionRow {
    member_id: String,
    tenant_id: String,
    email: String,
    role: Role,
    expires_at: Timestamp,
    created_at: Timestamp,
    stepped_up_at: Option<Timestamp>,
}

impl FromRow for SessionRow {
    fn from_row(row: &Row) -> Result<Self, SqlError> {
        Ok(Self {
            member_id: row.get("member_id")?,
            tenant_id: row.get("tenant_id")?,
            email: row.get("email")?,
            role: rows::enumerated(row, "role", &Role::ALL)?,
            expires_at: row.get("expires_at")?,
            created_at: row.get("created_at")?,
            stepped_up_at: row.get("stepped_up_at")?,
        })
    }
}

impl RequestContext<'_> {
    /// Authenticates the call. `even_inactive`: also members of a tenant that is not active.
    ///
    /// # Errors
    /// UNAUTHENTICATED; FORBIDDEN if the tenant is not active.
    pub fn principal(&mut self, even_inactive: bool) -> Result<Principal, HandlerError> {
        let call = self.call;
        let principal = match &call.credential {
            // Whose report it is says nothing of who may do anything else.
            AdminCredential::None | AdminCredential::Scanner => return Err(unauthenticated().into()),
            AdminCredential::Session { token } => self.session(token)?.map(Principal::Member),
            AdminCredential::SetUp { token } => self.set_up_principal(token)?.map(Principal::SetUp),
            AdminCredential::Key { record } => self.key_principal(record)?.map(Principal::Key),
        };
        let Some(principal) = principal else {
            let detail = "The session or key does not hold (any more). Sign in again.";
            let refusal = ApiError::new(Code::Unauthenticated, detail);
            return Err(refusal.challenge(Challenge::INVALID_TOKEN).into());
        };
        if principal.tenant().status == TenantStatus::Inactive && !even_inactive {
            return Err(inactive().into());
        }
        Ok(principal)
    }

    fn session(&self, token: &str) -> Result<Option<Member>, HandlerError> {
        let hash = token::token_hash(token);
        let row = sql::query_one::<SessionRow>(
            self.db,
            "SELECT member_id, members.tenant_id, email, role, expires_at, sessions.created_at, stepped_up_at
             FROM sessions JOIN members ON members.id = member_id WHERE hash = ? AND expires_at > ?",
            &[hash.as_str().into(), self.now.into()],
        )?;
        let Some(row) = row else { return Ok(None) };
        store::see(self, &hash)?;
        Ok(Tenant::load(self.db, &row.tenant_id)?.map(|tenant| Member {
            id: row.member_id,
            tenant,
            email: row.email,
            role: row.role,
            session: hash,
            expires_at: row.expires_at,
            signed_in_at: row.created_at,
            stepped_up_at: row.stepped_up_at,
        }))
    }

    /// The operator's tenant, if the set-up token is right and there is no owner yet.
    fn set_up_principal(&mut self, token: &str) -> Result<Option<Tenant>, HandlerError> {
        if members::exist(self.db)? {
            return Ok(None);
        }
        if !setup_token::is_setup_token(self, token)? {
            return Ok(None);
        }
        let id = tenants::operator_id(self)?;
        Ok(Tenant::load(self.db, &id)?)
    }

    /// The gate found the key to be in order; whether it still is, the database says.
    ///
    /// # Errors
    /// FORBIDDEN for a publishable key, whatever it holds: everybody who sees its page has it.
    fn key_principal(&self, record: &Record) -> Result<Option<KeyPrincipal>, HandlerError> {
        let Some(key) = key::load(self.db, &record.tenant.id, &record.id)? else { return Ok(None) };
        if key.kind == KeyKind::Publishable {
            return Err(publishable().into());
        }
        if key.is_imported {
            return Err(imported().into());
        }
        let active = key.state(self.now) == State::Active;
        let Some(realm) = self.policy.realm(&key.realm).filter(|_| active) else { return Ok(None) };
        let tenant = Tenant::load(self.db, &key.tenant_id)?;
        Ok(tenant.map(|tenant| KeyPrincipal { id: key.id, tenant, realm, settings: key.settings }))
    }
}

/// The refusal of an imported key: whoever made it may still have its text.
fn imported() -> ApiError {
    let detail =
        "A key that was made elsewhere does nothing here. Make a new one, with the scopes that this needs.";
    ApiError::new(Code::Forbidden, detail)
}

/// The refusal of a publishable key.
fn publishable() -> ApiError {
    let detail =
        "A publishable key is for web pages, and does nothing here. Use a secret key, from a server.";
    ApiError::new(Code::Forbidden, detail)
}
