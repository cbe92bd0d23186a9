//! What a person most likely did wrong with a credential, told from the text of the request alone:
//! without I/O and without a secret, so that it says nothing of whether a key exists. Nothing of the
//! text goes into a hint.

use keyward_policy::{KeyFormat, Proof, Realm, SourceKind};

use keyward_core::key;

/// What is wrong with text that stands where a key belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slip {
    /// `YOUR_API_KEY`, `<key>`, `$API_KEY`, `undefined`, `sk_test_...`
    Placeholder,
    /// `"kw_live_…"`
    Quoted,
    /// A scheme stands before it: `Bearer Bearer kw_live_…`
    Scheme,
    /// A space, a line break or something invisible, also written out as `\n` or `%0A`.
    Whitespace,
    /// It is a JWT.
    Token,
    /// It begins as a key does and ends too soon.
    Short,
    /// It begins as a key does and goes on too long.
    Long,
}

/// Where a credential was seen that does not count there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    /// In a header that is not read here.
    Header(&'static str),
    /// In the right header, without the scheme or after another one.
    Scheme {
        /// Which header.
        header: &'static str,
        /// What it has to begin with.
        scheme: &'static str,
    },
    /// The right header is there and holds nothing.
    Empty(&'static str),
    /// It is one, but of a kind that this route does not take.
    Kind(Proof),
    /// It is one, but another one is needed beside it.
    Alone(Proof),
}

/// Headers in which clients of other APIs send their credentials.
pub const ELSEWHERE: [&str; 11] = [
    "authorization",
    "x-api-key",
    "api-key",
    "apikey",
    "x-auth-token",
    "x-access-token",
    "x-api-token",
    "x-auth-key",
    "x-goog-api-key",
    "ocp-apim-subscription-key",
    "token",
];

/// What an unset variable becomes in a header.
const UNSET: [&str; 6] = ["undefined", "null", "none", "nil", "objectobject", "false"];

/// What people write where a key is to be put in, without regard to case and signs.
const TO_FILL_IN: [&str; 12] = [
    "your",
    "apikey",
    "accesstoken",
    "authtoken",
    "secretkey",
    "changeme",
    "replace",
    "insert",
    "placeholder",
    "example",
    "xxxx",
    "redacted",
];

/// The kinds of credentials that a source's text may be.
pub fn is_for(kind: SourceKind, by: &[Proof]) -> bool {
    by.iter().any(|proof| {
        matches!(
            (kind, proof),
            (SourceKind::Key, Proof::Key | Proof::Publishable) | (SourceKind::Jwt, Proof::Jwt)
        )
    })
}

/// What is wrong with text that is no key of this format; `None` where that cannot be told.
pub fn slip(format: &KeyFormat, text: &str) -> Option<Slip> {
    let after_scheme = after_scheme(text);
    let bare = after_scheme.unwrap_or(text).trim_matches(|letter| is_quote(letter) || letter.is_whitespace());
    if is_placeholder(format, bare) {
        return Some(Slip::Placeholder);
    }
    if after_scheme.is_some() {
        return Some(Slip::Scheme);
    }
    if bare.starts_with("eyJ") && bare.split('.').count() == 3 {
        return Some(Slip::Token);
    }
    if text.starts_with(is_quote) || text.ends_with(is_quote) {
        return Some(Slip::Quoted);
    }
    let written_out = ["\\n", "\\r", "\\t", "%0a", "%0d", "%20"];
    let lower = text.to_ascii_lowercase();
    if text.chars().any(|letter| !letter.is_ascii_graphic())
        || written_out.iter().any(|code| lower.contains(code))
    {
        return Some(Slip::Whitespace);
    }
    let length = key::length_after_prefix(format, text)?;
    match length.given.cmp(&length.right) {
        std::cmp::Ordering::Less => Some(Slip::Short),
        std::cmp::Ordering::Greater => Some(Slip::Long),
        std::cmp::Ordering::Equal => None,
    }
}

fn is_placeholder(format: &KeyFormat, text: &str) -> bool {
    let length = key::length_after_prefix(format, text);
    if length.as_ref().is_some_and(|length| length.given == length.right) {
        // It looks whole: only what nobody's chance would make is a placeholder.
        let mut random = text.chars().rev().take(usize::from(format.random));
        let first = random.next();
        return random.all(|letter| Some(letter) == first);
    }
    let signs = ["...", "…", "***", "•", "<", ">", "{", "}", "$", "%", "[", "]"];
    let written_out = ["%0a", "%0d", "%20"];
    let lower = text.to_ascii_lowercase();
    let plain: String = lower.chars().filter(char::is_ascii_alphanumeric).collect();
    let has_sign = signs.iter().any(|sign| lower.contains(sign));
    has_sign && !written_out.iter().any(|code| lower.contains(code))
        || UNSET.contains(&plain.as_str())
        || TO_FILL_IN.iter().any(|word| plain.contains(word))
}

fn is_quote(letter: char) -> bool {
    matches!(letter, '"' | '\'' | '`' | '“' | '”' | '‘' | '’' | '„' | '«' | '»')
}

/// What follows the name of a scheme or header, if it begins with one.
fn after_scheme(text: &str) -> Option<&str> {
    let (name, rest) = text.split_once([' ', '\t', ':', '='])?;
    ["bearer", "token", "basic", "apikey", "api-key", "x-api-key", "authorization", "key"]
        .iter()
        .any(|scheme| name.eq_ignore_ascii_case(scheme))
        .then_some(rest)
}

/// Whether text that stands where a token belongs is a key of this realm by its looks, which no token has.
pub fn is_key(realm: &Realm, text: &str) -> bool {
    realm.credentials.iter().any(|source| source.kind == SourceKind::Key)
        && !text.contains('.')
        && (key::begins_as(&realm.key, text)
            || realm.imported.is_some_and(|format| format.prefixes.iter().any(|it| text.starts_with(it))))
}

/// Where the credential seems to be of a request that has none in the places that count for this
/// route. `header` reads a header by its lower-case name.
pub fn stray(realm: &Realm, by: &[Proof], header: impl Fn(&str) -> Option<String>) -> Option<Stray> {
    // What else stands among a WebSocket's subprotocols is none in the wrong place.
    let of_requests = || realm.credentials.iter().filter(|source| !source.is_subprotocol());
    let counts = || of_requests().filter(|source| is_for(source.kind, by));
    let there = |name: &str| header(name).map(|value| value.trim().to_owned());
    for source in counts() {
        let Some(value) = there(source.header) else { continue };
        return Some(match source.scheme {
            Some(scheme) if !value.is_empty() && !value.eq_ignore_ascii_case(scheme) => {
                Stray::Scheme { header: source.header, scheme }
            }
            _ => Stray::Empty(source.header),
        });
    }
    let known = || ELSEWHERE.into_iter().chain(of_requests().map(|source| source.header));
    known()
        .filter(|name| !counts().any(|source| source.header == *name))
        .find(|name| there(name).is_some_and(|value| !value.is_empty()))
        .map(Stray::Header)
}
