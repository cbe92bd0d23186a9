//! What the gate found of a token that somebody shows to sign in, for the Registry.

use serde::{Deserialize, Serialize};

use crate::{secret::Secret, time::Timestamp};

/// A token of the issuer that the policy's `[admin.sign_in]` names. Only the gate makes one: it is never read from a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInToken {
    /// Whom it names; `None` for a token that is not in order.
    pub identity: Option<Identity>,
}

/// Whom a token names that is in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Its claim `email`, as it stands there.
    pub email: String,
    /// When the person showed the issuer who they are (`auth_time`), or the token was issued (`iat`), whichever is earlier.
    pub authenticated_at: Timestamp,
    /// The first moment at which it no longer passes.
    pub expires_at: Timestamp,
    /// Hash of what was signed: tells it apart from every other token, however its signature is written.
    pub hash: String,
}

/// What somebody shows to sign in through the issuer.
#[derive(Clone, Debug)]
pub enum Shown {
    /// A token.
    Token(Secret),
    /// What a token can be had for. `is_fresh`: whether it has to say when the person was asked.
    Grant {
        /// It.
        grant: Grant,
        /// Whether the token must have `auth_time`.
        is_fresh: bool,
    },
}

/// An authorization code (RFC 6749, section 4.1.3), and what belongs to it.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The code.
    pub code: Secret,
    /// Where the issuer has sent the browser with it.
    pub redirect_uri: String,
    /// What the token must have as its `nonce`.
    pub nonce: String,
    /// `code_verifier` (RFC 7636, section 4.5).
    pub verifier: Secret,
}
