//! `[realm.scopes]`: the scope catalogue.

use super::{
    nearest::{did_you_mean, nearest},
    reader::{Entry, Item},
    secret::looks_secret,
};
use crate::{
    leak::leak,
    model::{Grant, Scope},
    scope::{holds, is_admin, is_held_form, is_scope, needs_admin},
};

pub(super) const GRANTS: [(&str, Grant); 3] =
    [("anyone", Grant::Anyone), ("admin", Grant::Admin), ("reserved", Grant::Reserved)];

/// A scope as the file has it, with what it says it includes, not yet what follows from that.
struct Draft<'a> {
    scope: Scope,
    includes: Vec<(Item<'a>, &'a str)>,
    /// Where it says that anyone may grant it.
    grant: Option<Item<'a>>,
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
    /// Whether it may have this scope, `area:*` or `*`: an entry that is wrong may be meant by its right name.
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
    for entry in entries.iter().flatten().flatten() {
        match draft(entry) {
            Some(draft) => drafts.push(draft),
            None => unread.push(leak(entry.key)),
        }
    }
    for draft in &drafts {
        check_includes(draft, &drafts, &unread);
    }
    for entry in entries.iter().flatten().flatten() {
        let alike = |draft: &&Draft<'_>| draft.scope.name.eq_ignore_ascii_case(entry.key);
        let first = drafts.iter().find(alike).filter(|draft| draft.scope.name != entry.key);
        if let Some(first) = first {
            entry.refuse(
                format!("the scopes {:?} and {:?} differ in case only", first.scope.name, entry.key),
                "keep one of them, or give them names that people can tell apart",
            );
        }
    }
    let scopes = drafts.iter().map(|draft| Scope { includes: closure(draft, &drafts), ..draft.scope });
    let written: Vec<Scope> = scopes.collect();
    let scopes =
        drafts.iter().zip(&written).map(|(draft, scope)| Scope { grant: grant(draft, &written), ..*scope });
    Catalogue { scopes: Vec::leak(scopes.collect()), unread, is_table }
}

/// Who may grant a scope: what is for admins by its meaning, or by what it includes, is for admins though the file
/// does not say so, and cannot be for anyone.
fn grant(draft: &Draft<'_>, catalogue: &[Scope]) -> Grant {
    let Scope { name, grant, .. } = draft.scope;
    if grant != Grant::Anyone || !needs_admin(catalogue, name) {
        return grant;
    }
    if let Some(item) = &draft.grant {
        let why = if is_admin(name) { "is the admin API's" } else { "includes one that only admins grant" };
        item.refuse(
            format!("the scope {name:?} {why}, so it cannot be granted by anyone"),
            "write grant = \"admin\", or leave it out: then it is that",
        );
    }
    Grant::Admin
}

fn draft<'a>(entry: &Entry<'a>) -> Option<Draft<'a>> {
    if !is_scope(entry.key) {
        entry.refuse(
            format!("{:?} is not the name of a scope", entry.key),
            "write letters, digits, `_`, `.`, `-` and `/` with `:` between, at most 64 characters, like \"orders:read\"",
        );
        return None;
    }
    // Under a name like this people write a secret, not a description.
    if looks_secret(entry.key) && !entry.key.contains([':', '.', '/']) {
        entry.refuse(
            format!("[realm.scopes] has the field {:?}, and a policy holds no secrets", entry.key),
            format!(
                "if it is a scope, write it with what it is about, like \"{}:read\"; a secret that stood here may have been seen: \
                 replace it",
                entry.key
            ),
        );
        return None;
    }
    if is_admin(&entry.key.to_ascii_lowercase()) && !is_admin(entry.key) {
        entry.refuse(
            format!("{:?} is a scope of the admin API in another case, so people would take the one for the other", entry.key),
            "write it in lower case, or choose another name",
        );
        return None;
    }
    let name = leak(entry.key);
    if let Some(description) = entry.item.as_text() {
        let scope = Scope { name, description: leak(description), includes: &[], grant: Grant::Anyone };
        return Some(Draft { scope, includes: Vec::new(), grant: None });
    }
    let table = entry.item.table("\"Read orders\" or { description = \"Read orders\" }")?;
    let description = table
        .need("description", "description = \"Read orders\"")
        .and_then(|item| item.text("\"Read orders\""))
        .unwrap_or_default();
    let grant_item = table.get("grant");
    let written = grant_item.as_ref().and_then(|item| item.choice(&GRANTS));
    let grant = written.unwrap_or(Grant::Anyone);
    let includes = table.get("includes").and_then(|item| item.texts("[\"orders:read\"]")).unwrap_or_default();
    let scope = Scope { name, description: leak(description), includes: &[], grant };
    Some(Draft { scope, includes, grant: grant_item.filter(|_| written == Some(Grant::Anyone)) })
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
        } else if is_admin(name) {
            item.refuse(
                format!(
                    "{} has {name:?}, which the admin API does not take from a key of the policy's own",
                    item.name
                ),
                "take it out: the admin API takes members, and keys that it made itself",
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
