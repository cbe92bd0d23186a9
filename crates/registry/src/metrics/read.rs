//! What a scrape reads, and under which names it shows it.

use keyward_core::{
    sql::{self, Sql, SqlError},
    time::Timestamp,
};

use super::{
    counters::{self, Counter, What},
    exposition::{Exposition, Kind, MEDIA_TYPE, Metric},
};
use crate::{
    change_log, context::RequestContext, handler::HandlerResult, input::Input, outbox, outcome::Outcome,
    principal::Principal, storage, throttle,
};

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, help, labels }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, help, labels }
}

const BUILD: Metric = gauge("keyward_build_info", &["version"], "The version that answers, always 1.");
const POLICY: Metric =
    gauge("keyward_policy_info", &["sha256"], "The hash of the policy's document, always 1.");
const KEYS: Metric =
    gauge("keyward_keys", &["realm", "state"], "Keys, by state. Expired ones are among the active ones.");
const TENANTS: Metric = gauge("keyward_tenants", &["state"], "Tenants, by state.");
const ACCEPTED: Metric = counter(
    "keyward_requests_accepted_total",
    &["realm"],
    "Requests of keys that were let through, as far as they have been reported.",
);
const REFUSED: Metric = counter(
    "keyward_requests_refused_total",
    &["realm", "code"],
    "Requests of keys that were refused, as far as they have been reported.",
);
const UNATTRIBUTED: Metric = counter(
    "keyward_requests_unattributed_total",
    &["realm", "code"],
    "Refused requests that belong to no key, such as guesses, as far as they have been reported.",
);
const ACCEPTED_ON_ROUTE: Metric = counter(
    "keyward_route_requests_accepted_total",
    &["realm", "method", "path"],
    "Requests of keys that were let through, by the route of the policy.",
);
const REFUSED_ON_ROUTE: Metric = counter(
    "keyward_route_requests_refused_total",
    &["realm", "method", "path"],
    "Requests that were refused, with a key or without, by the route of the policy.",
);
const SIGN_IN_FAILURES: Metric =
    counter("keyward_sign_in_failures_total", &[], "Failed attempts to sign in to the admin API.");
const SIGN_IN_WAITS: Metric = gauge(
    "keyward_sign_in_waits",
    &[],
    "Addresses at a network, and sessions, that have to wait after failed attempts.",
);
const OUTBOX: Metric = gauge(
    "keyward_outbox_entries",
    &[],
    "Changes of keys and tenants' pools that are not everywhere yet, or are written once more.",
);
const OUTBOX_AGE: Metric = gauge(
    "keyward_outbox_oldest_age_seconds",
    &[],
    "How long the change of a key has been waiting that has been waiting longest.",
);
const CHANGES: Metric = counter("keyward_changes_total", &[], "The number of the latest change in the log.");
const LAST_CHANGE: Metric = gauge(
    "keyward_last_change_timestamp_seconds",
    &[],
    "When the latest change was made, if the log still has it.",
);
const STORED: Metric = gauge("keyward_storage_bytes", &[], "Size of the registry's database.");
const STORAGE_LIMIT: Metric =
    gauge("keyward_storage_limit_bytes", &[], "Size from which nothing new is stored.");
const USAGE_TAKEN: Metric =
    gauge("keyward_usage_taken", &[], "1 if usage that is reported is taken, 0 if there is no space for it.");

/// Every metric.
pub const METRICS: [Metric; 18] = [
    BUILD,
    POLICY,
    KEYS,
    TENANTS,
    ACCEPTED,
    REFUSED,
    UNATTRIBUTED,
    ACCEPTED_ON_ROUTE,
    REFUSED_ON_ROUTE,
    SIGN_IN_FAILURES,
    SIGN_IN_WAITS,
    OUTBOX,
    OUTBOX_AGE,
    CHANGES,
    LAST_CHANGE,
    STORED,
    STORAGE_LIMIT,
    USAGE_TAKEN,
];

/// The states of keys, and of tenants.
const KEY_STATES: [&str; 3] = ["active", "paused", "revoked"];
const TENANT_STATES: [&str; 2] = ["active", "inactive"];

