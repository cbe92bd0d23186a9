//! Names of the Worker's bindings, as `wrangler.toml` has them.

/// One object per key.
pub const KEY_GATE: &str = "KEY_GATE";
/// A few objects per key that many isolates use.
pub const RELAY: &str = "RELAY";
/// One object for the deployment …
pub const REGISTRY: &str = "REGISTRY";
/// … of this name.
pub const REGISTRY_NAME: &str = "registry";
