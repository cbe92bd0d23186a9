//! The keys of the world: what their objects and KV hold of each, and an exact log of what came of its
//! requests.

use std::{
    collections::{BTreeMap, HashSet},
    rc::Rc,
};

use keyward_core::{
    entropy::Entropy,
    key,
    record::{Format, KeyKind, Limits, Mode, Record, Status, Tenant, TenantStatus},
    secret::Secret,
    time::{HOUR, MINUTE, Timestamp},
};
use keyward_limits::{
    coordinator::{Coordinator, Counts, Keep},
    wire::{CoordinatorCall, UsageReport},
};

use super::{BEGIN, Cloud};

/// A key, its object, what was published of it, and what came of its requests.
pub struct Key {
    pub(super) secret: Rc<Secret>,
    record: Record,
    object: Coordinator,
    /// What of `object` outlives a crash.
    kept: Counts,
    /// What was put into KV, and when.
    published: Vec<(i64, String)>,
    pub log: Log,
}

/// What came of a key's requests.
#[derive(Default)]
pub struct Log {
    /// When each request came to an isolate.
    pub came: Vec<i64>,
    /// To which isolates.
    pub isolates: HashSet<usize>,
    /// When each request that was let through reached the origin.
    pub passed: Vec<i64>,
    /// When each request was refused with 429.
    pub limited: Vec<i64>,
    /// Answers by the hour and the code, `accepted` for those that passed, without those that said that
    /// something did not answer.
    pub answered: BTreeMap<(i64, String), u64>,
    /// Refused because something did not answer.
    pub failed: u64,
    /// Refused with 401.
    pub unknown: u64,
    /// Requests that waited for KV or an object.
    pub waited: u64,
    /// The longest that one of them waited for its verdict.
    pub longest: i64,
    /// The limits that held, and since when.
    pub limits: Vec<(i64, Limits)>,
    /// When its object was told that it is revoked.
    pub revoked_at: Option<i64>,
    /// Requests that came after that and passed.
    pub passed_after_all: u64,
    /// When a message was lost, or an isolate that used the key or its object died.
    pub mishaps: Vec<i64>,
}

impl Log {
    pub(super) fn answer(&mut self, code: &str, now: i64) {
        let hour = Timestamp(now).floor(HOUR).0;
        *self.answered.entry((hour, code.to_owned())).or_default() += 1;
    }
}

struct Dice<'a>(&'a Cloud);

impl Entropy for Dice<'_> {
    fn fill(&mut self, buffer: &mut [u8]) {
        for byte in buffer {
            *byte = u8::try_from(self.0.below(256)).unwrap_or_default();
        }
    }
}

impl Cloud {
    /// Makes a key, known to its object and, with the usual lag, to KV. One that is there when time
    /// begins has been there for long.
    pub fn make_key(&self, limits: Limits) -> usize {
        let secret = key::generate(&self.realm.key, "", Mode::Live, &self.secrets, &mut Dice(self));
        let hash = key::storage_hash(&self.realm.key, &self.secrets, secret.expose());
        let number = self.keys.borrow().len();
        let record = Record {
            v: Format::V1,
            id: format!("key_{number}"),
            realm: self.realm.id.to_owned(),
            tenant: Tenant { id: "tenant".to_owned(), code: None, status: TenantStatus::Active, plan: None },
            kind: KeyKind::Secret,
            mode: Mode::Live,
            status: Status::Active,
            version: 1,
            expires_at: None,
            scopes: Vec::new(),
            allowed_ips: Vec::new(),
            allowed_origins: Vec::new(),
            limits,
            strict: false,
            replaced: false,
        };
        let now = self.clock.now();
        let mut key = Key {
            secret: Rc::new(secret),
            record,
            object: Coordinator::default(),
            kept: Counts::default(),
            published: Vec::new(),
            log: Log::default(),
        };
        key.publish(if self.elapsed() == 0 { now - self.network.kv_lag } else { now });
        self.keys.borrow_mut().push(key);
        let mut numbers = self.numbers.borrow_mut();
        numbers.insert(key::kv_key(&hash), number);
        numbers.insert(hash, number);
        number
    }

    /// Changes a key: its object knows at once, KV at each place some time later.
    pub fn change(&self, number: usize, change: impl FnOnce(&mut Record)) {
        let now = self.clock.now();
        let key = &mut self.keys.borrow_mut()[number];
        change(&mut key.record);
        key.record.version += 1;
        key.publish(now);
    }
}

impl Key {
    fn publish(&mut self, now: i64) {
        self.object.put(self.record.clone());
        self.published.push((now, serde_json::to_string(&self.record).unwrap()));
        self.log.limits.push((now, self.record.limits));
        if self.record.status == Status::Revoked {
            self.log.revoked_at.get_or_insert(now);
        }
    }

    /// What its object answers.
    pub(super) fn answer(&mut self, call: CoordinatorCall, now: i64) -> String {
        let (answer, keep) = self.object.answer(call, Timestamp(now)).unwrap();
        if keep == Keep::Counts {
            self.kept = self.object.counts.clone();
        }
        answer
    }

    /// Its object dies, and wakes up with what it had kept.
    pub(super) fn crash(&mut self, now: i64) {
        self.log.mishaps.push(now);
        let kept = serde_json::to_string(&self.kept).unwrap();
        self.object = Coordinator::kept(self.record.clone(), serde_json::from_str(&kept).unwrap());
    }

    /// What its object would report of its use.
    pub fn usage(&self, now: i64) -> UsageReport {
        self.object.report(Timestamp(now)).unwrap()
    }

    /// The report was taken.
    pub fn reported(&mut self, report: &UsageReport, now: i64) {
        self.object.reported(report, &[], Timestamp(now));
        self.kept = self.object.counts.clone();
    }

    /// What KV shows of it at a moment.
    pub(super) fn seen(&self, at: i64) -> Option<String> {
        self.published.iter().rev().find(|(put, _)| *put <= at).map(|(_, text)| text.clone())
    }
}

/// The most in any minute. Sorts what it is given.
pub fn most_in_a_minute(moments: &mut [i64]) -> usize {
    moments.sort_unstable();
    let mut first = 0;
    let mut most = 0;
    for (last, moment) in moments.iter().enumerate() {
        while moment - moments[first] >= MINUTE {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

/// How many there are in each minute of a span from the beginning.
pub fn by_minute(moments: &[i64], minutes: i64) -> Vec<usize> {
    let within = |minute: i64| {
        let from = BEGIN + minute * MINUTE;
        moments.iter().filter(|moment| (from..from + MINUTE).contains(moment)).count()
    };
    (0..minutes).map(within).collect()
}
