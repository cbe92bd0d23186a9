//! Keys: made well, recognised without I/O, refused when anything about them is off.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keyward_core::{
    key::{self, Shape},
    record::Mode,
    secret::Secrets,
};
use keyward_policy::{Alphabet, Hash, KeyFormat, TenantPart};
use keyward_testing::{Seeded, policy::POLICY, secrets};
use proptest::prelude::*;

fn format() -> KeyFormat {
    POLICY.realms[0].key
}

fn new_key(seed: u64) -> String {
    key::generate(&format(), "", Mode::Live, &secrets(), &mut Seeded::new(seed)).expose().to_owned()
}

#[test]
fn a_new_key_has_the_documented_shape() {
    let live = new_key(1);
    assert!(live.starts_with("kw_live_"));
    assert_eq!(live.len(), "kw_live_".len() + 30 + 6);
    let test = key::generate(&format(), "", Mode::Test, &secrets(), &mut Seeded::new(1));
    assert!(test.expose().starts_with("kw_test_"));
}

#[test]
fn what_people_see_of_a_key_is_its_beginning_and_its_end() {
    let key = new_key(1);
    let prefix = key::key_prefix(&format(), &key);
    assert!(key.starts_with(&prefix));
    assert_eq!(prefix.len(), "kw_live_".len() + usize::from(format().visible));
    assert_eq!(key::last4(&key), key[key.len() - 4..]);
}

#[test]
fn a_key_made_under_a_previous_secret_is_still_well_formed_and_found() {
    let other = Secrets::new("another-secret-01234567890123456789012345", None);
    let old = Secrets::new("first-secret-0123456789012345678901234567", None);
    let key = key::generate(&format(), "", Mode::Live, &old, &mut Seeded::new(7));
    let rotated = Secrets::new(
        "second-secret-012345678901234567890123456",
        Some("zeroth, first-secret-0123456789012345678901234567"),
    );
    assert!(key::is_well_formed(&format(), &rotated, key.expose()));
    assert!(!key::is_well_formed(&format(), &other, key.expose()));
    let keyed = KeyFormat { hash: Hash::HmacSha256, ..format() };
    let stored = key::storage_hash(&keyed, &old, key.expose());
    assert!(key::storage_hashes(&keyed, &rotated, key.expose()).contains(&stored));
}

#[test]
fn a_keyed_hash_differs_between_deployments_and_from_the_plain_one() {
    let keyed = KeyFormat { hash: Hash::HmacSha256, ..format() };
    let key = new_key(3);
    let here = key::storage_hash(&keyed, &secrets(), &key);
    let there =
        key::storage_hash(&keyed, &Secrets::new("another deployment's secret, long enough", None), &key);
    let plain = key::storage_hash(&format(), &secrets(), &key);
    assert_ne!(here, there);
    assert_ne!(here.split_once(':').unwrap().1, plain.split_once(':').unwrap().1);
}

#[test]
fn secrets_never_show_in_debug_output() {
    let shown = format!(
        "{:?} {:?}",
        secrets(),
        key::generate(&format(), "", Mode::Live, &secrets(), &mut Seeded::new(1))
    );
    assert!(!shown.contains("deployment") && !shown.contains("kw_live_"), "{shown}");
}

/// The formats of two systems: the tenant's code, and the beginning of its UUID.
fn with_code() -> KeyFormat {
    KeyFormat { live_prefix: "bdk_live_", tenant: Some(TenantPart::Code), visible: 0, ..format() }
}

fn with_id() -> KeyFormat {
    KeyFormat {
        live_prefix: "btk_",
        test_prefix: None,
        tenant: Some(TenantPart::Id),
        random: 43,
        alphabet: Alphabet::Base64Url,
        checksum: 0,
        visible: 0,
        ..format()
    }
}

