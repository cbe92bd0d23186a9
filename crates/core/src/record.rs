//! The record of a key: what KV, the coordinator and the isolate's memory hold, and all that a decision
//! needs. A stored format: golden vectors in `tests/it/golden.rs` pin it, `docs/storage.md` describes it.

use ipnet::IpNet;
pub use keyward_policy::{Cost, Jurisdiction, MOST_IN_FLIGHT, USUAL_TRAVEL, Window};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{strict, time::Timestamp};

/// One key, as published. Never holds the key itself, only ever found by its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", remote = "Self")]
pub struct Record {
    /// Version of this format.
    pub v: Format,
    /// Of which jurisdiction the key's objects are. Not an addition that a build may ignore, so that is version 2:
    /// [`Record::within`] sets both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jurisdiction: Option<Jurisdiction>,
    /// Id of the key in the admin API.
    pub id: String,
    /// The realm it belongs to; in any other it is unknown.
    pub realm: String,
    /// The tenant it belongs to, with what a decision needs of it.
    pub tenant: Tenant,
    /// Secret or publishable.
    pub kind: KeyKind,
    /// Live or test.
    pub mode: Mode,
    /// Whether it was revoked.
    pub status: Status,
    /// Grows with every change; a higher one replaces a lower one, never the other way round.
    pub version: u64,
    /// The first moment at which it no longer passes.
    #[serde(deserialize_with = "strict::nullable")]
    pub expires_at: Option<Timestamp>,
    /// Scopes it holds, wildcards as written.
    pub scopes: Vec<String>,
    /// Addresses it may be used from; empty for any.
    pub allowed_ips: Vec<IpNet>,
    /// Origins (Fetch standard) a publishable key may be used from.
    pub allowed_origins: Vec<String>,
    /// Its limits, with everything inherited already filled in.
    pub limits: Limits,
    /// Whether its object is asked about each request, whatever the realm's freshness.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
    /// Whether it was rotated, so that another key stands in its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaced: bool,
    /// Whether it is paused. A build that does not know this reads the [end](PAUSED) that stands beside it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// The number of the change in the [log](crate::changes) that made the tenant what it is here; 0 for one that has not
    /// changed for long.
    #[serde(default, skip_serializing_if = "strict::is_zero")]
    pub tenant_change: u64,
    /// What of its metadata the realm's policy has the origin told, as the text of a JSON object: the gate passes it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
}

/// The expiry that is stored and published of a key while it is paused: long past, so whoever knows nothing of pauses refuses
/// it, too.
pub const PAUSED: Timestamp = Timestamp(0);

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, to)
    }
}

/// As derived, but its version says whether it has a jurisdiction.
impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let record = Self::deserialize(from)?;
        if record.v != Format::with(record.jurisdiction) {
            return Err(D::Error::custom(
                "a record with a jurisdiction has version 2, one without version 1",
            ));
        }
        Ok(record)
    }
}

impl Record {
    /// The same in the objects of this jurisdiction.
    #[must_use]
    pub fn within(self, jurisdiction: Option<Jurisdiction>) -> Self {
        Self { v: Format::with(jurisdiction), jurisdiction, ..self }
    }

    /// That of a live secret key with these scopes, which nothing else restricts.
    pub fn live(id: String, realm: String, tenant: Tenant, scopes: Vec<String>) -> Self {
        Self {
            v: Format::V1,
            jurisdiction: None,
            id,
            realm,
            tenant,
            kind: KeyKind::Secret,
            mode: Mode::Live,
            status: Status::Active,
            version: 0,
            expires_at: None,
            scopes,
            allowed_ips: Vec::new(),
            allowed_origins: Vec::new(),
            limits: Limits::default(),
            strict: false,
            replaced: false,
            paused: false,
            tenant_change: 0,
            metadata: None,
        }
    }
}

/// Version of the record format. A build refuses to read one that it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// The first.
    #[serde(rename = "1")]
    V1,
    /// With a jurisdiction. A build that knows none must not look for the key in other objects.
    #[serde(rename = "2")]
    V2,
}

impl Format {
    /// That of what has this jurisdiction.
    pub fn with(jurisdiction: Option<Jurisdiction>) -> Self {
        if jurisdiction.is_some() { Self::V2 } else { Self::V1 }
    }
}

/// What a decision needs of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    /// Its id, a UUID.
    pub id: String,
    /// Its code, which hosts may have in their name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Whether its keys pass at all.
    pub status: TenantStatus,
    /// Its plan, if it has one.
    #[serde(deserialize_with = "strict::nullable")]
    pub plan: Option<String>,
    /// Limits over all of its keys together, if it has any. A build that does not know them does not count by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Limits>,
}

/// What the names of the objects that count for whole tenants begin with: no key's hash does.
pub const POOL: &str = "tenant-";

impl Record {
    /// That of the object that counts for a tenant as a whole, in the class of keys' objects: its version is the number of the
    /// tenant's change.
    pub fn of_pool(tenant: &Tenant, limits: Limits, change: u64) -> Self {
        let tenant = Tenant { code: None, plan: None, pool: None, ..tenant.clone() };
        let of = Self::live(pool_name(&tenant.id), String::new(), tenant, Vec::new());
        Self { version: change, tenant_change: change, limits, ..of }
    }
}

/// The name of that object.
pub fn pool_name(tenant_id: &str) -> String {
    format!("{POOL}{tenant_id}")
}

/// Whether a tenant's keys pass at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TenantStatus {
    /// They do.
    Active,
    /// They do not: 403.
    Inactive,
}

impl TenantStatus {
    /// Every status.
    pub const ALL: [Self; 2] = [Self::Active, Self::Inactive];
}

/// Secret keys are for servers; publishable ones may stand in a web page and need an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// For servers.
    Secret,
    /// For web pages, on routes marked so and from the origins it lists.
    Publishable,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Secret, Self::Publishable];
}

/// Live keys do; test keys try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The real thing.
    Live,
    /// Held back as the realm's `test_mode` says.
    Test,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 2] = [Self::Live, Self::Test];
}

/// What its owner did with a key. Expiry is not a status: it follows from the record and the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// In use.
    Active,
    /// Refused for good.
    Revoked,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 2] = [Self::Active, Self::Revoked];
}

/// Limits of one key; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Requests in any second. A build that knows only the minute and the day does not write it, so it may be missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<u32>,
    /// Requests in any 60 seconds.
    #[serde(deserialize_with = "strict::nullable")]
    pub per_minute: Option<u32>,
    /// Requests in any 3,600 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<u32>,
    /// Requests in any 86,400 seconds.
    #[serde(deserialize_with = "strict::nullable")]
    pub per_day: Option<u32>,
    /// Requests in a month of the calendar, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_month: Option<u32>,
    /// Requests in all time, counted from when this limit was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u32>,
    /// Requests at the same time. A build that does not know this does not limit them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u32>,
}

keyward_policy::by_window!(Limits);

impl Limits {
    /// Every window that has a limit, the shortest first.
    pub fn set(&self) -> impl Iterator<Item = (Window, u32)> {
        Window::ALL.into_iter().filter_map(|window| Some((window, self.get(window)?)))
    }
}
