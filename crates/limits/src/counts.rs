//! Counts by name: of refusals by their code, of requests by their route.

use std::collections::BTreeMap;

/// `{"INSUFFICIENT_SCOPE": 3}`
pub type Counts = BTreeMap<String, u64>;

/// Adds counts to counts.
pub fn add(counts: &mut Counts, more: &Counts) {
    for (code, count) in more {
        let total = counts.entry(code.clone()).or_default();
        *total = total.saturating_add(*count);
    }
}

/// Takes counts out of counts.
pub fn take(counts: &mut Counts, fewer: &Counts) {
    counts.retain(|code, count| {
        *count = count.saturating_sub(fewer.get(code).copied().unwrap_or_default());
        *count > 0
    });
}
