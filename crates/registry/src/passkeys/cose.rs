//! Public keys as authenticators write them: COSE_Key (RFC 9052, section 7; RFC 9053), in CBOR (RFC 8949).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keyward_core::json::object_of;
use keyward_policy::{PublicAlgorithm, jwk::PublicKey};

/// The algorithms of passkeys. Each has keys of a type of its own, so a key says with which one it verifies.
pub const ALGORITHMS: [PublicAlgorithm; 3] =
    [PublicAlgorithm::Es256, PublicAlgorithm::EdDsa, PublicAlgorithm::Rs256];
/// The same, by their numbers in COSE, in the order in which they are preferred.
pub const COSE_ALGORITHMS: [i64; 3] = [ES256, EDDSA, RS256];

const ES256: i64 = -7;
const EDDSA: i64 = -8;
const RS256: i64 = -257;
/// Most members of a key.
const MOST_MEMBERS: u64 = 8;
/// Major types.
const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const MAP: u8 = 5;

/// What a member of a key is.
enum Item<'a> {
    Number(i64),
    Bytes(&'a [u8]),
}

/// The key at the beginning of these bytes, and the bytes after it. `None` if there is none that verifies here.
pub fn read(mut bytes: &[u8]) -> Option<(PublicKey, &[u8])> {
    let (MAP, length @ ..=MOST_MEMBERS) = head(&mut bytes)? else { return None };
    let mut members: Vec<(i64, Item<'_>)> = Vec::new();
    for _ in 0..length {
        let Item::Number(label) = item(&mut bytes)? else { return None };
        if members.iter().any(|(own, _)| *own == label) {
            return None;
        }
        members.push((label, item(&mut bytes)?));
    }
    let member = |label| members.iter().find(|(own, _)| *own == label).map(|(_, item)| item);
    let number =
        |label| member(label).and_then(|item| if let Item::Number(it) = item { Some(*it) } else { None });
    let text = |label| match member(label) {
        Some(Item::Bytes(bytes)) => URL_SAFE_NO_PAD.encode(bytes).into(),
        _ => serde_json::Value::Null,
    };
    let mut jwk = match (number(1)?, number(3)?, number(-1)) {
        (2, ES256, Some(1)) => {
            vec![("kty", "EC".into()), ("crv", "P-256".into()), ("x", text(-2)), ("y", text(-3))]
        }
        (1, EDDSA, Some(6)) => vec![("kty", "OKP".into()), ("crv", "Ed25519".into()), ("x", text(-2))],
        (3, RS256, None) => vec![("kty", "RSA".into()), ("n", text(-1)), ("e", text(-2))],
        _ => return None,
    };
    Some((PublicKey::parse(&object_of(&mut jwk), &ALGORITHMS).ok()?, bytes))
}

fn item<'a>(bytes: &mut &'a [u8]) -> Option<Item<'a>> {
    let (kind, value) = head(bytes)?;
    let number = i64::try_from(value).ok()?;
    match kind {
        UNSIGNED => Some(Item::Number(number)),
        NEGATIVE => Some(Item::Number(-1 - number)),
        BYTES => {
            let (value, rest) = bytes.split_at_checked(usize::try_from(value).ok()?)?;
            *bytes = rest;
            Some(Item::Bytes(value))
        }
        _ => None,
    }
}

/// Major type and argument of a data item. No key has one that needs more than two bytes.
fn head(bytes: &mut &[u8]) -> Option<(u8, u64)> {
    let (first, rest) = bytes.split_first()?;
    let (argument, rest) = match first & 0x1f {
        short @ 0..24 => (short.into(), rest),
        24 => {
            let (byte, rest) = rest.split_first()?;
            ((*byte).into(), rest)
        }
        25 => {
            let (two, rest) = rest.split_first_chunk()?;
            (u16::from_be_bytes(*two).into(), rest)
        }
        _ => return None,
    };
    *bytes = rest;
    Some((first >> 5, argument))
}
