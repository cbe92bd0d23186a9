//! Access tokens of an issuer: compact JWS (RFC 7515) with a claims set (RFC 7519), verified by the
//! rules of RFC 8725.
//!
//! What could be confused is not there to be: a key verifies only with algorithms of its type, and with
//! its own where it names one; which are taken is the policy's word; `none` is not among them, and a
//! shared secret is never looked for in a set of public keys. Of a token only `alg`, `typ` and `kid` are
//! read before its signature was found right, and keys that it brings along (`jwk`, `jku`, `x5c` …) never.
//! `docs/tokens.md` says of every part of a token what passes.
//!
//! [`Token::read`] looks at the form, [`JwksCache::look_up`] says which keys to use or whether to
//! fetch them, [`Token::verify`] checks the signature, [`Verified::claims`] what
//! it says.

mod cache;
mod claims;
mod error;
mod issuers;
mod keys;
mod object;
pub mod reports;
mod token;

pub use cache::{JwksCache, Lookup};
pub use claims::{Claims, Wanted};
pub use error::{Error, MOST_BYTES};
pub use issuers::{Issuers, NoKeys, Source};
pub use keys::{Keys, UnfitKeys};
pub use token::{Token, Verified, claimed_issuer};
