//! Names of the Worker's bindings, as `wrangler.toml` has them.

use js_sys::Reflect;
use worker::Env;

/// One object per key.
pub const KEY_GATE: &str = "KEY_GATE";
/// A few objects per key that many isolates use.
pub const RELAY: &str = "RELAY";
/// One object for the deployment …
pub const REGISTRY: &str = "REGISTRY";
/// … of this name.
pub const REGISTRY_NAME: &str = "registry";
/// What counts requests, if it is there: a data set of Analytics Engine.
pub const ANALYTICS: &str = "ANALYTICS";

/// Whether there is a binding of this name.
pub fn has(env: &Env, name: &str) -> bool {
    Reflect::get(env, &name.into()).is_ok_and(|binding| !binding.is_undefined())
}
