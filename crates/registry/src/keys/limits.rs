//! Rate limits: what may be named, and what holds when nothing is.

use keyward_core::record::{Cost, KeyKind, Limits, Window};
use keyward_policy::{Policy, Proof, Realm, Requirement, Windows, scope};
use serde_json::Value;

use crate::input::{self, FieldErrors, Input, invalid};

/// Reads `{perSecond, perMinute, perHour, perDay, perMonth, total, inFlight}`: each a whole number up to the maximum, or `null` to
/// inherit.
///
/// # Errors
/// What is wrong with it.
pub fn read(value: &Value, maximum: &Windows) -> Result<Limits, FieldErrors> {
    let fields = Window::LIMITS.map(Window::field);
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
        Some(value) => input::whole(value, 1, maximum.get(window).unwrap_or(window.most()))
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
        errors.extend(windows.contradictions().find(is_new).map(contradiction));
    }
    if errors.is_empty() { Ok(Limits::each(|window| windows.get(window))) } else { Err(errors) }
}

/// Each window of its own limits, else that of others.
pub fn or(own: &Limits, others: Option<Windows>) -> Limits {
    let others = others.unwrap_or_default();
    Limits::each(|window| own.get(window).or(others.get(window)))
}

/// Reads limits of a whole tenant: in the same form, and with no maximum.
///
/// # Errors
/// What is wrong with them.
pub fn read_pool(value: &Value) -> Result<Limits, FieldErrors> {
    let pool = read(value, &Windows::default())?;
    match Windows::each(|window| pool.get(window)).contradictions().next() {
        Some(pair) => Err(vec![contradiction(pair)]),
        None => Ok(pool),
    }
}

fn contradiction([(shorter, most), (longer, _)]: [(Window, u32); 2]) -> (String, String) {
    let message =
        format!("must be at least {most}, as {} is: else that could never be reached", shorter.field());
    (format!(".{}", longer.field()), message)
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
    Window::LIMITS.into_iter().any(|window| is_below(own.get(window), others.get(window)))
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

/// Refuses a limit that is below the cost of a route which a key of this kind may call by these scopes: no request would
/// ever fit.
pub fn require_room(body: &mut Input, own: &Limits, realm: &Realm, kind: KeyKind, scopes: &[String]) {
    let proof = if kind == KeyKind::Secret { Proof::Key } else { Proof::Publishable };
    let cost = |requires: &Requirement| match requires {
        Requirement::Key(key) => {
            let opens = |required: &&str| scope::holds(realm.scopes, scopes, required);
            (key.by.contains(&proof) && key.scopes.iter().all(opens)).then_some(key.cost)
        }
        _ => None,
    };
    let highest =
        realm.routes.iter().filter_map(|route| cost(&route.requires)).max().unwrap_or(Cost::ONE).units();
    for window in Window::ALL {
        if own.get(window).is_some_and(|limit| limit < highest) {
            body.refuse(
                &format!("rateLimit.{}", window.field()),
                format!("must be null or at least {highest}, the cost of the most expensive route that the scopes open"),
            );
        }
    }
}
