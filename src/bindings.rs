//! Names of the Worker's bindings, as `wrangler.toml` has them.

/// KV: what is published of keys.
pub const KEYS: &str = "KEYS";
/// One object a key.
pub const KEY_GATE: &str = "KEY_GATE";
/// Some objects a key that is used by many isolates.
pub const RELAY: &str = "RELAY";
/// One object for the deployment …
pub const REGISTRY: &str = "REGISTRY";
/// … of this name.
pub const REGISTRY_NAME: &str = "registry";
/// The limiter of failing networks.
pub const FAILURES: &str = "FAILURES";
