//! `[[realm.route]]`: methods, path, and what is required.

use super::{
    credential::header_name,
    field_names::is_reserved,
    mistake::Place,
    nearest::did_you_mean,
    origin::binding_name,
    plan,
    reader::{Item, Table},
    scopes::Catalogue,
    webhook::Named,
};
use crate::{
    leak::leak,
    method::{NAMED, USUAL},
    model::{
        Budget, Cost, KeyRequirement, Limits, NetworkLimit, PathPattern, Proof, Requirement, Route, Segment,
        Webhook,
    },
    path::BadPattern,
    scope::is_held_form,
    span::Span,
};

/// What a realm has that its routes may ask for.
pub(super) struct RealmParts<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) webhooks: &'a [Named<'a>],
    /// What can prove who asks.
    pub(super) proofs: &'a [Proof],
    /// What is asked for where a route names no plan.
    pub(super) plans: &'static [&'static str],
    /// Whether a key and a token can stand in one request.
    pub(super) takes_both: bool,
    /// Whether there is a header for the session's id.
    pub(super) session_ids: bool,
    /// The realm's, which is what the admin API promises; `None` where it cannot be read.
    pub(super) freshness: Option<Span>,
    /// `None` where they cannot be read.
    pub(super) limits: Option<Limits>,
}

/// The routes of a realm.
pub(super) struct Drafts {
    pub(super) routes: Vec<Route>,
    /// Where the path of each stands in the file.
    pub(super) places: Vec<Place>,
    /// Whether none is missing because its path or methods cannot be read.
    pub(super) whole: bool,
    /// Whether the requirements of all of them could be read.
    pub(super) requirements_known: bool,
}

/// Reads every route of a realm.
pub(super) fn read(realm: &Table<'_>, parts: &RealmParts<'_>) -> Drafts {
    const EXAMPLE: &str =
        "[[realm.route]] with path = \"/api/*\" and requires = { scopes = [\"orders:read\"] }";
    let list = realm.need("route", EXAMPLE).and_then(|item| item.items(EXAMPLE));
    let drafts: Vec<_> = list.iter().flatten().map(|item| one(item, parts)).collect();
    let whole = list.is_some() && drafts.iter().all(Option::is_some) && realm.is_whole("route");
    let mut requirements_known = whole;
    let (mut routes, mut places) = (Vec::new(), Vec::new());
    for (route, place, is_known) in drafts.into_iter().flatten() {
        routes.push(route);
        places.push(place);
        requirements_known &= is_known;
    }
    Drafts { routes, places, whole, requirements_known }
}

/// A route, where its path stands, and whether its requirement could be read.
fn one(item: &Item<'_>, parts: &RealmParts<'_>) -> Option<(Route, Place, bool)> {
    let table = item.table("[[realm.route]]")?;
    let methods = methods(&table);
    let path_item = table.need("path", "path = \"/api/orders*\"");
    let path = path_item.as_ref().and_then(path);
    let requirement = RequirementReader { path: path.map_or("", |path| path.source), parts };
    let required = table
        .need("requires", "requires = { scopes = [\"orders:read\"] }, or \"public\" for nothing")
        .and_then(|item| requirement.read(&item));
    let freshness = freshness(&table, parts.freshness);
    let limit_by_network = table.get("limit_by_network").and_then(|item| {
        let is_for_keys = required.as_ref().is_some_and(|it| !it.requires.admits_anybody());
        network_limit(&item, path.filter(|_| is_for_keys))
    });
    let is_known = required.is_some();
    let Required { mut requires, session_id } = required
        .unwrap_or(Required { requires: Requirement::Key(KeyRequirement::ANY_KEY), session_id: false });
    let name = path.map_or("", |path| path.source);
    let budget_item = table.get("budget");
    match (table.get("cost"), &budget_item) {
        (Some(item), None) => cost(&item, item.number("units"), &mut requires, name, parts.limits),
        (Some(item), Some(_)) => item.refuse(
            format!("route {name:?} has a cost and a budget"),
            "take the cost out: what a budget reserves is what a request costs at most",
        ),
        (None, _) => {}
    }
    if let Some(item) = budget_item {
        budget(&item, &mut requires, name, parts.limits);
    }
    let route = Route { methods: methods?, path: path?, requires, session_id, freshness, limit_by_network };
    Some((route, path_item?.place(), is_known))
}

