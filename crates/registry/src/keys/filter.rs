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
/// Most scopes that one call asks for.
const MOST_SCOPES: usize = 20;
/// For how long a key that came near a limit counts as such.
const NEAR: Span = Span::from_hours(24);
/// Most days without use that can be asked for: ten years.
pub const MOST_UNUSED_DAYS: u32 = 3_660;
/// Up to how many keys that a text is found in are counted.
const MOST_FOUND: u32 = 1_000;
/// Up to how many keys with a label are counted where more than the label is asked for.
const MOST_LABELLED: u32 = 10_000;
/// The keys of a label that more have are not listed one by one: of each key that comes next in an order it is asked whether it has it.
const COMMON: u32 = 20_000;
const LABELLED: &str = "SELECT number FROM key_labels
    WHERE tenant_id = ? AND label IN (SELECT value FROM json_each(?))";

/// What keys have to be.
pub struct Filter {
    conditions: Vec<String>,
    values: Vec<Bound>,
    /// Labels of which a key needs one each, as JSON, before it is known how common they are.
    labels: Vec<String>,
    has_labels: bool,
    has_common_labels: bool,
    /// Whether it looks into what only the index of texts holds.
    has_text: bool,
    is_search: bool,
}

/// The first keys that were found.
struct Found {
    keys: u64,
    /// Their numbers, as JSON.
    numbers: String,
}

keyward_core::from_row!(Found { keys, numbers });

/// How many keys there are.
pub struct Total {
    /// So many were counted.
    pub keys: u64,
    /// There may be more.
    pub at_least: bool,
}

impl Total {
    /// An answer with this `total`, which says if there may be more.
    pub fn marked(&self, mut answer: Value) -> Value {
        if let Some(answer) = answer.as_object_mut().filter(|_| self.at_least) {
            answer.insert("totalIsAtLeast".to_owned(), true.into());
        }
        answer
    }
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
        let scopes = input.optional("scope", |value| {
            let scopes = value.as_str().unwrap_or_default().split(',');
            if scopes.clone().count() > MOST_SCOPES {
                return invalid(format!("must be at most {MOST_SCOPES} scopes with commas between"));
            }
            scopes.map(|scope| held_forms(context, scope)).collect()
        });
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
        let mut filter = Self {
            conditions: Vec::new(),
            values: Vec::new(),
            labels: Vec::new(),
            has_labels: false,
            has_common_labels: false,
            has_text: is_search || prefix.is_some(),
            is_search,
        };
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
        let scopes: Vec<Vec<String>> = scopes.unwrap_or_default();
        let others = [tag.map(|tag| vec![format!("t{tag}")]), maker.map(|id| vec![format!("c{id}")])];
        for labels in scopes.into_iter().chain(others.into_iter().flatten()) {
            filter.labels.push(labels.to_json().to_string());
            filter.has_labels = true;
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
        self.conditions.len() > 1 || self.has_labels
    }

    /// Whether [`total`](Self::total) has to be asked before keys are looked for: it then settles how that is done.
    pub fn needs_look(&self) -> bool {
        self.is_search || self.has_labels
    }

    /// The index to go through, where this one has the order.
    pub fn index_for(&self, of_order: &'static str) -> &'static str {
        match self {
            Self { has_text: true, .. } => "keys_to_search",
            Self { has_common_labels: true, .. } => of_order,
            _ if self.is_narrow() => "keys_to_filter",
            _ => of_order,
        }
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

    /// How many keys there are. Of all that a tenant has the database knows; others are counted in one index. Where that takes
    /// more than columns and the keys are few, they are then known, so that nothing is looked for twice.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn total(&mut self, db: &dyn Sql) -> Result<Total, SqlError> {
        let count = |statement: &str, values: &[Bound]| -> Result<Total, SqlError> {
            let keys = sql::scalar(db, statement, values)?.unwrap_or_default();
            Ok(Total { keys, at_least: false })
        };
        if !self.is_narrow() {
            return count("SELECT keys FROM tenant_counts WHERE tenant_id = ?", &self.values);
        }
        let tenant = self.values.first().cloned().unwrap_or(Bound::Null);
        let sole = match (&self.conditions[..], &self.labels[..]) {
            ([_], [labels]) => Some([tenant.clone(), labels.as_str().into()]),
            _ => None,
        };
        for labels in std::mem::take(&mut self.labels) {
            let values = [tenant.clone(), labels.into()];
            let some = format!("SELECT COUNT(*) FROM ({LABELLED} LIMIT ?)");
            let found = sql::scalar::<u32>(db, &some, &[&values[..], &[(COMMON + 1).into()]].concat())?;
            let is_common = found.is_some_and(|found| found > COMMON);
            self.has_common_labels |= is_common;
            let condition = if is_common {
                format!("EXISTS ({LABELLED} AND number = keys.number)")
            } else {
                format!("number IN ({LABELLED})")
            };
            self.add(&condition, values);
        }
        if let Some(values) = sole {
            return count(&format!("SELECT COUNT(DISTINCT number) FROM ({LABELLED})"), &values);
        }
        let index = self.index_for("keys_to_filter");
        let (condition, mut values) = self.condition();
        let of_index = format!("FROM keys INDEXED BY {index} WHERE {condition}");
        if !self.needs_look() {
            return count(&format!("SELECT COUNT(*) {of_index}"), &values);
        }
        let most = if self.is_search { MOST_FOUND } else { MOST_LABELLED };
        values.push((most + 1).into());
        let found = format!(
            "SELECT COUNT(*) AS keys, json_group_array(number) AS numbers FROM (SELECT number {of_index} LIMIT ?)"
        );
        let Some(found) = sql::query_one::<Found>(db, &found, &values)? else {
            return Ok(Total { keys: 0, at_least: false });
        };
        if found.keys > most.into() {
            return Ok(Total { keys: most.into(), at_least: true });
        }
        (self.has_text, self.has_common_labels) = (false, false);
        self.conditions =
            ["tenant_id = ?", "number IN (SELECT value FROM json_each(?))"].map(str::to_owned).to_vec();
        self.values = vec![tenant, found.numbers.into()];
        Ok(Total { keys: found.keys, at_least: false })
    }
}

/// The labels of what keys can hold that answers for a scope: itself, wildcards, and what includes it.
fn held_forms(context: &RequestContext<'_>, wanted: &str) -> Result<Vec<String>, FieldErrors> {
    let mut labels = Vec::new();
    let mut known: Vec<&str> = Vec::new();
    for realm in context.policy.realms {
        let names: Vec<&str> = realm.scopes.iter().map(|scope| scope.name).collect();
        let areas = names.iter().flat_map(|name| scope::areas(name)).map(|area| format!("{area}:*"));
        let forms = names.iter().map(|name| (*name).to_owned()).chain(areas).chain(["*".to_owned()]);
        let holding = forms.filter(|form| scope::holds(realm.scopes, &[form], wanted));
        if names.contains(&wanted) {
            labels.extend(holding.map(|form| format!("s{} {form}", realm.id)));
        }
        known.extend(names.iter().filter(|name| !known.contains(name)).copied().collect::<Vec<_>>());
    }
    if known.contains(&wanted) { Ok(labels) } else { invalid(format!("must be one of {}", known.join(", "))) }
}
