//! The record on which a request is being decided.

use std::rc::Rc;

use super::{
    chore::{Chore, ChoreKind},
    verdict::KnownKey,
};
use keyward_core::{record::Record, time::Timestamp};

/// A record at hand.
pub(super) struct Candidate {
    pub hash: String,
    pub record: Rc<Record>,
    pub word: Word,
}

/// What the KeyGate's word for a record is worth.
#[derive(Clone, Copy)]
pub(super) enum Word {
    /// It has not been asked: the record is KV's.
    None,
    /// It was asked at this moment, by an earlier request.
    Earlier(Timestamp),
    /// It was asked by this very request.
    Now,
}

impl Candidate {
    /// What is to be done later for this key.
    pub fn chore(&self, life_ms: u32, kind: ChoreKind) -> Chore {
        Chore { hash: self.hash.clone(), version: self.record.version, life_ms, kind }
    }

    pub fn known_key(&self) -> KnownKey {
        KnownKey { id: self.record.id.clone(), hash: self.hash.clone() }
    }

    /// Whether the KeyGate's word is young enough to refuse on. Where freshness is 0 only its word to
    /// this very request is.
    pub fn is_fresh(&self, freshness_ms: u32, now: Timestamp) -> bool {
        match self.word {
            Word::None => false,
            // One of the future was given before the clock was set back.
            Word::Earlier(asked) => (0..i64::from(freshness_ms)).contains(&(now.0 - asked.0)),
            Word::Now => true,
        }
    }
}
