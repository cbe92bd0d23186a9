//! Reading keys: the list, newest first, and one of them.

use serde_json::{Value, json};

use crate::{
    record::Status,
    registry::{
        Handled, Outcome, Turn, cursor,
        input::{self, Input},
        keys::{Key, State},
        principal::Principal,
        words::{self, word},
    },
    sql::{self, Value as Bound},
    time::DAY,
};

/// Name of this list in its cursors.
const LIST: &str = "keys";
const PARAMETERS: [&str; 6] = ["limit", "cursor", "q", "status", "realm", "unusedDays"];
/// Ten years.
const MOST_UNUSED_DAYS: u32 = 3_660;

/// `GET /api-keys/{id}`
pub fn show(turn: &mut Turn<'_>, principal: &Principal, id: &str) -> Handled {
    let key = turn.key(principal, id)?;
    let view = key.view(principal.tenant(), turn.policy, turn.now);
    Ok(Outcome::ok(json!({ "apiKey": view })).version(key.version))
}

/// `GET /api-keys`
pub fn list(turn: &mut Turn<'_>, principal: &Principal, _: &str) -> Handled {
    let tenant_id = principal.tenant_id();
    let mut query = Input::query(&turn.call.query, &PARAMETERS);
    let limit = query.optional("limit", |value| input::whole_text(value, 1, 100)).unwrap_or(50);
    let before = query.optional("cursor", |value| turn.position(LIST, tenant_id, value));
    let text = query.optional("q", |value| input::line(value, 0, 100));
    let state = query.optional("status", |value| words::read(value, &State::ALL));
    let realms: Vec<(&str, &str)> = turn.policy.realms.iter().map(|realm| (realm.id, realm.id)).collect();
    let realm = query.optional("realm", |value| input::one_of(value, &realms));
    let unused = query.optional("unusedDays", |value| input::whole_text(value, 1, MOST_UNUSED_DAYS));
    query.finish()?;

    let mut conditions = vec!["tenant_id = ?"];
    let mut values: Vec<Bound> = vec![tenant_id.into()];
    let mut add = |condition, value: Option<Bound>| {
        if let Some(value) = value {
            conditions.push(condition);
            values.push(value);
        }
    };
    add("realm = ?", realm.map(Bound::from));
    add("number < ?", before.map(Bound::from));
    // Not LIKE, which knows upper and lower case of ASCII only, and has wildcards of its own.
    let text = text.filter(|text| !text.is_empty());
    add("instr(search, ?) > 0", text.map(|text| text.to_lowercase().into()));
    let cutoff = unused.map(|days| turn.now.plus(-i64::from(days) * DAY));
    add("COALESCE(last_used_at, created_at) <= ?", cutoff.map(Bound::from));
    let now = || Some(Bound::from(turn.now));
    let status = state.map(|state| if state == State::Revoked { Status::Revoked } else { Status::Active });
    add("status = ?", status.map(|status| word(status).into()));
    match state {
        Some(State::Expired) => add("expires_at <= ?", now()),
        Some(State::Active) => add("(expires_at IS NULL OR expires_at > ?)", now()),
        Some(State::Revoked) | None => {}
    }
    values.push((limit + 1).into());
    let condition = conditions.join(" AND ");
    let statement = format!("SELECT * FROM keys WHERE {condition} ORDER BY number DESC LIMIT ?");
    let keys = sql::query::<Key>(turn.db, &statement, &values)?;

    let page = keys.get(..limit as usize);
    let next =
        page.and_then(<[Key]>::last).map(|key| cursor::encode(turn.secrets, LIST, tenant_id, key.number));
    // The one row more than asked for only says whether there is a next page.
    let next = next.filter(|_| keys.len() > limit as usize);
    let shown: Vec<Value> =
        page.unwrap_or(&keys).iter().map(|key| key.view(principal.tenant(), turn.policy, turn.now)).collect();
    Ok(Outcome::ok(json!({ "apiKeys": shown, "nextCursor": next })))
}
