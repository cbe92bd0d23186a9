//! What is wrong with a token.

use std::fmt;

/// Most bytes of a token. A longer one is refused before anything else of it is looked at.
pub const MOST_BYTES: usize = 8 * 1024;

/// Why a token does not pass. Nothing of the token is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Longer than [`MOST_BYTES`].
    TooLong,
    /// Not three parts of base64url without padding, or not the JSON that belongs there.
    Malformed(&'static str),
    /// It has `crit`: something must be understood that is not (RFC 7515, section 4.1.11).
    Critical,
    /// Another `typ` than the policy asks for.
    WrongType,
    /// An algorithm that the policy does not name, `none` among them, or that is not the key's.
    WrongAlgorithm,
    /// No key of the set has its `kid`, or more keys could be meant than are tried.
    UnknownKey,
    /// The signature is not of this token by this key.
    BadSignature,
    /// A claim that must be there is not.
    MissingClaim(&'static [&'static str]),
    /// A claim that is not of the kind that belongs there, or cannot be told to the origin in a header.
    InvalidClaim(&'static [&'static str]),
    /// Another issuer.
    WrongIssuer,
    /// Meant for somebody else.
    WrongAudience,
    /// Of another tenant than the one whose host was asked.
    WrongTenant,
    /// Past its `exp`.
    Expired,
    /// Before its `nbf`, or issued (`iat`) in the future.
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
            | Self::BadSignature => false,
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the token has more than {MOST_BYTES} bytes"),
            Self::Malformed(part) => write!(f, "the token's {part} is malformed"),
            Self::Critical => f.write_str("the token has critical header parameters"),
            Self::WrongType => f.write_str("the token is of another type"),
            Self::WrongAlgorithm => f.write_str("the token's algorithm is not allowed"),
            Self::UnknownKey => f.write_str("no key of the issuer has the token's key id"),
            Self::BadSignature => f.write_str("the token's signature is wrong"),
            Self::MissingClaim(path) => write!(f, "the token lacks the claim {}", path.join(".")),
            Self::InvalidClaim(path) => write!(f, "the token's claim {} is not valid", path.join(".")),
            Self::WrongIssuer => f.write_str("the token is of another issuer"),
            Self::WrongAudience => f.write_str("the token is for another audience"),
            Self::WrongTenant => f.write_str("the token is of another tenant than the host"),
            Self::Expired => f.write_str("the token has expired"),
            Self::NotYetValid => f.write_str("the token is not valid yet"),
        }
    }
}

impl std::error::Error for Error {}
