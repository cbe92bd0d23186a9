//! Which scopes may be put on a key, and by whom.

use crate::{
    policy::{Grant, Realm, scope},
    registry::{
        error::{Code, Refusal},
        input,
        principal::Principal,
    },
};

/// Whether a scope, `area:*` or `*` may be put on a key of this realm. `as_admin`: by a member who
/// is an owner or an admin.
///
/// # Errors
/// Why not, and what could be.
pub fn may(realm: &Realm, held: &str, as_admin: bool) -> Result<(), String> {
    let shown = input::shown(held);
    let covered = || realm.scopes.iter().filter(|scope| scope::holds(realm.scopes, &[held], scope.name));
    let listed = realm.scopes.iter().find(|scope| scope.name == held);
    let wildcard = scope::is_held_form(held) && !scope::is_scope(held);
    match listed {
        None if !wildcard || covered().next().is_none() => {
            let names: Vec<&str> = realm.scopes.iter().map(|scope| scope.name).collect();
            return Err(format!(
                "'{shown}' is not a scope of the realm {}: there are {}",
                realm.id,
                names.join(", ")
            ));
        }
        Some(scope) if scope.grant == Grant::Reserved => {
            return Err(format!("'{shown}' is reserved: no key can hold it yet"));
        }
        _ => {}
    }
    if !as_admin && needs_admin(realm, held) {
        return Err(format!("'{shown}' can only be granted by a member who is an owner or an admin"));
    }
    Ok(())
}

/// Refuses whoever could not have granted what a key holds: such a key is changed by people only.
///
/// # Errors
/// FORBIDDEN
pub fn require_member_for(realm: &Realm, held: &[String], principal: &Principal) -> Result<(), Refusal> {
    if principal.grants_admin_scopes() || !held.iter().any(|scope| needs_admin(realm, scope)) {
        return Ok(());
    }
    let detail = "The key holds a scope that only a member who is an owner or an admin can grant: \
                  only such a member can change or rotate it.";
    Err(Refusal::new(Code::Forbidden, detail))
}

/// Whether a scope or wildcard covers something that only a tenant's admin may grant.
pub fn needs_admin(realm: &Realm, held: &str) -> bool {
    realm
        .scopes
        .iter()
        .filter(|scope| scope.grant == Grant::Admin)
        .any(|scope| scope::holds(realm.scopes, &[held], scope.name))
}
