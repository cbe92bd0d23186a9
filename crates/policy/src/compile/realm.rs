//! `[[realm]]`: one protected API.

use super::{
    address::{self, BadHost},
    cors,
    credential::{self, Sources},
    identity, imported, jwt, key, limits, link,
    mistake::Place,
    origin,
    reader::{Item, Table},
    refusals,
    route::{self, RealmParts},
    scopes, static_key,
    webhook::{self, Named},
};
use crate::{
    leak::leak,
    model::{
        CredentialSource, HostPattern, KeyAction, LimitsUnavailable, Origin, PageKeys, PathPattern, Proof,
        Realm, RequestId, Requirement, Rotation, Route, Routes, SourceKind, TestMode, TlsVersion, Transport,
    },
    span::Span,
};

const ORIGIN_TIMEOUT: Span = Span::from_secs(30);
/// Below a second every cold origin fails.
pub(super) const MIN_ORIGIN_TIMEOUT: Span = Span::from_secs(1);
/// A quarter of an hour: a language model that thinks before its first word.
pub(super) const MAX_ORIGIN_TIMEOUT: Span = Span::from_mins(15);
const CLIENT_TIMEOUT: Span = Span::from_secs(30);
/// Mobile networks are silent for a second now and then.
pub(super) const MIN_CLIENT_TIMEOUT: Span = Span::from_secs(1);
pub(super) const MAX_CLIENT_TIMEOUT: Span = Span::from_mins(15);
const DECISION_TIMEOUT: Span = Span::from_secs(2);
/// A key at its limit may have to wait 750 ms for its slot, after its coordinator was asked.
pub(super) const MIN_DECISION_TIMEOUT: Span = Span::from_secs(1);
/// Callers have given up by then.
pub(super) const MAX_DECISION_TIMEOUT: Span = Span::from_secs(30);
/// A hundred years, as for the audit.
pub(super) const MAX_KEY_LIFE_DAYS: u32 = 36_500;
const FRESHNESS: Span = Span::from_secs(5);
pub(super) const MAX_FRESHNESS: Span = Span::from_mins(1);

pub(super) const LIMITS_UNAVAILABLE: [(&str, LimitsUnavailable); 2] =
    [("refuse", LimitsUnavailable::Refuse), ("allow_local", LimitsUnavailable::AllowLocal)];
