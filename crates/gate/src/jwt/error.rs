//! What is wrong with a token.

use thiserror::Error as ThisError;

/// Most bytes of a token. A longer one is refused before anything else of it is looked at.
pub const MOST_BYTES: usize = 8 * 1024;

/// Why a token does not pass. Nothing of the token is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
pub enum Error {
    /// Longer than [`MOST_BYTES`].
    #[error("the token has more than {MOST_BYTES} bytes")]
    TooLong,
    /// Not three parts of base64url without padding, or not the JSON that belongs there.
    #[error("the token's {0} is malformed")]
    Malformed(&'static str),
    /// It has `crit`: something must be understood that is not (RFC 7515, section 4.1.11).
    #[error("the token has critical header parameters")]
    Critical,
    /// Another `typ` than the policy asks for.
    #[error("the token is of another type")]
    WrongType,
    /// An algorithm that the policy does not name, `none` among them, or that is not the key's.
    #[error("the token's algorithm is not allowed")]
    WrongAlgorithm,
    /// No key of the set has its `kid`, or more keys could be meant than are tried.
    #[error("no key of the issuer has the token's key id")]
    UnknownKey,
    /// The signature is not of this token by this key.
    #[error("the token's signature is wrong")]
    BadSignature,
    /// A claim that must be there is not.
    #[error("the token lacks the claim {}", .0.join("."))]
    MissingClaim(&'static [&'static str]),
    /// A claim that is not of the kind that belongs there, or cannot be told to the origin in a header.
    #[error("the token's claim {} is not valid", .0.join("."))]
    InvalidClaim(&'static [&'static str]),
    /// Another issuer.
    #[error("the token is of another issuer")]
    WrongIssuer,
    /// Meant for somebody else.
    #[error("the token is for another audience")]
    WrongAudience,
    /// Of another tenant than the one whose host was asked.
    #[error("the token is of another tenant than the host")]
    WrongTenant,
    /// Past its `exp`.
    #[error("the token has expired")]
    Expired,
    /// The issuer does not give one for the code that was shown.
    #[error("the issuer refused the code")]
    RefusedCode,
    /// Before its `nbf`, or issued (`iat`) in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
}

impl Error {
    /// Whether the token is its issuer's all the same: the signature was found right.
    pub fn is_after_signature(self) -> bool {
        match self {
            Self::TooLong
            | Self::Malformed(_)
            | Self::Critical
            | Self::WrongType
            | Self::WrongAlgorithm
            | Self::UnknownKey
            | Self::BadSignature
            | Self::RefusedCode => false,
            Self::MissingClaim(_)
            | Self::InvalidClaim(_)
            | Self::WrongIssuer
            | Self::WrongAudience
            | Self::WrongTenant
            | Self::Expired
            | Self::NotYetValid => true,
        }
    }
}
