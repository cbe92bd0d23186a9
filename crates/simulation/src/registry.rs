//! The Registry, as far as keys' objects have to do with it: it tells them of changes, and they report usage to it.

use std::{cell::RefCell, rc::Rc};

use futures::{StreamExt, stream};
use keyward_core::{
    record::{Tenant, TenantStatus},
    time::{SECOND, Span, Timestamp},
};

use crate::{
    cloud::FakeCloud,
    network::{Object, Purpose},
};

/// Rows that a report of usage writes there: those of the hour and of the key's last use, and of their indexes.
const ROWS_OF_REPORT: u64 = 5;

// What follows is as in `keyward_registry::publisher`.

/// Most keys that one alarm publishes.
const MOST_AT_ONCE: usize = 400;
/// Keys that are told at the same time.
const SIDE_BY_SIDE: usize = 20;
/// The time until an alarm goes on.
const BACKSTOP: Span = SECOND;
/// Longest wait for an answer.
const PATIENCE: Span = Span::from_secs(5);
/// The time that a write to KV takes.
const KV_WRITE: Span = Span::from_ms(100);

impl FakeCloud {
    /// A coordinator has answered: sets an alarm for its next report, unless one is set.
    pub(crate) fn set_alarm(self: &Rc<Self>, key: usize) {
        let now = self.now();
        if now >= self.reports_until.get() {
            return;
        }
        let due = {
            let key = &mut self.keys.borrow_mut()[key];
            let due = if key.alarm_is_set { None } else { key.report_in(now) };
            key.alarm_is_set |= due.is_some();
            due
        };
        if let Some(due) = due {
            self.count_rows(1);
            let cloud = Rc::clone(self);
            self.spawn(async move {
                cloud.clock.sleep(due).await;
                cloud.ring(key, cloud.now());
            });
        }
    }

    fn ring(self: &Rc<Self>, number: usize, now: Timestamp) {
        if now >= self.reports_until.get() {
            return;
        }
        self.count(Object::Coordinator(number), Purpose::Alarm);
        let is_sent = {
            let key = &mut self.keys.borrow_mut()[number];
            key.alarm_is_set = false;
            let report = key.usage(now);
            let is_sent = !report.hours.is_empty();
            if is_sent {
                key.reported(&report, now);
            }
            is_sent
        };
        if is_sent {
            self.count(Object::Registry, Purpose::Usage);
            self.count_rows(ROWS_OF_REPORT + 1);
        }
        self.set_alarm(number);
    }

    /// This tenant is deactivated. It is in the change log, and each of its keys has a new version at once; their objects are
    /// told one after the other, and KV gets what they know.
    pub fn deactivate(self: &Rc<Self>, tenant: &str) {
        let now = self.now();
        let id = tenant.to_owned();
        let tenant = Tenant { id, code: None, status: TenantStatus::Inactive, plan: None, pool: None };
        let number = self.log_tenant(&tenant);
        let mut outbox = Vec::new();
        for (key_number, key) in self.keys.borrow_mut().iter_mut().enumerate() {
            if key.record.tenant.id == tenant.id {
                key.change(now, |record| {
                    record.tenant = tenant.clone();
                    record.tenant_change = number;
                });
                outbox.push(key_number);
            }
        }
        outbox.reverse();
        let outbox = RefCell::new(outbox);
        let cloud = Rc::clone(self);
        self.spawn(async move {
            while !outbox.borrow().is_empty() {
                let due = {
                    let mut outbox = outbox.borrow_mut();
                    let first = outbox.len().saturating_sub(MOST_AT_ONCE);
                    outbox.split_off(first)
                };
                let publish = async |key| {
                    if !cloud.tell(key).await {
                        outbox.borrow_mut().insert(0, key);
                    }
                };
                stream::iter(due.into_iter().rev()).for_each_concurrent(SIDE_BY_SIDE, publish).await;
                cloud.clock.sleep(BACKSTOP).await;
            }
        });
    }

    /// Whether the key's object was told, and KV has it.
    async fn tell(&self, key: usize) -> bool {
        let object = Object::Coordinator(key);
        let Some(there) = self.leg(0, object) else {
            self.clock.sleep(PATIENCE).await;
            return false;
        };
        self.clock.sleep(there).await;
        self.count(object, Purpose::Change);
        let now = self.now();
        self.keys.borrow_mut()[key].publish(now);
        let Some(back) = self.leg(0, object) else {
            self.clock.sleep(PATIENCE - there).await;
            return false;
        };
        self.clock.sleep(back + KV_WRITE).await;
        true
    }
}
