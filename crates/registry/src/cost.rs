//! How many calls a call counts as ([`crate::rates`]), which its [route](crate::router::ROUTES) says. An ordinary one costs
//! the Registry, which does nothing else meanwhile, about a millisecond; one that may cost a multiple of that counts as
//! that many calls.

use crate::keys::list;

/// What makes a call cost as much as several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Nothing. Also where people sign in, although that derives a password: it has bounds of its own
    /// ([`crate::throttle`]), and a whole office does it at once.
    One,
    /// It derives a password, some 30 ms.
    Derives,
    /// It hashes a thousand entries.
    Verifies,
    /// With a filter, it goes through all of a tenant's keys.
    MaySearch,
    /// It reads a thousand keys.
    Exports,
    /// It counts all of a tenant's keys and links, goes through the usage of years, or reads a thousand entries.
    Counts,
    /// It counts the keys, in an index, beside what it does.
    CountsKeys,
    /// It changes all of a tenant's keys, or a hundred.
    ChangesAll,
}

impl Cost {
    /// How many calls one with this query counts as.
    pub fn calls(self, query: &str) -> u32 {
        match self {
            Self::Derives | Self::Exports => 10,
            Self::Verifies | Self::ChangesAll => 20,
            Self::MaySearch if list::looks_for_something(query) => 10,
            Self::Counts => 5,
            Self::CountsKeys => 2,
            Self::One | Self::MaySearch => 1,
        }
    }
}
