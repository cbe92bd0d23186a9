//! Keys: what the coordinator and KV hold of each, and an exact log of what happened to its requests.

use std::{
    collections::{BTreeMap, HashSet},
    rc::Rc,
};

use keyward_core::{
    entropy::Entropy,
    key,
    record::{Limits, Mode, Record, Status, Tenant, TenantStatus, pool_name},
    secret::Secret,
    time::{HOUR, MINUTE, Span, Timestamp},
};
use keyward_limits::{
    coordinator::{Coordinator, Counts, Keep},
    routes::RouteName,
    wire::{CoordinatorCall, UsageReport},
};

use crate::{BEGIN, FakeCloud};

/// The tenant of all keys that are not [made for another](FakeCloud::make_key_of).
pub const TENANT: &str = "tenant";

/// A key, its coordinator, what was published of it, and the log of its requests.
pub struct Key {
    pub(crate) secret: Rc<Secret>,
    /// Its name in stores.
    hash: String,
    pub(crate) record: Record,
    coordinator: Coordinator,
    /// The part of `coordinator` that survives a crash.
    kept: Counts,
    /// What was written to KV, and when.
    published: Vec<(Timestamp, String)>,
    /// Whether an alarm is set for its next report to the Registry.
    pub(crate) alarm_is_set: bool,
    pub log: Log,
}

/// What is counted of a key's requests from some moment on ([`FakeCloud::measure_from_now`]).
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    /// Requests that arrived.
    pub requests: u64,
    pub accepted: u64,
    /// Requests that waited for KV or an object.
    pub waited: u64,
    /// Those that were the first with this key in their isolate, which cannot know it …
    pub first: u64,
    /// … and of these, those that waited.
    pub first_waited: u64,
}

/// A change of a key.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// When it was made.
    pub at: Timestamp,
    pub kind: ChangeKind,
    /// The version that it made.
    version: u64,
    /// When the last request reached the origin that was decided on an older version.
    pub last_arrival: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Revocation,
    Deactivation,
    Edit,
}

/// What happened to a key's requests.
#[derive(Default)]
pub struct Log {
    /// When each request arrived at an isolate.
    pub came: Vec<Timestamp>,
    /// The isolates they arrived at.
    pub isolates: HashSet<u32>,
    /// When each admitted request reached the origin.
    pub passed: Vec<Timestamp>,
    /// When each request was refused with 429.
    pub limited: Vec<Timestamp>,
    /// Answers by hour and code, `accepted` for those that passed; without those of [`Log::failed`].
    pub answered: BTreeMap<(Timestamp, String), u64>,
    /// The same by route, in place of the code of a refusal `refused`.
    pub on_routes: BTreeMap<(Timestamp, String, String), u64>,
    /// Requests refused with 503: a store did not answer.
    pub failed: u64,
    /// Requests refused with 401.
    pub unknown: u64,
    pub counted: Counted,
    /// The longest that a request waited for its verdict.
    pub longest: Span,
    /// Each limit that applied, and from when.
    pub limits: Vec<(Timestamp, Limits)>,
    /// Each change, in their order.
    pub changes: Vec<Change>,
    /// When it was revoked, or its tenant deactivated.
    pub revoked_at: Option<Timestamp>,
    /// Requests that arrived after that and passed.
    pub passed_after_all: u64,
    /// When a message was lost, or an isolate that used the key or its object died.
    pub faults: Vec<Timestamp>,
}

impl Log {
    pub(crate) fn answer(&mut self, code: &str, route: RouteName<'_>, now: Timestamp) {
        let hour = now.floor(HOUR);
        *self.answered.entry((hour, code.to_owned())).or_default() += 1;
        let outcome = if code == "accepted" { code } else { "refused" };
        *self.on_routes.entry((hour, route.to_string(), outcome.to_owned())).or_default() += 1;
    }

    /// A request that was decided on a record of this version reaches the origin.
    pub(crate) fn pass(&mut self, version: u64, at: Timestamp) {
        self.passed.push(at);
        for change in self.changes.iter_mut().filter(|change| change.version > version) {
            change.last_arrival = change.last_arrival.max(at);
        }
    }
}

struct SeededEntropy<'a>(&'a FakeCloud);

impl Entropy for SeededEntropy<'_> {
    fn fill(&mut self, buffer: &mut [u8]) {
        for byte in buffer {
            *byte = u8::try_from(self.0.below(256)).unwrap_or_default();
        }
    }
}

impl FakeCloud {
    /// Creates a key, known to its coordinator at once and to KV with the usual lag. KV knows everywhere of one that
    /// is created before time begins to pass.
    pub fn make_key(&self, limits: Limits) -> usize {
        self.make_key_of(TENANT, limits)
    }

    /// The same, of another tenant.
    pub fn make_key_of(&self, tenant: &str, limits: Limits) -> usize {
        let secret = key::generate(&self.realm.key, "", Mode::Live, &self.secrets, &mut SeededEntropy(self));
        let hash = key::storage_hash(&self.realm.key, &self.secrets, secret.expose());
        let number = self.keys.borrow().len();
        let tenant = Tenant {
            id: tenant.to_owned(),
            code: None,
            status: TenantStatus::Active,
            plan: None,
            pool: None,
        };
        let live = Record::live(format!("key_{number}"), self.realm.id.to_owned(), tenant, Vec::new());
        let record = Record { version: 1, limits, ..live };
        let now = self.now();
        let mut key = Key {
            secret: Rc::new(secret),
            hash: hash.clone(),
            record,
            coordinator: Coordinator::default(),
            kept: Counts::default(),
            published: Vec::new(),
            alarm_is_set: false,
            log: Log::default(),
        };
        key.log.limits.push((now, limits));
        if self.elapsed() == Span::ZERO {
            key.publish(now - self.network.kv_lag);
            if self.reports_until.get() > now {
                // It was in use before.
                key.reported(&UsageReport::default(), now - self.span_below(5 * MINUTE));
            }
        } else {
            key.publish(now);
        }
        self.keys.borrow_mut().push(key);
        let mut numbers = self.numbers.borrow_mut();
        numbers.insert(key::kv_key(&hash), number);
        numbers.insert(hash, number);
        number
    }

