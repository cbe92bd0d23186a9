//! A gate whose policy names another jurisdiction than a key's record says nothing of the key: its objects would count from zero
//! and know of no revocation.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::cell::RefCell;

use keyward_core::{
    jurisdiction::{MARKER, Marker},
    record::{Jurisdiction, Record, Status},
};
use keyward_gate::{denial::Denial, ready};
use keyward_policy::Policy;
use keyward_testing::{
    fake_platform::{FakePlatform, now, published},
    policy::POLICY,
    record,
};

const EU: Option<Jurisdiction> = Some(Jurisdiction::Eu);
const US: Option<Jurisdiction> = Some(Jurisdiction::Us);
const ELSEWHERE: Denial = Denial::StoreUnavailable { store: "KV record of another jurisdiction" };

#[test]
fn a_key_of_another_jurisdiction_is_503_whatever_its_record_says_and_no_object_is_asked() {
    for (of_key, of_policy) in [(None, EU), (EU, None), (EU, US)] {
        for status in Status::ALL {
            let (platform, key) = published(&Record { status, ..record() }.within(of_key));
            platform.jurisdiction.set(of_policy);
            // As often as a network may fail, and more: it is not the caller's fault.
            platform.most_failures.set(Some(1));
            for _ in 0..3 {
                assert_eq!(platform.denial(&key), ELSEWHERE, "{of_key:?} {of_policy:?}");
            }
            assert_eq!(platform.asked(), ["KV", "KV", "KV"]);
            let logged = platform.logged.take();
            assert!(logged[0].contains("but the data belong to objects"), "{logged:?}");
            platform.jurisdiction.set(of_key);
            assert_eq!(platform.check(&key).is_ok(), status == Status::Active, "as before");
        }
    }
}

#[test]
fn a_record_that_its_object_answers_must_be_of_the_policys_jurisdiction_too() {
    let platform = FakePlatform::new();
    let key = platform.new_key(1);
    platform.tell(&key, &record().within(EU));
    assert_eq!(platform.denial(&key), ELSEWHERE);
    platform.jurisdiction.set(EU);
    assert!(platform.check(&key).is_ok());
}

#[test]
fn readiness_says_when_kv_belongs_to_objects_of_another_jurisdiction() {
    let fault = |marker: Option<&str>, jurisdiction| {
        let platform = FakePlatform::new();
        if let Some(text) = marker {
            platform.kv.borrow_mut().insert(MARKER.to_owned(), text.to_owned());
        }
        let policy = Policy { jurisdiction, ..*POLICY };
        let found = now(ready::check(&policy, &platform, &RefCell::default())).body(true);
        let found: serde_json::Value = serde_json::from_str(&found).unwrap();
        found["parts"]["jurisdiction"].as_str().unwrap().to_owned()
    };
    for policy in [None, EU, US] {
        assert_eq!(fault(None, policy), "ok", "nobody was set up");
        for home in [None, EU, US] {
            let marker = serde_json::to_string(&Marker::of(home)).unwrap();
            assert_eq!(fault(Some(&marker), policy) == "ok", home == policy, "{home:?} {policy:?}");
        }
        assert!(fault(Some("{}"), policy).contains("does not read"));
    }
}