/// A route's own freshness. It cannot be longer than the realm's, which people are promised.
fn freshness(table: &Table<'_>, realms: Option<Span>) -> Option<Span> {
    let item = table.get("freshness")?;
    let own = item.span()?;
    if realms.is_some_and(|realms| own > realms) {
        item.refuse(
            format!("{} is longer than the realm's freshness", item.name),
            "make it shorter: revocations are promised to hold everywhere within the realm's",
        );
    }
    Some(own)
}

/// What a request counts as in each limit of its key, none of which may be smaller.
fn cost(item: &Item<'_>, units: Option<u32>, requires: &mut Requirement, path: &str, limits: Option<Limits>) {
    let cost = units.map(Cost::new);
    match requires {
        Requirement::Key(key) if key.by.iter().any(|by| matches!(by, Proof::Key | Proof::Publishable)) => {
            key.cost = cost.unwrap_or_default();
            let all = limits.iter().flat_map(|all| [("default", &all.default), ("maximum", &all.maximum)]);
            let too_low = all
                .flat_map(|(kind, windows)| windows.set().map(move |(window, limit)| (kind, window, limit)))
                .find(|(.., limit)| *limit < key.cost.units());
            if let Some((kind, window, limit)) = too_low {
                let (costs, the_cost) = match item.name.ends_with("budget") {
                    true => ("reserves", "what it reserves"),
                    false => ("costs", "the cost"),
                };
                item.refuse(
                    format!(
                        "route {path:?} {costs} {}, but the {kind} limit {} is {limit}, so no request would ever fit",
                        key.cost.units(),
                        window.setting(),
                    ),
                    format!("lower {the_cost}, or raise the limit in [realm.limits]"),
                );
            }
        }
        _ => item.refuse(
            format!("{} means nothing on route {path:?}, which takes no API key", item.name),
            "take it out: it counts in the limits of API keys, and nothing else has these",
        ),
    }
}

/// A budget: what it reserves is the cost, of which the origin says later what was used.
fn budget(item: &Item<'_>, requires: &mut Requirement, path: &str, limits: Option<Limits>) {
    let Some(table) = item.table("{ reserve = 4000, header = \"X-Tokens-Used\" }") else { return };
    let reserve = table.need("reserve", "reserve = 4000").and_then(|item| item.number("units"));
    let header_item = table.get("header");
    let call_item = table.get("call");
    let call = call_item.as_ref().is_some_and(|item| item.flag().unwrap_or(true));
    if header_item.is_none() && !call {
        item.refuse(
            format!("{} of route {path:?} is never settled", item.name),
            "add header = \"X-Tokens-Used\", or call = true",
        );
    }
    let header = header_item.and_then(|item| answer_header(&item));
    let within = table.get("within").and_then(|item| item.span()).unwrap_or(WITHIN);
    cost(item, reserve, requires, path, limits);
    if let Requirement::Key(key) = requires {
        key.budget = Some(Budget { header, call, within });
    }
}

