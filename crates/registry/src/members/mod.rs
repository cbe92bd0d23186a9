//! People: their roles and passwords.

pub mod handlers;
pub mod invitation;
pub mod invitations;
pub mod member;
pub mod membership;

pub use member::exist;
