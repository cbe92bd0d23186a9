//! Tenants: the operator's own and its customers'.

pub mod fields;
pub mod handlers;
pub mod store;
pub mod tenant;
