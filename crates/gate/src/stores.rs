//! The port through which decisions reach the platform: stores, objects, issuers and the clock. Nothing else waits, so
//! that the whole of the gate runs natively against stores that fail, lag or lie.

use serde::de::DeserializeOwned;

use keyward_core::{
    link::{Redeem, Redeemed},
    secret::Secret,
    time::Timestamp,
    unavailable::Unavailable,
};
use keyward_limits::{lease::Grantor, wire::CoordinatorCall};

/// What a check asks of the platform. A call fails once its `within_ms` are over.
#[allow(async_fn_in_trait, reason = "a Worker has one thread: no future here is ever sent to another")]
pub trait Stores {
    /// The published text under this key of KV.
    async fn read(&self, kv_key: &str, within_ms: u32) -> Result<Option<String>, Unavailable>;
    /// The answer of the coordinator of this name, or of a relay of its.
    async fn coordinator<T: DeserializeOwned>(
        &self,
        hash: &str,
        grantor: Grantor,
        call: &CoordinatorCall,
        within_ms: u32,
    ) -> Result<T, Unavailable>;
    /// Counts a failure of this network; whether it has now failed too often.
    async fn fails_too_often(&self, network: &str, within_ms: u32) -> Result<bool, Unavailable>;
    /// The time. On Workers it moves only while something is waited for.
    fn now(&self) -> Timestamp;
    /// Lets time pass.
    async fn wait(&self, milliseconds: u32);
    /// Has the Registry use up a link.
    async fn redeem(&self, call: &Redeem, within_ms: u32) -> Result<Redeemed, Unavailable>;
    /// The text at a URL, of at most [`MOST_SET_BYTES`](keyward_policy::jwk::MOST_SET_BYTES), or why it cannot be
    /// had.
    async fn fetch(&self, url: &str, within_ms: u32) -> Result<String, String>;
    /// Notes in the log that something outside, of this name, cannot be used.
    fn note(&self, what: &str, reason: &str);
    /// A secret of the deployment, by its name.
    fn secret(&self, name: &str) -> Option<Secret>;
}
