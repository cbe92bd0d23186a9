//! What several keys have in common: what narrows a list of them, and what a change of many answers.

use keyward_core::record::{KeyKind, Mode};
use keyward_registry::keys::{filter::MOST_UNUSED_DAYS, key::State};
use serde_json::json;

use crate::schema::{
    Members, Schema, count, described, flag, id, line, list, nullable, object, object_with, one_of,
    one_of_enum, searched, text, time, whole, word,
};

/// What narrows the list of keys.
pub fn key_filters() -> Members {
    vec![
        ("q", described(searched(100), "Looked for in names, tags, ids and the visible parts.")),
        ("status", key_status()),
        ("realm", word()),
        ("unusedDays", whole(1, MOST_UNUSED_DAYS.into())),
        ("scope", described(word(), "Several, with commas between: each of them.")),
        ("tag", line(1, 50)),
        ("createdBy", line(1, 100)),
        ("mode", one_of_enum(&Mode::ALL)),
        ("kind", one_of_enum(&KeyKind::ALL)),
        ("prefix", line(1, 100)),
        ("createdFrom", time()),
        ("createdTo", time()),
        ("expiresBefore", time()),
        ("rotating", one_of(&["true"])),
        ("nearLimit", one_of(&["true"])),
    ]
}

/// What narrows a list of keys, as a body has it.
pub fn key_filter() -> Schema {
    // Numbers and flags may also be written as in a query.
    let written = |(name, schema)| match name {
        "unusedDays" => {
            (name, json!({ "anyOf": [schema, { "type": "string", "pattern": "^[1-9][0-9]{0,3}$" }] }))
        }
        "rotating" | "nearLimit" => (name, json!({ "enum": ["true", true] })),
        _ => (name, schema),
    };
    let mut filter = object_with(Vec::new(), key_filters().into_iter().map(written).collect());
    filter["minProperties"] = 1.into();
    filter
}

/// What a change of many keys did, or would do.
pub fn bulk_change() -> Schema {
    let skipped = object(vec![("id", text()), ("why", text())]);
    object_with(
        vec![("count", count(0)), ("ids", list(id("key_"))), ("skipped", list(skipped))],
        vec![
            ("total", described(count(0), "How many keys the filter finds.")),
            ("totalIsAtLeast", described(flag(), "Whether there may be more than `total`.")),
            ("more", described(flag(), "Whether a call with `nextCursor` would find others.")),
            ("nextCursor", nullable(text())),
            ("refusedEverywhereBy", time()),
            ("effectiveEverywhereBy", time()),
            ("pendingKeys", count(1)),
        ],
    )
}

/// `status` of a key.
pub fn key_status() -> Schema {
    one_of_enum(&State::ALL)
}
