//! Address ranges, against a naive second implementation.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{net::IpAddr, rc::Rc};

use keyward_core::record::Record;
use keyward_gate::gate::{RequestContext, decide};
use keyward_policy::KeyRequirement;
use keyward_testing::{NOON, policy::POLICY, record};
use proptest::prelude::*;

const ANY: KeyRequirement = KeyRequirement::ANY_KEY;

fn allows(ranges: &[&str], address: Option<&str>) -> bool {
    let allowed_ips = ranges.iter().map(|range| range.parse().unwrap()).collect();
    let record = Rc::new(Record { allowed_ips, ..record() });
    let address = address.and_then(|address| address.parse().ok());
    let context = RequestContext {
        method: "GET",
        upgrades: false,
        address,
        origin: None,
        tenant: None,
        token: None,
        now: NOON,
    };
    decide(&POLICY.realms[0], &ANY, &record, context).is_ok()
}

#[test]
fn no_ranges_allow_every_address_and_none() {
    assert!(allows(&[], Some("192.0.2.1")) && allows(&[], None));
}

#[test]
fn an_unknown_or_unreadable_address_is_in_no_range() {
    assert!(!allows(&["0.0.0.0/0", "::/0"], None));
    assert!(!allows(&["0.0.0.0/0", "::/0"], Some("not an address")));
}

#[test]
fn an_ipv4_address_in_ipv6_clothes_is_the_ipv4_address() {
    assert!(allows(&["192.0.2.0/24"], Some("::ffff:192.0.2.77")));
    assert!(!allows(&["192.0.2.0/24"], Some("::ffff:192.0.3.1")));
    assert!(!allows(&["::/0"], Some("::ffff:192.0.2.77")), "and so in no IPv6 range");
}

/// Bit by bit, as text.
fn naive(range: &str, address: IpAddr) -> bool {
    let bits = |address: IpAddr| -> String {
        match address {
            IpAddr::V4(address) => address.octets().iter().map(|byte| format!("{byte:08b}")).collect(),
            IpAddr::V6(address) => address.octets().iter().map(|byte| format!("{byte:08b}")).collect(),
        }
    };
    let (base, length) = range.split_once('/').unwrap();
    let (base, length): (IpAddr, usize) = (base.parse().unwrap(), length.parse().unwrap());
    base.is_ipv4() == address.is_ipv4() && bits(base)[..length] == bits(address)[..length]
}

proptest! {
    #[test]
    fn ipv4_ranges_hold_what_their_leading_bits_say(base: u32, flip in 0_u32..=32, length in 0_u32..=32) {
        let range = format!("{}/{length}", std::net::Ipv4Addr::from(base));
        let address = std::net::Ipv4Addr::from(base ^ 1_u32.checked_shl(flip).unwrap_or(0));
        prop_assert_eq!(allows(&[&range], Some(&address.to_string())), naive(&range, address.into()));
    }

    #[test]
    fn ipv6_ranges_hold_what_their_leading_bits_say(base: u128, flip in 0_u32..=128, length in 0_u32..=128) {
        let base = base | 1 << 127; // not a mapped IPv4 address, which has a test of its own
        let range = format!("{}/{length}", std::net::Ipv6Addr::from(base));
        let address = std::net::Ipv6Addr::from((base ^ 1_u128.checked_shl(flip).unwrap_or(0)) | 1 << 126);
        prop_assert_eq!(allows(&[&range], Some(&address.to_string())), naive(&range, address.into()));
    }
}
