//! Finding entries of a chain, however long it is: by an index where there is one, and by looking at [`LOOKED_AT`] entries a
//! call at the most.

use std::collections::VecDeque;

use keyward_core::{
    sql::{self, Sql, SqlError, Value as Bound},
    time::{Span, Timestamp},
};
use serde_json::Value;

use super::chain::{self, Row};
use crate::{
    email,
    input::{self, FieldErrors, Input, invalid},
};

/// Names of the parameters that [`Search::read`] reads.
pub const FILTERS: [&str; 6] = ["actor", "action", "object", "from", "to", "order"];
/// Most entries that one call looks at where no index leads to those that are asked for.
const LOOKED_AT: u32 = 1_000;
/// How far the time of an entry may be from those beside it: a clock can have been set back between them.
const SLACK: Span = Span::from_hours(1);
const LONGEST_CHARS: usize = 254;

/// Which entries are asked for.
pub struct Search {
    actor: Option<String>,
    action: Option<String>,
    object: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    oldest_first: bool,
}

/// Entries that were found, and the one to go on after, if there may be more.
pub struct Found {
    /// The entries.
    pub rows: Vec<Row>,
    /// Place of the last one that was looked at.
    pub next: Option<i64>,
}

impl Search {
    /// Reads it from a query. What is wrong is noted there.
    pub fn read(query: &mut Input) -> Self {
        Self {
            actor: query.optional("actor", actor),
            action: query.optional("action", action),
            object: query.optional("object", |value| input::line(value, 1, LONGEST_CHARS)),
            from: query.optional("from", input::time),
            to: query.optional("to", input::time),
            oldest_first: query
                .optional("order", |value| input::one_of(value, &[("asc", true), ("desc", false)]))
                .unwrap_or_default(),
        }
    }

    /// Finds up to `most` entries after the one at this place.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn run(
        &self,
        db: &dyn Sql,
        tenant_id: &str,
        after: Option<i64>,
        most: u32,
    ) -> Result<Found, SqlError> {
        // Both are outside.
        let (mut low, mut high) = (0, chain::end(db, tenant_id)?.0 + 1);
        if let Some(from) = self.from {
            low = first_since(db, tenant_id, from - SLACK, high)? - 1;
        }
        if let Some(to) = self.to {
            high = first_since(db, tenant_id, to + SLACK, high)?;
        }
        match after {
            Some(after) if self.oldest_first => low = low.max(after),
            Some(after) => high = high.min(after),
            None => {}
        }
        let (order, extreme, beyond) =
            if self.oldest_first { ("ASC", "MIN", ">") } else { ("DESC", "MAX", "<") };
        // The first leads to the entries, the others are looked at in each.
        let mut conditions: VecDeque<Condition> =
            [self.of_object(), self.of_actor(), self.of_action()].into_iter().flatten().collect();
        let leading = conditions.pop_front();
        conditions.extend(self.in_time());
        let looked_at = if conditions.is_empty() { most + 1 } else { LOOKED_AT.max(most + 1) };

        let mut values: Vec<Bound> = vec![tenant_id.into(), low.into(), high.into()];
        let scan = match &leading {
            Some(Condition { values, .. }) if values.len() > 1 => area(extreme, order, beyond, looked_at),
            leading => {
                let (index, condition) = leading.as_ref().map_or(("", ""), |it| (it.index, it.text));
                let (by, and) = if leading.is_some() { ("INDEXED BY", "AND") } else { ("", "") };
                format!(
                    "SELECT {COLUMNS} FROM audit {by} {index}
                    WHERE tenant_id = ?1 AND seq > ?2 AND seq < ?3 {and} {condition} ORDER BY seq {order} LIMIT {looked_at}"
                )
            }
        };
        values.extend(leading.into_iter().flat_map(|condition| condition.values));
        let others: String = conditions.iter().map(|condition| format!(" AND {}", condition.text)).collect();
        let found = format!(
            "SELECT seq, entry, hash FROM ({scan}) WHERE TRUE{others} ORDER BY seq {order} LIMIT {}",
            most + 1
        );
        let looked_for = [&values[..], &conditions.into_iter().flat_map(|it| it.values).collect::<Vec<_>>()];
        let mut rows = sql::query::<Row>(db, &found, &looked_for.concat())?;
        if rows.len() > most as usize {
            rows.truncate(most as usize);
            let next = rows.last().map(|row| row.seq);
            return Ok(Found { rows, next });
        }
        // Where as many were looked at as one call may, there may be more after them.
        let last = format!("SELECT seq FROM ({scan}) ORDER BY seq {order} LIMIT 1 OFFSET {}", looked_at - 1);
        let next = sql::scalar::<i64>(db, &last, &values)?;
        Ok(Found { rows, next })
    }

    fn of_object(&self) -> Option<Condition> {
        let id = self.object.as_ref()?;
        Some(Condition { index: "audit_by_target", text: "target = ?", values: vec![id.as_str().into()] })
    }

    fn of_actor(&self) -> Option<Condition> {
        let actor = self.actor.as_ref()?;
        let (index, text) = if actor.contains('@') {
            ("audit_by_actor_email", "actor_email = ?")
        } else {
            ("audit_by_actor_id", "actor_id = ?")
        };
        Some(Condition { index, text, values: vec![actor.as_str().into()] })
    }

    fn of_action(&self) -> Option<Condition> {
        let action = self.action.as_ref()?;
        let index = "audit_by_action";
        Some(match action.strip_suffix('.') {
            // `/` follows `.` in ASCII.
            Some(area) => Condition {
                index,
                text: "action >= ? AND action < ?",
                values: vec![action.as_str().into(), format!("{area}/").into()],
            },
            None => Condition { index, text: "action = ?", values: vec![action.as_str().into()] },
        })
    }

    fn in_time(&self) -> impl Iterator<Item = Condition> {
        let at =
            |text, time: Timestamp| Condition { index: "", text, values: vec![time.to_rfc3339().into()] };
        let (from, to) = (self.from, self.to);
        from.map(|from| at("time >= ?", from)).into_iter().chain(to.map(|to| at("time < ?", to)))
    }
}

