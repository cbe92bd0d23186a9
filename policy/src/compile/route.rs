//! `[[realm.route]]`: methods, path, and what is asked for.

use std::ops::Range;

use super::{
    leak,
    mistake::did_you_mean,
    reader::{Item, Table},
    sections,
};
use crate::{
    model::{KeyRequirement, PathPattern, Requirement, Route, Scope},
    path::BadPattern,
    scope::is_held_form,
};

/// What `requires = "key"` asks for.
const ANY_KEY: KeyRequirement = KeyRequirement { scopes: &[], plans: &[], publishable: false };

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The routes of a realm.
pub(super) struct Drafts {
    pub(super) routes: Vec<Route>,
    /// Where the path of each stands in the file.
    pub(super) places: Vec<Range<usize>>,
    /// Whether none is missing because its path or methods cannot be read.
    pub(super) whole: bool,
}

/// Reads every route of a realm.
pub(super) fn read(realm: &Table<'_>, catalogue: &[Scope]) -> Drafts {
    const EXAMPLE: &str =
        "[[realm.route]] with path = \"/api/*\" and requires = { scopes = [\"orders:read\"] }";
    let list = realm.need("route", EXAMPLE).and_then(|item| item.items(EXAMPLE));
    let drafts: Vec<_> = list.iter().flatten().map(|item| one(item, catalogue)).collect();
    let whole = list.is_some() && drafts.iter().all(Option::is_some);
    let (routes, places) = drafts.into_iter().flatten().unzip();
    Drafts { routes, places, whole }
}

fn one(item: &Item<'_>, catalogue: &[Scope]) -> Option<(Route, Range<usize>)> {
    let table = item.table(&sections::ROUTE, "[[realm.route]]")?;
    let methods = methods(&table);
    let path_item = table.need("path", "path = \"/api/orders*\"");
    let path = path_item.as_ref().and_then(path);
    let name = path.map_or("", |path| path.source);
    let requires = table
        .need("requires", "requires = { scopes = [\"orders:read\"] }, or \"public\" for nothing")
        .and_then(|item| requirement(&item, name, catalogue))
        .unwrap_or(Requirement::Key(ANY_KEY));
    Some((Route { methods: methods?, path: path?, requires }, path_item?.place()))
}

/// Reads a path pattern.
pub(super) fn path(item: &Item<'_>) -> Option<PathPattern> {
    let text = item.text("\"/api/orders*\"")?;
    PathPattern::parse(text)
        .map_err(|BadPattern { wrong, hint }| item.refuse(format!("the path pattern {text:?} {wrong}"), hint))
        .ok()
}

/// The methods, none for all; `None` where one cannot be read.
fn methods(table: &Table<'_>) -> Option<&'static [&'static str]> {
    const EXAMPLE: &str = "methods = [\"GET\", \"HEAD\"]; without the field every method matches";
    let Some(item) = table.get("methods") else { return Some(&[]) };
    // Collected twice so that every method is read, not only those before the first mistake.
    let methods: Vec<_> = item.items(EXAMPLE)?.iter().map(method).collect();
    let methods: Option<Vec<_>> = methods.into_iter().collect();
    methods.map(|methods| &*methods.leak())
}

/// Reads a method.
pub(super) fn method(item: &Item<'_>) -> Option<&'static str> {
    let text = item.text("\"GET\"")?;
    let found = METHODS.iter().copied().find(|method| *method == text);
    if found.is_none() {
        let meant = did_you_mean(text, METHODS.iter().copied());
        item.refuse(
            format!("{} has {text:?}, which is no method that passes here", item.name),
            format!("{meant}the methods, in upper case, are {}", METHODS.join(", ")),
        );
    }
    found
}

fn requirement(item: &Item<'_>, path: &str, catalogue: &[Scope]) -> Option<Requirement> {
    const HINT: &str = "write { scopes = […] } for a key that holds every one of these, \"key\" for any key, or \"public\" for nothing";
    if let Some(word) = item.as_text() {
        return match word {
            "public" => Some(Requirement::Public),
            "key" => Some(Requirement::Key(ANY_KEY)),
            _ => {
                item.refuse(format!("route {path:?} requires {word:?}, which is not a requirement"), HINT);
                None
            }
        };
    }
    let table = item.table(&sections::REQUIRES, "{ scopes = [\"orders:read\"] }")?;
    let mut scopes = Vec::new();
    let listed = table.need("scopes", "scopes = [\"orders:read\"]")?.texts("[\"orders:read\"]")?;
    for (item, name) in listed {
        if let Some(scope) = required_scope(&item, name, path, catalogue) {
            scopes.push(scope);
        }
    }
    let plans = table.get("plans").and_then(|item| item.texts("[\"pro\"]")).unwrap_or_default();
    let mut names = Vec::new();
    for (item, plan) in plans {
        if plan.trim().is_empty() || plan.trim() != plan || !plan.is_ascii() || plan.len() > 50 {
            item.refuse(
                format!("route {path:?} requires the plan {plan:?}, which is not a name"),
                "write it like \"pro\"",
            );
        }
        names.push(leak(plan));
    }
    let publishable = table.get("publishable").and_then(|item| item.flag()).unwrap_or(false);
    Some(Requirement::Key(KeyRequirement { scopes: Vec::leak(scopes), plans: Vec::leak(names), publishable }))
}

fn required_scope(item: &Item<'_>, name: &str, path: &str, catalogue: &[Scope]) -> Option<&'static str> {
    if let Some(scope) = catalogue.iter().find(|scope| scope.name == name) {
        return Some(scope.name);
    }
    if name.contains('*') && is_held_form(name) {
        item.refuse(
            format!("route {path:?} requires the wildcard {name:?}, which only keys may hold"),
            "name the scopes that the route needs; a key that holds a wildcard covering them passes",
        );
    } else if catalogue.is_empty() {
        item.refuse(
            format!("route {path:?} requires the scope {name:?}, but the realm has no scopes"),
            format!("add [realm.scopes] with {name:?} = \"what it allows\""),
        );
    } else {
        let meant = did_you_mean(name, catalogue.iter().map(|scope| scope.name));
        item.refuse(
            format!("route {path:?} requires the scope {name:?}, which the catalogue does not have"),
            format!("{meant}Scopes are listed under [realm.scopes]."),
        );
    }
    None
}
