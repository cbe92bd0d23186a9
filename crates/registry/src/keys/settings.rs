//! The part of a key that its owner sets: reading it from a request, and storing it.

use ipnet::IpNet;
use keyward_core::{
    record::{KeyKind, Limits, Mode},
    sql::{self, FromRow, Row, SqlError, Value as Bound},
    time::{SECOND, Span, Timestamp},
};
use keyward_policy::{Realm, scope};
use serde_json::{Map, Value};

use crate::{
    addresses,
    enum_text::text_of,
    error::{ApiError, Code},
    input::{self, FieldErrors, Input, invalid},
    keys::{grants, limits},
    rows, text,
    to_json::ToJson,
};

/// Names of these fields in the API.
pub const FIELDS: [&str; 10] = [
    "name",
    "scopes",
    "rateLimit",
    "allowedIps",
    "allowedOrigins",
    "tags",
    "metadata",
    "expiresAt",
    "testMode",
    "strict",
];

/// Most addresses and ranges of one key.
pub const MOST_ADDRESSES: usize = 100;
/// Most web origins of one key.
pub const MOST_ORIGINS: usize = 100;
/// Most scopes of one key.
pub const MOST_SCOPES: usize = 100;
/// Most tags of one key.
pub const MOST_TAGS: usize = 20;
/// Most entries of one key's metadata.
pub const MOST_METADATA: usize = 20;
/// Longest value of such an entry, in characters.
pub const LONGEST_METADATA_CHARS: usize = 500;
/// Bytes that are searched of one key. Some characters are many in the form in which text is searched (U+FDFA is 18),
/// so a few tags could be as large as all the rest.
const MOST_SEARCHED_BYTES: usize = 8_192;

/// Columns that the database measures as `bytes`.
pub const MEASURED: [&str; 7] =
    ["name", "scopes", "allowed_ips", "allowed_origins", "tags", "metadata", "search"];

/// What an edit can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// For people.
    pub name: String,
    /// Scopes and wildcards.
    pub scopes: Vec<String>,
    /// Scopes of the admin API that it was [given](grants::of_admin_api) with them; `None` in what an older build has
    /// stored.
    pub admin_scopes: Option<Vec<String>>,
    /// Limits that it names itself; `None` inherits.
    pub rate_limit: Limits,
    /// Addresses it may be used from; empty for any.
    pub allowed_ips: Vec<IpNet>,
    /// Origins it may be used from, if it is publishable.
    pub allowed_origins: Vec<String>,
    /// For finding it.
    pub tags: Vec<String>,
    /// The owner's own: texts by their names.
    pub metadata: Map<String, Value>,
    /// The first moment at which it no longer passes.
    pub expires_at: Option<Timestamp>,
    /// Live or test.
    pub mode: Mode,
    /// Whether its object is asked about each request, whatever the realm's freshness.
    pub strict: bool,
}

impl FromRow for Settings {
    fn from_row(row: &Row) -> Result<Self, SqlError> {
        let ranges = rows::strings(row, "allowed_ips")?;
        let ranges: Result<Vec<IpNet>, _> = ranges.iter().map(|range| range.parse()).collect();
        let admin_scopes = row.get::<Option<String>>("admin_scopes")?;
        Ok(Self {
            name: row.get("name")?,
            scopes: rows::strings(row, "scopes")?,
            admin_scopes: admin_scopes.map(|_| rows::strings(row, "admin_scopes")).transpose()?,
            rate_limit: rows::limits(row)?,
            allowed_ips: ranges.map_err(|_| sql::unreadable("allowed_ips"))?,
            allowed_origins: rows::strings(row, "allowed_origins")?,
            tags: rows::strings(row, "tags")?,
            metadata: metadata(row)?,
            expires_at: row.get("expires_at")?,
            mode: rows::enumerated(row, "mode", &Mode::ALL)?,
            strict: row.get("strict")?,
        })
    }
}

fn metadata(row: &Row) -> Result<Map<String, Value>, SqlError> {
    let metadata = rows::object(row, "metadata")?;
    if metadata.values().all(Value::is_string) { Ok(metadata) } else { Err(sql::unreadable("metadata")) }
}

/// For whom settings are read.
#[derive(Clone, Copy)]
pub struct SettingsContext {
    /// The key's realm.
    pub realm: &'static Realm,
    /// The key's kind.
    pub kind: KeyKind,
    /// Whether a member who is an owner or admin asks.
    pub as_admin: bool,
    /// The time.
    pub now: Timestamp,
}

impl Settings {
    /// Whether a key with these settings may do exactly what one with `other` may: they differ only in
    /// what is for people, and the realm's origin is told nothing of.
    pub fn allow_the_same_as(&self, other: &Self, realm: &Realm) -> bool {
        let told = realm.identity.map_or(&[] as &[_], |identity| identity.metadata);
        let tells_the_same = told.iter().all(|name| self.metadata.get(*name) == other.metadata.get(*name));
        let Self { name, tags, metadata, .. } = other.clone();
        tells_the_same && Self { name, tags, metadata, ..self.clone() } == *other
    }