#[test]
fn a_key_may_carry_its_tenants_code_or_the_beginning_of_its_id() {
    const ID: &str = "019234ab-7c1d-4e2f-8a3b-5c6d7e8f9a0b";
    assert_eq!(key::tenant_part(&format(), ID, None), Some(""));
    assert_eq!(key::tenant_part(&with_code(), ID, Some("ABC123")), Some("ABC123"));
    assert_eq!(key::tenant_part(&with_code(), ID, None), None, "it has no code");
    assert_eq!(key::tenant_part(&with_id(), ID, None), Some("019234ab"));

    let key = key::generate(&with_code(), "ABC123", Mode::Live, &secrets(), &mut Seeded::new(1));
    let random = key.expose().strip_prefix("bdk_live_ABC123_").unwrap();
    assert_eq!(random.len(), 36);
    assert_eq!(key::key_prefix(&with_code(), key.expose()), "bdk_live_ABC123");
    let shown = KeyFormat { visible: 4, ..with_code() };
    assert_eq!(key::key_prefix(&shown, key.expose()), format!("bdk_live_ABC123_{}", &random[..4]));
    assert!(key::is_well_formed(&with_code(), &secrets(), key.expose()));

    let key = key::generate(&with_id(), "019234ab", Mode::Live, &secrets(), &mut Seeded::new(1));
    let random = key.expose().strip_prefix("btk_019234ab_").unwrap();
    assert_eq!(URL_SAFE_NO_PAD.decode(random).unwrap().len(), 32);
    assert_eq!(key::key_prefix(&with_id(), key.expose()), "btk_019234ab");
    assert!(key::is_well_formed(&with_id(), &secrets(), key.expose()));
}

#[test]
fn the_tenants_part_is_under_the_keyed_check() {
    let key = key::generate(&with_code(), "ABC123", Mode::Live, &secrets(), &mut Seeded::new(1));
    let other = key.expose().replace("ABC123", "ABC124");
    assert_eq!(key::shape(&with_code(), &secrets(), &other), Shape::Impossible);
}

#[test]
fn what_does_not_begin_as_a_key_is_told_from_what_no_key_can_be() {
    let shape = |text: &str| key::shape(&with_id(), &secrets(), text);
    for foreign in ["", "btk", "btk_", "btk_0192", "kw_live_0123456789", "Btk_019234ab_x"] {
        assert_eq!(shape(foreign), Shape::Foreign, "{foreign}");
    }
    for impossible in
        ["btk_019234ab", "btk_019234ab_", "btk_019234AB_x", "btk_zzzzzzzz_0123456789", "btk_019234ab-é"]
    {
        assert_eq!(shape(impossible), Shape::Impossible, "{impossible}");
    }
}

proptest! {
    #[test]
    fn every_new_key_is_well_formed_in_its_own_deployment_only(seed: u64, random in 22_u8..60, check in 4_u8..=10, alphabet in 0..3_u8) {
        let alphabet = [Alphabet::Base62, Alphabet::Base64Url, Alphabet::Hex][usize::from(alphabet)];
        prop_assume!(alphabet != Alphabet::Base64Url || random % 4 != 1, "no number of bytes");
        let format = KeyFormat { random, checksum: check, alphabet, ..format() };
        let key = key::generate(&format, "", Mode::Live, &secrets(), &mut Seeded::new(seed));
        prop_assert!(key::is_well_formed(&format, &secrets(), key.expose()));
        let others = Secrets::new("another deployment's secret, long enough", None);
        prop_assert!(!key::is_well_formed(&format, &others, key.expose()));
    }

    #[test]
    fn changing_any_one_character_makes_a_key_malformed(seed: u64, at in 0_usize..44, with in "[0-9A-Za-z_,\\-é \u{0}]") {
        let key = new_key(seed);
        let mut characters: Vec<char> = key.chars().collect();
        let with = with.chars().next().unwrap();
        prop_assume!(characters[at] != with);
        characters[at] = with;
        let changed: String = characters.into_iter().collect();
        prop_assert!(!key::is_well_formed(&format(), &secrets(), &changed));
    }

    #[test]
    fn no_text_at_all_is_taken_for_a_key(text in "\\PC{0,80}") {
        prop_assert!(!key::is_well_formed(&format(), &secrets(), &text));
        prop_assert!(!key::is_well_formed(&format(), &secrets(), &["kw_live_", &text].concat()));
    }

    #[test]
    fn adding_or_cutting_characters_makes_a_key_malformed(seed: u64, cut in 1_usize..44, more in "[0-9A-Za-z]{1,5}") {
        let key = new_key(seed);
        prop_assert!(!key::is_well_formed(&format(), &secrets(), &key[..key.len() - cut]));
        prop_assert!(!key::is_well_formed(&format(), &secrets(), &(key + &more)));
    }
}

#[test]
fn every_character_of_the_alphabet_comes_up_about_as_often() {
    let mut counts = std::collections::BTreeMap::new();
    for seed in 0..2_000 {
        for character in new_key(seed)["kw_live_".len()..][..30].chars() {
            *counts.entry(character).or_insert(0_u32) += 1;
        }
    }
    // 60,000 draws over 62 characters: 968 expected, five standard deviations are 155.
    assert_eq!(counts.len(), 62);
    assert!(counts.values().all(|count| (813..1123).contains(count)), "{counts:?}");
}
