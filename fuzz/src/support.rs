//! What several targets need: a policy, secrets, and inputs as lines of text.

use std::{borrow::Cow, sync::LazyLock};

use hmac::{Hmac, KeyInit, Mac};
use keyward_core::{entropy::Entropy, key, record::Mode, secret::Secrets, time::Timestamp};
use keyward_policy::{KeyFormat, Policy, Realm, compile::compile};
use sha2::Sha256;

/// The moment at which everything happens.
pub const NOW: Timestamp = Timestamp(1_900_000_000_000);
/// Under which tokens and webhooks are signed here. As long as HS256 asks for.
pub const SHARED: &str = "a-secret-that-is-shared-with-the-sender-0123456789";

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let read = |_: &str| Ok(include_str!("../policy.toml").to_owned());
    compile("fuzz/policy.toml", read).unwrap_or_else(|mistakes| panic!("{mistakes}"))
});
static SECRETS: LazyLock<Secrets> = LazyLock::new(|| {
    Secrets::new("the-secret-of-this-deployment-0123456789", Some("the-one-before-it-0123456789abcdefgh"))
});

/// A policy with a realm of every kind: `fuzz/policy.toml`.
pub fn policy() -> &'static Policy {
    &POLICY
}

/// One of its realms, by a number that chance chose.
pub fn realm(choice: u8) -> &'static Realm {
    &policy().realms[usize::from(choice) % policy().realms.len()]
}

/// The realm of this id.
pub fn realm_named(id: &str) -> &'static Realm {
    policy().realms.iter().find(|realm| realm.id == id).expect("policy.toml has it")
}

/// The deployment's secrets.
pub fn secrets() -> &'static Secrets {
    &SECRETS
}

/// Bytes of a counter, mixed: the same each time.
pub struct Seeded(pub u64);

impl Entropy for Seeded {
    fn fill(&mut self, buffer: &mut [u8]) {
        for byte in buffer {
            // SplitMix64.
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            *byte = (mixed ^ (mixed >> 27)) as u8;
        }
    }
}

/// A key of this format that is in order.
pub fn new_key(format: &KeyFormat, seed: u64) -> String {
    let part = if format.tenant.is_some() { "019234ab" } else { "" };
    key::generate(format, part, Mode::Live, secrets(), &mut Seeded(seed)).expose().to_owned()
}

/// Whether what is said of a secret holds it. That may be chance, since an input may be any words, those of a message too:
/// then what is said of another secret of its form has them as well.
pub fn shows(secret: &str, said: impl Fn(&str) -> String) -> bool {
    let another: String = secret
        .chars()
        .map(|c| match c {
            'a'..='y' | 'A'..='Y' | '0'..='8' => char::from(c as u8 + 1),
            'z' => 'a',
            'Z' => 'A',
            '9' => '0',
            _ => c,
        })
        .collect();
    said(secret).contains(secret) && !said(&another).contains(secret)
}

/// HMAC-SHA-256.
pub fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// The first byte, which chooses, and the rest.
pub fn choice(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (*first, rest))
}

/// An input as text.
pub fn text(data: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// The first `N` lines of an input, those that are not there empty; and what follows them.
pub fn lines<const N: usize>(text: &str) -> ([&str; N], &str) {
    let mut rest = text;
    let lines = [(); N].map(|()| {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = after;
        line
    });
    (lines, rest)
}

/// A text in which `$NAME` stands for what chance never finds.
pub struct Filled<'a>(pub &'a [(&'a str, &'a str)]);

impl Filled<'_> {
    /// The text with all of them put in.
    pub fn of(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

/// Header fields, each a line `name: value`, as the platform shows them: names in lower case, values trimmed, and
/// joined where a name is repeated.
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Reads them. What is no field, or holds what the platform lets in none, is left out.
    pub fn of(text: &str) -> Self {
        let mut all: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            if !is_field_value(value) {
                continue;
            }
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim_matches([' ', '\t']));
            match all.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = format!("{known}, {value}"),
                None => all.push((name, value.to_owned())),
            }
        }
        Self(all)
    }

    /// The value of one, by its lower-case name.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }
}

/// Whether text can be a field's value (RFC 9110, section 5.5).
pub fn is_field_value(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() && c != '\t')
}

/// Whether header fields that the gate makes can be sent as they are.
pub fn assert_sendable<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) {
    for (name, value) in fields {
        assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{name}: {value:?} is no field value");
    }
}
