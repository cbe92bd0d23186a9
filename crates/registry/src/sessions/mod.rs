//! Sessions: signing in, who is signed in, and ending that.

pub mod code;
pub mod cookie;
pub mod list;
pub mod sign_in;
pub mod store;
pub mod token;
pub mod token_sign_in;
