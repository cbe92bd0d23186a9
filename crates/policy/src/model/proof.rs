//! What can prove who sent a request, beside an API key: tokens of an issuer, signatures of a
//! webhook's sender, and links that become a session.

use super::{
    data::{list, optional_list, policy_data, seconds},
    key::{Alphabet, Hash, KeyFormat},
};
use crate::span::Span;

policy_data! {
/// Whose access tokens a realm takes (JWT, RFC 7519), and by which rules (RFC 8725).
pub struct Jwt {
    /// `iss`, compared byte for byte.
    pub issuer: &'static str,
    /// `aud` must name one of these; at least one.
    #[serde(deserialize_with = "list")]
    pub audiences: &'static [&'static str],
    /// What verifies a token. It decides the algorithms: the token never does.
    pub keys: JwtKeys,
    /// Which `typ` a token must have (`at+jwt`, RFC 9068), compared without case; `None` for any.
    pub typ: Option<&'static str>,
    /// Where the claims are that the origin gets.
    pub claims: Claims,
    /// How far the issuer's clock may be off: at most a minute.
    #[serde(rename = "skew_s", with = "seconds")]
    pub skew: Span,
    /// A cookie in which a token may stand, beside the realm's headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<&'static str>,
}

/// What verifies a token.
pub enum JwtKeys {
    /// HS256 under a shared secret whose key has at least 32 bytes.
    Secret {
        /// Its name.
        name: &'static str,
        /// How the key is written in it.
        form: SecretForm,
    },
    /// Public keys.
    Public {
        /// With these algorithms; at least one.
        #[serde(deserialize_with = "list")]
        algorithms: &'static [PublicAlgorithm],
        /// Where the keys are.
        set: JwkSet,
    },
}

/// A signature algorithm with a public key. There is no `none`, and HS256 is not among them: a
/// public key can never be taken for a shared secret. RSA keys have 2048 to 8192 bits.
pub enum PublicAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, section 3.3).
    Rs256,
    /// The same with SHA-384.
    Rs384,
    /// The same with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256 (RFC 7518, section 3.5).
    Ps256,
    /// The same with SHA-384.
    Ps384,
    /// The same with SHA-512.
    Ps512,
    /// ECDSA with P-256 and SHA-256 (RFC 7518, section 3.4).
    Es256,
    /// ECDSA with P-384 and SHA-384.
    Es384,
    /// ECDSA with P-521 and SHA-512.
    Es512,
    /// Ed25519 (RFC 8037; by the name of RFC 9864 too).
    EdDsa,
}

/// Where a JWK Set (RFC 7517, section 5) is.
pub enum JwkSet {
    /// Its JSON text.
    Inline(&'static str),
    /// At this URL.
    Url {
        /// `https://…/.well-known/jwks.json`
        url: &'static str,
        /// How long one answer is used: a minute to a day.
        #[serde(rename = "max_age_s", with = "seconds")]
        max_age: Span,
    },
}

/// Where claims stand in a token: each a path of member names, `["app_metadata", "tenant_id"]`.
#[serde(bound(deserialize = "'de: 'static"))]
pub struct Claims {
    /// The subject; required in every token. By default `["sub"]`.
    #[serde(deserialize_with = "list")]
    pub subject: &'static [&'static str],
    /// The tenant; required in every token if it is named here.
    #[serde(deserialize_with = "optional_list")]
    pub tenant: Option<&'static [&'static str]>,
    /// Scopes: text with spaces between, or a list; a token without it has none. By default, when
    /// this is `None`, `scope` (RFC 8693), else `scp`.
    #[serde(deserialize_with = "optional_list")]
    pub scopes: Option<&'static [&'static str]>,
}

/// How a webhook's sender signs: HMAC-SHA-256 over parts of the request.
pub struct Webhook {
    /// Header with the signature or signatures, in lower case.
    pub header: &'static str,
    /// Between several entries of that header; `None` when the whole value is one.
    pub separator: Option<char>,
    /// What an entry with a signature begins with: `v1=`, `sha256=`, or nothing.
    pub tag: &'static str,
    /// How a signature is written.
    pub encoding: SignatureEncoding,
    /// What is signed, one part after the other.
    #[serde(deserialize_with = "list")]
    pub content: &'static [SignedPart],
    /// Where the time of sending stands, in seconds since 1970; `None` when nothing says it.
    pub timestamp: Option<WebhookTime>,
    /// How far that time may be off, in either direction. By default five minutes.
    #[serde(rename = "tolerance_s", with = "seconds")]
    pub tolerance: Span,
    /// Name of the sender's secret.
    pub secret: &'static str,
    /// Names of others that are taken as well, while the sender changes to a new one.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "<[_]>::is_empty")]
    pub other_secrets: &'static [&'static str],
    /// How the key is written in each.
    pub secret_form: SecretForm,
    /// Most bytes of a body, where that is another number than the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body: Option<u32>,
}