/// `GET /metrics`
pub fn show(context: &mut RequestContext<'_>, _: &Principal, _: &str) -> HandlerResult {
    Input::query(&context.call.query, &[]).finish()?;
    let (db, policy, now) = (context.db, context.policy, context.now);
    let mut text = Exposition::default();
    let mut one = |metric: &Metric, value: u64| text.add(metric, [(Vec::new(), value)]);
    let sign_ins = counters::read(db, What::SignIn)?;
    one(&SIGN_IN_FAILURES, sign_ins.first().map_or(0, |counter| counter.count));
    one(&SIGN_IN_WAITS, throttle::waiting(db, now)?);
    let backlog = outbox::backlog(db, now)?;
    one(&OUTBOX, backlog.entries);
    one(&OUTBOX_AGE, seconds(backlog.oldest.ms()));
    let (changes, changed_at) = change_log::latest(db)?;
    one(&CHANGES, changes);
    one(&STORED, db.size()?);
    one(&STORAGE_LIMIT, policy.admin.storage);
    one(&USAGE_TAKEN, storage::has_space(db, policy)?.into());
    text.add(&LAST_CHANGE, changed_at.map(|Timestamp(at)| (Vec::new(), seconds(at))));

    text.add(&BUILD, [(vec![env!("CARGO_PKG_VERSION")], 1)]);
    text.add(&POLICY, [(vec![policy.sha256.0], 1)]);
    let realms = policy.realms.iter().map(|realm| realm.id);
    let keys = state_counts(db, "key", &KEY_STATES, realms.clone())?;
    text.add(&KEYS, keys.iter().map(|it| (vec![it.realm.as_str(), &it.state], it.count)));
    let tenants = state_counts(db, "tenant", &TENANT_STATES, [""].into_iter())?;
    text.add(&TENANTS, tenants.iter().map(|it| (vec![it.state.as_str()], it.count)));

    let of_realms = |mut counters: Vec<Counter>| {
        for realm in realms.clone() {
            if !counters.iter().any(|counter| counter.realm == realm) {
                counters.push(Counter { realm: realm.to_owned(), name: String::new(), count: 0 });
            }
        }
        counters
    };
    let accepted = of_realms(counters::read(db, What::Accepted)?);
    text.add(&ACCEPTED, accepted.iter().map(|it| (vec![it.realm.as_str()], it.count)));
    let refused = counters::read(db, What::Refused)?;
    text.add(&REFUSED, refused.iter().map(|it| (vec![it.realm.as_str(), &it.name], it.count)));
    let unattributed = counters::read(db, What::Unattributed)?;
    text.add(&UNATTRIBUTED, unattributed.iter().map(|it| (realm_and_code(it).to_vec(), it.count)));
    for (metric, what) in
        [(&ACCEPTED_ON_ROUTE, What::AcceptedOnRoute), (&REFUSED_ON_ROUTE, What::RefusedOnRoute)]
    {
        let routes = counters::read(db, what)?;
        text.add(metric, routes.iter().map(|it| (on_route(it), it.count)));
    }
    Ok(Outcome::text(MEDIA_TYPE, text.into_text()))
}

/// Of what belongs to no key: the name has both, as it is told (`limits::tally`).
fn realm_and_code(counter: &Counter) -> [&str; 2] {
    let (realm, code) = counter.name.rsplit_once(' ').unwrap_or(("", &counter.name));
    [realm, code]
}

/// Realm, method and path.
fn on_route(counter: &Counter) -> Vec<&str> {
    let (method, path) = counter.name.split_once(' ').unwrap_or(("", &counter.name));
    vec![&counter.realm, method, path]
}

fn seconds(ms: i64) -> u64 {
    u64::try_from(ms / 1_000).unwrap_or_default()
}

/// How many there are in a state.
struct StateCount {
    realm: String,
    state: String,
    count: u64,
}

keyward_core::from_row!(StateCount { realm, state, count });

/// How many there are in each of these states, in these realms at least.
fn state_counts<'r>(
    db: &dyn Sql,
    what: &str,
    states: &[&str],
    realms: impl Iterator<Item = &'r str>,
) -> Result<Vec<StateCount>, SqlError> {
    let counts = "SELECT realm, state, MAX(count, 0) AS count FROM state_counts WHERE what = ?
        ORDER BY realm, state";
    let mut counts = sql::query::<StateCount>(db, counts, &[what.into()])?;
    for realm in realms {
        for state in states {
            if !counts.iter().any(|it| it.realm == realm && it.state == *state) {
                counts.push(StateCount { realm: realm.to_owned(), state: (*state).to_owned(), count: 0 });
            }
        }
    }
    Ok(counts)
}
