//! Keys: how they are made, changed, rotated and listed.

pub mod bulk;
pub mod change;
pub mod create;
pub mod delivery;
pub mod edit;
pub mod export;
pub mod filter;
pub mod grants;
pub mod idempotency;
pub mod import;
pub mod key;
pub mod key_quotas;
pub mod limits;
pub mod list;
pub mod new_key;
pub mod rotate;
pub mod settings;
pub mod summary;
