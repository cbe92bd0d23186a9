//! Keys: how one is made, what a well-formed one looks like, and how one is stored.
//!
//! A key is `prefix`, perhaps its tenant's part and `_`, then random characters, then check characters. The check is an HMAC under the
//! deployment's secret, so that nobody outside can make up a key that costs a lookup. Only a hash of
//! a key is ever stored. Golden vectors in `tests/it/golden.rs` pin all three: a change here must not
//! turn a live key away.

use std::cell::Cell;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
pub use keyward_policy::key::is_tenant_code;
use keyward_policy::{Alphabet, Hash, KeyFormat, Realm, StaticKey, TenantPart, key::ID_PART};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    entropy::{self, Entropy},
    record::Mode,
    secret::{Secret, Secrets},
};

/// Checksums that looking for a key in a text may cost. What has more things of a key's form in it is no
/// ordinary URL, and counts as one that holds a key.
const MOST_CHECKS: u32 = 100;

/// Purposes of MACs, so that one can never stand in for another.
const CHECK: &str = "keyward key check 1";
const STORAGE: &str = "keyward key storage 1";
const IMPORTED: &str = "keyward imported key 1";
const CLAIMED: &str = "keyward claimed key 1";

/// What a key looks like from outside, without any I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// It does not begin as keys of this format do, or ends before it is told apart from others.
    Foreign,
    /// It begins so, but its length, its characters or its checksum are no key's.
    Impossible,
    /// It may be a key.
    Possible,
}

/// Makes a new key of the tenant with this part, if the format has one. Every random character, in base64url
/// every random byte, is equally likely.
pub fn generate(
    format: &KeyFormat,
    tenant: &str,
    mode: Mode,
    secrets: &Secrets,
    entropy: &mut dyn Entropy,
) -> Secret {
    let mut key = prefix(format, mode).to_owned();
    if format.tenant.is_some() {
        key.push_str(tenant);
        key.push('_');
    }
    key.push_str(&random(format, entropy));
    let check = check_of(&secrets.mac(CHECK, &[key.as_bytes()]), format.checksum);
    Secret::new(key + &check)
}

fn random(format: &KeyFormat, entropy: &mut dyn Entropy) -> String {
    let count = usize::from(format.random);
    if format.alphabet == Alphabet::Base64Url {
        let mut bytes = vec![0; count * 6 / 8];
        entropy.fill(&mut bytes);
        return URL_SAFE_NO_PAD.encode(bytes);
    }
    let alphabet = format.alphabet.characters();
    // Bytes at or above the largest multiple of the alphabet's length would favour its beginning.
    let fair = 256 - 256 % alphabet.len();
    let mut text = String::with_capacity(count);
    while text.len() < count {
        let [byte] = entropy::bytes::<1>(entropy);
        if let Some(character) =
            alphabet.get(usize::from(byte) % alphabet.len()).filter(|_| usize::from(byte) < fair)
        {
            text.push(char::from(*character));
        }
    }
    text
}

/// Looks at a key's prefix, tenant's part, length, alphabet and checksum: no I/O. A check made under a
/// previous secret is right too.
pub fn shape(format: &KeyFormat, secrets: &Secrets, key: &str) -> Shape {
    if format.after_prefix(key).is_none_or(|after| after.len() < least_after_prefix(format)) {
        return Shape::Foreign;
    }
    match format.split(key) {
        Some((whole, "")) if is_keyed(format, secrets, whole) => Shape::Possible,
        _ => Shape::Impossible,
    }
}

/// Whether the checksum of what has a key's form is right.
fn is_keyed(format: &KeyFormat, secrets: &Secrets, key: &str) -> bool {
    let Some((body, check)) = key.split_at_checked(key.len().saturating_sub(format.checksum.into())) else {
        return false;
    };
    let is_check =
        |mac: [u8; 32]| bool::from(check_of(&mac, format.checksum).as_bytes().ct_eq(check.as_bytes()));
    format.checksum == 0 || secrets.macs(CHECK, &[body.as_bytes()]).any(is_check)
}

