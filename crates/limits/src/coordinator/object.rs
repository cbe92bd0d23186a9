//! A coordinator's object: it keeps what calls change, and reports usage to the Registry whenever its alarm rings. The caller
//! sets alarms and sends reports; when, and of what, is decided here.

use std::cell::Cell;

use super::{
    Coordinator, Keep,
    store::{self, Kept},
};
use crate::{
    usage::{self, Usage},
    wire::{CoordinatorCall, UNATTRIBUTED, UsageReport, UsageTaken},
};
use keyward_core::{
    jurisdiction::{self, Misplaced},
    record::{Jurisdiction, POOL, Record, Status, Tenant, TenantStatus},
    sql::{Sql, SqlError},
    time::{Span, Timestamp},
};

/// A report that failed is sent again after this time.
const RETRY_REPORT: Span = Span::from_mins(1);

/// A report that [must not be sent](Due::may_be_sent) is looked at again after this time. If the data were moved, that is so for good;
/// else the key's next request sets an earlier alarm.
pub const WITHHELD: Span = Span::from_hours(1);

/// A report that is due.
#[derive(Debug)]
pub struct Due {
    /// It.
    pub report: UsageReport,
    /// Whether the Registry of the policy's jurisdiction is the key's.
    pub may_be_sent: Result<(), Misplaced>,
}

/// The object of one key.
#[derive(Default)]
pub struct CoordinatorObject {
    /// The policy's.
    jurisdiction: Option<Jurisdiction>,
    kept: Kept,
    /// When the alarm rings, as far as is known.
    alarm_at: Cell<Option<Timestamp>>,
}

impl CoordinatorObject {
    /// The object under a policy with this jurisdiction.
    pub fn within(jurisdiction: Option<Jurisdiction>) -> Self {
        Self { jurisdiction, ..Self::default() }
    }

    /// Answers a call of the object of this name and stores what it changed. Afterwards [`Self::alarm_in`] is to be asked.
    /// `travel` says for a realm within which time its admitted requests reach the origin.
    ///
    /// # Errors
    /// What SQLite says, or that this build cannot read what is stored.
    pub fn answer(
        &self,
        db: &dyn Sql,
        name: &str,
        call: CoordinatorCall,
        travel: impl Fn(&str) -> Span,
        now: Timestamp,
    ) -> Result<String, SqlError> {
        self.kept.turn(db, |coordinator| {
            if let Some(record) = &coordinator.record {
                coordinator.set_travel(travel(&record.realm));
            }
            if name == UNATTRIBUTED && coordinator.record.is_none() {
                coordinator.put(no_key().within(self.jurisdiction));
                store::keep(db, coordinator, Keep::Record)?;
            }
            let answer = coordinator.answer(call, now).map_err(|error| SqlError(error.to_string()))?;
            // What passes is counted as usage of its key.
            if name.starts_with(POOL) {
                coordinator.counts.usage = Usage::default();
            }
            Ok(answer)
        })
    }

    /// The time after which the alarm has to ring for the next report; `None` if there is nothing to report, or if an alarm
    /// that is set rings in time.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub fn alarm_in(&self, db: &dyn Sql, now: Timestamp) -> Result<Option<Span>, SqlError> {
        let due = self.read(db, |coordinator| coordinator.report_in(now))?;
        Ok(due.filter(|_| !usage::rings(self.alarm_at.get(), now)))
    }

    /// The alarm is set, and rings at this moment.
    pub fn alarm_is_set(&self, at: Timestamp) {
        self.alarm_at.set(Some(at));
    }

    /// The alarm rings: the report to send, if there is one, or why it must not be sent now: the Registry of the policy's
    /// jurisdiction knows nothing of this key. What happened to it goes to [`Self::reported`].
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub fn ring(&self, db: &dyn Sql, now: Timestamp) -> Result<Option<Due>, SqlError> {
        self.alarm_at.set(None);
        let due = |coordinator: &Coordinator| {
            let of_key = coordinator.record.as_ref()?.jurisdiction;
            let may_be_sent = jurisdiction::check(of_key, self.jurisdiction);
            Some(Due { report: coordinator.report(now)?, may_be_sent })
        };
        Ok(self.read(db, due)?.filter(|due| !due.report.hours.is_empty()))
    }

    /// The Registry has taken a report, or (`None`) it did not say that it has. The time after which the alarm has to ring
    /// again, if it has to.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub fn reported(
        &self,
        db: &dyn Sql,
        report: &UsageReport,
        taken: Option<&UsageTaken>,
        now: Timestamp,
    ) -> Result<Option<Span>, SqlError> {
        let Some(taken) = taken else { return Ok(Some(RETRY_REPORT)) };
        self.kept.turn(db, |coordinator| {
            coordinator.reported(report, &taken.early, now);
            Ok(((), Keep::Counts))
        })?;
        self.alarm_in(db, now)
    }

    fn read<T>(&self, db: &dyn Sql, read: impl FnOnce(&Coordinator) -> T) -> Result<T, SqlError> {
        self.kept.turn(db, |coordinator| Ok((read(coordinator), Keep::Nothing)))
    }
}

/// The record of the object that counts what belongs to no key: of a key that nobody has, and that passes nowhere.
fn no_key() -> Record {
    let id = UNATTRIBUTED.to_owned();
    let tenant =
        Tenant { id: id.clone(), code: None, status: TenantStatus::Inactive, plan: None, pool: None };
    let live = Record::live(id, String::new(), tenant, Vec::new());
    Record { status: Status::Revoked, version: 1, ..live }
}
