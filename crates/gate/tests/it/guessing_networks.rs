//! Networks that keep failing are held back, and their neighbours' keys pass.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::{SECOND, Span};
use keyward_gate::{client_info::ClientInfo, denial::Denial};
use keyward_testing::{
    fake_platform::{CALLER, FakePlatform, Fault, published},
    policy::POLICY,
    record,
};

#[test]
fn a_network_that_keeps_failing_is_told_to_wait_before_an_object_is_asked() {
    let (platform, good) = published(&record());
    platform.check(&good).unwrap();
    platform.limited_addresses.borrow_mut().insert("192.0.2.1".into());
    assert_eq!(platform.denial(&platform.new_key(2)), Denial::UnknownKey { slip: None });
    platform.asked();
    assert_eq!(
        platform.denial(&platform.new_key(3)),
        Denial::TooManyFailures { retry_after: Span::from_ms(10_000) }
    );
    assert_eq!(platform.asked(), ["KV"]);
    assert!(platform.check(&good).is_ok());
    platform.pass_time(10 * SECOND);
    platform.limited_addresses.borrow_mut().clear();
    assert_eq!(platform.denial(&platform.new_key(3)), Denial::UnknownKey { slip: None });
}

#[test]
fn a_key_passes_from_a_network_whose_neighbours_keep_guessing_though_this_isolate_never_saw_it() {
    let (platform, good) = published(&record());
    platform.limited_addresses.borrow_mut().insert("192.0.2.1".into());
    for guess in 2..30 {
        platform.denial(&platform.new_key(guess));
    }
    assert!(platform.check(&good).is_ok());
}

#[test]
fn a_network_that_keeps_failing_is_held_back_whatever_addresses_of_it_it_uses() {
    let platform = FakePlatform::new();
    platform.limited_addresses.borrow_mut().insert("2001:db8:1:2::/64".into());
    let guess = |seed: u64, address: &str| {
        let caller = ClientInfo { address: Some(address), ..CALLER };
        platform.check_in(&POLICY.realms[0], &platform.new_key(seed), caller).unwrap_err().denial
    };
    assert_eq!(guess(1, "2001:db8:1:2::1"), Denial::UnknownKey { slip: None });
    assert_eq!(
        guess(2, "2001:db8:1:2:ffff::2"),
        Denial::TooManyFailures { retry_after: Span::from_ms(10_000) }
    );
    assert_eq!(guess(3, "2001:db8:1:3::1"), Denial::UnknownKey { slip: None });
}

#[test]
fn a_network_that_guesses_while_kv_fails_has_few_objects_asked_and_its_neighbours_keys_are_not_refused() {
    let (platform, good) = published(&record());
    platform.check(&good).unwrap();
    platform.kv_fault.set(Some(Fault::Fails));
    platform.limited_addresses.borrow_mut().insert("192.0.2.1".into());
    assert_eq!(platform.denial(&platform.new_key(2)), Denial::StoreUnavailable { store: "KV" });
    platform.asked();
    // Then a limited number of objects is asked, for the keys of neighbours …
    let mut asked = 0;
    for guess in 3..60 {
        assert_eq!(platform.denial(&platform.new_key(guess)), Denial::StoreUnavailable { store: "KV" });
        asked += platform.asked().iter().filter(|asked| *asked == "Coordinator find").count();
    }
    assert_eq!(asked, 10);
    // … and no more; what they do not know is still no verdict, and a second later there is one more.
    let (key, other) = (platform.new_key(1_000), platform.new_key(1_001));
    platform.tell(&key, &record());
    platform.tell(&other, &record());
    assert_eq!(platform.denial(&key), Denial::StoreUnavailable { store: "KV" });
    platform.pass_time(SECOND);
    assert!(platform.check(&key).is_ok());
    assert_eq!(platform.denial(&other), Denial::StoreUnavailable { store: "KV" });
    assert!(platform.check(&good).is_ok(), "what the isolate knows passes");
}
