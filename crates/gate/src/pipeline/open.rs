//! Requests that are open after they were admitted: their key's object is to hear that they are still in flight, that they have
//! ended, or what they have used of their budgets. [`super::settle`] tells it.

use keyward_core::{secret::Secrets, time::Timestamp};
use keyward_policy::{Budget, KeyRequirement, Requirement};

/// Keeps this use of the deployment's secret apart from others.
const PURPOSE: &str = "keyward settlement 1";
/// What a token begins with.
const PREFIX: &str = "kwb_";
/// The longest that is looked at.
const LONGEST: usize = 512;

/// The budget of a route, if it has one.
pub(crate) fn budget_of(requires: &Requirement) -> Option<Budget> {
    match requires {
        Requirement::Key(KeyRequirement { budget, .. }) => *budget,
        _ => None,
    }
}

/// A request that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The header of the answer that says what it has used of its budget.
    pub(super) header: Option<String>,
    /// What it has reserved of that.
    pub(super) reserve: u32,
    /// Whether its origin may say by a call what it has used.
    pub(super) by_call: bool,
    /// Where: at its key's object, and at that of its tenant's pool.
    pub(super) places: Vec<Place>,
}

/// Where a request is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Names it there.
    pub call: u64,
    /// Names the object.
    pub hash: String,
    /// Whether it counts as in flight there.
    pub in_flight: bool,
}

impl Open {
    /// Of a request on such a route that has no budget, since its caller has no limits: the header is not for its client either.
    pub(crate) fn without_budget(requires: &Requirement) -> Option<Self> {
        let header = budget_of(requires)?.header.map(str::to_owned);
        Some(Self { header, reserve: 0, by_call: false, places: Vec::new() })
    }

    /// Whether its object has to hear of its answer.
    pub(crate) fn is_followed(&self) -> bool {
        self.header.is_some() || self.reserve > 0 || self.places.iter().any(|place| place.in_flight)
    }

    /// With this its origin says by a call what it has used, until `end`. Pinned in `tests/it/golden.rs`.
    pub fn token(&self, end: Timestamp, secrets: &Secrets) -> String {
        secrets.seal(PURPOSE, PREFIX, &format!("{}{}", end.0, self.places_text()))
    }

    /// What [`Self::token`] says, if it was made here: until when it holds, and of which request it is.
    pub(super) fn of_token(token: &str, secrets: &Secrets) -> Option<(Timestamp, Vec<Place>)> {
        let said = secrets.unseal(PURPOSE, PREFIX, Some(token).filter(|token| token.len() <= LONGEST)?)?;
        let mut words = said.split(' ');
        let end = words.next()?.parse().ok()?;
        Some((Timestamp(end), Self::read_places(words)?))
    }

    /// In words, which [`Self::read`] reads: the header to read (`-` if none), what was reserved, and whether a call may
    /// settle it, with colons between them; then the places, each in three words, of which the
    /// third says whether it is to be said when the answer has ended.
    pub fn to_text(&self) -> String {
        let (header, by_call) = (self.header.as_deref().unwrap_or("-"), u8::from(self.by_call));
        format!("{header}:{}:{by_call}{}", self.reserve, self.places_text())
    }

    fn places_text(&self) -> String {
        let words =
            |Place { call, hash, in_flight }: &Place| format!(" {call} {hash} {}", u8::from(*in_flight));
        self.places.iter().map(words).collect()
    }

    /// What [`Self::to_text`] wrote.
    pub fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut budget = words.next()?.split(':');
        let header = Some(budget.next()?).filter(|name| !["", "-"].contains(name)).map(str::to_owned);
        let reserve = budget.next()?.parse().ok()?;
        let by_call = budget.next()? == "1";
        let places = Self::read_places(words)?;
        (header.is_some() || !places.is_empty()).then_some(Self { header, reserve, by_call, places })
    }

    fn read_places<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Vec<Place>> {
        let mut places = Vec::new();
        while let Some(call) = words.next() {
            let call = call.parse().ok()?;
            let hash = words.next()?.to_owned();
            let in_flight = words.next()? == "1";
            places.push(Place { call, hash, in_flight });
        }
        Some(places)
    }
}