/// A header of the origin's own, since the client does not get it.
fn answer_header(item: &Item<'_>) -> Option<&'static str> {
    let header = header_name(item)?;
    if is_reserved(header) {
        item.refuse(
            format!("{} is {header:?}, which has another meaning", item.name),
            "name one of the origin's own, like \"X-Tokens-Used\"",
        );
        return None;
    }
    Some(header)
}

/// Within this time the answer says what its request used.
const WITHIN: Span = Span::from_mins(5);
/// The longest such time, and the most that a budget may reserve.
pub(super) const MAX_WITHIN: Span = Span::from_hours(1);
pub(super) const MAX_RESERVE: u32 = 10_000_000;

/// The highest cost that a route may have.
pub(super) const MAX_COST: u32 = 10_000;

/// A limit by network. It counts who shows nothing: `for_keys` is the path of a route on which nobody may.
fn network_limit(item: &Item<'_>, for_keys: Option<PathPattern>) -> Option<NetworkLimit> {
    const EXAMPLE: &str = "{ binding = \"ANYBODY\" }";
    if let Some(path) = for_keys {
        item.refuse(
            format!("{} means nothing on route {:?}, where nobody passes without a credential", item.name, path.source),
            "take it out: [realm.limits] limits keys; or let a credential be optional there: requires = { …, optional = true }",
        );
    }
    let table = item.table(EXAMPLE)?;
    let period = table.get("period").and_then(|item| item.choice(&PERIODS)).unwrap_or(Span::from_secs(60));
    let item = table.need("binding", "binding = \"ANYBODY\"")?;
    let binding = binding_name(&item, "\"ANYBODY\"")?;
    if OWN_BINDINGS.contains(&binding) {
        item.refuse(
            format!("{} is {binding:?}, a binding of the gate's own", item.name),
            "add another [[ratelimits]] to wrangler.toml, like \"ANYBODY\", with a namespace_id of its own",
        );
    }
    Some(NetworkLimit { binding, period })
}

/// Those that Cloudflare's limiter has.
pub(super) const PERIODS: [(&str, Span); 2] = [("10s", Span::from_secs(10)), ("60s", Span::from_secs(60))];
/// Bindings that every deployment has for other things.
const OWN_BINDINGS: [&str; 6] = ["FAILURES", "KEYS", "REGISTRY", "KEY_GATE", "RELAY", "ADMIN"];

/// Reads a path pattern.
pub(super) fn path(item: &Item<'_>) -> Option<PathPattern> {
    let text = item.text("\"/api/orders*\"")?;
    PathPattern::parse(text)
        .map_err(|BadPattern { wrong, hint }| item.refuse(format!("the path pattern {text:?} {wrong}"), hint))
        .ok()
}

/// What two patterns have in common that match the same paths: the names of their parameters make no difference.
pub(super) fn path_form(text: &str) -> String {
    PathPattern::parse(text).map_or_else(
        |_| text.to_owned(),
        |pattern| {
            let nameless = pattern.segments.iter().map(|segment| match segment {
                Segment::Literal(text) => (*text).to_owned(),
                Segment::Parameter(_) => "{}".to_owned(),
                Segment::Affixed { before, after, .. } => format!("{before}{{}}{after}"),
            });
            format!("{:?}{:?}", nameless.collect::<Vec<_>>(), pattern.tail)
        },
    )
}

/// The methods, none for the usual ones; `None` where one cannot be read.
fn methods(table: &Table<'_>) -> Option<&'static [&'static str]> {
    const EXAMPLE: &str = "methods = [\"GET\", \"HEAD\"]; without the field the usual methods match";
    let Some(item) = table.get("methods") else { return Some(&[]) };
    // Collected twice so that every method is read, not only those before the first mistake.
    let methods: Vec<_> = item.items(EXAMPLE)?.iter().map(method).collect();
    let methods: Option<Vec<_>> = methods.into_iter().collect();
    methods.map(|methods| &*methods.leak())
}

/// Reads a method.
pub(super) fn method(item: &Item<'_>) -> Option<&'static str> {
    let text = item.text("\"GET\"")?;
    let methods = || USUAL.iter().chain(NAMED).copied();
    let found = methods().find(|method| *method == text);
    if found.is_none() {
        let meant = did_you_mean(text, methods());
        item.refuse(
            format!("{} has {text:?}, which is no method that passes here", item.name),
            format!(
                "{meant}the methods, in upper case, are {}; docs/matching.md has the others, like PROPFIND",
                USUAL.join(", ")
            ),
        );
    }
    found
}

/// What a route requires.
struct Required {
    requires: Requirement,
    session_id: bool,
}

/// Reads what one route requires.
struct RequirementReader<'a> {
    path: &'a str,
    parts: &'a RealmParts<'a>,
}

impl RequirementReader<'_> {
    fn read(&self, item: &Item<'_>) -> Option<Required> {
        const HINT: &str = "write { scopes = […] } for a key that holds every one of these, \"key\" for any key, or \"public\" for nothing";
        let path = self.path;
        let requires = match item.as_text() {
            Some("public") => Requirement::Public,
            Some("key") => {
                self.check_proof(item, Proof::Key);
                Requirement::Key(KeyRequirement { plans: self.parts.plans, ..KeyRequirement::ANY_KEY })
            }
            Some(word) => {
                item.refuse(format!("route {path:?} requires {word:?}, which is not a requirement"), HINT);
                return None;
            }
            None => return self.table(&item.table("{ scopes = [\"orders:read\"] }")?),
        };
        Some(Required { requires, session_id: false })
    }

    fn table(&self, table: &Table<'_>) -> Option<Required> {
        if table.has_none_of_its_fields() {
            if !table.is_empty() {
                return None;
            }
            table.refuse(
                format!("route {:?} requires an empty table, which says nothing", self.path),
                "write \"key\" for any key, \"public\" for nothing, or what is needed: { scopes = [\"orders:read\"] }",
            );
            return None;
        }
        let session_item = table.get("session_id");
        let session_id = session_item.as_ref().and_then(Item::flag).unwrap_or(false);
        if let Some(item) = session_item.filter(|_| session_id && !self.parts.session_ids) {
            item.refuse(
                format!("route {:?} requires a session id, but the realm has no header for it", self.path),
                "add session_id_header = \"X-Session-Id\" to the realm",
            );
        }
        let requires = match table.get("webhook") {
            Some(item) => Requirement::Webhook(self.webhook(table, &item)?),
            None => Requirement::Key(self.key(table)?),
        };
        Some(Required { requires, session_id })
    }

    fn webhook(&self, table: &Table<'_>, item: &Item<'_>) -> Option<&'static Webhook> {
        for field in ["by", "all", "scopes", "plans", "live_only", "optional"] {
            if let Some(item) = table.get(field) {
                item.refuse(
                    format!("{} means nothing beside a webhook, whose sender has no key", item.name),
                    "take it out, or give keys a route of their own",
                );
            }
        }
        let (path, name) = (self.path, item.text("\"stripe\"")?);
        let found = self.parts.webhooks.iter().find(|webhook| webhook.name == name);
        if found.is_none() {
            let meant = did_you_mean(name, self.parts.webhooks.iter().map(|webhook| webhook.name));
            item.refuse(
                format!("route {path:?} requires the webhook {name:?}, which the realm does not have"),
                format!("{meant}add [realm.webhook.{name}] with its scheme and the name of its secret"),
            );
        }
        found?.webhook
    }

    fn key(&self, table: &Table<'_>) -> Option<KeyRequirement> {
        let path = self.path;
        let (by, all) = self.proofs(table)?;
        let mut scopes = Vec::new();
        let scopes_item = table.get("scopes");
        for (item, name) in
            scopes_item.as_ref().and_then(|item| item.texts("[\"orders:read\"]")).unwrap_or_default()
        {
            if let Some(scope) = required_scope(&item, name, path, self.parts.catalogue) {
                scopes.push(scope);
            }
        }
        if let Some(item) = scopes_item.filter(|_| !scopes.is_empty() && by.contains(&Proof::Session)) {
            item.refuse(
                format!("route {path:?} requires scopes of a session, which holds none"),
                "take them out, or give sessions a route of their own",
            );
        }
        let plans_item = table.get("plans");
        let plans = plans_item.as_ref().map_or(self.parts.plans, plans);
        if by.contains(&Proof::Jwt) && !all && !plans.is_empty() {
            let message = format!("route {path:?} requires a plan of a token, which has none");
            let hint =
                "plans are of tenants that have keys: take the plan out, or give tokens a route of their own";
            match plans_item {
                Some(item) => item.refuse(message, hint),
                None => table.refuse(message, hint),
            }
        }
        let live_only = table.get("live_only").and_then(|item| item.flag()).unwrap_or(false);
        // One that cannot be read may be what a limit by network needs.
        let optional = table.get("optional").is_some_and(|item| item.flag().unwrap_or(true));
        Some(KeyRequirement {
            by,
            all,
            scopes: Vec::leak(scopes),
            plans,
            live_only,
            optional,
            cost: Cost::ONE,
            budget: None,
        })
    }

    /// The credentials that are named, and whether all of them are needed.
    fn proofs(&self, table: &Table<'_>) -> Option<(&'static [Proof], bool)> {
        let Some(item) = table.get("all") else { return Some((self.by(table)?, false)) };
        if let Some(item) = table.get("by") {
            item.refuse(
                format!("{} means nothing beside `all`", item.name),
                "take it out: `all` names what has to be there, `by` what may be",
            );
        }
        let all = self.named(&item, "all = [\"key\", \"jwt\"]")?;
        let fits = matches!(
            all,
            [Proof::Key | Proof::Publishable, Proof::Jwt] | [Proof::Jwt, Proof::Key | Proof::Publishable]
        );
        if !fits {
            item.refuse(
                format!("{} is not a key and a token", item.name),
                "write all = [\"key\", \"jwt\"], or \"publishable\" for \"key\"; `by` is for one credential of several kinds",
            );
        } else if !self.parts.takes_both {
            item.refuse(
                format!(
                    "route {:?} takes a key and a token at once, which have no two headers to stand in",
                    self.path
                ),
                "give each a header of its own in `credentials`: { header = \"X-Api-Key\" } for the key",
            );
        }
        Some((all, true))
    }

    fn by(&self, table: &Table<'_>) -> Option<&'static [Proof]> {
        let Some(field) = table.get("by") else {
            self.check_proof_of(table);
            return Some(&[Proof::Key]);
        };
        self.named(&field, "by = [\"key\", \"jwt\"]")
    }

    fn named(&self, field: &Item<'_>, example: &str) -> Option<&'static [Proof]> {
        let mut by: Vec<Proof> = Vec::new();
        let items = field.items(example)?;
        for item in &items {
            let Some(proof) = item.choice(&PROOFS) else { continue };
            self.check_proof(item, proof);
            by.push(proof);
        }
        // What a word that is none was meant for is not known.
        (by.len() == items.len()).then(|| &*by.leak())
    }

    /// Notes that a route takes what nobody can show in this realm.
    fn check_proof(&self, item: &Item<'_>, proof: Proof) {
        if let Some((message, hint)) = self.missing(proof) {
            item.refuse(message, hint);
        }
    }

    fn check_proof_of(&self, table: &Table<'_>) {
        if let Some((message, hint)) = self.missing(Proof::Key) {
            table.refuse(message, hint);
        }
    }

    fn missing(&self, proof: Proof) -> Option<(String, &'static str)> {
        let (what, hint) = match proof {
            _ if self.parts.proofs.contains(&proof) => return None,
            Proof::Key | Proof::Publishable => (
                "keys, but no header of the realm carries one",
                "add one: credentials = [{ header = \"X-Api-Key\" }]",
            ),
            Proof::Jwt => (
                "tokens, but the realm has no [realm.jwt]",
                "add it, and a header with kind = \"jwt\" to `credentials`",
            ),
            Proof::Session => {
                ("sessions, but the realm has no [realm.link]", "add it: a session begins with a link")
            }
        };
        Some((format!("route {:?} takes {what}", self.path), hint))
    }
}

pub(super) const PROOFS: [(&str, Proof); 4] = [
    ("key", Proof::Key),
    ("publishable", Proof::Publishable),
    ("jwt", Proof::Jwt),
    ("session", Proof::Session),
];

/// Reads names of plans.
pub(super) fn plans(item: &Item<'_>) -> &'static [&'static str] {
    let mut names = Vec::new();
    for (item, name) in item.texts("[\"pro\"]").unwrap_or_default() {
        if !plan::is_name(name) {
            item.refuse(
                format!("{} has the plan {name:?}, which is not a name", item.name),
                "write it like \"pro\"",
            );
        }
        names.push(leak(name));
    }
    Vec::leak(names)
}

fn required_scope(item: &Item<'_>, name: &str, path: &str, catalogue: &Catalogue) -> Option<&'static str> {
    if let Some(scope) = catalogue.scopes.iter().find(|scope| scope.name == name) {
        return Some(scope.name);
    }
    if catalogue.may_have(name) && !name.contains('*') {
        return None;
    }
    if name.contains('*') && is_held_form(name) {
        item.refuse(
            format!("route {path:?} requires the wildcard {name:?}, which only keys may hold"),
            "name the scopes that the route needs; a key that holds a wildcard covering them passes",
        );
    } else if catalogue.scopes.is_empty() {
        item.refuse(
            format!("route {path:?} requires the scope {name:?}, but the realm has no scopes"),
            format!("add [realm.scopes] with {name:?} = \"what it allows\""),
        );
    } else {
        let meant = did_you_mean(name, catalogue.scopes.iter().map(|scope| scope.name));
        item.refuse(
            format!("route {path:?} requires the scope {name:?}, which the catalogue does not have"),
            format!("{meant}Scopes are listed under [realm.scopes]."),
        );
    }
    None
}
