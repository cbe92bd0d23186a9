//! `[realm.scopes]`: the scope catalogue.

use super::{
    leak,
    mistake::{did_you_mean, nearest},
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

/// The catalogue, and what of it cannot be read, so that whoever names that makes no second mistake.
pub(super) struct Catalogue {
    pub(super) scopes: &'static [Scope],
    /// Names of entries that are wrong.
    unread: Vec<&'static str>,
    /// Whether the section is a table at all, or is not there.
    is_table: bool,
}

impl Catalogue {
    /// Whether it cannot be told that it lacks this: a scope, `area:*` or `*`. An entry that is wrong may be meant by
    /// its right name.
    pub(super) fn may_have(&self, name: &str) -> bool {
        let wildcard = name.ends_with('*') && !self.unread.is_empty();
        !self.is_table || wildcard || nearest(name, self.unread.iter().copied()).is_some()
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.scopes.iter().map(|scope| scope.name)
    }
}

/// Reads the section; without it the catalogue is empty.
pub(super) fn read(item: Option<Item<'_>>) -> Catalogue {
    let entries = item.as_ref().map(|item| item.entries("[realm.scopes]"));
    let is_table = !matches!(entries, Some(None));
    let (mut drafts, mut unread) = (Vec::new(), Vec::new());
    for entry in entries.flatten().iter().flatten() {
        match draft(entry) {
            Some(draft) => drafts.push(draft),
            None => unread.push(leak(entry.key)),
        }
    }
    for draft in &drafts {
        check_includes(draft, &drafts, &unread);
    }
    let scopes = drafts.iter().map(|draft| Scope { includes: closure(draft, &drafts), ..draft.scope });
    Catalogue { scopes: Vec::leak(scopes.collect()), unread, is_table }
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
pub(super) fn held_scopes(item: &Item<'_>, catalogue: &Catalogue) -> Vec<&'static str> {
    let mut held = Vec::new();
    for (item, name) in item.texts("[\"orders:read\"]").unwrap_or_default() {
        let covers = |scope: &Scope| holds(catalogue.scopes, &[name], scope.name);
        if !catalogue.may_have(name) && (!is_held_form(name) || !catalogue.scopes.iter().any(covers)) {
            item.refuse(
                format!("{} has {name:?}, which covers no scope that the catalogue has", item.name),
                format!("{}Scopes are listed under [realm.scopes].", did_you_mean(name, catalogue.names())),
            );
        }
        held.push(leak(name));
    }
    held
}

/// Notes what it includes wrongly; whose names are `unread` there are, though wrong themselves.
fn check_includes(draft: &Draft<'_>, all: &[Draft<'_>], unread: &[&str]) {
    let name = draft.scope.name;
    let names = || all.iter().map(|draft| draft.scope.name);
    for (item, included) in &draft.includes {
        if *included == name {
            item.refuse(format!("the scope {name:?} includes itself"), "take it out of its own `includes`");
        } else if !names().any(|name| name == *included)
            && nearest(included, unread.iter().copied()).is_none()
        {
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
