//! Usage of one key by the hour, counted in its KeyGate and reported to the Registry as totals, so
//! that a report that is sent twice counts once. No request waits for any of this.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    time::{HOUR, MINUTE, SECOND, Timestamp},
    wire::{RefusalCounts, UsageHour, UsageReport},
};

/// A new key shows its first use soon.
const FIRST_REPORT: i64 = 2 * SECOND;
/// From then on several requests share a report: not sooner than this after the first of them …
const GATHER: i64 = 30 * SECOND;
/// … and than this after the last report.
const BETWEEN_REPORTS: i64 = 5 * MINUTE;

/// What one key did, not yet known to the Registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    last_used_at: Option<Timestamp>,
    hours: BTreeMap<Timestamp, Hour>,
    last_report: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Hour {
    accepted: u64,
    refused: RefusalCounts,
    reported: bool,
}

impl Usage {
    /// Counts accepted requests, the last of them at this moment.
    pub fn accept(&mut self, requests: u32, last: Timestamp) {
        if requests == 0 {
            return;
        }
        self.last_used_at = self.last_used_at.max(Some(last));
        let hour = self.hour(last);
        hour.accepted = hour.accepted.saturating_add(requests.into());
    }

    /// A request that was counted as accepted a moment ago did not pass.
    pub fn take_back(&mut self, now: Timestamp) {
        let hour = self.hour(now);
        hour.accepted = hour.accepted.saturating_sub(1);
    }

    /// Counts refusals.
    pub fn refuse(&mut self, refused: &RefusalCounts, now: Timestamp) {
        if refused.is_empty() {
            return;
        }
        let hour = self.hour(now);
        for (code, count) in refused {
            let total = hour.refused.entry(code.clone()).or_default();
            *total = total.saturating_add(*count);
        }
    }

    /// Milliseconds until the next report should go out; `None` when there is nothing to report.
    pub fn report_in(&self, now: Timestamp) -> Option<i64> {
        self.hours.values().any(|hour| !hour.reported).then(|| match self.last_report {
            Some(last) => (last.0 + BETWEEN_REPORTS - now.0).max(GATHER),
            None => FIRST_REPORT,
        })
    }

    /// The totals of every hour that changed since the last report.
    pub fn report(&self, key_id: &str) -> UsageReport {
        let hours = self.hours.iter().filter(|(_, hour)| !hour.reported);
        UsageReport {
            key_id: key_id.to_owned(),
            last_used_at: self.last_used_at,
            hours: hours
                .map(|(time, hour)| UsageHour {
                    hour: *time,
                    accepted: hour.accepted,
                    refused: hour.refused.clone(),
                })
                .collect(),
        }
    }

    /// The Registry has taken `report`. Hours that are over are forgotten; what was counted while the
    /// report was under way stays to be reported.
    pub fn reported(&mut self, report: &UsageReport, now: Timestamp) {
        self.last_report = Some(now);
        for sent in &report.hours {
            if let Some(hour) = self.hours.get_mut(&sent.hour) {
                hour.reported = hour.accepted == sent.accepted && hour.refused == sent.refused;
            }
        }
        let current = now.floor(HOUR);
        self.hours.retain(|time, hour| *time >= current || !hour.reported);
    }

    fn hour(&mut self, now: Timestamp) -> &mut Hour {
        let hour = self.hours.entry(now.floor(HOUR)).or_default();
        hour.reported = false;
        hour
    }
}
