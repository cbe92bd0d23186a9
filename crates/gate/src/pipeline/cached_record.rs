//! The record on which a request is being decided.

use std::rc::Rc;

use super::{
    background::{BackgroundTask, TaskKind},
    verdict::KnownKey,
};
use keyward_core::{
    record::Record,
    time::{Span, Timestamp},
};

/// A record, and how well it is confirmed.
#[derive(Clone)]
pub(super) struct CachedRecord {
    pub hash: String,
    pub record: Rc<Record>,
    pub validation: Validation,
    /// How often this isolate had [forgotten](crate::memory::Memory::learn) everything when it got this.
    pub epoch: u32,
    /// Whether this request has read the change log, or tried to.
    pub has_caught_up: bool,
}

/// What the coordinator last said of a record.
#[derive(Clone, Copy)]
pub(super) enum Validation {
    /// Nothing: the record is KV's.
    None,
    /// An earlier request asked it at this moment.
    Earlier(Timestamp),
    /// This very request asked it.
    Now,
}

impl CachedRecord {
    /// A background task for this key.
    pub fn background(&self, freshness: Span, kind: TaskKind) -> BackgroundTask {
        BackgroundTask { hash: self.hash.clone(), version: self.record.version, freshness, kind }
    }

    pub fn known_key(&self) -> KnownKey {
        KnownKey { record: Rc::clone(&self.record), hash: self.hash.clone() }
    }

    /// Whether the confirmation is young enough to refuse on. With freshness 0 only this request's own is.
    pub fn is_fresh(&self, freshness: Span, now: Timestamp) -> bool {
        match self.validation {
            Validation::None => false,
            Validation::Earlier(asked) => asked.is_within(freshness, now),
            Validation::Now => true,
        }
    }
}
