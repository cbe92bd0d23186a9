//! Somebody joins, leaves, or gets another role or password: the one way in which members are written.

use keyward_core::sql::SqlError;

use crate::{
    authorise::Authorised,
    context::RequestContext,
    enum_text::text_of,
    members::{invitation, member::MemberRow},
    passkeys::passkey,
    principal::Role,
    rows,
    sessions::store,
};

/// Somebody joins, leaves, or becomes another.
pub struct Membership<'a> {
    /// In which tenant.
    pub tenant_id: &'a str,
    /// As before; `None` for who joins.
    pub before: Option<&'a MemberRow>,
    /// As afterwards; `None` for who leaves.
    pub after: Option<&'a MemberRow>,
    /// The session in which the person typed the present password with this very call.
    pub typed_in: Option<&'a str>,
}

impl Authorised<Membership<'_>> {
    /// Stores it. Whoever was signed in with another role or password, or is gone, is so no longer.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn store(&self, context: &RequestContext<'_>) -> Result<(), SqlError> {
        let rights = |person: &MemberRow| {
            [
                ("role", text_of(person.role).into()),
                ("password", person.password.as_str().into()),
                ("updated_at", context.now.into()),
            ]
        };
        match (self.before, self.after) {
            (None, Some(person)) => {
                let mut columns = vec![
                    ("id", person.id.as_str().into()),
                    ("tenant_id", person.tenant_id.as_str().into()),
                    ("email", person.email.as_str().into()),
                    ("created_at", person.created_at.into()),
                ];
                columns.extend(rights(person));
                rows::insert(context.db, "members", &columns)?;
                invitation::end_all(context, None, None, Some(&person.email))
            }
            (Some(old), Some(new)) => {
                if self.typed_in.is_some() && old.password != new.password {
                    passkey::keep(context, &old.id)?;
                }
                rows::update(context.db, "members", &old.id, &rights(new))?;
                // Who typed the password may stay in this session, unless it began with another role.
                let spared = self.typed_in.filter(|_| old.role == new.role);
                store::end_all(context, &old.id, spared.unwrap_or_default())?;
                if old.password != new.password {
                    context.forget_networks(&old.id)?;
                }
                let inviter = (old.role == Role::Owner && new.role != Role::Owner).then_some(old.id.as_str());
                invitation::end_all(context, Some(&old.id), inviter, None)?;
                if self.typed_in.is_some() { context.remember_network(&old.id) } else { Ok(()) }
            }
            (Some(person), None) => {
                store::end_all(context, &person.id, "")?;
                context.forget_networks(&person.id)?;
                invitation::end_all(context, Some(&person.id), Some(&person.id), None)?;
                context.db.run("DELETE FROM members WHERE id = ?", &[person.id.as_str().into()])?;
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }
}
