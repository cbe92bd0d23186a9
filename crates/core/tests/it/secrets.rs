//! The deployment's secrets.

#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use keyward_core::{
    entropy::{Entropy, Pool},
    secret::{NoSecret, Secrets},
};
use sha2::{Digest, Sha256};

/// A MAC under the current secret, and those under every secret; or that there is none.
fn macs(current: Option<&str>, previous: Option<&str>) -> Result<([u8; 32], Vec<[u8; 32]>), NoSecret> {
    let secrets = Secrets::of_deployment(current, previous)?;
    let parts: &[&[u8]] = &[b"text"];
    Ok((secrets.mac("test", parts), secrets.macs("test", parts).collect()))
}

#[test]
fn a_deployment_has_secrets_only_with_one_of_32_visible_characters_without_a_comma() {
    let fit = "!~3456789012345678901234567890AZ";
    assert!(macs(Some(fit), None).is_ok());
    for unfit in [None, Some(""), Some(&fit[1..]), Some("!~34567890123456789012345,7890AZ")] {
        assert_eq!(macs(unfit, Some(fit)), Err(NoSecret), "{unfit:?}: a previous one stands in for none");
    }
    for unfit in ["!~34567890123456789012345 7890AZ", "!~345678901234567890123456789\u{e9}Z"] {
        assert_eq!(macs(Some(unfit), None), Err(NoSecret), "{unfit:?}");
    }
    assert_eq!(
        NoSecret.to_string(),
        "KEYWARD_SECRET is not set, or not fit: it needs at least 32 visible ASCII characters, and no comma"
    );
}

#[test]
fn previous_secrets_verify_and_the_current_one_makes() {
    let (current, old) = ("a-secret-of-32-characters-or-more", "an-old-secret-of-32-characters-or");
    let older = "an-older-secret-of-32-characters-";
    let alone = |secret| macs(Some(secret), None).map(|(own, _)| own);
    assert_eq!(
        macs(Some(current), Some(&format!(" {old} ,, {older}"))),
        alone(current).and_then(|own| Ok((own, vec![own, alone(old)?, alone(older)?])))
    );
}

#[test]
fn a_previous_secret_that_is_not_fit_verifies_nothing() {
    let (current, old) = ("a-secret-of-32-characters-or-more", "an-old-secret-of-32-characters-or");
    for unfit in ["old", "0", &old[..31], "not all of it is visible, though long enough"] {
        let (_, all) = macs(Some(current), Some(unfit)).unwrap();
        assert_eq!(all.len(), 1, "{unfit:?}");
        let (_, all) = macs(Some(current), Some(&format!("{unfit},{old}"))).unwrap();
        assert_eq!(all.len(), 2, "{unfit:?} beside one that is fit");
    }
}

#[test]
fn a_secret_of_any_length_makes_the_macs_of_rfc_2104_each_time_and_shows_nothing_of_itself() {
    let block = [0x36_u8, 0x5c];
    for secret in ["s", &"s".repeat(64), &"s".repeat(65), &"s".repeat(200)] {
        let secrets = Secrets::new(secret, None);
        let mut key = secret.as_bytes().to_vec();
        if key.len() > 64 {
            key = Sha256::digest(&key).to_vec();
        }
        key.resize(64, 0);
        for message in ["", "text", &"text".repeat(50)] {
            let [inner, outer] = block.map(|pad| key.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>());
            let inner = Sha256::digest([&inner[..], b"test\0", message.as_bytes()].concat());
            let mac: [u8; 32] = Sha256::digest([&outer[..], &inner[..]].concat()).into();
            // More than once with the same: a MAC leaves nothing behind.
            for _ in 0..2 {
                assert_eq!(secrets.mac("test", &[message.as_bytes()]), mac, "{} bytes", secret.len());
            }
        }
        assert_eq!(format!("{secrets:?}"), "Secrets { current: Secret(…), previous: [] }");
    }
}

/// Counts, and how often it is asked.
#[derive(Default)]
struct Counting {
    next: u64,
    calls: u32,
}

impl Entropy for Counting {
    fn fill(&mut self, buffer: &mut [u8]) {
        self.calls += 1;
        for part in buffer.chunks_mut(8) {
            part.copy_from_slice(&self.next.to_be_bytes()[..part.len()]);
            self.next += 1;
        }
    }
}

#[test]
fn a_pool_hands_out_each_random_byte_once_and_asks_its_source_once_for_many() {
    let (mut pool, mut source) = (Pool::default(), Counting::default());
    let ids: BTreeSet<[u8; 16]> = (0..640).map(|_| pool.take(&mut source)).collect();
    assert_eq!((ids.len(), source.calls), (640, 10));
    let words: BTreeSet<u64> =
        ids.iter().flat_map(|id| id.as_chunks::<8>().0).map(|word| u64::from_be_bytes(*word)).collect();
    assert_eq!(words, (0..source.next).collect(), "whole, each once, and no others");
    // Sizes that do not fit into what is left take none of it twice.
    let odd: BTreeSet<[u8; 24]> = (0..200).map(|_| pool.take(&mut source)).collect();
    assert_eq!(odd.len(), 200);
    assert_ne!(pool.take::<2_000>(&mut source), [0; 2_000], "more than a pool has");
}
