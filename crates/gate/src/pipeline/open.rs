//! Requests that are open after they were admitted: their key's object is to hear that they are still in flight, that they have
//! ended, or what they have used of their budgets. [`super::settle`] tells it.

use keyward_policy::{KeyRequirement, Requirement};

/// A request that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The header of the answer that says what it has used of its budget.
    pub(super) header: Option<String>,
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
        let Requirement::Key(KeyRequirement { budget: Some(budget), .. }) = requires else { return None };
        Some(Self { header: Some(budget.header.to_owned()), places: Vec::new() })
    }

    /// In words, which [`Self::read`] reads: the header to read, or `-`; then the places, each in three words, of which the
    /// third says whether it is to be said when the answer has ended.
    pub fn to_text(&self) -> String {
        let mut text = self.header.as_deref().unwrap_or("-").to_owned();
        for Place { call, hash, in_flight } in &self.places {
            text.push_str(&format!(" {call} {hash} {}", u8::from(*in_flight)));
        }
        text
    }

    /// What [`Self::to_text`] wrote.
    pub fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let header = words.next().filter(|name| !["", "-"].contains(name)).map(str::to_owned);
        let mut places = Vec::new();
        while let Some(call) = words.next() {
            let call = call.parse().ok()?;
            let hash = words.next()?.to_owned();
            let in_flight = words.next()? == "1";
            places.push(Place { call, hash, in_flight });
        }
        (header.is_some() || !places.is_empty()).then_some(Self { header, places })
    }
}
