//! A log, and the platform of a relay that reads it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use keyward_changes::relay::Upstream;
use keyward_core::{
    changes::{Change, News, ReadChanges},
    record::{Tenant, TenantStatus},
    time::{Span, Timestamp},
    unavailable::Unavailable,
};
use keyward_testing::{NOON, change_log::ChangeLog, clock::VirtualClock};

pub struct Log {
    pub clock: Rc<VirtualClock>,
    pub log: Rc<RefCell<ChangeLog>>,
    /// How long an answer takes, and by how much the clock is set meanwhile.
    pub takes: Cell<Span>,
    pub is_down: Cell<bool>,
    pub asked: Cell<u32>,
}

impl Default for Log {
    fn default() -> Self {
        let (log, takes, is_down, asked) = Default::default();
        Self { clock: Rc::new(VirtualClock::new(NOON)), log, takes, is_down, asked }
    }
}

pub fn key(hash: &str, version: u64) -> Change {
    Change::Key { hash: hash.to_owned(), version, revoked: false }
}

pub fn tenant(number: u64, id: &str, status: TenantStatus) -> Change {
    Change::Tenant {
        number,
        tenant: Tenant { id: id.to_owned(), code: None, status, plan: None, pool: None },
    }
}

impl Upstream for Log {
    async fn read(&self, call: &ReadChanges) -> Result<News, Unavailable> {
        self.asked.set(self.asked.get() + 1);
        let answer = self.log.borrow().read(call);
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
