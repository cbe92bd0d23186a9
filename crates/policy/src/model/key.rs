//! What keys look like, and those that stand in the policy.

use super::data::{list, policy_data};

policy_data! {
/// What a key looks like: prefix, the tenant's part, random characters, checksum.
pub struct KeyFormat {
    /// Prefix of live keys: `kw_live_`.
    pub live_prefix: &'static str,
    /// Prefix of test keys: `kw_test_`; `None` when the prefix does not tell them apart.
    pub test_prefix: Option<&'static str>,
    /// What follows the prefix and says whose key it is, with a `_` after it.
    pub tenant: Option<TenantPart>,
    /// Number of random characters.
    pub random: u8,
    /// What they are made of.
    pub alphabet: Alphabet,
    /// Number of characters of the checksum at the end (base62 of an HMAC); 0 for none.
    #[serde(rename = "check")]
    pub checksum: u8,
    /// How many of the random characters the visible prefix has, after all that stands before them.
    #[serde(rename = "shown")]
    pub visible: u8,
    /// How a key is stored.
    pub hash: Hash,
}

/// The part of a key that says whose it is.
pub enum TenantPart {
    /// The tenant's code: `ABC123`.
    Code,
    /// The first eight characters of the tenant's id, a UUID: `019234ab`.
    Id,
}

/// The characters of a key's random part.
pub enum Alphabet {
    /// `0-9A-Za-z`
    Base62,
    /// `A-Za-z0-9-_`: whole random bytes in base64url without padding (RFC 4648, section 5)
    Base64Url,
    /// `0-9a-f`
    Hex,
    /// `A-Za-z0-9-._~+/=`: what a credential can be made of (RFC 9110, section 11.2)
    Token68,
}

/// Keys that were made elsewhere, and imported by their hash.
#[serde(bound(deserialize = "'de: 'static"))]
pub struct ImportedFormat {
    /// What they begin with; none of it where the list is empty.
    #[serde(deserialize_with = "list")]
    pub prefixes: &'static [&'static str],
    /// Fewest characters that follow.
    pub min_length: u8,
    /// Most characters that follow.
    pub max_length: u8,
    /// What these are made of.
    pub alphabet: Alphabet,
}

/// How a key is stored.
pub enum Hash {
    /// SHA-256 of the key.
    Sha256,
    /// HMAC-SHA-256 of the key under the deployment's secret.
    HmacSha256,
}

/// A static key: its hash stands in the policy. It is checked without any store, and ends with the next deployment without it.
pub struct StaticKey {
    /// Name, for the origin and the log.
    pub id: &'static str,
    /// SHA-256 of the key, in lower-case hex.
    pub sha256: &'static str,
    /// Scopes it holds, wildcards as written.
    #[serde(deserialize_with = "list")]
    pub scopes: &'static [&'static str],
    /// The tenant that the origin gets.
    pub tenant: Option<&'static str>,
    /// The plan that it counts as.
    pub plan: Option<&'static str>,
}
}