    /// Whether a key with these settings can do less than one with `other`: lacks a scope, a wildcard (which also means
    /// scopes that there will be), an address, an origin, a part of a limit or some of its time, or only reads.
    pub fn takes_from(&self, other: &Self, inherited: &Limits, realm: &Realm) -> bool {
        let holds = |settings: &Self, name: &str| scope::holds(realm.scopes, &settings.scopes, name);
        let lacks_scope =
            realm.scopes.iter().any(|scope| holds(other, scope.name) && !holds(self, scope.name));
        let covers = |held: &str| self.scopes.iter().any(|own| scope::covers(own, held));
        let lacks_wildcard = other.scopes.iter().any(|held| scope::is_wildcard(held) && !covers(held));
        let within = |net: &IpNet| self.allowed_ips.iter().any(|own| own.contains(net));
        let given = |settings: &Self| settings.admin_scopes.clone().unwrap_or_default();
        let lacks_admin_scope = given(other).iter().any(|scope| !given(self).contains(scope));
        let lacks_address = !self.allowed_ips.is_empty()
            && (other.allowed_ips.is_empty() || !other.allowed_ips.iter().all(within));
        let lacks_origin = other.allowed_origins.iter().any(|origin| !self.allowed_origins.contains(origin));
        let limit = |settings: &Self| limits::effective(&settings.rate_limit, inherited, Some(realm));
        let (own, others) = (limit(self), limit(other));
        let lacks_requests = limits::is_less(&own, &others);
        let lacks_time = self.expires_at.is_some_and(|own| other.expires_at.is_none_or(|other| own < other));
        let only_reads = self.mode == Mode::Test && other.mode == Mode::Live;
        lacks_scope
            || lacks_wildcard
            || lacks_admin_scope
            || lacks_address
            || lacks_origin
            || lacks_requests
            || lacks_time
            || only_reads
    }

    /// Whether a key with these settings may do at the admin API what asks for `required`: its scopes cover it, and it
    /// was given to it. Of a key that an older build has stored only the scope itself counts, until [`grants::give`] has
    /// looked at it.
    pub fn holds_at_admin_api(&self, realm: &Realm, required: &str) -> bool {
        let given = self.admin_scopes.as_ref().unwrap_or(&self.scopes);
        given.iter().any(|given| given == required)
            && grants::of_admin_api(realm, &self.scopes).iter().any(|covered| covered == required)
    }

    /// What a new key has where the request says nothing. It has no name and no scopes yet.
    pub fn blank() -> Self {
        Self {
            name: String::new(),
            scopes: Vec::new(),
            admin_scopes: Some(Vec::new()),
            rate_limit: Limits::default(),
            allowed_ips: Vec::new(),
            allowed_origins: Vec::new(),
            tags: Vec::new(),
            metadata: Map::new(),
            expires_at: None,
            mode: Mode::Live,
            strict: false,
        }
    }

    /// Reads every field that the request names over what holds so far; each as a whole. Whatever
    /// is wrong is noted in `body`.
    pub fn read(&mut self, body: &mut Input, of: SettingsContext) {
        if let Some(name) = body.present("name", |value| input::line(value, 1, 100)) {
            self.name = name;
        }
        let scopes = body.present("scopes", |value| scopes(value, of));
        let gains = |scopes: &Vec<String>| scopes.iter().any(|scope| !self.scopes.contains(scope));
        let mut may_lack_room = scopes.as_ref().is_some_and(gains);
        if let Some(scopes) = scopes {
            self.admin_scopes = Some(grants::of_admin_api(of.realm, &scopes));
            self.scopes = scopes;
        }
        if let Some(own) = body.nullable("rateLimit", |value| limits::read(value, &of.realm.limits.maximum)) {
            self.rate_limit = own.unwrap_or_default();
            may_lack_room = true;
        }
        if may_lack_room {
            limits::require_room(body, &self.rate_limit, of.realm, of.kind, &self.scopes);
        }
        if let Some(list) =
            body.nullable("allowedIps", |value| input::list(value, MOST_ADDRESSES, addresses::range))
        {
            self.allowed_ips = list.unwrap_or_default();
        }
        self.read_origins(body, of.kind);
        if let Some(list) =
            body.nullable("tags", |value| input::list(value, MOST_TAGS, |tag| input::line(tag, 1, 50)))
        {
            self.tags = list.unwrap_or_default();
        }
        if let Some(metadata) =
            body.nullable("metadata", |value| input::dictionary(value, MOST_METADATA, LONGEST_METADATA_CHARS))
        {
            self.metadata = metadata.unwrap_or_default();
        }
        let present = self.expires_at;
        if let Some(expires_at) = body.nullable("expiresAt", |value| expiry(value, of.now, present)) {
            self.expires_at = expires_at;
            if let Some(why) = unfit_end(of.realm, expires_at, of.now).filter(|_| expires_at != present) {
                body.refuse("expiresAt", why);
            }
        }
        if let Some(test) = body.present("testMode", input::flag) {
            self.mode = if test { Mode::Test } else { Mode::Live };
        }
        if let Some(strict) = body.present("strict", input::flag) {
            self.strict = strict;
        }
    }

