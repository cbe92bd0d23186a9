//! Usage by route and day: of a tenant, of all, and of what belongs to no key. Reports have the totals of an hour, as for
//! [keys](super::report): of what is known of that hour, the difference is added to the day.

use keyward_core::{
    sql::{self, Sql, SqlError},
    time::{DAY, Span, Timestamp},
};
use keyward_limits::{
    routes::{OTHER, OnRoutes, RouteCounts, RouteName},
    wire::{UNATTRIBUTED, UsageHour},
};
use serde_json::{Map, Value};

use super::{retention::ROWS_AT_ONCE, totals::DEPLOYMENT};
use crate::{
    context::RequestContext,
    handler::HandlerResult,
    input::{self, Input},
    metrics::counters::{self, What},
    outcome::Outcome,
    principal::{Principal, Right},
    to_json::object,
};

/// How many days can be asked for; older ones are removed.
pub const DAYS_KEPT: u32 = 30;
/// Of an hour that begins longer ago than this, nothing more is taken …
const TAKEN: Span = Span::from_days(1);
/// … and what is known of it is forgotten after this.
const FORGOTTEN: Span = Span::from_days(2);
/// Most routes that a tenant has in a day. Further ones count together.
const MOST_OF_DAY: u32 = 500;

/// Takes in what a report says of an hour of which there is a row.
///
/// # Errors
/// What SQLite says.
pub fn take(
    db: &dyn Sql,
    tenant_id: &str,
    key_id: &str,
    told: &UsageHour,
    now: Timestamp,
) -> Result<(), SqlError> {
    if told.routes.is_empty() || told.hour < now - TAKEN {
        return Ok(());
    }
    let known = "SELECT COALESCE(routes, '{}') FROM usage WHERE key_id = ? AND hour = ?";
    let known = sql::scalar::<String>(db, known, &[key_id.into(), told.hour.into()])?;
    let known: OnRoutes = known.and_then(|known| keyward_json::from_str(&known).ok()).unwrap_or_default();
    let mut all = known.clone();
    grow(&mut all.accepted, &told.routes.accepted);
    grow(&mut all.refused, &told.routes.refused);
    grow(&mut all.taken_back, &told.routes.taken_back);
    if all == known {
        return Ok(());
    }
    let put = "UPDATE usage SET routes = ? WHERE key_id = ? AND hour = ?";
    let text = serde_json::to_string(&all).unwrap_or_default();
    db.run(put, &[text.into(), key_id.into(), told.hour.into()])?;
    // Refusals of no key are apart: they are no tenant's.
    let of_all = (tenant_id != UNATTRIBUTED).then_some(DEPLOYMENT);
    count_more(db, &known, &all, now)?;
    let refused_only = all.refused.keys().filter(|name| !all.accepted.contains_key(*name));
    for name in all.accepted.keys().chain(refused_only) {
        let accepted = net(&all, name) - net(&known, name);
        let refused = count(&all.refused, name) - count(&known.refused, name);
        if accepted != 0 || refused != 0 {
            for tenant_id in [tenant_id].into_iter().chain(of_all) {
                add(db, (tenant_id, told.hour.floor(DAY), name), accepted, refused)?;
            }
        }
    }
    Ok(())
}

/// Counts what `all` has beyond `known`.
fn count_more(db: &dyn Sql, known: &OnRoutes, all: &OnRoutes, now: Timestamp) -> Result<(), SqlError> {
    for (what, known, all) in [
        (What::AcceptedOnRoute, &known.accepted, &all.accepted),
        (What::RefusedOnRoute, &known.refused, &all.refused),
    ] {
        for (route, count) in all {
            let more = count.saturating_sub(known.get(route).copied().unwrap_or_default());
            let (realm, name) = route.split_once(' ').unwrap_or(("", counters::OTHER));
            counters::add(db, (what, realm, name), more, now)?;
        }
    }
    Ok(())
}

/// Adds to a day of a tenant.
fn add(
    db: &dyn Sql,
    (tenant_id, day, name): (&str, Timestamp, &str),
    accepted: i64,
    refused: i64,
) -> Result<(), SqlError> {
    let put = "UPDATE usage_routes SET accepted = accepted + ?, refused = refused + ?
        WHERE tenant_id = ? AND day = ? AND route = ? RETURNING 1";
    let values = |name: &str| [accepted.into(), refused.into(), tenant_id.into(), day.into(), name.into()];
    if !db.run(put, &values(name))?.is_empty() {
        return Ok(());
    }
    let known = "SELECT COUNT(*) FROM usage_routes WHERE tenant_id = ? AND day = ?";
    let known = sql::scalar::<u32>(db, known, &[tenant_id.into(), day.into()])?.unwrap_or_default();
    if known >= MOST_OF_DAY && name != OTHER {
        return add(db, (tenant_id, day, OTHER), accepted, refused);
    }
    let new = "INSERT INTO usage_routes (accepted, refused, tenant_id, day, route) VALUES (?, ?, ?, ?, ?)";
    db.run(new, &values(name)).map(drop)
}

