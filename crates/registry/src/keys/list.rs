//! Reading keys: the list, newest first, and one of them.

use keyward_core::{
    record::Status,
    sql::{self, Value as Bound},
    time::Span,
};
use serde_json::Value;

use crate::{
    context::RequestContext,
    cursor,
    enum_text::text_of,
    handler::HandlerResult,
    input::{self, Input},
    keys::key::{Key, State},
    outcome::Outcome,
    principal::Principal,
    to_json::object,
};

/// Name of this list in its cursors.
const LIST: &str = "keys";
const FILTERS: [&str; 4] = ["q", "status", "realm", "unusedDays"];
/// Most days without use that can be asked for: ten years.
pub const MOST_UNUSED_DAYS: u32 = 3_660;

/// Whether a query of the list looks for something: it may then go through all of a tenant's keys for one page.
pub fn looks_for_something(query: &str) -> bool {
    let query = Input::query(query, &FILTERS);
    FILTERS.iter().any(|filter| query.has(filter))
}

/// `GET /api-keys/{id}`
pub fn show(context: &mut RequestContext<'_>, principal: &Principal, id: &str) -> HandlerResult {
    let key = context.key(principal, id)?;
    let view = key.view(principal.tenant(), context.policy, context.now);
    Ok(Outcome::ok(object!({ "apiKey": view })).version(key.version))
}

/// `GET /api-keys`
pub fn list(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let tenant_id = principal.tenant_id();
    let known = [&cursor::PARAMETERS[..], &FILTERS[..]].concat();
    let mut query = Input::query(&context.call.query, &known);
    let page = context.page(LIST, tenant_id, &mut query);
    let forms = query.optional("q", |value| input::search(value, 100)).unwrap_or_default();
    let state = query.optional("status", |value| input::one_of_enum(value, &State::ALL));
    let realms: Vec<(&str, &str)> = context.policy.realms.iter().map(|realm| (realm.id, realm.id)).collect();
    let realm = query.optional("realm", |value| input::one_of(value, &realms));
    let unused = query.optional("unusedDays", |value| input::whole_text(value, 1, MOST_UNUSED_DAYS));
    query.finish()?;

    let mut conditions = vec!["tenant_id = ?".to_owned()];
    let mut values: Vec<Bound> = vec![tenant_id.into()];
    if !forms.is_empty() && forms != [""] {
        // Not LIKE, which knows upper and lower case of ASCII only, and has wildcards of its own.
        conditions.push(format!("({})", vec!["instr(search, ?) > 0"; forms.len()].join(" OR ")));
        values.extend(forms.iter().map(|form| Bound::from(form.as_str())));
    }
    let mut add = |condition: &str, value: Option<Bound>| {
        if let Some(value) = value {
            conditions.push(condition.to_owned());
            values.push(value);
        }
    };
    add("realm = ?", realm.map(Bound::from));
    add("number < ?", page.after.map(Bound::from));
    let cutoff = unused.map(|days| context.now - Span::from_days(days.into()));
    add("COALESCE(last_used_at, created_at) <= ?", cutoff.map(Bound::from));
    let now = || Some(Bound::from(context.now));
    let status = state.map(|state| if state == State::Revoked { Status::Revoked } else { Status::Active });
    add("status = ?", status.map(|status| text_of(status).into()));
    match state {
        Some(State::Expired) => add("expires_at <= ?", now()),
        Some(State::Active) => add("(expires_at IS NULL OR expires_at > ?)", now()),
        Some(State::Revoked) | None => {}
    }
    values.push(page.rows().into());
    let condition = conditions.join(" AND ");
    let statement = format!("SELECT * FROM keys WHERE {condition} ORDER BY number DESC LIMIT ?");
    let keys = sql::query::<Key>(context.db, &statement, &values)?;

    let (keys, next) = page.cut(context.secrets, keys, |key| key.number);
    let view = |key: &Key| key.view(principal.tenant(), context.policy, context.now);
    let shown: Vec<Value> = keys.iter().map(view).collect();
    Ok(Outcome::ok(object!({ "apiKeys": shown, "nextCursor": next })))
}
