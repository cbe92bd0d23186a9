//! What it comes to when a store or an object was asked in vain.

/// A store did not answer in time, or not in a form that this build reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;