pub(super) const TLS_VERSIONS: [(&str, TlsVersion); 2] =
    [("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)];
pub(super) const PAGE_KEYS: [(&str, PageKeys); 2] = [("pass", PageKeys::Pass), ("refuse", PageKeys::Refuse)];
pub(super) const TEST_MODES: [(&str, TestMode); 2] =
    [("read-only", TestMode::ReadOnly), ("full", TestMode::Full)];
pub(super) const KEY_ACTIONS: [(&str, KeyAction); 3] =
    [("create", KeyAction::Create), ("rotate", KeyAction::Rotate), ("revoke", KeyAction::Revoke)];
pub(super) const REQUEST_IDS: [(&str, RequestId); 2] =
    [("gate", RequestId::Gate), ("origin", RequestId::Origin)];
pub(super) const ROTATIONS: [(&str, Rotation); 2] =
    [("keep-old", Rotation::KeepOld), ("revoke-old", Rotation::RevokeOld)];

/// A realm and where its parts stand in the file.
pub(super) struct Draft {
    pub(super) realm: Realm,
    /// Its first line.
    pub(super) place: Place,
    /// Its id.
    pub(super) id_place: Place,
    /// Its paths, one for one.
    pub(super) path_places: Vec<Place>,
    /// Its routes, one for one.
    pub(super) route_places: Vec<Place>,
    /// The path of its JWK Set, if it has one.
    pub(super) jwks_place: Option<Place>,
    /// Whether all hosts, paths and routes could be read, so that comparing them makes sense.
    pub(super) whole: bool,
}

/// Reads one realm.
pub(super) fn read(item: &Item<'_>) -> Option<Draft> {
    let table = item.table("[[realm]]")?;
    let id_item = table.need("id", "id = \"default\"");
    let id = id_item.as_ref().and_then(id);
    let hosts = hosts(&table);
    let paths = paths(&table);
    let catalogue = scopes::read(table.get("scopes"));
    let sources = credential::read(&table);
    let credentials = sources.list;
    let key = key::read(table.get("key"));
    let link = link::read(table.get("link"), key.as_ref());
    let (jwt, other_issuers) = jwt::read(table.get("jwt"), link.as_ref());
    let by_cookie = table.get("jwt").is_some_and(|item| jwt::names_cookie(&item));
    let webhooks = webhook::read(&table);
    let session_id_header = session_id_header(&table, credentials);
    let freshness = match table.get("freshness") {
        None => Some(FRESHNESS),
        Some(item) => item.span(),
    };
    let identity = identity::read(table.get("identity"));
    let (limits, are_known) = limits::read(table.get("limits"), freshness);
    let parts = RealmParts {
        catalogue: &catalogue,
        webhooks: &webhooks,
        proofs: &proofs(&sources, &table),
        takes_both: by_cookie || sources.may_have_both(),
        plans: table.get("plans").as_ref().map(route::plans).unwrap_or_default(),
        session_ids: table.get("session_id_header").is_some(),
        freshness,
        limits: are_known.then_some(limits),
    };
    let routes = route::read(&table, &parts);
    check_sources(&table, &sources, by_cookie, &webhooks);
    if routes.requirements_known {
        check_use(&table, &routes.routes, &webhooks);
    }
    let whole = hosts.is_some() && paths.is_some() && routes.whole;
    let (path_places, paths): (Vec<_>, Vec<_>) = paths.into_iter().flatten().unzip();
    let realm = Realm {
        id: id.unwrap_or_default(),
        hosts: Vec::leak(hosts.unwrap_or_default()),
        paths: Vec::leak(paths),
        origin: origin::read(&table).unwrap_or(Origin::Binding("")),
        forwarded: table.get("forwarded").as_ref().and_then(Item::flag).unwrap_or(false),
        request_id: table
            .get("request_id")
            .and_then(|item| item.choice(&REQUEST_IDS))
            .unwrap_or(RequestId::Gate),
        origin_timeout: span(&table, "origin_timeout", ORIGIN_TIMEOUT),
        client_timeout: span(&table, "client_timeout", CLIENT_TIMEOUT),
        decision_timeout: span(&table, "decision_timeout", DECISION_TIMEOUT),
        freshness: freshness.unwrap_or(FRESHNESS),
        limits_unavailable: table
            .get("limits_unavailable")
            .and_then(|item| item.choice(&LIMITS_UNAVAILABLE))
            .unwrap_or(LimitsUnavailable::Refuse),
        transport: transport(&table),
        credentials,
        jwt,
        other_issuers,
        link,
        static_keys: static_key::read(&table, &catalogue),
        session_id_header,
        secret_keys_from_pages: table
            .get("secret_keys_from_pages")
            .and_then(|item| item.choice(&PAGE_KEYS))
            .unwrap_or(PageKeys::Pass),
        forbidden_query_parameters: credential::forbidden_query_parameters(&table, link.as_ref()),
        key: key.unwrap_or(key::DEFAULT),
        max_key_life: table
            .get("max_key_life")
            .and_then(|item| {
                item.days("write a whole number and `d` with nothing between them, like \"90d\"")
            })
            .map(|days| Span::from_days(days.into())),
        keys_must_expire: table.get("keys_must_expire").as_ref().and_then(Item::flag).unwrap_or(false),
        imported: imported::read(table.get("imported"), link.as_ref()),
        scopes: catalogue.scopes,
        routes: Routes::new(Vec::leak(routes.routes)),
        limits,
        test_mode: table
            .get("test_mode")
            .and_then(|item| item.choice(&TEST_MODES))
            .unwrap_or(TestMode::ReadOnly),
        step_up: actions(&table, "step_up"),
        owner_only: actions(&table, "owner_only"),
        rotation: table.get("rotation").and_then(|item| item.choice(&ROTATIONS)).unwrap_or(Rotation::KeepOld),
        cors: cors::read(table.get("cors"), credentials, session_id_header),
        refusals: refusals::read(table.get("refusals")),
        identity: identity.as_ref().map(|(identity, _)| *identity),
    };
    let place = table.place;
    let id_place = id_item.map_or(place, |item| item.place());
    let jwks_place = identity.map(|(_, place)| place);
    Some(Draft { realm, place, id_place, path_places, route_places: routes.places, jwks_place, whole })
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
    let list = item.items_by(EXAMPLE, str::to_ascii_lowercase)?;
    let hosts: Vec<_> = list.iter().map(host).collect();
    hosts.into_iter().collect()
}

fn host(item: &Item<'_>) -> Option<HostPattern> {
    let text = item.text("\"api.example.com\"")?;
    address::host_pattern(text)
        .map_err(|BadHost { wrong, hint }| item.refuse(format!("the host {text:?} {wrong}"), hint))
        .ok()
}

/// The paths and where they stand; `None` where one cannot be read.
fn paths(table: &Table<'_>) -> Option<Vec<(Place, PathPattern)>> {
    const EXAMPLE: &str = "paths = [\"/api/*\"]";
    let item = table.need("paths", EXAMPLE)?;
    let list = item.items_by(EXAMPLE, route::path_form)?;
    // Collected twice so that every path is read, not only those before the first mistake.
    let paths: Vec<_> = list.iter().map(|item| Some((item.place(), route::path(item)?))).collect();
    paths.into_iter().collect()
}

/// How long something takes at most.
fn span(table: &Table<'_>, field: &str, default: Span) -> Span {
    table.get(field).and_then(|item| item.span()).unwrap_or(default)
}

fn actions(table: &Table<'_>, field: &str) -> &'static [KeyAction] {
    let items = table.get(field).and_then(|item| item.list("[\"rotate\"]")).unwrap_or_default();
    Vec::leak(items.iter().filter_map(|item| item.choice(&KEY_ACTIONS)).collect())
}

fn transport(table: &Table<'_>) -> Transport {
    let least_tls = table.get("tls").and_then(|item| item.choice(&TLS_VERSIONS));
    let local_item = table.get("local_http");
    let local_http = local_item.as_ref().and_then(Item::flag).unwrap_or(false);
    if let Some(item) = local_item.filter(|_| local_http && table.get("tls").is_none()) {
        item.refuse(
            format!("{} means nothing where plain HTTP is taken from everywhere", item.name),
            "add tls = \"1.2\", or take it out",
        );
    }
    Transport { least_tls, local_http }
}

fn session_id_header(table: &Table<'_>, credentials: &[CredentialSource]) -> Option<&'static str> {
    let item = table.get("session_id_header")?;
    let header =
        credential::own_header(&item, "the session's id", "use a header of its own, like \"X-Session-Id\"")?;
    if credentials.iter().any(|source| source.header == header) {
        item.refuse(
            format!("{} is {header:?}, in which a credential stands", item.name),
            "use a header of its own, like \"X-Session-Id\"",
        );
        return None;
    }
    Some(header)
}

/// What can prove who asks in this realm. Sections and headers that are there but cannot be read count, so that
/// one mistake does not make others up.
fn proofs(sources: &Sources, table: &Table<'_>) -> Vec<Proof> {
    let keys = sources.may_have(SourceKind::Key).then_some([Proof::Key, Proof::Publishable]);
    let tokens = table.get("jwt").map(|_| Proof::Jwt);
    let sessions = table.get("link").map(|_| Proof::Session);
    keys.into_iter().flatten().chain(tokens).chain(sessions).collect()
}

/// Notes tokens that have no place to stand in or no issuer, and headers that two things stand in.
fn check_sources(table: &Table<'_>, sources: &Sources, by_cookie: bool, webhooks: &[Named<'_>]) {
    let source = sources.list.iter().find(|source| source.kind == SourceKind::Jwt);
    match (table.get("jwt"), source) {
        (Some(item), None) if !sources.may_have(SourceKind::Jwt) && !by_cookie => item.refuse(
            "the realm has [realm.jwt], but no header that tokens stand in",
            "add one to `credentials`: { header = \"Authorization\", scheme = \"Bearer\", kind = \"jwt\" }; or name a `cookie`",
        ),
        (None, Some(source)) => table.refuse(
            format!("tokens stand in the header {:?}, but the realm has no [realm.jwt]", source.header),
            "add it, with issuer, audience, algorithms and jwks_url",
        ),
        _ => {}
    }
    for Named { webhook, item, .. } in webhooks {
        let header = webhook.map_or("", |webhook| webhook.header);
        if sources.list.iter().any(|source| source.header == header) {
            item.refuse(
                format!(
                    "a webhook's signature stands in the header {header:?}, in which a credential stands"
                ),
                "use a header of its own for one of them",
            );
        }
    }
}

/// Notes what is set up and never asked for.
fn check_use(table: &Table<'_>, routes: &[Route], webhooks: &[Named<'_>]) {
    let takes = |proof| {
        routes.iter().any(|route| matches!(&route.requires, Requirement::Key(key) if key.by.contains(&proof)))
    };
    for (field, proof, word) in [("jwt", Proof::Jwt, "jwt"), ("link", Proof::Session, "session")] {
        if let Some(item) = table.get(field).filter(|_| !takes(proof)) {
            item.refuse(
                format!("the realm has [realm.{field}], but no route takes what it gives"),
                format!("add {word:?} to `by` of a route, or take the section out"),
            );
        }
    }
    let takes_keys = takes(Proof::Key) || takes(Proof::Publishable);
    if let Some(item) = table.get("imported").filter(|_| !takes_keys) {
        item.refuse("the realm has [realm.imported], but no route takes keys", "take it out, or add a route");
    }
    if let Some(item) = table.get("configured_key").filter(|_| !takes(Proof::Key)) {
        item.refuse(
            "the realm has configured keys, but no route takes keys",
            "take them out, or add a route",
        );
    }
    for Named { name, webhook, item } in webhooks {
        let Some(webhook) = webhook else { continue };
        let asks = |route: &Route| matches!(route.requires, Requirement::Webhook(asked) if std::ptr::eq(asked, *webhook));
        if !routes.iter().any(asks) {
            item.refuse(
                format!("no route takes the webhook {name:?}"),
                format!("add one with requires = {{ webhook = {name:?} }}, or take the section out"),
            );
        }
    }
}
