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
}

/// Reads one realm.
pub(super) fn read(item: &Item<'_>) -> Option<Draft> {
    let table = item.table(&sections::REALM, "[[realm]]")?;
    let id_item = table.need("id", "id = \"default\"");
    let id = id_item.as_ref().and_then(id);
    let (path_places, paths): (Vec<_>, Vec<_>) = paths(&table).into_iter().unzip();
    let scopes = scopes::read(table.get("scopes"));
    let (route_places, routes): (Vec<_>, Vec<_>) =
        route::read(&table, scopes).into_iter().map(|draft| (draft.place, draft.route)).unzip();
    let credentials = credential::read(&table);
    let realm = Realm {
        id: id.unwrap_or_default(),
        hosts: Vec::leak(hosts(&table)),
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
        routes: Vec::leak(routes),
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
    Some(Draft { realm, place, id_place, path_places, route_places })
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

fn hosts(table: &Table<'_>) -> Vec<HostPattern> {
    const EXAMPLE: &str = "hosts = [\"api.example.com\"], or [\"*\"] for every host";
    let Some(item) = table.need("hosts", EXAMPLE) else { return Vec::new() };
    let Some(texts) = item.texts(EXAMPLE) else { return Vec::new() };
    if texts.is_empty() {
        item.refuse("the realm has no hosts, so it answers for none", format!("for example: {EXAMPLE}"));
    }
    let mut hosts = Vec::new();
    for (item, text) in texts {
        match address::host_pattern(text) {
            Ok(host) => hosts.push(host),
            Err((wrong, hint)) => item.refuse(format!("the host {text:?} {wrong}"), hint),
        }
    }
    hosts
}

fn paths(table: &Table<'_>) -> Vec<(Range<usize>, PathPattern)> {
    const EXAMPLE: &str = "paths = [\"/api/*\"]";
    let Some(item) = table.need("paths", EXAMPLE) else { return Vec::new() };
    let Some(list) = item.list(EXAMPLE) else { return Vec::new() };
    if list.is_empty() {
        item.refuse("the realm has no paths, so it answers for none", format!("for example: {EXAMPLE}"));
    }
    list.iter().filter_map(|item| Some((item.place(), route::path(item)?))).collect()
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