/// What an entry has to be, and the index that leads to those that are.
struct Condition {
    index: &'static str,
    text: &'static str,
    values: Vec<Bound>,
}

const COLUMNS: &str = "seq, entry, hash, actor_id, actor_email, action, target, time";

/// Entries of all actions from `?4` to before `?5`: of each action the next one, and of these the next, so that no more of
/// the index is read than that.
fn area(extreme: &str, order: &str, beyond: &str, most: u32) -> String {
    let name = |than: &str| {
        format!(
            "SELECT action FROM audit WHERE tenant_id = ?1 AND action {than} AND action < ?5 ORDER BY action LIMIT 1"
        )
    };
    let place = |than: &str| {
        format!(
            "SELECT {extreme}((
                SELECT seq FROM audit INDEXED BY audit_by_action
                WHERE tenant_id = ?1 AND action = name AND seq > ?2 AND seq < ?3 {than} ORDER BY seq {order} LIMIT 1
            )) FROM names"
        )
    };
    let (first, next) = (name(">= ?4"), name("> name"));
    let (newest, older) = (place(""), place(&format!("AND seq {beyond} place")));
    format!(
        "WITH RECURSIVE names(name) AS MATERIALIZED (
            SELECT ({first}) UNION ALL SELECT ({next}) FROM names WHERE name IS NOT NULL
        ), places(place) AS (
            {newest} UNION ALL SELECT ({older}) FROM places WHERE place IS NOT NULL LIMIT {most}
        ) SELECT {COLUMNS} FROM places CROSS JOIN audit ON tenant_id = ?1 AND seq = place"
    )
}

/// Place of the first entry that is not older than this; `end` if all are.
fn first_since(db: &dyn Sql, tenant_id: &str, since: Timestamp, end: i64) -> Result<i64, SqlError> {
    let (mut low, mut high) = (1, end);
    while low < high {
        let middle = low + (high - low) / 2;
        let time = "SELECT time FROM audit WHERE tenant_id = ? AND seq >= ? ORDER BY seq LIMIT 1";
        let time = sql::scalar::<Option<String>>(db, time, &[tenant_id.into(), middle.into()])?;
        let time = time.flatten().and_then(|time| Timestamp::parse_rfc3339(&time));
        if time.is_some_and(|time| time < since) { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

/// An id, or an e-mail address.
fn actor(value: &Value) -> Result<String, FieldErrors> {
    match input::line(value, 1, LONGEST_CHARS)? {
        text if text.contains('@') => email::typed(value),
        id => Ok(id),
    }
}

/// `key.revoke`, or all that begin with `key.`.
fn action(value: &Value) -> Result<String, FieldErrors> {
    let action = input::line(value, 1, LONGEST_CHARS)?;
    if action.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'.') {
        Ok(action)
    } else {
        invalid("must be an action such as `key.revoke`, or what several begin with, such as `key.`")
    }
}
