//! `[realm.refusals]`: how refusals look.

use super::{leak, mistake::did_you_mean, reader::Item, sections};
use crate::model::{RefusalStyle, Refusals};

/// The gate's refusal codes that a realm may spell in its own way: all but `NO_REALM`, which is
/// answered where there is no realm. `docs/errors.md` describes them; a test compares.
pub const CODES: &[&str] = &[
    "MISSING_AUTHORIZATION",
    "INVALID_API_KEY",
    "REVOKED_API_KEY",
    "EXPIRED_API_KEY",
    "INVALID_REQUEST",
    "KEY_IN_URL",
    "INSUFFICIENT_SCOPE",
    "INACTIVE_ORGANIZATION",
    "PLAN_REQUIRED",
    "IP_RESTRICTED",
    "ORIGIN_RESTRICTED",
    "TEST_MODE",
    "RATE_LIMITED",
    "NO_ROUTE",
    "STORE_UNAVAILABLE",
    "NOT_CONFIGURED",
    "ORIGIN_UNREACHABLE",
    "ORIGIN_TIMEOUT",
    "INTERNAL_ERROR",
];

const DEFAULT: Refusals = Refusals { style: RefusalStyle::Problem, codes: &[] };

/// Reads the section, or its defaults.
pub(super) fn read(item: Option<Item<'_>>) -> Refusals {
    let Some(table) = item.and_then(|item| item.table(&sections::REFUSALS, "[realm.refusals]")) else {
        return DEFAULT;
    };
    let style = table
        .get("style")
        .and_then(|item| item.choice(&[("problem", RefusalStyle::Problem), ("json", RefusalStyle::Json)]))
        .unwrap_or(DEFAULT.style);
    let entries = table.get("codes").and_then(|item| item.entries("{ IP_RESTRICTED = \"IP_RESTRICTION\" }"));
    let mut codes = Vec::new();
    for entry in entries.unwrap_or_default() {
        let Some(ours) = CODES.iter().copied().find(|code| *code == entry.key) else {
            entry.item.report.add(
                &entry.place,
                format!("there is no refusal code {:?}", entry.key),
                format!(
                    "{}the codes are {}",
                    did_you_mean(entry.key, CODES.iter().copied()),
                    CODES.join(", ")
                ),
            );
            continue;
        };
        let Some(theirs) = entry.item.text("\"IP_RESTRICTION\"") else { continue };
        if !is_code(theirs) {
            entry.item.refuse(
                format!("the realm's spelling {theirs:?} of {ours} is not a code"),
                "use 1 to 64 letters, digits, `_`, `-` and `.`, beginning with a letter, like \"IP_RESTRICTION\"",
            );
            continue;
        }
        codes.push((ours, leak(theirs)));
    }
    Refusals { style, codes: Vec::leak(codes) }
}

fn is_code(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}
