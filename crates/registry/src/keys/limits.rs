//! Rate limits: what may be named, and what holds when nothing is.

use keyward_core::record::Limits;
use keyward_policy::{Policy, Realm, Windows};
use serde_json::Value;

use crate::{
    input::{self, FieldErrors, invalid},
    tenants::tenant::TenantPlan,
};

const FIELDS: [&str; 2] = ["perMinute", "perDay"];

/// Reads `{perMinute, perDay}`: each a whole number up to the maximum, or `null` to inherit.
///
/// # Errors
/// What is wrong with it.
pub fn read(value: &Value, maximum: &Windows) -> Result<Limits, FieldErrors> {
    let Some(object) = value.as_object() else {
        return invalid("must be an object with perMinute and perDay");
    };
    let mut errors: FieldErrors = object
        .keys()
        .filter(|name| !FIELDS.contains(&name.as_str()))
        .map(|name| {
            (
                format!(".{}", input::shown(name)),
                format!("is not a field here: there are {}", FIELDS.join(", ")),
            )
        })
        .collect();
    let mut window = |name: &str, most: Option<u32>| match object.get(name) {
        None | Some(Value::Null) => None,
        Some(value) => input::whole(value, 1, most.unwrap_or(u32::MAX))
            .map_err(|wrong| {
                errors
                    .extend(wrong.into_iter().map(|(_, message)| (format!(".{name}"), message + ", or null")))
            })
            .ok(),
    };
    let limits = Limits {
        per_minute: window("perMinute", maximum.per_minute),
        per_day: window("perDay", maximum.per_day),
        ..Limits::default()
    };
    if errors.is_empty() { Ok(limits) } else { Err(errors) }
}

/// What holds for a key, each window on its own: the key's own limit, else its tenant's, else the
/// realm's default; never more than the realm's maximum.
pub fn effective(own: &Limits, tenant: &TenantPlan, realm: Option<&Realm>) -> Limits {
    let none = Windows::default();
    let (default, maximum) = realm.map_or((none, none), |realm| (realm.limits.default, realm.limits.maximum));
    let window = |own: Option<u32>, tenant: Option<u32>, default: Option<u32>, maximum: Option<u32>| {
        own.or(tenant).or(default).map(|limit| maximum.map_or(limit, |maximum| limit.min(maximum)))
    };
    Limits {
        per_minute: window(own.per_minute, tenant.per_minute, default.per_minute, maximum.per_minute),
        per_day: window(own.per_day, tenant.per_day, default.per_day, maximum.per_day),
        ..Limits::default()
    }
}

/// The highest maximum of any realm: what a tenant may be given. `None` as soon as one has none.
pub fn highest(policy: &Policy) -> Windows {
    let highest = |window: fn(&Windows) -> Option<u32>| {
        let maxima: Option<Vec<u32>> =
            policy.realms.iter().map(|realm| window(&realm.limits.maximum)).collect();
        maxima.and_then(|maxima| maxima.into_iter().max())
    };
    Windows {
        per_minute: highest(|windows| windows.per_minute),
        per_day: highest(|windows| windows.per_day),
        ..Windows::default()
    }
}
