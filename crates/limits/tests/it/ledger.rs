//! When an isolate tells what it has counted.

use keyward_core::time::Span;
use keyward_limits::tally::ledger::Ledger;
use keyward_testing::NOON;

/// Ends when nothing was counted for 8 s, whatever else the isolate answers meanwhile, as the page that waits for it.
#[test]
fn what_was_counted_is_told_once_no_key_was_used_for_a_while() {
    let mut ledger = Ledger::of(7);
    ledger.accept("one", None, NOON);
    assert!(ledger.begins_round(NOON));
    for second in 1..8 {
        let now = NOON + Span::from_secs(second);
        assert!(ledger.due(now).is_empty());
        ledger.begins_round(now);
    }
    assert_eq!(ledger.due(NOON + Span::from_secs(9)), ["one"]);
}