    fn read_origins(&mut self, body: &mut Input, kind: KeyKind) {
        const FIELD: &str = "allowedOrigins";
        let named = body.has(FIELD);
        match body.nullable(FIELD, |value| input::list(value, MOST_ORIGINS, addresses::origin)) {
            Some(list) => self.allowed_origins = list.unwrap_or_default(),
            // What is wrong with it is noted already.
            None if named => return,
            None => {}
        }
        match (kind, self.allowed_origins.is_empty()) {
            (KeyKind::Secret, false) => {
                body.refuse(FIELD, "is for publishable keys: a secret key must not stand in a web page");
            }
            (KeyKind::Publishable, true) => {
                body.refuse(FIELD, "must name at least one origin, such as https://shop.example.com");
            }
            _ => {}
        }
    }

    /// With a tag more, if it has not got it.
    ///
    /// # Errors
    /// CONFLICT
    pub fn add_tag(&mut self, tag: &str) -> Result<(), ApiError> {
        if self.tags.iter().any(|own| own == tag) {
            return Ok(());
        }
        if self.tags.len() >= MOST_TAGS {
            let detail = format!("The key has {MOST_TAGS} tags, the most that it can have.");
            return Err(ApiError::new(Code::Conflict, detail));
        }
        self.tags.push(tag.to_owned());
        Ok(())
    }

    /// As columns. `search` is what a text search looks through.
    pub fn columns(&self, id: &str, prefix: &str, last4: &str) -> Vec<(&'static str, Bound)> {
        let json = |value: Value| Bound::Text(value.to_string());
        let search = [
            &[self.name.as_str(), prefix, last4, id],
            &self.tags.iter().map(String::as_str).collect::<Vec<_>>()[..],
        ]
        .concat()
        .join("\n");
        let columns = [
            ("name", self.name.as_str().into()),
            ("scopes", json(self.scopes.to_json())),
            ("admin_scopes", self.admin_scopes.as_ref().map(|scopes| scopes.to_json().to_string()).into()),
            ("allowed_ips", json(self.allowed_ips.to_json())),
            ("allowed_origins", json(self.allowed_origins.to_json())),
            ("tags", json(self.tags.to_json())),
            ("metadata", json(self.metadata.to_json())),
            ("expires_at", self.expires_at.into()),
            ("mode", text_of(self.mode).into()),
            ("strict", i64::from(self.strict).into()),
            ("search", searched(&search).into()),
        ];
        rows::limit_columns(self.rate_limit).chain(columns).collect()
    }
}

/// Why a key of this realm may not be given this end, or none, if it may not.
pub fn unfit_end(realm: &Realm, ends: Option<Timestamp>, now: Timestamp) -> Option<String> {
    let days = realm.max_key_life.map(|life| life.ms() / Span::from_days(1).ms());
    match (ends, realm.max_key_life, days) {
        (None, _, Some(days)) => Some(format!("is required: keys of this realm live {days} days at most")),
        (None, ..) if realm.keys_must_expire => {
            Some("is required: keys of this realm must expire".to_owned())
        }
        (Some(ends), Some(life), Some(days)) if ends > now + life => {
            Some(format!("must be at most {days} days from now"))
        }
        _ => None,
    }
}

/// The end of a key that takes the place of one with this end: as late as that, and no later than a new one may be.
pub fn successors_end(realm: &Realm, ends: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let latest = realm.max_key_life.map(|life| (now + life).floor(SECOND));
    [ends, latest].into_iter().flatten().min()
}

fn searched(text: &str) -> String {
    let mut searched = text::folded(text);
    searched.truncate(searched.floor_char_boundary(MOST_SEARCHED_BYTES));
    searched
}

fn scopes(value: &Value, of: SettingsContext) -> Result<Vec<String>, FieldErrors> {
    let scopes = input::list(value, MOST_SCOPES, |scope| {
        let scope = input::text(scope)?;
        match grants::may(of.realm, of.kind, &scope, of.as_admin) {
            Ok(()) => Ok(scope),
            Err(error) => invalid(error.to_string()),
        }
    })?;
    let missing = scopes.is_empty() && of.realm.asks_for_scopes();
    if missing { invalid("must name at least one scope") } else { Ok(scopes) }
}

pub(super) fn expiry(
    value: &Value,
    now: Timestamp,
    present: Option<Timestamp>,
) -> Result<Timestamp, FieldErrors> {
    let time = input::time(value)?;
    // Sent back as it was shown: the end of a grace has milliseconds.
    if present == Some(time) {
        return Ok(time);
    }
    // A key expires on a whole second: the gate compares to the second, and so can people.
    let whole = time.floor(SECOND);
    if whole > now { Ok(whole) } else { invalid("must be in the future") }
}
