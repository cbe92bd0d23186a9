//! A log as the Registry keeps it, written without SQL.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use keyward_changes::relay::Upstream;
use keyward_core::{
    changes::{Change, KV_LAG, News, ReadChanges},
    record::{Tenant, TenantStatus},
    time::{Span, Timestamp},
    unavailable::Unavailable,
};
use keyward_testing::{NOON, clock::VirtualClock};

/// The log, and the platform of a relay that reads it.
pub struct Log {
    pub clock: Rc<VirtualClock>,
    pub name: RefCell<String>,
    pub changes: RefCell<Vec<(u64, Change)>>,
    pub last: Cell<u64>,
    pub forgotten: Cell<u64>,
    pub covers: Cell<Span>,
    pub page: Cell<usize>,
    /// How long an answer takes, and by how much the clock is set meanwhile.
    pub takes: Cell<Span>,
    pub is_down: Cell<bool>,
    pub asked: Cell<u32>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            clock: Rc::new(VirtualClock::new(NOON)),
            name: RefCell::new("log".to_owned()),
            changes: RefCell::default(),
            last: Cell::new(0),
            forgotten: Cell::new(0),
            covers: Cell::new(KV_LAG),
            page: Cell::new(1_000),
            takes: Cell::new(Span::ZERO),
            is_down: Cell::new(false),
            asked: Cell::new(0),
        }
    }
}

pub fn key(hash: &str, version: u64) -> Change {
    Change::Key { hash: hash.to_owned(), version, revoked: false }
}

pub fn tenant(id: &str, status: TenantStatus) -> Change {
    Change::Tenant(Tenant { id: id.to_owned(), code: None, status, plan: None })
}

impl Log {
    pub fn write(&self, change: Change) {
        self.last.set(self.last.get() + 1);
        self.changes.borrow_mut().retain(|(_, known)| match (known, &change) {
            (Change::Key { hash, .. }, Change::Key { hash: other, .. }) => hash != other,
            (Change::Tenant(one), Change::Tenant(other)) => one.id != other.id,
            _ => true,
        });
        self.changes.borrow_mut().push((self.last.get(), change));
    }

    /// Everything up to this number is forgotten.
    pub fn forget(&self, number: u64) {
        self.changes.borrow_mut().retain(|(known, _)| *known > number);
        self.forgotten.set(self.forgotten.get().max(number));
    }

    pub fn answer(&self, call: &ReadChanges) -> News {
        let is_anew =
            call.log != *self.name.borrow() || call.after < self.forgotten.get() || call.after > self.last.get();
        let after = if is_anew { 0 } else { call.after };
        let changes = self.changes.borrow();
        let rest: Vec<_> = changes.iter().filter(|(number, _)| *number > after).collect();
        let part = &rest[..rest.len().min(self.page.get())];
        let more = rest.len() > part.len();
        News {
            log: self.name.borrow().clone(),
            position: if more { part.last().unwrap().0 } else { self.last.get() },
            is_anew,
            begins: self.forgotten.get(),
            more,
            covers: self.covers.get(),
            age: Span::ZERO,
            changes: part.iter().map(|(_, change)| change.clone()).collect(),
        }
    }
}

impl Upstream for Log {
    async fn read(&self, call: &ReadChanges) -> Result<News, Unavailable> {
        self.asked.set(self.asked.get() + 1);
        let answer = self.answer(call);
        self.clock.advance(self.takes.get());
        if self.is_down.get() { Err(Unavailable) } else { Ok(answer) }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn wait(&self, span: Span) {
        self.clock.advance(span);
    }
}
