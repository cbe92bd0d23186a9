//! Usage by the hour, as a key's coordinator reports it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use keyward_core::time::{HOUR, MINUTE, Timestamp};
use keyward_limits::{
    usage::Usage,
    wire::{UsageHour, UsageReport},
};
use keyward_testing::NOON;

/// The Registry, in short: of two totals of an hour it takes the larger one.
#[derive(Default)]
struct Registry(BTreeMap<Timestamp, (u64, u64)>);

impl Registry {
    fn take(&mut self, report: &UsageReport) {
        for UsageHour { hour, accepted, refused, taken_back, .. } in &report.hours {
            let (known, known_refused) = self.0.entry(*hour).or_default();
            *known = (*known).max(accepted + taken_back);
            *known_refused = (*known_refused).max(refused.values().sum());
        }
    }

    /// Requests in all: accepted ones and refused ones.
    fn all(&self) -> (u64, u64) {
        self.0.values().fold((0, 0), |sum, hour| (sum.0 + hour.0, sum.1 + hour.1))
    }
}

#[test]
fn what_was_reported_before_the_clock_was_set_back_is_not_counted_again() {
    let refused = |count| [("TEST_MODE".to_owned(), count)].into();
    // What is counted before a report, during it, and after it; then the clock goes back.
    for (before, during, after) in
        [(5, 0, 0), (5, 0, 3), (5, 2, 0), (5, 2, 3), (0, 0, 3), (0, 2, 0), (5, 0, 1)]
    {
        let (mut usage, mut registry) = (Usage::default(), Registry::default());
        let count = |usage: &mut Usage, requests, now| {
            usage.accept(requests, now);
            if requests > 0 {
                usage.refuse(&refused(requests), now);
            }
        };
        let report = |usage: &mut Usage, registry: &mut Registry, now, meanwhile| {
            let report = usage.report("key_1", now);
            registry.take(&report);
            count(usage, meanwhile, now);
            usage.reported(&report, &[], now);
        };
        count(&mut usage, before, NOON);
        report(&mut usage, &mut registry, NOON, during);
        count(&mut usage, after, NOON);
        let earlier = NOON.plus(-2 * HOUR);
        usage.set_back(earlier);
        count(&mut usage, 1, earlier);
        // Stored and read again meanwhile.
        usage = keyward_json::from_str(&serde_json::to_string(&usage).unwrap()).unwrap();
        report(&mut usage, &mut registry, earlier, 0);
        let all = before + during + after + 1;
        assert_eq!(registry.all(), (all, all), "{before}, {during}, {after}");
        // The hour comes again.
        count(&mut usage, 4, NOON.plus(MINUTE));
        report(&mut usage, &mut registry, NOON.plus(MINUTE), 0);
        assert_eq!(registry.all(), (all + 4, all + 4), "{before}, {during}, {after}");
    }
}
