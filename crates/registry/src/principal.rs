//! Who calls, and what they may do.

use keyward_core::{
    challenge::Challenge,
    time::{Span, Timestamp},
};
use keyward_policy::Realm;
use serde::{Deserialize, Serialize};

use crate::{
    audit::event::Actor,
    error::{ApiError, Code},
    keys::{grants, settings::Settings},
    tenants::tenant::Tenant,
    to_json::enums,
};

/// How long a typed password opens what asks for one.
pub const STEP_UP: Span = Span::from_mins(5);

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Manages everything of the tenant.
    Owner,
    /// Manages keys.
    Admin,
    /// Reads.
    Viewer,
}

enums!(Role);

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Owner, Self::Admin, Self::Viewer];
}

/// What a call asks of its principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// To read: every role, `admin:read` or `admin:write`.
    Read,
    /// To change keys: owners and admins, `admin:write`.
    Write,
    /// To make links: owners and admins, `links:write` or `admin:write`.
    Links,
    /// To read what is counted of the whole deployment: whoever may read in the operator's tenant.
    Deployment,
    /// To read and change tenants: owners of the operator's tenant.
    Tenants,
}

impl Right {
    /// Whether a viewer has it.
    fn only_reads(self) -> bool {
        matches!(self, Self::Read | Self::Deployment)
    }
}

/// A member who has signed in.
#[derive(Clone, Debug)]
pub struct Member {
    /// Id of the member.
    pub id: String,
    /// The tenant, and so the bounds of everything.
    pub tenant: Tenant,
    /// E-mail address.
    pub email: String,
    /// Role.
    pub role: Role,
    /// Hash of the session's token.
    pub session: String,
    /// When the session ends.
    pub expires_at: Timestamp,
    /// When the person showed who they are: when the session began, or before that to the issuer of a token.
    pub signed_in_at: Timestamp,
    /// When a password was last typed, or a passkey or a token shown, in this session to step up.
    pub stepped_up_at: Option<Timestamp>,
}

/// An API key that uses the admin API.
#[derive(Clone, Debug)]
pub struct KeyPrincipal {
    /// Id of the key.
    pub id: String,
    /// The tenant, and so the bounds of everything.
    pub tenant: Tenant,
    pub(super) realm: &'static Realm,
    pub(super) settings: Settings,
}

/// Who calls.
#[derive(Clone, Debug)]
pub enum Principal {
    /// A member.
    Member(Member),
    /// An API key.
    Key(KeyPrincipal),
    /// Whoever holds the set-up token of a deployment that has no owner yet, and so could become one:
    /// may manage the operator's tenant and keys, so that a script can prepare a deployment.
    SetUp(Tenant),
}

impl From<&Member> for Principal {
    fn from(member: &Member) -> Self {
        Self::Member(member.clone())
    }
}

impl Principal {
    /// The tenant.
    pub fn tenant(&self) -> &Tenant {
        match self {
            Self::Member(member) => &member.tenant,
            Self::Key(key) => &key.tenant,
            Self::SetUp(tenant) => tenant,
        }
    }

    /// What it is told apart by.
    pub fn id(&self) -> &str {
        match self {
            Self::Member(member) => &member.id,
            Self::Key(key) => &key.id,
            Self::SetUp(_) => "setup",
        }
    }

    /// Id of the tenant.
    pub fn tenant_id(&self) -> &str {
        &self.tenant().id
    }

