//! Records and the marker in KV say to which objects they belong, and a build reads neither by halves.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    jurisdiction::{MARKER, Marker, Misplaced, check},
    record::{Jurisdiction, Record, Tenant, TenantStatus},
};

fn record() -> Record {
    let tenant =
        Tenant { id: "tenant-1".into(), code: None, status: TenantStatus::Active, plan: None, pool: None };
    Record::live("key_1".into(), "default".into(), tenant, vec!["orders:read".into()])
}

const WITHOUT: &str = r#"{"v":"1","id":"key_1","realm":"default","tenant":{"id":"tenant-1","status":"ACTIVE","plan":null},"kind":"secret","mode":"live","status":"ACTIVE","version":0,"expiresAt":null,"scopes":["orders:read"],"allowedIps":[],"allowedOrigins":[],"limits":{"perMinute":null,"perDay":null}}"#;
const WITH: &str = r#"{"v":"2","jurisdiction":"eu","id":"key_1","realm":"default","tenant":{"id":"tenant-1","status":"ACTIVE","plan":null},"kind":"secret","mode":"live","status":"ACTIVE","version":0,"expiresAt":null,"scopes":["orders:read"],"allowedIps":[],"allowedOrigins":[],"limits":{"perMinute":null,"perDay":null}}"#;

#[test]
fn a_record_without_a_jurisdiction_is_version_1_and_one_with_it_version_2() {
    for (record, text) in [(record(), WITHOUT), (record().within(Some(Jurisdiction::Eu)), WITH)] {
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
        assert_eq!(keyward_json::from_str::<Record>(text).unwrap(), record);
    }
}

#[test]
fn a_record_whose_version_and_jurisdiction_do_not_fit_cannot_be_read() {
    let read = |text: &str| keyward_json::from_str::<Record>(text);
    for (from, to) in [
        (r#""v":"2""#, r#""v":"1""#),
        (r#""jurisdiction":"eu","#, ""),
        (r#""jurisdiction":"eu""#, r#""jurisdiction":null"#),
        (r#""jurisdiction":"eu""#, r#""jurisdiction":"EU""#),
        (r#""jurisdiction":"eu""#, r#""jurisdiction":"moon""#),
        (r#""v":"2""#, r#""v":"3""#),
    ] {
        assert!(WITH.contains(from));
        assert!(read(&WITH.replacen(from, to, 1)).is_err(), "{to}");
    }
}

#[test]
fn the_marker_says_whose_kv_is_and_fits_the_policy_of_the_same_objects_only() {
    assert_eq!(MARKER, "registry");
    let eu = Some(Jurisdiction::Eu);
    for (home, text) in [(None, r#"{"v":"1"}"#), (eu, r#"{"v":"2","jurisdiction":"eu"}"#)] {
        assert_eq!(serde_json::to_string(&Marker::of(home)).unwrap(), text);
        for policy in [None, eu, Some(Jurisdiction::FedrampHigh)] {
            assert_eq!(Marker::check(Some(text), policy).is_ok(), home == policy, "{text} {policy:?}");
            assert_eq!(check(home, policy).is_ok(), home == policy);
        }
    }
    assert_eq!(Marker::check(None, eu), Ok(()), "KV is nobody's yet");
    for text in [r#"{"v":"1","jurisdiction":"eu"}"#, r#"{"v":"2"}"#, r#"{"v":"3"}"#, "", "registry"] {
        for policy in [None, eu] {
            assert_eq!(Marker::check(Some(text), policy), Err(Misplaced::Unreadable), "{text}");
        }
    }
}

#[test]
fn what_is_wrong_is_said_with_how_to_mend_it() {
    let eu = Some(Jurisdiction::Eu);
    let said = |data, policy| check(data, policy).unwrap_err().to_string();
    assert_eq!(
        said(None, eu),
        "the policy names objects of the jurisdiction \"eu\", but the data belong to objects without a jurisdiction: \
         take `jurisdiction` out of the policy and deploy it; to move, see \"Choosing a jurisdiction\" in docs/operating.md"
    );
    let other_way = said(eu, None);
    assert!(other_way.contains("write `jurisdiction = \"eu\"` into the policy"), "{other_way}");
}
