//! `[[realm]]`: one protected API.

use std::ops::Range;

use super::{
    address, cors, credential, key, leak, limits,
    reader::{Item, Table},
    refusals, route, scopes, sections,
};
use crate::model::{HostPattern, LimitsUnavailable, Origin, PathPattern, Realm, StepUp, TestMode};

const ORIGIN_TIMEOUT_MS: u32 = 30_000;
const FRESHNESS_MS: u32 = 5_000;

/// A realm and where its parts stand in the file.
pub(super) struct Draft {
    pub(super) realm: Realm,
    /// Its first line.
    pub(super) place: Range<usize>,
    /// Its id.
    pub(super) id_place: Range<usize>,
    /// Its paths, one for one.
    pub(super) path_places: Vec<Range<usize>>,
    /// Its routes, one for one.
    pub(super) route_places: Vec<Range<usize>>,
    /// Whether all hosts, paths and routes could be read, so that comparing them makes sense.
    pub(super) whole: bool,
}

/// Reads one realm.
pub(super) fn read(item: &Item<'_>) -> Option<Draft> {
    let table = item.table(&sections::REALM, "[[realm]]")?;
    let id_item = table.need("id", "id = \"default\"");
    let id = id_item.as_ref().and_then(id);
    let hosts = hosts(&table);
    let paths = paths(&table);
    let scopes = scopes::read(table.get("scopes"));
    let routes = route::read(&table, scopes);
    let credentials = credential::read(&table);
    let whole = hosts.is_some() && paths.is_some() && routes.whole;
    let (path_places, paths): (Vec<_>, Vec<_>) = paths.into_iter().flatten().unzip();
    let realm = Realm {
        id: id.unwrap_or_default(),
        hosts: Vec::leak(hosts.unwrap_or_default()),
        paths: Vec::leak(paths),
        origin: origin(&table).unwrap_or(Origin::Binding("")),
        // From a second, below which every cold origin fails, to what Cloudflare waits for (524).
        origin_timeout_ms: duration(&table, "origin_timeout", 1_000, 100_000).unwrap_or(ORIGIN_TIMEOUT_MS),
        freshness_ms: duration(&table, "freshness", 0, 60_000).unwrap_or(FRESHNESS_MS),
        limits_unavailable: table
            .get("limits_unavailable")
            .and_then(|item| item.choice(&[("refuse", LimitsUnavailable::Refuse)]))
            .unwrap_or(LimitsUnavailable::Refuse),
        credentials,
        url_parameters: credential::url_parameters(&table),
        key: key::read(table.get("key")),
        scopes,
        routes: Vec::leak(routes.routes),
        limits: limits::read(table.get("limits")),
        test_mode: table
            .get("test_mode")
            .and_then(|item| item.choice(&[("read-only", TestMode::ReadOnly), ("full", TestMode::Full)]))
            .unwrap_or(TestMode::ReadOnly),
        step_up: Vec::leak(step_up(&table)),
        cors: cors::read(table.get("cors"), credentials),
        refusals: refusals::read(table.get("refusals")),
    };
    let place = table.place.clone();
    let id_place = id_item.map_or(place.clone(), |item| item.place());
    Some(Draft { realm, place, id_place, path_places, route_places: routes.places, whole })
}

fn id(item: &Item<'_>) -> Option<&'static str> {
    let text = item.text("\"default\"")?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.is_empty() || text.len() > 32 || !text.bytes().all(plain) {
        item.refuse(
            format!("the realm's id {text:?} is badly formed"),
            "use 1 to 32 lower-case letters, digits and hyphens, like \"default\"",
        );
    }
    Some(leak(text))
}

/// The hosts; `None` where one cannot be read.
fn hosts(table: &Table<'_>) -> Option<Vec<HostPattern>> {
    const EXAMPLE: &str = "hosts = [\"api.example.com\"], or [\"*\"] for every host";
    let item = table.need("hosts", EXAMPLE)?;
    let list = item.items(EXAMPLE)?;
    let hosts: Vec<_> = list.iter().map(host).collect();
    hosts.into_iter().collect()
}

fn host(item: &Item<'_>) -> Option<HostPattern> {
    let text = item.text("\"api.example.com\"")?;
    address::host_pattern(text)
        .map_err(|(wrong, hint)| item.refuse(format!("the host {text:?} {wrong}"), hint))
        .ok()
}

/// The paths and where they stand; `None` where one cannot be read.
fn paths(table: &Table<'_>) -> Option<Vec<(Range<usize>, PathPattern)>> {
    const EXAMPLE: &str = "paths = [\"/api/*\"]";
    let item = table.need("paths", EXAMPLE)?;
    let list = item.items(EXAMPLE)?;
    // Collected twice so that every path is read, not only those before the first mistake.
    let paths: Vec<_> = list.iter().map(|item| Some((item.place(), route::path(item)?))).collect();
    paths.into_iter().collect()
}

fn origin(table: &Table<'_>) -> Option<Origin> {
    const EXAMPLE: &str = "{ binding = \"ORIGIN\" } or { url = \"https://api.example.com\" }";
    let item = table.need("origin", &format!("origin = {EXAMPLE}"))?;
    let origin = item.table(&sections::ORIGIN, EXAMPLE)?;
    match (origin.get("binding"), origin.get("url")) {
        (Some(binding), None) => {
            let name = binding.text("\"ORIGIN\"")?;
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if !name.starts_with(|first: char| first.is_ascii_alphabetic()) || !name.bytes().all(plain) {
                binding.refuse(
                    format!("{} is {name:?}, which cannot name a binding", binding.name),
                    "use the name that wrangler.toml gives the service: letters, digits and `_`, like \"ORIGIN\"",
                );
            }
            Some(Origin::Binding(leak(name)))
        }
        (None, Some(url)) => match address::web_origin(url.text("\"https://api.example.com\"")?) {
            Ok(origin) => Some(Origin::Url(leak(&origin))),
            Err((wrong, hint)) => {
                // Not shown: a URL may carry a password.
                url.refuse(format!("{} {wrong}", url.name), hint);
                None
            }
        },
        (Some(_), Some(_)) => {
            item.refuse("the origin has both a binding and a url", format!("keep one: {EXAMPLE}"));
            None
        }
        (None, None) => {
            item.refuse("the origin has neither a binding nor a url", format!("write {EXAMPLE}"));
            None
        }
    }
}

fn duration(table: &Table<'_>, field: &str, least_ms: u32, most_ms: u32) -> Option<u32> {
    table.get(field)?.duration_ms(least_ms..=most_ms)
}

fn step_up(table: &Table<'_>) -> Vec<StepUp> {
    let items = table.get("step_up").and_then(|item| item.list("[\"rotate\"]")).unwrap_or_default();
    let choices = [("create", StepUp::Create), ("rotate", StepUp::Rotate), ("revoke", StepUp::Revoke)];
    items.iter().filter_map(|item| item.choice(&choices)).collect()
}
