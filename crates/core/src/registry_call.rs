//! What the Worker and coordinators ask of the Registry's object: JSON, posted to a path, answered with JSON.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A call of the Registry's object. Only the Worker can reach it, and during a deployment an old Worker calls a new
/// object, so the paths are golden, too.
pub trait RegistryCall: Serialize {
    /// The path that it is posted to.
    const PATH: &'static str;
    /// What it is answered with.
    type Answer: DeserializeOwned;

    /// Whether the call may be delivered twice, so that it is made once more if the object was reset or the connection
    /// lost. The first may have been carried out.
    fn is_repeatable(&self) -> bool;
}

/// How the Registry is, for `/readyz`. Answered with [`RegistryHealth`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetHealth {}

/// What the Registry says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistryHealth {
    /// Why its database cannot be used.
    pub fault: Option<String>,
    /// What is wrong with the set-up token; an older build says nothing of it.
    #[serde(default)]
    pub set_up: Option<String>,
}

impl RegistryCall for GetHealth {
    const PATH: &'static str = "/ready";
    type Answer = RegistryHealth;

    fn is_repeatable(&self) -> bool {
        true
    }
}
