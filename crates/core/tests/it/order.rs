//! Short lists in order.

use keyward_core::order::{distinct, sorted, sorted_by};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_list_is_sorted_as_the_standard_library_sorts_it(items in prop::collection::vec((0..20_u8, any::<u8>()), 0..60)) {
        let mut expected = items.clone();
        expected.sort();
        prop_assert_eq!(sorted(items.clone()), expected);
    }

    #[test]
    fn what_is_equal_keeps_its_order(items in prop::collection::vec((0..5_u8, any::<u8>()), 0..60)) {
        let mut expected = items.clone();
        expected.sort_by_key(|(key, _)| *key);
        prop_assert_eq!(sorted_by(items, |one, other| one.0 <= other.0), expected);
    }
}

#[test]
fn what_comes_twice_is_kept_where_it_came_first_wherever_it_comes_again() {
    assert_eq!(distinct(["b", "a", "b", "b", "c", "a"]), ["b", "a", "c"]);
}
