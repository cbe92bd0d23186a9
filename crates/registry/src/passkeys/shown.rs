//! What a browser sends of a passkey that was made or used: `PublicKeyCredential.toJSON()` (WebAuthn, 5.1).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use super::challenge::Challenge;
use crate::{
    context::RequestContext,
    error::{ApiError, Code},
    input::{FieldErrors, invalid},
};

/// What is read of it.
pub struct Shown {
    /// The credential's id, in base64url.
    pub id: String,
    /// What the browser says of the ceremony, as JSON.
    pub client: Vec<u8>,
    /// What the authenticator says.
    pub authenticator: Vec<u8>,
    /// Its signature; empty where a passkey was made.
    pub signature: Vec<u8>,
    /// Whose it is, as it was told when it was made.
    pub user: Option<Vec<u8>>,
}

impl Shown {
    /// Reads it.
    ///
    /// # Errors
    /// That it is none.
    pub fn read(value: &Value) -> Result<Self, FieldErrors> {
        let bytes = |text: &Value| URL_SAFE_NO_PAD.decode(text.as_str()?).ok();
        let read = || {
            let response = value.get("response")?;
            let optional = |name| response.get(name).and_then(bytes);
            let id = value.get("id")?;
            bytes(id)?;
            Some(Self {
                id: id.as_str()?.to_owned(),
                client: bytes(response.get("clientDataJSON")?)?,
                authenticator: bytes(response.get("authenticatorData")?)?,
                signature: optional("signature").unwrap_or_default(),
                user: optional("userHandle"),
            })
        };
        let message = "must be what `PublicKeyCredential.toJSON()` gives: `id`, and in `response` \
                       `clientDataJSON`, `authenticatorData` and what else there is, in base64url";
        read().map_or_else(|| invalid(message), Ok)
    }

    /// The challenge that it answers, if it was this page's own, for this purpose, and what it says it is.
    pub fn challenge(&self, context: &RequestContext<'_>, kind: &str, purpose: &str) -> Option<Challenge> {
        let client = keyward_json::parse(std::str::from_utf8(&self.client).ok()?).ok()?;
        let text = |name| client.get(name).and_then(Value::as_str);
        // In a frame of another site, a person does not see what is confirmed.
        let is_framed = client.get("crossOrigin").is_some_and(|value| *value != Value::Bool(false))
            || client.get("topOrigin").is_some();
        let is_own = text("type") == Some(kind) && text("origin") == context.call.origin.as_deref();
        context.challenge(purpose, text("challenge").filter(|_| is_own && !is_framed)?)
    }
}

/// An id as browsers and we write it: in base64url.
pub fn id_text(id: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(id)
}

/// The host that passkeys are for, their RP ID: the one that the call came to.
///
/// # Errors
/// CONFLICT for an IP address, which browsers take for none.
pub fn host<'a>(context: &RequestContext<'a>) -> Result<&'a str, ApiError> {
    let (_, authority) =
        context.call.origin.as_deref().and_then(|own| own.split_once("://")).unwrap_or_default();
    let host = authority.split(':').next().unwrap_or_default();
    if host.is_empty() || host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok() {
        let detail = "Passkeys work at host names only, not at IP addresses. Open the page by its name; on this \
                      machine, that is `localhost`.";
        return Err(ApiError::new(Code::Conflict, detail));
    }
    Ok(host)
}
