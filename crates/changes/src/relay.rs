//! A relay: an object that reads the log from the Registry for all isolates that ask it, one call at a time. It stores
//! nothing: one that wakes up reads the log from its beginning.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    pin::pin,
};

use futures_util::future::select;
use keyward_core::{
    changes::{Change, News, ReadChanges},
    single_flight::SingleFlight,
    time::{Span, Timestamp},
    unavailable::Unavailable,
};

use crate::timing::READ_WITHIN;

/// What the names of their objects begin with, before a `/` and the number: no key's hash.
pub const NAME: &str = "changes";
/// How many relays there are.
const RELAYS: u32 = 32;
/// Most changes that a relay remembers, which is more than a reader does. While the log has more, it cannot be used.
const MOST_CHANGES: usize = 30_000;
/// What was heard this long ago is new enough for anybody: so a relay asks no more often, and whoever needs something newer
/// asks the key's object.
const NEW_ENOUGH: Span = Span::from_ms(450);
/// How often a call waits for another one that was sent before it came.
const WAITS: usize = 3;
/// No answer has many more changes than this.
const PAGE: usize = 1_000;

/// The relay that an isolate with this random number asks.
pub fn number(client_id: u32) -> u32 {
    client_id % RELAYS
}

/// What a relay asks of the platform.
#[allow(async_fn_in_trait, reason = "a Worker has one thread: no future here is ever sent to another")]
pub trait Upstream {
    /// Asks the Registry, for a bounded time.
    async fn read(&self, call: &ReadChanges) -> Result<News, Unavailable>;
    /// The time.
    fn now(&self) -> Timestamp;
    /// Lets time pass.
    async fn wait(&self, span: Span);
}

/// A relay.
pub struct Relay<U> {
    upstream: U,
    known: RefCell<Known>,
    /// The call of the Registry.
    flight: SingleFlight,
    /// The last moment seen.
    latest: Cell<Timestamp>,
    /// By how much the clock was set back, all in all.
    set_back: Cell<Span>,
}

#[derive(Default)]
struct Known {
    log: String,
    /// The number of the last change that is not remembered.
    begins: u64,
    /// The log in order, in parts as they were read.
    parts: Vec<Part>,
    covers: Span,
    /// The moment up to which everything is known.
    at: Option<Timestamp>,
}

/// What follows the part before, up to a position.
struct Part {
    position: u64,
    changes: Vec<Change>,
}

impl<U: Upstream> Relay<U> {
    /// A relay that knows nothing yet.
    pub fn new(upstream: U) -> Self {
        Self {
            upstream,
            known: RefCell::default(),
            flight: SingleFlight::default(),
            latest: Cell::default(),
            set_back: Cell::default(),
        }
    }

    /// Its platform.
    pub fn upstream(&self) -> &U {
        &self.upstream
    }

    /// Answers an isolate.
    ///
    /// # Errors
    /// The Registry does not answer.
    pub async fn read(&self, call: &ReadChanges) -> Result<News, Unavailable> {
        let came = self.now();
        for _ in 0..WAITS {
            let now = self.now();
            if let Some(news) = self.known.borrow().answer(call, came, now) {
                return Ok(news);
            }
            let left = READ_WITHIN - (now - came);
            if left <= Span::ZERO {
                break;
            }
            if self.flight.is_under_way() {
                select(pin!(self.flight.ends()), pin!(self.upstream.wait(left))).await;
            } else {
                self.read_on().await?;
            }
        }
        let now = self.now();
        self.known.borrow().answer(call, came, now).ok_or(Unavailable)
    }

    /// Asks the Registry for what follows.
    async fn read_on(&self) -> Result<(), Unavailable> {
        self.flight.begin();
        let _guard = self.flight.guard();
        loop {
            let call = self.known.borrow().question();
            let asked = self.now();
            let before = self.set_back.get();
            let answer = self.upstream.read(&call).await?;
            // Earlier by as much as the clock was set back meanwhile, of which the time that this took hides some.
            let now = self.now();
            let set_back = self.set_back.get() - before;
            let asked = if set_back > Span::ZERO { (asked - set_back).min(now) - READ_WITHIN } else { asked };
            if !self.known.borrow_mut().take(answer, asked) {
                return Ok(());
            }
        }
    }

    /// The time. If the clock was set back, what is known is so old that nobody can tell.
    fn now(&self) -> Timestamp {
        let now = self.upstream.now();
        let back = self.latest.replace(now) - now;
        if back > Span::ZERO {
            self.set_back.set(self.set_back.get() + back);
            self.known.borrow_mut().at = None;
        }
        now
    }
}

impl Known {
    fn question(&self) -> ReadChanges {
        let after = self.parts.last().map_or(0, |part| part.position);
        ReadChanges { log: self.log.clone(), after, max_age: Span::ZERO }
    }

    /// Takes in what follows. Returns whether there is more.
    fn take(&mut self, news: News, asked: Timestamp) -> bool {
        let News { log, position, is_anew, begins, more, covers, changes, .. } = news;
        if is_anew {
            self.parts.clear();
            self.begins = begins;
        }
        self.log = log;
        self.drop_earlier(&changes);
        match self.parts.last_mut() {
            Some(last) if last.changes.len() + changes.len() <= PAGE => {
                last.position = position;
                last.changes.extend(changes);
            }
            _ => self.parts.push(Part { position, changes }),
        }
        // The last part stays: it says how far the log was read.
        let mut all: usize = self.parts.iter().map(|part| part.changes.len()).sum();
        while let [first, _, ..] = self.parts.as_slice()
            && (first.position <= begins || all > MOST_CHANGES)
        {
            all -= first.changes.len();
            self.begins = first.position;
            self.parts.remove(0);
        }
        self.covers = if self.begins <= begins { covers } else { Span::ZERO };
        if !more {
            self.at = Some(asked);
        }
        more
    }

    /// Of a subject only the latest change is remembered: one that changes again and again takes no more room.
    fn drop_earlier(&mut self, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        let changed: HashSet<&str> = changes.iter().filter_map(subject).collect();
        for part in &mut self.parts {
            part.changes.retain(|known| subject(known).is_none_or(|name| !changed.contains(name)));
        }
    }

    /// The answer, if what is known is new enough: not older than the call allows, or read since it came.
    fn answer(&self, call: &ReadChanges, came: Timestamp, now: Timestamp) -> Option<News> {
        let at = self.at.filter(|at| now - *at <= call.max_age.max(NEW_ENOUGH) || *at >= came)?;
        let end = self.parts.last()?.position;
        let is_anew = call.log != self.log || !(self.begins..=end).contains(&call.after);
        let after = if is_anew { 0 } else { call.after };
        // A part of which some is known is sent whole, which does no harm.
        let mut parts = self.parts.iter().filter(|part| part.position > after);
        let (mut changes, mut position) = (Vec::new(), after);
        for part in parts.by_ref() {
            changes.extend(part.changes.iter().cloned());
            position = part.position;
            if changes.len() >= PAGE {
                break;
            }
        }
        Some(News {
            log: self.log.clone(),
            position,
            is_anew,
            begins: self.begins,
            more: parts.next().is_some(),
            covers: self.covers,
            age: (now - at).max(Span::ZERO),
            changes,
        })
    }
}

/// What a change is of: a key's hash or a tenant's id.
fn subject(change: &Change) -> Option<&str> {
    match change {
        Change::Key { hash, .. } => Some(hash),
        Change::Tenant { tenant, .. } => Some(&tenant.id),
        Change::Unknown => None,
    }
}