    /// For the audit.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Member(member) => member.actor(),
            Self::Key(key) => Actor::key(&key.id),
            Self::SetUp(_) => Actor::set_up(),
        }
    }

    /// Whether it may put a scope on a key that only a tenant's admin may.
    pub fn grants_admin_scopes(&self) -> bool {
        matches!(self, Self::Member(Member { role: Role::Owner | Role::Admin, .. }))
    }

    /// Refuses whoever could not have granted what a key holds: such a key is changed by people only.
    ///
    /// # Errors
    /// FORBIDDEN
    pub fn require_member_for(&self, realm: &Realm, held: &[String]) -> Result<(), ApiError> {
        if self.grants_admin_scopes() || !held.iter().any(|scope| grants::needs_admin(realm, scope)) {
            return Ok(());
        }
        let detail = "The key holds a scope that only a member who is an owner or an admin can grant: \
                      only such a member can change or rotate it.";
        Err(ApiError::new(Code::Forbidden, detail))
    }

    /// # Errors
    /// FORBIDDEN
    pub fn require(&self, right: Right) -> Result<(), ApiError> {
        if right == Right::Deployment && !self.tenant().operator {
            let detail = "This is of the whole deployment: for people and keys of the operator's tenant.";
            return Err(ApiError::new(Code::Forbidden, detail));
        }
        match self {
            Self::Member(member) if right == Right::Tenants => member.require_operator(),
            Self::Member(member) if !right.only_reads() && member.role == Role::Viewer => Err(ApiError::new(
                Code::Forbidden,
                "A viewer can only read. Ask an owner for the role admin.",
            )),
            Self::Member(_) | Self::SetUp(_) => Ok(()),
            Self::Key(key) => key.require(right),
        }
    }

    /// # Errors
    /// FORBIDDEN for whoever is neither an owner nor about to become one. `what` begins the sentence.
    pub fn require_owner(&self, what: &str) -> Result<(), ApiError> {
        match self {
            Self::Member(Member { role: Role::Owner, .. }) | Self::SetUp(_) => Ok(()),
            _ => Err(ApiError::new(Code::Forbidden, format!("{what} for owners of the tenant."))),
        }
    }

    /// # Errors
    /// STEP_UP_REQUIRED; FORBIDDEN for an API key, which has no password.
    pub fn require_step_up(&self, now: Timestamp) -> Result<(), ApiError> {
        match self {
            Self::Member(member) => member.require_step_up(now),
            Self::Key(_) | Self::SetUp(_) => {
                let detail = "This asks for a password typed in the last five minutes, which neither an API key nor \
                              the set-up token can give: a member has to do it.";
                Err(ApiError::new(Code::Forbidden, detail))
            }
        }
    }
}

impl Member {
    /// For the audit.
    pub fn actor(&self) -> Actor {
        Actor::member(&self.id, &self.email)
    }

    /// # Errors
    /// FORBIDDEN
    pub fn require_owner(&self) -> Result<(), ApiError> {
        if self.role == Role::Owner {
            return Ok(());
        }
        Err(ApiError::new(Code::Forbidden, "Managing members is for owners of the tenant."))
    }

    /// # Errors
    /// FORBIDDEN
    pub fn require_operator(&self) -> Result<(), ApiError> {
        if self.role == Role::Owner && self.tenant.operator {
            return Ok(());
        }
        Err(ApiError::new(Code::Forbidden, "Managing tenants is for owners of the operator's tenant."))
    }

    /// Asks for a password typed in the last five minutes: to sign in, or to step up.
    ///
    /// # Errors
    /// STEP_UP_REQUIRED
    pub fn require_fresh_password(&self, now: Timestamp) -> Result<(), ApiError> {
        if self.signed_in_at.is_within(STEP_UP, now) { Ok(()) } else { self.require_step_up(now) }
    }

    /// Asks for a password typed in this session, in the last five minutes: signing in is not enough.
    ///
    /// # Errors
    /// STEP_UP_REQUIRED
    pub fn require_step_up(&self, now: Timestamp) -> Result<(), ApiError> {
        if self.stepped_up_at.is_some_and(|at| at.is_within(STEP_UP, now)) {
            return Ok(());
        }
        let detail = "Send your password, a passkey, or a new token to sign in with, to `POST /session/step-up`, then repeat this within five minutes.";
        Err(ApiError::new(Code::StepUpRequired, detail))
    }

    /// Until when what asks for the password again is open.
    pub fn stepped_up_until(&self) -> Option<Timestamp> {
        self.stepped_up_at.map(|at| at + STEP_UP)
    }
}

impl KeyPrincipal {
    fn require(&self, right: Right) -> Result<(), ApiError> {
        let (required, or): (&[&str], _) = match right {
            Right::Read | Right::Deployment => (&["admin:read"], Some("admin:write")),
            Right::Write => (&["admin:write"], None),
            Right::Links => (&["links:write"], Some("admin:write")),
            Right::Tenants => {
                let detail =
                    "An API key cannot do this. Managing tenants is for owners of the operator's tenant.";
                return Err(ApiError::new(Code::Forbidden, detail));
            }
        };
        let holds = |required: &str| self.settings.holds_at_admin_api(self.realm, required);
        if !required.iter().copied().all(holds) && !or.is_some_and(holds) {
            let detail = format!("The key lacks the scope {}.", required.join(" "));
            let refusal = ApiError::new(Code::Forbidden, detail);
            return Err(refusal.challenge(Challenge::insufficient_scope(required)));
        }
        Ok(())
    }
}

/// The refusal of a call without a credential.
pub fn unauthenticated() -> ApiError {
    let detail = "Sign in, or send `Authorization: Bearer` with a session token or an API key.";
    ApiError::new(Code::Unauthenticated, detail)
}

/// The refusal for people and keys of a tenant that is not active.
pub fn inactive() -> ApiError {
    ApiError::new(Code::Forbidden, "This tenant is not active. Its operator can change that.")
}
