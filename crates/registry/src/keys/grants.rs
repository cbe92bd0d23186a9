//! Which scopes may be put on a key, and by whom.

use keyward_core::{
    record::KeyKind,
    sql::{self, Sql, SqlError},
};
use keyward_policy::{Grant, Policy, Realm, scope};

use crate::{
    error::{ApiError, Code},
    input,
    to_json::ToJson,
};

/// Why a scope or wildcard cannot be put on a key. `scope` is as much of it as may be repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The realm's catalogue does not have it.
    #[error("'{scope}' is not a scope of the realm {realm}: there are {}", input::listed(known))]
    Unknown {
        /// The scope.
        scope: String,
        /// The realm.
        realm: &'static str,
        /// Its scopes.
        known: Vec<&'static str>,
    },
    /// No key can hold it.
    #[error("'{scope}' is reserved: no key can hold it yet")]
    Reserved {
        /// The scope.
        scope: String,
    },
    /// A publishable key cannot hold it.
    #[error(
        "'{scope}' is, or covers, a scope for admins, which no publishable key can hold: everybody can read one"
    )]
    Publishable {
        /// The scope.
        scope: String,
    },
    /// It is for an owner or an admin to grant.
    #[error("'{scope}' can only be granted by a member who is an owner or an admin")]
    AdminOnly {
        /// The scope.
        scope: String,
    },
}

/// Whether a scope, `area:*` or `*` may be put on a key of this realm and kind. `as_admin`: by a member who
/// is an owner or an admin.
///
/// # Errors
/// Why not, and what could be.
pub fn may(realm: &Realm, kind: KeyKind, held: &str, as_admin: bool) -> Result<(), GrantError> {
    let scope = || input::shown(held);
    let covered = || realm.scopes.iter().filter(|scope| scope::holds(realm.scopes, &[held], scope.name));
    let listed = realm.scopes.iter().find(|scope| scope.name == held);
    let wildcard = scope::is_held_form(held) && !scope::is_scope(held);
    match listed {
        None if !wildcard || covered().next().is_none() => {
            let known = realm.scopes.iter().map(|scope| scope.name).collect();
            Err(GrantError::Unknown { scope: scope(), realm: realm.id, known })
        }
        Some(listed) if listed.grant == Grant::Reserved => Err(GrantError::Reserved { scope: scope() }),
        _ if !needs_admin(realm, held) => Ok(()),
        _ if kind == KeyKind::Publishable => Err(GrantError::Publishable { scope: scope() }),
        _ if !as_admin => Err(GrantError::AdminOnly { scope: scope() }),
        _ => Ok(()),
    }
}

/// Refuses to make another key with the scopes of a publishable one that holds what none can hold any more.
///
/// # Errors
/// CONFLICT
pub fn require_fit(realm: &Realm, kind: KeyKind, held: &[String]) -> Result<(), ApiError> {
    if kind == KeyKind::Secret || !held.iter().any(|scope| needs_admin(realm, scope)) {
        return Ok(());
    }
    let detail = "The key is publishable and holds a scope for admins, which no such key can hold: \
                  change its scopes first, or make a secret key.";
    Err(ApiError::new(Code::Conflict, detail))
}

/// Whether a scope or wildcard opens more than the realm's API: what only a tenant's admin may grant, or everything there is
/// or will be.
pub fn opens_admin(realm: &Realm, held: &str) -> bool {
    held == "*" || needs_admin(realm, held)
}

/// Whether a scope or wildcard covers something that only a tenant's admin may grant.
pub fn needs_admin(realm: &Realm, held: &str) -> bool {
    scope::needs_admin(realm.scopes, held)
}

/// Scopes of the admin API that a key with these scopes is given: those that they cover in the catalogue of now. They
/// are stored with the key: what a wildcard covers, or a scope includes, only since the policy has changed was granted
/// by nobody.
pub fn of_admin_api(realm: &Realm, held: &[String]) -> Vec<String> {
    let listed = |required: &&str| realm.scopes.iter().any(|scope| scope.name == *required);
    let required = scope::OF_ADMIN_API.into_iter().filter(listed);
    required.filter(|required| scope::holds(realm.scopes, held, required)).map(str::to_owned).collect()
}

/// Gives keys that an older build has stored what their scopes cover by the present policy.
///
/// # Errors
/// What SQLite says.
pub fn give(db: &dyn Sql, policy: &Policy) -> Result<(), SqlError> {
    struct Row {
        realm: String,
        scopes: String,
    }
    keyward_core::from_row!(Row { realm, scopes });
    // Most keys share their scopes with others. What is left is looked at when the object next wakes up.
    let without = "SELECT DISTINCT realm, scopes FROM keys WHERE admin_scopes IS NULL LIMIT 1000";
    for Row { realm, scopes } in sql::query::<Row>(db, without, &[])? {
        let held: Vec<String> = keyward_json::from_str(&scopes).unwrap_or_default();
        let Some(found) = policy.realm(&realm) else { continue };
        let given = of_admin_api(found, &held).to_json().to_string();
        let give = "UPDATE keys SET admin_scopes = ? WHERE admin_scopes IS NULL AND realm = ? AND scopes = ?";
        db.run(give, &[given.into(), realm.into(), scopes.into()])?;
    }
    Ok(())
}
