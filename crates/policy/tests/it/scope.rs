//! Scopes: one rule, a truth table, and a second implementation that it must agree with.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use keyward_policy::{
    Grant, Scope,
    scope::{areas, holds, is_held_form, is_scope},
};
use proptest::prelude::*;

const fn scope(name: &'static str, includes: &'static [&'static str]) -> Scope {
    Scope { name, description: "", includes, grant: Grant::Anyone }
}

const CATALOGUE: &[Scope] = &[
    scope("orders:read", &[]),
    scope("orders:write", &["orders:read"]),
    scope("orders:all", &["orders:read", "orders:write", "audit:read"]),
    scope("orders-old:read", &[]),
    scope("audit:read", &[]),
    scope("webhooks:manage", &[]),
];

#[test]
fn the_truth_table_of_held_and_required_scopes() {
    const REQUIRED: [&str; 6] =
        ["orders:read", "orders:write", "orders:all", "orders-old:read", "audit:read", "webhooks:manage"];
    for (held, row) in [
        (&[][..], "------"),
        (&["orders:read"], "y-----"),
        (&["orders:write"], "yy----"),
        (&["orders:all"], "yyy-y-"),
        (&["orders:*"], "yyy-y-"),
        (&["orders-old:*"], "---y--"),
        (&["audit:*"], "----y-"),
        (&["webhooks:manage"], "-----y"),
        (&["*"], "yyyyyy"),
        (&["orders:read", "webhooks:manage"], "y----y"),
        // Nothing else is a wildcard.
        (&["**"], "------"),
        (&["*:*"], "------"),
        (&["*:read"], "------"),
        (&["orders:r*"], "------"),
        (&["orders:**"], "------"),
        (&["order*"], "------"),
        (&["orders*"], "------"),
        (&["orders:"], "------"),
        (&["orders"], "------"),
        (&["Orders:*"], "------"),
        (&["ORDERS:READ"], "------"),
        (&[" orders:read"], "------"),
        (&["orders:read orders:write"], "------"),
        (&[":*"], "------"),
        (&[""], "------"),
    ] {
        for (required, expected) in REQUIRED.iter().zip(row.chars()) {
            assert_eq!(holds(CATALOGUE, held, required), expected == 'y', "{held:?} for {required}");
        }
    }
}

#[test]
fn what_is_not_a_scope_is_never_held() {
    for required in
        ["", "*", "orders:*", "orders:", ":read", "/orders", "orders:r*", "orders::read", "orders read"]
    {
        assert!(!holds(CATALOGUE, &["*", "orders:*", required], required), "{required}");
    }
}

#[test]
fn scopes_are_written_as_issuers_write_them() {
    let long = format!("a:{}", "b".repeat(62));
    for good in [
        "orders:read",
        "a:b",
        "0:9",
        "a.b-c_d:e.f-g_h",
        "Orders.Read",
        "orders:items:read",
        "User.Read.All",
        "openid",
        "orders/read",
        "https://www.googleapis.com/auth/calendar.events",
        "api://7f3c/access_as_user",
        &long,
    ] {
        assert!(is_scope(good) && is_held_form(good), "{good}");
    }
    for wildcard in ["*", "orders:*", "a.b-c:*", "orders:items:*", "Orders:*"] {
        assert!(!is_scope(wildcard) && is_held_form(wildcard), "{wildcard}");
    }
    let longer = format!("{long}b");
    for bad in [
        "", ":", "a:", ":a", "a::b", "/a", "-a:b", "a:.b", "a b:c", "a:b ", "é:a", "a,b", "a\"b", "a\\b",
        "**", "*:a", "a:b*", "*:*", ":*", "a:**", &longer,
    ] {
        assert!(!is_scope(bad) && !is_held_form(bad), "{bad}");
    }
}

#[test]
fn a_wildcard_covers_what_is_below_its_area_and_case_counts() {
    let catalogue = [scope("orders:items:read", &[]), scope("Orders.Read", &[]), scope("orders:read", &[])];
    for (held, required, expected) in [
        ("orders:*", "orders:items:read", true),
        ("orders:items:*", "orders:items:read", true),
        ("orders:items:*", "orders:read", false),
        ("orders:item:*", "orders:items:read", false),
        ("*", "Orders.Read", true),
        ("Orders.Read", "Orders.Read", true),
        ("orders.read", "Orders.Read", false),
        ("Orders:*", "Orders.Read", false),
        ("Orders:*", "orders:read", false),
        ("orders:read", "orders:items:read", false),
    ] {
        assert_eq!(holds(&catalogue, &[held], required), expected, "{held} for {required}");
    }
    assert_eq!(areas("orders:items:read").collect::<Vec<_>>(), ["orders", "orders:items"]);
}

/// Direct inclusions between scopes of a small catalogue, cycles allowed.
type Direct = Vec<(usize, usize)>;

const NAMES: [&str; 6] = ["a:read", "a:write", "ab:read", "ab:write", "c:read", "c:all"];
const HELD: [&str; 14] = [
    "a:read", "a:write", "ab:read", "ab:write", "c:read", "c:all", "a:*", "ab:*", "c:*", "*", "*:read", "a*",
    "d:*", "d:x",
];

/// Another way to decide: write out every scope of the catalogue that the key comes to hold.
fn expanded(direct: &Direct, held: &[&str]) -> BTreeSet<&'static str> {
    let mut have: BTreeSet<&'static str> = NAMES
        .into_iter()
        .filter(|name| {
            let area = name.split(':').next().unwrap();
            held.iter().any(|held| *held == "*" || held == name || *held == format!("{area}:*"))
        })
        .collect();
    loop {
        let before = have.len();
        for (from, to) in direct {
            if have.contains(NAMES[*from]) {
                have.insert(NAMES[*to]);
            }
        }
        if have.len() == before {
            return have;
        }
    }
}

/// The catalogue as the compiler would make it, closure included, by Warshall's algorithm.
fn catalogue(direct: &Direct) -> Vec<Scope> {
    let mut reach = [[false; 6]; 6];
    for (from, to) in direct {
        reach[*from][*to] = true;
    }
    for via in 0..6 {
        for from in 0..6 {
            for to in 0..6 {
                reach[from][to] |= reach[from][via] && reach[via][to];
            }
        }
    }
    let includes =
        |from: usize| (0..6).filter(|&to| to != from && reach[from][to]).map(|to| NAMES[to]).collect();
    (0..6).map(|from| scope(NAMES[from], Vec::leak(includes(from)))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn holding_agrees_with_writing_out_every_scope(
        direct in prop::collection::vec((0..6_usize, 0..6_usize), 0..6),
        held in prop::collection::vec(prop::sample::select(&HELD[..]), 0..4),
    ) {
        let catalogue = catalogue(&direct);
        let have = expanded(&direct, &held);
        for required in NAMES {
            prop_assert_eq!(holds(&catalogue, &held, required), have.contains(required), "{:?} for {}", held, required);
        }
    }
}