    /// Gives the usual tenant limits over all keys that it has by now, before time begins to pass. Returns the number of their
    /// object, which is one of the same kind.
    pub fn make_pool(&self, limits: Limits) -> usize {
        let number = self.make_key(limits);
        let mut keys = self.keys.borrow_mut();
        let pool = &mut keys[number];
        pool.record = Record::of_pool(&pool.record.tenant, limits, 0);
        pool.hash = pool_name(TENANT);
        self.numbers.borrow_mut().insert(pool.hash.clone(), number);
        for key in &mut *keys {
            key.record.tenant.pool = (key.record.tenant.id == TENANT).then_some(limits);
            key.coordinator = Coordinator::default();
            key.publish(self.now() - self.network.kv_lag);
        }
        number
    }

    /// Changes a key, or its tenant: the change log and its coordinator know at once, KV some time later, at each location
    /// another.
    pub fn change(&self, number: usize, change: impl FnOnce(&mut Record)) {
        let now = self.now();
        let key = &mut self.keys.borrow_mut()[number];
        let tenant = key.record.tenant.clone();
        key.change(now, change);
        if key.record.tenant == tenant {
            self.log_key(&key.hash, &key.record);
        } else {
            key.record.tenant_change = self.log_tenant(&key.record.tenant);
        }
        key.publish(now);
    }
}

impl Key {
    /// Changes the record. The coordinator and KV do not know yet.
    pub(crate) fn change(&mut self, now: Timestamp, change: impl FnOnce(&mut Record)) {
        let was = (self.record.status, self.record.tenant.status);
        change(&mut self.record);
        self.record.version += 1;
        let kind = match (self.record.status, self.record.tenant.status) {
            is if is == was => ChangeKind::Edit,
            (Status::Revoked, _) => ChangeKind::Revocation,
            (_, TenantStatus::Inactive) => ChangeKind::Deactivation,
            _ => ChangeKind::Edit,
        };
        if kind != ChangeKind::Edit {
            self.log.revoked_at.get_or_insert(now);
        }
        self.log.limits.push((now, self.record.limits));
        self.log.changes.push(Change { at: now, kind, version: self.record.version, last_arrival: now });
    }

    /// The coordinator is told of the record, and KV gets it.
    pub(crate) fn publish(&mut self, now: Timestamp) {
        self.coordinator.put(self.record.clone());
        self.published.push((now, serde_json::to_string(&self.record).unwrap()));
    }

    /// Its coordinator's answer, and whether it writes a row for that.
    pub(crate) fn answer(&mut self, call: CoordinatorCall, travel: Span, now: Timestamp) -> (String, bool) {
        self.coordinator.set_travel(travel);
        let (answer, keep) = self.coordinator.answer(call, now).unwrap();
        if keep == Keep::Counts {
            self.kept = self.coordinator.counts.clone();
        }
        (answer, keep != Keep::Nothing)
    }

    /// The time until its next report to the Registry is due.
    pub(crate) fn report_in(&self, now: Timestamp) -> Option<Span> {
        self.coordinator.report_in(now)
    }

    /// Its coordinator dies, and wakes up with what it had stored.
    pub(crate) fn crash(&mut self, now: Timestamp) {
        self.log.faults.push(now);
        let kept = serde_json::to_string(&self.kept).unwrap();
        let told = self.coordinator.record.clone().unwrap();
        self.coordinator = Coordinator::kept(told, keyward_json::from_str(&kept).unwrap());
    }

    /// What its coordinator would report to the Registry.
    pub fn usage(&self, now: Timestamp) -> UsageReport {
        self.coordinator.report(now).unwrap()
    }

    /// The Registry has taken the report.
    pub fn reported(&mut self, report: &UsageReport, now: Timestamp) {
        self.coordinator.reported(report, &[], now);
        self.kept = self.coordinator.counts.clone();
    }

    /// What KV shows at a moment.
    pub(crate) fn seen(&self, at: Timestamp) -> Option<String> {
        self.published.iter().rev().find(|(put, _)| *put <= at).map(|(_, text)| text.clone())
    }
}

/// The most moments in any span of a minute. Sorts them.
pub fn most_in_a_minute(moments: &mut [Timestamp]) -> usize {
    moments.sort_unstable();
    let mut first = 0;
    let mut most = 0;
    for (last, moment) in moments.iter().enumerate() {
        while *moment - moments[first] >= MINUTE {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

/// How many moments there are in each of the first minutes.
pub fn by_minute(moments: &[Timestamp], minutes: i64) -> Vec<usize> {
    let within = |minute: i64| {
        let from = BEGIN + minute * MINUTE;
        moments.iter().filter(|moment| (from..from + MINUTE).contains(moment)).count()
    };
    (0..minutes).map(within).collect()
}
