//! Which keys a call is about: the filters of the list, of its export, and of changes of many keys at once.

use keyward_core::{
    record::{KeyKind, Mode},
    sql::{self, Sql, SqlError, Value as Bound},
    time::Span,
};
use keyward_policy::scope;
use serde_json::Value;

use crate::{
    context::RequestContext,
    enum_text::text_of,
    input::{self, FieldErrors, Input, invalid},
    keys::key::State,
    to_json::ToJson,
};

/// The names of all filters.
pub const FILTERS: [&str; 15] = [
    "q",
    "status",
    "realm",
    "unusedDays",
    "scope",
    "tag",
    "createdBy",
    "mode",
    "kind",
    "prefix",
    "createdFrom",
    "createdTo",
    "expiresBefore",
    "rotating",
    "nearLimit",
];
/// For how long a key that came near a limit counts as such.
const NEAR: Span = Span::from_hours(24);
/// Most days without use that can be asked for: ten years.
pub const MOST_UNUSED_DAYS: u32 = 3_660;
/// Up to how many keys that a text is found in are counted: beside the text, each key's whole row has to be read.
const MOST_FOUND: u32 = 1_000;

/// What keys have to be.
pub struct Filter {
    conditions: Vec<String>,
    values: Vec<Bound>,
    is_search: bool,
}

/// How many keys there are.
pub struct Total {
    /// So many were counted.
    pub keys: u64,
    /// There may be more.
    pub at_least: bool,
}

