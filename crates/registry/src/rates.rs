//! How often the admin API may be called: by one principal, by one tenant, and by one network while nobody is signed
//! in. Kept in the memory of the one Registry object, and bounded there.
//!
//! The generic cell rate algorithm: of each subject one moment is known, at which its calls so far are worked off. A
//! minute's calls may come at once; then one passes each time that one is worked off, and the wait that is told is
//! exact. What ends something (revoking, signing out) is counted by itself, so nothing else can delay it, and it waits
//! for one call to be worked off at the most. So does what costs more, which then
//! [counts as several calls](crate::cost).

use std::{cell::RefCell, collections::BTreeMap};

use keyward_core::time::{MINUTE, Span, Timestamp};

/// Microseconds in a minute.
const MINUTE_US: i64 = MINUTE.ms() * 1_000;
/// Most subjects of one kind. Of more, whoever has been quiet for longest is forgotten.
const MOST_SUBJECTS: usize = 10_000;

/// What calls are counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A member or API key.
    Principal,
    /// All of a tenant.
    Tenant,
    /// A network, while nobody is signed in.
    Network,
}

/// What calls are counted under, and how many calls a minute it may make.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub id: &'a str,
    /// Calls a minute.
    pub rate: u32,
}

/// How a call counts.
#[derive(Clone, Copy, Debug)]
pub struct Weight {
    /// Whether it ends something.
    pub ends: bool,
    /// How many calls it counts as.
    pub cost: u32,
}

/// A call as it was counted: of whom, and how many calls a minute each may make.
#[derive(Debug)]
pub struct Counted {
    pub(super) subjects: Vec<(Kind, String, u32)>,
    pub(super) weight: Weight,
}

/// A moment, in microseconds since 1970: a call may be worked off in less than a millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Moment(i64);

impl Moment {
    fn of(time: Timestamp) -> Self {
        Self(time.0.saturating_mul(1_000))
    }

    /// When this many more calls are worked off at `rate` a minute; fewer, if the number is negative.
    fn plus(self, calls: i64, rate: u32) -> Self {
        Self(self.0.saturating_add(calls.saturating_mul(MINUTE_US) / i64::from(rate)))
    }

    /// The time since an earlier moment, in microseconds.
    fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// When the calls of each subject are worked off.
type Subjects = BTreeMap<String, Moment>;

/// The subjects of each kind; of calls that end something by themselves.
#[derive(Debug, Default)]
struct Kinds {
    principals: Subjects,
    tenants: Subjects,
    networks: Subjects,
    ending_principals: Subjects,
    ending_tenants: Subjects,
    ending_networks: Subjects,
    /// The last moment seen.
    latest: Moment,
}

impl Kinds {
    /// If the clock was set back, all moments go back with it: what is owed stays owed for as long as it was.
    fn observe_clock(&mut self, now: Moment) {
        let back = self.latest.since(now);
        self.latest = now;
        if back > 0 {
            let Self {
                principals,
                tenants,
                networks,
                ending_principals,
                ending_tenants,
                ending_networks,
                ..
            } = self;
            let all = [principals, tenants, networks, ending_principals, ending_tenants, ending_networks];
            all.into_iter().flat_map(BTreeMap::values_mut).for_each(|at| at.0 = at.0.saturating_sub(back));
        }
    }

    fn of(&mut self, kind: Kind, ends: bool) -> &mut Subjects {
        match (kind, ends) {
            (Kind::Principal, false) => &mut self.principals,
            (Kind::Tenant, false) => &mut self.tenants,
            (Kind::Network, false) => &mut self.networks,
            (Kind::Principal, true) => &mut self.ending_principals,
            (Kind::Tenant, true) => &mut self.ending_tenants,
            (Kind::Network, true) => &mut self.ending_networks,
        }
    }
}

/// The calls of the last minute.
#[derive(Debug, Default)]
pub struct Rates(RefCell<Kinds>);

impl Rates {
    /// Counts a call for each of these, or for none.
    ///
    /// # Errors
    /// Who has made too many, and the time after which the same call passes.
    pub fn count<'a>(
        &self,
        subjects: &[Subject<'a>],
        weight: Weight,
        now: Timestamp,
    ) -> Result<(), (Subject<'a>, Span)> {
        let Weight { ends, cost } = weight;
        let mut all = self.0.borrow_mut();
        let now = Moment::of(now);
        all.observe_clock(now);
        let mut counted = Vec::new();
        let mut longest: Option<(Subject<'_>, i64)> = None;
        for subject in subjects {
            let known = all.of(subject.kind, ends).get(subject.id).copied();
            let worked_off = known.unwrap_or_default().max(now);
            let rate = subject.rate.max(1);
            let calls = |calls: u32| worked_off.plus(calls.clamp(1, rate).into(), rate);
            // One that costs more passes as soon as one that costs least would, or these could keep it out for good. What it
            // costs is owed then, a minute's calls at the most.
            let after = calls(cost);
            let wait = calls(1).since(now).saturating_sub(MINUTE_US);
            if wait > longest.map_or(0, |(_, longest)| longest) {
                longest = Some((*subject, wait));
            }
            counted.push((subject, after));
        }
        if let Some((subject, wait)) = longest {
            return Err((subject, Span::from_ms(wait.saturating_add(999).div_euclid(1_000))));
        }
        for (subject, after) in counted {
            let subjects = all.of(subject.kind, ends);
            if subjects.len() >= MOST_SUBJECTS && !subjects.contains_key(subject.id) {
                forget(subjects, now);
            }
            subjects.insert(subject.id.to_owned(), after);
        }
        Ok(())
    }

    /// Gives back what a call was counted as beyond one, since it was refused for what it says.
    pub fn give_back(&self, counted: &Counted) {
        let mut all = self.0.borrow_mut();
        for (kind, id, rate) in &counted.subjects {
            let rate = (*rate).max(1);
            let beyond = counted.weight.cost.clamp(1, rate) - 1;
            if let Some(at) = all.of(*kind, counted.weight.ends).get_mut(id) {
                *at = at.plus(-i64::from(beyond), rate);
            }
        }
    }

    /// How many subjects are known.
    pub fn known(&self) -> usize {
        let mut all = self.0.borrow_mut();
        let kinds = [Kind::Principal, Kind::Tenant, Kind::Network];
        kinds.into_iter().map(|kind| all.of(kind, false).len() + all.of(kind, true).len()).sum()
    }
}

/// Makes room for one more.
fn forget(subjects: &mut Subjects, now: Moment) {
    let quiet = |(id, worked_off): (&String, &Moment)| (*worked_off <= now).then(|| id.clone());
    let quiet: Vec<String> = subjects.iter().filter_map(quiet).collect();
    for id in quiet {
        subjects.remove(&id);
    }
    if subjects.len() >= MOST_SUBJECTS
        && let Some(quietest) = subjects.iter().min_by_key(|(_, at)| **at).map(|(id, _)| id.clone())
    {
        subjects.remove(&quietest);
    }
}
