//! Passkeys (WebAuthn, level 3): a member's own keys, with which one signs in and steps up. The browser makes and uses them; what
//! it says of that is checked here, step by step as the standard has it, but for the signature: that is the platform's
//! ([`signature::SignatureJob`]).

pub mod authenticator;
pub mod challenge;
pub mod cose;
pub mod handlers;
pub mod passkey;
pub mod shown;
pub mod sign_in;
pub mod signature;
