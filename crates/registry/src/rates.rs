//! How often the admin API may be called: by one principal, by one tenant, and by one network while nobody is signed
//! in. Kept in the memory of the one Registry object, and bounded there.
//!
//! The generic cell rate algorithm: of each subject one moment is known, at which its calls so far are worked off. A
//! minute's calls may come at once; then one passes each time that one is worked off, and the wait that is told is
//! exact. What ends something (revoking, signing out) is counted by itself, so nothing else can delay it, and it waits
//! for one call to be worked off at the most. So does what costs more, which then
//! [counts as several calls](crate::cost).

use std::{cell::RefCell, collections::BTreeMap};

use keyward_core::time::{MINUTE, Timestamp};

/// Microseconds in a minute.
const MINUTE_US: i64 = MINUTE * 1_000;
/// Most subjects of one kind. Of more, whoever has been quiet for longest is forgotten.
const MOST_SUBJECTS: usize = 10_000;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A member or API key.
    Principal,
    /// All of a tenant.
    Tenant,
    /// A network, while nobody is signed in.
    Network,
}

/// One who calls, and how many calls a minute it may make.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
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
    /// As how many calls.
    pub cost: u32,
}

/// A call as it was counted: of whom, and how many calls a minute each may make.
#[derive(Debug)]
pub struct Counted {
    pub(super) callers: Vec<(Kind, String, u32)>,
    pub(super) weight: Weight,
}

/// When the calls of each subject are worked off, in microseconds since 1970: by kind and whether something ends.
type Subjects = BTreeMap<(Kind, bool), BTreeMap<String, i64>>;

/// The calls of the last minute.
#[derive(Debug, Default)]
pub struct Rates(RefCell<Subjects>);

impl Rates {
    /// Counts a call for each of these, or for none.
    ///
    /// # Errors
    /// Who has made too many, and the milliseconds after which the same call passes.
    pub fn count<'a>(
        &self,
        callers: &[Caller<'a>],
        weight: Weight,
        now: Timestamp,
    ) -> Result<(), (Caller<'a>, u64)> {
        let Weight { ends, cost } = weight;
        let mut all = self.0.borrow_mut();
        let now = now.0.saturating_mul(1_000);
        let mut counted = Vec::new();
        let mut longest: Option<(Caller<'_>, i64)> = None;
        for caller in callers {
            let known = all.get(&(caller.kind, ends)).and_then(|subjects| subjects.get(caller.id)).copied();
            // One that lies further ahead was noted by a clock that has been set back since.
            let worked_off =
                known.filter(|at| *at <= now.saturating_add(2 * MINUTE_US)).unwrap_or(now).max(now);
            let calls = |calls: u32| {
                let rate = caller.rate.max(1);
                worked_off.saturating_add(i64::from(calls.clamp(1, rate)) * MINUTE_US / i64::from(rate))
            };
            // One that costs more passes as soon as one that costs least would, or these could keep it out for good. What it
            // costs is owed then, a minute's calls at the most.
            let after = calls(cost);
            let wait = calls(1).saturating_sub(MINUTE_US).saturating_sub(now);
            if wait > longest.map_or(0, |(_, longest)| longest) {
                longest = Some((*caller, wait));
            }
            counted.push((caller, after));
        }
        if let Some((caller, wait)) = longest {
            return Err((caller, u64::try_from(wait).unwrap_or_default().div_ceil(1_000)));
        }
        for (caller, after) in counted {
            let subjects = all.entry((caller.kind, ends)).or_default();
            if subjects.len() >= MOST_SUBJECTS && !subjects.contains_key(caller.id) {
                forget(subjects, now);
            }
            subjects.insert(caller.id.to_owned(), after);
        }
        Ok(())
    }

    /// Gives back what a call was counted as beyond one, since it was refused for what it says.
    pub fn give_back(&self, counted: &Counted) {
        let mut all = self.0.borrow_mut();
        for (kind, id, rate) in &counted.callers {
            let rate = (*rate).max(1);
            let beyond = counted.weight.cost.clamp(1, rate) - 1;
            if let Some(at) =
                all.get_mut(&(*kind, counted.weight.ends)).and_then(|subjects| subjects.get_mut(id))
            {
                *at = at.saturating_sub(i64::from(beyond) * MINUTE_US / i64::from(rate));
            }
        }
    }

    /// How many subjects are known.
    pub fn known(&self) -> usize {
        self.0.borrow().values().map(BTreeMap::len).sum()
    }
}

/// Makes room for one more.
fn forget(subjects: &mut BTreeMap<String, i64>, now: i64) {
    subjects.retain(|_, worked_off| *worked_off > now);
    if subjects.len() >= MOST_SUBJECTS
        && let Some(quietest) = subjects.iter().min_by_key(|(_, at)| **at).map(|(id, _)| id.clone())
    {
        subjects.remove(&quietest);
    }
}