/// A part of what a webhook's sender signs.
pub enum SignedPart {
    /// The same for every request: a full stop, the URL that Square was given.
    Text(&'static str),
    /// The value of a header, named in lower case. It must be there.
    Header(&'static str),
    /// The time of sending, as it was written.
    Timestamp,
    /// The body's bytes. Every scheme has it.
    Body,
}

/// Where the time of sending stands.
pub enum WebhookTime {
    /// The value of a header, named in lower case.
    Header(&'static str),
    /// The entry of the signature header that begins so: `t=`.
    Entry(&'static str),
}

/// How a signature is written.
pub enum SignatureEncoding {
    /// Hexadecimal, in either case.
    Hex,
    /// Base64 with padding (RFC 4648, section 4).
    Base64,
}

/// How the bytes of a key are written in a secret.
pub enum SecretForm {
    /// They are the text's own.
    Text,
    /// In base64, of either alphabet of RFC 4648, with or without padding.
    Base64 {
        /// What may stand before it: `whsec_`.
        prefix: &'static str,
    },
}

/// Links with a token that works once, and the session that it becomes.
pub struct Link {
    /// Query parameter with the token: `token`.
    pub parameter: &'static str,
    /// What a token begins with: `st_`. It and [`Link::SESSION_PREFIX`] are apart from each other and
    /// from the prefixes of keys: none begins with another.
    pub prefix: &'static str,
    /// How long a token works.
    #[serde(rename = "life_s", with = "seconds")]
    pub life: Span,
    /// Name of the session's cookie; begins with `__Host-` (RFC 6265bis, section 4.1.3.2).
    pub cookie: &'static str,
    /// How long the session lives.
    #[serde(rename = "session_life_s", with = "seconds")]
    pub session_life: Span,
}
}

impl PublicAlgorithm {
    /// As `alg` names them (RFC 7518, section 3.1; RFC 8037; RFC 9864).
    pub const NAMES: [(&str, Self); 11] = [
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("ES512", Self::Es512),
        ("EdDSA", Self::EdDsa),
        ("Ed25519", Self::EdDsa),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| *name)
    }

    /// The algorithm of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
    }
}

impl Webhook {
    /// The names of all its secrets.
    pub fn secrets(&self) -> impl Iterator<Item = &'static str> + use<> {
        [self.secret].into_iter().chain(self.other_secrets.iter().copied())
    }

    /// The headers that are looked at, in lower case.
    pub fn headers(&self) -> impl Iterator<Item = &'static str> + use<> {
        let signed = self.content.iter().filter_map(|part| match part {
            SignedPart::Header(name) => Some(*name),
            _ => None,
        });
        let time = match self.timestamp {
            Some(WebhookTime::Header(name)) => Some(name),
            _ => None,
        };
        signed.chain(time).chain([self.header])
    }

    /// Stripe: `Stripe-Signature: t=<seconds>,v1=<hex>` over `<seconds>.<body>`.
    pub const fn stripe(secret: &'static str) -> Self {
        Self {
            header: "stripe-signature",
            separator: Some(','),
            tag: "v1=",
            encoding: SignatureEncoding::Hex,
            content: &[SignedPart::Timestamp, SignedPart::Text("."), SignedPart::Body],
            timestamp: Some(WebhookTime::Entry("t=")),
            tolerance: Span::from_mins(5),
            secret,
            other_secrets: &[],
            max_body: None,
            secret_form: SecretForm::Text,
        }
    }

    /// Square: base64 over the notification URL, as Square was given it, and the body. `content` is
    /// these two.
    pub const fn square(secret: &'static str, content: &'static [SignedPart; 2]) -> Self {
        Self {
            header: "x-square-hmacsha256-signature",
            separator: None,
            tag: "",
            encoding: SignatureEncoding::Base64,
            content,
            timestamp: None,
            tolerance: Span::ZERO,
            secret,
            other_secrets: &[],
            max_body: None,
            secret_form: SecretForm::Text,
        }
    }

    /// GitHub: `X-Hub-Signature-256: sha256=<hex>` over the body.
    pub const fn github(secret: &'static str) -> Self {
        Self {
            header: "x-hub-signature-256",
            separator: None,
            tag: "sha256=",
            encoding: SignatureEncoding::Hex,
            content: &[SignedPart::Body],
            timestamp: None,
            tolerance: Span::ZERO,
            secret,
            other_secrets: &[],
            max_body: None,
            secret_form: SecretForm::Text,
        }
    }

    /// Svix: Standard Webhooks, by the names that its headers had before.
    pub const fn svix(secret: &'static str) -> Self {
        Self {
            header: "svix-signature",
            content: &[
                SignedPart::Header("svix-id"),
                SignedPart::Text("."),
                SignedPart::Timestamp,
                SignedPart::Text("."),
                SignedPart::Body,
            ],
            timestamp: Some(WebhookTime::Header("svix-timestamp")),
            ..Self::standard(secret)
        }
    }

    /// Standard Webhooks 1.0: `webhook-signature: v1,<base64>` over `<id>.<seconds>.<body>`.
    pub const fn standard(secret: &'static str) -> Self {
        Self {
            header: "webhook-signature",
            separator: Some(' '),
            tag: "v1,",
            encoding: SignatureEncoding::Base64,
            content: &[
                SignedPart::Header("webhook-id"),
                SignedPart::Text("."),
                SignedPart::Timestamp,
                SignedPart::Text("."),
                SignedPart::Body,
            ],
            timestamp: Some(WebhookTime::Header("webhook-timestamp")),
            tolerance: Span::from_mins(5),
            secret,
            other_secrets: &[],
            max_body: None,
            secret_form: SecretForm::Base64 { prefix: "whsec_" },
        }
    }
}

impl Link {
    /// What the value of a session's cookie begins with.
    pub const SESSION_PREFIX: &str = "kw_session_";

    /// What a link's token looks like: 178 random bits, and a check that nobody outside can make up.
    pub const fn token(&self) -> KeyFormat {
        KeyFormat {
            live_prefix: self.prefix,
            test_prefix: None,
            tenant: None,
            random: 30,
            alphabet: Alphabet::Base62,
            checksum: 6,
            visible: 0,
            hash: Hash::Sha256,
        }
    }
}
