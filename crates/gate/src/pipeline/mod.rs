//! A key's way after [`crate::admission`]: shape, find, decide, limit.
//!
//! A cached record (from memory or KV) admits a request only together with the coordinator, which knows the
//! current version, or under a lease of its; and it refuses one only while the coordinator's last confirmation
//! is younger than `freshness`. So an old copy decides neither way by itself.

mod ask;
mod background;
mod cached_record;
mod call;
mod charge;
mod check;
mod context;
mod failures;
mod follow;
mod network_limit;
mod open;
mod pool;
mod settle;
mod tell;
mod verdict;

pub use self::{
    background::BackgroundTask,
    context::Pipeline,
    open::Open,
    verdict::{Accepted, KnownKey, Refused},
};
pub(crate) use self::{
    check::{UNKNOWN, recognise},
    context::unavailable,
    failures::Failures,
    open::budget_of,
};
