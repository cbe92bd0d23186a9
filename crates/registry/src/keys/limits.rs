//! Rate limits: what may be named, and what holds when nothing is.

use keyward_core::record::{Limits, Window};
use keyward_policy::{Policy, Realm, Windows};
use serde_json::Value;

use crate::input::{self, FieldErrors, invalid};

/// Reads `{perSecond, perMinute, perHour, perDay, perMonth, total}`: each a whole number up to the maximum, or `null` to
/// inherit.
///
/// # Errors
/// What is wrong with it.
pub fn read(value: &Value, maximum: &Windows) -> Result<Limits, FieldErrors> {
    let fields = Window::ALL.map(Window::field);
    let Some(object) = value.as_object() else {
        return invalid(format!("must be an object with {}", fields.join(", ")));
    };
    let mut errors: FieldErrors = object
        .keys()
        .filter(|name| !fields.contains(&name.as_str()))
        .map(|name| {
            (
                format!(".{}", input::shown(name)),
                format!("is not a field here: there are {}", fields.join(", ")),
            )
        })
        .collect();
    let windows = Windows::each(|window| match object.get(window.field()) {
        None | Some(Value::Null) => None,
        Some(value) => input::whole(value, 1, maximum.get(window).unwrap_or(u32::MAX))
            .map_err(|wrong| {
                errors.extend(
                    wrong
                        .into_iter()
                        .map(|(_, message)| (format!(".{}", window.field()), message + ", or null")),
                );
            })
            .ok(),
    });
    if errors.is_empty() {
        // Before there were other windows, a day below a minute was taken, and clients may send it.
        let is_new =
            |[shorter, longer]: &[(Window, u32); 2]| (shorter.0, longer.0) != (Window::Minute, Window::Day);
        if let Some([(shorter, most), (longer, _)]) = windows.contradictions().find(is_new) {
            let message = format!(
                "must be at least {most}, as {} is: else that could never be reached",
                shorter.field()
            );
            errors.push((format!(".{}", longer.field()), message));
        }
    }
    if errors.is_empty() { Ok(Limits::each(|window| windows.get(window))) } else { Err(errors) }
}

/// What holds for a key, each window on its own: the key's own limit, else its tenant's, else the
/// realm's default; never more than the realm's maximum.
pub fn effective(own: &Limits, tenant: &Limits, realm: Option<&Realm>) -> Limits {
    let none = Windows::default();
    let (default, maximum) = realm.map_or((none, none), |realm| (realm.limits.default, realm.limits.maximum));
    Limits::each(|window| {
        let limit = own.get(window).or(tenant.get(window)).or(default.get(window))?;
        Some(maximum.get(window).map_or(limit, |maximum| limit.min(maximum)))
    })
}

/// Whether a key can make fewer requests in some window under these limits than under others.
pub fn is_less(own: &Limits, others: &Limits) -> bool {
    Window::ALL.into_iter().any(|window| is_below(own.get(window), others.get(window)))
}

/// Whether one limit of a window is lower than another; `None` is none.
pub fn is_below(own: Option<u32>, other: Option<u32>) -> bool {
    own.is_some_and(|own| other.is_none_or(|other| own < other))
}

/// The highest maximum of any realm: what a tenant may be given. `None` as soon as one has none.
pub fn highest(policy: &Policy) -> Windows {
    Windows::each(|window| {
        let maxima: Option<Vec<u32>> =
            policy.realms.iter().map(|realm| realm.limits.maximum.get(window)).collect();
        maxima.and_then(|maxima| maxima.into_iter().max())
    })
}
