//! Usage of one key by the hour, as its coordinator counts it or reads it from tallies ([`crate::tally`]). It is reported to
//! the Registry in totals, so a report that is sent twice counts once. No request waits for any of this.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    counts,
    limit::Window,
    routes::{self, OnRoutes, RouteCounts},
    wire::{Reached, RefusalCounts, UsageHour, UsageReport},
};
use keyward_core::{
    strict,
    time::{HOUR, Span, Timestamp},
};

/// The first use of a key is reported after this time.
const FIRST_REPORT: Span = Span::from_secs(2);
/// Later reports cover several requests: they are sent no earlier than this after the first of them …
const GATHER: Span = Span::from_secs(30);
/// … and this after the last report.
const BETWEEN_REPORTS: Span = Span::from_mins(5);

/// Most refusals that one report describes.
const MAX_LATEST: usize = 10;

/// Whether an alarm still rings in time. One that should have rung by now does not, nor one that is farther away than any is
/// set: then the clock was set.
pub fn rings(alarm: Option<Timestamp>, now: Timestamp) -> bool {
    alarm.is_some_and(|at| at > now && at - now <= BETWEEN_REPORTS)
}

/// Usage of one key that the Registry may not know yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    last_used_at: Option<Timestamp>,
    /// Where from, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_from: Option<Value>,
    hours: BTreeMap<Timestamp, Hour>,
    last_report: Option<Timestamp>,
    /// Refusals in detail that the Registry may not have, the latest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    latest: Vec<Value>,
    /// When a window was last nearly full.
    #[serde(skip_serializing_if = "Option::is_none")]
    near_limit_at: Option<Timestamp>,
    /// How much of its limits was reached since the last report.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reached: Vec<Reached>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Hour {
    accepted: u64,
    refused: RefusalCounts,
    reported: bool,
    /// Requests taken out of `accepted` again. This, and the sum of both, only grows.
    #[serde(skip_serializing_if = "strict::is_zero")]
    taken_back: u64,
    /// The same by route.
    #[serde(skip_serializing_if = "OnRoutes::is_empty")]
    routes: OnRoutes,
    /// What the Registry knows of it, unless that is nothing or all.
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<UsageHour>,
}

impl Hour {
    /// It, as it is told.
    fn total(&self, hour: Timestamp) -> UsageHour {
        let Self { accepted, taken_back, .. } = *self;
        UsageHour { hour, accepted, refused: self.refused.clone(), taken_back, routes: self.routes.clone() }
    }
}

impl Usage {
    /// Counts accepted requests, the last of them at this moment.
    pub fn accept(&mut self, requests: u64, last: Timestamp) {
        self.accept_on(requests, &RouteCounts::new(), last);
    }

    /// The same, with what is known of their routes.
    pub fn accept_on(&mut self, requests: u64, on: &RouteCounts, last: Timestamp) {
        if requests == 0 {
            return;
        }
        if self.last_used_at < Some(last) {
            (self.last_used_at, self.last_used_from) = (Some(last), None);
        }
        let hour = self.hour(last);
        hour.accepted = hour.accepted.saturating_add(requests);
        routes::add(&mut hour.routes.accepted, on);
    }

    /// Where the request came from that was accepted at this moment, unless there was a later one.
    pub fn used_from(&mut self, from: Option<&Value>, at: Timestamp) {
        if self.last_used_at == Some(at) {
            self.last_used_from = from.cloned();
        }
    }

    /// A request that was counted as accepted at about this moment, on this route, did not pass after all.
    pub fn take_back(&mut self, at: Timestamp, route: Option<&str>) {
        let counted = [at, at - Span::from_hours(1)].map(|at| at.floor(HOUR));
        let holds = |time: &&Timestamp| self.hours.get(time).is_some_and(|hour| hour.accepted > 0);
        if let Some(time) = counted.iter().find(holds) {
            let hour = self.hour(*time);
            hour.accepted -= 1;
            hour.taken_back += 1;
            if let Some(route) = route {
                hour.routes.take_back(route);
            }
        }
    }

    /// Counts refusals, the last of them at this moment.
    pub fn refuse(&mut self, refused: &RefusalCounts, last: Timestamp) {
        self.refuse_on(refused, &RouteCounts::new(), last);
    }

    /// The same, with what is known of their routes.
    pub fn refuse_on(&mut self, refused: &RefusalCounts, on: &RouteCounts, last: Timestamp) {
        if !refused.is_empty() {
            let hour = self.hour(last);
            counts::add(&mut hour.refused, refused);
            routes::add(&mut hour.routes.refused, on);
        }
    }

