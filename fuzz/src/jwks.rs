//! JWK Sets that an issuer answers with or a policy holds.
//!
//! Input: a byte that chooses a signature's length; the set's text.

use keyward_policy::{
    PublicAlgorithm,
    jwk::{MOST_SET_BYTES, Signed, UnfitSet, parse_set, software},
};
use keyward_testing::jose;
use serde_json::Value;

use crate::support::{choice, text};

/// Longest reason, in bytes, for which a key is not used: it goes into a log line, or to whoever builds.
const LONGEST_REASON: usize = 210;
/// Keys of which signatures are looked at: an RSA key of 8192 bits takes its time.
const MOST_TRIED: usize = 2;

pub fn run(data: &[u8]) {
    let (length, rest) = choice(data);
    let text = text(rest);
    let all: Vec<_> = PublicAlgorithm::NAMES.iter().map(|(_, algorithm)| *algorithm).collect();
    let read = serde_json::from_str::<Value>(&text);
    let keys = match parse_set(&text, &all) {
        Err(UnfitSet::TooLong) => return assert!(text.len() > MOST_SET_BYTES),
        Err(UnfitSet::NotJson) => return assert!(read.is_err()),
        Err(UnfitSet::NotASet) => return assert!(!read.expect("it is JSON")["keys"].is_array()),
        Ok(keys) => keys,
    };
    let keys: Vec<_> =
        keys.into_iter().map(|key| key.and_then(|key| software::check(&key).map(|()| key))).collect();
    let read = read.expect("what is read is JSON");
    let given = read["keys"].as_array().expect("a set has keys");
    assert_eq!(keys.len(), given.len());
    let signature: Vec<u8> = (0..=length).cycle().take(usize::from(length) * 4).collect();
    let mut tried = 0;
    for (key, given) in keys.iter().zip(given) {
        let key = match key {
            Ok(key) => key,
            Err(reason) => {
                let reason = reason.to_string();
                assert!(reason.len() <= LONGEST_REASON, "{} bytes: {reason}", reason.len());
                continue;
            }
        };
        assert_eq!(key.id.as_deref(), given["kid"].as_str());
        let family = match (given["kty"].as_str(), given["crv"].as_str()) {
            (Some("RSA"), _) => &all[..6],
            (Some("EC"), Some("P-256")) => &all[6..7],
            (Some("EC"), Some("P-384")) => &all[7..8],
            (Some("EC"), Some("P-521")) => &all[8..9],
            (Some("OKP"), Some("Ed25519")) => &all[9..10],
            other => panic!("a key of {other:?} is used"),
        };
        let usable: Vec<_> = all.iter().filter(|algorithm| key.takes(**algorithm)).collect();
        assert!(!usable.is_empty() && usable.iter().all(|algorithm| family.contains(algorithm)));
        if let Some(alg) = given["alg"].as_str() {
            assert!(usable.iter().all(|algorithm| PublicAlgorithm::named(alg) == Some(**algorithm)));
        }
        assert!(matches!(given["use"].as_str(), None | Some("sig")));
        tried += 1;
        if tried <= MOST_TRIED {
            let signed = Signed { key, algorithm: *usable[0], text: b"text", signature: &signature };
            assert!(!key.fits(&signature) || software::verify(signed) == Ok(false));
        }
    }
    match jose::of_set(&text, &all) {
        Ok(_) => assert!(keys.iter().any(Result::is_ok)),
        Err(error) => {
            assert!(keys.iter().all(Result::is_err));
            assert!(error.to_string().len() <= 6 * LONGEST_REASON);
        }
    }
}
