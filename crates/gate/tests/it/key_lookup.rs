//! Where a key's record is found, and what that costs.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    key,
    record::{Record, Status},
    secret::Secret,
    time::SECOND,
};
use keyward_gate::denial::Denial;
use keyward_policy::{ImportedFormat, Policy, Realm};
use keyward_testing::{
    IMPORTED,
    fake_platform::{CALLER, FakePlatform, published},
    policy::POLICY,
    record,
};
use sha2::{Digest, Sha256};

#[test]
fn a_malformed_key_costs_no_io_at_all() {
    let (platform, key) = published(&record());
    let mut forged = key.expose().to_owned();
    forged.replace_range(10..11, if &forged[10..11] == "a" { "b" } else { "a" });
    for text in ["", "kw_live_", "x"] {
        assert!(matches!(platform.denial(&Secret::new(text)), Denial::MalformedKey { .. }), "{text}");
    }
    for text in [forged.as_str(), "kw_live_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        assert!(matches!(platform.denial(&Secret::new(text)), Denial::UnknownKey { .. }), "{text}");
    }
    assert_eq!(platform.asked(), Vec::<String>::new());
}

#[test]
fn a_known_key_is_read_from_kv_once_and_then_from_memory() {
    let (platform, key) = published(&record());
    platform.check(&key).unwrap();
    assert_eq!(platform.asked(), ["KV", "Coordinator take"]);
    platform.check(&key).unwrap();
    assert_eq!(platform.asked(), ["Coordinator take"]);
}

#[test]
fn a_new_key_works_before_kv_knows_it_even_if_it_was_asked_for_before() {
    let platform = FakePlatform::new();
    let key = platform.new_key(1);
    assert_eq!(platform.denial(&key), Denial::UnknownKey { slip: None });
    platform.pass_time(SECOND);
    platform.tell(&key, &record());
    assert!(platform.check(&key).is_ok());
}

#[test]
fn a_key_that_was_unknown_a_moment_ago_works_as_soon_as_there_is_one() {
    let platform = FakePlatform::new();
    let key = platform.new_key(1);
    for _ in 0..2 {
        assert_eq!(platform.denial(&key), Denial::UnknownKey { slip: None });
        assert_eq!(
            platform.asked(),
            ["KV", "Coordinator find", "FAILURES"],
            "each try counts as a failure of its network"
        );
    }
    platform.tell(&key, &record());
    assert!(platform.check(&key).is_ok());
}

#[test]
fn a_key_that_was_made_elsewhere_passes_where_it_was_imported_and_nowhere_else() {
    const KEY: &str = "old_0123456789abcdefghijklmn";
    let realm = Realm { imported: Some(IMPORTED), ..POLICY.realms[0] };
    let platform = FakePlatform::new();
    let names = key::imported_names(realm.id, &platform.secrets, &Sha256::digest(KEY).into());
    platform.gates.borrow_mut().entry(names[0].clone()).or_default().put(record());
    let key = Secret::new(KEY);
    platform.check_in(&realm, &key, CALLER).unwrap();
    assert_eq!(platform.asked(), ["KV", "Coordinator find", "Coordinator take"]);
    assert!(platform.check_in(&POLICY.realms[0], &key, CALLER).is_err(), "the policy does not say so");
    let other = Realm { id: "other", ..realm };
    assert_eq!(
        platform.check_in(&other, &key, CALLER).unwrap_err().denial,
        Denial::UnknownKey { slip: None },
        "of another realm"
    );
    // A key of the realm's own is found as before, also where it could be both.
    let (platform, own) = published(&record());
    platform.check_in(&realm, &own, CALLER).unwrap();
    assert_eq!(platform.asked(), ["KV", "Coordinator take"]);
    let any = ImportedFormat { prefixes: &[], max_length: 100, ..IMPORTED };
    let both = Realm { imported: Some(any), ..realm };
    platform.check_in(&both, &own, CALLER).unwrap();
    assert_eq!(platform.asked(), ["Coordinator take"]);
}

#[test]
fn a_key_is_found_in_its_own_realm_whichever_realm_it_is_shown_to_first() {
    let realms: &'static [Realm] = Vec::leak(vec![
        Realm { id: "first", ..POLICY.realms[0] },
        Realm { id: "second", ..POLICY.realms[0] },
    ]);
    let policy = Policy { realms, ..*POLICY };
    let (platform, key) = published(&Record { realm: "second".into(), ..record() });
    let accepted = platform.check_anywhere(&policy, &key).unwrap();
    assert_eq!(accepted.permit.record().unwrap().realm, "second");
    let stranger = platform.check_anywhere(&policy, &platform.new_key(5)).unwrap_err();
    assert_eq!(stranger.denial, Denial::UnknownKey { slip: None });
    assert_eq!(
        platform.check_anywhere(&policy, &Secret::new("x")).unwrap_err().denial,
        Denial::MalformedKey { slip: None }
    );
    let revoked = Record { realm: "second".into(), status: Status::Revoked, version: 2, ..record() };
    platform.tell(&key, &revoked);
    assert_eq!(
        platform.check_anywhere(&policy, &key).unwrap_err().denial,
        Denial::RevokedKey { replaced: false }
    );
}