/// Takes in other totals. They only grow: of two the larger number is the later one.
fn grow(known: &mut RouteCounts, told: &RouteCounts) {
    for (name, told) in told {
        let known = known.entry(name.clone()).or_default();
        *known = (*known).max(*told);
    }
}

fn count(counts: &RouteCounts, name: &str) -> i64 {
    counts.get(name).map_or(0, |count| i64::try_from(*count).unwrap_or(i64::MAX))
}

/// How many have passed.
fn net(counts: &OnRoutes, name: &str) -> i64 {
    (count(&counts.accepted, name) - count(&counts.taken_back, name)).max(0)
}

/// Removes what is too old, a few rows at a time.
///
/// # Errors
/// What SQLite says.
pub fn remove_old(db: &dyn Sql, now: Timestamp) -> Result<(), SqlError> {
    let hours = "UPDATE usage SET routes = NULL WHERE rowid IN
        (SELECT rowid FROM usage WHERE routes IS NOT NULL AND hour < ? LIMIT ?)";
    db.run(hours, &[(now - FORGOTTEN).into(), ROWS_AT_ONCE.into()])?;
    let days =
        "DELETE FROM usage_routes WHERE rowid IN (SELECT rowid FROM usage_routes WHERE day < ? LIMIT ?)";
    db.run(days, &[first_day(DAYS_KEPT, now).into(), ROWS_AT_ONCE.into()])?;
    Ok(())
}

/// The first of the latest days, today among them.
fn first_day(days: u32, now: Timestamp) -> Timestamp {
    now.floor(DAY) - DAY * (i64::from(days) - 1)
}

struct Total {
    route: String,
    accepted: i64,
    refused: i64,
    unattributed: i64,
}

keyward_core::from_row!(Total { route, accepted, refused, unattributed });

/// `GET /usage/routes`
pub fn show(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let mut query = Input::query(&context.call.query, &["days", "scope"]);
    let days = query.optional("days", |value| input::whole_text(value, 1, DAYS_KEPT)).unwrap_or(7);
    let tenant_id = principal.tenant_id();
    let scope = query.optional("scope", |value| {
        input::one_of(
            value,
            &[("tenant", [tenant_id, tenant_id]), ("deployment", [DEPLOYMENT, UNATTRIBUTED])],
        )
    });
    query.finish()?;
    let [of, other] = scope.unwrap_or([tenant_id, tenant_id]);
    let is_all = of == DEPLOYMENT;
    if is_all {
        principal.require(Right::Tenants)?;
    }
    let from = first_day(days, context.now);
    let totals = "SELECT route, SUM(iif(tenant_id = ?, accepted, 0)) AS accepted,
            SUM(iif(tenant_id = ?, refused, 0)) AS refused, SUM(iif(tenant_id = ?, 0, refused)) AS unattributed
        FROM usage_routes WHERE tenant_id IN (?, ?) AND day >= ? GROUP BY route";
    let values = [of.into(), of.into(), of.into(), of.into(), other.into(), from.into()];
    let (mut routes, mut others) = (Vec::<Value>::new(), Map::new());
    for Total { route, accepted, refused, unattributed } in sql::query::<Total>(context.db, totals, &values)?
    {
        let mut total = Map::new();
        for (field, count) in [("accepted", accepted), ("refused", refused), ("unattributed", unattributed)] {
            total.insert(field.to_owned(), count.max(0).into());
        }
        if !is_all {
            total.remove("unattributed");
        }
        let Some(RouteName { realm, method, path }) = RouteName::read(&route) else {
            others = total;
            continue;
        };
        for (field, text) in [("realm", realm), ("method", method), ("path", path)] {
            total.insert(field.to_owned(), text.into());
        }
        routes.push(total.into());
    }
    let others = (!others.is_empty()).then_some(Value::Object(others));
    Ok(Outcome::ok(object!({ "from": from.to_rfc3339(), "routes": routes, "others": others })))
}
