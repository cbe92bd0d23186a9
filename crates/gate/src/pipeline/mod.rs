//! Steps 5 to 8 of a key's way: shape, find, decide, limit. [`crate::admission`] comes before. The only
//! thing that waits here is a [`Stores`](crate::stores::Stores), so that the whole of it runs natively against stores that fail,
//! lag or lie.
//!
//! A copy of a record (from memory or KV) may let a request through only together with the KeyGate,
//! which knows the version that holds, or under a lease of its; and it may refuse one only while the
//! KeyGate's word for it is not older than `freshness`. So neither an old copy that would pass nor one that would
//! refuse is ever the last word.

mod ask;
mod call;
mod candidate;
mod charge;
mod check;
mod chore;
mod context;
mod failures;
mod tell;
mod verdict;

pub use self::{
    chore::Chore,
    context::Pipeline,
    verdict::{Accepted, KnownKey, Refused},
};
pub(crate) use self::{context::unavailable, failures::Failures};
