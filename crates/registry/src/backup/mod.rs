//! Backup and restore of the Registry: what its database holds, in signed pages that an owner of the operator's tenant reads, and
//! that an empty Registry of the same `KEYWARD_SECRET` takes back.
//!
//! What always holds:
//! - No key, password or session token is in a page, only the hashes that the database has ([`tables`] says of what).
//! - A page is taken as it was made, after the one that came before it, or not at all ([`page`]).
//! - While pages are still missing, every other call is refused, nothing is published and nobody can sign in ([`restore`]).
//! - A key that was revoked after the backup stays revoked, and one that was made after it does not go on unseen
//!   ([`behind`], [`found`]). Any other change since the backup is undone.

pub mod behind;
pub mod found;
pub mod page;
pub mod read;
pub mod restore;
pub mod search;
mod tables;

pub use tables::TABLES;