/// The same of a key of this realm, which may also be one that was made elsewhere. Those have no checksum.
pub fn shape_in(realm: &Realm, secrets: &Secrets, key: &str) -> Shape {
    match shape(&realm.key, secrets, key) {
        Shape::Foreign | Shape::Impossible if realm.imported.is_some_and(|format| format.is_one(key)) => {
            Shape::Possible
        }
        shape => shape,
    }
}

/// Whether this may be a key: no I/O.
pub fn is_well_formed(format: &KeyFormat, secrets: &Secrets, key: &str) -> bool {
    shape(format, secrets, key) == Shape::Possible
}

/// How long what follows the prefix and the tenant's part is, and how long it has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// Characters there are.
    pub given: usize,
    /// Characters that a key has.
    pub right: usize,
}

/// The length of text that begins as keys of this format do; `None` for any other.
pub fn length_after_prefix(format: &KeyFormat, text: &str) -> Option<Length> {
    let after = after_prefix(format, text)?;
    let rest = match format.tenant {
        None => after,
        Some(_) => after.split_once('_').map_or("", |(_, rest)| rest),
    };
    let right = usize::from(format.random) + usize::from(format.checksum);
    Some(Length { given: rest.chars().count(), right })
}

/// Whether text begins as keys of this format do.
pub fn begins_as(format: &KeyFormat, text: &str) -> bool {
    after_prefix(format, text).is_some()
}

fn after_prefix<'k>(format: &KeyFormat, key: &'k str) -> Option<&'k str> {
    std::iter::once(format.live_prefix).chain(format.test_prefix).find_map(|prefix| key.strip_prefix(prefix))
}

/// How many characters after the prefix it takes to see whose a key is.
fn least_after_prefix(format: &KeyFormat) -> usize {
    match format.tenant {
        Some(TenantPart::Id) => ID_PART,
        Some(TenantPart::Code) | None => 1,
    }
}

/// A tenant's part in keys of this format: nothing where it has none, `None` where the tenant lacks what it
/// is made of.
pub fn tenant_part<'t>(format: &KeyFormat, id: &'t str, code: Option<&'t str>) -> Option<&'t str> {
    match format.tenant {
        None => Some(""),
        Some(TenantPart::Id) => id.get(..ID_PART),
        Some(TenantPart::Code) => code,
    }
}

/// Names under which the key may be stored, the current one first: `sha256:<hex>`, or
/// `hmac-sha256:<hex>` under the current and each previous secret.
pub fn storage_hashes(format: &KeyFormat, secrets: &Secrets, key: &str) -> Vec<String> {
    match format.hash {
        Hash::Sha256 => vec![format!("sha256:{}", hex(&Sha256::digest(key)))],
        Hash::HmacSha256 => keyed_names(STORAGE, &[key.as_bytes()], secrets),
    }
}

/// The key of the policy that this is.
pub fn configured(realm: &Realm, key: &str) -> Option<&'static StaticKey> {
    if realm.static_keys.is_empty() {
        return None;
    }
    let sha256 = hex(&Sha256::digest(key));
    realm.static_keys.iter().find(|known| known.sha256 == sha256)
}

/// Names under which a key of this realm may be stored, one that was made elsewhere last.
pub fn names(realm: &Realm, secrets: &Secrets, key: &str) -> Vec<String> {
    if !realm.imported.is_some_and(|format| format.is_one(key)) {
        return storage_hashes(&realm.key, secrets, key);
    }
    let may_be_own = realm.key.split(key).is_some_and(|(_, rest)| rest.is_empty());
    let own = may_be_own.then(|| storage_hashes(&realm.key, secrets, key));
    let imported = imported_names(realm.id, secrets, &Sha256::digest(key).into());
    own.into_iter().flatten().chain(imported).collect()
}

