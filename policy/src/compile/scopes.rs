//! `[realm.scopes]`: the scope catalogue.

use super::{
    leak,
    mistake::did_you_mean,
    reader::{Entry, Item},
    sections,
};
use crate::{
    model::{Grant, Scope},
    scope::{holds, is_held_form, is_scope},
};

/// A scope as the file has it, with what it says it includes, not yet what follows from that.
struct Draft<'a> {
    scope: Scope,
    includes: Vec<(Item<'a>, &'a str)>,
}

/// Reads the section; without it the catalogue is empty.
pub(super) fn read(item: Option<Item<'_>>) -> &'static [Scope] {
    let Some(entries) = item.and_then(|item| item.entries("[realm.scopes]")) else { return &[] };
    let drafts: Vec<Draft<'_>> = entries.iter().filter_map(draft).collect();
    for draft in &drafts {
        check_includes(draft, &drafts);
    }
    let scopes = drafts.iter().map(|draft| Scope { includes: closure(draft, &drafts), ..draft.scope });
    Vec::leak(scopes.collect())
}

fn draft<'a>(entry: &Entry<'a>) -> Option<Draft<'a>> {
    if !is_scope(entry.key) {
        entry.refuse(
            format!("{:?} is not the name of a scope", entry.key),
            "write area:action in lower case, digits, `_`, `.` and `-`, at most 64 characters, like \"orders:read\"",
        );
        return None;
    }
    let name = leak(entry.key);
    if let Some(description) = entry.item.as_text() {
        let scope = Scope { name, description: leak(description), includes: &[], grant: Grant::Anyone };
        return Some(Draft { scope, includes: Vec::new() });
    }
    let table = entry.item.table(&sections::SCOPE, "\"Read orders\" or { description = \"Read orders\" }")?;
    let description = table
        .need("description", "description = \"Read orders\"")
        .and_then(|item| item.text("\"Read orders\""))
        .unwrap_or_default();
    let grant = table
        .get("grant")
        .and_then(|item| {
            item.choice(&[("anyone", Grant::Anyone), ("admin", Grant::Admin), ("reserved", Grant::Reserved)])
        })
        .unwrap_or(Grant::Anyone);
    let includes = table.get("includes").and_then(|item| item.texts("[\"orders:read\"]")).unwrap_or_default();
    Some(Draft { scope: Scope { name, description: leak(description), includes: &[], grant }, includes })
}

/// Reads scopes and wildcards that a key of the policy's own holds.
pub(super) fn held_scopes(item: &Item<'_>, catalogue: &[Scope]) -> Vec<&'static str> {
    let mut held = Vec::new();
    for (item, name) in item.texts("[\"orders:read\"]").unwrap_or_default() {
        let covers = |scope: &Scope| holds(catalogue, &[name], scope.name);
        if !is_held_form(name) || !catalogue.iter().any(covers) {
            item.refuse(
                format!("{} has {name:?}, which covers no scope that the catalogue has", item.name),
                format!(
                    "{}Scopes are listed under [realm.scopes].",
                    did_you_mean(name, catalogue.iter().map(|scope| scope.name))
                ),
            );
        }
        held.push(leak(name));
    }
    held
}

fn check_includes(draft: &Draft<'_>, all: &[Draft<'_>]) {
    let name = draft.scope.name;
    let names = || all.iter().map(|draft| draft.scope.name);
    for (item, included) in &draft.includes {
        if *included == name {
            item.refuse(format!("the scope {name:?} includes itself"), "take it out of its own `includes`");
        } else if !names().any(|name| name == *included) {
            item.refuse(
                format!("the scope {name:?} includes {included:?}, which the catalogue does not have"),
                format!("{}Scopes are listed under [realm.scopes].", did_you_mean(included, names())),
            );
        }
    }
}

/// Everything that a scope includes, through any number of steps, itself left out.
fn closure(draft: &Draft<'_>, all: &[Draft<'_>]) -> &'static [&'static str] {
    let mut reached: Vec<&'static str> = Vec::new();
    let mut open = vec![draft];
    while let Some(next) = open.pop() {
        for (_, included) in &next.includes {
            let Some(found) = all.iter().find(|draft| draft.scope.name == *included) else { continue };
            let name = found.scope.name;
            if name != draft.scope.name && !reached.contains(&name) {
                reached.push(name);
                open.push(found);
            }
        }
    }
    reached.sort_unstable();
    Vec::leak(reached)
}
