//! Usage of one key by the hour, as its coordinator counts it or is told it ([`crate::tally`]), reported to the
//! Registry as totals, so that a report that is sent twice counts once. No request waits for any of this.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    tally,
    wire::{RefusalCounts, UsageHour, UsageReport},
};
use keyward_core::time::{HOUR, MINUTE, SECOND, Timestamp};

/// A new key shows its first use soon.
const FIRST_REPORT_MS: i64 = 2 * SECOND;
/// From then on several requests share a report: not sooner than this after the first of them …
const GATHER_MS: i64 = 30 * SECOND;
/// … and than this after the last report.
const BETWEEN_REPORTS_MS: i64 = 5 * MINUTE;

/// Whether an alarm that was set for then still rings in time. One that should have rung by now is not counted
/// on, nor one that is farther away than any is set: the clock was set.
pub fn rings(alarm: Option<Timestamp>, now: Timestamp) -> bool {
    alarm.is_some_and(|at| (1..=BETWEEN_REPORTS_MS).contains(&(at.0 - now.0)))
}

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
    /// Taken out of `accepted` again. So both this and their sum only grow.
    #[serde(skip_serializing_if = "is_zero")]
    taken_back: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Usage {
    /// Counts accepted requests, the last of them at this moment.
    pub fn accept(&mut self, requests: u64, last: Timestamp) {
        if requests == 0 {
            return;
        }
        self.last_used_at = self.last_used_at.max(Some(last));
        let hour = self.hour(last);
        hour.accepted = hour.accepted.saturating_add(requests);
    }

    /// A request that was counted as accepted at about this moment did not pass.
    pub fn take_back(&mut self, at: Timestamp) {
        let counted = [at, at.plus(-HOUR)].map(|at| at.floor(HOUR));
        let holds = |time: &&Timestamp| self.hours.get(time).is_some_and(|hour| hour.accepted > 0);
        if let Some(time) = counted.iter().find(holds) {
            let hour = self.hour(*time);
            hour.accepted -= 1;
            hour.taken_back += 1;
        }
    }

    /// Counts refusals, the last of them at this moment.
    pub fn refuse(&mut self, refused: &RefusalCounts, last: Timestamp) {
        if !refused.is_empty() {
            tally::add(&mut self.hour(last).refused, refused);
        }
    }

    /// The clock was set back to this moment. Nothing is later than that: what was counted for hours that have
    /// not come is this hour's.
    pub fn set_back(&mut self, now: Timestamp) {
        self.last_used_at = self.last_used_at.min(Some(now));
        self.last_report = self.last_report.min(Some(now));
        let early = self.hours.split_off(&now.floor(HOUR).plus(1));
        for hour in early.into_values() {
            self.accept(hour.accepted, now);
            self.refuse(&hour.refused, now);
        }
    }

    /// Milliseconds until the next report should go out; `None` when there is nothing to report.
    pub fn report_in(&self, now: Timestamp) -> Option<i64> {
        self.hours.values().any(|hour| !hour.reported).then(|| match self.last_report {
            Some(last) => (last.0 + BETWEEN_REPORTS_MS - now.0).clamp(GATHER_MS, BETWEEN_REPORTS_MS),
            None => FIRST_REPORT_MS,
        })
    }

    /// The totals of every hour that changed since the last report.
    pub fn report(&self, key_id: &str, now: Timestamp) -> UsageReport {
        let hours = self.hours.iter().filter(|(_, hour)| !hour.reported);
        UsageReport {
            key_id: key_id.to_owned(),
            last_used_at: self.last_used_at,
            hours: hours
                .map(|(time, hour)| UsageHour {
                    hour: *time,
                    accepted: hour.accepted,
                    refused: hour.refused.clone(),
                    taken_back: hour.taken_back,
                })
                .collect(),
            sent: Some(now),
        }
    }

    /// The Registry has taken `report` but for these hours. What was counted while the report was under way
    /// stays to be reported. Hours are forgotten once nobody tells anything of them any more.
    pub fn reported(&mut self, report: &UsageReport, early: &[Timestamp], now: Timestamp) {
        self.last_report = Some(now);
        for sent in report.hours.iter().filter(|sent| !early.contains(&sent.hour)) {
            if let Some(hour) = self.hours.get_mut(&sent.hour) {
                hour.reported = hour.accepted == sent.accepted && hour.refused == sent.refused;
            }
        }
        let before = now.floor(HOUR).plus(-HOUR);
        self.hours.retain(|time, hour| *time >= before || !hour.reported);
    }

    fn hour(&mut self, now: Timestamp) -> &mut Hour {
        let hour = self.hours.entry(now.floor(HOUR)).or_default();
        hour.reported = false;
        hour
    }
}
