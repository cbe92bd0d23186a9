//! Short lists in order, and without repetitions. The standard library's sorts are fast for millions of items, and each is
//! some 4 KB of wasm for each type that is sorted; what is sorted here has a few dozen.

/// The items in order; equal ones keep theirs. Takes as many comparisons as the standard library's sort, and moves more.
pub fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    sorted_by(items, T::le)
}

/// The same, in the order in which `precedes` says that one may stand before another.
pub fn sorted_by<T>(items: impl IntoIterator<Item = T>, precedes: impl Fn(&T, &T) -> bool) -> Vec<T> {
    let mut sorted = Vec::new();
    for item in items {
        let at = sorted.partition_point(|other| precedes(other, &item));
        sorted.insert(at, item);
    }
    sorted
}

/// Each item once, in the order in which they came first.
pub fn distinct<T: PartialEq>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for item in items {
        if !distinct.contains(&item) {
            distinct.push(item);
        }
    }
    distinct
}
