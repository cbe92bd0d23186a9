//! The change log: the Registry's table, what its triggers write, and the relays through which isolates read it.

use std::rc::Rc;

use keyward_changes::relay::Relay;
use keyward_core::{
    changes::{Change, ReadChanges},
    record::{Record, Status, Tenant},
    unavailable::Unavailable,
};

use crate::{
    cloud::{FakeCloud, LogUplink},
    network::{Object, Purpose},
};

/// Rows that a change of a key writes to the log: its own, those of its two indexes, and the number of the last one.
const ROWS_OF_KEY: u64 = 4;
/// A tenant's row has the number, too.
const ROWS_OF_TENANT: u64 = ROWS_OF_KEY + 1;

impl FakeCloud {
    /// The Registry stores a change of a key, and so logs it. A new key is none: nobody remembers another record of it.
    pub(crate) fn log_key(&self, hash: &str, record: &Record) {
        let revoked = record.status == Status::Revoked;
        let change = Change::Key { hash: hash.to_owned(), version: record.version, revoked };
        self.change_log.borrow_mut().write(change);
        self.count_rows(ROWS_OF_KEY);
    }

    /// The Registry stores a change of a tenant, which is one of all its keys. Returns its number, which their records name.
    pub(crate) fn log_tenant(&self, tenant: &Tenant) -> u64 {
        let mut log = self.change_log.borrow_mut();
        let number = log.last + 1;
        log.write(Change::Tenant { number, tenant: tenant.clone() });
        self.count_rows(ROWS_OF_TENANT);
        number
    }

    /// One of the log's relays dies with all that it knew. Calls that are in progress go on.
    pub fn crash_log_relay(&self, relay: u32) {
        self.log_relays.borrow_mut().remove(&relay);
    }

    fn log_relay(self: &Rc<Self>, relay: u32) -> Rc<Relay<LogUplink>> {
        let new = || Rc::new(Relay::new(LogUplink { cloud: Rc::clone(self), relay }));
        Rc::clone(self.log_relays.borrow_mut().entry(relay).or_insert_with(new))
    }

    /// What the relay's Durable Object does with an isolate's question. Where it has no answer, it says so.
    pub(crate) async fn log_relay_answer(self: Rc<Self>, relay: u32, call: ReadChanges) -> Option<String> {
        self.count(Object::LogRelay(relay), Purpose::Log);
        let news = self.log_relay(relay).read(&call).await;
        Some(news.map_or_else(|Unavailable| String::new(), |news| serde_json::to_string(&news).unwrap()))
    }
}
