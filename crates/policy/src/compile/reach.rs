//! Realms, paths and routes that no request can reach, which only a comparison of the parts finds. Such a part does
//! nothing, while its author believes that it does.

use super::{admin::UNREAD, mistake::Place, realm::Draft, report::Report};
use crate::model::{Admin, HostPattern, PathPattern, Realm, Route};

/// Notes every such mistake.
pub(super) fn check(admin: &Admin, drafts: &[Draft], report: &Report) {
    let own = own_paths(admin);
    for (index, draft) in drafts.iter().enumerate() {
        let earlier = drafts.get(..index).unwrap_or_default();
        check_id(draft, earlier, report);
        if draft.whole {
            check_realm(draft, earlier, report);
            check_paths(draft, &own, report);
            check_routes(draft, &own, report);
            check_jwks_path(draft, &own, report);
        }
    }
}

/// Paths that the gate answers itself, before any realm is asked.
fn own_paths(admin: &Admin) -> Vec<PathPattern> {
    let below = |base: &str| [base.to_owned(), format!("{base}/*")];
    let bases = [admin.api, admin.page].into_iter().filter(|base| *base != UNREAD);
    let paths = Admin::HEALTH.map(str::to_owned).into_iter().chain(bases.flat_map(below));
    paths.filter_map(|path| PathPattern::parse(&path).ok()).collect()
}

fn check_id(draft: &Draft, earlier: &[Draft], report: &Report) {
    let id = draft.realm.id;
    if let Some(first) = earlier.iter().find(|first| first.realm.id == id && !id.is_empty()) {
        report.add(
            &draft.id_place,
            format!(
                "the realm id {id:?} is there twice, first on {}",
                first.id_place.seen_from(&draft.id_place)
            ),
            "give each realm an id of its own: keys belong to a realm by its id",
        );
    }
}

/// A realm is dead when each of its hosts with each of its paths belongs to an earlier realm.
fn check_realm(draft: &Draft, earlier: &[Draft], report: &Report) {
    let taker = |host: &HostPattern, path: &PathPattern| {
        earlier.iter().find(|first| first.whole && takes(&first.realm, host, path))
    };
    let realm = &draft.realm;
    let pairs = realm.hosts.iter().flat_map(|host| realm.paths.iter().map(move |path| (host, path)));
    let takers: Option<Vec<&Draft>> = pairs.map(|(host, path)| taker(host, path)).collect();
    if let Some(first) = takers.as_deref().and_then(<[_]>::first) {
        report.add(
            &draft.place,
            format!(
                "the realm {:?} is never reached: the realm {:?} on {} takes its hosts and paths",
                realm.id,
                first.realm.id,
                first.place.seen_from(&draft.place)
            ),
            "the first realm that matches takes the request: put the narrower one first, or change hosts or paths",
        );
    }
}

fn takes(realm: &Realm, host: &HostPattern, path: &PathPattern) -> bool {
    realm.hosts.iter().any(|pattern| pattern.covers(host))
        && realm.paths.iter().any(|pattern| pattern.covers(path))
}

fn check_paths(draft: &Draft, own: &[PathPattern], report: &Report) {
    for (path, place) in draft.realm.paths.iter().zip(&draft.path_places) {
        let source = path.source;
        if looks_like_key(&draft.realm, path) {
            refuse_key(path, place, report);
        } else if own.iter().any(|own| own.covers(path) || own.as_read().covers(path.as_read())) {
            report.add(
                place,
                format!("the realm's path {source:?} is never reached: the gate answers there itself"),
                "choose another path, or move the admin side: see [admin]",
            );
        } else if !draft.realm.routes.iter().any(|route| route.path.overlaps(path)) {
            report.add(
                place,
                format!("the realm's path {source:?} has no route, so every request there is refused"),
                "add a [[realm.route]] for it, or take the path out",
            );
        }
    }
}

/// A path of keys on which the gate answers something else, and a route that would be for that path alone.
fn check_jwks_path(draft: &Draft, own: &[PathPattern], report: &Report) {
    let (Some(identity), Some(place)) = (&draft.realm.identity, &draft.jwks_place) else { return };
    let path = identity.jwks_path;
    if own.iter().any(|own| own.matches(path)) {
        report.add(
            place,
            format!("[realm.identity] jwks_path {path:?} is one on which the gate answers something else"),
            "choose another path, or move the admin side: see [admin]",
        );
    }
    let routes = draft.realm.routes.iter().zip(&draft.route_places);
    for (route, place) in routes.filter(|(route, _)| route.path.source == path) {
        report.add(
            place,
            format!("the route {:?} is never reached: the gate answers there itself", route.path.source),
            "take it out, or choose another `jwks_path` in [realm.identity]",
        );
    }
}

/// Whether no request to this path gets past the look for keys in its URL. Where keys have a checksum, what
/// only has their form passes.
fn looks_like_key(realm: &Realm, path: &PathPattern) -> bool {
    realm.key.checksum == 0 && realm.key.appears_in(path.source, None)
        || realm.imported.is_some_and(|format| format.appears_in(path.source))
}

fn refuse_key(path: &PathPattern, place: &Place, report: &Report) {
    // As a key in the policy it is refused already.
    if !report.has_refused_key_in(path.source) {
        report.has_refused_key(path.source);
        report.add(
            place,
            "the path has the form of a key of this realm, so every request there is refused",
            "choose another path: a key in a URL ends in logs; if it is a key, revoke it",
        );
    }
}

