//! What a call may bring about, asked in one place. Whatever begins, ends or changes a key, what a person may do, or whether
//! a tenant acts, is an [`Act`]. So what is asked for depends on what happens and not on the call that does it, and a new
//! call cannot forget to ask.

use keyward_core::record::TenantStatus;
use keyward_policy::{KeyAction, Realm};

use crate::{
    authorise::{Act, Proof},
    context::RequestContext,
    error::{ApiError, Code},
    keys::{
        change::{Change, Ending},
        grants,
        new_key::NewKey,
    },
    links::NewLink,
    members::{
        invitation::{Invitation, NewInvitation},
        membership::Membership,
    },
    passkeys::passkey::NewPasskey,
    principal::{Principal, Role},
    tenants::{store::Revision, tenant::Tenant},
};

/// A key begins to exist, be it made or by rotation.
impl Act for NewKey<'_> {
    fn require(&self, context: &RequestContext<'_>, principal: &Principal) -> Result<(), ApiError> {
        context.require_action(self.realm, KeyAction::Create, principal)?;
        if self.rotated_from.is_some() {
            context.require_action(self.realm, KeyAction::Rotate, principal)?;
        }
        require_for_scopes(context, principal, self.realm, &self.settings.scopes)
    }
}

/// A key becomes another one, or ends.
impl Act for Change<'_> {
    fn require(&self, context: &RequestContext<'_>, principal: &Principal) -> Result<(), ApiError> {
        let Some(realm) = context.policy.realm(&self.key.realm) else { return Ok(()) };
        match self.ending {
            Ending::Revoked { .. } | Ending::Paused => {
                return context.require_action(realm, KeyAction::Revoke, principal);
            }
            // As if it were made now: whoever paused it may have had a reason.
            Ending::Resumed => {
                context.require_action(realm, KeyAction::Create, principal)?;
                return require_for_scopes(context, principal, realm, &self.key.settings.scopes);
            }
            Ending::At(at) => {
                let sooner = self.key.settings.expires_at.is_none_or(|own| at < own);
                return if sooner {
                    context.require_action(realm, KeyAction::Revoke, principal)
                } else {
                    Ok(())
                };
            }
            Ending::None => {}
        }
        let (old, new) = (&self.key.settings, &self.settings);
        if new.allow_the_same_as(old, realm) {
            return Ok(());
        }
        // Or a key made earlier could be widened where making one asks for more.
        context.require_action(realm, KeyAction::Create, principal)?;
        let inherited = principal.tenant().plan.of_keys(context.policy);
        if new.takes_from(old, &inherited, realm) {
            context.require_action(realm, KeyAction::Revoke, principal)?;
        }
        // A key that is no longer strict goes on for longer after it was revoked.
        if old.takes_from(new, &inherited, realm) || old.strict && !new.strict {
            require_for_scopes(context, principal, realm, &new.scopes)
        } else {
            Ok(())
        }
    }
}

/// What outlives the session in which it was made, and opens this API, asks for the password whatever the policy says: or who
/// steals a session has the tenant for good.
fn require_for_scopes(
    context: &RequestContext<'_>,
    principal: &Principal,
    realm: &Realm,
    scopes: &[String],
) -> Result<(), ApiError> {
    if !scopes.iter().any(|scope| grants::opens_admin(realm, scope)) {
        return Ok(());
    }
    match principal {
        Principal::Member(member) => member.require_fresh_password(context.now),
        Principal::Key(_) | Principal::SetUp(_) => principal.require_member_for(realm, scopes),
    }
}

/// A passkey signs in long after the session it was made in.
impl Act for NewPasskey<'_> {
    fn require(&self, context: &RequestContext<'_>, principal: &Principal) -> Result<(), ApiError> {
        match principal {
            Principal::Member(member) if member.id == self.member_id => {
                member.require_fresh_password(context.now)
            }
            _ => Err(ApiError::new(Code::Forbidden, "Passkeys are added by those whose they are.")),
        }
    }
}

