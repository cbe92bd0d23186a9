//! Passwords: which may be chosen, how they are derived, and how a typed one is checked.

pub mod check;
pub mod chosen;
pub mod derivation;
pub mod guessable;
pub mod rules;

pub use derivation::{Derived, ITERATIONS, PasswordJob, Purpose};
pub use guessable::is_guessable;
pub use rules::{chosen, typed};
