//! The gate's port: everything that handling a request asks of the platform. The Worker implements it with bindings
//! (`src/stores.rs`), tests with fakes that fail, lag or lie, the simulation with a network.

use keyward_policy::jwk::{Signed, UnfitKey};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use keyward_core::{
    changes::{News, ReadChanges},
    data_point::DataPoint,
    link::{Redeem, Redeemed},
    log::Event,
    registry_call::RegistryHealth,
    secret::{Secret, Seed},
    time::{Span, Timestamp},
    unavailable::CallFailed,
};
use keyward_limits::{lease::Grantor, wire::CoordinatorCall};

/// The platform. A call that waits fails once the time `within` is over.
#[allow(async_fn_in_trait, reason = "a Worker has one thread: no future here is ever sent to another")]
pub trait Platform {
    /// The published text under this key of KV.
    async fn read(&self, kv_key: &str, within: Span) -> Result<Option<String>, CallFailed>;
    /// The answer of the coordinator of this name, or of one of its relays.
    async fn coordinator<T: DeserializeOwned>(
        &self,
        hash: &str,
        grantor: Grantor,
        call: &CoordinatorCall,
        within: Span,
    ) -> Result<T, CallFailed>;
    /// What has changed, as the relay of this number says.
    async fn changes(&self, relay: u32, call: &ReadChanges, within: Span) -> Result<News, CallFailed>;
    /// Has the limiter of this binding count one more under a key; whether those are now too many.
    async fn exceeds(&self, limiter: &str, key: &str, within: Span) -> Result<bool, CallFailed>;
    /// Has the Registry use up a link.
    async fn redeem(&self, call: &Redeem, within: Span) -> Result<Redeemed, CallFailed>;
    /// What the Registry says of itself.
    async fn registry_health(&self, within: Span) -> Result<RegistryHealth, CallFailed>;
    /// The text at a URL, of at most [`MOST_SET_BYTES`](keyward_policy::jwk::MOST_SET_BYTES).
    async fn fetch(&self, url: &str, within: Span) -> Result<String, CallFailed>;
    /// The text that a form sent to a URL is answered with, of at most as many bytes. `authorization` is the header.
    async fn send_form(
        &self,
        url: &str,
        form: &str,
        authorization: Option<&Secret>,
        within: Span,
    ) -> Result<String, CallFailed>;
    /// Whether a signature is right, by the platform's own crypto, which has nothing to wait for.
    ///
    /// # Errors
    /// If the key is none.
    async fn verify(&self, signed: Signed<'_>) -> Result<bool, UnfitKey>;
    /// The public key of an Ed25519 key, in base64url as a JWK has it (RFC 8037, section 2), by the platform's own crypto,
    /// which has nothing to wait for.
    async fn public_key(&self, seed: &Seed) -> Result<String, CallFailed>;
    /// Signs a text with an Ed25519 key (RFC 8032, section 5.1.6), in the same way.
    async fn sign(&self, seed: &Seed, text: &[u8]) -> Result<[u8; 64], CallFailed>;
    /// Waits.
    async fn wait(&self, span: Span);
    /// The time. On Workers it moves only while something is waited for.
    fn now(&self) -> Timestamp;
    /// 128 random bits.
    fn random(&self) -> [u8; 16];
    /// A secret of the deployment, by its name.
    fn secret(&self, name: &str) -> Option<Secret>;
    /// Whether there is a binding of this name.
    fn has_binding(&self, name: &str) -> bool;
    /// Whether the binding of this name is a limiter.
    fn has_limiter(&self, name: &str) -> bool;
    /// Whether the entry module was given a handler of this name.
    fn has_handler(&self, name: &str) -> bool;
    /// Writes a line into the log.
    fn log(&self, event: &Event<'_>);
    /// Writes a data point, which is not waited for.
    fn count(&self, point: &DataPoint<'_>);
    /// How long this request has waited for what the platform was asked.
    fn waits(&self) -> Waits;
}

/// How long a request has waited for each kind of call; what was asked at the same time counts for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// For KV.
    pub store: Span,
    /// For objects.
    pub object: Span,
    /// For limiters.
    pub limiter: Span,
    /// For issuers of tokens.
    pub issuer: Span,
}