/// A link becomes a session at the gate, which outlives the one it was made in.
impl Act for NewLink<'_> {
    fn require(&self, context: &RequestContext<'_>, principal: &Principal) -> Result<(), ApiError> {
        match principal {
            Principal::Member(member) => member.require_fresh_password(context.now),
            Principal::Key(_) | Principal::SetUp(_) => Ok(()),
        }
    }
}

/// Somebody joins, leaves, or gets another role or password.
impl Act for Membership<'_> {
    fn require(&self, context: &RequestContext<'_>, principal: &Principal) -> Result<(), ApiError> {
        let in_own_tenant = self.tenant_id == principal.tenant_id();
        let member = match principal {
            Principal::Member(member) => member,
            // It makes the first owner, and nobody else.
            Principal::SetUp(tenant) if tenant.operator && in_own_tenant && self.before.is_none() => {
                return Ok(());
            }
            Principal::Key(_) | Principal::SetUp(_) => {
                return Err(ApiError::new(
                    Code::Forbidden,
                    "Managing members is for owners who have signed in.",
                ));
            }
        };
        let same_role = self.before.map(|person| person.role) == self.after.map(|person| person.role);
        if same_role && self.before.is_some_and(|person| person.id == member.id) && self.typed_in.is_some() {
            return Ok(());
        }
        if in_own_tenant {
            member.require_owner()?
        } else {
            member.require_operator()?
        }
        if context.policy.admin.step_up_roles { member.require_fresh_password(context.now) } else { Ok(()) }
    }
}

/// A link for somebody who joins, or who gets another password: it asks for the same as doing that.
impl Act for NewInvitation<'_> {
    fn require(&self, context: &RequestContext<'_>, principal: &Principal) -> Result<(), ApiError> {
        let tenant_id = &self.invitation.tenant_id;
        Membership { tenant_id, before: None, after: None, typed_in: None }.require(context, principal)
    }
}

/// What was made for one thing, and proves by itself that it may be done.
pub enum Shown<'a> {
    /// A link that still works: for whom it says.
    Invitation(&'a Invitation),
    /// The recovery token, of the operator's tenant: for its owners.
    RecoveryToken(&'a Tenant),
}

impl<'a> Proof<Membership<'a>> for Shown<'_> {
    fn require_for(&self, becomes: &Membership<'a>) -> Result<(), ApiError> {
        let Membership { tenant_id, before, after, .. } = *becomes;
        let is_for = after.is_some_and(|after| match self {
            Self::Invitation(invitation) => {
                let role = before.map_or(invitation.role, |before| before.role);
                tenant_id == invitation.tenant_id
                    && before.map(|before| &before.id) == invitation.member_id.as_ref()
                    && after.email == before.map_or(&invitation.email, |before| &before.email).as_str()
                    && after.role == role
            }
            Self::RecoveryToken(tenant) => {
                tenant.operator && tenant_id == tenant.id && after.role == Role::Owner
            }
        });
        if is_for { Ok(()) } else { Err(ApiError::new(Code::Forbidden, "This is for something else.")) }
    }
}

/// A tenant is changed. That it acts, or does not, holds for all its people and keys; and its plan, limits and code for
/// what all its keys may do, as an edit of each would.
impl Act for Revision<'_> {
    fn require(&self, context: &RequestContext<'_>, principal: &Principal) -> Result<(), ApiError> {
        let Principal::Member(member) = principal else { return Ok(()) };
        let (old, new) = (self.old, self.new);
        let mut actions = Vec::new();
        if old.status != new.status {
            if context.policy.admin.step_up_roles {
                member.require_fresh_password(context.now)?;
            }
            actions.push(match new.status {
                TenantStatus::Active => KeyAction::Create,
                TenantStatus::Inactive => KeyAction::Revoke,
            });
        }
        if old.plan != new.plan || old.code != new.code {
            actions.push(KeyAction::Create);
        }
        if new.plan.takes_from(&old.plan) {
            actions.push(KeyAction::Revoke);
        }
        let listed =
            |action: &KeyAction| context.policy.realms.iter().any(|realm| realm.step_up.contains(action));
        if actions.iter().any(listed) { member.require_step_up(context.now) } else { Ok(()) }
    }
}
