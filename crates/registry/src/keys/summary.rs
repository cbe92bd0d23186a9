//! How many keys there are of each kind that somebody looks after: in one pass over one index.

use keyward_core::{sql::Value as Bound, time::Span};

use crate::{
    context::RequestContext,
    handler::HandlerResult,
    input::Input,
    keys::filter::{FILTERS, Filter},
    outcome::Outcome,
    principal::Principal,
    to_json::object,
};

/// A key that expires within this time is said to be expiring.
const EXPIRING: Span = Span::from_days(30);
/// The name of each count, and the filter of the list that finds what is counted. `?` is [`EXPIRING`] from now.
pub const COUNTS: [(&str, &str); 8] = [
    ("active", "status=ACTIVE"),
    ("paused", "status=PAUSED"),
    ("expired", "status=EXPIRED"),
    ("revoked", "status=REVOKED"),
    ("expiring", "status=ACTIVE&expiresBefore=?"),
    ("unused", "status=ACTIVE&unusedDays=90"),
    ("rotating", "rotating=true"),
    ("nearLimit", "nearLimit=true"),
];

/// `GET /api-keys/summary`
pub fn show(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let tenant_id = principal.tenant_id();
    let mut query = Input::query(&context.call.query, &["realm"]);
    let of = Filter::read(context, tenant_id, &mut query);
    query.finish()?;
    let soon = (context.now + EXPIRING).to_rfc3339();
    let (mut counts, mut values) = (String::new(), Vec::<Bound>::new());
    for (name, filter) in COUNTS {
        let mut filter = Input::query(&filter.replace('?', &soon), &FILTERS);
        let (condition, bound) = Filter::read(context, tenant_id, &mut filter).narrows();
        counts += &format!(", COUNT(*) FILTER (WHERE {condition}) AS {name}");
        values.extend(bound);
    }
    let (condition, bound) = of.condition();
    values.extend(bound);
    let statement =
        format!("SELECT COUNT(*) AS total{counts} FROM keys INDEXED BY keys_to_filter WHERE {condition}");
    let summary = context.db.run(&statement, &values)?.into_iter().next();
    Ok(Outcome::ok(object!({ "summary": summary })))
}
