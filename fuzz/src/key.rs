//! Keys: their form and check, what is shown of them, and finding them in URLs.
//!
//! Input: a byte that chooses the format and how a URL hides a key, one that chooses which byte of a key is changed
//! and one to what; then lines with the URL before and after the key, and any other text.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use keyward_core::{
    key::{self, Shape},
    request_target::RequestTarget,
    secret::Secrets,
};
use keyward_gate::credential::is_in_url;
use keyward_policy::{Alphabet, KeyFormat, Realm, key::is_tenant_code};

use crate::support::{lines, new_key, realm, secrets, text};

pub fn run(data: &[u8]) {
    let (head, rest) = data.split_at(data.len().min(3));
    let at = |index: usize| head.get(index).copied().unwrap_or_default();
    let realm = realm(at(0));
    let text = text(rest);
    let ([before, after], other) = lines(&text);
    any_text(&realm.key, other.lines().next().unwrap_or_default());
    let own = new_key(&realm.key, at(1).into());
    own_key(&realm.key, &own, at(1).into(), at(2));
    in_url(realm, &own, at(0) >> 2, [before, after]);
}

/// Text that somebody made up.
fn any_text(format: &KeyFormat, text: &str) {
    let shape = key::shape(format, secrets(), text);
    assert_eq!(key::begins_as(format, text), format.prefixes().any(|prefix| text.starts_with(prefix)));
    match shape {
        Shape::Possible => {
            assert!(matches!(format.split(text), Some((whole, "")) if whole == text));
            assert_eq!(format.checksum, 0, "nobody makes up a keyed check: {text:?}");
            let length = key::length_after_prefix(format, text).expect("it begins so");
            assert_eq!(length.given, length.right);
        }
        Shape::Impossible => assert!(key::begins_as(format, text)),
        Shape::Foreign => {}
    }
    assert_eq!(shape == Shape::Possible, key::is_well_formed(format, secrets(), text));
    assert!(text.starts_with(&key::key_prefix(format, text)) && text.ends_with(&key::last4(text)));
    assert!(key::last4(text).chars().count() <= 4);
    // Without secrets the form decides, which is never stricter than form and check.
    if key::appears_in(format, Some(secrets()), text) && format.checksum > 0 {
        let mut starts = text.char_indices().filter_map(|(at, _)| format.split(&text[at..]));
        assert!(starts.next().is_some(), "there is nothing of a key's form in {text:?}");
    }
    if let Some(bytes) = key::unhex(text) {
        assert_eq!(key::hex(&bytes), text.to_ascii_lowercase());
    }
    if is_tenant_code(text) {
        assert!(!text.contains(['_', '.', '/']) && text.is_ascii());
    }
}

/// A key that is in order, and the same with one byte changed.
fn own_key(format: &KeyFormat, own: &str, place: usize, change: u8) {
    assert_eq!(key::shape(format, secrets(), own), Shape::Possible, "{own}");
    assert!(key::appears_in(format, Some(secrets()), own));
    let hashes = key::storage_hashes(format, secrets(), own);
    assert!(
        hashes
            .iter()
            .all(|hash| !hash.contains(own) && hash.split_once(':').is_some_and(|(_, hex)| hex.len() == 64))
    );
    let shown = key::key_prefix(format, own).len() + key::last4(own).len();
    assert!(shown + 20 <= own.len(), "{shown} characters of {own} are shown");
    let (_, random) = own.split_at(own.len() - usize::from(format.random) - usize::from(format.checksum));
    assert!(
        random.bytes().all(|byte| byte.is_ascii_alphanumeric() || format.alphabet == Alphabet::Base64Url)
    );
    if format.checksum == 0 {
        return;
    }
    let mut forged = own.as_bytes().to_vec();
    let place = place % forged.len();
    if change.is_ascii() && forged[place] != change {
        forged[place] = change;
        let forged = String::from_utf8(forged).expect("ASCII");
        assert_ne!(key::shape(format, secrets(), &forged), Shape::Possible, "{forged} for {own}");
    }
    let others = Secrets::new("another-deployment-0123456789abcdefg", None);
    assert_eq!(key::shape(format, &others, own), Shape::Impossible);
}

/// A key is found wherever it stands in a URL, in whatever encoding.
fn in_url(realm: &Realm, own: &str, how: u8, [before, after]: [&str; 2]) {
    let mut hidden = Cow::Borrowed(own);
    if how & 1 > 0 {
        hidden = STANDARD.encode(format!("{hidden}:x")).into();
    }
    for _ in 0..(how >> 1) % 4 {
        // Each byte, or only what a query has to have encoded.
        let each = |byte: u8| {
            if how & 8 > 0 || b"%+/=".contains(&byte) {
                format!("%{byte:02x}")
            } else {
                char::from(byte).into()
            }
        };
        hidden = hidden.bytes().map(each).collect::<String>().into();
    }
    let [before, after] = [before, after].map(|text| text.replace('#', ""));
    for mark in ["/", "?", "&", "=", ";"] {
        let url = format!("https://h.example/{before}{mark}{hidden}{mark}{after}");
        let (named, unnamed) = (*realm, Realm { forbidden_query_parameters: &[], ..*realm });
        for realm in [named, unnamed] {
            assert!(
                is_in_url(&realm, RequestTarget::of(&url), Some(secrets())),
                "{own} is not found in {url}"
            );
        }
    }
}
