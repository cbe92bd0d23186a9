//! The deployment's own policy, embedded by `build.rs`, and the policy types.

pub use keyward_policy::*;

/// The policy that this build was made with.
pub static POLICY: Policy = include!(concat!(env!("OUT_DIR"), "/policy.rs"));