impl Filter {
    /// Reads the filters of a query or of a body; what is wrong is noted there.
    pub fn read(context: &RequestContext<'_>, tenant_id: &str, input: &mut Input) -> Self {
        let forms = input.optional("q", |value| input::search(value, 100)).unwrap_or_default();
        let state = input.optional("status", |value| input::one_of_enum(value, &State::ALL));
        let realms = context.policy.realms;
        let ids: Vec<(&str, &str)> = realms.iter().map(|realm| (realm.id, realm.id)).collect();
        let realm = input.optional("realm", |value| input::one_of(value, &ids));
        let unused = input.optional("unusedDays", |value| input::whole_text(value, 1, MOST_UNUSED_DAYS));
        let scopes = input.optional("scope", |value| held_forms(context, value));
        let tag = input.optional("tag", |value| input::line(value, 1, 50));
        let maker = input.optional("createdBy", |value| input::line(value, 1, 100));
        let mode = input.optional("mode", |value| input::one_of_enum(value, &Mode::ALL));
        let kind = input.optional("kind", |value| input::one_of_enum(value, &KeyKind::ALL));
        let prefix = input.optional("prefix", |value| input::line(value, 1, 100));
        let from = input.optional("createdFrom", input::time);
        let to = input.optional("createdTo", input::time);
        let before = input.optional("expiresBefore", input::time);
        let rotating = input.optional("rotating", |value| input::one_of(value, &[("true", ())]));
        let near = input.optional("nearLimit", |value| input::one_of(value, &[("true", ())]));

        let is_search = !forms.is_empty() && forms != [""];
        let mut filter = Self { conditions: Vec::new(), values: Vec::new(), is_search };
        let now = context.now;
        let tenant = || Bound::from(tenant_id);
        filter.add("tenant_id = ?", [tenant()]);
        for state in [state, near.and(Some(State::Active))].into_iter().flatten() {
            match state {
                State::Revoked => filter.add("status = 'REVOKED'", []),
                State::Paused => filter.add("status = 'ACTIVE' AND expires_at = 0", []),
                State::Expired => {
                    filter.add("status = 'ACTIVE' AND expires_at IS NOT 0 AND ends_at <= ?", [now.into()]);
                }
                State::Active => {
                    filter.add("status = 'ACTIVE' AND expires_at IS NOT 0 AND ends_at > ?", [now.into()]);
                }
            }
        }
        for (condition, value) in [
            ("realm = ?", realm.map(Bound::from)),
            ("mode = ?", mode.map(|mode| text_of(mode).into())),
            ("kind = ?", kind.map(|kind| text_of(kind).into())),
            ("created_at >= ?", from.map(Bound::from)),
            ("created_at < ?", to.map(Bound::from)),
            ("ends_at < ?", before.map(Bound::from)),
        ] {
            if let Some(value) = value {
                filter.add(condition, [value]);
            }
        }
        if let Some(days) = unused {
            let cutoff = || Bound::from(now - Span::from_days(days.into()));
            filter.add("used_at <= ? AND created_at <= ?", [cutoff(), cutoff()]);
        }
        for labels in [scopes, tag.map(|tag| vec![format!("t{tag}")]), maker.map(|id| vec![format!("c{id}")])]
            .into_iter()
            .flatten()
        {
            let of_labels = "number IN (SELECT number FROM key_labels WHERE tenant_id = ?
                AND label IN (SELECT value FROM json_each(?)))";
            filter.add(of_labels, [tenant(), labels.to_json().to_string().into()]);
        }
        if rotating.is_some() {
            // The old one of a pair has an index; the new one is found by its id.
            let pairs = "FROM keys AS old INDEXED BY keys_rotated JOIN keys AS new ON new.id = old.rotated_to
                WHERE old.tenant_id = ? AND old.rotated_to IS NOT NULL AND old.status = 'ACTIVE'
                AND COALESCE(old.expires_at > ?, TRUE)
                AND new.status = 'ACTIVE' AND COALESCE(new.expires_at > ?, TRUE)";
            let condition = format!("number IN (SELECT old.number {pairs} UNION SELECT new.number {pairs})");
            let values = || [tenant(), now.into(), now.into()];
            filter.add(&condition, values().into_iter().chain(values()));
        }
        if near.is_some() {
            let lately = "number IN (SELECT number FROM keys INDEXED BY keys_near_limit
                WHERE tenant_id = ? AND near_limit_at > ?)";
            filter.add(lately, [tenant(), (now - NEAR).into()]);
        }
        if let Some(prefix) = prefix {
            filter.add("instr(prefix, ?) = 1", [prefix.into()]);
        }
        if is_search {
            // Not LIKE, which knows upper and lower case of ASCII only, and has wildcards of its own.
            let condition = format!("({})", vec!["instr(search, ?) > 0"; forms.len()].join(" OR "));
            filter.add(&condition, forms.into_iter().map(Bound::from));
        }
        filter
    }

    /// Asks for one thing more.
    pub fn add(&mut self, condition: &str, values: impl IntoIterator<Item = Bound>) {
        self.conditions.push(condition.to_owned());
        self.values.extend(values);
    }

    /// Whether it asks for more than that a key is the tenant's.
    pub fn is_narrow(&self) -> bool {
        self.conditions.len() > 1
    }

    /// What it asks for beyond that a key is the tenant's, with the values.
    pub fn narrows(&self) -> (String, Vec<Bound>) {
        (
            self.conditions.get(1..).unwrap_or_default().join(" AND "),
            self.values.get(1..).unwrap_or_default().to_vec(),
        )
    }

    /// The conditions, and their values.
    pub fn condition(&self) -> (String, Vec<Bound>) {
        (self.conditions.join(" AND "), self.values.clone())
    }

    /// How many keys there are: of all that a tenant has the database knows, others are counted in one index.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn total(&self, db: &dyn Sql) -> Result<Total, SqlError> {
        let (condition, mut values) = self.condition();
        let statement = if self.is_search {
            values.push((MOST_FOUND + 1).into());
            format!(
                "SELECT COUNT(*) FROM (SELECT 1 FROM keys INDEXED BY keys_to_filter WHERE {condition} LIMIT ?)"
            )
        } else if self.is_narrow() {
            format!("SELECT COUNT(*) FROM keys INDEXED BY keys_to_filter WHERE {condition}")
        } else {
            "SELECT keys FROM tenant_counts WHERE tenant_id = ?".to_owned()
        };
        let keys = sql::scalar::<u64>(db, &statement, &values)?.unwrap_or_default();
        let at_least = self.is_search && keys > MOST_FOUND.into();
        Ok(Total { keys: keys - u64::from(at_least), at_least })
    }
}

/// The labels of what keys can hold that answers for a scope: itself, wildcards, and what includes it.
fn held_forms(context: &RequestContext<'_>, value: &Value) -> Result<Vec<String>, FieldErrors> {
    let wanted = value.as_str().unwrap_or_default();
    let mut labels = Vec::new();
    let mut known: Vec<&str> = Vec::new();
    for realm in context.policy.realms {
        let names: Vec<&str> = realm.scopes.iter().map(|scope| scope.name).collect();
        let areas = names.iter().filter_map(|name| Some(format!("{}:*", name.split_once(':')?.0)));
        let forms = names.iter().map(|name| (*name).to_owned()).chain(areas).chain(["*".to_owned()]);
        let holding = forms.filter(|form| scope::holds(realm.scopes, &[form], wanted));
        if names.contains(&wanted) {
            labels.extend(holding.map(|form| format!("s{} {form}", realm.id)));
        }
        known.extend(names.iter().filter(|name| !known.contains(name)).copied().collect::<Vec<_>>());
    }
    if known.contains(&wanted) { Ok(labels) } else { invalid(format!("must be one of {}", known.join(", "))) }
}
