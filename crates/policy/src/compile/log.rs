//! `[log]`: what the log says of requests.

use super::reader::Item;
use crate::model::{Log, LoggedRequests, Traces};

/// Most requests of which one has a line: of more, nobody would see any.
pub(super) const MAX_ONE_IN: u32 = 1_000_000;

pub(super) const REQUESTS: [(&str, LoggedRequests); 4] = [
    ("refused", LoggedRequests::Refused),
    ("sampled", LoggedRequests::Sampled),
    ("all", LoggedRequests::All),
    ("none", LoggedRequests::None),
];
pub(super) const TRACES: [(&str, Traces); 2] = [("continue", Traces::Continue), ("restart", Traces::Restart)];

/// Reads the section, or its defaults.
pub(super) fn read(item: Option<Item<'_>>) -> Log {
    let Some(table) = item.and_then(|item| item.table("[log]")) else { return Log::DEFAULT };
    let requests = table.get("requests").map_or(Some(Log::DEFAULT.requests), |item| item.choice(&REQUESTS));
    let one_in = table.get("one_in").and_then(|item| {
        if requests.is_some_and(|requests| requests != LoggedRequests::Sampled) {
            item.refuse(
                "one_in says how many requests are sampled, but none are",
                "add `requests = \"sampled\"`, or take one_in out",
            );
        }
        item.number("requests")
    });
    let traces = table.get("traces").and_then(|item| item.choice(&TRACES));
    Log {
        requests: requests.unwrap_or(Log::DEFAULT.requests),
        one_in: one_in.unwrap_or(Log::DEFAULT.one_in),
        traces: traces.unwrap_or(Log::DEFAULT.traces),
    }
}