    /// Takes in refusals in detail. Of more than [`MAX_LATEST`] the earliest are forgotten.
    pub fn describe(&mut self, refusals: &[Value]) {
        self.latest.extend_from_slice(refusals);
        let surplus = self.latest.len().saturating_sub(MAX_LATEST);
        self.latest.drain(..surplus);
    }

    /// A window is nearly full. The Registry is told with the next report of a count.
    pub fn near_limit(&mut self, now: Timestamp) {
        self.near_limit_at = self.near_limit_at.max(Some(now));
    }

    /// So much of a limit is used, in per cent. The Registry is told with the next report of a count.
    pub fn reach(&mut self, window: Window, percent: u64, limit: u32) {
        let limit_of = window.field();
        match self.reached.iter_mut().find(|reached| reached.window == limit_of) {
            // Of what is used of a limit that was changed, nothing is known.
            Some(reached) if reached.limit == limit => reached.percent = reached.percent.max(percent),
            Some(reached) => (reached.limit, reached.percent) = (limit, percent),
            None => self.reached.push(Reached { window: limit_of.to_owned(), percent, limit }),
        }
    }

    /// The clock was set back to this moment. What was counted for later hours moves to this one, except for what the Registry
    /// knows of them: it would count twice.
    pub fn set_back(&mut self, now: Timestamp) {
        self.last_used_at = self.last_used_at.min(Some(now));
        self.last_report = self.last_report.min(Some(now));
        self.near_limit_at = self.near_limit_at.min(Some(now));
        let early = self.hours.split_off(&(now.floor(HOUR) + Span::from_ms(1)));
        for (time, mut hour) in early {
            let told = if hour.reported { Some(hour.total(time)) } else { hour.told.take() };
            if let Some(told) = told {
                hour.accepted = hour.accepted.saturating_sub(told.accepted);
                counts::take(&mut hour.refused, &told.refused);
                hour.routes.take(&told.routes);
                let UsageHour { accepted, refused, taken_back, routes, .. } = told;
                let known = Hour { accepted, refused, taken_back, routes, reported: true, told: None };
                self.hours.insert(time, known);
            } else {
                hour.routes.take(&OnRoutes::default());
            }
            self.accept_on(hour.accepted, &hour.routes.accepted, now);
            self.refuse_on(&hour.refused, &hour.routes.refused, now);
        }
    }

    /// The time until the next report is due; `None` if there is nothing to report.
    pub fn report_in(&self, now: Timestamp) -> Option<Span> {
        self.hours.values().any(|hour| !hour.reported).then(|| match self.last_report {
            Some(last) => (last + BETWEEN_REPORTS - now).clamp(GATHER, BETWEEN_REPORTS),
            None => FIRST_REPORT,
        })
    }

    /// The totals of every hour that changed since the last report.
    pub fn report(&self, key_id: &str, now: Timestamp) -> UsageReport {
        let hours = self.hours.iter().filter(|(_, hour)| !hour.reported);
        UsageReport {
            key_id: key_id.to_owned(),
            last_used_at: self.last_used_at,
            hours: hours.map(|(time, hour)| hour.total(*time)).collect(),
            sent: Some(now),
            latest: self.latest.clone(),
            near_limit_at: self.near_limit_at,
            last_used_from: self.last_used_from.clone(),
            reached: self.reached.clone(),
        }
    }

    /// The Registry has taken `report`, except for the hours that are `early` by its clock. What was counted meanwhile is
    /// still to be reported. Hours are forgotten once no tally can add to them.
    pub fn reported(&mut self, report: &UsageReport, early: &[Timestamp], now: Timestamp) {
        self.last_report = Some(now);
        if self.near_limit_at == report.near_limit_at {
            self.near_limit_at = None;
        }
        self.reached.retain(|reached| !report.reached.contains(reached));
        self.latest.retain(|refusal| !report.latest.contains(refusal));
        for sent in report.hours.iter().filter(|sent| !early.contains(&sent.hour)) {
            if let Some(hour) = self.hours.get_mut(&sent.hour) {
                hour.reported = hour.total(sent.hour) == *sent;
                hour.told = (!hour.reported).then(|| sent.clone());
            }
        }
        let before = now.floor(HOUR) - Span::from_hours(1);
        self.hours.retain(|time, hour| *time >= before || !hour.reported);
    }

    fn hour(&mut self, now: Timestamp) -> &mut Hour {
        let time = now.floor(HOUR);
        let hour = self.hours.entry(time).or_default();
        if hour.reported {
            hour.told = Some(hour.total(time));
        }
        hour.reported = false;
        hour
    }
}