/// Names under which a key may be stored that was made elsewhere and has this SHA-256, the current one first. They are keyed,
/// and each realm's own: whoever has only the hash finds nothing by them.
pub fn imported_names(realm_id: &str, secrets: &Secrets, sha256: &[u8; 32]) -> Vec<String> {
    keyed_names(IMPORTED, &[realm_id.as_bytes(), &[0], sha256], secrets)
}

/// Names for a tenant's claim to such a key that is another tenant's. Nothing is ever looked up under them.
pub fn claimed_names(tenant_id: &str, realm_id: &str, secrets: &Secrets, sha256: &[u8; 32]) -> Vec<String> {
    keyed_names(CLAIMED, &[tenant_id.as_bytes(), &[0], realm_id.as_bytes(), &[0], sha256], secrets)
}

fn keyed_names(purpose: &str, parts: &[&[u8]], secrets: &Secrets) -> Vec<String> {
    secrets.macs(purpose, parts).map(|mac| format!("hmac-sha256:{}", hex(&mac))).collect()
}

/// The name under which a new key is stored.
pub fn storage_hash(format: &KeyFormat, secrets: &Secrets, key: &str) -> String {
    storage_hashes(format, secrets, key).into_iter().next().unwrap_or_default()
}

/// What the places of keys in KV begin with.
pub const KV_PREFIX: &str = "key:";

/// The key's place in KV.
pub fn kv_key(hash: &str) -> String {
    format!("{KV_PREFIX}{hash}")
}

/// What people may see of a key's beginning: the prefix, the tenant's part and `shown` random characters.
pub fn key_prefix(format: &KeyFormat, key: &str) -> String {
    let after = format.after_prefix(key).unwrap_or_default();
    let part = match format.tenant {
        None => 0,
        Some(_) => after.find('_').unwrap_or_default() + usize::from(format.visible > 0),
    };
    key.chars().take(key.len() - after.len() + part + usize::from(format.visible)).collect()
}

/// The last four characters.
pub fn last4(key: &str) -> String {
    key.chars().skip(key.chars().count().saturating_sub(4)).collect()
}

/// Whether text holds a key of this format. Without secrets, which a request can come before, the form decides.
pub fn appears_in(format: &KeyFormat, secrets: Option<&Secrets>, text: &str) -> bool {
    let Some(secrets) = secrets else { return format.appears_in(text, None) };
    let left = Cell::new(MOST_CHECKS);
    format.appears_in(
        text,
        Some(&|key| left.replace(left.get().saturating_sub(1)) == 0 || is_keyed(format, secrets, key)),
    )
}

fn prefix(format: &KeyFormat, mode: Mode) -> &'static str {
    match mode {
        Mode::Live => format.live_prefix,
        Mode::Test => format.test_prefix.unwrap_or(format.live_prefix),
    }
}

/// The first eight bytes of a MAC in base62, with this many digits (at most ten fit).
fn check_of(mac: &[u8; 32], digits: u8) -> String {
    base62(mac.iter().take(8).fold(0, |number, byte| number << 8 | u128::from(*byte)), digits)
}

/// The lowest base62 `digits` of a number, least digit first.
pub fn base62(mut number: u128, digits: u8) -> String {
    (0..digits)
        .map(|_| {
            // wasm divides 64 bits by itself, and 128 in a hundred steps.
            let digit;
            (number, digit) = match u64::try_from(number) {
                Ok(number) => ((number / 62).into(), (number % 62) as usize),
                Err(_) => (number / 62, (number % 62) as usize),
            };
            char::from(Alphabet::Base62.characters().get(digit).copied().unwrap_or(b'0'))
        })
        .collect()
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    text.extend(digits.filter_map(|digit| char::from_digit(digit.into(), 16)));
    text
}

/// The bytes that hexadecimal text stands for, in either case.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|it| it.try_into().ok()))
        .collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