fn check_routes(draft: &Draft, own: &[PathPattern], report: &Report) {
    let realm = &draft.realm;
    for (index, (route, place)) in realm.routes.iter().zip(&draft.route_places).enumerate() {
        let source = route.path.source;
        if looks_like_key(realm, &route.path) {
            refuse_key(&route.path, place, report);
            continue;
        }
        if !realm.paths.iter().any(|path| path.overlaps(&route.path)) {
            let paths: Vec<String> = realm.paths.iter().map(|path| format!("{:?}", path.source)).collect();
            report.add(
                place,
                format!("the route {source:?} is outside the realm's paths, so no request reaches it"),
                format!("the realm's paths are {}: change the route, or add a path", paths.join(", ")),
            );
            continue;
        }
        if own.iter().any(|own| own.covers(&route.path) || own.as_read().covers(route.path.as_read())) {
            report.add(
                place,
                format!("the route {source:?} is never reached: the gate answers there itself"),
                "take it out, or move the admin side: see [admin]",
            );
            continue;
        }
        let others = realm.routes.iter().zip(&draft.route_places).enumerate();
        let covering = others.filter(|(other, (first, _))| *other != index && first.path.covers(&route.path));
        let (earlier, later): (Vec<_>, Vec<_>) = covering.partition(|(other, _)| *other < index);
        let takers: Vec<_> = earlier.into_iter().map(|(_, taker)| taker).collect();
        // HEAD goes where GET goes.
        let reads = |route: &Route| route.methods().contains(&"GET");
        let mut later = later.into_iter().map(|(_, taker)| taker);
        let reader = later.find(|(other, _)| reads(other) && !reads(route));
        check_methods(route, place, &takers, reader, report);
        check_readings(draft, index, report);
    }
}

/// A route is dead when each of its paths is, to a server that ignores case and the like, one of another route that
/// asks for something else: such requests are refused.
fn check_readings(draft: &Draft, index: usize, report: &Report) {
    let routes = || draft.realm.routes.iter().zip(&draft.route_places).enumerate();
    let Some((_, (route, place))) = routes().nth(index) else { return };
    let read = route.path.as_read();
    let is_same = |number: usize, other: &Route| {
        let theirs = other.path.as_read();
        !other.asks_the_same(route)
            && !other.path.overlaps(&route.path)
            && route.methods().iter().all(|method| other.methods().contains(method))
            && theirs.covers(read)
            // Once for both.
            && (number < index || !read.covers(theirs))
    };
    if let Some((_, (other, line))) = routes().find(|(number, (other, _))| is_same(*number, other)) {
        let (source, theirs) = (route.path.source, other.path.source);
        report.add(
            place,
            format!(
                "the route {source:?} is never reached: to servers that ignore case, a slash at the end and the like \
                 it is the route {theirs:?} on {}, which asks for something else",
                line.seen_from(place)
            ),
            "let both ask for the same, or give one of them another path",
        );
    }
}

/// A route is dead for a method that an earlier route, whose path covers its own, already takes; and for HEAD where
/// another one takes GET there.
fn check_methods(
    route: &Route,
    place: &Place,
    takers: &[(&Route, &Place)],
    reader: Option<(&Route, &Place)>,
    report: &Report,
) {
    let source = route.path.source;
    if let Some((first, line)) = takers.iter().find(|(first, _)| first.is_guarded())
        && route.is_open_to_usual()
    {
        report.add(
            place,
            format!(
                "the route {source:?} is never reached: the route {:?} on {} guards its paths, and a route without methods that \
                 anybody passes opens none of them",
                first.path.source,
                line.seen_from(place)
            ),
            "name the methods that it is for",
        );
        return;
    }
    let takes = |method: &str, first: &Route| {
        first.methods().contains(&method) || method == "HEAD" && first.methods().contains(&"GET")
    };
    let taker = |method: &&str| {
        let taker = takers.iter().copied().find(|(first, _)| takes(method, first));
        taker.or_else(|| reader.filter(|_| *method == "HEAD"))
    };
    let mut dead: Vec<_> =
        route.methods().iter().filter_map(|method| Some((*method, taker(method)?))).collect();
    if route.methods.is_empty() && dead.len() < route.methods().len() {
        // It is for what is left.
        dead.clear();
    }
    let Some((method, (first, first_place))) = dead.first() else { return };
    let hint = if first.methods().contains(method) {
        "the first route that matches takes the request: put the narrower one first, or take one out"
    } else {
        "HEAD goes where GET goes: add HEAD to that route's methods, and take it out here"
    };
    let line = first_place.seen_from(place);
    if first.path == route.path && first.methods == route.methods {
        report.add(
            place,
            format!("the route {source:?} is there twice, first on {line}"),
            "take one of them out",
        );
    } else if dead.len() == route.methods().len() {
        report.add(
            place,
            format!(
                "the route {source:?} is never reached: the route {:?} on {line} takes it",
                first.path.source
            ),
            hint,
        );
    } else {
        let methods: Vec<&str> = dead.iter().map(|(method, _)| *method).collect();
        report.add(
            place,
            format!(
                "the route {source:?} is never reached with {}: the route {:?} on {line} takes it",
                methods.join(", "),
                first.path.source
            ),
            hint,
        );
    }
}
