//! The policy types.

pub use keyward_policy::*;
