//! The policy as the admin page needs it, and what a new policy means for keys that exist.

use keyward_core::{
    json::object_of,
    key,
    record::{KeyKind, Limits, Window},
    sql::{self, Sql, SqlError},
    time::Timestamp,
};
use keyward_policy::{Grant, HostPattern, KeyAction, Policy, Proof, Realm, Rotation, SourceKind, Windows};
use serde_json::Value;

use crate::{
    change_log,
    context::RequestContext,
    events::endpoints,
    handler::HandlerResult,
    keys::{grants, limits},
    outbox,
    outcome::Outcome,
    principal::Principal,
    to_json::object,
};

/// `GET /realms`
pub fn list(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let realms: Vec<Value> =
        context.policy.realms.iter().map(|realm| view(realm, principal, context.policy)).collect();
    Ok(Outcome::ok(object!({ "realms": realms })))
}

fn view(realm: &Realm, principal: &Principal, policy: &Policy) -> Value {
    let scopes: Vec<Value> = realm
        .scopes
        .iter()
        .map(|scope| {
            object!({
                "name": scope.name,
                "description": scope.description,
                "includes": scope.includes,
                "grantable":
                    grants::may(realm, KeyKind::Secret, scope.name, principal.grants_admin_scopes()).is_ok(),
                "grant": match scope.grant {
                    Grant::Reserved => "reserved",
                    _ if grants::needs_admin(realm, scope.name) => "admin",
                    _ => "anyone",
                },
            })
        })
        .collect();
    let tenant = principal.tenant();
    let part = key::tenant_part(&realm.key, &tenant.id, tenant.code.as_deref()).unwrap_or_default();
    let joint = if part.is_empty() { "" } else { "_" };
    let source = realm.credentials.iter().find(|source| matches!(source.kind, SourceKind::Key));
    let host = realm.hosts.iter().find_map(|host| match host {
        HostPattern::Exact(name) => Some((*name).to_owned()),
        HostPattern::Tenant(rest) => Some(format!("{}{rest}", tenant.code.as_deref()?)),
        HostPattern::Any | HostPattern::Below(_) => None,
    });
    object!({
        "id": realm.id,
        "scopes": scopes,
        "limits": object!({
            "default": realm.limits.default,
            "maximum": realm.limits.maximum,
            // What a key of this tenant has that names none.
            "inherited": limits::effective(&Limits::default(), &tenant.plan.of_keys(policy), Some(realm)),
            "pool": tenant.plan.of_all(policy).unwrap_or_default(),
        }),
        // With the tenant's part, where keys have one.
        "keyPrefixes": object!({
            "live": format!("{}{part}{joint}", realm.key.live_prefix),
            "test": realm.key.test_prefix.map(|prefix| format!("{prefix}{part}{joint}")),
        }),
        // Where a request with a key goes, and where the key stands in it.
        "host": host,
        "credential": source.map(|source| object!({ "header": source.header, "scheme": source.scheme })),
        "imported": realm.imported.map(|format| object!({ "prefixes": format.prefixes })),
        "publishable": realm.accepts(Proof::Publishable),
        "stepUp": actions(realm.step_up),
        "ownerOnly": actions(realm.owner_only),
        "maxKeyLifeSeconds": realm.max_key_life.map(|life| life.whole_secs()),
        "keysMustExpire": realm.keys_must_expire || realm.max_key_life.is_some(),
        "rotation": match realm.rotation {
            Rotation::KeepOld => "keep-old",
            Rotation::RevokeOld => "revoke-old",
        },
        "link": realm.link.map(|link| object!({ "lifeSeconds": link.life.whole_secs(), "sessionLifeSeconds": link.session_life.whole_secs() })),
        "freshnessSeconds": f64::from(realm.freshness.timer_ms()) / 1000.0,
    })
}

fn actions(listed: &[KeyAction]) -> Value {
    let is = |action| listed.contains(&action);
    object!({ "create": is(KeyAction::Create), "rotate": is(KeyAction::Rotate), "revoke": is(KeyAction::Revoke) })
}

/// The minute and the day, as a build writes it that knows only these; the other windows only where they have a limit.
fn stored(windows: Windows) -> Value {
    let stored =
        |window: &Window| matches!(window, Window::Minute | Window::Day) || windows.get(*window).is_some();
    let limits = Window::LIMITS.into_iter().filter(stored);
    object_of(&mut limits.map(|window| (window.field(), windows.get(window).into())).collect::<Vec<_>>())
}

/// What of a realm's policy its keys' records carry, as they do now.
struct Adopted {
    limits: String,
    told_metadata: Option<String>,
}

keyward_core::from_row!(Adopted { limits, told_metadata });

/// Adopts a policy whose limits, or what its origins are told of metadata, differ from those that this database was last opened
/// with: the records of a realm's keys carry them, so each has to be published again.
///
/// # Errors
/// What SQLite says.
pub fn adopt(db: &dyn Sql, policy: &Policy, now: Timestamp) -> Result<(), SqlError> {
    sql::transaction(db, || adopt_in_transaction(db, policy, now))
}

fn adopt_in_transaction(db: &dyn Sql, policy: &Policy, now: Timestamp) -> Result<(), SqlError> {
    grants::give(db, policy)?;
    endpoints::adopt(db, policy, now)?;
    let plans = policy
        .plans
        .iter()
        .map(|plan| object!({ "name": plan.name, "limits": stored(plan.limits), "pool": stored(plan.pool) }));
    let plans: Vec<Value> = plans.collect();
    let mut had_plans = !plans.is_empty();
    let mut is_changed = false;
    for realm in policy.realms {
        let mut limits = vec![stored(realm.limits.default), stored(realm.limits.maximum)];
        limits.extend(plans.iter().cloned());
        let limits = Value::from(limits).to_string();
        let told = realm.identity.filter(|identity| !identity.metadata.is_empty());
        let told = told.map(|identity| Value::from(identity.metadata).to_string());
        let known = "SELECT limits, told_metadata FROM realms WHERE id = ?";
        let known = sql::query_one::<Adopted>(db, known, &[realm.id.into()])?;
        let had_other_limits = known.as_ref().is_none_or(|known| known.limits != limits);
        if !had_other_limits && known.as_ref().is_some_and(|known| known.told_metadata == told) {
            continue;
        }
        is_changed |= had_other_limits;
        had_plans |= known.is_some_and(|known| known.limits.contains("\"pool\""));
        outbox::enqueue_realm(db, realm.id, now)?;
        change_log::begin_anew(db)?;
        db.run(
            "INSERT OR REPLACE INTO realms (id, limits, told_metadata) VALUES (?, ?, ?)",
            &[realm.id.into(), limits.into(), told.into()],
        )?;
    }
    if is_changed && had_plans {
        outbox::enqueue_plans(db, now)?;
    }
    Ok(())
}
