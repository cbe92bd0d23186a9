//! `[admin.events.NAME]`: who is told what happens to keys.

use super::{
    address::https_url,
    reader::{Entry, Table},
    webhook::secret_names,
};
use crate::{
    leak::leak,
    model::{EventEndpoint, EventType},
};

/// Most endpoints of a deployment. Each may keep one of the object's six connections waiting.
const MOST_ENDPOINTS: usize = 3;
const LONGEST_NAME: usize = 50;

/// Reads the sections; without them nobody is told.
pub(super) fn read(admin: &Table<'_>) -> &'static [EventEndpoint] {
    let Some(item) = admin.get("events") else { return &[] };
    let entries = item.entries("[admin.events.billing]").unwrap_or_default();
    if entries.len() > MOST_ENDPOINTS {
        item.refuse(
            format!("[admin.events] has more than {MOST_ENDPOINTS} endpoints"),
            "send events to one that passes them on",
        );
    }
    // Collected twice so that every one is read.
    let endpoints: Vec<_> = entries.iter().map(one).collect();
    endpoints.into_iter().flatten().collect::<Vec<_>>().leak()
}

fn one(entry: &Entry<'_>) -> Option<EventEndpoint> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name = !entry.key.is_empty() && entry.key.len() <= LONGEST_NAME && entry.key.bytes().all(plain);
    if !is_name {
        entry.refuse(
            format!("{:?} is not an endpoint's name", entry.key),
            "write it in lower case, with digits and `-`, like [admin.events.billing]",
        );
    }
    let table = entry.item.table("[admin.events.billing]")?;
    let url =
        table.need("url", "url = \"https://hooks.example.com/keyward\"").and_then(|item| https_url(&item));
    let secrets = table.need("secret", "secret = \"EVENTS_SECRET\"").and_then(|item| secret_names(&item));
    let types = match table.get("types") {
        None => Some(EventType::ALL.to_vec()),
        Some(item) => item.items("[\"key.revoked\"]").and_then(|items| {
            // As above.
            let types: Vec<_> = items.iter().map(|item| item.choice(&EventType::NAMES)).collect();
            types.into_iter().collect()
        }),
    };
    let (first, others) = secrets?;
    Some(EventEndpoint {
        name: leak(entry.key),
        url: url?,
        secrets: [first].into_iter().chain(others.iter().copied()).collect::<Vec<_>>().leak(),
        types: types?.leak(),
    })
}
